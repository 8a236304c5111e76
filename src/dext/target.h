/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A driver extension before it is built: what is compiled, with which settings. project.c makes targets of Xcode projects,
 * xcodegen.c of what XcodeGen would make such projects of, folder.c makes one of a folder without a project. All paths are
 * absolute.
 */
#include "dext/node.h"
#include "dext/settings.h"
#include "dext/text.h"

struct dext_target {
        struct dext_target *next;
        const char *name;               /* of the target; of the folder without a project */
        const char *root;               /* what relative paths in settings are relative to */
        const char *project;            /* the .xcodeproj or XcodeGen's file, or NULL */
        struct dext_settings settings;
        struct dext_list interfaces;    /* .iig */
        struct dext_list sources;       /* .c, .cpp ... */
        struct dext_list folders;       /* in which headers lie: searched for "X.h" after the including file's */
        struct dext_list includes;      /* searched for <X.h> and "X.h", without a setting that says so */
        const char *info_plist;         /* NULL: none; generated from the settings alone */
        const char *entitlements;       /* NULL: none */
        /* What stands in those files, where a project writes it out and a generator would write them; else NULL. */
        const struct dext_node *info_properties, *entitlement_properties;
        const char *other_build;        /* the file of a build system that is not read: CMakeLists.txt and the like; NULL: none */
        /* --- filled by plan.c --- */
        const char *product;            /* NAME of NAME.dext */
        const char *executable;         /* CFBundleExecutable */
        const char *identifier;
};

/*
 * What is not looked into, and what is no part of a driver, in a folder whose files no project lists: by its name, or because
 * `ambidext build` has made something there.
 */
bool dext_folder_is_foreign(const char *path);

/* Which list a file belongs into; files of other kinds: none. */
void dext_target_add(struct dext_target *target, const char *path);
/* Folders below `path` that have headers go into target->folders, the nearest first. */
void dext_target_add_folders(struct dext_target *target, const char *path);

/*
 * All files below a folder that `wanted` does not refuse; it is given the path below the folder. What `ambidext build` has made
 * there is left out.
 */
void dext_target_add_tree(struct dext_target *target, const char *folder, bool (*wanted)(void *context, const char *below),
                          void *context);
bool dext_target_has_files_in(const struct dext_target *target, const char *directory);
/*
 * Whether a target of this type ("com.apple.product-type.driver-extension", or its end) is a driver: that one is; system
 * extensions and bundles are when the project's settings say so (SDKROOT, WRAPPER_EXTENSION). Its settings must be there.
 */
bool dext_target_is_driver(const struct dext_target *target, const char *type);

/* What every level of settings stands on: SRCROOT, PRODUCT_NAME and so on. */
void dext_target_defaults(struct dext_target *target, const char *project_name);

/* The text of a template (template.c), "NAME.in"; what it was made with is noted. NULL: said. */
const char *dext_template_fill(const struct dext_target *target, const char *path, struct dext_report *report);

/*
 * The driver extensions of the Xcode project at `path` (a directory NAME.xcodeproj), appended to *targets, those that have files in
 * `directory` (NULL: all). 0; DEXT_FAILED: said.
 */
int dext_project_read(struct dext_target **targets, const char *path, const char *directory, const char *configuration,
                      struct dext_report *report);

/* The same of XcodeGen's file at `path`, NAME.yml. */
int dext_xcodegen_read(struct dext_target **targets, const char *path, const char *directory, const char *configuration,
                       struct dext_report *report);

/* One of a folder, or NULL: nothing in it that can be built (said). */
struct dext_target *dext_folder_read(const char *directory, struct dext_report *report);
