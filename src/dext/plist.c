/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an Info.plist, or entitlements, come from: a file; a template of it; a file that the C preprocessor goes over first
 * (INFOPLIST_PREPROCESS); properties that a project writes out itself.
 */
#include <ctype.h>
#include <fcntl.h>

#include <DriverKit/OSCollections.h>

#include "dext/dext.h"
#include "dext/info.h"
#include "object/plist.h"

const char dext_driverkit[] = "com.apple.developer.driverkit";

/* --- files --- */

/* NULL: *ret_why. */
static OSDictionary *read_dictionary(const char *path, const char **ret_why)
{
        OSObject *value = NULL;
        AMB_FREE char *why = NULL;
        int r = amb_plist_read_file(AT_FDCWD, path, &value, &why);

        if (r != 0) {
                *ret_why = dext_format("%s: %s", path, r < 0 ? strerror(-r) : why ? why : "not a property list");
                return NULL;
        }
        OSDictionary *dictionary = OSDynamicCast(OSDictionary, value);
        if (!dictionary) {
                OSObject_release(value);
                *ret_why = dext_format("%s: its outermost value must be a dictionary", path);
        }
        return dictionary;
}

enum dext_plist_kind dext_plist_look(const char *path)
{
        const char *why;
        OSDictionary *dictionary = read_dictionary(path, &why);
        enum dext_plist_kind kind = DEXT_PLIST_OTHER;

        if (!dictionary)
                return DEXT_PLIST_BROKEN;
        if (OSDictionaryGetValue(dictionary, "IOKitPersonalities"))
                kind = DEXT_PLIST_DRIVER;
        else if (OSDictionaryGetValue(dictionary, dext_driverkit))
                kind = DEXT_PLIST_ENTITLEMENTS;
        else if (OSDictionaryGetValue(dictionary, "CFBundleIdentifier") || OSDictionaryGetValue(dictionary, "CFBundleExecutable") ||
                 OSDictionaryGetValue(dictionary, "CFBundlePackageType"))
                kind = DEXT_PLIST_PRODUCT;
        OSObject_release((OSObject *)dictionary);
        return kind;
}

const char *dext_plist_server(const char *path)
{
        const char *why, *found = NULL;
        OSDictionary *dictionary = read_dictionary(path, &why);
        OSDictionary *personalities = dictionary ? OSDictionaryGetDictionaryValue(dictionary, "IOKitPersonalities") : NULL;

        for (size_t i = 0; personalities && !found && i < OSDictionaryGetCount(personalities); i++) {
                OSDictionary *personality = OSDynamicCast(OSDictionary, OSDictionaryGetValueAt(personalities, i));
                const char *name = personality ? OSDictionaryGetStringValue(personality, "IOUserServerName") : NULL;
                if (name && *name && !strchr(name, '$'))
                        found = dext_copy(name, strlen(name));
        }
        OSObject_release((OSObject *)dictionary);
        return found;
}

const char *dext_plist_text(const char *path, const char *key)
{
        const char *why;
        OSDictionary *dictionary = read_dictionary(path, &why);
        const char *text = dictionary ? OSDictionaryGetStringValue(dictionary, key) : NULL;

        text = text ? dext_copy(text, strlen(text)) : NULL;
        OSObject_release((OSObject *)dictionary);
        return text;
}

/* --- made of something else --- */

/* NULL: said. */
static OSDictionary *parse(const char *text, const char *path, struct dext_report *report)
{
        AMB_FREE char *why = NULL;
        OSObject *value = NULL;

        if (!text)
                return NULL;
        if (amb_plist_parse(text, strlen(text), &value, &why) == 0 && OSDynamicCast(OSDictionary, value))
                return (OSDictionary *)value;
        dext_fail(report, "%s: %s", path, why ? why : "its outermost value must be a dictionary");
        OSObject_release(value);
        return NULL;
}

static void add_words(struct dext_list *arguments, const struct dext_target *target, const char *setting, const char *option)
{
        struct dext_list words = { 0 };
        dext_list_split(&words, dext_settings_text(&target->settings, setting));
        for (size_t i = 0; i < words.count; i++) {
                const char *word = words.items[i];
                bool known = strncmp(word, "-D", 2) == 0 || strncmp(word, "-U", 2) == 0 || strncmp(word, "-traditional", 12) == 0;
                if (option ? *word : known)
                        dext_list_add(arguments, option ? dext_format("%s%s", option, word) : word);
        }
}

/* NULL: said; and what the preprocessor said stands on standard error. */
static OSDictionary *read_preprocessed(const struct dext_target *target, const struct dext_tools *tools, const char *path,
                                       struct dext_report *report)
{
        static const char *const always[] = { "-E", "-P", "-w", "-x", "c" };
        const char *prefix = dext_settings_text(&target->settings, "INFOPLIST_PREFIX_HEADER");
        struct dext_list arguments = { 0 };

        dext_list_add(&arguments, tools->clang);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(always); i++)
                dext_list_add(&arguments, always[i]);
        add_words(&arguments, target, "INFOPLIST_OTHER_PREPROCESSOR_FLAGS", NULL);
        add_words(&arguments, target, "INFOPLIST_PREPROCESSOR_DEFINITIONS", "-D");
        if (*prefix) {
                dext_list_add(&arguments, "-include");
                dext_list_add(&arguments, dext_path_join(target->root, prefix));
        }
        dext_list_add(&arguments, path);
        dext_list_add(&arguments, NULL);
        const char *text = dext_tools_output(arguments.items);
        if (!text)
                dext_fail(report, "%s: the C preprocessor, which the project wants to go over it (INFOPLIST_PREPROCESS), failed",
                          path);
        else
                text += strspn(text, " \t\r\n");       /* where directives were; XML begins with its declaration */
        return parse(text, path, report);
}

/* --- properties --- */

static OSObject *object_of(const struct dext_node *node);

static OSDictionary *dictionary_of(const struct dext_node *node)
{
        OSDictionary *dictionary = dext_must(OSDictionaryCreate());
        for (const struct dext_node *inner = node->first; inner; inner = inner->next) {
                OSObject *value = object_of(inner);
                dext_must(OSDictionarySetValue(dictionary, inner->key, value) ? dictionary : NULL);
                OSObject_release(value);
        }
        return dictionary;
}

/* An integer as YAML writes it, in ten or sixteen. */
static bool is_integer(const char *text, long long *ret)
{
        const char *digits = text + (*text == '-' || *text == '+');
        bool hexadecimal = digits[0] == '0' && digits[1] == 'x' && isxdigit((unsigned char)digits[2]);
        char *end;
        if (!isdigit((unsigned char)*digits))
                return false;
        errno = 0;
        *ret = strtoll(text, &end, hexadecimal ? 16 : 10);
        return !*end && errno == 0;
}

/* What its text looks like, unless it stands in quotes. */
static OSObject *scalar_of(const struct dext_node *node)
{
        static const char *const words[] = { "false", "true", "no", "yes", "NO", "YES" };
        long long number;
        for (size_t i = 0; node->plain && i < AMB_ARRAY_LENGTH(words); i++)
                if (strcmp(node->text, words[i]) == 0) {
                        OSObject *value = (OSObject *)(i % 2 ? kOSBooleanTrue : kOSBooleanFalse);
                        OSObject_retain(value);
                        return value;
                }
        if (node->plain && is_integer(node->text, &number))
                return dext_must(OSNumber_withNumber((uint64_t)number, 64));
        return dext_must(OSString_withCString(node->text));
}

/* A new reference. */
static OSObject *object_of(const struct dext_node *node)
{
        if (node->kind == DEXT_DICTIONARY)
                return (OSObject *)dictionary_of(node);
        if (node->kind == DEXT_STRING)
                return scalar_of(node);
        OSArray *array = dext_must(OSArray_withCapacity(8));
        for (const struct dext_node *inner = node->first; inner; inner = inner->next) {
                OSObject *value = object_of(inner);
                dext_must(OSArray_setObject(array, value) ? array : NULL);
                OSObject_release(value);
        }
        return (OSObject *)array;
}

OSDictionary *dext_plist_read(const struct dext_target *target, const struct dext_tools *tools, bool entitlements,
                              struct dext_report *report)
{
        const char *path = entitlements ? target->entitlements : target->info_plist, *why = NULL;
        const struct dext_node *properties = entitlements ? target->entitlement_properties : target->info_properties;
        const char *template = dext_format("%s.in", path);

        if (properties)
                return dictionary_of(properties);
        if (!dext_is_file(path) && dext_is_file(template))
                return parse(dext_template_fill(target, template, report), template, report);
        if (!entitlements && dext_settings_true(&target->settings, "INFOPLIST_PREPROCESS", false))
                return read_preprocessed(target, tools, path, report);
        OSDictionary *read = read_dictionary(path, &why);
        if (!read)
                dext_fail(report, "%s", why);
        return read;
}
