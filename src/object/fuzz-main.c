/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files, and over every cut and some changes of each, as an ordinary test:
 *      fuzz-NAME DIRECTORY
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* In a block of exactly its size, so that a sanitizer sees the first byte read beyond. */
static void try_bytes(const char *bytes, size_t length)
{
        AMB_FREE uint8_t *exact = malloc(length ? length : 1);
        if (!exact)
                abort();
        memcpy(exact, bytes, length);
        LLVMFuzzerTestOneInput(exact, length);
}

static int try_file(int directory, const char *name)
{
        AMB_FREE char *bytes = NULL;
        size_t length = 0;
        int r = amb_file_read(directory, name, 1 << 20, &bytes, &length);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", name, strerror(-r));
                return r;
        }
        try_bytes(bytes, length);
        /* About 1000 cuts and 1000 changes of each, at the same places in every run. */
        size_t step = length / 1000 + 1;
        for (size_t at = 0; at < length; at += step) {
                try_bytes(bytes, at);
                char kept = bytes[at];
                bytes[at] = (char)(kept ^ (1 << at % 8));
                try_bytes(bytes, length);
                bytes[at] = kept;
        }
        return 0;
}

int main(int argc, char **argv)
{
        DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
        if (!directory) {
                fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
                return 2;
        }
        int tried = 0, failed = 0;
        for (struct dirent *entry; (entry = readdir(directory));) {
                if (entry->d_name[0] == '.')
                        continue;
                tried++;
                failed += try_file(dirfd(directory), entry->d_name) < 0;
        }
        closedir(directory);
        printf("%d files\n", tried);
        return tried && !failed ? 0 : 1;
}
