/* SPDX-License-Identifier: Apache-2.0 */
#include "dext/target.h"

#include <stdio.h>
#include <time.h>

enum { DEPTH_MAX = 12, TREE_MAX = 24 };

static const char *const interface_extensions[] = { "iig", NULL };
static const char *const source_extensions[] = { "c", "cc", "cpp", "cxx", "c++", "C", NULL };
static const char *const header_extensions[] = { "h", "hh", "hpp", "hxx", "iig", "inl", "ipp", NULL };

/* What we have made there ourselves: a project's folder may be the one that is built. */
static bool is_output(const char *path)
{
        return dext_is_directory(dext_path_join(path, "ambidext.build"));
}

bool dext_folder_is_foreign(const char *path)
{
        static const char *const names[] = { "build", "Build", "DerivedData", "Pods", "Carthage", "node_modules", "Tests", "tests",
                                             "test",
                                             "Test", "UnitTests", "UITests", "docs", "Documentation", NULL };
        static const char *const ends[] = { ".xcodeproj", ".xcworkspace", ".xcassets", ".app", ".dext", ".framework", ".bundle",
                                            ".lproj",
                                            ".playground", "Tests", NULL };
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

        for (size_t i = 0; names[i]; i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        for (size_t i = 0; ends[i]; i++)
                if (dext_text_ends(name, ends[i]))
                        return true;
        return name[0] == '.' || strncmp(name, "cmake-build", 11) == 0 || is_output(path);
}

void dext_target_add(struct dext_target *target, const char *path)
{
        if (dext_path_has_extension(path, interface_extensions))
                dext_list_add_new(&target->interfaces, path);
        else if (dext_path_has_extension(path, source_extensions))
                dext_list_add_new(&target->sources, path);
}

static void add_folders(struct dext_target *target, const char *top, const char *path, int depth)
{
        struct dext_list names = { 0 };
        dext_directory_list(&names, path);
        for (size_t i = 0; i < names.count; i++)
                if (dext_path_has_extension(names.items[i], header_extensions)) {
                        dext_list_add_new(&target->folders, path);
                        break;
                }
        for (size_t i = 0; i < names.count && depth < DEPTH_MAX; i++) {
                const char *inner = dext_path_join(path, names.items[i]);
                if (!dext_folder_is_foreign(inner) && dext_is_directory(inner) && !dext_is_way_back(inner, top))
                        add_folders(target, top, inner, depth + 1);
        }
}

void dext_target_add_folders(struct dext_target *target, const char *path)
{
        add_folders(target, path, path, 0);
}

static void add_tree(struct dext_target *target, const char *folder, const char *below,
                     bool (*wanted)(void *context, const char *below), void *context, int depth)
{
        struct dext_list names = { 0 };
        dext_directory_list(&names, *below ? dext_path_join(folder, below) : folder);
        for (size_t i = 0; i < names.count && depth < TREE_MAX; i++) {
                const char *inner = *below ? dext_format("%s/%s", below, names.items[i]) : names.items[i];
                const char *path = dext_path_join(folder, inner);
                if (!dext_is_directory(path)) {
                        if (wanted(context, inner))
                                dext_target_add(target, path);
                } else if (!is_output(path))
                        add_tree(target, folder, inner, wanted, context, depth + 1);
        }
}

void dext_target_add_tree(struct dext_target *target, const char *folder, bool (*wanted)(void *context, const char *below),
                          void *context)
{
        add_tree(target, folder, "", wanted, context, 0);
}

bool dext_target_has_files_in(const struct dext_target *target, const char *directory)
{
        const struct dext_list *lists[] = { &target->interfaces, &target->sources };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lists); i++)
                for (size_t k = 0; k < lists[i]->count; k++)
                        if (dext_path_below(lists[i]->items[k], directory))
                                return true;
        return false;
}

/* By the project's own words, not by what we take for granted. */
static bool says(const struct dext_target *target, const char *name, const char *beginning)
{
        for (const struct dext_setting *setting = target->settings.first; setting; setting = setting->next)
                if (setting->level > DEXT_LEVEL_DEFAULT && strcmp(setting->name, name) == 0)
                        return strncmp(dext_settings_text(&target->settings, name), beginning, strlen(beginning)) == 0;
        return false;
}

bool dext_target_is_driver(const struct dext_target *target, const char *type)
{
        if (dext_text_ends(type, "driver-extension"))
                return true;
        return (dext_text_ends(type, "system-extension") || dext_text_ends(type, "bundle")) &&
               (says(target, "SDKROOT", "driverkit") || says(target, "WRAPPER_EXTENSION", "dext"));
}

void dext_target_defaults(struct dext_target *target, const char *project_name)
{
        struct dext_settings *settings = &target->settings;
        char year[8] = "";
        time_t now = time(NULL);
        struct tm parts;
        if (localtime_r(&now, &parts))
                strftime(year, sizeof(year), "%Y", &parts);
        const char *const defaults[][2] = {
                { "SRCROOT", target->root }, { "SOURCE_ROOT", target->root }, { "PROJECT_DIR", target->root },
                { "PROJECT_NAME", project_name }, { "PROJECT", project_name },
                { "TARGET_NAME", target->name }, { "TARGETNAME", target->name },
                { "CONFIGURATION", settings->configuration ? settings->configuration : "Release" },
                { "PRODUCT_NAME", "$(TARGET_NAME)" }, { "PRODUCT_MODULE_NAME", "$(PRODUCT_NAME:c99extidentifier)" },
                { "EXECUTABLE_NAME", "$(EXECUTABLE_PREFIX)$(PRODUCT_NAME)$(EXECUTABLE_SUFFIX)" },
                { "EXECUTABLE_PREFIX", "" }, { "EXECUTABLE_SUFFIX", "" },
                { "WRAPPER_NAME", "$(PRODUCT_NAME).dext" }, { "FULL_PRODUCT_NAME", "$(PRODUCT_NAME).dext" }, { "WRAPPER_EXTENSION",
                                                                                                               "dext" },
                { "PRODUCT_BUNDLE_PACKAGE_TYPE", "DEXT" }, { "DEVELOPMENT_LANGUAGE", "en" },
                { "MARKETING_VERSION", "1.0" }, { "CURRENT_PROJECT_VERSION", "1" },
                { "DRIVERKIT_DEPLOYMENT_TARGET", "22.0" }, { "MACOSX_DEPLOYMENT_TARGET", "13.0" }, { "PLATFORM_NAME", "driverkit" },
                { "DEVELOPMENT_TEAM", "" }, { "OTHER_CPLUSPLUSFLAGS", "$(OTHER_CFLAGS)" }, { "CURRENT_YEAR", year },
                { "HOME", "" }, { "SDKROOT", "" },
                /* What Xcode takes from the developer's certificate; here nothing is signed. */
                { "AppIdentifierPrefix", "" }, { "TeamIdentifierPrefix", "" }, { "CFBundleIdentifier",
                                                                                 "$(PRODUCT_BUNDLE_IDENTIFIER)" },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(defaults); i++)
                dext_settings_set(settings, DEXT_LEVEL_DEFAULT, defaults[i][0], defaults[i][1]);
}
