/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IORegistryEntry... and the IOObject calls that look at an entry. Each asks the daemon once for a snapshot of the entry.
 * Contract: lifecycle-registry 6.6, 6.7.
 */
#include <IOKit/IOKitLib.h>

#include "client/entry.h"
#include "client/iterator.h"

kern_return_t amb_entry_look(mach_port_t handle, uint64_t *ret_id, struct amb_snapshot *ret)
{
        struct amb_known_entry *entry;
        kern_return_t code;
        int r;

        code = amb_handle_get(handle, AMB_HANDLE_ENTRY, &entry);
        if (code)
                return code;
        if (ret_id)
                *ret_id = entry->id;
        r = amb_remote_entry(entry->id, &code, ret);
        amb_target_unref(entry);
        if (r < 0)
                return amb_remote_code(r);
        if (code == MACH_SEND_INVALID_DEST)
                amb_handle_kill(handle);
        return code;
}

#define LONGEST_PATH 16384

static bool plane_known(const char *plane)
{
        return strcmp(plane, kIOServicePlane) == 0;
}

static void name_copy(char *to, const char *from, size_t size)
{
        size_t length = strlen(from);

        if (length >= size)
                length = size - 1;
        memcpy(to, from, length);
        to[length] = 0;
}

io_registry_entry_t IORegistryGetRootEntry(mach_port_t main_port)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;

        (void)main_port;
        if (amb_remote_entry(AMB_REMOTE_ROOT, &code, &snapshot) < 0 || code)
                return IO_OBJECT_NULL;
        return amb_handle_of_entry(AMB_REMOTE_ROOT);
}

kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;

        code = amb_entry_look(entry, NULL, &snapshot);
        if (code == KERN_SUCCESS)
                name_copy(name, snapshot.name, sizeof(io_name_t));
        return code;
}

kern_return_t IORegistryEntryGetNameInPlane(io_registry_entry_t entry, const char *plane, io_name_t name)
{
        (void)plane;
        return IORegistryEntryGetName(entry, name);
}

/* Puts "/name" before what stands at *at, which grows towards the buffer's start. */
static bool path_prepend(char *start, char **at, const char *name)
{
        size_t length = strlen(name);

        if ((size_t)(*at - start) < length + 1)
                return false;
        *at -= length;
        memcpy(*at, name, length);
        *--*at = '/';
        return true;
}

/* Writes the path at the end of `buffer`, of `size` bytes; *ret is its start. */
static kern_return_t path_make(io_registry_entry_t entry, const char *plane, char *buffer, size_t size, char **ret)
{
        char *at = buffer + size - 1;
        AMB_SNAPSHOT snapshot = { 0 };
        size_t prefix = strlen(kIOServicePlane ":");
        kern_return_t code;
        uint64_t id;

        code = amb_entry_look(entry, &id, &snapshot);
        if (code)
                return code;
        if (!plane_known(plane))
                return kIOReturnBadArgument;
        *at = 0;
        while (id != AMB_REMOTE_ROOT) {
                if (snapshot.parents.count == 0 || !path_prepend(buffer + prefix, &at, snapshot.name))
                        return kIOReturnBadArgument;
                id = snapshot.parents.list[0];
                amb_snapshot_clear(&snapshot);
                if (amb_remote_entry(id, &code, &snapshot) < 0 || code)
                        return kIOReturnBadArgument;
        }
        if (!*at)
                *--at = '/';
        at -= prefix;
        memcpy(at, kIOServicePlane ":", prefix);
        *ret = at;
        return KERN_SUCCESS;
}

kern_return_t IORegistryEntryGetPath(io_registry_entry_t entry, const char *plane, io_string_t path)
{
        char buffer[sizeof(io_string_t)], *start;
        kern_return_t code = path_make(entry, plane, buffer, sizeof(buffer), &start);

        if (code == KERN_SUCCESS)
                memcpy(path, start, strlen(start) + 1);
        return code;
}

CFStringRef IORegistryEntryCopyPath(io_registry_entry_t entry, const char *plane)
{
        char buffer[LONGEST_PATH + 1], *start;

        return path_make(entry, plane, buffer, sizeof(buffer), &start) ? NULL : (CFStringRef)OSStringCreate(start, SIZE_MAX);
}

/* The child of `id` that is called `name` (not terminated); 0: none. */
static uint64_t child_named(uint64_t id, const char *name, size_t length)
{
        AMB_SNAPSHOT parent = { 0 };
        kern_return_t code;

        if (amb_remote_entry(id, &code, &parent) < 0 || code)
                return 0;
        for (size_t i = 0; i < parent.children.count; i++) {
                AMB_SNAPSHOT child = { 0 };

                if (amb_remote_entry(parent.children.list[i], &code, &child) < 0 || code)
                        continue;
                if (strlen(child.name) == length && memcmp(child.name, name, length) == 0)
                        return parent.children.list[i];
        }
        return 0;
}

io_registry_entry_t IORegistryEntryFromPath(mach_port_t main_port, const char *path)
{
        size_t prefix = strlen(kIOServicePlane ":");
        uint64_t id = AMB_REMOTE_ROOT;
        AMB_SNAPSHOT root = { 0 };
        kern_return_t code;

        (void)main_port;
        if (strncmp(path, kIOServicePlane ":", prefix) != 0 || path[prefix] != '/' ||
            amb_remote_entry(id, &code, &root) < 0 || code)
                return IO_OBJECT_NULL;
        for (path += prefix + 1; *path && id;) {
                size_t length = strcspn(path, "/");

                id = child_named(id, path, length);
                path += length;
                path += *path == '/';
        }
        return id ? amb_handle_of_entry(id) : IO_OBJECT_NULL;
}

io_registry_entry_t IORegistryEntryCopyFromPath(mach_port_t main_port, CFStringRef path)
{
        const char *text = path ? CFStringGetCStringPtr(path, kCFStringEncodingUTF8) : NULL;

        return text ? IORegistryEntryFromPath(main_port, text) : IO_OBJECT_NULL;
}

/* Only hardware's buses give locations. */
kern_return_t IORegistryEntryGetLocationInPlane(io_registry_entry_t entry, const char *plane, io_name_t location)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code = amb_entry_look(entry, NULL, &snapshot);

        (void)plane;
        (void)location;
        return code ? code : kIOReturnNotFound;
}

kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entry_id)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;
        uint64_t id;

        code = amb_entry_look(entry, &id, &snapshot);
        *entry_id = code ? 0 : id;
        return code;
}

boolean_t IORegistryEntryInPlane(io_registry_entry_t entry, const char *plane)
{
        AMB_SNAPSHOT snapshot = { 0 };
        uint64_t id;

        (void)plane;
        return amb_entry_look(entry, &id, &snapshot) == 0 && (id == AMB_REMOTE_ROOT || snapshot.parents.count > 0);
}

/* --- properties --- */

kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry, CFMutableDictionaryRef *properties,
                                                CFAllocatorRef allocator, IOOptionBits options)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;

        (void)allocator;
        (void)options;
        code = amb_entry_look(entry, NULL, &snapshot);
        if (code == KERN_SUCCESS)
                *properties = (CFMutableDictionaryRef)amb_steal(snapshot.properties);
        return code;
}

static const OSObject *property_of(const struct amb_snapshot *snapshot, CFStringRef key)
{
        const char *name = CFStringGetCStringPtr(key, kCFStringEncodingUTF8);

        return name ? OSDictionaryGetValue(snapshot->properties, name) : NULL;
}

/* The names of all properties, which can be asked for like a property (lifecycle-registry 196). */
static CFTypeRef property_keys(const struct amb_snapshot *snapshot)
{
        OSArray *keys = OSArrayCreate();

        for (size_t i = 0; keys && i < OSDictionaryGetCount(snapshot->properties); i++)
                if (!OSArrayAppendStringValue(keys, OSDictionaryGetKeyAt(snapshot->properties, i))) {
                        OSObject_release(keys);
                        keys = NULL;
                }
        return keys;
}

static CFTypeRef property_copy(const struct amb_snapshot *snapshot, CFStringRef key)
{
        const OSObject *value = property_of(snapshot, key);

        if (!value && CFEqual(key, CFSTR("IORegistryEntryPropertyKeys")))
                return property_keys(snapshot);
        return value ? CFRetain(value) : NULL;
}

CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key, CFAllocatorRef allocator,
                                          IOOptionBits options)
{
        AMB_SNAPSHOT snapshot = { 0 };

        (void)allocator;
        (void)options;
        return key && amb_entry_look(entry, NULL, &snapshot) == 0 ? property_copy(&snapshot, key) : NULL;
}

CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const char *plane, CFStringRef key,
                                          CFAllocatorRef allocator, IOOptionBits options)
{
        AMB_SNAPSHOT snapshot = { 0 };
        CFTypeRef value;
        AMB_IDS ids = { 0 };
        kern_return_t code;
        uint64_t id;

        (void)plane;
        (void)allocator;
        if (!key || amb_entry_look(entry, &id, &snapshot))
                return NULL;
        value = property_copy(&snapshot, key);
        if (value || !(options & kIORegistryIterateRecursively) || amb_walk(id, options, &ids) < 0)
                return value;
        for (size_t i = 0; i < ids.count && !value; i++) {
                amb_snapshot_clear(&snapshot);
                if (amb_remote_entry(ids.list[i], &code, &snapshot) == 0 && code == 0)
                        value = property_copy(&snapshot, key);
        }
        return value;
}

/* The bytes that IORegistryEntryGetProperty gives for a value; false for containers. `number` holds a number's. */
static bool property_bytes(const OSObject *value, uint64_t *number, const void **ret_bytes, size_t *ret_size)
{
        const OSString *string = OSDynamicCast(OSString, value);
        const OSNumber *integer = OSDynamicCast(OSNumber, value);
        const OSData *data = OSDynamicCast(OSData, value);

        if (string) {
                *ret_bytes = OSStringGetStringPtr(string);
                *ret_size = OSStringGetLength(string) + 1;
        } else if (data) {
                *ret_size = OSDataGetLength(data);
                *ret_bytes = OSDataGetBytesPtr(data, 0, *ret_size);
        } else if (integer) {
                *number = htole64(OSNumberGetUInt64Value(integer));
                *ret_bytes = number;
                *ret_size = OSNumberGetBits(integer) / 8;
        } else if (OSDynamicCast(OSBoolean, value)) {
                bool yes = value == (const OSObject *)kOSBooleanTrue;

                *ret_bytes = yes ? "Yes" : "No";
                *ret_size = yes ? sizeof("Yes") : sizeof("No");
        } else {
                return false;
        }
        return true;
}

kern_return_t IORegistryEntryGetProperty(io_registry_entry_t entry, const char *name, io_struct_inband_t buffer,
                                         uint32_t *size)
{
        AMB_SNAPSHOT snapshot = { 0 };
        const OSObject *value;
        kern_return_t code;
        const void *bytes;
        uint64_t number;
        size_t length;

        code = amb_entry_look(entry, NULL, &snapshot);
        if (code)
                return code;
        value = OSDictionaryGetValue(snapshot.properties, name);
        if (!value)
                return kIOReturnNoResources;
        if (!property_bytes(value, &number, &bytes, &length))
                return kIOReturnBadArgument;
        if (length > *size)
                return kIOReturnIPCError;
        if (length > 0)
                memcpy(buffer, bytes, length);
        *size = (uint32_t)length;
        return KERN_SUCCESS;
}

/* --- the tree --- */

static kern_return_t relatives(io_registry_entry_t entry, const char *plane, bool parents, struct amb_ids *ret)
{
        AMB_SNAPSHOT snapshot = { 0 };
        struct amb_ids *wanted;
        kern_return_t code;

        code = amb_entry_look(entry, NULL, &snapshot);
        if (code)
                return code;
        if (!plane_known(plane))
                return KERN_SUCCESS;
        wanted = parents ? &snapshot.parents : &snapshot.children;
        *ret = *wanted;
        *wanted = (struct amb_ids){ 0 };
        return KERN_SUCCESS;
}

static kern_return_t relatives_iterator(io_registry_entry_t entry, const char *plane, bool parents, io_iterator_t *iterator)
{
        struct amb_ids ids = { 0 };
        kern_return_t code;

        code = relatives(entry, plane, parents, &ids);
        if (code)
                return code;
        *iterator = IO_OBJECT_NULL;
        if (!plane_known(plane))
                return KERN_SUCCESS;
        *iterator = amb_iterator_of_ids(&ids);
        return *iterator ? KERN_SUCCESS : kIOReturnNoMemory;
}

static kern_return_t relatives_first(io_registry_entry_t entry, const char *plane, bool parents, io_registry_entry_t *ret)
{
        AMB_IDS ids = { 0 };
        io_registry_entry_t first;
        kern_return_t code;

        code = relatives(entry, plane, parents, &ids);
        if (code)
                return code;
        if (ids.count == 0)
                return kIOReturnNoDevice;
        first = amb_handle_of_entry(ids.list[0]);
        if (!first)
                return kIOReturnNoMemory;
        *ret = first;
        return KERN_SUCCESS;
}

kern_return_t IORegistryEntryGetChildIterator(io_registry_entry_t entry, const char *plane, io_iterator_t *iterator)
{
        return relatives_iterator(entry, plane, false, iterator);
}

kern_return_t IORegistryEntryGetParentIterator(io_registry_entry_t entry, const char *plane, io_iterator_t *iterator)
{
        return relatives_iterator(entry, plane, true, iterator);
}

kern_return_t IORegistryEntryGetChildEntry(io_registry_entry_t entry, const char *plane, io_registry_entry_t *child)
{
        return relatives_first(entry, plane, false, child);
}

kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const char *plane, io_registry_entry_t *parent)
{
        return relatives_first(entry, plane, true, parent);
}

static kern_return_t walk_iterator(uint64_t id, const char *plane, IOOptionBits options, io_iterator_t *iterator)
{
        int r;

        if (!plane_known(plane))
                return kIOReturnBadArgument;
        r = amb_iterator_of_walk(id, options, iterator);
        return r < 0 ? amb_remote_code(r) : KERN_SUCCESS;
}

kern_return_t IORegistryCreateIterator(mach_port_t main_port, const char *plane, IOOptionBits options,
                                       io_iterator_t *iterator)
{
        (void)main_port;
        return walk_iterator(AMB_REMOTE_ROOT, plane, options, iterator);
}

kern_return_t IORegistryEntryCreateIterator(io_registry_entry_t entry, const char *plane, IOOptionBits options,
                                            io_iterator_t *iterator)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;
        uint64_t id;

        code = amb_entry_look(entry, &id, &snapshot);
        return code ? code : walk_iterator(id, plane, options, iterator);
}

/* --- classes --- */

/* What is no entry has a class too. */
static const char *class_of_target(enum amb_handle_kind kind)
{
        switch (kind) {
        case AMB_HANDLE_ITERATOR:
                return "IOUserIterator";
        case AMB_HANDLE_NOTIFICATION:
                return "IOServiceMessageUserNotification";
        case AMB_HANDLE_CONNECTION:
                return "IOUserUserClient";
        default:
                return NULL;
        }
}

kern_return_t IOObjectGetClass(io_object_t object, io_name_t class_name)
{
        AMB_SNAPSHOT snapshot = { 0 };
        struct amb_target *target;
        enum amb_handle_kind kind;
        kern_return_t code;

        code = amb_handle_get_any(object, &target);
        if (code)
                return code;
        kind = target->class->kind;
        amb_target_unref(target);
        if (kind != AMB_HANDLE_ENTRY) {
                if (!class_of_target(kind))
                        return kIOReturnBadArgument;
                name_copy(class_name, class_of_target(kind), sizeof(io_name_t));
                return KERN_SUCCESS;
        }
        code = amb_entry_look(object, NULL, &snapshot);
        if (code == KERN_SUCCESS)
                name_copy(class_name, snapshot.class, sizeof(io_name_t));
        return code;
}

CFStringRef IOObjectCopyClass(io_object_t object)
{
        io_name_t name;

        if (IOObjectGetClass(object, name))
                return NULL;
        return CFStringCreateWithCString(NULL, name, kCFStringEncodingUTF8);
}

uint32_t IOObjectGetKernelRetainCount(io_object_t object)
{
        struct amb_target *target;
        uint32_t count;

        if (amb_handle_get_any(object, &target))
                return 0;
        count = atomic_load(&target->references) - 1;           /* without the one that we have taken to look */
        amb_target_unref(target);
        return count;
}

uint32_t IOObjectGetRetainCount(io_object_t object)
{
        return IOObjectGetKernelRetainCount(object);
}

/* The class behind this one in an entry's classes; NULL: not there, or the last. */
static CFStringRef superclass_in(const OSArray *classes, const char *name)
{
        for (size_t i = 0; i + 1 < OSArrayGetCount(classes); i++)
                if (strcmp(OSArrayGetStringValue(classes, i), name) == 0)
                        return (CFStringRef)OSStringCreate(OSArrayGetStringValue(classes, i + 1), SIZE_MAX);
        return NULL;
}

CFStringRef IOObjectCopySuperclassForClass(CFStringRef class_name)
{
        const char *name = class_name ? CFStringGetCStringPtr(class_name, kCFStringEncodingUTF8) : NULL;
        CFStringRef found = NULL;
        AMB_IDS ids = { 0 };
        kern_return_t code;

        if (!name || amb_walk(AMB_REMOTE_ROOT, kIORegistryIterateRecursively, &ids) < 0)
                return NULL;
        for (size_t i = 0; i < ids.count && !found; i++) {
                AMB_SNAPSHOT snapshot = { 0 };

                if (amb_remote_entry(ids.list[i], &code, &snapshot) == 0 && code == 0)
                        found = superclass_in(snapshot.classes, name);
        }
        return found;
}

boolean_t IOObjectConformsTo(io_object_t object, const char *class_name)
{
        AMB_SNAPSHOT snapshot = { 0 };
        io_name_t name;

        if (amb_entry_look(object, NULL, &snapshot))
                return IOObjectGetClass(object, name) == 0 && strcmp(name, class_name) == 0;
        if (strcmp(snapshot.class, class_name) == 0)
                return TRUE;
        for (size_t i = 0; i < OSArrayGetCount(snapshot.classes); i++)
                if (strcmp(OSArrayGetStringValue(snapshot.classes, i), class_name) == 0)
                        return TRUE;
        return FALSE;
}
