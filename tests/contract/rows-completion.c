/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.7: completions and the end of things, and what else an action can do. */
#include <signal.h>
#include <sys/wait.h>

#include "rows-async.h"

/* An action that outlives the user client it came to. */
static OSAction *kept;

static kern_return_t keep_for_all(IOUserClientMethodArguments *arguments)
{
        D_EXPECT(arguments->completion && !kept);
        OSObjectRetain(arguments->completion);
        kept = arguments->completion;
        return kIOReturnSuccess;
}

static kern_return_t complete_kept(struct ContractUserClient *self)
{
        D_EXPECT(kept);
        for (int i = 0; i < 3; i++)
                complete(self, kept, i, 1);
        return kIOReturnSuccess;
}

DRIVER(135) { return keep(self, arguments); }
DRIVER(1135)
{
        D_EXPECT(self->mine);
        for (int i = 0; i < 1000; i++)
                complete(self, (OSAction *)self->mine, i, 16);
        return kIOReturnSuccess;
}
DRIVER(2135)
{
        complete(self, arguments->completion, 5, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_135, "the client has destroyed its port: completing returns, the messages are dropped; a new port gets none of them")
{
        io_connect_t c = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        ck_code(call(c, 135, IONotificationPortGetMachPort(port), 3, 0), kIOReturnSuccess);
        IONotificationPortDestroy(port);
        ck_code(call_sync(c, 1135, 0), kIOReturnSuccess);
        mach_port_t other = new_port();
        ck_code(call(c, 2135, other, 4, 0), kIOReturnSuccess);
        ck_code(call_sync(c, 1135, 0), kIOReturnSuccess);
        ck_next(other, NOW, 4, 5);
        ck_nothing(other);
}

DRIVER(136) { return keep_for_all(arguments); }
DRIVER(1136) { return complete_kept(self); }
KEPT(call_path_136, "the connection is closed, port and action are alive: completions are delivered, with the old refcon")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        ck_code(call(c, 136, port, 0x136, 0), kIOReturnSuccess);
        ck_code(IOServiceClose(c), kIOReturnSuccess);
        ck_nothing(port);
        ck_code(call_sync(contract_open(0), 1136, 0), kIOReturnSuccess);
        for (int i = 0; i < 3; i++)
                ck_next(port, PATIENCE, 0x136, i);
}

DRIVER(137) { return keep_for_all(arguments); }
DRIVER(1137) { return complete_kept(self); }
DRIVER_STOP(137) { return IOService_Stop((IOService *)self, provider); }
KEPT(call_path_137, "the client is gone: completing returns, the messages are dropped")
{
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                if (call(contract_open(137), 137, new_port(), 3, 0) == kIOReturnSuccess)
                        raise(SIGKILL);
                _exit(1);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the client ended by itself");
        ck_code(call_sync(contract_open(0), 1137, 0), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_STOP, 137, 1);
        ck_code(call_sync(contract_open(0), 1137, 0), kIOReturnSuccess);
}

DRIVER(138)
{
        complete(self, arguments->completion, 1, 0);
        return keep_for_all(arguments);
}
KEPT(call_path_138, "the driver's process is killed with an action held: what it had sent arrives, nothing else; the port lives on")
{
        io_connect_t c = contract_open(0);
        io_service_t service = contract_service();
        uint64_t id;
        ck_code(IORegistryEntryGetRegistryEntryID(service, &id), KERN_SUCCESS);
        mach_port_t port = new_port();
        ck_code(call(c, 138, port, 1, 0), kIOReturnSuccess);
        contract_host_kill();
        ck_next(port, NOW, 1, 1);
        ck_nothing(port);
        IOObjectRelease(service);
        service = contract_service_again(id);
        ck_code(IOServiceOpen(service, mach_task_self(), 0, &c), kIOReturnSuccess);
        ck_code(call(c, 138, port, 2, 0), kIOReturnSuccess);
        ck_next(port, NOW, 2, 1);
        ck_nothing(port);
        IOObjectRelease(service);
}

/* --- the action's own methods --- */

DRIVER(139)
{
        D_EXPECT(arguments->completion && !OSAction_GetReference(arguments->completion));
        return kIOReturnSuccess;
}
KEPT(call_path_139, "GetReference of a client's completion: NULL")
{
        ck_code(call(contract_open(0), 139, new_port(), 3, 0), kIOReturnSuccess);
}

static struct {
        uint64_t calls;
        pid_t thread;
} cancelled;
static void cancelled_140(void *context)
{
        __atomic_store_n(&cancelled.thread, gettid(), __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&cancelled.calls, (uint64_t)(uintptr_t)context, __ATOMIC_SEQ_CST);
}
DRIVER(140)
{
        D_EXPECT(keep(self, arguments) == 0);
        return OSAction_Cancel_f((OSAction *)self->mine, (void *)1, cancelled_140);
}
DRIVER(1140)
{
        D_EXPECT(arguments->scalarOutputCount == 2);
        complete(self, (OSAction *)self->mine, 1, 0);
        arguments->scalarOutput[0] = __atomic_load_n(&cancelled.calls, __ATOMIC_SEQ_CST);
        arguments->scalarOutput[1] = __atomic_load_n(&cancelled.thread, __ATOMIC_SEQ_CST) != gettid();
        return kIOReturnSuccess;
}
DRIVER(2140)
{
        complete(self, arguments->completion, 2, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_140,
     "Cancel of a client's completion: 0; the handler runs once, on another thread; no message, also from later completions")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        ck_code(call(c, 140, port, 3, 0), kIOReturnSuccess);
        uint64_t out[2] = { 0 };
        for (int tries = 0; out[0] == 0 && tries < 1000000; tries++) {
                uint32_t count = 2;
                ck_code(IOConnectCallScalarMethod(c, 1140, NULL, 0, out, &count), kIOReturnSuccess);
        }
        ck_code(call(c, 2140, port, 4, 0), kIOReturnSuccess);
        uint32_t count = 2;
        ck_code(IOConnectCallScalarMethod(c, 1140, NULL, 0, out, &count), kIOReturnSuccess);
        ck_assert_uint_eq(out[0], 1);
        ck_assert_uint_eq(out[1], 1);
        ck_next(port, NOW, 4, 2);
        ck_nothing(port);
}

static struct {
        IOTimerDispatchSource *timer;
        OSAction *action;
        uint64_t first, second;
} aborts;
static void aborted_first(void *context)
{
        __atomic_fetch_add(&aborts.first, 1, __ATOMIC_SEQ_CST);
}
/* Gives the action away and takes it back again: aborted once more, while it is being aborted. */
static void aborted_second(void *context)
{
        IOTimerDispatchSource_SetHandler(aborts.timer, aborts.action);
        IOTimerDispatchSource_SetHandler(aborts.timer, NULL);
        __atomic_fetch_add(&aborts.second, 1, __ATOMIC_SEQ_CST);
}
DRIVER(141)
{
        IOTimerDispatchSource *other;
        IODispatchQueue *queue;
        D_EXPECT(IOService_CopyDispatchQueue((IOService *)self, "Default", &queue) == 0);
        D_EXPECT(OSAction_Create((OSObject *)self, IOUserClient_ExternalMethod_ID, IOTimerDispatchSource_TimerOccurred_ID, 0,
                                 &aborts.action) == 0);
        D_EXPECT(IOTimerDispatchSource_Create(queue, &aborts.timer) == 0 && IOTimerDispatchSource_Create(queue, &other) == 0);
        OSObjectRelease(queue);
        D_EXPECT(OSAction_SetAbortedHandler_f(aborts.action, NULL, aborted_first) == 0);
        D_EXPECT(OSAction_SetAbortedHandler_f(aborts.action, NULL, aborted_second) == 0);
        D_EXPECT(IOTimerDispatchSource_SetHandler(aborts.timer, aborts.action) == 0);
        D_EXPECT(IOTimerDispatchSource_SetHandler(other, aborts.action) == 0);
        D_EXPECT(IOTimerDispatchSource_SetHandler(aborts.timer, NULL) == 0);
        D_EXPECT(__atomic_load_n(&aborts.second, __ATOMIC_SEQ_CST) == 0);
        OSObjectRelease(other);
        return kIOReturnSuccess;
}
DRIVER(1141)
{
        D_EXPECT(arguments->scalarOutputCount == 2);
        arguments->scalarOutput[0] = __atomic_load_n(&aborts.second, __ATOMIC_SEQ_CST);
        arguments->scalarOutput[1] = __atomic_load_n(&aborts.first, __ATOMIC_SEQ_CST);
        return kIOReturnSuccess;
}
DRIVER(2141)
{
        IOTimerDispatchSource_SetHandler(aborts.timer, aborts.action);
        OSSafeReleaseNULL(aborts.timer);
        D_EXPECT(OSAction_Cancel_f(aborts.action, NULL, NULL) == 0);
        OSSafeReleaseNULL(aborts.action);
        return kIOReturnSuccess;
}
DIFFERS(call_path_141, "an action's aborted handler runs once, the one set last",
        "no other process ever holds an action here, so there is no second abort to race with; the handler runs when the last "
        "source lets go")
{
        io_connect_t c = contract_open(0);
        ck_code(call_sync(c, 141, 0), kIOReturnSuccess);
        uint64_t out[2] = { 0 };
        for (int tries = 0; out[0] == 0 && tries < 1000000; tries++) {
                uint32_t count = 2;
                ck_code(IOConnectCallScalarMethod(c, 1141, NULL, 0, out, &count), kIOReturnSuccess);
        }
        ck_code(call_sync(c, 2141, 0), kIOReturnSuccess);
        uint32_t count = 2;
        ck_code(IOConnectCallScalarMethod(c, 1141, NULL, 0, out, &count), kIOReturnSuccess);
        ck_assert_uint_eq(out[0], 1);
        ck_assert_uint_eq(out[1], 0);
}

/* --- several actions; outputs --- */

DRIVER(142) { return keep(self, arguments); }
DRIVER(1142)
{
        complete(self, arguments->completion, 2, 1);
        complete(self, (OSAction *)self->mine, 1, 0);
        return kIOReturnSuccess;
}
static struct {
        char order[3];
        int count;
} seen_142;
static void one_142(void *refcon, IOReturn result)
{
        ck_assert_str_eq(refcon, "first");
        ck_assert_int_eq(result, 1);
        seen_142.order[seen_142.count++] = '1';
}
static void two_142(void *refcon, IOReturn result, void *value)
{
        ck_assert_str_eq(refcon, "second");
        ck_assert_int_eq(result, 2);
        ck_assert_uint_eq((uintptr_t)value, 0x1122334455660000u);
        seen_142.order[seen_142.count++] = '2';
}
KEPT(call_path_142, "two actions on one port: each callback gets its own function and refcon, in the order of the sends")
{
        io_connect_t c = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        mach_port_t wake = IONotificationPortGetMachPort(port);
        uint64_t one[3] = { 0, (uintptr_t)one_142, (uintptr_t)"first" }, two[3] = { 0, (uintptr_t)two_142, (uintptr_t)"second" };
        ck_code(IOConnectCallAsyncScalarMethod(c, 142, wake, one, 3, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallAsyncScalarMethod(c, 1142, wake, two, 3, NULL, 0, NULL, NULL), kIOReturnSuccess);
        while (seen_142.count < 2)
                ck_assert(contract_port_wait(port, PATIENCE));
        ck_assert_str_eq(seen_142.order, "21");
        IONotificationPortDestroy(port);
}

DRIVER(143)
{
        D_EXPECT(arguments->completion && arguments->structureOutputMaximumSize == 64);
        arguments->structureOutput = OSDataCreate("0123456789", 10);
        return keep(self, arguments);
}
KEPT(call_path_143, "structure output of an asynchronous call comes with the call's return, not with the completion")
{
        uint64_t reference[3] = { 0 };
        mach_port_t port = new_port();
        char out[65];
        size_t size = 64;
        memset(out, 'x', sizeof(out));
        ck_code(IOConnectCallAsyncStructMethod(contract_open(0), 143, port, reference, 3, NULL, 0, out, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 10);
        ck_assert_int_eq(memcmp(out, "0123456789", 10), 0);
        for (size_t i = 10; i < sizeof(out); i++)
                ck_assert_int_eq(out[i], 'x');
        ck_nothing(port);
}
