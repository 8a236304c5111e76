/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles and personalities. An Info.plist may hold anything: every mistake is told in a sentence that names the key, the
 * personality and what is expected. A personality with a mistake is left out (5.1, 5.2); a bundle without a usable one is refused.
 */
#include "registry/entitlements.h"
#include "registry/internal.h"

#include <stdarg.h>
#include <stdio.h>

enum { SENTENCES_MAX = 32 };

struct report {
        char *text;
        size_t length;
        unsigned sentences;
};

static void AMB_PRINTF(2, 3) say(struct report *report, const char *format, ...)
{
        char *sentence = NULL;
        va_list arguments;

        if (report->sentences++ >= SENTENCES_MAX)
                return;
        va_start(arguments, format);
        int length = vasprintf(&sentence, format, arguments);
        va_end(arguments);
        if (length < 0)
                amb_out_of_memory();
        /* What a plist calls things goes to terminals. */
        for (char *c = sentence; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = '_';
        report->text = amb_must(realloc(report->text, report->length + (size_t)length + 2));
        if (report->length)
                report->text[report->length++] = '\n';
        memcpy(report->text + report->length, sentence, (size_t)length + 1);
        report->length += (size_t)length;
        free(sentence);
}

/* --- size --- */

static bool fits_length(size_t length, struct amb_size *left)
{
        if (!left->nodes || length > left->bytes)
                return false;
        left->nodes--;
        left->bytes -= length;
        return true;
}

static bool fits(const OSObject *value, unsigned depth, struct amb_size *left)
{
        const OSArray *array = amb_object_cast(value, &gOSArrayMetaClass);
        const OSDictionary *dictionary = amb_object_cast(value, &gOSDictionaryMetaClass);
        const OSString *string = amb_object_cast(value, &gOSStringMetaClass);
        const OSData *data = amb_object_cast(value, &gOSDataMetaClass);

        if ((array || dictionary) && depth >= AMB_VALUE_DEPTH_MAX)
                return false;
        if (!fits_length(string ? OSStringGetLength(string) : data ? OSDataGetLength(data) : 0, left))
                return false;
        for (size_t i = 0; array && i < OSArrayGetCount(array); i++)
                if (!fits(OSArrayGetValue(array, i), depth + 1, left))
                        return false;
        for (size_t i = 0; dictionary && i < OSDictionaryGetCount(dictionary); i++)
                if (!fits_length(strlen(OSDictionaryGetKeyAt(dictionary, i)), left) ||
                    !fits(OSDictionaryGetValueAt(dictionary, i), depth + 1, left))
                        return false;
        return true;
}

bool amb_values_fit(const OSObject *one, const OSObject *other, size_t *ret_weight)
{
        const struct amb_size most = { AMB_VALUE_NODES_MAX, AMB_VALUE_BYTES_MAX };
        struct amb_size left = most;

        if ((one && !fits(one, 0, &left)) || (other && !fits(other, 0, &left)))
                return false;
        *ret_weight = (most.nodes - left.nodes) * AMB_NODE_WEIGHT + most.bytes - left.bytes;
        return true;
}

bool amb_value_fits(const OSObject *value)
{
        size_t weight;

        return amb_values_fit(value, NULL, &weight);
}

/* --- life --- */

struct amb_bundle *amb_bundle_find(const struct amb_registry *registry, const char *id)
{
        struct amb_bundle *bundle;

        amb_list_for(bundle, &registry->bundles, link)
                if (!strcmp(bundle->id, id))
                        return bundle;
        return NULL;
}

struct amb_bundle *amb_bundle_ref(struct amb_bundle *bundle)
{
        if (bundle)
                bundle->references++;
        return bundle;
}

void amb_bundle_unref(struct amb_bundle *bundle)
{
        if (!bundle || --bundle->references)
                return;
        OSObject_release(bundle->entitlements);
        free(bundle->path);
        free(bundle->id);
        free(bundle);
}

struct amb_personality *amb_personality_ref(struct amb_personality *personality)
{
        if (personality)
                personality->references++;
        return personality;
}

void amb_personality_unref(struct amb_personality *personality)
{
        if (!personality || --personality->references)
                return;
        OSObject_release(personality->dictionary);
        amb_bundle_unref(personality->bundle);
        free(personality);
}

static void bundle_drop(struct amb_registry *registry, struct amb_bundle *bundle)
{
        struct amb_personality *personality, *following;

        amb_list_for_safe(personality, following, &registry->personalities, link)
                if (personality->bundle == bundle) {
                        personality->removed = true;
                        amb_link_remove(&personality->link);
                        amb_personality_unref(personality);
                }
        bundle->removed = true;
        amb_link_remove(&bundle->link);
        amb_bundle_unref(bundle);
}

void amb_catalogue_free(struct amb_registry *registry)
{
        while (!amb_list_empty(&registry->bundles))
                bundle_drop(registry, amb_list_first(&registry->bundles, struct amb_bundle, link));
}

/* --- checking --- */

static bool is_identifier(const char *text)
{
        if (!*text || (*text >= '0' && *text <= '9'))
                return false;
        for (; *text; text++)
                if (!(*text == '_' || (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
                      (*text >= 'A' && *text <= 'Z')))
                        return false;
        return true;
}

static bool short_string(const char *text)
{
        return text && *text && strlen(text) <= AMB_NAME_MAX;
}

/* A key that must be a string of 1 to 127 bytes; says so if it is not. */
static const char *wanted_string(struct report *report, const OSDictionary *dictionary, const char *where, const char *key,
                                 const char *expected)
{
        const OSObject *value = OSDictionaryGetValue(dictionary, key);
        const char *text = OSDictionaryGetStringValue(dictionary, key);

        if (short_string(text))
                return text;
        if (!value)
                say(report, "%s: the key %s is missing; expected %s.", where, key, expected);
        else if (!text)
                say(report, "%s: the key %s is not a string; expected %s.", where, key, expected);
        else
                say(report, "%s: the key %s must have 1 to %d bytes; expected %s.", where, key, AMB_NAME_MAX, expected);
        return NULL;
}

/* An absent key gets its default; returns false if it is there and wrong. */
static bool string_with_default(struct report *report, OSDictionary *dictionary, const char *where, const char *key,
                                const char *otherwise)
{
        if (OSDictionaryGetValue(dictionary, key))
                return wanted_string(report, dictionary, where, key, "a string, or no such key");
        amb_must_true(OSDictionarySetStringValue(dictionary, key, otherwise));
        return true;
}

static bool check_classes(const struct amb_registry *registry, struct report *report, const OSDictionary *dictionary,
                          const char *where)
{
        const char *provider = wanted_string(report, dictionary, where, "IOProviderClass",
                                             "the class of the services to match on, such as IOUserResources");
        const char *class = wanted_string(report, dictionary, where, "IOClass", "IOUserService");
        const char *user = wanted_string(report, dictionary, where, "IOUserClass", "the name of the driver's own class");
        const struct amb_class *found = class ? amb_class_find(registry, class) : NULL;

        if (provider && !strcmp(provider, "IOResources"))
                say(report, "%s: a driver cannot attach to IOResources; IOProviderClass should be IOUserResources.", where);
        if (class && (!found || !amb_class_conforms(found, "IOService") || amb_class_conforms(found, "IOUserClient") ||
                      amb_class_conforms(found, "IOResources") || amb_class_conforms(found, "IOUserResources")))
                say(report, "%s: IOClass \"%s\" is no class for a driver's service; expected IOUserService.", where, class);
        if (user && !is_identifier(user))
                say(report, "%s: IOUserClass \"%s\" is not a class name; expected letters, digits and '_'.", where, user);
        return provider;
}

/* 5.1: 32 bits, signed; no number counts 0. */
static int32_t score_of(const OSDictionary *dictionary)
{
        return (int32_t)(uint32_t)OSDictionaryGetUInt64Value(dictionary, "IOProbeScore");
}

/* A checked copy of a personality with its defaults filled in; NULL: it has mistakes, which were said. */
static struct amb_personality *personality_new(const struct amb_registry *registry, struct report *report,
                                               struct amb_bundle *bundle, const char *name, const OSObject *value)
{
        const OSDictionary *given = amb_object_cast(value, &gOSDictionaryMetaClass);
        AMB_FREE char *where = amb_must(amb_format("IOKitPersonalities, \"%.100s\"", name));
        unsigned before = report->sentences;

        if (!given) {
                say(report, "%s: not a dictionary.", where);
                return NULL;
        }
        OSDictionary *dictionary = amb_must(OSDictionaryCreateCopy(given));
        check_classes(registry, report, dictionary, where);
        if (string_with_default(report, dictionary, where, "CFBundleIdentifier", bundle->id) &&
            strcmp(OSDictionaryGetStringValue(dictionary, "CFBundleIdentifier"), bundle->id))
                say(report, "%s: CFBundleIdentifier names another bundle; expected \"%s\", or no such key.", where, bundle->id);
        string_with_default(report, dictionary, where, "IOUserServerName", bundle->id);
        string_with_default(report, dictionary, where, "IOMatchCategory", "IODefaultMatchCategory");
        /* A driver's entry holds it twice: as its properties and as IOMatchedPersonality. */
        size_t weight;
        if (!amb_values_fit((OSObject *)dictionary, (OSObject *)dictionary, &weight))
                say(report, "%s: too large: %d values or %d bytes are allowed.", where, AMB_VALUE_NODES_MAX / 2,
                    AMB_VALUE_BYTES_MAX / 2);
        if (report->sentences != before) {
                OSObject_release(dictionary);
                return NULL;
        }
        struct amb_personality *personality = amb_must(calloc(1, sizeof(*personality)));
        *personality = (struct amb_personality){
                .references = 1,
                .bundle = amb_bundle_ref(bundle),
                .dictionary = dictionary,
                .one_process = OSDictionaryGetValue(dictionary, "IOUserServerOneProcess"),
                .score = score_of(dictionary),
                .class = amb_class_find(registry, OSDictionaryGetStringValue(dictionary, "IOClass")),
                .provider_class = OSDictionaryGetStringValue(dictionary, "IOProviderClass"),
                .user_class = OSDictionaryGetStringValue(dictionary, "IOUserClass"),
                .server_name = OSDictionaryGetStringValue(dictionary, "IOUserServerName"),
                .category = OSDictionaryGetStringValue(dictionary, "IOMatchCategory"),
        };
        return personality;
}

/* Best score first; among equals, the one that came first. An exact duplicate is dropped. */
static void personality_add(struct amb_registry *registry, struct amb_personality *personality)
{
        struct amb_personality *other;
        struct amb_link *before = NULL;

        amb_list_for(other, &registry->personalities, link) {
                if (other->bundle == personality->bundle && OSObjectIsEqual(other->dictionary, personality->dictionary)) {
                        amb_personality_unref(personality);
                        return;
                }
                if (!before && other->score < personality->score)
                        before = &other->link;
        }
        amb_list_append(before ? before : &registry->personalities, &personality->link);
}

/* Everything about the bundle but its personalities. */
static IOReturn check_bundle(const struct amb_registry *registry, struct report *report, const OSDictionary *info,
                             const OSDictionary *entitlements, const char **ret_id, const OSDictionary **ret_personalities)
{
        const char *id = wanted_string(report, info, "Info.plist", "CFBundleIdentifier", "an id such as com.example.driver.name");
        const OSObject *personalities = OSDictionaryGetValue(info, "IOKitPersonalities");
        const OSDictionary *dictionary = amb_object_cast(personalities, &gOSDictionaryMetaClass);

        if (!personalities)
                say(report, "Info.plist: the key IOKitPersonalities is missing; expected a dictionary of personalities, which are "
                            "dictionaries themselves.");
        else if (!dictionary)
                say(report, "Info.plist: the key IOKitPersonalities is not a dictionary; expected a dictionary of personalities.");
        else if (!OSDictionaryGetCount(dictionary))
                say(report, "Info.plist: IOKitPersonalities is empty; expected at least one personality.");
        if (report->sentences)
                return kIOReturnBadArgument;
        if (amb_bundle_find(registry, id)) {
                say(report, "A driver bundle with the CFBundleIdentifier \"%s\" is loaded already, from %s; unload that first.", id,
                    amb_bundle_find(registry, id)->path);
                return kIOReturnExclusiveAccess;
        }
        if (!amb_entitlements_true(entitlements, AMB_ENTITLEMENT_DRIVERKIT)) {
                say(report, "The entitlements of \"%s\" lack %s; expected that key with the boolean value true.", id,
                    AMB_ENTITLEMENT_DRIVERKIT);
                return kIOReturnNotPermitted;
        }
        *ret_id = id;
        *ret_personalities = dictionary;
        return kIOReturnSuccess;
}

static IOReturn bundle_add(struct amb_registry *registry, struct report *report, const char *path, const OSDictionary *info,
                           const OSDictionary *entitlements)
{
        const OSDictionary *personalities = NULL;
        const char *id = NULL;
        IOReturn code = check_bundle(registry, report, info, entitlements, &id, &personalities);
        size_t usable = 0;

        if (code)
                return code;
        struct amb_bundle *bundle = amb_must(calloc(1, sizeof(*bundle)));
        *bundle = (struct amb_bundle){ .references = 1, .id = amb_must_copy(id), .path = amb_must_copy(path) };
        bundle->entitlements = amb_must(OSDictionaryCreateCopy(entitlements));
        amb_list_append(&registry->bundles, &bundle->link);
        for (size_t i = 0; i < OSDictionaryGetCount(personalities); i++) {
                struct amb_personality *personality =
                        personality_new(registry, report, bundle, OSDictionaryGetKeyAt(personalities, i),
                                        OSDictionaryGetValueAt(personalities, i));
                if (!personality)
                        continue;
                personality_add(registry, personality);
                usable++;
        }
        if (usable)
                return kIOReturnSuccess;
        bundle_drop(registry, bundle);
        return kIOReturnBadArgument;
}

IOReturn amb_registry_add_bundle(struct amb_registry *registry, const char *path, const OSObject *info,
                                 const OSObject *entitlements, uint64_t now, char **ret_why)
{
        const OSDictionary *dictionary = amb_object_cast(info, &gOSDictionaryMetaClass);
        const OSDictionary *held = amb_object_cast(entitlements, &gOSDictionaryMetaClass);
        struct report report = { NULL, 0, 0 };
        IOReturn code = kIOReturnBadArgument;

        if (!dictionary)
                say(&report, "Info.plist is not a dictionary.");
        else if (entitlements && !held)
                say(&report, "The entitlements are not a dictionary.");
        else if (!amb_value_fits(info) || !amb_value_fits(entitlements))
                say(&report, "Info.plist or the entitlements are nested more than %d deep or have more than %d values.",
                    AMB_VALUE_DEPTH_MAX, AMB_VALUE_NODES_MAX);
        else
                code = bundle_add(registry, &report, path, dictionary, held);
        *ret_why = report.text;
        if (code)
                return code;
        amb_pass_everything(registry, amb_bundle_find(registry, OSDictionaryGetStringValue(dictionary, "CFBundleIdentifier")), now);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

IOReturn amb_registry_remove_bundle(struct amb_registry *registry, const char *bundle_id, uint64_t now)
{
        struct amb_bundle *bundle = amb_bundle_find(registry, bundle_id);

        if (!bundle)
                return kIOReturnNotFound;
        /* Whoever it could have matched is matched again, without it: another driver may take the place. */
        amb_pass_everything(registry, bundle, now);
        amb_bundle_ref(bundle);
        bundle_drop(registry, bundle);
        for (struct amb_entry *entry = registry->root; entry; entry = amb_entry_after(registry, entry, registry->root))
                if (entry->bundle == bundle && amb_active(entry) && entry->start != AMB_START_NONE)
                        amb_terminate(registry, entry);
        amb_bundle_unref(bundle);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

const char *amb_registry_bundle_path(const struct amb_registry *registry, const char *bundle_id)
{
        const struct amb_bundle *bundle = amb_bundle_find(registry, bundle_id);

        return bundle ? bundle->path : NULL;
}

bool amb_registry_bundle_holds(const struct amb_registry *registry, const char *bundle_id, const char *entitlement)
{
        const struct amb_bundle *bundle = amb_bundle_find(registry, bundle_id);

        return bundle && amb_entitlements_true(bundle->entitlements, entitlement);
}
