/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding services, handles as the contract counts them, and the state of a service. Contract: lifecycle-registry 6.1, 6.2,
 * 6.6, 6.8; call-path 2.10.
 */
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include "client/iterator.h"
#include "client/remote.h"

/* Not a handle that the table gives out: index 0. */
const mach_port_t mach_task_self_ = 0x103;
const mach_port_t kIOMainPortDefault = MACH_PORT_NULL;
const mach_port_t kIOMasterPortDefault = MACH_PORT_NULL;

/* --- the main port --- */

static struct {
        pthread_mutex_t lock;
        mach_port_t handle;             /* 0, or one that had references when it was last asked for */
} main_port_state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void main_free(struct amb_target *target)
{
        free(target);
}

static const struct amb_target_class main_class = { .kind = AMB_HANDLE_MAIN, .free = main_free };

kern_return_t IOMainPort(mach_port_t bootstrap, mach_port_t *main_port)
{
        struct amb_target *target;
        kern_return_t code = KERN_SUCCESS;

        (void)bootstrap;
        pthread_mutex_lock(&main_port_state.lock);
        if (!main_port_state.handle || amb_handle_retain(main_port_state.handle, true)) {
                target = calloc(1, sizeof(*target));
                if (target)
                        amb_target_init(target, &main_class);
                if (!target || amb_handle_new(target, &main_port_state.handle) < 0) {
                        free(target);
                        code = kIOReturnNoMemory;
                }
        }
        if (code == KERN_SUCCESS)
                *main_port = main_port_state.handle;
        pthread_mutex_unlock(&main_port_state.lock);
        return code;
}

kern_return_t IOMasterPort(mach_port_t bootstrap, mach_port_t *main_port)
{
        return IOMainPort(bootstrap, main_port);
}

static bool main_port_valid(mach_port_t main_port)
{
        struct amb_target *target;

        if (main_port == MACH_PORT_NULL)
                return true;
        if (amb_handle_get(main_port, AMB_HANDLE_MAIN, &target))
                return false;
        amb_target_unref(target);
        return true;
}

/* --- matching --- */

static CFMutableDictionaryRef matching_string(const char *key, const char *value)
{
        OSDictionary *dictionary;
        CFStringRef string;

        string = value ? CFStringCreateWithCString(NULL, value, kCFStringEncodingUTF8) : NULL;
        if (!string)
                return NULL;
        dictionary = OSDictionaryCreate();
        if (dictionary && !OSDictionarySetValue(dictionary, key, (void *)string)) {
                OSObject_release(dictionary);
                dictionary = NULL;
        }
        CFRelease(string);
        return (CFMutableDictionaryRef)dictionary;
}

CFMutableDictionaryRef IOServiceMatching(const char *name)
{
        return matching_string(kIOProviderClassKey, name);
}

CFMutableDictionaryRef IOServiceNameMatching(const char *name)
{
        return matching_string(kIONameMatchKey, name);
}

CFMutableDictionaryRef IOBSDNameMatching(mach_port_t main_port, uint32_t options, const char *bsd_name)
{
        (void)main_port;
        (void)options;
        return matching_string(kIOBSDNameKey, bsd_name);
}

CFMutableDictionaryRef IORegistryEntryIDMatching(uint64_t entry_id)
{
        OSDictionary *dictionary = OSDictionaryCreate();

        if (dictionary && !OSDictionarySetUInt64Value(dictionary, kIORegistryEntryIDKey, entry_id)) {
                OSObject_release(dictionary);
                dictionary = NULL;
        }
        return (CFMutableDictionaryRef)dictionary;
}

/* Asks, without taking the dictionary. No registry: nothing found. */
static kern_return_t find(mach_port_t main_port, CFDictionaryRef matching, struct amb_ids *ret)
{
        kern_return_t code;
        int r;

        if (!main_port_valid(main_port))
                return kIOReturnNotPrivileged;
        if (CFGetTypeID(matching) != CFDictionaryGetTypeID())
                return kIOReturnBadArgument;
        r = amb_remote_find((const OSDictionary *)matching, &code, ret);
        if (r == -EINVAL)
                return kIOReturnUnsupported;
        if (r == -E2BIG)
                return kIOReturnMessageTooLarge;
        return r < 0 ? KERN_SUCCESS : code;
}

io_service_t IOServiceGetMatchingService(mach_port_t main_port, CFDictionaryRef matching)
{
        AMB_IDS ids = { 0 };
        kern_return_t code;

        if (!matching)
                return IO_OBJECT_NULL;
        code = find(main_port, matching, &ids);
        CFRelease(matching);
        return code || ids.count == 0 ? IO_OBJECT_NULL : amb_handle_of_entry(ids.list[0]);
}

kern_return_t IOServiceGetMatchingServices(mach_port_t main_port, CFDictionaryRef matching, io_iterator_t *existing)
{
        AMB_IDS ids = { 0 };
        kern_return_t code;

        if (!matching)
                return kIOReturnBadArgument;
        code = find(main_port, matching, &ids);
        CFRelease(matching);
        if (code)
                return code;
        *existing = IO_OBJECT_NULL;
        if (ids.count == 0)
                return KERN_SUCCESS;
        *existing = amb_iterator_of_ids(&ids);
        return *existing ? KERN_SUCCESS : kIOReturnNoMemory;
}

kern_return_t IOServiceMatchPropertyTable(io_service_t service, CFDictionaryRef matching, boolean_t *matches)
{
        struct amb_known_entry *entry;
        AMB_IDS ids = { 0 };
        kern_return_t code;
        bool found = false;

        if (!matching)
                return kIOReturnBadArgument;
        code = amb_handle_get(service, AMB_HANDLE_ENTRY, &entry);
        if (code)
                return code;
        code = find(MACH_PORT_NULL, matching, &ids);
        for (size_t i = 0; i < ids.count && !found; i++)
                found = ids.list[i] == entry->id;
        amb_target_unref(entry);
        if (code == KERN_SUCCESS)
                *matches = found;
        return code;
}

/* --- handles --- */

kern_return_t IOObjectRetain(io_object_t object)
{
        return object ? amb_handle_retain(object, false) : KERN_SUCCESS;
}

kern_return_t IOObjectRelease(io_object_t object)
{
        return object ? amb_handle_release(object, false) : KERN_SUCCESS;
}

boolean_t IOObjectIsEqualTo(io_object_t object, io_object_t other)
{
        return object == other;
}

uint32_t IOObjectGetUserRetainCount(io_object_t object)
{
        return amb_handle_user_references(object);
}

/* --- state --- */

static kern_return_t service_look(io_service_t service, uint64_t *ret_id, struct amb_snapshot *ret)
{
        struct amb_known_entry *entry;
        kern_return_t code;
        int r;

        code = amb_handle_get(service, AMB_HANDLE_ENTRY, &entry);
        if (code)
                return code;
        *ret_id = entry->id;
        r = amb_remote_entry(entry->id, &code, ret);
        amb_target_unref(entry);
        if (r < 0)
                return amb_remote_code(r);
        if (code == MACH_SEND_INVALID_DEST)
                amb_handle_kill(service);
        return code;
}

kern_return_t IOServiceGetState(io_service_t service, uint64_t *state)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;
        uint64_t id;

        code = service_look(service, &id, &snapshot);
        *state = code ? 0 : snapshot.state;
        return code;
}

kern_return_t IOServiceGetBusyState(io_service_t service, uint32_t *busy)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;
        uint64_t id;

        code = service_look(service, &id, &snapshot);
        *busy = code ? 0 : snapshot.busy;
        return code;
}

kern_return_t IOKitGetBusyState(mach_port_t main_port, uint32_t *busy)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;
        int r;

        if (!main_port_valid(main_port))
                return kIOReturnNotPrivileged;
        r = amb_remote_entry(AMB_REMOTE_ROOT, &code, &snapshot);
        if (r < 0)
                code = amb_remote_code(r);
        *busy = code ? 0 : snapshot.busy;
        return code;
}

static kern_return_t wait_quiet(uint64_t entry, const mach_timespec_t *wait)
{
        uint64_t nanoseconds = UINT64_MAX;
        kern_return_t code;
        int r;

        if (wait)
                nanoseconds = wait->tv_sec * 1000000000ull + (uint64_t)(wait->tv_nsec > 0 ? wait->tv_nsec : 0);
        r = amb_remote_wait_quiet(entry, nanoseconds, &code);
        return r < 0 ? amb_remote_code(r) : code;
}

kern_return_t IOServiceWaitQuiet(io_service_t service, mach_timespec_t *wait)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;
        uint64_t id;

        code = service_look(service, &id, &snapshot);
        return code ? code : wait_quiet(id, wait);
}

kern_return_t IOKitWaitQuiet(mach_port_t main_port, mach_timespec_t *wait)
{
        return main_port_valid(main_port) ? wait_quiet(AMB_REMOTE_ROOT, wait) : kIOReturnNotPrivileged;
}
