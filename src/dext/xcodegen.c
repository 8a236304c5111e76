/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XcodeGen's project.yml: what many projects keep instead of the project that it makes of it. Read as far as driver extensions
 * need it: included files, templates of targets, sources with what they leave out, settings with their groups and configurations,
 * Info.plist and entitlements that are files or are written out in it. Paths are relative to the file that they stand in.
 *
 * Environment variables are not looked at: ${X} in a setting is a setting.
 */
#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>

#include "dext/target.h"
#include "dext/yml.h"

enum { DEPTH_MAX = 8, BRACES_MAX = 6, STEPS_MAX = 5000, FILES_MAX = 200 };

struct spec {
        const char *path, *root;
        const char *name;                       /* of the project */
        const char *configuration;
        const struct dext_node *node;           /* with what it includes */
        unsigned int *steps;                    /* templates and groups taken: those that name one another twice each have no end */
        struct dext_report *report;
};

/* --- dictionaries --- */

static struct dext_node *dictionary_new(void)
{
        return dext_node_new(DEXT_DICTIONARY, 0);
}

/* A link of its own to the same value. */
static struct dext_node *link_to(const struct dext_node *node, const char *key)
{
        struct dext_node *link = dext_node_new(node->kind, node->line);
        *link = *node;
        link->key = key;
        link->next = NULL;
        return link;
}

static void put(struct dext_node *dictionary, struct dext_node *value)
{
        struct dext_node **place = &dictionary->first;
        while (*place && strcmp((*place)->key, value->key) != 0)
                place = &(*place)->next;
        value->next = *place ? (*place)->next : NULL;
        *place = value;
}

static struct dext_node *concatenate(const struct dext_node *one, const struct dext_node *other)
{
        struct dext_node *whole = dext_node_new(DEXT_ARRAY, one->line), **place = &whole->first;
        const struct dext_node *const lists[] = { one, other };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lists); i++)
                for (const struct dext_node *item = lists[i]->first; item; item = item->next, place = &(*place)->next)
                        *place = link_to(item, NULL);
        return whole;
}

/*
 * XcodeGen's way: dictionaries become one, arrays follow one another, other values of `over` win; "key:REPLACE" wins whatever
 * it is.
 */
static struct dext_node *merge(const struct dext_node *base, const struct dext_node *over)
{
        struct dext_node *merged = dictionary_new();
        for (const struct dext_node *node = base->first; node; node = node->next)
                put(merged, link_to(node, node->key));
        for (const struct dext_node *node = over->first; node; node = node->next) {
                bool replaces = dext_text_ends(node->key, ":REPLACE");
                const char *key = replaces ? dext_copy(node->key, strlen(node->key) - strlen(":REPLACE")) : node->key;
                const struct dext_node *old = replaces ? NULL : dext_node_get(merged, key);
                struct dext_node *value = NULL;
                if (old && old->kind == DEXT_DICTIONARY && node->kind == DEXT_DICTIONARY)
                        value = merge(old, node);
                else if (old && old->kind == DEXT_ARRAY && node->kind == DEXT_ARRAY)
                        value = concatenate(old, node);
                else
                        value = link_to(node, key);
                value->key = key;
                put(merged, value);
        }
        return merged;
}

/* --- variables of templates --- */

static const char *replace_all(const char *text, const struct dext_node *variables)
{
        struct dext_text whole = { 0 };
        for (const char *at; (at = strstr(text, "${")); ) {
                size_t length = strcspn(at, "}");
                const char *name = at[length] ? dext_copy(at + 2, length - 2) : NULL;
                const char *value = name ? dext_node_text(variables, name, NULL) : NULL;
                dext_text_put(&whole, text, (size_t)(at - text));
                if (value)
                        dext_text_put(&whole, value, strlen(value));
                else
                        dext_text_put(&whole, "${", 2);
                text = value ? at + length + 1 : at + 2;
        }
        if (!whole.data)
                return text;
        dext_text_put(&whole, text, strlen(text));
        return whole.data;
}

static struct dext_node *replace_in(const struct dext_node *node, const struct dext_node *variables)
{
        struct dext_node *copy = link_to(node, node->key ? replace_all(node->key, variables) : NULL), **place = &copy->first;
        if (node->kind == DEXT_STRING)
                copy->text = replace_all(node->text, variables);
        copy->first = NULL;
        for (const struct dext_node *inner = node->first; inner; inner = inner->next, place = &(*place)->next)
                *place = replace_in(inner, variables);
        return copy;
}

/* Templates that are being taken, the innermost first. */
struct taking {
        const struct dext_node *template;
        const struct taking *outer;
};

static bool is_taken(const struct taking *taking, const struct dext_node *template)
{
        while (taking && taking->template != template)
                taking = taking->outer;
        return taking != NULL;
}

/* A target, or a template, upon the templates that it names. */
static const struct dext_node *with_templates(const struct spec *spec, const struct dext_node *node, const struct taking *outer)
{
        const struct dext_node *templates = dext_node_get(spec->node, "targetTemplates");
        const struct dext_node *base = dictionary_new();
        struct dext_list names = { 0 };
        dext_node_list(&names, node, "templates");
        for (size_t i = 0; i < names.count && ++*spec->steps < STEPS_MAX; i++) {
                const struct dext_node *template = dext_node_get(templates, names.items[i]);
                if (is_taken(outer, template))
                        dext_note(spec->report, "%s:%u: the target template \"%s\" is a part of itself", spec->path, node->line,
                                  names.items[i]);
                else if (template && template->kind == DEXT_DICTIONARY)
                        base = merge(base, with_templates(spec, template, &(struct taking){ template, outer }));
                else
                        dext_note(spec->report, "%s:%u: there is no target template \"%s\"", spec->path, node->line,
                                  names.items[i]);
        }
        if (!names.count)
                return node;
        struct dext_node *whole = merge(base, node);
        whole->key = node->key;
        whole->line = node->line;
        return whole;
}

static const struct dext_node *resolve_target(const struct spec *spec, const struct dext_node *node)
{
        const struct dext_node *whole = with_templates(spec, node, NULL);
        const struct dext_node *given = dext_node_get(whole, "templateAttributes");
        struct dext_node *variables = dictionary_new(), *name = dext_node_new(DEXT_STRING, node->line);
        if (given && given->kind == DEXT_DICTIONARY)
                variables = merge(variables, given);
        name->key = "target_name";
        name->text = node->key;
        put(variables, name);
        return replace_in(whole, variables);
}

/* --- files --- */

static void rebase_text(struct dext_node *node, const char *folder)
{
        if (node->kind == DEXT_STRING && *node->text)
                node->text = dext_path_join(folder, node->text);
}

static void rebase_member(struct dext_node *dictionary, const char *key, const char *folder)
{
        for (struct dext_node *node = dictionary->kind == DEXT_DICTIONARY ? dictionary->first : NULL; node; node = node->next)
                if (!key || strcmp(node->key, key) == 0)
                        rebase_text(node, folder);
}

static void rebase_target(struct dext_node *target, const char *folder)
{
        for (struct dext_node *node = target->kind == DEXT_DICTIONARY ? target->first : NULL; node; node = node->next) {
                if (strcmp(node->key, "info") == 0 || strcmp(node->key, "entitlements") == 0)
                        rebase_member(node, "path", folder);
                if (strcmp(node->key, "configFiles") == 0)
                        rebase_member(node, NULL, folder);
                if (strcmp(node->key, "sources") != 0)
                        continue;
                rebase_text(node, folder);
                rebase_member(node, "path", folder);
                for (struct dext_node *source = node->kind == DEXT_ARRAY ? node->first : NULL; source; source = source->next) {
                        rebase_text(source, folder);
                        rebase_member(source, "path", folder);
                }
        }
}

/* What an included file names is relative to that file, and becomes absolute. */
static void rebase(struct dext_node *spec, const char *folder)
{
        for (struct dext_node *node = spec->first; node; node = node->next) {
                bool targets = strcmp(node->key, "targets") == 0 || strcmp(node->key, "targetTemplates") == 0;
                if (strcmp(node->key, "configFiles") == 0)
                        rebase_member(node, NULL, folder);
                for (struct dext_node *target = targets ? node->first : NULL; target; target = target->next)
                        rebase_target(target, folder);
        }
}

static bool is_true(const struct dext_node *node, bool fallback)
{
        if (!node || node->kind != DEXT_STRING)
                return fallback;
        return strcasecmp(node->text, "true") == 0 || strcasecmp(node->text, "yes") == 0;
}

/* NULL: said. `files` are those read so far: ten that each include the next one ten times would be read for ever. */
static struct dext_node *load(const char *path, struct dext_report *report, int depth, unsigned int *files)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        const char *why = NULL;
        int r = amb_file_read(AT_FDCWD, path, DEXT_YML_BYTES, &bytes, &length);
        struct dext_node *node = r < 0 ? NULL : dext_yml_parse(bytes, length, &why);

        if (!node || node->kind != DEXT_DICTIONARY) {
                dext_fail(report, "%s: %s", path, r < 0 ? strerror(-r) : why ? why : "its outermost value must be a dictionary");
                return NULL;
        }
        const struct dext_node *include = dext_node_get(node, "include");
        struct dext_node *base = dictionary_new();
        const struct dext_node *one = include && include->kind == DEXT_ARRAY ? include->first : include;
        for (; one; one = one == include ? NULL : one->next) {
                const char *named = one->kind == DEXT_STRING ? one->text : dext_node_text(one, "path", NULL);
                if (!named || !*named || !is_true(dext_node_get(one, "enable"), true))
                        continue;
                const char *file = dext_path_join(dext_path_directory(path), named);
                if (depth >= DEPTH_MAX || ++*files > FILES_MAX) {
                        dext_fail(report, "%s: too many files include one another", path);
                        return NULL;
                }
                struct dext_node *included = load(file, report, depth + 1, files);
                if (!included)
                        return NULL;
                if (is_true(dext_node_get(one, "relativePaths"), true))
                        rebase(included, dext_path_directory(file));
                base = merge(base, included);
        }
        return merge(base, node);
}

/* --- settings --- */

static const char *setting_value(const struct dext_node *node)
{
        if (node->kind == DEXT_STRING && node->plain && (strcmp(node->text, "true") == 0 || strcmp(node->text, "yes") == 0))
                return "YES";
        if (node->kind == DEXT_STRING && node->plain && (strcmp(node->text, "false") == 0 || strcmp(node->text, "no") == 0))
                return "NO";
        return dext_node_words(node);
}

static void set_all(struct dext_target *target, int level, const struct dext_node *values)
{
        const struct dext_node *first = values && values->kind == DEXT_DICTIONARY ? values->first : NULL;
        for (const struct dext_node *node = first; node; node = node->next)
                dext_settings_set(&target->settings, level, node->key, setting_value(node));
}

/* A member whose key is the configuration's name; or a part of it, as "Release" is of "Release Beta". */
static const struct dext_node *of_configuration(const struct spec *spec, const struct dext_node *dictionary)
{
        const struct dext_node *found = dext_node_get(dictionary, spec->configuration);
        const struct dext_node *first = dictionary && dictionary->kind == DEXT_DICTIONARY ? dictionary->first : NULL;
        for (const struct dext_node *node = first; node && !found; node = node->next)
                if (*node->key && strcasestr(spec->configuration, node->key))
                        found = node;
        return found;
}

/* Groups, then what is for all configurations, then what is for this one; or nothing but the settings. */
static void apply_settings(const struct spec *spec, struct dext_target *target, int level, const struct dext_node *settings,
                           int depth)
{
        const struct dext_node *groups = dext_node_get(spec->node, "settingGroups");
        const struct dext_node *base = dext_node_get(settings, "base"), *configs = dext_node_get(settings, "configs");
        const struct dext_node *given = groups ? groups : dext_node_get(spec->node, "settingPresets");
        struct dext_list names = { 0 };

        if (!base && !configs && !dext_node_get(settings, "groups")) {
                set_all(target, level, settings);
                return;
        }
        dext_node_list(&names, settings, "groups");
        for (size_t i = 0; i < names.count && depth < DEPTH_MAX && ++*spec->steps < STEPS_MAX; i++) {
                const struct dext_node *group = dext_node_get(given, names.items[i]);
                if (group)
                        apply_settings(spec, target, level, group, depth + 1);
                else
                        dext_note(spec->report, "%s: there is no group of settings \"%s\"", spec->path, names.items[i]);
        }
        set_all(target, level, base);
        const struct dext_node *own = of_configuration(spec, configs);
        if (own)
                apply_settings(spec, target, level, own, depth + 1);
}

/* Of the project, or of a target. */
static void apply_all(const struct spec *spec, struct dext_target *target, int level, const struct dext_node *owner)
{
        const struct dext_node *file = of_configuration(spec, dext_node_get(owner, "configFiles"));
        if (file && file->kind == DEXT_STRING)
                dext_settings_read(&target->settings, level - 1, dext_path_join(spec->root, file->text), spec->report);
        apply_settings(spec, target, level, dext_node_get(owner, "settings"), 0);
}

/* --- patterns --- */

/* "**" is any folders, and none; other parts of a pattern never reach over a slash. */
static bool glob_one(const char *pattern, const char *path)
{
        if (!strstr(pattern, "**"))
                return fnmatch(pattern, path, FNM_PATHNAME) == 0;
        if (strcmp(pattern, "**") == 0)
                return true;
        if (strncmp(pattern, "**/", 3) == 0) {
                while (strncmp(pattern, "**/", 3) == 0)
                        pattern += 3;
                for (const char *at = path; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
                        if (glob_one(pattern, at))
                                return true;
                return false;
        }
        size_t length = strcspn(pattern, "/"), part = strcspn(path, "/");
        if (fnmatch(dext_copy(pattern, length), dext_copy(path, part), 0) != 0)
                return false;
        if (!pattern[length] || !path[part])
                return pattern[length] == path[part];
        return glob_one(pattern + length + 1, path + part + 1);
}

/* {a,b}: each of them. */
static bool glob(const char *pattern, const char *path, int depth)
{
        const char *open = strchr(pattern, '{'), *close = open ? strchr(open, '}') : NULL;
        if (!close || depth == BRACES_MAX)
                return glob_one(pattern, path);
        char *rest = dext_copy(open + 1, (size_t)(close - open - 1));
        for (char *one; (one = strsep(&rest, ","));)
                if (glob(dext_format("%.*s%s%s", (int)(open - pattern), pattern, one, close + 1), path, depth + 1))
                        return true;
        return false;
}

/* The path, or a folder that it lies in. */
static bool matches(const struct dext_list *patterns, const char *path)
{
        for (const char *part = path; strcmp(part, ".") != 0; part = dext_path_directory(part))
                for (size_t i = 0; i < patterns->count; i++)
                        if (glob(patterns->items[i], part, 0))
                                return true;
        return false;
}

/* --- sources --- */

struct source {
        const char *path;
        struct dext_list excludes, includes;
        const char *info_plist;                 /* the first that is met */
};

static bool is_wanted(void *context, const char *below)
{
        struct source *source = context;
        if (matches(&source->excludes, below) || (source->includes.count && !matches(&source->includes, below)))
                return false;
        if (!source->info_plist && strcmp(dext_path_name(below), "Info.plist") == 0)
                source->info_plist = dext_path_join(source->path, below);
        return true;
}

/* What is compiled; resources, folders that are copied, and nothing are other phases. */
static bool is_compiled(const struct dext_node *node)
{
        const struct dext_node *phase = dext_node_get(node, "buildPhase");
        if (phase && (phase->kind != DEXT_STRING || (strcmp(phase->text, "sources") != 0 && strcmp(phase->text, "headers") != 0)))
                return false;
        return strcmp(dext_node_text(node, "type", ""), "folder") != 0;
}

/* Returns the Info.plist that lies among them, or NULL. */
static const char *add_source(const struct spec *spec, struct dext_target *target, const struct dext_node *node)
{
        const char *path = node->kind == DEXT_STRING ? node->text : dext_node_text(node, "path", NULL);
        if (!path)
                return NULL;
        const char *whole = dext_path_join(spec->root, path), *there = dext_path_any_case(whole);
        struct source source = { .path = there ? there : whole };
        if (!there) {
                if (!is_true(dext_node_get(node, "optional"), false))
                        dext_note(spec->report, "%s: the project names this source, but it is not there", whole);
                return NULL;
        }
        /* In whatever phase: XcodeGen takes it for the target's. */
        if (!is_compiled(node))
                return strcmp(dext_path_name(source.path), "Info.plist") == 0 ? source.path : NULL;
        dext_node_list(&source.excludes, node, "excludes");
        dext_node_list(&source.includes, node, "includes");
        if (dext_is_directory(source.path)) {
                dext_target_add_tree(target, source.path, is_wanted, &source);
                return source.info_plist;
        }
        dext_target_add(target, source.path);
        return strcmp(dext_path_name(source.path), "Info.plist") == 0 ? source.path : NULL;
}

static const char *add_sources(const struct spec *spec, struct dext_target *target, const struct dext_node *node)
{
        const struct dext_node *sources = dext_node_get(node, "sources");
        const char *info_plist = NULL;
        if (sources && sources->kind != DEXT_ARRAY)
                return add_source(spec, target, sources);
        for (const struct dext_node *one = sources ? sources->first : NULL; one; one = one->next) {
                const char *found = add_source(spec, target, one);
                info_plist = info_plist ? info_plist : found;
        }
        return info_plist;
}

/* Static libraries of the same project: their sources are compiled into the driver. */
static void add_libraries(const struct spec *spec, struct dext_target *target, const struct dext_node *node, int depth)
{
        const struct dext_node *targets = dext_node_get(spec->node, "targets"), *list = dext_node_get(node, "dependencies");
        for (const struct dext_node *one = list && list->kind == DEXT_ARRAY ? list->first : NULL; one; one = one->next) {
                const struct dext_node *library = dext_node_get(targets, dext_node_text(one, "target", ""));
                if (!library || library->kind != DEXT_DICTIONARY || depth == DEPTH_MAX)
                        continue;
                library = resolve_target(spec, library);
                if (!dext_text_ends(dext_node_text(library, "type", ""), "library.static"))
                        continue;
                add_sources(spec, target, library);
                add_libraries(spec, target, library, depth + 1);
        }
}

/* Xcode finds every header of a project by its name alone: this target's come first. */
static void add_header_folders(const struct spec *spec, struct dext_target *target, const struct dext_node *node)
{
        const struct dext_node *sources = dext_node_get(node, "sources");
        const struct dext_node *one = sources && sources->kind == DEXT_ARRAY ? sources->first : sources;
        for (; one; one = one == sources ? NULL : one->next) {
                const char *text = one->kind == DEXT_STRING ? one->text : dext_node_text(one, "path", "");
                const char *path = dext_path_join(spec->root, text);
                if (*text && dext_is_directory(path))
                        dext_target_add_folders(target, path);
                else if (*text && dext_is_directory(dext_path_directory(path)))
                        dext_list_add_new(&target->folders, dext_path_directory(path));
        }
}

/* --- targets --- */

static void note_scripts(const struct spec *spec, const struct dext_node *node)
{
        static const char *const kinds[] = { "preBuildScripts", "prebuildScripts", "postCompileScripts", "postBuildScripts",
                                             "postbuildScripts" };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(kinds); i++) {
                const struct dext_node *scripts = dext_node_get(node, kinds[i]);
                const struct dext_node *first = scripts && scripts->kind == DEXT_ARRAY ? scripts->first : NULL;
                for (const struct dext_node *script = first; script; script = script->next)
                        dext_note(spec->report, "target %s: its script \"%s\" is not run", node->key,
                                  dext_node_text(script, "name", "Run Script"));
        }
}

/* PREFIX.NAME, of what may stand in an identifier. */
static const char *default_identifier(const struct spec *spec, const char *name)
{
        const char *prefix = dext_node_text(dext_node_get(spec->node, "options"), "bundleIdPrefix", "");
        struct dext_text text = { 0 };
        if (!*prefix)
                return NULL;
        dext_text_add(&text, "%s.", prefix);
        for (; *name; name++)
                if (isalnum((unsigned char)*name) || *name == '-' || *name == '.' || *name == '_')
                        dext_text_put(&text, *name == '_' ? "-" : name, 1);
        return text.data;
}

/* "info" and "entitlements": a file that XcodeGen would write anew, of the properties that stand here. */
static const char *file_of(const struct spec *spec, const struct dext_node *node, const struct dext_node **ret_properties)
{
        const char *path = dext_node_text(node, "path", NULL);
        const struct dext_node *properties = dext_node_get(node, "properties");
        if (!path)
                return NULL;
        if (properties && properties->kind == DEXT_DICTIONARY)
                *ret_properties = properties;
        return dext_path_join(spec->root, path);
}

static void set_defaults(const struct spec *spec, struct dext_target *target, const struct dext_node *node)
{
        const char *product = dext_node_text(node, "productName", NULL), *identifier = default_identifier(spec, target->name);
        dext_target_defaults(target, spec->name);
        /* What this type of product has where nothing is said. */
        dext_settings_set(&target->settings, DEXT_LEVEL_DEFAULT, "PRODUCT_NAME", "$(PRODUCT_BUNDLE_IDENTIFIER)");
        if (product && strcmp(product, target->name) != 0)
                dext_settings_set(&target->settings, DEXT_LEVEL_DEFAULT, "PRODUCT_NAME", product);
        if (identifier)
                dext_settings_set(&target->settings, DEXT_LEVEL_DEFAULT, "PRODUCT_BUNDLE_IDENTIFIER", identifier);
}

/* NULL: it is no driver. */
static struct dext_target *target_new(const struct spec *spec, const struct dext_node *node)
{
        const struct dext_node *targets = dext_node_get(spec->node, "targets");
        struct dext_target *target = dext_allocate(sizeof(*target));

        target->name = dext_node_text(node, "name", node->key);
        target->root = spec->root;
        target->project = spec->path;
        target->settings.configuration = spec->configuration;
        set_defaults(spec, target, node);
        apply_all(spec, target, DEXT_LEVEL_PROJECT, spec->node);
        apply_all(spec, target, DEXT_LEVEL_TARGET, node);
        if (!dext_target_is_driver(target, dext_node_text(node, "type", "")))
                return NULL;
        const char *among = add_sources(spec, target, node);
        const char *info = file_of(spec, dext_node_get(node, "info"), &target->info_properties);
        target->info_plist = info ? info : among;
        target->entitlements = file_of(spec, dext_node_get(node, "entitlements"), &target->entitlement_properties);
        add_libraries(spec, target, node, 0);
        add_header_folders(spec, target, node);
        for (const struct dext_node *other = targets->first; other; other = other->next)
                add_header_folders(spec, target, other);
        note_scripts(spec, node);
        return target;
}

/* Release where there is one; else the first that is of that kind; else the first. */
static const char *default_configuration(const struct dext_node *spec)
{
        const struct dext_node *configs = dext_node_get(spec, "configs");
        const struct dext_node *first = configs && configs->kind == DEXT_DICTIONARY ? configs->first : NULL, *found = first;
        if (!first || dext_node_get(configs, "Release"))
                return "Release";
        for (const struct dext_node *node = first; node && found == first; node = node->next)
                if (node->kind == DEXT_STRING && strcmp(node->text, "release") == 0)
                        found = node;
        return found->key;
}

int dext_xcodegen_read(struct dext_target **targets, const char *path, const char *directory, const char *configuration,
                       struct dext_report *report)
{
        unsigned int steps = 0, files = 0;
        struct spec spec = { .path = path, .root = dext_path_directory(path), .report = report, .steps = &steps };

        spec.node = load(path, report, 0, &files);
        if (!spec.node)
                return DEXT_FAILED;
        spec.name = dext_node_text(spec.node, "name", dext_path_name(spec.root));
        spec.configuration = configuration ? configuration : default_configuration(spec.node);
        const struct dext_node *all = dext_node_get(spec.node, "targets");
        const struct dext_node *first = all && all->kind == DEXT_DICTIONARY ? all->first : NULL;
        while (*targets)
                targets = &(*targets)->next;
        for (const struct dext_node *node = first; node; node = node->next) {
                struct dext_target *target = node->kind == DEXT_DICTIONARY ? target_new(&spec, resolve_target(&spec, node)) : NULL;
                if (!target || (directory && !dext_target_has_files_in(target, directory)))
                        continue;
                *targets = target;
                targets = &target->next;
        }
        return 0;
}
