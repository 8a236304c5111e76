/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ambidext new`: copies the templates of a language (share/templates: common, c, c++) into a new directory. They are files that
 * can be read and compiled as they are; NAME, which stands in them and in their names, becomes the driver's name. The directory is
 * ours alone while we fill it: what cannot be finished is removed again, and nothing is ever written over.
 */
#include "cli/cli.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>

#include "base/paths.h"
#include "dext/dext.h"
#include "dext/text.h"

static const char help[] =
        "ambidext new [--lang c|c++] NAME\n"
        "\n"
        "Writes a directory NAME: a driver with that class, an application of it, tests, and a meson.build that builds and tests them\n"
        "at once:  cd NAME && meson setup build && meson test -C build\n"
        "\n"
        "  --lang c|c++   the driver's language: DriverKit's C++ with .iig interfaces (the default), or C\n"
        "\n"
        "NAME is a class's name: it begins with a capital letter and has letters, digits and underlines. IO... and OS... are DriverKit's\n"
        "own.\n";

enum { NAME_MOST = 48, TEMPLATE_MOST = 1 << 20 };
static const char placeholder[] = "NAME";

/* --- the name --- */

/* NULL: it will do. Otherwise what is wrong with it. */
static const char *name_fault(const char *name)
{
        /* Headers that compilers and libraries look for: with C++ there will be a NAME.h. */
        static const char *const headers[] = { "Availability", "AvailabilityMacros", "Block", "TargetConditionals" };
        if (!isupper((unsigned char)name[0]))
                return "does not begin with a capital letter";
        for (const char *c = name; *c; c++)
                if (!isalnum((unsigned char)*c) && *c != '_')
                        return "has other characters than letters, digits and underlines";
        if (strlen(name) > NAME_MOST)
                return "is longer than 48 characters";
        if (strncmp(name, "IO", 2) == 0 || strncmp(name, "OS", 2) == 0)
                return "begins as DriverKit's own classes do";
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(headers); i++)
                if (strcmp(name, headers[i]) == 0)
                        return "is the name of a header of the system";
        return NULL;
}

/* The text with every placeholder replaced (malloc); NULL: no memory. */
static char *replace(const char *text, size_t length, const char *name, size_t *ret_length)
{
        char *result = NULL;
        FILE *out = open_memstream(&result, ret_length);
        if (!out)
                return NULL;
        for (const char *end = text + length; text < end;) {
                const char *found = memmem(text, (size_t)(end - text), placeholder, strlen(placeholder));
                fwrite(text, 1, (size_t)((found ? found : end) - text), out);
                if (found)
                        fputs(name, out);
                text = found ? found + strlen(placeholder) : end;
        }
        if (fclose(out) == 0)
                return result;
        free(result);
        return NULL;
}

/* --- files --- */

/* What has been made in the new directory, in this order; removed in the other one if it comes to nothing. */
struct copies {
        int directory;
        const char *name;
        char *made[64];
        size_t count;
};

static int copies_add(struct copies *copies, char *path)
{
        if (copies->count == AMB_ARRAY_LENGTH(copies->made)) {
                free(path);
                return -ENOSPC;
        }
        copies->made[copies->count++] = path;
        return 0;
}

/* 0 or -errno. path: below the directory of templates, and below ours once it has the name. */
static int copy_file(struct copies *copies, int from, const char *path, mode_t mode)
{
        AMB_FREE char *text = NULL, *content = NULL, *renamed = NULL;
        size_t length, ignored;
        int r = amb_file_read(from, path, TEMPLATE_MOST, &text, &length);
        if (r < 0)
                return r;
        content = replace(text, length, copies->name, &length);
        renamed = replace(path, strlen(path), copies->name, &ignored);
        if (!content || !renamed)
                return -ENOMEM;
        AMB_FD fd = openat(copies->directory, renamed, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0777);
        if (fd < 0)
                return amb_errno();
        r = copies_add(copies, amb_steal(renamed));
        return r < 0 ? r : amb_file_write(fd, content, length);
}

static int copy_directory(struct copies *copies, int from, const char *path);

static int copy_entry(struct copies *copies, int from, const char *path)
{
        struct stat status;
        if (fstatat(from, path, &status, 0) < 0)
                return amb_errno();
        if (!S_ISDIR(status.st_mode))
                return copy_file(copies, from, path, status.st_mode);
        size_t ignored;
        char *renamed = replace(path, strlen(path), copies->name, &ignored);
        if (!renamed)
                return -ENOMEM;
        /* Both parts of the templates have it. */
        if (mkdirat(copies->directory, renamed, 0777) == 0) {
                int r = copies_add(copies, renamed);
                return r < 0 ? r : copy_directory(copies, from, path);
        }
        int r = errno == EEXIST ? 0 : amb_errno();
        free(renamed);
        return r < 0 ? r : copy_directory(copies, from, path);
}

/* path: "." or below `from`. 0 or -errno. */
static int copy_directory(struct copies *copies, int from, const char *path)
{
        int fd = openat(from, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        int r = 0;
        if (!directory) {
                r = amb_errno();
                amb_fd_close(fd);
                return r;
        }
        for (struct dirent *entry; r == 0 && (entry = readdir(directory));) {
                if (entry->d_name[0] == '.')
                        continue;
                AMB_FREE char *below = strcmp(path, ".") == 0 ? strdup(entry->d_name) : amb_format("%s/%s", path, entry->d_name);
                r = below ? copy_entry(copies, from, below) : -ENOMEM;
        }
        closedir(directory);
        return r;
}

static int copy_templates(struct copies *copies, const char *language)
{
        const char *parts[] = { "common", language };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(parts); i++) {
                AMB_FREE char *path = amb_template_path(parts[i]);
                if (!path)
                        return cli_say_failure(false,
                                               "the templates for %s are not there; is the installation (or the build) whole?",
                                               language);
                AMB_FD from = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                int r = from < 0 ? amb_errno() : copy_directory(copies, from, ".");
                if (r < 0)
                        return cli_say_failure(false, "copying the templates in %s to %s: %s", path, copies->name, strerror(-r));
        }
        return CLI_OK;
}

static void remove_all(struct copies *copies)
{
        for (size_t i = copies->count; i-- > 0;)
                if (unlinkat(copies->directory, copies->made[i], 0) < 0)
                        unlinkat(copies->directory, copies->made[i], AT_REMOVEDIR);
}

/* On failure nothing stays behind. */
static int write_project(const char *name, const char *language)
{
        if (mkdir(name, 0777) < 0)
                return errno == EEXIST ? cli_say_failure(false, "%s is there already; choose another name, or remove it", name) :
                                         cli_say_failure(false, "the directory %s cannot be made: %s", name, strerror(errno));
        struct copies copies = { .name = name, .directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        int status = copies.directory < 0 ? cli_say_failure(false, "%s: %s", name, strerror(errno))
                                          : copy_templates(&copies, language);
        if (status != CLI_OK)
                remove_all(&copies);
        for (size_t i = 0; i < copies.count; i++)
                free(copies.made[i]);
        amb_fd_close(copies.directory);
        if (status != CLI_OK)
                rmdir(name);
        return status;
}

/* Where pkg-config does not look by itself, the command says where we are. */
static void say_next(const char *name, const char *language)
{
        AMB_FREE char *self = amb_program_path("ambidext");
        const char *directory = self ? dext_pc_directory(self) : NULL;
        const char *path = getenv("PKG_CONFIG_PATH"), *where = "";
        AMB_FREE char *padded = amb_format(":%s:", path ? path : ""), *wanted = amb_format(":%s:", directory ? directory : "");

        if (directory && padded && wanted && !strstr(padded, wanted))
                where = dext_format("PKG_CONFIG_PATH=%s ", dext_shell_quote(directory));
        printf("%s: a driver in %s, an application, and tests. Next:\n"
               "    cd %s && %smeson setup build && meson test -C build\n",
               name, strcmp(language, "c") == 0 ? "C" : "C++", name, where);
}

static int new_main(int argc, char **argv)
{
        static const struct option options[] = { { "lang", required_argument, NULL, 'l' }, { 0 } };
        const char *language = "c++", *fault;
        int option;
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":", options, NULL)) >= 0) {
                if (option != 'l')
                        return cli_say_option(&cli_new, argv, option);
                language = optarg;
        }
        if (strcmp(language, "c") != 0 && strcmp(language, "c++") != 0)
                return cli_say_usage(&cli_new, "--lang takes c or c++, not '%s'", language);
        if (argc - optind != 1)
                return cli_say_usage(&cli_new, "expected one NAME");
        fault = name_fault(argv[optind]);
        if (fault)
                return cli_say_usage(&cli_new, "NAME becomes the name of a class: '%s' %s", argv[optind], fault);
        if (write_project(argv[optind], language) != CLI_OK)
                return CLI_FAILURE;
        say_next(argv[optind], language);
        return CLI_OK;
}

const struct cli_verb cli_new = { "new", "write a driver, an application and their tests to begin with", help, new_main, false };
