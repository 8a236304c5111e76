/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs: where they are, and running them. None is run by a shell. Ours are found beside the program that asks
 * (base/paths.h); our headers and libraries by what its pkg-config file says, which is read here, so that pkg-config itself is not
 * needed and a tree works wherever it was put.
 */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/paths.h"
#include "dext/dext.h"

enum { PC_BYTES = 1 << 16, DEPTH_MAX = 16 };

extern char **environ;

/* --- programs --- */

static const char *find_program(const char *name)
{
        const char *path = getenv("PATH");
        char *rest = dext_format("%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
        for (char *directory; (directory = strsep(&rest, ":"));) {
                const char *whole = dext_format("%s/%s", *directory ? directory : ".", name);
                if (dext_is_file(whole) && access(whole, X_OK) == 0)
                        return whole;
        }
        return NULL;
}

/* clang, or the newest clang-N. */
static const char *find_clang(const char *name)
{
        const char *found = find_program(name);
        for (int version = 22; !found && version >= 13; version--)
                found = find_program(dext_format("%s-%d", name, version));
        return found;
}

/* --- pkg-config's file --- */

struct pc {
        struct dext_list names, values;
        const char *cflags, *libraries;
};

static const char *pc_value(const struct pc *pc, const char *name)
{
        for (size_t i = 0; i < pc->names.count; i++)
                if (strcmp(pc->names.items[i], name) == 0)
                        return pc->values.items[i];
        return "";
}

static const char *pc_expand(const struct pc *pc, const char *text, int depth)
{
        struct dext_text whole = { 0 };
        while (*text) {
                size_t length = text[0] == '$' && text[1] == '{' ? strcspn(text, "}") : 0;
                if (length && text[length] && depth < DEPTH_MAX) {
                        const char *value = pc_expand(pc, pc_value(pc, dext_copy(text + 2, length - 2)), depth + 1);
                        dext_text_put(&whole, value, strlen(value));
                        text += length + 1;
                } else if (text[0] == '\\' && text[1]) {
                        dext_text_put(&whole, text + 1, 1);
                        text += 2;
                } else
                        dext_text_put(&whole, text++, 1);
        }
        return whole.data ? whole.data : "";
}

static int pc_read(struct pc *pc, const char *path, const char *prefix)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        int r = amb_file_read(AT_FDCWD, path, PC_BYTES, &bytes, &length);

        if (r < 0)
                return r;
        if (prefix) {
                dext_list_add(&pc->names, "prefix");
                dext_list_add(&pc->values, prefix);
        }
        for (char *rest = dext_copy(bytes, length), *line; (line = strsep(&rest, "\n"));) {
                size_t name = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
                char *value = line + name + 1;
                char mark = line[name];
                if (name == 0 || (mark != '=' && mark != ':'))
                        continue;
                line[name] = '\0';
                value += strspn(value, " \t");
                if (mark == '=' && !dext_list_has(&pc->names, line)) {
                        dext_list_add(&pc->names, line);
                        dext_list_add(&pc->values, value);
                } else if (strcmp(line, "Cflags") == 0)
                        pc->cflags = value;
                else if (strcmp(line, "Libs") == 0)
                        pc->libraries = value;
        }
        return 0;
}

/* Its words, each with its variables. (Split first: a prefix may have blanks.) */
static void pc_words(const struct pc *pc, struct dext_list *words, const char *text)
{
        struct dext_list split = { 0 };
        dext_list_split(&split, text ? text : "");
        for (size_t i = 0; i < split.count; i++)
                dext_list_add(words, pc_expand(pc, split.items[i], 0));
}

static const char *cut_end(const char *path, const char *end)
{
        return dext_text_ends(path, end) ? dext_copy(path, strlen(path) - strlen(end)) : NULL;
}

/* Of an installation, whose libraries may lie in several places; of a build tree. */
static int find_pc(struct pc *pc, const char *self, const char *name)
{
        static const char *const folders[] = { DEXT_LIBDIR, "lib", "lib64" };
        const char *prefix = cut_end(self, "/bin/ambidext"), *built = cut_end(self, "/src/cli/ambidext");
        for (size_t i = 0; prefix && i < AMB_ARRAY_LENGTH(folders); i++)
                if (pc_read(pc, dext_format("%s/%s/pkgconfig/%s.pc", prefix, folders[i], name), prefix) == 0)
                        return 0;
        return built ? pc_read(pc, dext_format("%s/meson-uninstalled/%s-uninstalled.pc", built, name), NULL) : -ENOENT;
}

const char *dext_pc_directory(const char *self)
{
        static const char *const folders[] = { DEXT_LIBDIR, "lib", "lib64" };
        const char *prefix = cut_end(self, "/bin/ambidext"), *built = cut_end(self, "/src/cli/ambidext");

        if (built)
                return dext_format("%s/meson-uninstalled", built);
        if (!prefix || strcmp(prefix, "/usr") == 0 || strcmp(prefix, "/usr/local") == 0)
                return NULL;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(folders); i++)
                if (dext_is_file(dext_format("%s/%s/pkgconfig/ambidext.pc", prefix, folders[i])))
                        return dext_format("%s/%s/pkgconfig", prefix, folders[i]);
        return NULL;
}

static void find_headers(struct dext_tools *tools, const struct pc *pc)
{
        struct dext_list words = { 0 };
        pc_words(pc, &words, pc->cflags);
        for (size_t i = 0; i < words.count; i++)
                if (strncmp(words.items[i], "-I", 2) == 0)
                        dext_list_add_new(&tools->headers, words.items[i] + 2);
        for (size_t i = 0; i < tools->headers.count && !tools->prefix_header; i++) {
                const char *path = dext_path_join(tools->headers.items[i], "ambidext/dext.h");
                tools->prefix_header = dext_is_file(path) ? path : NULL;
        }
}

static const char *find_harness(const char *self)
{
        const char *prefix = cut_end(self, "/bin/ambidext"), *built = cut_end(self, "/src/cli/ambidext");
        return prefix ? dext_format("%s/share/ambidext/fuzz", prefix) : built ? dext_format("%s/share/fuzz", built) : NULL;
}

static int find_ours(struct dext_tools *tools, const char *self, struct dext_report *report)
{
        struct pc pc = { 0 }, client = { 0 };
        AMB_FREE char *iig = amb_program_path_from(self, "iig");

        if (!iig)
                return dext_fail(report, "there is no iig beside this program; is the installation (or the build) whole?");
        tools->iig = dext_copy(iig, strlen(iig));
        if (find_pc(&pc, self, "ambidext-driver") < 0 || find_pc(&client, self, "ambidext") < 0)
                return dext_fail(report, "the pkg-config files of Ambidext's libraries, which say where headers and libraries "
                                 "are, are not "
                                         "beside this program; is the installation whole?");
        find_headers(tools, &pc);
        pc_words(&pc, &tools->libraries, pc.libraries);
        pc_words(&client, &tools->client_libraries, client.libraries);
        tools->harness = find_harness(self);
        return 0;
}

int dext_tools_find(struct dext_tools *tools, const char *self, struct dext_report *report)
{
        tools->clang = find_clang("clang");
        tools->clangxx = find_clang("clang++");
        tools->ninja = find_program("ninja");
        int status = 0;
        if (!tools->clang || !tools->clangxx)
                status = dext_fail(report, "there is no clang in $PATH; drivers are compiled by it, because DriverKit's sources "
                                   "have blocks: "
                                           "on Debian, apt install clang");
        if (!tools->ninja)
                status = dext_fail(report, "there is no ninja in $PATH; it runs the compilers: on Debian, apt install ninja-build");
        return find_ours(tools, self, report) != 0 ? DEXT_FAILED : status;
}

/* --- running --- */

/* The child's standard output goes to the pipe whose other end is returned; both_streams: its standard error, too. */
static int start(const char *const *arguments, bool both_streams, pid_t *ret_pid)
{
        int ends[2];
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return amb_errno();
        AMB_FD read_end = ends[0], write_end = ends[1];
        sigemptyset(&none);
        sigaddset(&none, SIGPIPE);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
        if (both_streams)
                posix_spawn_file_actions_adddup2(&actions, write_end, STDERR_FILENO);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigdefault(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        int r = posix_spawnp(ret_pid, arguments[0], &actions, &attributes, (char *const *)arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        return r ? -r : amb_fd_steal(&read_end);
}

/* Its exit status; 128 + N when signal N ended it. */
static int finish(pid_t pid)
{
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* 0; -errno; positive: it failed with this status. */
static int read_all(const char *const *arguments, struct dext_text *text)
{
        char piece[1 << 14];
        pid_t pid;
        ssize_t n;
        int fd = start(arguments, false, &pid);

        if (fd < 0)
                return fd;
        while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR))
                dext_text_put(text, piece, n > 0 ? (size_t)n : 0);
        amb_fd_close(fd);
        return finish(pid);
}

const char *dext_tools_output(const char *const *arguments)
{
        struct dext_text text = { 0 };
        return read_all(arguments, &text) != 0 ? NULL : text.data ? text.data : "";
}

const char *dext_tools_ask(const char *const *arguments)
{
        const char *text = dext_tools_output(arguments);
        size_t length = text ? strcspn(text, "\n") : 0;

        while (length > 0 && isspace((unsigned char)text[length - 1]))
                length--;
        return length ? dext_copy(text, length) : NULL;
}

/* --- sanitizers --- */

static const char *compilers_file(const char *compiler, const char *file)
{
        const char *arguments[] = { compiler, dext_format("-print-file-name=%s", file), NULL };
        const char *path = dext_tools_ask(arguments);
        AMB_FREE char *real = path && path[0] == '/' ? realpath(path, NULL) : NULL;
        return real ? dext_copy(real, strlen(real)) : NULL;
}

const char *dext_tools_sanitizer(const struct dext_tools *tools, const struct dext_list *sanitizers, struct dext_report *report)
{
        bool thread = dext_list_has(sanitizers, "thread"), address = dext_list_has(sanitizers, "address");
        const char *kind = thread ? "tsan" : address ? "asan" : "ubsan_standalone", *found = NULL;
        struct utsname machine;
        if (uname(&machine) < 0)
                return dext_fail(report, "uname: %s", strerror(errno)), NULL;
        /* clang 14's cannot be preloaded into a program that was built without it; gcc's can, and has the same functions. */
        if (thread)
                found = compilers_file("gcc", "libtsan.so");
        const char *file = dext_format("libclang_rt.%s-%s.so", kind, machine.machine);
        if (!found)
                found = compilers_file(tools->clang, file);
        if (!found)
                dext_fail(report, "the run-time library of the sanitizer, %s, is not there: on Debian, apt install "
                          "libclang-rt-14-dev (or that "
                                  "of your version of clang)%s", file, thread ? ", or gcc" : "");
        return found;
}

/* Under either of the names that clang gives an architecture's archives. */
static bool has_archive(const struct dext_tools *tools, const char *kind, const char *machine)
{
        return compilers_file(tools->clang, dext_format("libclang_rt.%s-%s.a", kind, machine)) ||
               compilers_file(tools->clang, dext_format("libclang_rt.%s.a", kind));
}

int dext_tools_check_fuzzer(const struct dext_tools *tools, struct dext_report *report)
{
        static const char *const kinds[] = { "fuzzer", "asan" };
        struct utsname machine;
        if (uname(&machine) < 0)
                return dext_fail(report, "uname: %s", strerror(errno));
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(kinds); i++)
                if (!has_archive(tools, kinds[i], machine.machine))
                        return dext_fail(report, "the run-time library libclang_rt.%s-%s.a, which fuzzers are linked with, is not "
                                         "there: on Debian, apt install libclang-rt-14-dev (or that of your version of clang)",
                                         kinds[i], machine.machine);
        return 0;
}

/* What the linker says of bodies that an interface promises, in words, and once. */
static void explain_link(const char *line, struct dext_list *told, struct dext_report *report)
{
        static const char undefined[] = "undefined reference to `", vtable[] = "vtable for ", impl[] = "_Impl";
        const char *at = strstr(line, undefined);
        if (!at)
                return;
        at += strlen(undefined);
        const char *name = dext_copy(at, strcspn(at, "('\n"));
        bool class = strncmp(name, vtable, strlen(vtable)) == 0;
        if (!(class || dext_text_ends(name, impl)) || dext_list_has(told, name))
                return;
        dext_list_add(told, name);
        if (class)
                dext_fail(report, "class %s: no source has the body of the first local method (such as init or free) that its "
                          "interface declares", name + strlen(vtable));
        else
                dext_fail(report, "%.*s is declared in an interface, but no source has its body, %s",
                          (int)(strlen(name) - strlen(impl)), name, name);
}

/* A header that a source wants, that is nowhere, and that looks like one which iig makes: of an interface, it would be there. */
static void explain_header(const char *line, struct dext_list *told, struct dext_report *report)
{
        static const char fatal[] = "fatal error: '", missing[] = ".h' file not found";
        const char *at = strstr(line, fatal), *end = at ? strstr(at, missing) : NULL;
        if (!end)
                return;
        at += strlen(fatal);
        const char *name = dext_copy(at, (size_t)(end - at));
        if (!isupper((unsigned char)name[0]) || strchr(name, '/') || dext_list_has(told, name))
                return;
        dext_list_add(told, name);
        dext_fail(report, "there is no %s.h, and no interface %s.iig of which it would be made: is a file of the driver missing?", name,
                  name);
}

static void explain(const char *line, struct dext_list *told, struct dext_report *report)
{
        static const char runtime[] = "-lBlocksRuntime";
        explain_link(line, told, report);
        explain_header(line, told, report);
        if (strstr(line, "cannot find -l") && strstr(line, runtime) && !dext_list_has(told, runtime)) {
                dext_list_add(told, runtime);
                dext_fail(report, "the library of blocks is not there, which every driver is linked with: on Debian, apt install "
                          "libblocksruntime-dev");
        }
}

/* What ninja itself says is left out: progress, and the commands of what failed, which are a screen long each. */
static void pass_on(FILE *said, bool verbose, struct dext_report *report)
{
        struct dext_list told = { 0 };
        AMB_FREE char *line = NULL;
        size_t room = 0;
        bool command = false;
        while (getline(&line, &room, said) >= 0) {
                const char *word = strstr(line, "FAILED: ");            /* with colours around it, or none */
                bool failed = word && word - line < 8;
                bool progress = line[0] == '[' && isdigit((unsigned char)line[1]) && strchr(line, ']');
                bool ninjas = strncmp(line, "ninja: ", 7) == 0 && strncmp(line, "ninja: error", 12) != 0;
                if (verbose || !(failed || progress || ninjas || command))
                        fputs(line, stderr);
                explain(line, &told, report);
                command = failed;
        }
}

int dext_tools_run_ninja(const struct dext_tools *tools, const char *directory, const struct dext_request *request,
                         struct dext_report *report)
{
        const char *arguments[10] = { tools->ninja, "-C", directory };
        size_t count = 3;
        pid_t pid;

        if (request->jobs) {
                arguments[count++] = "-j";
                arguments[count++] = request->jobs;
        }
        if (request->verbose)
                arguments[count++] = "-v";
        /* It takes colours out of what goes to a pipe. */
        if (isatty(STDERR_FILENO))
                setenv("CLICOLOR_FORCE", "1", 0);
        arguments[count++] = "-k";
        arguments[count++] = "0";
        int fd = start(arguments, true, &pid);
        if (fd < 0)
                return dext_fail(report, "%s: %s", tools->ninja, strerror(-fd));
        FILE *said = fdopen(fd, "r");
        if (said) {
                pass_on(said, request->verbose, report);
                fclose(said);
        } else
                amb_fd_close(fd);
        return finish(pid) == 0 ? 0 : DEXT_FAILED;
}

int dext_tools_write_commands(const struct dext_tools *tools, const char *directory, const char *file)
{
        const char *arguments[] = { tools->ninja, "-C", directory, "-t", "compdb", "cxx", "cc", NULL };
        struct dext_text text = { 0 };
        int r = read_all(arguments, &text);

        if (r != 0 || !text.length)
                return r < 0 ? r : -EIO;
        /* "ninja: Entering directory" comes first. */
        const char *begin = strchr(text.data, '[');
        return begin ? dext_file_write(file, begin, text.length - (size_t)(begin - text.data)) : -EIO;
}
