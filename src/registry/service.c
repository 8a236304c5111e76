/* SPDX-License-Identifier: Apache-2.0 */
/* What hosts report and ask about their services: Start's result, registration, names, properties, new services. */
#include "registry/internal.h"

#include <inttypes.h>

#include <mach/mach_error.h>

IOReturn amb_registry_start_done(struct amb_registry *registry, uint64_t host, uint64_t id, IOReturn code, uint64_t now)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        if (!entry || entry->start != AMB_START_CALLED)
                return kIOReturnBadArgument;
        amb_queue_log(registry, code ? AMB_LOG_WARNING : AMB_LOG_INFO, "%s-0x%" PRIx64 "::start(%s-0x%" PRIx64 ") %s (0x%x)%s%s%s",
                      entry->name, entry->id, entry->parent->name, entry->parent->id, code ? "fail" : "ok", (unsigned)code,
                      code ? ": " : "", code ? mach_error_string(code) : "",
                      code ? "; what the driver or its host logged before this line says why" : "");
        if (code) {
                entry->start = AMB_START_FAILED;
                amb_terminate(registry, entry);
        } else {
                entry->start = AMB_START_DONE;
                entry->started_at = now;
                if (entry->register_wanted)
                        amb_pass_request(registry, entry, false);
                amb_group_started(registry, entry);
        }
        amb_work_add(registry, entry);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

IOReturn amb_registry_register_service(struct amb_registry *registry, uint64_t host, uint64_t id, uint64_t now)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        if (!entry)
                return kIOReturnNotPermitted;
        if (entry->start == AMB_START_CALLED)
                entry->register_wanted = true;
        else
                amb_pass_request(registry, entry, false);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

IOReturn amb_registry_set_name(struct amb_registry *registry, uint64_t host, uint64_t id, const char *name)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        if (!entry)
                return kIOReturnNotPermitted;
        free(entry->name);
        entry->name = amb_name_clean(name);
        return kIOReturnSuccess;
}

IOReturn amb_registry_set_properties(struct amb_registry *registry, uint64_t host, uint64_t id, const OSDictionary *changes,
                                     const OSArray *removed)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        /* A user client that is being opened: its properties come with the driver's answer. */
        if (amb_open_client(registry, host, id))
                return kIOReturnSuccess;
        if (!entry)
                return kIOReturnNotPermitted;
        OSDictionary *runtime = amb_must(entry->runtime ? OSDictionaryCreateCopy(entry->runtime) : OSDictionaryCreate());
        if (changes)
                amb_must_true(OSDictionaryMerge(runtime, changes));
        for (size_t i = 0; removed && i < OSArrayGetCount(removed); i++) {
                const char *key = OSArrayGetStringValue(removed, i);

                if (key)
                        OSDictionaryRemoveValue(runtime, key);
        }
        /* What came bit by bit must not grow beyond what can be read at once. */
        size_t weight;
        if (!amb_values_fit((OSObject *)entry->properties, (OSObject *)runtime, &weight) ||
            !amb_host_weigh(registry, entry->host, entry, weight)) {
                OSObject_release(runtime);
                return kIOReturnNoResources;
        }
        OSObject_release(entry->runtime);
        entry->runtime = runtime;
        return kIOReturnSuccess;
}

/* 1.8. User clients are not made here: they come with an open. But services may be made below one that is being opened. */
IOReturn amb_registry_create_service(struct amb_registry *registry, uint64_t host, uint64_t parent_id,
                                     const OSDictionary *properties, uint64_t *ret_entry)
{
        struct amb_entry *client = amb_open_client(registry, host, parent_id);

        if (client && amb_active(client->service))
                amb_open_place(registry, client);
        struct amb_entry *parent = amb_host_entry(registry, host, parent_id);
        if (!parent)
                return client ? kIOReturnUnsupported : kIOReturnNotPermitted;
        size_t weight;
        if (!amb_object_cast(properties, &gOSDictionaryMetaClass) || !amb_values_fit((const OSObject *)properties, NULL, &weight))
                return kIOReturnBadArgument;
        const char *class_name = OSDictionaryGetStringValue(properties, "IOClass");
        const char *user_class = OSDictionaryGetStringValue(properties, "IOUserClass");
        if (!class_name)
                return kIOReturnBadArgument;
        const struct amb_class *class = amb_class_find(registry, class_name);
        if (!class || !amb_class_conforms(class, "IOService") || amb_class_conforms(class, "IOUserClient") ||
            amb_class_conforms(class, "IOResources") || amb_class_conforms(class, "IOUserResources") || !amb_active(parent) ||
            !amb_entry_has_room(registry, parent) || parent->host->entry_count >= registry->limits.entries_per_host)
                return kIOReturnUnsupported;
        struct amb_entry *entry = amb_entry_new(registry, 0, class, user_class ? user_class : class_name);
        if (!amb_host_weigh(registry, parent->host, entry, weight)) {
                amb_entry_free(registry, entry);
                return kIOReturnUnsupported;
        }
        const char *bundle_id = OSDictionaryGetStringValue(parent->properties, "CFBundleIdentifier");
        amb_must_true(OSDictionaryMerge(entry->properties, properties));
        /* It is no candidate of matching, so it takes no category. */
        OSDictionaryRemoveValue(entry->properties, "IOMatchCategory");
        if (bundle_id)
                amb_must_true(OSDictionarySetStringValue(entry->properties, "CFBundleIdentifier", bundle_id));
        amb_must_true(OSDictionarySetStringValue(entry->properties, "IOUserServerName", parent->host->server_name));
        entry->bundle = amb_bundle_ref(parent->bundle);
        amb_entry_attach(registry, entry, parent);
        amb_host_add(parent->host, entry);
        *ret_entry = entry->id;
        return kIOReturnSuccess;
}

/* 6.9: what a driver adds is kept apart, so that it can neither underflow nor hide the registry's own share. */
IOReturn amb_registry_adjust_busy(struct amb_registry *registry, uint64_t host, uint64_t id, int32_t delta)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        if (!entry)
                return kIOReturnNotPermitted;
        int64_t adjusted = (int64_t)entry->adjusted + delta;
        if (adjusted < 0 || adjusted > 1023) {
                amb_queue_log(registry, AMB_LOG_WARNING, "%s-0x%" PRIx64 ": AdjustBusy(%d) ignored at %u", entry->name, entry->id,
                              delta, entry->adjusted);
                return kIOReturnSuccess;
        }
        entry->adjusted = (uint32_t)adjusted;
        amb_entry_busy(registry, entry, delta);
        return kIOReturnSuccess;
}
