/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service's name and properties, and the objects made of them.
 *
 * Properties are two dictionaries. The personality is what the object was made with; it never changes. The run-time ones are the
 * driver's; a change makes a new dictionary, so that readers on other threads keep what they hold. What the driver gives and what
 * it gets are copies all the way down: it may change both.
 */
#include <DriverKit/IOKitKeys.h>
#include <DriverKit/IOUserClient.h>
#include <mach/mach_error.h>

#include "base/return.h"
#include "driver/bundle.h"
#include "driver/queue.h"
#include "driver/service.h"
#include "driver/table.h"
#include "driver/uplink.h"
#include "driver/userclient.h"
#include "object/value.h"

#define NAME_MOST 127
#define SEARCH_RUNTIME_OF_PARENTS 2u            /* of SearchProperty's options; the original has no name for it */

AMB_EXPORT kern_return_t IOService_SetName(IOService *self, const char *name)
{
        struct IOService_ivars *s = self->ivars;
        char *copy;

        if (!name || !*name || strlen(name) > NAME_MOST)
                return kIOReturnBadArgument;
        copy = strdup(name);
        if (!copy)
                return kIOReturnNoMemory;
        pthread_mutex_lock(&s->lock);
        free(s->name);
        s->name = copy;
        pthread_mutex_unlock(&s->lock);
        return amb_uplink_set_name(amb_service_entry(self), name);
}

AMB_EXPORT kern_return_t IOService_CopyName(IOService *self, OSString **name)
{
        struct IOService_ivars *s = self->ivars;
        OSString *copy = NULL;

        pthread_mutex_lock(&s->lock);
        if (s->name)
                copy = OSStringCreate(s->name, (size_t)-1);
        pthread_mutex_unlock(&s->lock);
        if (!copy)
                return kIOReturnError;
        *name = copy;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOService_GetRegistryEntryID(IOService *self, uint64_t *entryID)
{
        *entryID = amb_service_entry(self);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOService_StringFromReturn(IOService *self, IOReturn code, OSString **name)
{
        const char *symbol = amb_return_name(code);
        OSString *made;

        (void)self;
        if (!symbol)
                return kIOReturnError;
        made = OSString_withCString(symbol);
        if (!made)
                return kIOReturnNoMemory;
        *name = made;
        return kIOReturnSuccess;
}

AMB_EXPORT const char *IOService_StringFromReturn_cString(IOReturn code)
{
        const char *symbol = amb_return_name(code);

        return symbol ? symbol : "UNDEFINED";
}

AMB_EXPORT IOService *IOService_GetProvider(const IOService *self)
{
        IOService *provider;

        pthread_mutex_lock(&self->ivars->lock);
        provider = self->ivars->provider;
        pthread_mutex_unlock(&self->ivars->lock);
        return provider;
}

AMB_EXPORT kern_return_t IOService_SetProperties(IOService *self, OSDictionary *properties)
{
        struct IOService_ivars *s = self->ivars;
        OSDictionary *changed, *before, *mine;
        kern_return_t code;
        bool merged;

        if (s->foreign)
                return kIOReturnUnsupported;
        if (!OSDynamicCast(OSDictionary, properties))
                return kIOReturnBadArgument;
        code = amb_uplink_set_properties(amb_service_entry(self), properties, NULL);
        if (code != kIOReturnSuccess)
                return code;
        mine = (OSDictionary *)amb_value_copy((OSObject *)properties);
        pthread_mutex_lock(&s->lock);
        changed = OSDictionaryCreateCopy(s->runtime);
        merged = changed && OSDictionaryMerge(changed, mine);
        before = changed;
        if (merged) {
                before = s->runtime;
                s->runtime = changed;
        }
        pthread_mutex_unlock(&s->lock);
        OSObject_release(mine);
        OSObject_release(before);
        return merged ? kIOReturnSuccess : kIOReturnNoMemory;
}

AMB_EXPORT kern_return_t IOService_CopyProperties(IOService *self, OSDictionary **properties)
{
        struct IOService_ivars *s = self->ivars;
        OSDictionary *all, *copy = NULL;

        pthread_mutex_lock(&s->lock);
        all = s->properties ? OSDictionaryCreateCopy(s->properties) : OSDictionaryCreate();
        if (all && OSDictionaryMerge(all, s->runtime))
                copy = (OSDictionary *)amb_value_copy((OSObject *)all);
        pthread_mutex_unlock(&s->lock);
        OSObject_release(all);
        if (!copy)
                return kIOReturnNoMemory;
        *properties = copy;
        return kIOReturnSuccess;
}

/* Of the personality, or (without `fixed`) either kind; retained. */
static OSObject *own_property(IOService *service, const char *name, bool fixed)
{
        struct IOService_ivars *s = service->ivars;
        OSObject *value;

        pthread_mutex_lock(&s->lock);
        value = s->properties ? OSDictionaryGetValue(s->properties, name) : NULL;
        if (!value && !fixed)
                value = OSDictionaryGetValue(s->runtime, name);
        OSObject_retain(value);
        pthread_mutex_unlock(&s->lock);
        return value;
}

/* The same of the service, or with `above` of the nearest provider that has it. */
static OSObject *search(IOService *service, const char *name, bool fixed, bool above)
{
        OSObject *value = own_property(service, name, fixed);
        IOService *provider = !value && above ? amb_service_copy_provider(service) : NULL, *next;

        while (provider) {
                value = own_property(provider, name, fixed);
                next = value ? NULL : amb_service_copy_provider(provider);
                OSObject_release(provider);
                provider = next;
        }
        return value;
}

AMB_EXPORT kern_return_t IOService_SearchProperty(IOService *self, const char *name, const char *plane, uint64_t options,
                                                  OSContainer **property)
{
        bool parents = options & kIOServiceSearchPropertyParents && plane && strcmp(plane, kIOServicePlane) == 0;
        OSObject *value;

        if (!name || !property)
                return kIOReturnBadArgument;
        value = search(self, name, true, parents);
        if (!value)
                value = search(self, name, false, options & SEARCH_RUNTIME_OF_PARENTS);
        *property = (OSContainer *)value;
        return value ? kIOReturnSuccess : kIOReturnNotFound;
}

AMB_EXPORT kern_return_t IOService_RemoveProperty(IOService *self, OSString *propertyName)
{
        struct IOService_ivars *s = self->ivars;
        OSDictionary *changed, *before;
        OSArray *removed;
        kern_return_t code;
        bool any;

        if (!propertyName || s->foreign)
                return kIOReturnUnsupported;
        pthread_mutex_lock(&s->lock);
        any = OSDictionaryGetCount(s->runtime) > 0;
        pthread_mutex_unlock(&s->lock);
        if (!any)
                return kIOReturnNotFound;
        removed = OSArrayCreate();
        if (!removed || !OSArrayAppendValue(removed, propertyName)) {
                OSObject_release(removed);
                return kIOReturnNoMemory;
        }
        code = amb_uplink_set_properties(amb_service_entry(self), NULL, removed);
        OSObject_release(removed);
        if (code != kIOReturnSuccess)
                return code;
        pthread_mutex_lock(&s->lock);
        changed = OSDictionaryCreateCopy(s->runtime);
        before = s->runtime;
        if (changed) {
                OSDictionaryRemoveValue(changed, OSStringGetStringPtr(propertyName));
                s->runtime = changed;
        }
        pthread_mutex_unlock(&s->lock);
        if (!changed)
                return kIOReturnNoMemory;
        OSObject_release(before);
        return kIOReturnSuccess;
}

/* --- Create --- */

/* The dictionary, with what every new object gets; NULL: no memory. */
static OSDictionary *object_properties(OSDictionary *dictionary, OSDictionary *parent)
{
        OSDictionary *properties = OSDictionaryCreateCopy(dictionary);
        const char *bundle = OSDictionaryGetStringValue(parent, "CFBundleIdentifier"), *server = amb_uplink_server_name();

        if (properties && ((bundle && !OSDictionarySetStringValue(properties, "CFBundleIdentifier", bundle)) ||
                           (server && !OSDictionarySetStringValue(properties, kIOUserServerNameKey, server)))) {
                OSObject_release(properties);
                properties = NULL;
        }
        return properties;
}

static kern_return_t make_object(OSDictionary *dictionary, const OSMetaClass *base, IOService **ret_object)
{
        const char *name = OSDictionaryGetStringValue(dictionary, kIOUserClassKey);
        AMB_FREE char *message = NULL;
        const OSMetaClass *meta = name ? amb_bundle_class(name, &message) : NULL, *m;

        for (m = meta; m && m != base; m = m->super)
                continue;
        if (!m) {
                if (meta)
                        amb_log(AMB_LOG_ERROR, "class %s is no subclass of %s", name, base->name);
                else
                        amb_log(AMB_LOG_ERROR, "%s", message ? message : "Create: the dictionary has no IOUserClass");
                return kIOReturnUnsupported;
        }
        *ret_object = (IOService *)amb_object_new(meta);
        return *ret_object ? kIOReturnSuccess : kIOReturnUnsupported;
}

/* A child service is started without being asked to, when its maker has gone on. */
static void start_child(void *context)
{
        IOService *child = context, *provider;
        kern_return_t code;

        pthread_mutex_lock(&child->ivars->lock);
        provider = child->ivars->provider;
        OSObject_retain(provider);
        pthread_mutex_unlock(&child->ivars->lock);
        code = provider ? amb_service_start(child, provider) : kIOReturnOffline;
        if (code != kIOReturnSuccess) {
                amb_log(AMB_LOG_WARNING, "%s: Start returned %s (0x%08x): it is terminated", OSObject_GetClassName(child),
                        mach_error_string(code), (unsigned int)code);
                amb_uplink_terminate(amb_service_entry(child));
        }
        OSObject_release(provider);
        OSObject_release(child);
}

static void drop_child(void *context)
{
        OSObject_release(context);
}

static kern_return_t attach_child(IOService *self, IOService *object, OSDictionary *properties)
{
        IODispatchQueue *queue;
        kern_return_t code;
        uint64_t entry;
        int r;

        code = amb_uplink_create(amb_service_entry(self), properties, &entry);
        if (code != kIOReturnSuccess) {
                amb_log(AMB_LOG_ERROR, "Create: the registry takes no %s below %s: 0x%08x", OSObject_GetClassName(object),
                        OSObject_GetClassName(self), (unsigned int)code);
                return code;
        }
        if (amb_service_attach(object, entry, self, properties, OSDictionaryGetStringValue(properties, kIOUserClassKey)) < 0)
                return kIOReturnNoMemory;
        object->ivars->started = true;
        amb_table_add(object);
        OSObject_retain(object);
        queue = amb_service_queue(object);
        r = amb_queue_async(queue, object, start_child, drop_child);
        if (r < 0)
                OSObject_release(object);
        OSObject_release(queue);
        return r < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

static kern_return_t attach_client(IOService *self, IOService *object, OSDictionary *properties)
{
        uint64_t entry;

        pthread_mutex_lock(&self->ivars->lock);
        entry = self->ivars->opening;
        self->ivars->opening = 0;
        if (entry)
                amb_client_set_entitlements((IOUserClient *)object, self->ivars->opening_entitlements);
        pthread_mutex_unlock(&self->ivars->lock);
        return amb_service_attach(object, entry, self, properties, OSDictionaryGetStringValue(properties, kIOUserClassKey)) < 0 ?
                       kIOReturnNoMemory :
                       kIOReturnSuccess;
}

/* What the dictionary asks for. NULL: there is none under that key. A developer's mistakes, so they are said in words. */
static kern_return_t read_kind(const OSDictionary *dictionary, const char *key, bool *ret_client)
{
        const char *class_name = dictionary ? OSDictionaryGetStringValue(dictionary, kIOClassKey) : NULL;

        *ret_client = class_name && strcmp(class_name, "IOUserUserClient") == 0;
        if (!class_name) {
                amb_log(AMB_LOG_ERROR, "Create: the service's personality in Info.plist has no %s%s",
                        dictionary ? "string " kIOClassKey " in its dictionary " : "dictionary ",
                        key ? key : "(a key that is NULL)");
                return kIOReturnBadArgument;
        }
        if (*ret_client || strcmp(class_name, "IOUserService") == 0 || strcmp(class_name, "AppleUserHIDDevice") == 0)
                return kIOReturnSuccess;
        amb_log(AMB_LOG_ERROR, "Create: the dictionary %s in Info.plist has the " kIOClassKey " \"%s\"; expected IOUserUserClient, "
                "IOUserService or AppleUserHIDDevice", key, class_name);
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOService_Create(IOService *self, IOService *provider, const char *propertiesKey, IOService **result)
{
        OSDictionary *own, *dictionary, *properties = NULL;
        IOService *object = NULL;
        kern_return_t code;
        bool client, active;

        pthread_mutex_lock(&self->ivars->lock);
        active = !self->ivars->foreign && !self->ivars->stopping;
        pthread_mutex_unlock(&self->ivars->lock);
        if (provider != self || !active)
                return kIOReturnUnsupported;
        own = amb_service_copy_personality(self);
        dictionary = own && propertiesKey ? OSDictionaryGetDictionaryValue(own, propertiesKey) : NULL;
        code = read_kind(dictionary, propertiesKey, &client);
        if (code == kIOReturnSuccess)
                code = make_object(dictionary, client ? OSTypeID(IOUserClient) : OSTypeID(IOService), &object);
        if (code == kIOReturnSuccess) {
                properties = object_properties(dictionary, own);
                if (!properties)
                        code = kIOReturnNoMemory;
                else
                        code = client ? attach_client(self, object, properties) : attach_child(self, object, properties);
        }
        OSObject_release(own);
        OSObject_release(properties);
        if (code != kIOReturnSuccess) {
                OSObject_release(object);
                return code;
        }
        *result = object;
        return kIOReturnSuccess;
}
