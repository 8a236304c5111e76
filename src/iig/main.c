/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iig --def X.iig --header DIR/X.h --impl DIR/X.iig.cpp [--framework-name F] [--deployment-target N] [-- clang's arguments]
 *
 * Writes both files or neither; a file that would not change keeps its time. 0; 1: said on stderr; 2: wrong use.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iig/iig.h"

static const char usage[] =
        "usage: iig --def X.iig --header X.h --impl X.iig.cpp [--framework-name NAME] [--deployment-target VERSION] "
        "[-- CLANG-ARGUMENT...]\n";

static bool parse_options(struct iig_options *options, int argc, char **argv)
{
        static const struct option known[] = {
                { "def", required_argument, NULL, 'd' },
                { "header", required_argument, NULL, 'h' },
                { "impl", required_argument, NULL, 'i' },
                { "framework-name", required_argument, NULL, 'f' },
                { "deployment-target", required_argument, NULL, 't' },
                { "help", no_argument, NULL, '?' },
                { NULL, 0, NULL, 0 },
        };
        int c;

        while ((c = getopt_long(argc, argv, "+", known, NULL)) != -1) {
                switch (c) {
                case 'd': options->definition = optarg; break;
                case 'h': options->header = optarg; break;
                case 'i': options->implementation = optarg; break;
                case 'f': options->framework = optarg; break;
                case 't': break;        /* there is one target */
                default: return false;
                }
        }
        /* getopt has stepped over the "--"; without one nothing may follow. */
        if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
                return false;
        options->arguments = (const char *const *)argv + optind;
        options->count = argc - optind;
        return options->definition && options->header && options->implementation;
}

static bool unchanged(const char *path, const struct iig_text *text)
{
        struct iig_source old;

        return iig_source_load(&old, path) == 0 && old.length == text->length && memcmp(old.data, text->data, text->length) == 0;
}

/* By a file of another name, so that nobody sees half of it. */
static bool write_file(const char *path, const struct iig_text *text)
{
        const char *temporary = iig_format("%s.%ld", path, (long)getpid());
        bool written = false;
        FILE *file;

        if (unchanged(path, text))
                return true;
        file = fopen(temporary, "we");
        if (file) {
                written = fwrite(text->data, 1, text->length, file) == text->length;
                written = fclose(file) == 0 && written;
                written = written && rename(temporary, path) == 0;
        }
        if (!written) {
                fprintf(stderr, "iig: %s: %s\n", path, strerror(errno));
                unlink(temporary);
        }
        return written;
}

static int translate(const struct iig_options *options)
{
        struct iig_file file = { .path = options->definition };
        struct iig_text header = { 0 }, body = { 0 };
        int r = iig_source_load(&file.source, file.path);

        if (r < 0) {
                fprintf(stderr, "iig: %s: %s\n", file.path, strerror(-r));
                return 1;
        }
        iig_parse(&file, options);
        if (file.errors == 0)
                iig_check(&file);
        if (file.errors > 0)
                return 1;
        iig_write_header(&header, &file);
        iig_write_body(&body, &file, options);
        return write_file(options->header, &header) && write_file(options->implementation, &body) ? 0 : 1;
}

int main(int argc, char **argv)
{
        struct iig_options options = { 0 };
        int status;

        if (!parse_options(&options, argc, argv)) {
                fputs(usage, stderr);
                return 2;
        }
        status = translate(&options);
        iig_text_end();
        return status;
}
