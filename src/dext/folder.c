/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder that no Xcode project describes: the driver is what lies where its Info.plist (the one with IOKitPersonalities) and its
 * interfaces lie, without what is another product's, or a program of its own.
 */
#include <ctype.h>
#include <fcntl.h>

#include "dext/info.h"
#include "dext/target.h"

enum { DEPTH_MAX = 12, SOURCE_BYTES = 8 << 20 };

struct survey {
        const char *directory;
        struct dext_list drivers, broken, others, entitlements;         /* property lists */
        struct dext_list interfaces;
};

static void survey_plist(struct survey *survey, const char *path)
{
        switch (dext_plist_look(path)) {
        case DEXT_PLIST_DRIVER: dext_list_add(&survey->drivers, path); break;
        case DEXT_PLIST_PRODUCT: dext_list_add(&survey->others, path); break;
        case DEXT_PLIST_ENTITLEMENTS: dext_list_add(&survey->entitlements, path); break;
        case DEXT_PLIST_BROKEN:
                if (dext_text_ends(path, "Info.plist"))
                        dext_list_add(&survey->broken, path);
                /* What is wrong with them is told when they are read. */
                if (dext_text_ends(path, ".entitlements"))
                        dext_list_add(&survey->entitlements, path);
                break;
        case DEXT_PLIST_OTHER: break;
        }
}

/* A template of a driver's Info.plist that nobody has filled in: it counts as what it becomes. */
static void survey_template(struct survey *survey, const char *path)
{
        const char *made = dext_copy(path, strlen(path) - strlen(".in"));
        AMB_FREE char *bytes = NULL;
        size_t length;
        if (dext_is_file(made) || amb_file_read(AT_FDCWD, path, SOURCE_BYTES, &bytes, &length) < 0)
                return;
        if (strstr(bytes, "IOKitPersonalities"))
                dext_list_add(&survey->drivers, made);
}

static void survey_folder(struct survey *survey, const char *path, int depth)
{
        static const char *const plists[] = { "plist", "entitlements", NULL }, *const interfaces[] = { "iig", NULL };
        struct dext_list names = { 0 };
        dext_directory_list(&names, path);
        for (size_t i = 0; i < names.count && depth < DEPTH_MAX; i++) {
                const char *inner = dext_path_join(path, names.items[i]);
                if (dext_is_directory(inner)) {
                        if (!dext_folder_is_foreign(inner) && !dext_is_way_back(inner, survey->directory))
                                survey_folder(survey, inner, depth + 1);
                } else if (dext_path_has_extension(inner, plists))
                        survey_plist(survey, inner);
                else if (dext_text_ends(inner, ".plist.in"))
                        survey_template(survey, inner);
                else if (dext_path_has_extension(inner, interfaces))
                        dext_list_add(&survey->interfaces, inner);
        }
}

/* The nearest folder that both lie in. */
static const char *common_folder(const char *one, const char *other)
{
        while (!dext_path_below(other, one))
                one = dext_path_directory(one);
        return one;
}

/* --- sources --- */

/* A word of the text, with nothing of a name beside it. */
static bool has_word(const char *text, const char *word)
{
        size_t length = strlen(word);
        for (const char *at = text; (at = strstr(at, word)); at += length)
                if ((at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_')) && !isalnum((unsigned char)at[length]) &&
                    at[length] != '_')
                        return true;
        return false;
}

/* Programs have a main, and only they speak to drivers by IOKit's calls. */
static const char *why_no_driver(const char *path)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        if (amb_file_read(AT_FDCWD, path, SOURCE_BYTES, &bytes, &length) < 0)
                return "it cannot be read";
        if (strstr(bytes, "<IOKit/IOKitLib.h>"))
                return "it includes <IOKit/IOKitLib.h>, as programs do that call a driver";
        for (const char *at = bytes; (at = strstr(at, "main")); at += 4) {
                const char *end = at + 4;
                if (at - bytes < 4 || memcmp(at - 4, "int ", 4) != 0)
                        continue;
                end += strspn(end, " \t");
                if (*end == '(')
                        return "it has a function main, as programs do";
        }
        return has_word(bytes, "RUN_ALL_TESTS") ? "it is a test" : NULL;
}

static bool is_other_product(const struct survey *survey, const char *folder, const char *root)
{
        if (strcmp(folder, root) == 0)
                return false;
        for (size_t i = 0; i < survey->others.count; i++)
                if (strcmp(dext_path_directory(survey->others.items[i]), folder) == 0)
                        return true;
        for (size_t i = 0; i < survey->drivers.count; i++)
                if (strcmp(dext_path_directory(survey->drivers.items[i]), folder) == 0)
                        return true;
        return false;
}

static void add_sources(struct dext_target *target, const struct survey *survey, const char *path, int depth,
                        struct dext_report *report)
{
        static const char *const interfaces[] = { "iig", NULL }, *const sources[] = { "c", "cc", "cpp", "cxx", NULL };
        struct dext_list names = { 0 };
        dext_directory_list(&names, path);
        for (size_t i = 0; i < names.count && depth < DEPTH_MAX; i++) {
                const char *inner = dext_path_join(path, names.items[i]), *why;
                if (dext_is_directory(inner)) {
                        if (!dext_folder_is_foreign(inner) && !is_other_product(survey, inner, target->root) &&
                            !dext_is_way_back(inner, survey->directory))
                                add_sources(target, survey, inner, depth + 1, report);
                } else if (dext_path_has_extension(inner, interfaces))
                        dext_target_add(target, inner);
                else if (dext_path_has_extension(inner, sources)) {
                        why = why_no_driver(inner);
                        if (why)
                                dext_note(report, "%s is left out: %s", inner, why);
                        else
                                dext_target_add(target, inner);
                }
        }
}

/* --- headers --- */

/* What build systems other than Xcode name: folders called "include", of the driver and of what it is a part of. */
static void add_include_folders(struct dext_target *target, const char *path, int depth)
{
        struct dext_list names = { 0 };
        dext_directory_list(&names, path);
        for (size_t i = 0; i < names.count && depth < 4; i++) {
                const char *inner = dext_path_join(path, names.items[i]);
                if (dext_folder_is_foreign(inner) || !dext_is_directory(inner))
                        continue;
                if (strcmp(names.items[i], "include") == 0 || strcmp(names.items[i], "Include") == 0)
                        dext_list_add_new(&target->includes, inner);
                else
                        add_include_folders(target, inner, depth + 1);
        }
}

/* The nearest folder above that is a checked-out repository; else the folder itself. */
static const char *repository_of(const char *folder)
{
        const char *above = folder;
        for (int i = 0; i < 4 && strcmp(above, "/") != 0; i++, above = dext_path_directory(above))
                if (access(dext_path_join(above, ".git"), F_OK) == 0)
                        return above;
        return folder;
}

/* --- the target --- */

/* Of the driver's folder, or of the nearest one above it that belongs to what is built. */
static const char *find_other_build(const struct survey *survey, const char *folder)
{
        static const char *const names[] = { "CMakeLists.txt", "meson.build", "BUILD.bazel", "Makefile", "makefile" };
        for (;; folder = dext_path_directory(folder)) {
                for (size_t i = 0; i < AMB_ARRAY_LENGTH(names); i++) {
                        const char *path = dext_path_join(folder, names[i]);
                        if (dext_is_file(path))
                                return path;
                }
                if (strcmp(folder, "/") == 0 || strcmp(folder, survey->directory) == 0)
                        return NULL;
        }
}

/* What CMake fills into an Info.plist. */
static void set_cmake_defaults(struct dext_settings *settings)
{
        static const char *const defaults[][2] = {
                { "MACOSX_BUNDLE_GUI_IDENTIFIER", "$(PRODUCT_BUNDLE_IDENTIFIER)" },
                { "MACOSX_BUNDLE_EXECUTABLE_NAME", "$(EXECUTABLE_NAME)" }, { "MACOSX_BUNDLE_BUNDLE_NAME", "$(PRODUCT_NAME)" },
                { "MACOSX_BUNDLE_BUNDLE_VERSION", "$(CURRENT_PROJECT_VERSION)" },
                { "MACOSX_BUNDLE_SHORT_VERSION_STRING", "$(MARKETING_VERSION)" },
                { "MACOSX_BUNDLE_LONG_VERSION_STRING", "$(MARKETING_VERSION)" }, { "MACOSX_BUNDLE_INFO_STRING", "" },
                { "MACOSX_BUNDLE_ICON_FILE", "" }, { "MACOSX_BUNDLE_COPYRIGHT", "" },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(defaults); i++)
                dext_settings_set(settings, DEXT_LEVEL_DEFAULT, defaults[i][0], defaults[i][1]);
}

/* From "Foo-Info.plist", from a CFBundleExecutable that is no variable, else from the folder. */
static const char *name_of(const char *plist, const char *folder)
{
        const char *executable = dext_plist_text(plist, "CFBundleExecutable"), *stem = dext_path_stem(plist);
        if (executable && *executable && !strpbrk(executable, "$/"))
                return executable;
        if (dext_text_ends(stem, "-Info") && strlen(stem) > 5)
                return dext_copy(stem, strlen(stem) - 5);
        return dext_path_name(folder);
}

static const char *entitlements_of(const struct survey *survey, const char *folder, const char *name)
{
        const char *found = NULL;
        for (size_t i = 0; i < survey->entitlements.count; i++) {
                const char *path = survey->entitlements.items[i];
                if (!dext_path_below(path, folder) || !dext_text_ends(path, ".entitlements"))
                        continue;
                if (!found || strcmp(dext_path_stem(path), name) == 0)
                        found = path;
        }
        return found;
}

static struct dext_target *target_new(const struct survey *survey, const char *plist, const char *folder,
                                      struct dext_report *report)
{
        struct dext_target *target = dext_allocate(sizeof(*target));
        *target = (struct dext_target){ .name = name_of(plist, folder), .root = folder, .info_plist = plist };
        dext_target_defaults(target, target->name);
        set_cmake_defaults(&target->settings);
        target->other_build = find_other_build(survey, folder);
        const char *identifier = dext_plist_server(plist);
        if (!identifier)
                identifier = dext_format("local.%s", dext_rfc1034_identifier(target->name));
        dext_settings_set(&target->settings, DEXT_LEVEL_DEFAULT, "PRODUCT_BUNDLE_IDENTIFIER", identifier);
        target->entitlements = entitlements_of(survey, folder, target->name);
        add_sources(target, survey, folder, 0, report);
        dext_target_add_folders(target, folder);
        dext_list_add_new(&target->folders, folder);    /* "Core/Engine.hpp", from wherever */
        dext_target_add_folders(target, survey->directory);
        add_include_folders(target, folder, 0);
        add_include_folders(target, repository_of(folder), 0);
        return target;
}

static struct dext_target *only_target(const struct survey *survey, const char *plist, struct dext_report *report)
{
        const char *folder = dext_path_directory(plist);
        for (size_t i = 0; i < survey->interfaces.count; i++)
                folder = common_folder(folder, dext_path_directory(survey->interfaces.items[i]));
        return target_new(survey, plist, folder, report);
}

struct dext_target *dext_folder_read(const char *directory, struct dext_report *report)
{
        struct survey survey = { .directory = directory };
        struct dext_target *targets = NULL, **place = &targets;

        survey_folder(&survey, directory, 0);
        const struct dext_list *plists = survey.drivers.count ? &survey.drivers : &survey.broken;
        if (plists->count == 0 && survey.others.count && survey.interfaces.count)
                plists = &survey.others;        /* what it lacks is told when it is read */
        if (plists->count == 0) {
                dext_fail(report, "%s: there is no Info.plist with IOKitPersonalities in this folder or below; it says which "
                          "class drives "
                                  "what, and no driver can do without%s", directory,
                          survey.interfaces.count ? "" : "; nor is there an interface (.iig)");
                return NULL;
        }
        if (plists->count == 1)
                return only_target(&survey, plists->items[0], report);
        for (size_t i = 0; i < plists->count; i++, place = &(*place)->next)
                *place = target_new(&survey, plists->items[i], dext_path_directory(plists->items[i]), report);
        return targets;
}
