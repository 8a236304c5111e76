/* SPDX-License-Identifier: Apache-2.0 */
#include "client/handle.h"
#include "client/message.h"

_Static_assert(sizeof(mach_msg_header_t) == 24 && sizeof(struct OSNotificationHeader64) == 72, "call-path 4.3");
_Static_assert(offsetof(struct amb_message, header) + sizeof(mach_msg_header_t) == sizeof(struct amb_message),
               "the content follows the header");

static struct OSNotificationHeader64 *head_of(mach_msg_header_t *header)
{
        return (struct OSNotificationHeader64 *)(header + 1);
}

static void *content_of(mach_msg_header_t *header)
{
        return head_of(header) + 1;
}

/* `content` bytes; the message is rounded up to whole words, as senders of Mach messages do. */
static struct amb_message *message_new(uint32_t type, size_t content)
{
        size_t size = (amb_message_head + content + 7) & ~(size_t)7;
        struct amb_message *message;

        message = calloc(1, offsetof(struct amb_message, header) + size);
        if (!message)
                return NULL;
        message->header.msgh_size = (mach_msg_size_t)size;
        message->header.msgh_id = kOSNotificationMessageID;
        head_of(&message->header)->size = (uint32_t)content;
        head_of(&message->header)->type = type;
        return message;
}

void amb_message_refill(struct amb_message *message, const struct amb_completion *completion)
{
        size_t scalars = completion->count * sizeof(uint64_t), content = sizeof(IOReturn) + scalars;
        size_t size = (amb_message_head + content + 7) & ~(size_t)7;
        struct OSNotificationHeader64 *head = head_of(&message->header);
        char *bytes = content_of(&message->header);

        message->header = (mach_msg_header_t){ .msgh_size = (mach_msg_size_t)size, .msgh_id = kOSNotificationMessageID };
        head->size = (uint32_t)content;
        head->type = kIOAsyncCompletionNotificationType;
        memcpy(head->reference, completion->reference, sizeof(completion->reference));
        memcpy(bytes, &completion->status, sizeof(completion->status));
        memcpy(bytes + sizeof(IOReturn), completion->args, scalars);
        memset(bytes + content, 0, (size_t)((char *)&message->header + size - (bytes + content)));
}

struct amb_message *amb_message_of_completion(const struct amb_completion *completion)
{
        struct amb_message *message = message_new(kIOAsyncCompletionNotificationType,
                                                  sizeof(IOReturn) + sizeof(completion->args));

        if (!message)
                return NULL;
        message->room = message->header.msgh_size;
        amb_message_refill(message, completion);
        return message;
}

struct amb_message *amb_message_of_matching(uint32_t type, mach_port_t iterator, IOServiceMatchingCallback callback,
                                            void *refcon)
{
        struct amb_message *message;

        message = message_new(type, 0);
        if (!message)
                return NULL;
        message->header.msgh_remote_port = iterator;
        head_of(&message->header)->reference[kIOMatchingCalloutFuncIndex] = (uintptr_t)callback;
        head_of(&message->header)->reference[kIOMatchingCalloutRefconIndex] = (uintptr_t)refcon;
        return message;
}

struct amb_message *amb_message_of_interest(mach_port_t service, IOServiceInterestCallback callback, void *refcon,
                                            uint32_t message_type, uint64_t argument)
{
        struct IOServiceInterestContent64 content = { message_type, { argument } };
        struct OSNotificationHeader64 *head;
        struct amb_message *message;

        message = message_new(kIOServiceMessageNotificationType, sizeof(content));
        if (!message)
                return NULL;
        message->held = service;
        message->header.msgh_remote_port = service;
        head = head_of(&message->header);
        head->reference[kIOInterestCalloutFuncIndex] = (uintptr_t)callback;
        head->reference[kIOInterestCalloutRefconIndex] = (uintptr_t)refcon;
        head->reference[kIOInterestCalloutServiceIndex] = service;
        memcpy(content_of(&message->header), &content, sizeof(content));
        return message;
}

struct amb_message *amb_message_empty(void)
{
        struct amb_message *message = calloc(1, sizeof(*message));

        if (message)
                message->header.msgh_size = sizeof(message->header);
        return message;
}

struct amb_message *amb_message_free(struct amb_message *message)
{
        if (message && message->held)
                amb_handle_release(message->held, false);
        free(message);
        return NULL;
}

/* --- calling out --- */

/* The function pointer travels as a number; zero crashes, as the contract has it. */
static void call_completion(const struct OSNotificationHeader64 *head, const char *content, uint32_t count)
{
        void *refcon = (void *)(uintptr_t)head->reference[kIOAsyncCalloutRefconIndex];
        uintptr_t function = (uintptr_t)head->reference[kIOAsyncCalloutFuncIndex];
        uint64_t args[kMaxAsyncArgs];
        IOReturn result;

        if (count > kMaxAsyncArgs)
                return;
        memcpy(&result, content, sizeof(result));
        memcpy(args, content + sizeof(result), count * sizeof(uint64_t));
        switch (count) {
        case 0:
                ((IOAsyncCallback0)function)(refcon, result);
                break;
        case 1:
                ((IOAsyncCallback1)function)(refcon, result, (void *)(uintptr_t)args[0]);
                break;
        case 2:
                ((IOAsyncCallback2)function)(refcon, result, (void *)(uintptr_t)args[0], (void *)(uintptr_t)args[1]);
                break;
        default:
                ((IOAsyncCallback)function)(refcon, result, (void **)args, count);
        }
}

/* Nothing is delivered for an iterator that this process has released (row 215). */
static void call_matching(const mach_msg_header_t *header, const struct OSNotificationHeader64 *head)
{
        struct amb_target *iterator;

        if (amb_handle_get_any(header->msgh_remote_port, &iterator))
                return;
        ((IOServiceMatchingCallback)(uintptr_t)head->reference[kIOMatchingCalloutFuncIndex])(
                (void *)(uintptr_t)head->reference[kIOMatchingCalloutRefconIndex], header->msgh_remote_port);
        amb_target_unref(iterator);
}

static void call_interest(const struct OSNotificationHeader64 *head, const char *bytes)
{
        struct IOServiceInterestContent64 content;

        memcpy(&content, bytes, sizeof(content));
        ((IOServiceInterestCallback)(uintptr_t)head->reference[kIOInterestCalloutFuncIndex])(
                (void *)(uintptr_t)head->reference[kIOInterestCalloutRefconIndex],
                (io_service_t)head->reference[kIOInterestCalloutServiceIndex], content.messageType,
                (void *)(uintptr_t)content.messageArgument[0]);
}

IOReturn OSGetNotificationFromMessage(mach_msg_header_t *message, uint32_t index, uint32_t *type, uintptr_t *reference,
                                      void **content, vm_size_t *size)
{
        struct OSNotificationHeader64 *head = head_of(message);

        if (message->msgh_id != kOSNotificationMessageID)
                return kIOReturnBadMessageID;
        if (message->msgh_size < amb_message_head || index != 0)
                return kIOReturnNoResources;
        if (type)
                *type = head->type & kIOKitNotificationTypeMask;
        if (reference)
                *reference = (uintptr_t)head->reference[kIOAsyncReservedIndex];
        if (size)
                *size = head->size;
        if (content)
                *content = head->size ? content_of(message) : NULL;
        return kIOReturnSuccess;
}

void IODispatchCalloutFromMessage(void *unused, mach_msg_header_t *message, void *reference)
{
        const struct OSNotificationHeader64 *head = head_of(message);
        size_t size = message->msgh_size;

        (void)unused;
        (void)reference;
        if (message->msgh_id != kOSNotificationMessageID || size < amb_message_head)
                return;
        switch (head->type & kIOKitNotificationTypeMask) {
        case kIOAsyncCompletionNotificationType:
                if (size >= amb_message_head + sizeof(IOReturn))
                        call_completion(head, content_of(message),
                                        (uint32_t)((size - amb_message_head - sizeof(IOReturn)) / sizeof(uint64_t)));
                break;
        case kIOServicePublishNotificationType:
        case kIOServiceMatchedNotificationType:
        case kIOServiceTerminatedNotificationType:
                call_matching(message, head);
                break;
        case kIOServiceMessageNotificationType:
                if (size >= amb_message_head + sizeof(struct IOServiceInterestContent64))
                        call_interest(head, content_of(message));
                break;
        }
}
