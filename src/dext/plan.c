/* SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>

#include "dext/dext.h"
#include "dext/info.h"
#include "dext/target.h"

enum { PARENTS_MAX = 2, BELOW_MAX = 3 };

/* What describes targets. Where a project has been made of XcodeGen's file and is there, too, it is the one that Xcode builds. */
struct projects {
        struct dext_list xcode;         /* NAME.xcodeproj */
        struct dext_list generated;     /* project.yml, where the folder has no such thing */
};

static bool is_specification(const char *path)
{
        static const char *const extensions[] = { "yml", "yaml", NULL };
        return dext_path_has_extension(path, extensions);
}

/* Those that lie in this very folder. */
static bool add_projects(struct projects *projects, const char *folder)
{
        struct dext_list names = { 0 };
        size_t before = projects->xcode.count, generated = projects->generated.count;
        dext_directory_list(&names, folder);
        for (size_t i = 0; i < names.count; i++) {
                const char *path = dext_path_join(folder, names.items[i]);
                if (dext_text_ends(path, ".xcodeproj") && dext_is_file(dext_path_join(path, "project.pbxproj")))
                        dext_list_add_new(&projects->xcode, path);
                if (is_specification(path) && strcmp(dext_path_stem(path), "project") == 0)
                        dext_list_add_new(&projects->generated, path);
        }
        return projects->xcode.count > before || projects->generated.count > generated;
}

/* Not below a folder that has some, unless `all`. */
static void add_projects_below(struct projects *projects, const char *folder, bool all, int depth)
{
        struct dext_list names = { 0 };
        if ((add_projects(projects, folder) && !all) || depth == BELOW_MAX)
                return;
        dext_directory_list(&names, folder);
        for (size_t i = 0; i < names.count; i++) {
                const char *path = dext_path_join(folder, names.items[i]);
                if (!dext_folder_is_foreign(path) && dext_is_directory(path))
                        add_projects_below(projects, path, all, depth + 1);
        }
}

/* Xcode's projects, and if they have no driver, XcodeGen's. */
static int read_projects(struct dext_target **targets, const struct projects *projects, const struct dext_request *request,
                         const char *directory, struct dext_report *report)
{
        int status = 0;
        for (size_t i = 0; i < projects->xcode.count; i++)
                if (dext_project_read(targets, projects->xcode.items[i], directory, request->configuration, report) != 0)
                        status = DEXT_FAILED;
        for (size_t i = 0; i < projects->generated.count && !*targets; i++)
                if (dext_xcodegen_read(targets, projects->generated.items[i], directory, request->configuration, report) != 0)
                        status = DEXT_FAILED;
        return status;
}

/* The project itself was named. */
static int read_named(struct dext_target **targets, const struct dext_request *request, struct dext_report *report)
{
        const char *path = request->directory;
        int status = is_specification(path) ? dext_xcodegen_read(targets, path, NULL, request->configuration, report) :
                                              dext_project_read(targets, path, NULL, request->configuration, report);
        if (status == 0 && !*targets)
                status = dext_fail(report, "%s: the project has no target that is a driver extension", path);
        return status;
}

/* Below first; above only projects that have files here. */
static int find_targets(struct dext_target **targets, const struct dext_request *request, struct dext_report *report)
{
        struct projects projects = { 0 };
        const char *directory = request->directory;

        if (dext_text_ends(directory, ".xcodeproj") || is_specification(directory))
                return read_named(targets, request, report);
        /* Where the projects of a workspace lie. */
        if (dext_text_ends(directory, ".xcworkspace"))
                directory = dext_path_directory(directory);
        /* Those of an app may lie above the driver's. */
        for (int all = 0; all < 2 && !*targets; all++) {
                projects = (struct projects){ 0 };
                add_projects_below(&projects, directory, all, 0);
                if (read_projects(targets, &projects, request, NULL, report) != 0 && !*targets)
                        return DEXT_FAILED;
        }
        const char *above = directory;
        for (int i = 0; i < PARENTS_MAX && !*targets && strcmp(above, "/") != 0; i++) {
                struct projects parents = { 0 };
                above = dext_path_directory(above);
                if (add_projects(&parents, above))
                        read_projects(targets, &parents, request, directory, report);
        }
        if (*targets)
                return 0;
        if (projects.xcode.count || projects.generated.count)
                dext_note(report, "%s has no driver extension among its targets; what lies in the folder is built",
                          projects.xcode.count ? projects.xcode.items[0] : projects.generated.items[0]);
        *targets = dext_folder_read(directory, report);
        return *targets ? 0 : DEXT_FAILED;
}

static int choose(struct dext_target **targets, const char *name, struct dext_report *report)
{
        struct dext_text known = { 0 };
        for (struct dext_target *target = *targets; target; target = target->next) {
                if (strcmp(target->name, name) == 0) {
                        target->next = NULL;
                        *targets = target;
                        return 0;
                }
                dext_text_add(&known, "%s%s", known.length ? ", " : "", target->name);
        }
        return dext_fail(report, "there is no driver extension \"%s\"; there is %s", name, known.data);
}

/* The folders that the driver lies in, as far as one can tell. */
static void list_folders(struct dext_list *folders, const struct dext_target *target)
{
        if (target->info_plist)
                dext_list_add_new(folders, dext_path_directory(target->info_plist));
        for (size_t i = 0; i < target->interfaces.count; i++)
                dext_list_add_new(folders, dext_path_directory(target->interfaces.items[i]));
        dext_list_add_new(folders, target->root);
}

/*
 * Projects that sign by a script name no entitlements. Those that lie beside the driver are meant, if they are the only ones:
 * without them it would have less than its author gave it.
 */
static void find_entitlements(struct dext_target *target, struct dext_report *report)
{
        static const char *const extensions[] = { "entitlements", "plist", NULL };
        struct dext_list folders = { 0 }, found = { 0 };
        const char *named = target->entitlements;

        if (target->entitlement_properties || (named && (dext_is_file(named) || dext_is_file(dext_format("%s.in", named)))))
                return;
        if (named)
                dext_note(report, "%s: the project names these entitlements, but they are not there", named);
        target->entitlements = NULL;
        list_folders(&folders, target);
        for (size_t i = 0; i < folders.count; i++) {
                struct dext_list names = { 0 };
                dext_directory_list(&names, folders.items[i]);
                for (size_t k = 0; k < names.count; k++) {
                        const char *path = dext_path_join(folders.items[i], names.items[k]);
                        if (dext_path_has_extension(path, extensions) && dext_plist_look(path) == DEXT_PLIST_ENTITLEMENTS)
                                dext_list_add_new(&found, path);
                }
        }
        if (found.count != 1)
                return;
        target->entitlements = found.items[0];
        dext_note(report, "target %s names no entitlements; those of %s are taken", target->name, target->entitlements);
}

static int check_target(const struct dext_target *target, struct dext_report *report)
{
        if (target->sources.count == 0)
                return dext_fail(report, "%s: target %s has no C or C++ source", target->project ? target->project : target->root,
                                 target->name);
        for (size_t i = 0; i < target->interfaces.count; i++)
                for (size_t k = 0; k < i; k++)
                        if (strcmp(dext_path_stem(target->interfaces.items[i]), dext_path_stem(target->interfaces.items[k])) == 0)
                                return dext_fail(report, "%s and %s would become headers of the same name",
                                                 target->interfaces.items[k],
                                                 target->interfaces.items[i]);
        return 0;
}

/* EXCLUDED_SOURCE_FILE_NAMES and its exceptions: patterns of names, or of ends of paths. */
static bool is_named(const struct dext_list *patterns, const char *path)
{
        for (size_t i = 0; i < patterns->count; i++) {
                const char *pattern = patterns->items[i];
                if (fnmatch(pattern, dext_path_name(path), 0) == 0 || fnmatch(pattern, path, 0) == 0 ||
                    fnmatch(dext_format("*/%s", pattern), path, 0) == 0)
                        return true;
        }
        return false;
}

static void leave_out(const struct dext_target *target, struct dext_list *list)
{
        struct dext_list excluded = { 0 }, included = { 0 };
        size_t count = 0;
        dext_list_split(&excluded, dext_settings_text(&target->settings, "EXCLUDED_SOURCE_FILE_NAMES"));
        dext_list_split(&included, dext_settings_text(&target->settings, "INCLUDED_SOURCE_FILE_NAMES"));
        for (size_t i = 0; i < list->count; i++)
                if (!is_named(&excluded, list->items[i]) || is_named(&included, list->items[i]))
                        list->items[count++] = list->items[i];
        list->count = count;
}

/*
 * A path in a setting is relative to the project's folder. It wins over the file whose properties the project writes out itself;
 * they are meant for that file alone.
 */
static const char *path_in(const struct dext_target *target, const char *name, const char *fallback,
                           const struct dext_node **properties)
{
        const char *value = dext_settings_text(&target->settings, name);
        if (!*value)
                return fallback;
        const char *path = dext_path_join(target->root, value), *there = dext_path_any_case(path);
        if (fallback && strcmp(path, fallback) != 0)
                *properties = NULL;
        return there ? there : path;
}

static void apply_settings(struct dext_target *target, const struct dext_list *settings)
{
        for (size_t i = 0; i < settings->count; i++) {
                const char *equals = strchr(settings->items[i], '=');
                const char *name = dext_copy(settings->items[i], (size_t)(equals - settings->items[i]));
                dext_settings_set(&target->settings, DEXT_LEVEL_USER, name, equals + 1);
        }
        leave_out(target, &target->interfaces);
        leave_out(target, &target->sources);
        target->info_plist = path_in(target, "INFOPLIST_FILE", target->info_plist, &target->info_properties);
        target->entitlements = path_in(target, "CODE_SIGN_ENTITLEMENTS", target->entitlements,
                                       &target->entitlement_properties);
}

int dext_plan(struct dext_target **ret_targets, const struct dext_request *request, struct dext_report *report)
{
        struct dext_target *targets = NULL;
        int status = find_targets(&targets, request, report);

        if (status == 0 && request->target)
                status = choose(&targets, request->target, report);
        for (struct dext_target *target = targets; target && status == 0; target = target->next) {
                apply_settings(target, &request->settings);
                find_entitlements(target, report);
                status = check_target(target, report);
        }
        *ret_targets = targets;
        return status;
}
