/* SPDX-License-Identifier: Apache-2.0 */
#include "dext/info.h"

#include <DriverKit/OSCollections.h>

#include "object/plist.h"

static void set(OSDictionary *dictionary, const char *key, OSObject *value)
{
        dext_must(OSDictionarySetValue(dictionary, key, value) ? dictionary : NULL);
}

static void set_text(OSDictionary *dictionary, const char *key, const char *text)
{
        dext_must(OSDictionarySetStringValue(dictionary, key, text) ? dictionary : NULL);
}

/* --- expansion --- */

struct expansion {
        const struct dext_target *target;
        const char *path;
        struct dext_report *report;
};

static OSObject *expand(const struct expansion *expansion, OSObject *value, const char *where);

static const char *expand_text(const struct expansion *expansion, const char *text, const char *where)
{
        struct dext_list unknown = { 0 };
        const char *expanded = dext_settings_expand(&expansion->target->settings, text, &unknown);
        for (size_t i = 0; i < unknown.count; i++)
                dext_note(expansion->report, "%s: %s: nothing says what $(%s) is, so it is empty; --set %s=VALUE says it",
                          expansion->path,
                          where, unknown.items[i], unknown.items[i]);
        return expanded;
}

static OSObject *expand_dictionary(const struct expansion *expansion, OSDictionary *dictionary, const char *where)
{
        OSDictionary *expanded = dext_must(OSDictionaryCreate());
        for (size_t i = 0; i < OSDictionaryGetCount(dictionary); i++) {
                const char *key = OSDictionaryGetKeyAt(dictionary, i);
                const char *below = *where ? dext_format("%s, %s", where, key) : key;
                OSObject *value = expand(expansion, OSDictionaryGetValueAt(dictionary, i), below);
                set(expanded, expand_text(expansion, key, below), value);
                OSObject_release(value);
        }
        return (OSObject *)expanded;
}

static OSObject *expand_array(const struct expansion *expansion, OSArray *array, const char *where)
{
        OSArray *expanded = dext_must(OSArray_withCapacity((uint32_t)OSArrayGetCount(array) + 1));
        for (size_t i = 0; i < OSArrayGetCount(array); i++) {
                OSObject *value = expand(expansion, OSArrayGetValue(array, i), where);
                dext_must(OSArray_setObject(expanded, value) ? expanded : NULL);
                OSObject_release(value);
        }
        return (OSObject *)expanded;
}

/* A new reference. */
static OSObject *expand(const struct expansion *expansion, OSObject *value, const char *where)
{
        OSDictionary *dictionary = OSDynamicCast(OSDictionary, value);
        OSArray *array = OSDynamicCast(OSArray, value);
        OSString *string = OSDynamicCast(OSString, value);

        if (dictionary)
                return expand_dictionary(expansion, dictionary, where);
        if (array)
                return expand_array(expansion, array, where);
        if (string)
                return dext_must(OSString_withCString(expand_text(expansion, OSString_getCStringNoCopy(string), where)));
        OSObject_retain(value);
        return value;
}

/* NULL: said. */
static OSDictionary *read_expanded(const struct dext_target *target, const struct dext_tools *tools, bool entitlements,
                                   struct dext_report *report)
{
        const char *path = entitlements ? target->entitlements : target->info_plist;
        const struct expansion expansion = { target, path, report };
        OSDictionary *read = dext_plist_read(target, tools, entitlements, report);

        if (!read)
                return NULL;
        OSObject *expanded = expand_dictionary(&expansion, read, "");
        OSObject_release((OSObject *)read);
        return (OSDictionary *)expanded;
}

/* --- what Xcode adds --- */

static void complete_generated(OSDictionary *info, const struct dext_settings *settings)
{
        static const char prefix[] = "INFOPLIST_KEY_";
        for (const struct dext_setting *setting = settings->first; setting; setting = setting->next) {
                if (strncmp(setting->name, prefix, sizeof(prefix) - 1) != 0)
                        continue;
                const char *key = setting->name + sizeof(prefix) - 1, *value = dext_settings_text(settings, setting->name);
                if (OSDictionaryGetValue(info, key))
                        continue;
                if (strcmp(value, "YES") == 0 || strcmp(value, "NO") == 0)
                        dext_must(OSDictionarySetBooleanValue(info, key, strcmp(value, "YES") == 0) ? info : NULL);
                else
                        set_text(info, key, value);
        }
}

static void complete(OSDictionary *info, const struct dext_target *target)
{
        static const char *const keys[][2] = {
                { "CFBundleIdentifier", "$(PRODUCT_BUNDLE_IDENTIFIER)" }, { "CFBundleExecutable", "$(EXECUTABLE_NAME)" },
                { "CFBundleName", "$(PRODUCT_NAME)" }, { "CFBundlePackageType", "$(PRODUCT_BUNDLE_PACKAGE_TYPE)" },
                { "CFBundleShortVersionString", "$(MARKETING_VERSION)" }, { "CFBundleVersion", "$(CURRENT_PROJECT_VERSION)" },
                { "CFBundleInfoDictionaryVersion", "6.0" }, { "CFBundleDevelopmentRegion", "$(DEVELOPMENT_LANGUAGE)" },
        };
        complete_generated(info, &target->settings);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(keys); i++) {
                const char *value = dext_settings_expand(&target->settings, keys[i][1], NULL);
                const char *given = OSDictionaryGetStringValue(info, keys[i][0]);
                /* Also what variables of another build system have left empty. */
                if ((!OSDictionaryGetValue(info, keys[i][0]) || (given && !*given)) && *value)
                        set_text(info, keys[i][0], value);
        }
}

/* --- checks --- */

static int check_personality(const struct dext_target *target, const char *name, OSObject *value, struct dext_report *report)
{
        static const struct wanted {
                const char *key, *expected;
        } wanted[] = {
                { "IOClass", "IOUserService" },
                { "IOProviderClass", "the class of the services to match on, such as IOUserResources" },
                { "IOUserClass", "the name of the driver's own class" },
        };
        OSDictionary *personality = OSDynamicCast(OSDictionary, value);
        int status = 0;

        if (!personality)
                return dext_fail(report, "%s: IOKitPersonalities, %s: not a dictionary", target->info_plist, name);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(wanted); i++) {
                const char *text = OSDictionaryGetStringValue(personality, wanted[i].key);
                if (!text || !*text)
                        status = dext_fail(report, "%s: IOKitPersonalities, %s: the key %s is missing, empty or no string; "
                                           "expected %s",
                                           target->info_plist, name, wanted[i].key, wanted[i].expected);
        }
        return status;
}

static int check_personalities(OSDictionary *info, const struct dext_target *target, struct dext_report *report)
{
        const char *path = target->info_plist ? target->info_plist : target->project;
        OSObject *value = OSDictionaryGetValue(info, "IOKitPersonalities");
        OSDictionary *personalities = value ? OSDynamicCast(OSDictionary, value) : NULL;
        int status = 0;

        if (!personalities || OSDictionaryGetCount(personalities) == 0)
                return dext_fail(report, "%s: the key IOKitPersonalities is %s; expected a dictionary of personalities, which say "
                                         "what the driver %s drives (IOProviderClass) and which of its classes does it "
                                                 "(IOUserClass)",
                                 path, !value ? "missing" : personalities ? "empty" : "no dictionary", target->name);
        for (size_t i = 0; i < OSDictionaryGetCount(personalities); i++)
                if (check_personality(target, OSDictionaryGetKeyAt(personalities, i), OSDictionaryGetValueAt(personalities, i),
                                      report) != 0)
                        status = DEXT_FAILED;
        return status;
}

static bool is_file_name(const char *name)
{
        return name && *name && name[0] != '.' && !strchr(name, '/');
}

static int check(OSDictionary *info, struct dext_target *target, struct dext_report *report)
{
        const char *path = target->info_plist ? target->info_plist : target->project;
        const char *executable = OSDictionaryGetStringValue(info, "CFBundleExecutable");
        const char *identifier = OSDictionaryGetStringValue(info, "CFBundleIdentifier");
        const char *product = dext_settings_text(&target->settings, "PRODUCT_NAME");

        if (!is_file_name(product))
                return dext_fail(report, "%s: PRODUCT_NAME \"%s\" is no file name; --set PRODUCT_NAME=NAME gives another",
                                 target->project ? target->project : path, product);
        if (!is_file_name(executable))
                return dext_fail(report, "%s: CFBundleExecutable \"%s\" must be a file name; $(EXECUTABLE_NAME) is usual", path,
                                 executable ? executable : "");
        if (strcmp(executable, "Info.plist") == 0 || dext_text_ends(executable, ".entitlements"))
                return dext_fail(report, "%s: CFBundleExecutable \"%s\" is the name of another file of the bundle", path,
                                 executable);
        if (!identifier || !*identifier)
                return dext_fail(report, "%s: the key CFBundleIdentifier is missing or empty; --set PRODUCT_BUNDLE_IDENTIFIER=ID "
                                 "says it", path);
        target->product = product;
        target->executable = dext_copy(executable, strlen(executable));
        target->identifier = dext_copy(identifier, strlen(identifier));
        return check_personalities(info, target, report);
}

static int read_entitlements(struct dext_info *info, const struct dext_target *target, const struct dext_tools *tools,
                             struct dext_report *report)
{
        if (!target->entitlements)
                return 0;
        info->entitlements = read_expanded(target, tools, true, report);
        if (!info->entitlements)
                return DEXT_FAILED;
        if (OSDictionaryGetValue(info->entitlements, dext_driverkit) != (OSObject *)kOSBooleanTrue)
                dext_note(report, "%s: the key %s is not there, or not true; without it a registry refuses the driver",
                          target->entitlements, dext_driverkit);
        return 0;
}

int dext_info_make(struct dext_info *info, struct dext_target *target, const struct dext_tools *tools, struct dext_report *report)
{
        if (!target->info_plist && !dext_settings_true(&target->settings, "GENERATE_INFOPLIST_FILE", false))
                return dext_fail(report, "%s: target %s has no Info.plist (INFOPLIST_FILE); a driver needs one, with "
                                 "IOKitPersonalities",
                                 target->project ? target->project : target->root, target->name);
        info->info = target->info_plist ? read_expanded(target, tools, false, report) : dext_must(OSDictionaryCreate());
        if (!info->info)
                return DEXT_FAILED;
        complete(info->info, target);
        int status = check(info->info, target, report);
        return read_entitlements(info, target, tools, report) != 0 ? DEXT_FAILED : status;
}

void dext_info_set_sanitizer(struct dext_info *info, const char *library)
{
        set_text(info->info, "AmbidextSanitizerRuntime", library);
}

/* --- classes --- */

struct classes {
        const struct dext_target *target;
        const struct dext_list *names;
        struct dext_report *report;
        int status;
};

/*
 * A personality's class must be there, or no driver starts. One that a dictionary inside of it names is asked for by Create,
 * perhaps never: drivers carry dictionaries that their code has forgotten.
 */
static void check_class(struct classes *classes, const char *name, const char *where, bool inside)
{
        struct dext_text known = { 0 };
        if (dext_list_has(classes->names, name))
                return;
        for (size_t i = 0; i < classes->names->count; i++)
                dext_text_add(&known, "%s%s", i ? ", " : "", classes->names->items[i]);
        const char *what = dext_format("%s: %s: IOUserClass \"%s\" is no class of the driver; it has %s",
                                       classes->target->info_plist, where, name, known.length ? known.data : "none");
        if (inside)
                dext_note(classes->report, "%s; Create will refuse", what);
        else
                classes->status = dext_fail(classes->report, "%s", what);
}

/* depth 1 are the personalities. */
static void check_classes_in(struct classes *classes, OSObject *value, const char *where, unsigned int depth)
{
        OSDictionary *dictionary = value ? OSDynamicCast(OSDictionary, value) : NULL;
        if (!dictionary)
                return;
        const char *name = OSDictionaryGetStringValue(dictionary, "IOUserClass");
        if (name)
                check_class(classes, name, where, depth > 1);
        for (size_t i = 0; i < OSDictionaryGetCount(dictionary); i++)
                check_classes_in(classes, OSDictionaryGetValueAt(dictionary, i),
                                 dext_format("%s, %s", where, OSDictionaryGetKeyAt(dictionary, i)), depth + 1);
}

int dext_info_check_classes(const struct dext_info *info, const struct dext_target *target, const struct dext_list *names,
                            struct dext_report *report)
{
        struct classes classes = { target, names, report, 0 };
        check_classes_in(&classes, OSDictionaryGetValue(info->info, "IOKitPersonalities"), "IOKitPersonalities", 0);
        return classes.status;
}

/* --- writing --- */

static int write_plist(OSDictionary *dictionary, const char *path, struct dext_report *report)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        int r = amb_plist_write((OSObject *)dictionary, false, &bytes, &length);

        if (r > 0)
                return dext_fail(report, "%s: its values cannot be written as a property list: too many, too deep, or with "
                                 "control characters",
                                 path);
        if (r == 0)
                r = dext_file_write(path, bytes, length);
        return r < 0 ? dext_fail(report, "%s: %s", path, strerror(-r)) : 0;
}

int dext_info_write(const struct dext_info *info, const struct dext_target *target, const char *bundle, struct dext_report *report)
{
        const char *entitlements = dext_format("%s/%s.entitlements", bundle, target->product);
        int status = write_plist(info->info, dext_format("%s/Info.plist", bundle), report);

        if (status == 0 && info->entitlements)
                return write_plist(info->entitlements, entitlements, report);
        if (status == 0 && unlink(entitlements) < 0 && errno != ENOENT)
                return dext_fail(report, "%s: %s", entitlements, strerror(errno));
        return status;
}

void dext_info_end(struct dext_info *info)
{
        OSObject_release((OSObject *)info->info);
        OSObject_release((OSObject *)info->entitlements);
        *info = (struct dext_info){ 0 };
}
