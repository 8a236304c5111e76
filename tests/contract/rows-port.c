/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.7, second half: messages taken apart by hand, ports, run loops and queues. */

#include <dispatch/dispatch.h>

#include "base/test-process.h"
#include "rows-async.h"

/* --- messages --- */

static int wrong_calls;
static void wrong_callback(void *refcon, IOReturn result)
{
        wrong_calls++;
}

/* A completion of no scalars, as it would be received, but for id and type. */
static void make_message(struct message *message, mach_msg_id_t id, uint32_t type)
{
        struct OSNotificationHeader64 head = { .size = 4, .type = type };
        memset(message, 0, sizeof(*message));
        message->header.msgh_size = 104;
        message->header.msgh_id = id;
        head.reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)wrong_callback;
        memcpy(message->rest, &head, sizeof(head));
}

KEPT_BARE(call_path_144, "IODispatchCalloutFromMessage ignores a message of id 54")
{
        struct message message;
        make_message(&message, 54, 150);
        IODispatchCalloutFromMessage(NULL, &message.header, NULL);
        ck_assert_int_eq(wrong_calls, 0);
        make_message(&message, 53, 150);
        IODispatchCalloutFromMessage(NULL, &message.header, NULL);
        ck_assert_int_eq(wrong_calls, 1);
}

KEPT_BARE(call_path_145, "IODispatchCalloutFromMessage ignores a message of type 151")
{
        struct message message;
        make_message(&message, 53, 151);
        IODispatchCalloutFromMessage(NULL, &message.header, NULL);
        ck_assert_int_eq(wrong_calls, 0);
        /* Only 12 bits are the type. */
        make_message(&message, 53, 150 | 1u << 30);
        IODispatchCalloutFromMessage(NULL, &message.header, NULL);
        ck_assert_int_eq(wrong_calls, 1);
}

DRIVER(146)
{
        D_EXPECT(arguments->completion && arguments->scalarInputCount == 1);
        complete(self, arguments->completion, 9, (uint32_t)arguments->scalarInput[0]);
        return kIOReturnSuccess;
}
KEPT(call_path_146, "OSGetNotificationFromMessage of a completion: type 150, reference 0, 4 + 8n bytes of content")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        for (uint32_t n = 0; n <= 16; n++) {
                struct message message;
                uint32_t type = 0;
                uintptr_t reference = 1;
                void *content = NULL;
                vm_size_t size = 0;
                ck_code(call(c, 146, port, 3, n), kIOReturnSuccess);
                ck_code(receive(port, &message, NOW), MACH_MSG_SUCCESS);
                ck_code(OSGetNotificationFromMessage(&message.header, 0, &type, &reference, &content, &size), kIOReturnSuccess);
                ck_assert_uint_eq(type, 150);
                ck_assert_uint_eq(reference, 0);
                ck_assert_ptr_eq(content, (char *)&message + 96);
                ck_assert_uint_eq(size, 4 + 8 * n);
        }
}

KEPT_BARE(call_path_147, "OSGetNotificationFromMessage with an index other than 0: kIOReturnNoResources")
{
        struct message message;
        uint32_t type = 77;
        uintptr_t reference = 77;
        void *content = &message;
        vm_size_t size = 77;
        make_message(&message, 53, 150);
        ck_code(OSGetNotificationFromMessage(&message.header, 1, &type, &reference, &content, &size), kIOReturnNoResources);
        message.header.msgh_size = 95;
        ck_code(OSGetNotificationFromMessage(&message.header, 0, &type, &reference, &content, &size), kIOReturnNoResources);
        ck_assert(type == 77 && reference == 77 && content == &message && size == 77);
}

KEPT_BARE(call_path_148, "OSGetNotificationFromMessage of a message of id 54: kIOReturnBadMessageID")
{
        struct message message;
        make_message(&message, 54, 150);
        ck_code(OSGetNotificationFromMessage(&message.header, 0, NULL, NULL, NULL, NULL), kIOReturnBadMessageID);
        ck_code(OSGetNotificationFromMessage(&message.header, 1, NULL, NULL, NULL, NULL), kIOReturnBadMessageID);
}

/* --- ports --- */

DRIVER(149)
{
        complete(self, arguments->completion, 1, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_149, "IOCreateReceivePort: 53 and 57 make a port that receives, 1 is kIOReturnBadArgument")
{
        io_connect_t c = contract_open(0);
        mach_port_t ports[2] = { 0, 0 }, none = 99;
        ck_code(IOCreateReceivePort(53, &ports[0]), kIOReturnSuccess);
        ck_code(IOCreateReceivePort(57, &ports[1]), kIOReturnSuccess);
        ck_code(IOCreateReceivePort(1, &none), kIOReturnBadArgument);
        ck_assert_uint_eq(none, 99);
        ck_assert_uint_ne(ports[0], ports[1]);
        for (int i = 0; i < 2; i++) {
                ck_code(call(c, 149, ports[i], 100 + i, 0), kIOReturnSuccess);
                ck_nothing(ports[!i]);
                ck_next(ports[i], NOW, 100 + i, 1);
                ck_code(mach_port_destroy(mach_task_self(), ports[i]), KERN_SUCCESS);
                ck_code(call(c, 149, ports[i], 0, 0), MACH_SEND_INVALID_RIGHT);
                ports[i] = new_port();
        }
}

KEPT_BARE(call_path_150, "IONotificationPortGetRunLoopSource twice: the same object")
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        CFRunLoopSourceRef source = IONotificationPortGetRunLoopSource(port);
        ck_assert_ptr_nonnull(source);
        ck_assert_ptr_eq(IONotificationPortGetRunLoopSource(port), source);
        CFRetain(source);
        IONotificationPortDestroy(port);
        ck_assert(!CFRunLoopSourceIsValid(source));
        CFRelease(source);
}

/* --- queues --- */

static struct {
        dispatch_semaphore_t semaphore;
        IONotificationPortRef port;
        int calls;
        bool in_order, inside;
} seen;

static void nothing(void *context)
{
}

static void queue_callback(void *refcon, IOReturn result)
{
        seen.in_order = seen.in_order && !seen.inside && (uintptr_t)refcon == (uintptr_t)seen.calls;
        seen.inside = true;
        seen.calls++;
        seen.inside = false;
        dispatch_semaphore_signal(seen.semaphore);
}

/* `count` calls, each with a completion of its own; refcons go on from `first`. */
static void complete_calls(io_connect_t c, uint32_t selector, void *function, int first, int count)
{
        for (int i = 0; i < count; i++) {
                uint64_t reference[3] = { 0, (uintptr_t)function, (uint64_t)(first + i) };
                ck_code(IOConnectCallAsyncScalarMethod(c, selector, IONotificationPortGetMachPort(seen.port), reference, 3, NULL, 0,
                                                       NULL, NULL), kIOReturnSuccess);
        }
}

static void wait_calls(int count)
{
        while (count-- > 0)
                ck_assert_int_eq(dispatch_semaphore_wait(seen.semaphore, dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_SEC)), 0);
}

DRIVER(151)
{
        complete(self, arguments->completion, 0, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_151, "queue set, taken away, set again: nothing is delivered in between, everything after, in order")
{
        io_connect_t c = contract_open(0);
        dispatch_queue_t queue = dispatch_queue_create("row 151", DISPATCH_QUEUE_SERIAL);
        seen.semaphore = dispatch_semaphore_create(0);
        seen.port = IONotificationPortCreate(kIOMainPortDefault);
        seen.in_order = true;
        IONotificationPortSetDispatchQueue(seen.port, queue);
        complete_calls(c, 151, (void *)queue_callback, 0, 100);
        wait_calls(100);

        IONotificationPortSetDispatchQueue(seen.port, NULL);
        complete_calls(c, 151, (void *)queue_callback, 100, 100);
        dispatch_sync_f(queue, NULL, nothing);
        ck_assert_int_eq(seen.calls, 100);

        IONotificationPortSetDispatchQueue(seen.port, queue);
        complete_calls(c, 151, (void *)queue_callback, 200, 100);
        wait_calls(200);

        /* On another queue, and on a concurrent one, callbacks do not overlap either. */
        IONotificationPortSetDispatchQueue(seen.port, dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0));
        dispatch_sync_f(queue, NULL, nothing);
        complete_calls(c, 151, (void *)queue_callback, 300, 100);
        wait_calls(100);
        IONotificationPortDestroy(seen.port);
        ck_assert_int_eq(seen.calls, 400);
        ck_assert(seen.in_order);
        dispatch_release(queue);
}

static void destroy_callback(void *refcon, IOReturn result)
{
        IONotificationPortDestroy(seen.port);
        seen.calls++;
        dispatch_semaphore_signal(seen.semaphore);
}

DRIVER(152)
{
        complete(self, arguments->completion, 0, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_152,
     "IONotificationPortDestroy inside a callback on a queue: what waits is dropped, the port ends after the callback")
{
        io_connect_t c = contract_open(0);
        dispatch_queue_t queue = dispatch_queue_create("row 152", DISPATCH_QUEUE_SERIAL);
        int before = 0;
        seen.semaphore = dispatch_semaphore_create(0);
        /* The first round opens what is opened once. */
        for (int round = 0; round < 20; round++) {
                seen.port = IONotificationPortCreate(kIOMainPortDefault);
                complete_calls(c, 152, (void *)destroy_callback, 0, 10);
                IONotificationPortSetDispatchQueue(seen.port, queue);
                wait_calls(1);
                dispatch_sync_f(queue, NULL, nothing);
                ck_assert_int_eq(seen.calls, round + 1);
                /* The driver's side, which may be this process, hears of the end before this question, and closes its end first. */
                ck_code(IOConnectUnmapMemory64(c, 152, mach_task_self(), 0), kIOReturnUnsupported);
                if (round == 0)
                        before = process_descriptors(getpid());
                else
                        ck_assert_int_eq(process_descriptors(getpid()), before);
        }
        dispatch_release(queue);
}
