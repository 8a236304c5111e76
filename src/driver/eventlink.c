/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include <DriverKit/IOEventLink.h>
#include <DriverKit/IOWorkGroup.h>

#include "driver/eventlink.h"

#define NAME_MOST 64

/* The inside of both classes. */
struct amb_named {
        struct amb_link link;
        enum amb_named_kind kind;
        const IOUserClient *client;     /* only compared; NULL: the name is not in force any more */
        OSString *name;                 /* constant */
};

/* Both classes look like this. */
struct named_object {
        OSObject object;
        struct amb_named *ivars;
};
_Static_assert(sizeof(IOEventLink) == sizeof(struct named_object) && sizeof(IOWorkGroup) == sizeof(struct named_object),
               "one inside");

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link names = AMB_LIST_INIT(names);

/* Under the lock. */
static struct amb_named *find(const IOUserClient *client, enum amb_named_kind kind, const char *name, size_t length)
{
        struct amb_named *named;

        amb_list_for(named, &names, link)
                if (named->client == client && named->kind == kind && OSStringGetLength(named->name) == length &&
                    memcmp(OSStringGetStringPtr(named->name), name, length) == 0)
                        return named;
        return NULL;
}

/* Under the lock: the name leads nowhere from now on. */
static void take_back(struct amb_named *named)
{
        amb_link_remove(&named->link);
        named->client = NULL;
}

bool amb_named_exists(IOUserClient *client, enum amb_named_kind kind, const char *name, size_t length)
{
        bool exists;

        pthread_mutex_lock(&names_lock);
        exists = find(client, kind, name, length);
        pthread_mutex_unlock(&names_lock);
        return exists;
}

void amb_named_forget(IOUserClient *client)
{
        struct amb_named *named, *following;

        pthread_mutex_lock(&names_lock);
        amb_list_for_safe(named, following, &names, link)
                if (named->client == client)
                        take_back(named);
        pthread_mutex_unlock(&names_lock);
}

static void named_free(OSObject *object)
{
        struct amb_named *named = ((struct named_object *)object)->ivars;

        if (named) {
                pthread_mutex_lock(&names_lock);
                take_back(named);
                pthread_mutex_unlock(&names_lock);
                OSObject_release(named->name);
                free(named);
        }
        OSObject_free(object);
}

static const struct amb_method named_methods[] = {
        AMB_OVERRIDE(OSObject, free, named_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOEventLinkMetaClass = { "IOEventLink", &gOSObjectMetaClass, sizeof(IOEventLink), named_methods,
                                                       AMB_SKIN_PLACE };
AMB_EXPORT const OSMetaClass gIOWorkGroupMetaClass = { "IOWorkGroup", &gOSObjectMetaClass, sizeof(IOWorkGroup), named_methods,
                                                       AMB_SKIN_PLACE };

static kern_return_t named_create(const OSMetaClass *class, enum amb_named_kind kind, OSString *name, IOUserClient *client,
                                  void *ret_object)
{
        struct named_object *object;
        struct amb_named *named, *before;
        size_t length;

        if (!OSDynamicCast(OSString, name) || !OSDynamicCast(IOUserClient, client) || !ret_object)
                return kIOReturnBadArgument;
        length = OSStringGetLength(name);
        if (length == 0 || length > NAME_MOST)
                return kIOReturnBadArgument;
        object = (struct named_object *)amb_object_new(class);
        named = object ? calloc(1, sizeof(*named)) : NULL;
        if (!named) {
                OSObject_release(object);
                return kIOReturnNoMemory;
        }
        object->ivars = named;
        OSObject_retain(name);
        *named = (struct amb_named){ .kind = kind, .client = client, .name = name };
        pthread_mutex_lock(&names_lock);
        before = find(client, kind, OSStringGetStringPtr(name), length);
        if (before)
                take_back(before);
        amb_list_append(&names, &named->link);
        pthread_mutex_unlock(&names_lock);
        *(struct named_object **)ret_object = object;
        return kIOReturnSuccess;
}

static kern_return_t named_invalidate(struct amb_named *named, IOUserClient *client)
{
        bool right;

        pthread_mutex_lock(&names_lock);
        right = client && named->client == client;
        if (right)
                take_back(named);
        pthread_mutex_unlock(&names_lock);
        return right ? kIOReturnSuccess : kIOReturnBadArgument;
}

AMB_EXPORT kern_return_t IOEventLink_Create(OSString *name, IOUserClient *userClient, IOEventLink **eventLink)
{
        return named_create(OSTypeID(IOEventLink), AMB_NAMED_EVENT_LINK, name, userClient, eventLink);
}

AMB_EXPORT kern_return_t IOEventLink_Invalidate(IOEventLink *self, IOUserClient *client)
{
        return named_invalidate((struct amb_named *)self->ivars, client);
}

AMB_EXPORT kern_return_t IOWorkGroup_Create(OSString *name, IOUserClient *userClient, IOWorkGroup **workGroup)
{
        return named_create(OSTypeID(IOWorkGroup), AMB_NAMED_WORK_GROUP, name, userClient, workGroup);
}

AMB_EXPORT kern_return_t IOWorkGroup_Invalidate(IOWorkGroup *self, IOUserClient *client)
{
        return named_invalidate((struct amb_named *)self->ivars, client);
}

/* --- what only threads that have joined could do --- */

AMB_EXPORT kern_return_t IOEventLink_Signal(IOEventLink *self)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_Wait(IOEventLink *self, uint64_t *consumed)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_SignalAndWait(IOEventLink *self, uint64_t *consumed)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_WaitUntil(IOEventLink *self, uint64_t clock, uint64_t timeout, uint64_t *consumed)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_SignalAndWaitUntil(IOEventLink *self, uint64_t clock, uint64_t timeout, uint64_t *consumed)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_Cancel(IOEventLink *self)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_Activate(IOEventLink *self)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_Associate(IOEventLink *self, uint64_t options)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOEventLink_Disassociate(IOEventLink *self)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOWorkGroup_Join(IOWorkGroup *self, void *token)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT kern_return_t IOWorkGroup_Leave(IOWorkGroup *self, void *token)
{
        return kIOReturnUnsupported;
}
