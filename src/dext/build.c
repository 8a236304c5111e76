/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "dext/dext.h"
#include "dext/info.h"
#include "dext/target.h"

enum { ROOM_LEAST = 64 << 10 };                 /* bytes; with less, that is why */

struct build {
        const struct dext_request *request;
        struct dext_report *report;
        struct dext_tools tools;
        struct dext_target *targets;
        struct dext_job *jobs;
        struct dext_info *infos;
        size_t count;
        int lock;                               /* on `work`, from where it is made to the end */
        const char *output, *work;              /* OUTPUT/ambidext.build */
};

static int find_tools(struct build *build)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (n < 0)
                return dext_fail(build->report, "/proc/self/exe: %s", strerror(errno));
        self[n] = '\0';
        return dext_tools_find(&build->tools, self, build->report);
}

/* --- directories --- */

static int make_directory(struct build *build, const char *path)
{
        int r = dext_directory_make(path);
        if (r == 0)
                return 0;
        return dext_fail(build->report, "%s: %s; --output names another place for what is built", path,
                         strerror(r == -EEXIST ? ENOTDIR : -r));
}

/* What is built is nothing to commit: said in a directory that we have made ourselves. */
static int make_output(struct build *build)
{
        static const char everything[] = "*\n";
        bool there = dext_is_directory(build->output);
        int status = make_directory(build, build->output);
        if (status == 0)
                status = make_directory(build, build->work);
        if (status == 0) {
                build->lock = open(build->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (build->lock < 0 || flock(build->lock, LOCK_EX) < 0)
                        status = dext_fail(build->report, "%s: %s", build->work, strerror(errno));
        }
        if (status == 0 && !there)
                dext_file_write(dext_format("%s/.gitignore", build->output), everything, sizeof(everything) - 1);
        return status;
}

/* The folder of generated headers can be included by the target's name too, where the product has another. */
static void link_name(const char *derived, const char *product, const char *name)
{
        const char *path = dext_format("%s/%s", derived, name);
        if (strcmp(product, name) != 0 && !strchr(name, '/') && *name && symlink(product, path) < 0 && errno != EEXIST)
                amb_log(AMB_LOG_WARNING, "%s: %s", path, strerror(errno));
}

/*
 * Interfaces may include one another by the names of the headers that iig makes of them, which are not there yet, or are old: while
 * iig translates, X.h is a line that includes X.iig. So there is no order in which interfaces must be translated.
 */
static int make_interfaces(struct build *build, const struct dext_target *target, const char *folder)
{
        struct dext_list wanted = { 0 }, there = { 0 };
        for (size_t i = 0; i < target->interfaces.count; i++) {
                const char *name = dext_format("%s.h", dext_path_stem(target->interfaces.items[i]));
                const char *text = dext_format("#include \"%s\"\n", target->interfaces.items[i]);
                const char *path = dext_format("%s/%s", folder, name);
                int r = dext_file_write(path, text, strlen(text));
                if (r < 0)
                        return dext_fail(build->report, "%s: %s", path, strerror(-r));
                dext_list_add(&wanted, name);
        }
        dext_directory_list(&there, folder);
        for (size_t i = 0; i < there.count; i++)
                if (!dext_list_has(&wanted, there.items[i]))
                        unlink(dext_format("%s/%s", folder, there.items[i]));
        return 0;
}

static int make_job(struct build *build, size_t index, struct dext_target *target)
{
        struct dext_job *job = &build->jobs[index];
        const char *folder = dext_format("%s/%s", build->work, target->product);

        job->target = target;
        job->derived = dext_format("%s/derived", folder);
        /* A fuzzer's are others; both may be wanted in turns. */
        job->objects = dext_format("%s/%s", folder, build->request->fuzz ? "fuzz-objects" : "objects");
        job->product = dext_format("%s/%s%s", folder, target->executable, build->request->fuzz ? "-fuzz" : "");
        dext_flags_make(&job->flags, target, build->request, &build->tools, job->derived, build->report);
        const char *headers = dext_format("%s/%s", job->derived, target->product);
        const char *made = dext_format("%s/templates", job->derived);
        const char *interfaces = dext_format("%s/interfaces", job->derived);
        const char *own = dext_format("%s/%s", interfaces, target->product);
        if (make_directory(build, own) != 0 || make_interfaces(build, target, own) != 0)
                return DEXT_FAILED;
        if (make_directory(build, headers) != 0 || make_directory(build, made) != 0 || make_directory(build, job->objects) != 0)
                return DEXT_FAILED;
        if (build->request->fuzz && dext_fuzz_add(job, &build->infos[index], &build->tools, build->report) != 0)
                return DEXT_FAILED;
        const char *const folders[] = { job->derived, interfaces };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(folders); i++) {
                link_name(folders[i], target->product, target->name);
                link_name(folders[i], target->product, dext_settings_text(&target->settings, "PRODUCT_MODULE_NAME"));
        }
        return dext_scan(target, &build->tools, &job->flags.searched, made, build->report);
}

static int check_names(struct build *build)
{
        for (struct dext_target *one = build->targets; one; one = one->next)
                for (struct dext_target *other = one->next; other; other = other->next)
                        if (strcmp(one->product, other->product) == 0)
                                return dext_fail(build->report, "targets %s and %s are both called %s.dext; --target builds one "
                                                 "of them",
                                                 one->name, other->name, one->product);
        return 0;
}

static int make_jobs(struct build *build)
{
        int status = 0;
        size_t index = 0;
        for (struct dext_target *target = build->targets; target; target = target->next)
                build->count++;
        build->jobs = dext_allocate(build->count * sizeof(*build->jobs));
        build->infos = dext_allocate(build->count * sizeof(*build->infos));
        for (struct dext_target *target = build->targets; target; target = target->next, index++)
                if (dext_info_make(&build->infos[index], target, &build->tools, build->report) != 0)
                        status = DEXT_FAILED;
        if (status != 0 || check_names(build) != 0 || make_output(build) != 0)
                return DEXT_FAILED;
        if (build->request->fuzz && dext_tools_check_fuzzer(&build->tools, build->report) != 0)
                return DEXT_FAILED;
        if (build->request->sanitizers.count && !build->request->fuzz) {
                build->tools.sanitizer = dext_tools_sanitizer(&build->tools, &build->request->sanitizers, build->report);
                if (!build->tools.sanitizer)
                        return DEXT_FAILED;
                for (size_t i = 0; i < build->count; i++)
                        dext_info_set_sanitizer(&build->infos[i], build->tools.sanitizer);
        }
        index = 0;
        for (struct dext_target *target = build->targets; target; target = target->next, index++)
                if (make_job(build, index, target) != 0)
                        status = DEXT_FAILED;
        return status;
}

/* --- bundles --- */

static int copy_program(struct build *build, const char *from, const char *to)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        struct stat status;
        int r = stat(from, &status) < 0 ? amb_errno() : amb_file_read(AT_FDCWD, from, (size_t)status.st_size, &bytes, &length);

        if (r == 0)
                r = dext_file_write(to, bytes, length);
        if (r == 0 && chmod(to, status.st_mode & 07777) < 0)
                r = amb_errno();
        return r < 0 ? dext_fail(build->report, "%s: %s", to, strerror(-r)) : 0;
}

static int check_classes(struct build *build, size_t index)
{
        const struct dext_job *job = &build->jobs[index];
        struct dext_list names = { 0 };
        int r = dext_elf_classes(&names, job->product);
        if (r < 0)
                return dext_fail(build->report, "%s: %s", job->product, strerror(-r));
        return dext_info_check_classes(&build->infos[index], job->target, &names, build->report);
}

static int make_fuzzer(struct build *build, size_t index, struct dext_built *built)
{
        const struct dext_target *target = build->jobs[index].target;
        const char *path = dext_format("%s/%s-fuzz", build->output, target->product);

        if (check_classes(build, index) != 0 || copy_program(build, build->jobs[index].product, path) != 0)
                return DEXT_FAILED;
        *built = (struct dext_built){ target->name, target->identifier, path };
        return 0;
}

static int make_bundle(struct build *build, size_t index, struct dext_built *built)
{
        const struct dext_target *target = build->jobs[index].target;
        const char *bundle = dext_format("%s/%s.dext", build->output, target->product);

        if (check_classes(build, index) != 0 || make_directory(build, bundle) != 0 ||
            copy_program(build, build->jobs[index].product, dext_format("%s/%s", bundle, target->executable)) != 0 ||
            dext_info_write(&build->infos[index], target, bundle, build->report) != 0)
                return DEXT_FAILED;
        *built = (struct dext_built){ target->name, target->identifier, bundle };
        return 0;
}

/* Compilers do not always say that the disk is full. */
static int say_unfinished(struct build *build)
{
        struct statvfs place;
        if (statvfs(build->work, &place) == 0 && place.f_bavail * place.f_frsize < ROOM_LEAST)
                return dext_fail(build->report, "%s: the disk is full, %llu bytes are left; make room, or name another place with "
                                 "--output", build->work, (unsigned long long)(place.f_bavail * place.f_frsize));
        return dext_fail(build->report, "not everything could be compiled and linked; the lines above say where");
}

static int run(struct build *build, struct dext_result *result)
{
        const char *commands = dext_format("%s/compile_commands.json", build->output);
        bool known = dext_is_file(commands);
        int status = 0;

        if (dext_ninja_write(dext_format("%s/build.ninja", build->work), build->jobs, build->count, &build->tools,
                             build->report) != 0)
                return DEXT_FAILED;
        if (dext_tools_write_commands(&build->tools, build->work, commands) == 0)
                result->compile_commands = commands;
        if (result->compile_commands && !known)
                dext_note(build->report, "editors find the compilers' arguments in %s", commands);
        if (dext_tools_run_ninja(&build->tools, build->work, build->request, build->report) != 0)
                return say_unfinished(build);
        result->built = dext_allocate(build->count * sizeof(*result->built));
        for (size_t i = 0; i < build->count; i++)
                if ((build->request->fuzz ? make_fuzzer : make_bundle)(build, i, &result->built[i]) != 0)
                        status = DEXT_FAILED;
        result->count = build->count;
        return status;
}

int dext_build(const struct dext_request *request, struct dext_result *result, struct dext_report *report)
{
        struct build build = { .request = request, .report = report, .lock = -1 };

        const char *directory = request->directory;
        if (dext_text_ends(directory, ".xcodeproj") || dext_text_ends(directory, ".xcworkspace") || !dext_is_directory(directory))
                directory = dext_path_directory(directory);
        build.output = request->output ? request->output : dext_path_join(directory, "build");
        build.work = dext_path_join(build.output, "ambidext.build");
        int status = dext_plan(&build.targets, request, report);
        if (status == 0)
                status = find_tools(&build);
        if (status == 0)
                status = make_jobs(&build);
        if (status == 0)
                status = run(&build, result);
        if (status != 0 && build.targets && build.targets->other_build)
                dext_note(report, "%s, which builds this driver elsewhere, is not read: the macros, folders of headers and "
                          "settings that it gives are given by -D, -I and --set", build.targets->other_build);
        if (status != 0 && build.targets && build.targets->next)
                dext_note(report, "there are several driver extensions; --target NAME builds one of them");
        amb_fd_close(build.lock);
        for (size_t i = 0; i < build.count; i++)
                dext_info_end(&build.infos[i]);
        return status;
}
