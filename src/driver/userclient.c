/* SPDX-License-Identifier: Apache-2.0 */
#include <ambidext/remote.h>

#include "driver/action.h"
#include "driver/borrow.h"
#include "driver/connection.h"
#include "driver/eventlink.h"
#include "driver/service.h"
#include "driver/userclient.h"

struct IOUserClient_ivars {
        OSDictionary *entitlements;
        struct amb_connection *connection;      /* from the open to the base's Stop; under the service's lock; retained */
};

AMB_EXPORT bool IOUserClient_init(OSObject *object)
{
        IOUserClient *self = (IOUserClient *)object;

        if (!IOService_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        return self->ivars != NULL;
}

AMB_EXPORT void IOUserClient_free(OSObject *object)
{
        IOUserClient *self = (IOUserClient *)object;

        amb_named_forget(self);
        if (self->ivars) {
                OSObject_release(self->ivars->entitlements);
                amb_connection_release(self->ivars->connection);
        }
        free(self->ivars);
        IOService_free(object);
}

static const struct amb_method client_methods[] = {
        AMB_OVERRIDE(OSObject, init, IOUserClient_init),
        AMB_OVERRIDE(OSObject, free, IOUserClient_free),
        AMB_METHOD_ON(kIOUserClientQueueNameExternalMethod, IOUserClient_ExternalMethod_ID, IOUserClient_ExternalMethod),
        AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, IOUserClient_CopyClientMemoryForType),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOUserClientMetaClass = {
        "IOUserClient", &gIOServiceMetaClass, sizeof(IOUserClient), client_methods, AMB_SKIN_PLACE,
};

/* One check of a dispatch entry: exactly equal, or not checked. */
static inline bool fits(uint32_t check, uint64_t is)
{
        return check == is || check == kIOUserClientVariableStructureSize;
}

static uint64_t structure_input_size(const IOUserClientMethodArguments *a)
{
        uint64_t length = 0;

        if (a->structureInputDescriptor)
                IOMemoryDescriptor_GetLength(a->structureInputDescriptor, &length);
        else if (a->structureInput)
                length = OSDataGetLength(a->structureInput);
        return length;
}

AMB_INLINE kern_return_t dispatch_checked(const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference,
                                          IOUserClientMethodArguments *arguments, uint64_t input_size)
{
        uint32_t completion = dispatch->checkCompletionExists;

        if (completion != kIOUserClientVariableStructureSize && (completion != 0) != (arguments->completion != NULL))
                return kIOReturnBadArgument;
        if (!fits(dispatch->checkScalarInputCount, arguments->scalarInputCount) ||
            !fits(dispatch->checkStructureInputSize, input_size) ||
            !fits(dispatch->checkScalarOutputCount, arguments->scalarOutputCount) ||
            !fits(dispatch->checkStructureOutputSize, arguments->structureOutputMaximumSize))
                return kIOReturnBadArgument;
        if (!dispatch->function)
                return kIOReturnNoCompletion;
        return dispatch->function(target, reference, arguments);
}

AMB_APART static kern_return_t dispatch_structure(const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference,
                                                  IOUserClientMethodArguments *arguments)
{
        return dispatch_checked(dispatch, target, reference, arguments, structure_input_size(arguments));
}

AMB_EXPORT kern_return_t IOUserClient_ExternalMethod(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                                     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (!dispatch)
                return kIOReturnUnsupported;
        if (arguments->structureInput || arguments->structureInputDescriptor)
                return dispatch_structure(dispatch, target, reference, arguments);
        return dispatch_checked(dispatch, target, reference, arguments, 0);
}

AMB_EXPORT kern_return_t IOUserClient_CopyClientMemoryForType(IOUserClient *self, uint64_t type, uint64_t *options,
                                                              IOMemoryDescriptor **memory)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT void IOUserClient_AsyncCompletion(IOUserClient *self, OSAction *action, IOReturn status, const uint64_t *asyncData,
                                             uint32_t asyncDataCount)
{
        /* The original's stub drops it, too, before anybody could report it (call-path 4.2). */
        if (action && asyncDataCount <= kIOUserClientAsyncArgumentsCountMax)
                IOUserClient_KernelCompletion(self, action, status, asyncData, asyncDataCount);
}

/* --- completions of an action that the driver has made itself: its own method gets them --- */

struct notice {
        OSAction *action;
        IOReturn status;
        uint32_t count;
        uint64_t values[kIOUserClientAsyncArgumentsCountMax];
};

static void notice_call(void *context, void (*method)(void), OSObject *target)
{
        typedef void (*completed)(OSObject *self, OSAction *action, IOReturn status, const uint64_t *values, uint32_t count);
        struct notice *notice = context;

        ((completed)method)(target, notice->action, notice->status, notice->values, notice->count);
}

static void notice_end(void *context)
{
        struct notice *notice = context;

        OSObject_release(notice->action);
        free(notice);
}

static void complete_here(OSAction *action, IOReturn status, const uint64_t *values, uint32_t count)
{
        uint64_t kind = amb_action_msgid(action);
        struct notice *notice;

        if (kind != IOUserClient_AsyncCompletion_ID && kind != IOUserClient_KernelCompletion_ID)
                return;
        notice = calloc(1, sizeof(*notice));
        if (!notice)
                return;
        OSObject_retain(action);
        notice->action = action;
        notice->status = status;
        notice->count = count;
        if (count > 0)
                memcpy(notice->values, values, count * sizeof(values[0]));
        amb_action_post(action, kind, notice, notice_call, notice_end);
}

AMB_EXPORT void IOUserClient_KernelCompletion(IOUserClient *self, OSAction *action, IOReturn status, const uint64_t *asyncData,
                                              uint32_t asyncDataCount)
{
        const uint64_t *reference;
        struct amb_connection *connection;
        uint32_t port;

        if (asyncDataCount > kIOUserClientAsyncArgumentsCountMax || (asyncDataCount > 0 && !asyncData))
                return;
        connection = amb_action_completion(action, &port, &reference);
        if (connection)
                amb_connection_complete(connection, port, reference, status, asyncData, asyncDataCount);
        else
                complete_here(action, status, asyncData, asyncDataCount);
}

void amb_client_set_connection(IOUserClient *client, struct amb_connection *connection)
{
        struct amb_connection *before;

        if (connection)
                amb_connection_retain(connection);
        pthread_mutex_lock(&client->service.ivars->lock);
        before = client->ivars->connection;
        client->ivars->connection = connection;
        pthread_mutex_unlock(&client->service.ivars->lock);
        amb_connection_release(before);
}

AMB_EXPORT kern_return_t IOUserClient_CreateMemoryDescriptorFromClient(IOUserClient *self, uint64_t options, uint32_t count,
                                                                       const IOAddressSegment *segments,
                                                                       IOMemoryDescriptor **memory)
{
        struct amb_connection *connection;
        int r;

        if (count > AMB_LOAN_SEGMENTS)
                return kIOReturnOverrun;
        if (!amb_object_cast(self, OSTypeID(IOUserClient)) || (count > 0 && !segments) || !memory)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&self->service.ivars->lock);
        connection = self->ivars->connection ? amb_connection_retain(self->ivars->connection) : NULL;
        pthread_mutex_unlock(&self->service.ivars->lock);
        if (!connection)
                return kIOReturnNotReady;
        r = amb_borrow_named(connection, (const struct amb_loan_segment *)segments, count, options, memory);
        amb_connection_release(connection);
        return r < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

void amb_client_set_entitlements(IOUserClient *client, OSDictionary *entitlements)
{
        OSDictionary *before;

        OSObject_retain(entitlements);
        pthread_mutex_lock(&client->service.ivars->lock);
        before = client->ivars->entitlements;
        client->ivars->entitlements = entitlements;
        pthread_mutex_unlock(&client->service.ivars->lock);
        OSObject_release(before);
}

AMB_EXPORT kern_return_t IOUserClient_CopyClientEntitlements(IOUserClient *self, OSDictionary **entitlements)
{
        OSDictionary *known;

        pthread_mutex_lock(&self->service.ivars->lock);
        known = self->ivars->entitlements;
        OSObject_retain(known);
        pthread_mutex_unlock(&self->service.ivars->lock);
        if (!known)
                return kIOReturnNotReady;
        *entitlements = known;
        return kIOReturnSuccess;
}
