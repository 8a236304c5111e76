/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/types.h>

#include "registry/entitlements.h"
#include "registry/internal.h"

static bool is_true(const OSObject *value)
{
        return value == (const OSObject *)kOSBooleanTrue;
}

static bool present(const OSDictionary *entitlements, const OSObject *key)
{
        const OSString *string = amb_object_cast(key, &gOSStringMetaClass);

        return string && OSDictionaryGetValue(entitlements, OSStringGetStringPtr(string));
}

static bool all_present(const OSDictionary *entitlements, const OSArray *keys)
{
        size_t count = OSArrayGetCount(keys);

        for (size_t i = 0; i < count; i++)
                if (!present(entitlements, OSArrayGetValue(keys, i)))
                        return false;
        return count;
}

/* The first member says which form the array has; members of the other form satisfy nothing. */
static bool any_present(const OSDictionary *entitlements, const OSArray *array)
{
        bool nested = amb_object_cast(OSArrayGetValue(array, 0), &gOSArrayMetaClass);

        for (size_t i = 0; i < OSArrayGetCount(array); i++) {
                const OSObject *member = OSArrayGetValue(array, i);
                const OSArray *inner = amb_object_cast(member, &gOSArrayMetaClass);

                if (nested ? inner && all_present(entitlements, inner) : present(entitlements, member))
                        return true;
        }
        return false;
}

enum amb_verdict amb_entitlements_check(const OSDictionary *entitlements, const OSObject *requirement)
{
        const OSArray *array = amb_object_cast(requirement, &gOSArrayMetaClass);

        if (!requirement)
                return AMB_VERDICT_ALLOW;
        if (!entitlements)
                return AMB_VERDICT_DENY;
        if (array ? any_present(entitlements, array) : present(entitlements, requirement))
                return AMB_VERDICT_ALLOW;
        return AMB_VERDICT_DENY;
}

bool amb_entitlements_true(const OSDictionary *entitlements, const char *key)
{
        return entitlements && is_true(OSDictionaryGetValue(entitlements, key));
}

/* 3.3 D: an array that has the id, the id itself, or a dictionary with the id as a key. Exact. */
static bool names_bundle(const OSObject *value, const char *bundle_id)
{
        const OSString *string = amb_object_cast(value, &gOSStringMetaClass);
        const OSArray *array = amb_object_cast(value, &gOSArrayMetaClass);
        const OSDictionary *dictionary = amb_object_cast(value, &gOSDictionaryMetaClass);

        if (string)
                return !strcmp(OSStringGetStringPtr(string), bundle_id);
        if (dictionary)
                return OSDictionaryGetValue(dictionary, bundle_id);
        for (size_t i = 0; array && i < OSArrayGetCount(array); i++) {
                const char *member = OSArrayGetStringValue(array, i);

                if (member && !strcmp(member, bundle_id))
                        return true;
        }
        return false;
}

enum amb_verdict amb_entitlements_allow_open(const OSDictionary *app, const OSDictionary *driver, const char *bundle_id)
{
        const OSArray *access = app ? OSDictionaryGetArrayValue(app, AMB_ENTITLEMENT_DRIVER_ACCESS) : NULL;

        if (access && amb_entitlements_check(driver, (const OSObject *)access) == AMB_VERDICT_ALLOW)
                return AMB_VERDICT_ALLOW;
        if (amb_entitlements_true(driver, AMB_ENTITLEMENT_ALLOW_ANY))
                return AMB_VERDICT_ALLOW;
        if (app && bundle_id && *bundle_id &&
            names_bundle(OSDictionaryGetValue(app, AMB_ENTITLEMENT_USERCLIENT_ACCESS), bundle_id))
                return AMB_VERDICT_ALLOW;
        return AMB_VERDICT_DENY;
}

IOReturn amb_entitlements_check_user_client(const OSDictionary *app, const OSDictionary *user_client)
{
        const OSObject *wanted = OSDictionaryGetValue(user_client, "IOUserClientEntitlements");
        const OSString *key = amb_object_cast(wanted, &gOSStringMetaClass);

        if (amb_entitlements_check(app, OSDictionaryGetValue(user_client, "IOServiceDEXTEntitlements")) != AMB_VERDICT_ALLOW)
                return kIOReturnNotPermitted;
        if (!wanted || wanted == (const OSObject *)kOSBooleanFalse)
                return kIOReturnSuccess;
        return key && amb_entitlements_true(app, OSStringGetStringPtr(key)) ? kIOReturnSuccess : kIOReturnNotPrivileged;
}

OSDictionary *amb_entitlements_of_client(const OSDictionary *granted, uid_t uid, const char *creator)
{
        OSDictionary *client = amb_must(granted ? OSDictionaryCreateCopy(granted) : OSDictionaryCreate());

        OSDictionaryRemoveValue(client, AMB_ENTITLEMENT_ADMINISTRATOR);
        if (uid == 0)
                amb_must_true(OSDictionarySetBooleanValue(client, AMB_ENTITLEMENT_ADMINISTRATOR, true));
        amb_must_true(OSDictionarySetStringValue(client, AMB_ENTITLEMENT_CREATOR, creator));
        return client;
}
