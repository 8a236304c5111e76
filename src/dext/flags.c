/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compilers' arguments, from settings, request and what DriverKit's sources take for granted.
 *
 * Warnings are the compiler's usual ones, and never errors: they are the developer's. Left out are those that say nothing but that
 * this is another platform: %llx for uint64_t, which is `unsigned long` here; array designators, which all dispatch tables have;
 * four-character constants; attributes and nullability of Apple's compiler.
 */
#include "dext/dext.h"
#include "dext/target.h"

enum { DEPTH_MAX = 8 };

static const char *const always[] = {
        "-fblocks", "-fPIC", "-g", "-fno-strict-aliasing", "-D_GNU_SOURCE",
        "-Wno-format", "-Wno-c99-designator", "-Wno-reorder-init-list", "-Wno-multichar", "-Wno-unknown-pragmas",
                "-Wno-unknown-attributes",
        "-Wno-ignored-attributes", "-Wno-availability", "-Wno-nullability-completeness", "-Wno-unknown-warning-option",
        "-Wno-error", "-Wno-pragma-once-outside-header",
};

/* --- standards --- */

/* clang's name of a standard; NULL: none is named. */
static const char *standard_of(const char *value)
{
        static const char *const others[][2] = {
                { "gnu++23", "gnu++2b" }, { "c++23", "c++2b" }, { "gnu++2c", "gnu++2b" }, { "c++2c", "c++2b" },
                { "gnu++26", "gnu++2b" }, { "c++26", "c++2b" }, { "gnu23", "gnu2x" }, { "c23", "c2x" },
        };
        if (!*value || strcmp(value, "compiler-default") == 0)
                return NULL;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(others); i++)
                if (strcmp(value, others[i][0]) == 0)
                        return others[i][1];
        return value;
}

/*
 * Without a project gnu++20: what DriverKit's sources are written in compiles as that. What a project says is taken, but nothing
 * older than C++17, in which OSSharedPtr is written: newer standards accept what older ones did, as far as drivers go.
 */
static const char *cxx_standard(const struct dext_target *target, const struct dext_request *request)
{
        static const char *const old[] = { "98", "0x", "03", "11", "1y", "14" };
        const char *standard = standard_of(dext_settings_text(&target->settings, "CLANG_CXX_LANGUAGE_STANDARD"));
        if (request->cxx_standard)
                return standard_of(request->cxx_standard);
        for (size_t i = 0; standard && i < AMB_ARRAY_LENGTH(old); i++)
                if (dext_text_ends(standard, old[i]))
                        return "gnu++17";
        return standard ? standard : "gnu++20";
}

static const char *c_standard(const struct dext_target *target, const struct dext_request *request)
{
        const char *standard = standard_of(dext_settings_text(&target->settings, "GCC_C_LANGUAGE_STANDARD"));
        if (request->c_standard)
                return standard_of(request->c_standard);
        return standard ? standard : "gnu17";
}

/* --- include paths --- */

static void add_search(struct dext_flags *flags, const char *option, const char *path)
{
        dext_list_add(&flags->common, dext_format("%s%s", option, path));
        dext_list_add_new(&flags->searched, path);
}

static void add_recursive(struct dext_flags *flags, const char *option, const char *path, int depth)
{
        struct dext_list names = { 0 };
        add_search(flags, option, path);
        dext_directory_list(&names, path);
        for (size_t i = 0; i < names.count && depth < DEPTH_MAX; i++) {
                const char *inner = dext_path_join(path, names.items[i]);
                if (dext_is_directory(inner) && !dext_folder_is_foreign(inner))
                        add_recursive(flags, option, inner, depth + 1);
        }
}

/* Of the machine that the project was made on: theirs are other headers than ours. */
static bool is_system_path(const char *path)
{
        static const char *const roots[] = { "/usr", "/System", "/Library", "/opt", "/Applications" };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(roots); i++)
                if (dext_path_below(path, roots[i]))
                        return true;
        return false;
}

static void add_setting_paths(struct dext_flags *flags, const struct dext_target *target, const char *name, const char *option,
                              struct dext_report *report)
{
        struct dext_list paths = { 0 };
        dext_list_split(&paths, dext_settings_text(&target->settings, name));
        for (size_t i = 0; i < paths.count; i++) {
                const char *path = dext_path_join(target->root, paths.items[i]);
                bool recursive = dext_text_ends(path, "/**");
                if (recursive)
                        path = dext_copy(path, strlen(path) - 3);
                if (!*paths.items[i] || (is_system_path(path) && !dext_path_below(path, target->root)))
                        continue;
                const char *there = dext_path_any_case(path);
                path = there ? there : path;
                if (!dext_is_directory(path))
                        dext_note(report, "target %s: %s has %s, which is no folder here", target->name, name, path);
                else if (recursive)
                        add_recursive(flags, option, path, 0);
                else
                        add_search(flags, option, path);
        }
}

static void add_includes(struct dext_flags *flags, const struct dext_target *target, const struct dext_request *request,
                         const struct dext_tools *tools, const char *derived, struct dext_report *report)
{
        /* Both <NAME/X.h> and "X.h" of an interface X. */
        dext_list_add(&flags->common, dext_format("-I%s/%s", derived, target->product));
        dext_list_add(&flags->common, dext_format("-I%s", derived));
        dext_list_add(&flags->common, dext_format("-I%s/templates", derived));
        for (size_t i = 0; i < request->includes.count; i++)
                add_search(flags, "-I", request->includes.items[i]);
        add_setting_paths(flags, target, "USER_HEADER_SEARCH_PATHS", "-iquote", report);
        add_setting_paths(flags, target, "HEADER_SEARCH_PATHS", "-I", report);
        add_setting_paths(flags, target, "SYSTEM_HEADER_SEARCH_PATHS", "-isystem", report);
        for (size_t i = 0; i < target->includes.count; i++)
                add_search(flags, "-I", target->includes.items[i]);
        for (size_t i = 0; i < target->folders.count; i++)
                add_search(flags, "-iquote", target->folders.items[i]);
        for (size_t i = 0; i < tools->headers.count; i++)
                dext_list_add(&flags->common, dext_format("-isystem%s", tools->headers.items[i]));
        /* Behind the system's own: <X.h> of a header of the project, which Xcode finds too. */
        for (size_t i = 0; i < target->folders.count; i++)
                dext_list_add(&flags->common, dext_format("-idirafter%s", target->folders.items[i]));
}

/* --- macros and other arguments --- */

static void add_defines(struct dext_flags *flags, const struct dext_target *target, const struct dext_request *request)
{
        struct dext_list defines = { 0 };
        dext_list_split(&defines, dext_settings_text(&target->settings, "GCC_PREPROCESSOR_DEFINITIONS"));
        for (size_t i = 0; i < defines.count; i++)
                if (*defines.items[i])
                        dext_list_add(&flags->common, dext_format("-D%s", defines.items[i]));
        for (size_t i = 0; i < request->defines.count; i++)
                dext_list_add(&flags->common, dext_format("-D%s", request->defines.items[i]));
}

/* Of a project's own compiler arguments those that mean the same here: macros, warnings. */
static void add_others(struct dext_list *list, const struct dext_target *target, const char *name)
{
        struct dext_list words = { 0 };
        dext_list_split(&words, dext_settings_text(&target->settings, name));
        for (size_t i = 0; i < words.count; i++) {
                const char *word = words.items[i];
                bool macro = strncmp(word, "-D", 2) == 0 || strncmp(word, "-U", 2) == 0;
                if (macro && word[2])
                        dext_list_add(list, word);
                else if (macro && i + 1 < words.count)
                        dext_list_add(list, dext_format("%s%s", word, words.items[++i]));
                else if (strncmp(word, "-W", 2) == 0 && strncmp(word, "-Werror", 7) != 0 && !strchr(word, ','))  /* -Wl,... */
                        dext_list_add(list, word);
        }
}

const char *dext_flags_sanitize(const struct dext_list *sanitizers)
{
        struct dext_text text = { 0 };
        for (size_t i = 0; i < sanitizers->count; i++)
                dext_text_add(&text, "%s%s", i ? "," : "-fsanitize=", sanitizers->items[i]);
        return text.data;
}

static void add_all(struct dext_list *list, const struct dext_list *more)
{
        for (size_t i = 0; i < more->count; i++)
                dext_list_add(list, more->items[i]);
}

static void make_common(struct dext_flags *flags, const struct dext_target *target, const struct dext_request *request,
                        const struct dext_tools *tools, const char *derived, struct dext_report *report)
{
        const char *prefix = dext_settings_text(&target->settings, "GCC_PREFIX_HEADER");
        add_defines(flags, target, request);
        if (tools->prefix_header) {
                dext_list_add(&flags->common, "-include");
                dext_list_add(&flags->common, tools->prefix_header);
        }
        if (*prefix && dext_is_file(dext_path_join(target->root, prefix))) {
                dext_list_add(&flags->common, "-include");
                dext_list_add(&flags->common, dext_path_join(target->root, prefix));
        }
        add_includes(flags, target, request, tools, derived, report);
}

static void make_fuzz_link(struct dext_flags *flags, const char *sanitize, const struct dext_tools *tools)
{
        const struct dext_list *lists[] = { &tools->libraries, &tools->client_libraries };

        dext_list_add(&flags->link, dext_format("%s,fuzzer", sanitize));
        /* The driver's classes are found by their symbols. */
        dext_list_add(&flags->link, "-rdynamic");
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lists); i++)
                for (size_t k = 0; k < lists[i]->count; k++) {
                        dext_list_add(&flags->link, lists[i]->items[k]);
                        if (strncmp(lists[i]->items[k], "-L", 2) == 0)
                                dext_list_add(&flags->link, dext_format("-Wl,-rpath,%s", lists[i]->items[k] + 2));
                }
        dext_list_add(&flags->link, "-lpthread");
        dext_list_add(&flags->link, "-lm");
}

/*
 * What is missing is said when the bundle is linked, and not when it is loaded. A sanitizer's run-time library is not linked into
 * it: the host has it (daemon/sanitizer.c). So its names are missing on purpose, and a second link, with that library, looks for
 * the others.
 */
static void make_link(struct dext_flags *flags, const char *sanitize, const struct dext_tools *tools)
{
        static const char *const defined = "-Wl,-z,defs";
        dext_list_add(&flags->link, "-shared");
        dext_list_add(&flags->link, sanitize ? sanitize : defined);
        add_all(&flags->link, &tools->libraries);
        dext_list_add(&flags->link, "-lpthread");
        dext_list_add(&flags->link, "-lm");
        if (!sanitize || !tools->sanitizer)
                return;
        dext_list_add(&flags->check, "-shared");
        dext_list_add(&flags->check, defined);
        add_all(&flags->check, &tools->libraries);
        dext_list_add(&flags->check, tools->sanitizer);
        dext_list_add(&flags->check, "-lpthread");
        dext_list_add(&flags->check, "-lm");
}

void dext_flags_make(struct dext_flags *flags, const struct dext_target *target, const struct dext_request *request,
                     const struct dext_tools *tools, const char *derived, struct dext_report *report)
{
        const char *sanitize = dext_flags_sanitize(&request->sanitizers);
        struct dext_list base = { 0 };

        make_common(flags, target, request, tools, derived, report);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(always); i++)
                dext_list_add(&base, always[i]);
        dext_list_add(&base, dext_format("-O%s", request->optimization ? request->optimization : sanitize ? "1" : "2"));
        if (sanitize) {
                dext_list_add(&base, sanitize);
                dext_list_add(&base, "-fno-omit-frame-pointer");
                if (request->fuzz)
                        dext_list_add(&base, "-fsanitize=fuzzer-no-link");
        }
        dext_list_add(&flags->cxx, dext_format("-std=%s", cxx_standard(target, request)));
        /* DriverKit has none; and the objects' vtables are filled in by hand. */
        if (!dext_settings_true(&target->settings, "GCC_ENABLE_CPP_RTTI", false))
                dext_list_add(&flags->cxx, "-fno-rtti");
        dext_list_add(&flags->c, dext_format("-std=%s", c_standard(target, request)));
        struct dext_list *both[] = { &flags->cxx, &flags->c };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(both); i++) {
                add_all(both[i], &base);
                add_others(both[i], target, "WARNING_CFLAGS");
                add_others(both[i], target, i ? "OTHER_CFLAGS" : "OTHER_CPLUSPLUSFLAGS");
                add_all(both[i], &flags->common);
        }
        if (request->fuzz)
                make_fuzz_link(flags, sanitize, tools);
        else
                make_link(flags, sanitize, tools);
}
