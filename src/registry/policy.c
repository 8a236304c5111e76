/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/policy.h"
#include "registry/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct grant {
        struct amb_link link;
        bool any, has_uid, has_gid;
        uid_t uid;
        gid_t gid;
        char *label, *listener, *executable;
        OSDictionary *entitlements;
};

struct amb_policy {
        struct amb_policy_resolver resolver;
        struct amb_link grants;
        size_t count;
};

/* A file being read: nothing of it is in the policy before all of it is right. */
struct reading {
        struct amb_policy *policy;
        const char *source;
        size_t grant;                   /* 1 is the first; 0: outside */
        struct amb_link grants;
        char *why;
};

static struct grant *grant_free(struct grant *grant)
{
        if (!grant)
                return NULL;
        amb_link_remove(&grant->link);
        OSObject_release(grant->entitlements);
        free(grant->label);
        free(grant->listener);
        free(grant->executable);
        free(grant);
        return NULL;
}

static void grants_free(struct amb_link *grants)
{
        struct grant *grant, *following;

        amb_list_for_safe(grant, following, grants, link)
                grant_free(grant);
}

struct amb_policy *amb_policy_new(const struct amb_policy_resolver *resolver)
{
        struct amb_policy *policy = amb_must(calloc(1, sizeof(*policy)));

        if (resolver)
                policy->resolver = *resolver;
        amb_list_init(&policy->grants);
        return policy;
}

struct amb_policy *amb_policy_free(struct amb_policy *policy)
{
        if (!policy)
                return NULL;
        grants_free(&policy->grants);
        free(policy);
        return NULL;
}

size_t amb_policy_count(const struct amb_policy *policy)
{
        return policy->count;
}

/* --- reading --- */

static int AMB_PRINTF(2, 3) refuse(struct reading *reading, const char *format, ...)
{
        AMB_FREE char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                amb_out_of_memory();
        va_end(arguments);
        if (reading->grant)
                reading->why = amb_must(amb_format("%s: grant %zu: %s", reading->source, reading->grant, text));
        else
                reading->why = amb_must(amb_format("%s: %s", reading->source, text));
        for (char *c = reading->why; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = '_';
        return AMB_POLICY_REFUSED;
}

/* A number fits 32 bits and is not the "unknown" one. */
static int read_id(struct reading *reading, const char *key, const OSObject *value, uint32_t *ret_id)
{
        const OSNumber *number = amb_object_cast(value, &gOSNumberMetaClass);
        const OSString *name = amb_object_cast(value, &gOSStringMetaClass);
        const struct amb_policy_resolver *resolver = &reading->policy->resolver;
        bool user = !strcmp(key, "User");
        uint32_t id = UINT32_MAX;

        if (number) {
                if (OSNumberGetUInt64Value(number) >= UINT32_MAX)
                        return refuse(reading, "Subject: %s %" PRIu64 " is no valid number; expected 0 to 4294967294", key,
                                      OSNumberGetUInt64Value(number));
                *ret_id = (uint32_t)OSNumberGetUInt64Value(number);
                return 0;
        }
        if (!name)
                return refuse(reading, "Subject: %s must be a name or a number", key);
        const char *text = OSStringGetStringPtr(name);
        bool known = user ? resolver->user && resolver->user(resolver->context, text, &id) :
                            resolver->group && resolver->group(resolver->context, text, &id);
        if (!known || id == UINT32_MAX)
                return refuse(reading, "Subject: there is no %s \"%s\"", user ? "user" : "group", text);
        *ret_id = id;
        return 0;
}

static int read_string(struct reading *reading, const char *key, const OSObject *value, char **ret_string)
{
        const OSString *string = amb_object_cast(value, &gOSStringMetaClass);

        if (!string || !OSStringGetLength(string))
                return refuse(reading, "Subject: %s must be a string that is not empty", key);
        *ret_string = amb_must_copy(OSStringGetStringPtr(string));
        return 0;
}

static int read_subject_key(struct reading *reading, struct grant *grant, const char *key, const OSObject *value)
{
        if (!strcmp(key, "User")) {
                grant->has_uid = true;
                return read_id(reading, key, value, &grant->uid);
        }
        if (!strcmp(key, "Group")) {
                grant->has_gid = true;
                return read_id(reading, key, value, &grant->gid);
        }
        if (!strcmp(key, "Any")) {
                grant->any = true;
                return value == (const OSObject *)kOSBooleanTrue ? 0 : refuse(reading, "Subject: Any must be true");
        }
        if (!strcmp(key, "Label"))
                return read_string(reading, key, value, &grant->label);
        if (!strcmp(key, "Listener"))
                return read_string(reading, key, value, &grant->listener);
        if (!strcmp(key, "Executable")) {
                int r = read_string(reading, key, value, &grant->executable);

                return r ? r : *grant->executable == '/' ? 0 : refuse(reading, "Subject: Executable must be an absolute path");
        }
        return refuse(reading, "Subject: unknown key \"%.100s\"; expected User, Group, Label, Listener, Any or Executable", key);
}

static int read_subject(struct reading *reading, struct grant *grant, const OSDictionary *subject)
{
        for (size_t i = 0; i < OSDictionaryGetCount(subject); i++) {
                int r = read_subject_key(reading, grant, OSDictionaryGetKeyAt(subject, i), OSDictionaryGetValueAt(subject, i));

                if (r)
                        return r;
        }
        if (!grant->any && !grant->has_uid && !grant->has_gid && !grant->label && !grant->listener)
                return refuse(reading,
                              "Subject must say who: User, Group, Label, Listener or Any; Executable can only narrow that");
        return 0;
}

static bool is_boolean(const OSObject *value)
{
        return amb_object_cast(value, &gOSBooleanMetaClass);
}

static bool is_array(const OSObject *value)
{
        return amb_object_cast(value, &gOSArrayMetaClass);
}

/* Can the two values of one key be merged, whoever ends up with both? */
static bool mergeable(const OSObject *one, const OSObject *other)
{
        return (is_boolean(one) && is_boolean(other)) || (is_array(one) && is_array(other)) || OSObjectIsEqual(one, other);
}

static int check_conflicts(struct reading *reading, const struct amb_link *grants, const OSDictionary *entitlements)
{
        const struct grant *grant;

        amb_list_for(grant, grants, link)
                for (size_t i = 0; i < OSDictionaryGetCount(entitlements); i++) {
                        const char *key = OSDictionaryGetKeyAt(entitlements, i);
                        const OSObject *there = OSDictionaryGetValue(grant->entitlements, key);

                        if (there && !mergeable(there, OSDictionaryGetValueAt(entitlements, i)))
                                return refuse(reading,
                                              "the value of %.200s cannot be merged with that of another grant; expected an "
                                              "array everywhere, a boolean everywhere, or the same value",
                                              key);
                }
        return 0;
}

static int read_grant(struct reading *reading, const OSObject *value)
{
        const OSDictionary *dictionary = amb_object_cast(value, &gOSDictionaryMetaClass);
        const OSDictionary *subject = dictionary ? OSDictionaryGetDictionaryValue(dictionary, "Subject") : NULL;
        const OSDictionary *entitlements = dictionary ? OSDictionaryGetDictionaryValue(dictionary, "Entitlements") : NULL;

        if (!dictionary)
                return refuse(reading, "not a dictionary");
        if (!subject || !entitlements)
                return refuse(reading, "the key %s is missing or not a dictionary", subject ? "Entitlements" : "Subject");
        for (size_t i = 0; i < OSDictionaryGetCount(dictionary); i++) {
                const char *key = OSDictionaryGetKeyAt(dictionary, i);

                if (strcmp(key, "Subject") && strcmp(key, "Entitlements"))
                        return refuse(reading, "unknown key \"%.100s\"; expected Subject and Entitlements", key);
        }
        struct grant *grant = amb_must(calloc(1, sizeof(*grant)));
        grant->entitlements = amb_must(OSDictionaryCreateCopy(entitlements));
        int r = read_subject(reading, grant, subject);
        if (!r)
                r = check_conflicts(reading, &reading->policy->grants, entitlements);
        if (!r)
                r = check_conflicts(reading, &reading->grants, entitlements);
        if (r) {
                grant_free(grant);
                return r;
        }
        amb_list_append(&reading->grants, &grant->link);
        return 0;
}

static int read_file(struct reading *reading, const OSObject *plist)
{
        const OSDictionary *file = amb_object_cast(plist, &gOSDictionaryMetaClass);

        if (!file)
                return refuse(reading, "not a dictionary");
        if (!amb_value_fits(plist))
                return refuse(reading, "nested more than %d deep, or more than %d values", AMB_VALUE_DEPTH_MAX,
                              AMB_VALUE_NODES_MAX);
        const OSNumber *version = amb_object_cast(OSDictionaryGetValue(file, "Version"), &gOSNumberMetaClass);
        const OSArray *grants = OSDictionaryGetArrayValue(file, "Grants");
        if (!version || OSNumberGetUInt64Value(version) != 1)
                return refuse(reading, "Version must be the integer 1");
        if (!grants)
                return refuse(reading, "the key Grants is missing or not an array");
        for (size_t i = 0; i < OSDictionaryGetCount(file); i++) {
                const char *key = OSDictionaryGetKeyAt(file, i);

                if (strcmp(key, "Version") && strcmp(key, "Grants"))
                        return refuse(reading, "unknown key \"%.100s\"; expected Version and Grants", key);
        }
        for (size_t i = 0; i < OSArrayGetCount(grants); i++) {
                reading->grant = i + 1;
                int r = read_grant(reading, OSArrayGetValue(grants, i));
                if (r)
                        return r;
        }
        return 0;
}

int amb_policy_add(struct amb_policy *policy, const OSObject *plist, const char *source, char **ret_why)
{
        struct reading reading = { .policy = policy, .source = source };

        amb_list_init(&reading.grants);
        int r = read_file(&reading, plist);
        *ret_why = reading.why;
        if (r) {
                grants_free(&reading.grants);
                return r;
        }
        while (!amb_list_empty(&reading.grants)) {
                struct grant *grant = amb_list_first(&reading.grants, struct grant, link);

                amb_link_remove(&grant->link);
                amb_list_append(&policy->grants, &grant->link);
                policy->count++;
        }
        return 0;
}

/* --- asking --- */

static bool in_group(const struct amb_principal *principal, gid_t gid)
{
        if (principal->gid == gid)
                return true;
        for (size_t i = 0; i < principal->group_count; i++)
                if (principal->groups[i] == gid)
                        return true;
        return false;
}

static bool same(const char *wanted, const char *is)
{
        return !wanted || (is && !strcmp(wanted, is));
}

static bool matches(const struct grant *grant, const struct amb_principal *principal)
{
        return principal->uid != (uid_t)-1 && (!grant->has_uid || grant->uid == principal->uid) &&
               (!grant->has_gid || in_group(principal, grant->gid)) && same(grant->label, principal->label) &&
               same(grant->listener, principal->listener) && same(grant->executable, principal->executable);
}

static bool contains(const OSArray *array, const OSObject *value)
{
        for (size_t i = 0; i < OSArrayGetCount(array); i++)
                if (OSObjectIsEqual(OSArrayGetValue(array, i), value))
                        return true;
        return false;
}

/* The arrays of the result are its own, so that joining changes no grant. */
static OSObject *joined(const OSObject *there, const OSObject *added)
{
        OSArray *all = amb_must(OSArrayCreate());
        const OSArray *parts[] = { (const OSArray *)there, (const OSArray *)added };

        for (size_t part = 0; part < AMB_ARRAY_LENGTH(parts); part++)
                for (size_t i = 0; parts[part] && i < OSArrayGetCount(parts[part]); i++) {
                        OSObject *member = OSArrayGetValue(parts[part], i);

                        if (!contains(all, member))
                                amb_must_true(OSArrayAppendValue(all, member));
                }
        return (OSObject *)all;
}

static void merge(OSDictionary *result, const OSDictionary *entitlements)
{
        for (size_t i = 0; i < OSDictionaryGetCount(entitlements); i++) {
                const char *key = OSDictionaryGetKeyAt(entitlements, i);
                OSObject *there = OSDictionaryGetValue(result, key), *value = OSDictionaryGetValueAt(entitlements, i);

                if (is_array(value)) {
                        OSObject *array = joined(there, value);

                        amb_must_true(OSDictionarySetValue(result, key, array));
                        OSObject_release(array);
                } else if (there != (OSObject *)kOSBooleanTrue) {
                        amb_must_true(OSDictionarySetValue(result, key, value));
                }
        }
}

OSDictionary *amb_policy_entitlements(const struct amb_policy *policy, const struct amb_principal *principal)
{
        OSDictionary *result = amb_must(OSDictionaryCreate());
        const struct grant *grant;

        amb_list_for(grant, &policy->grants, link)
                if (matches(grant, principal))
                        merge(result, grant->entitlements);
        return result;
}
