/* SPDX-License-Identifier: Apache-2.0 */
/*
 * project.pbxproj: a dictionary of objects by id. A driver extension is a PBXNativeTarget of that product type; its files are named
 * by build phases, or are all that lie in a folder (Xcode 16), and have their paths from the groups that they lie in.
 */
#include <fcntl.h>

#include "dext/pbxproj.h"
#include "dext/target.h"

enum { GROUPS_MAX = 64, DEPTH_MAX = 24 };

static const char library_type[] = "com.apple.product-type.library.static";

struct object {
        const struct dext_node *node;
        const struct object *parent;            /* the group that it lies in */
        const struct dext_target *taken;        /* a group: whose files have been taken from it last */
};

struct project {
        const char *path;                       /* .../X.xcodeproj */
        const char *root;                       /* the folder of paths that are relative to the project */
        struct object *objects;                 /* by id */
        size_t count;
        const struct object *self;
        struct dext_report *report;
};

/* --- objects --- */

static int compare(const void *one, const void *other)
{
        return strcmp(((const struct object *)one)->node->key, ((const struct object *)other)->node->key);
}

static struct object *find(const struct project *project, const char *id)
{
        struct dext_node key = { .key = id };
        const struct object wanted = { .node = &key };
        return id && project->count ? bsearch(&wanted, project->objects, project->count, sizeof(wanted), compare) : NULL;
}

static struct object *find_named(const struct project *project, const struct object *object, const char *key)
{
        return object ? find(project, dext_node_text(object->node, key, NULL)) : NULL;
}

static bool is_a(const struct object *object, const char *isa)
{
        return object && strcmp(dext_node_text(object->node, "isa", ""), isa) == 0;
}

static void index_objects(struct project *project, const struct dext_node *objects)
{
        for (const struct dext_node *node = objects->first; node; node = node->next)
                project->count += node->kind == DEXT_DICTIONARY;
        project->objects = dext_allocate((project->count + 1) * sizeof(*project->objects));
        project->count = 0;
        for (const struct dext_node *node = objects->first; node; node = node->next)
                if (node->kind == DEXT_DICTIONARY)
                        project->objects[project->count++].node = node;
        qsort(project->objects, project->count, sizeof(*project->objects), compare);
        for (size_t i = 0; i < project->count; i++) {
                struct dext_list children = { 0 };
                dext_node_list(&children, project->objects[i].node, "children");
                for (size_t k = 0; k < children.count; k++) {
                        struct object *child = find(project, children.items[k]);
                        if (child)
                                child->parent = &project->objects[i];
                }
        }
}

/* Where a file, group or folder lies; NULL: not among the sources (an SDK's, a product). */
static const char *path_of(const struct project *project, const struct object *object, int depth)
{
        if (!object || depth > GROUPS_MAX)
                return project->root;
        const char *path = dext_node_text(object->node, "path", ""), *tree = dext_node_text(object->node, "sourceTree", "<group>");
        if (strcmp(tree, "<absolute>") == 0)
                return path;
        if (strcmp(tree, "SOURCE_ROOT") == 0)
                return dext_path_join(project->root, path);
        if (strcmp(tree, "<group>") != 0)
                return NULL;
        const char *folder = path_of(project, object->parent, depth + 1);
        return folder ? dext_path_join(folder, path) : NULL;
}

/* --- files of a target --- */

static void add_file(const struct project *project, struct dext_target *target, const char *path)
{
        static const char *const unknown[] = { "m", "mm", "swift", "s", "S", NULL };
        const char *there = dext_path_any_case(path);
        path = there ? there : path;
        if (dext_path_has_extension(path, unknown))
                dext_note(project->report, "%s: this kind of source is not compiled", path);
        else if (!dext_is_file(path))
                dext_note(project->report, "%s: the project names this file, but it is not there", path);
        else
                dext_target_add(target, path);
}

/* A group is taken once for a target: groups may lie in one another, and in several. */
static void add_reference(const struct project *project, struct dext_target *target, struct object *reference, int depth)
{
        if (!reference || depth > DEPTH_MAX)
                return;
        if (is_a(reference, "PBXVariantGroup") || is_a(reference, "PBXGroup")) {
                struct dext_list children = { 0 };
                if (reference->taken == target)
                        return;
                reference->taken = target;
                dext_node_list(&children, reference->node, "children");
                for (size_t i = 0; i < children.count; i++)
                        add_reference(project, target, find(project, children.items[i]), depth + 1);
                return;
        }
        const char *path = path_of(project, reference, 0);
        if (path)
                add_file(project, target, path);
}

static void add_target_files(const struct project *project, struct dext_target *target, const struct object *native, int depth);

/* A static library of the same project: its sources are compiled into the driver. */
static void add_library(const struct project *project, struct dext_target *target, const struct object *product, int depth)
{
        for (size_t i = 0; product && depth < 4 && i < project->count; i++) {
                const struct object *object = &project->objects[i];
                if (is_a(object, "PBXNativeTarget") && strcmp(dext_node_text(object->node, "productType", ""), library_type) == 0 &&
                    find_named(project, object, "productReference") == product)
                        add_target_files(project, target, object, depth + 1);
        }
}

static void add_phase(const struct project *project, struct dext_target *target, const struct object *phase, int depth)
{
        bool sources = is_a(phase, "PBXSourcesBuildPhase"), headers = is_a(phase, "PBXHeadersBuildPhase");
        bool libraries = is_a(phase, "PBXFrameworksBuildPhase");
        struct dext_list files = { 0 };

        if (is_a(phase, "PBXShellScriptBuildPhase"))
                dext_note(project->report, "target %s: its script \"%s\" is not run", target->name,
                          dext_node_text(phase->node, "name", "Run Script"));
        if (!sources && !headers && !libraries)
                return;
        dext_node_list(&files, phase->node, "files");
        for (size_t i = 0; i < files.count; i++) {
                struct object *reference = find_named(project, find(project, files.items[i]), "fileRef");
                if (libraries)
                        add_library(project, target, reference, depth);
                else if (reference && (sources || dext_text_ends(dext_node_text(reference->node, "path", ""), ".iig")))
                        add_reference(project, target, reference, 0);
        }
}

/* --- folders whose files all belong to targets (Xcode 16) --- */

/* Files that are named as exceptions: not this target's though the folder is, or this one's though the folder is not. */
static void list_exceptions(const struct project *project, const struct object *folder, const struct object *native,
                            struct dext_list *list)
{
        struct dext_list sets = { 0 };
        dext_node_list(&sets, folder->node, "exceptions");
        for (size_t i = 0; i < sets.count; i++) {
                const struct object *set = find(project, sets.items[i]);
                if (set && find_named(project, set, "target") == native)
                        dext_node_list(list, set->node, "membershipExceptions");
        }
}

static bool is_exception(const struct dext_list *exceptions, const char *path)
{
        for (size_t i = 0; i < exceptions->count; i++)
                if (dext_path_below(path, exceptions->items[i]))
                        return true;
        return false;
}

struct membership {
        const struct dext_list *exceptions;
        bool owned;
};

static bool is_member(void *context, const char *below)
{
        const struct membership *membership = context;
        return is_exception(membership->exceptions, below) != membership->owned;
}

static void add_folders(const struct project *project, struct dext_target *target, const struct object *native)
{
        struct dext_list owned = { 0 };
        dext_node_list(&owned, native->node, "fileSystemSynchronizedGroups");
        for (size_t i = 0; i < project->count; i++) {
                const struct object *folder = &project->objects[i];
                struct dext_list exceptions = { 0 };
                if (!is_a(folder, "PBXFileSystemSynchronizedRootGroup"))
                        continue;
                list_exceptions(project, folder, native, &exceptions);
                struct membership membership = { &exceptions, dext_list_has(&owned, folder->node->key) };
                const char *path = membership.owned || exceptions.count ? path_of(project, folder, 0) : NULL;
                if (path)
                        dext_target_add_tree(target, path, is_member, &membership);
        }
}

static void add_target_files(const struct project *project, struct dext_target *target, const struct object *native, int depth)
{
        struct dext_list phases = { 0 };
        dext_node_list(&phases, native->node, "buildPhases");
        for (size_t i = 0; i < phases.count; i++)
                add_phase(project, target, find(project, phases.items[i]), depth);
        add_folders(project, target, native);
}

/* Xcode finds every header of a project by its name alone. */
static void add_header_folders(const struct project *project, struct dext_target *target)
{
        static const char *const headers[] = { "h", "hh", "hpp", "hxx", "inl", "ipp", NULL };
        const struct dext_list *lists[] = { &target->interfaces, &target->sources };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lists); i++)
                for (size_t k = 0; k < lists[i]->count; k++)
                        dext_list_add_new(&target->folders, dext_path_directory(lists[i]->items[k]));
        for (size_t i = 0; i < project->count; i++) {
                const struct object *object = &project->objects[i];
                const char *name = dext_node_text(object->node, "path", "");
                bool header = is_a(object, "PBXFileReference") && dext_path_has_extension(name, headers);
                bool folder = is_a(object, "PBXFileSystemSynchronizedRootGroup");
                const char *path = header || folder ? path_of(project, object, 0) : NULL;
                if (path && folder)
                        dext_target_add_folders(target, path);
                else if (path && dext_is_directory(dext_path_directory(path)))
                        dext_list_add_new(&target->folders, dext_path_directory(path));
        }
}

/* --- settings --- */

static const struct object *find_configuration(const struct project *project, const struct object *owner, const char *name)
{
        const struct object *list = find_named(project, owner, "buildConfigurationList"), *first = NULL;
        struct dext_list ids = { 0 };

        if (!list)
                return NULL;
        dext_node_list(&ids, list->node, "buildConfigurations");
        for (size_t i = 0; i < ids.count; i++) {
                const struct object *configuration = find(project, ids.items[i]);
                if (configuration && strcmp(dext_node_text(configuration->node, "name", ""), name) == 0)
                        return configuration;
                first = first ? first : configuration;
        }
        return first;
}

static void apply_configuration(const struct project *project, struct dext_target *target, const struct object *configuration,
                                int level)
{
        const struct object *file = find_named(project, configuration, "baseConfigurationReference");
        const char *path = file ? path_of(project, file, 0) : NULL;

        if (path)
                dext_settings_read(&target->settings, level - 1, path, project->report);
        const struct dext_node *settings = configuration ? dext_node_get(configuration->node, "buildSettings") : NULL;
        const struct dext_node *first = settings && settings->kind == DEXT_DICTIONARY ? settings->first : NULL;
        for (const struct dext_node *node = first; node; node = node->next)
                dext_settings_set(&target->settings, level, node->key, dext_node_words(node));
}

static const char *default_configuration(const struct project *project, const struct object *native)
{
        const struct object *list = find_named(project, native, "buildConfigurationList");
        return list ? dext_node_text(list->node, "defaultConfigurationName", "Release") : "Release";
}

/* --- targets --- */

/* NULL: it is no driver. */
static struct dext_target *target_new(const struct project *project, const struct object *native, const char *configuration)
{
        struct dext_target *target = dext_allocate(sizeof(*target));

        target->name = dext_node_text(native->node, "name", dext_path_stem(project->path));
        target->root = project->root;
        target->project = project->path;
        target->settings.configuration = configuration ? configuration : default_configuration(project, native);
        dext_target_defaults(target, dext_path_stem(project->path));
        /* What this type of product has where nothing is said, or $(inherited): system extensions are found by that name. */
        dext_settings_set(&target->settings, DEXT_LEVEL_DEFAULT, "PRODUCT_NAME", "$(PRODUCT_BUNDLE_IDENTIFIER)");
        apply_configuration(project, target, find_configuration(project, project->self, target->settings.configuration),
                            DEXT_LEVEL_PROJECT);
        apply_configuration(project, target, find_configuration(project, native, target->settings.configuration),
                            DEXT_LEVEL_TARGET);
        if (!dext_target_is_driver(target, dext_node_text(native->node, "productType", "")))
                return NULL;
        add_target_files(project, target, native, 0);
        add_header_folders(project, target);
        return target;
}

static int read_objects(struct project *project, const char *file)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        const char *why = NULL;
        int r = amb_file_read(AT_FDCWD, file, DEXT_PBXPROJ_BYTES, &bytes, &length);

        if (r < 0)
                return dext_fail(project->report, "%s: %s", file, strerror(-r));
        const struct dext_node *list = dext_pbxproj_parse(bytes, length, &why);
        if (!list)
                return dext_fail(project->report, "%s: %s", file, why);
        const struct dext_node *objects = dext_node_get(list, "objects");
        if (!objects || objects->kind != DEXT_DICTIONARY)
                return dext_fail(project->report, "%s: this is no Xcode project: it has no dictionary \"objects\"", file);
        index_objects(project, objects);
        project->self = find(project, dext_node_text(list, "rootObject", NULL));
        if (project->self)
                project->root = dext_path_join(project->root, dext_node_text(project->self->node, "projectDirPath", ""));
        return 0;
}

int dext_project_read(struct dext_target **targets, const char *path, const char *directory, const char *configuration,
                      struct dext_report *report)
{
        struct project project = { .path = path, .root = dext_path_directory(path), .report = report };
        int r = read_objects(&project, dext_path_join(path, "project.pbxproj"));

        if (r != 0)
                return r;
        while (*targets)
                targets = &(*targets)->next;
        for (size_t i = 0; i < project.count; i++) {
                const struct object *object = &project.objects[i];
                struct dext_target *target = is_a(object, "PBXNativeTarget") ? target_new(&project, object, configuration) : NULL;
                if (!target || (directory && !dext_target_has_files_in(target, directory)))
                        continue;
                *targets = target;
                targets = &target->next;
        }
        return 0;
}
