/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Xcode's build settings, as far as they decide what is compiled and what stands in an Info.plist: levels of NAME = VALUE, of which
 * the higher ones win and say $(inherited) for what is below; and the expansion of $(NAME), ${NAME}, $(NAME:modifier), also nested,
 * in settings and in property lists. Nothing here reads a file but dext_settings_read.
 *
 * Names are looked up from the highest level down. NAME[sdk=driverkit*] wins over NAME of the same level; conditions for other
 * SDKs are left out when they are set.
 */
#include "dext/text.h"

struct dext_setting {
        struct dext_setting *next;
        const char *name, *value;
        int level;
        bool conditional;
};

/* From below to above. */
enum { DEXT_LEVEL_DEFAULT, DEXT_LEVEL_PROJECT_FILE, DEXT_LEVEL_PROJECT, DEXT_LEVEL_TARGET_FILE, DEXT_LEVEL_TARGET,
       DEXT_LEVEL_USER };

struct dext_settings {
        struct dext_setting *first;
        const char *configuration;              /* "Release": for conditions; may be NULL */
};

/* Later calls win over earlier ones of the same level. `name` with its conditions: "X[sdk=driverkit*][arch=*]". */
void dext_settings_set(struct dext_settings *settings, int level, const char *name, const char *value);
/* An .xcconfig file and what it includes. Files that are not there, and lines that are none, are noted. */
void dext_settings_read(struct dext_settings *settings, int level, const char *path, struct dext_report *report);

/* The expanded value, or NULL when no level has it. Unknown names in it are empty. */
const char *dext_settings_get(const struct dext_settings *settings, const char *name);
/* The same; "" for NULL. */
const char *dext_settings_text(const struct dext_settings *settings, const char *name);
/* "YES" and what Xcode takes for it. */
bool dext_settings_true(const struct dext_settings *settings, const char *name, bool fallback);

/* Expands a text. Names that no level has are empty, and put into `unknown` if that is not NULL. */
const char *dext_settings_expand(const struct dext_settings *settings, const char *text, struct dext_list *unknown);

/* NAME as a part of a bundle identifier, and as an identifier of C: what the modifiers of these names do. */
const char *dext_rfc1034_identifier(const char *text);
const char *dext_c99_identifier(const char *text);
