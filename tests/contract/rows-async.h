/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the rows about completions share. */
#include <mach/mach.h>

#include "contract.h"

/* --- the driver's tools --- */

/* Keeps the call's action in place of the one before. */
static inline kern_return_t keep(struct ContractUserClient *self, IOUserClientMethodArguments *arguments)
{
        D_EXPECT(arguments->completion);
        OSSafeReleaseNULL(self->mine);
        OSObjectRetain(arguments->completion);
        self->mine = (OSObject *)arguments->completion;
        return kIOReturnSuccess;
}

static inline void complete(struct ContractUserClient *self, OSAction *action, IOReturn status, uint32_t count)
{
        uint64_t values[17];
        for (uint64_t i = 0; i < 17; i++)
                values[i] = 0x1122334455660000u + i;
        IOUserClient_AsyncCompletion(&self->client, action, status, count ? values : NULL, count);
}

/* --- the app's tools --- */

struct message {
        mach_msg_header_t header;
        char rest[512 - sizeof(mach_msg_header_t)];
};
enum { NOW = 0, PATIENCE = 20000 };

static inline mach_msg_return_t receive(mach_port_t port, struct message *message, mach_msg_timeout_t milliseconds)
{
        memset(message, 0xAA, sizeof(*message));
        return mach_msg(&message->header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(*message), port, milliseconds, MACH_PORT_NULL);
}

static inline uint32_t u32_at(const struct message *message, size_t offset)
{
        uint32_t value;
        memcpy(&value, (const char *)message + offset, sizeof(value));
        return value;
}

static inline uint64_t u64_at(const struct message *message, size_t offset)
{
        uint64_t value;
        memcpy(&value, (const char *)message + offset, sizeof(value));
        return value;
}

static inline uint64_t reference_at(const struct message *message, unsigned index)
{
        return u64_at(message, 32 + 8 * index);
}

/* The next message must be there in time, with this refcon and status. */
static inline void ck_next(mach_port_t port, mach_msg_timeout_t milliseconds, uint64_t refcon, IOReturn status)
{
        struct message message;
        ck_code(receive(port, &message, milliseconds), MACH_MSG_SUCCESS);
        ck_assert_int_eq(message.header.msgh_id, 53);
        ck_assert_uint_eq(reference_at(&message, kIOAsyncCalloutRefconIndex), refcon);
        ck_assert_int_eq((IOReturn)u32_at(&message, 96), status);
}

static inline void ck_nothing(mach_port_t port)
{
        struct message message;
        ck_code(receive(port, &message, NOW), MACH_RCV_TIMED_OUT);
}

static inline kern_return_t call(io_connect_t c, uint32_t selector, mach_port_t wake, uint64_t refcon, uint64_t in)
{
        uint64_t reference[kIOAsyncCalloutCount] = { 0, 0, refcon };
        return IOConnectCallAsyncScalarMethod(c, selector, wake, reference, kIOAsyncCalloutCount, &in, 1, NULL, NULL);
}

static inline kern_return_t call_sync(io_connect_t c, uint32_t selector, uint64_t in)
{
        return IOConnectCallScalarMethod(c, selector, &in, 1, NULL, NULL);
}

static inline mach_port_t new_port(void)
{
        mach_port_t port = MACH_PORT_NULL;
        ck_code(IOCreateReceivePort(kOSNotificationMessageID, &port), kIOReturnSuccess);
        return port;
}
