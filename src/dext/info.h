/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Info.plist and the entitlements of a bundle: what the project has, with its variables expanded, what Xcode would have added, and
 * what the registry will ask of it, checked before anything is compiled.
 *
 * Everything that is wrong is told with the file, the key and what is expected. Variables that no setting has are left empty, as
 * Xcode does, and told.
 */
#include <DriverKit/OSCollections.h>

#include "dext/target.h"

struct dext_info {
        OSDictionary *info;                     /* references of the caller: dext_info_end() */
        OSDictionary *entitlements;             /* NULL: none are given */
};

struct dext_tools;
/* Reads, expands, completes and checks; sets product, executable and identifier of the target. 0; DEXT_FAILED: said. */
int dext_info_make(struct dext_info *info, struct dext_target *target, const struct dext_tools *tools, struct dext_report *report);
/* What the host of this driver must have in it. */
void dext_info_set_sanitizer(struct dext_info *info, const char *library);
/*
 * The classes that the Info.plist names (IOUserClass, in personalities and in what lies in them) must be among those that the
 * driver has. 0; DEXT_FAILED: said.
 */
int dext_info_check_classes(const struct dext_info *info, const struct dext_target *target, const struct dext_list *classes,
                            struct dext_report *report);
/* Into the bundle, which is there. 0; DEXT_FAILED: said. */
int dext_info_write(const struct dext_info *info, const struct dext_target *target, const char *bundle, struct dext_report *report);
void dext_info_end(struct dext_info *info);

/* --- plist.c --- */
extern const char dext_driverkit[];             /* the key that a driver's entitlements must have */
/* The target's Info.plist or its entitlements, which must be named, with variables; a new reference. NULL: said. */
OSDictionary *dext_plist_read(const struct dext_target *target, const struct dext_tools *tools, bool entitlements,
                              struct dext_report *report);

enum dext_plist_kind {
        DEXT_PLIST_BROKEN,              /* no property list that can be read */
        DEXT_PLIST_OTHER,
        DEXT_PLIST_DRIVER,              /* has IOKitPersonalities */
        DEXT_PLIST_PRODUCT,             /* describes an app or the like: has CFBundle... keys, and no personalities */
        DEXT_PLIST_ENTITLEMENTS,        /* those of a driver */
};
enum dext_plist_kind dext_plist_look(const char *path);
/* IOUserServerName of a personality, if it has no variables: by custom the bundle's identifier. NULL: none. */
const char *dext_plist_server(const char *path);
/* The string that stands under this key in the dictionary at `path`, as it is written, or NULL. */
const char *dext_plist_text(const char *path, const char *key);
