/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOConnectCall...: the contract's rules around one amb_channel_call(). Contract: call-path 2, in the order of 2.11.
 */
#include <sys/mman.h>

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include "base/cancel.h"
#include "channel/loan.h"
#include "client/connection.h"
#include "client/port.h"

#define VARIABLE_SIZE ((size_t)kIOConnectMethodVarOutputSize)

/* One call on its way: what the caller gave, and what the library puts around it. */
struct exchange {
        struct amb_connection *connection;
        struct amb_call call;
        struct amb_reply reply;
        const void *input_struct;
        size_t input_size;
        void *output_struct;
        size_t output_size;             /* the caller's room; meaningless in variable mode */
        bool variable;
        bool large;                     /* arguments that the host has to ask for */
};

/* Mode of the structure input (2.5). An impossible range is no input at all. */
static void plan_input(struct exchange *x)
{
        uintptr_t end;

        if (x->input_size == 0)
                return;
        if (x->input_size <= AMB_CHANNEL_BYTES) {
                x->call.bytes = x->input_struct;
                x->call.size = (uint32_t)x->input_size;
        } else if (x->input_struct && !__builtin_add_overflow((uintptr_t)x->input_struct, x->input_size, &end)) {
                x->call.flags |= AMB_CALL_RANGE_IN;
                x->large = true;
        }
}

/* Mode of the structure output (2.6). */
static kern_return_t plan_output(struct exchange *x)
{
        uintptr_t end;

        if (x->variable) {
                x->call.capacity = AMB_CHANNEL_VARIABLE;
        } else if (x->output_size > 0 && x->output_size <= AMB_CHANNEL_BYTES) {
                x->call.capacity = (uint32_t)x->output_size;
                x->call.bytes_out = x->output_struct;
        } else if (x->output_size > 0 && x->output_struct) {
                if (x->output_size > UINT32_MAX)
                        return kIOReturnIPCError;
                if (__builtin_add_overflow((uintptr_t)x->output_struct, x->output_size, &end))
                        return KERN_SUCCESS;
                x->call.flags |= AMB_CALL_RANGE_OUT;
                x->large = true;
        }
        return KERN_SUCCESS;
}

/* The caller's memory as a ticket: whether it is there at all will be seen when the driver maps it (2.5). */
static kern_return_t range_describe(struct exchange *x, struct amb_range *range, const void *bytes, size_t size, uint32_t options)
{
        return amb_loan_begin(x->connection, bytes, size, options, range) < 0 ? kIOReturnNoMemory : KERN_SUCCESS;
}

static kern_return_t ranges_describe(struct exchange *x)
{
        kern_return_t code = KERN_SUCCESS;

        /* Without somebody to ask, the driver's mappings fail, and it says so in its own way. */
        (void)amb_loans_need(x->connection);
        if (x->call.flags & AMB_CALL_RANGE_IN)
                code = range_describe(x, &x->call.range_in, x->input_struct, x->input_size, AMB_LOAN_OUT);
        if (code == KERN_SUCCESS && (x->call.flags & AMB_CALL_RANGE_OUT))
                code = range_describe(x, &x->call.range_out, x->output_struct, x->output_size, AMB_LOAN_IN | AMB_LOAN_SHARED);
        return code;
}

/* Whatever the call's end was, the driver's stores are the caller's (row 54). */
static void ranges_end(struct exchange *x)
{
        if (x->call.range_out.id)
                amb_loan_end(x->connection, x->call.range_out.id, x->reply.flags & AMB_REPLY_OUT_RETAINED);
        if (x->call.range_in.id)
                amb_loan_end(x->connection, x->call.range_in.id, x->reply.flags & AMB_REPLY_IN_RETAINED);
}

/* What the channel's "no" is to the caller. */
AMB_COLD static kern_return_t call_failed(struct amb_connection *connection, int r)
{
        switch (r) {
        case AMB_CHANNEL_TERMINATED:
                return amb_connection_terminated(connection);
        case AMB_CHANNEL_CLOSED:
                return amb_connection_ended(connection);
        case AMB_CHANNEL_PEER_DIED:
                return MIG_SERVER_DIED;
        case AMB_CHANNEL_BROKEN:
                amb_log(AMB_LOG_WARNING, "the driver's host broke the channel's protocol (%s); connection given up",
                        amb_channel_reason(connection->channel));
                return kIOReturnIPCError;
        default:
                return kIOReturnIPCError;
        }
}

static kern_return_t exchange_send(struct exchange *x)
{
        int r;

        amb_loans_sync(&x->connection->loans);
        r = amb_channel_call(x->connection->channel, &x->call, &x->reply);
        amb_loans_sync(&x->connection->loans);
        return amb_likely(r == 0) ? x->reply.status : call_failed(x->connection, r);
}

/* A call with large arguments; the only one that allocates. */
static kern_return_t exchange_send_large(struct exchange *x)
{
        AMB_NO_CANCEL;
        kern_return_t code = ranges_describe(x);

        if (code == KERN_SUCCESS)
                code = exchange_send(x);
        ranges_end(x);
        return code;
}

/* --- variable output --- */

/* Fresh pages with `length` bytes from `bytes`, for the caller to vm_deallocate. */
static kern_return_t pages_of(const void *bytes, size_t length, void **ret)
{
        void *memory;

        memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return kIOReturnNoMemory;
        memcpy(memory, bytes, length);
        *ret = memory;
        return KERN_SUCCESS;
}

static kern_return_t fetch_output(struct exchange *x, void **ret, size_t *ret_length)
{
        struct amb_side_message request = { .kind = AMB_SIDE_FETCH, .id = x->reply.out_region }, answer;
        kern_return_t code;
        AMB_FD fd = -1;
        void *memory;

        if (amb_connection_ask(x->connection, &request, -1, &answer, &fd))
                return MIG_SERVER_DIED;
        if (answer.code)
                return answer.code;
        if (answer.size == 0)
                return KERN_SUCCESS;
        if (answer.size != x->reply.length || answer.size > AMB_LOAN_BYTES_MAX || fd < 0 ||
            !amb_side_memory_check(fd, 0, 0) || lseek(fd, 0, SEEK_END) < (off_t)answer.size)
                return kIOReturnIPCError;
        memory = mmap(NULL, answer.size, PROT_READ, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
                return kIOReturnNoMemory;
        code = pages_of(memory, answer.size, ret);
        munmap(memory, answer.size);
        if (code == KERN_SUCCESS)
                *ret_length = answer.size;
        return code;
}

static kern_return_t exchange_variable(struct exchange *x, void **ret, size_t *ret_length)
{
        char bytes[AMB_CHANNEL_BYTES];
        kern_return_t code;

        x->call.bytes_out = bytes;
        code = x->large ? exchange_send_large(x) : exchange_send(x);
        if (code)
                return code;
        if (x->reply.flags & AMB_REPLY_LARGE)
                return fetch_output(x, ret, ret_length);
        if (!(x->reply.flags & AMB_REPLY_BYTES))
                return kIOReturnUnderrun;
        if (x->reply.size == 0)
                return KERN_SUCCESS;
        code = pages_of(bytes, x->reply.size, ret);
        if (code == KERN_SUCCESS)
                *ret_length = x->reply.size;
        return code;
}

/* --- what is written back (2.4, 2.6) --- */

static void results_write(struct exchange *x, uint32_t *output_count, size_t *output_size)
{
        if (output_count)
                *output_count = x->reply.scalar_count;
        if (!output_size || x->variable)
                return;
        if (x->call.capacity == 0) {
                /* None, or out of line: the size comes back through 32 bits. */
                *output_size = (uint32_t)*output_size;
        } else if (x->reply.flags & AMB_REPLY_BYTES) {
                *output_size = x->reply.size;
        } else {
                /* The driver returned nothing: the reply area is zeros, and as long as the room (row 48). */
                memset(x->output_struct, 0, x->output_size);
        }
}

static inline uint32_t scalar_room(const uint32_t *output_count)
{
        if (!output_count)
                return 0;
        return *output_count < AMB_CHANNEL_SCALARS ? *output_count : AMB_CHANNEL_SCALARS;
}

static kern_return_t exchange_run(struct exchange *x, uint32_t *output_count, size_t *output_size)
{
        kern_return_t code;
        size_t length = 0;
        void *pages = NULL;

        plan_input(x);
        code = plan_output(x);
        if (code)
                return code;
        if (x->variable) {
                code = exchange_variable(x, &pages, &length);
                memcpy(x->output_struct, &pages, sizeof(pages));
                *output_size = length;
        } else {
                code = x->large ? exchange_send_large(x) : exchange_send(x);
        }
        if (code == KERN_SUCCESS)
                results_write(x, output_count, output_size);
        return code;
}

kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input, uint32_t input_count,
                                  const void *input_struct, size_t input_size, uint64_t *output, uint32_t *output_count,
                                  void *output_struct, size_t *output_size)
{
        bool variable = output_size && *output_size == VARIABLE_SIZE;
        struct exchange x = {
                .call = { .selector = selector, .scalar_count = input_count, .scalars = input, .scalars_out = output },
                .input_struct = input_struct, .input_size = input_size,
                .output_struct = output_struct, .output_size = output_size ? *output_size : 0,
                .variable = variable,
        };
        kern_return_t code;

        if (input_count > AMB_CHANNEL_SCALARS) {
                code = MIG_ARRAY_TOO_LARGE;
        } else if (!(x.connection = amb_handle_pin(connection))) {
                code = amb_connection_refusal(connection);
        } else {
                x.call.scalar_capacity = scalar_room(output_count);
                code = exchange_run(&x, output_count, output_size);
                amb_handle_unpin(connection);
                return code;
        }
        if (variable) {
                memset(output_struct, 0, sizeof(void *));
                *output_size = 0;
        }
        return code;
}

/* --- asynchronous --- */

/*
 * The wake port's name on the connection. A port that it has used before is found without a lock; MACH_SEND_INVALID_RIGHT
 * wins over a bad connection, because the message is checked before its destination (call-path 2.7).
 */
static kern_return_t wake_port_find(struct amb_connection *connection, mach_port_t wake_port, uint32_t *ret_name)
{
        struct amb_port *port;
        kern_return_t code = KERN_SUCCESS;

        if (connection && amb_connection_seat_find(connection, wake_port, ret_name))
                return KERN_SUCCESS;
        if (amb_handle_get(wake_port, AMB_HANDLE_PORT, &port))
                return MACH_SEND_INVALID_RIGHT;
        if (connection)
                code = amb_connection_seat(connection, wake_port, port, ret_name);
        amb_target_unref(port);
        return code;
}

/* Everything that can be refused between the counts and the driver; then the call. */
static kern_return_t exchange_run_async(struct exchange *x, mach_port_t connection, mach_port_t wake_port, bool no_references,
                                        uint32_t *output_count, size_t *output_size)
{
        kern_return_t code;

        if (wake_port != MACH_PORT_NULL) {
                code = wake_port_find(x->connection, wake_port, &x->call.port);
                if (code)
                        return code;
                x->call.flags |= AMB_CALL_ASYNC;
        }
        if (!x->connection)
                return amb_connection_refusal(connection);
        if (no_references)
                return kIOReturnBadArgument;
        return exchange_run(x, output_count, output_size);
}

kern_return_t IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector, mach_port_t wake_port, uint64_t *reference,
                                       uint32_t reference_count, const uint64_t *input, uint32_t input_count,
                                       const void *input_struct, size_t input_size, uint64_t *output, uint32_t *output_count,
                                       void *output_struct, size_t *output_size)
{
        struct exchange x = {
                .call = { .selector = selector, .scalar_count = input_count, .scalars = input, .scalars_out = output },
                .input_struct = input_struct, .input_size = input_size,
                .output_struct = output_struct, .output_size = output_size ? *output_size : 0,
        };
        kern_return_t code;

        if (reference_count > AMB_CHANNEL_REFERENCES || input_count > AMB_CHANNEL_SCALARS)
                return MIG_ARRAY_TOO_LARGE;
        for (uint32_t i = 1; i < reference_count; i++)
                x.call.reference[i] = reference[i];
        x.call.scalar_capacity = scalar_room(output_count);
        x.connection = amb_handle_pin(connection);
        code = exchange_run_async(&x, connection, wake_port, reference && reference_count == 0, output_count, output_size);
        if (x.connection)
                amb_handle_unpin(connection);
        return code;
}

/* --- the short forms --- */

kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector, const void *input_struct, size_t input_size,
                                        void *output_struct, size_t *output_size)
{
        return IOConnectCallMethod(connection, selector, NULL, 0, input_struct, input_size, NULL, NULL, output_struct,
                                   output_size);
}

/* The hot path: what IOConnectCallMethod does, without all that structures may need. */
kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector, const uint64_t *input, uint32_t input_count,
                                        uint64_t *output, uint32_t *output_count)
{
        struct amb_connection *target;
        struct amb_answer answer;
        kern_return_t code;

        if (amb_unlikely(input_count > AMB_CHANNEL_SCALARS))
                return MIG_ARRAY_TOO_LARGE;
        target = amb_handle_pin(connection);
        if (amb_unlikely(!target))
                return amb_connection_refusal(connection);
        amb_loans_sync(&target->loans);
        answer = amb_channel_call_scalars(target->channel, selector, input, input_count, output, scalar_room(output_count));
        amb_loans_sync(&target->loans);
        code = amb_likely(answer.no == 0) ? answer.status : call_failed(target, answer.no);
        if (code == KERN_SUCCESS && output_count)
                *output_count = answer.scalar_count;
        amb_handle_unpin(connection);
        return code;
}

kern_return_t IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector, mach_port_t wake_port,
                                             uint64_t *reference, uint32_t reference_count, const void *input_struct,
                                             size_t input_size, void *output_struct, size_t *output_size)
{
        return IOConnectCallAsyncMethod(connection, selector, wake_port, reference, reference_count, NULL, 0, input_struct,
                                        input_size, NULL, NULL, output_struct, output_size);
}

kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector, mach_port_t wake_port,
                                             uint64_t *reference, uint32_t reference_count, const uint64_t *input,
                                             uint32_t input_count, uint64_t *output, uint32_t *output_count)
{
        return IOConnectCallAsyncMethod(connection, selector, wake_port, reference, reference_count, input, input_count, NULL,
                                        0, output, output_count, NULL, NULL);
}

kern_return_t vm_deallocate(task_t task, vm_address_t address, vm_size_t size)
{
        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        if (size == 0)
                return KERN_SUCCESS;
        return munmap((void *)address, size) == 0 ? KERN_SUCCESS : KERN_INVALID_ADDRESS;
}
