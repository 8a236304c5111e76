/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/opening.h"

#include "driver/bundle.h"
#include "driver/queue.h"
#include "driver/service.h"
#include "driver/table.h"
#include "driver/userclient.h"

kern_return_t amb_opening_make(const char *user_class, IOService **ret_service, char **ret_message)
{
        const OSMetaClass *meta = amb_bundle_class(user_class, ret_message);
        OSObject *object;

        if (!meta) {
                amb_log(AMB_LOG_ERROR, "%s", *ret_message ? *ret_message : "no memory");
                return kIOReturnUnsupportedMode;
        }
        object = amb_object_new(meta);
        if (!object || !OSDynamicCast(IOService, object)) {
                amb_log(AMB_LOG_ERROR, "class %s %s", user_class, object ? "is no IOService" : "refused to be initialised");
                OSObject_release(object);
                return object ? kIOReturnUnsupportedMode : kIOReturnError;
        }
        *ret_service = (IOService *)object;
        return kIOReturnSuccess;
}

static kern_return_t ask_driver(IOService *service, const struct amb_opening *opening, IOUserClient **ret_client)
{
        IODispatchQueue *queue = amb_service_queue(service);
        struct amb_queue_frame frame;
        IOUserClient *client = NULL;
        kern_return_t code = kIOReturnNotReady;

        if (amb_queue_enter(queue, &frame)) {
                pthread_mutex_lock(&service->ivars->lock);
                service->ivars->opening = opening->entry;
                service->ivars->opening_entitlements = opening->entitlements;
                pthread_mutex_unlock(&service->ivars->lock);
                code = amb_invoke(service, IOService, NewUserClient, opening->type, &client);
                pthread_mutex_lock(&service->ivars->lock);
                service->ivars->opening = 0;
                service->ivars->opening_entitlements = NULL;
                pthread_mutex_unlock(&service->ivars->lock);
                amb_queue_leave(&frame);
        }
        OSObject_release(queue);
        if (code != kIOReturnSuccess)
                return code;
        if (!client)
                return kIOReturnError;
        if (!OSDynamicCast(IOUserClient, client)) {
                OSObject_release(client);
                return kIOReturnUnsupported;
        }
        *ret_client = client;
        return kIOReturnSuccess;
}

/* A client that the driver made in another way than by Create gets its number here; one that is open already has another. */
static kern_return_t adopt_client(IOService *service, const struct amb_opening *opening, IOUserClient *client)
{
        uint64_t entry = amb_service_entry(&client->service);

        if (entry == opening->entry)
                return kIOReturnSuccess;
        if (entry != 0)
                return kIOReturnUnsupported;
        amb_client_set_entitlements(client, opening->entitlements);
        return amb_service_attach(&client->service, opening->entry, service, NULL, OSObject_GetClassName(client)) < 0 ?
                       kIOReturnNoMemory :
                       kIOReturnSuccess;
}

kern_return_t amb_opening_ask(IOService *service, const struct amb_opening *opening, IOUserClient **ret_client)
{
        kern_return_t code = ask_driver(service, opening, ret_client);

        return code == kIOReturnSuccess ? adopt_client(service, opening, *ret_client) : code;
}

kern_return_t amb_opening_start(IOService *service, IOService *provider)
{
        kern_return_t code;

        amb_table_add(service);
        code = amb_service_start(service, provider);
        if (code != kIOReturnSuccess)
                amb_service_discard(service);
        return code;
}
