/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting properties from an application. No service that a driver extension makes takes any (its SetProperties is never
 * called), so what these calls do is refuse, with the code that says why. Contract: lifecycle-registry 2.5, 6.7.
 */
#include <IOKit/IOKitLib.h>

#include "client/cf.h"
#include "client/entry.h"
#include "control/value.h"

#define ALLOWABLE "IORegistryEntryAllowableSetProperties"

/* Would the properties reach a registry at all? A value that is no dictionary travels like one with a single member. */
static kern_return_t properties_travel(CFTypeRef properties)
{
        OSDictionary *dictionary = OSDynamicCast(OSDictionary, properties), *around = NULL;
        size_t bytes;
        int r;

        if (!dictionary) {
                dictionary = around = OSDictionaryCreate();
                if (!around || !OSDictionarySetValue(around, "", (OSObject *)(uintptr_t)properties)) {
                        OSObject_release(around);
                        return kIOReturnNoMemory;
                }
        }
        r = amb_dictionary_measure(dictionary, &bytes);
        OSObject_release(around);
        return r == -E2BIG ? kIOReturnMessageTooLarge : r < 0 ? kIOReturnUnsupported : KERN_SUCCESS;
}

static bool allowable(const OSArray *list, const char *key)
{
        for (size_t i = 0; i < OSArrayGetCount(list); i++) {
                const char *name = OSArrayGetStringValue(list, i);

                if (name && strcmp(name, key) == 0)
                        return true;
        }
        return false;
}

/* What the entry's list of settable keys says; an entry without one leaves it to its class. */
static kern_return_t list_check(const struct amb_snapshot *snapshot, CFTypeRef properties)
{
        const OSObject *value = OSDictionaryGetValue(snapshot->properties, ALLOWABLE);
        const OSDictionary *dictionary = OSDynamicCast(OSDictionary, properties);
        const OSArray *list = OSDynamicCast(OSArray, value);

        if (!value)
                return KERN_SUCCESS;
        if (!list || !dictionary)
                return kIOReturnNotPermitted;
        for (size_t i = 0; i < OSDictionaryGetCount(dictionary); i++)
                if (!allowable(list, OSDictionaryGetKeyAt(dictionary, i)))
                        return kIOReturnBadArgument;
        return KERN_SUCCESS;
}

/* kIOReturnUnsupported is what a class says that takes no properties: all of them. */
static kern_return_t entry_set(io_registry_entry_t entry, CFTypeRef properties)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code = amb_entry_look(entry, NULL, &snapshot);

        if (code == KERN_SUCCESS)
                code = list_check(&snapshot, properties);
        if (code == KERN_SUCCESS && strcmp(snapshot.class, kIOResourcesClass) == 0 && geteuid() != 0)
                code = kIOReturnNotPrivileged;
        return code ? code : kIOReturnUnsupported;
}

kern_return_t IORegistryEntrySetCFProperties(io_registry_entry_t entry, CFTypeRef properties)
{
        struct amb_target *target;
        enum amb_handle_kind kind;
        kern_return_t code;

        properties = amb_cf_object(properties);
        if (!properties)
                return kIOReturnBadArgument;
        code = properties_travel(properties);
        if (code == KERN_SUCCESS)
                code = amb_handle_get_any(entry, &target);
        if (code)
                return code;
        kind = target->class->kind;
        amb_target_unref(target);
        if (kind == AMB_HANDLE_CONNECTION)
                return kIOReturnUnsupported;
        return kind == AMB_HANDLE_ENTRY ? entry_set(entry, properties) : kIOReturnBadArgument;
}

kern_return_t IORegistryEntrySetCFProperty(io_registry_entry_t entry, CFStringRef key, CFTypeRef property)
{
        CFDictionaryRef dictionary;
        kern_return_t code;

        if (!key || !property)
                return kIOReturnBadArgument;
        dictionary = CFDictionaryCreate(NULL, (const void *[]){ key }, (const void *[]){ property }, 1, NULL, NULL);
        if (!dictionary)
                return kIOReturnNoMemory;
        code = IORegistryEntrySetCFProperties(entry, dictionary);
        CFRelease(dictionary);
        return code;
}

kern_return_t IOConnectSetCFProperties(io_connect_t connect, CFTypeRef properties)
{
        return IORegistryEntrySetCFProperties(connect, properties);
}

kern_return_t IOConnectSetCFProperty(io_connect_t connect, CFStringRef key, CFTypeRef property)
{
        return IORegistryEntrySetCFProperty(connect, key, property);
}

kern_return_t IOServiceRequestProbe(io_service_t service, uint32_t options)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code = amb_entry_look(service, NULL, &snapshot);

        (void)options;
        return code ? code : kIOReturnUnsupported;
}
