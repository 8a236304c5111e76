/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 8, 15.8: actions. Where "another process" invokes one, a timer of this process does. */
#include "rows-async.h"
#include "rows-probe.h"

#define MS 1000000ull

KEPT_BARE(memory_and_queues_A001, "CreateActionTick(16): 0, 16 zeroed bytes of its own, class OSAction_Probe_Tick")
{
        static const char zeros[16];
        struct Probe *probe = probe_new();
        OSAction *action = NULL;
        ck_code(Probe_CreateActionTick(probe, 16, &action), kIOReturnSuccess);
        ck_assert_ptr_nonnull(OSAction_GetReference(action));
        ck_assert_mem_eq(OSAction_GetReference(action), zeros, 16);
        ck_assert_str_eq(OSObject_GetClassName(action), "OSAction_Probe_Tick");
        ck_assert_ptr_eq(OSDynamicCast(OSAction, action), action);
        ck_assert_uint_eq(OSObject_getRetainCount(action), 1);
        OSObjectRelease(action);
        OSObjectRelease(probe);
}

KEPT_BARE(memory_and_queues_A002, "CreateActionTick(0): GetReference gives NULL")
{
        struct Probe *probe = probe_new();
        OSAction *action = NULL;
        ck_code(Probe_CreateActionTick(probe, 0, &action), kIOReturnSuccess);
        ck_assert_ptr_null(OSAction_GetReference(action));
        OSObjectRelease(action);
        OSObjectRelease(probe);
}

KEPT_BARE(memory_and_queues_A003, "an action keeps its target: it is freed after the action")
{
        struct signal freed = SIGNAL_INIT;
        struct Probe *probe = probe_new();
        OSAction *action = probe_action(probe);
        probe->freed = &freed;
        OSObjectRelease(probe);
        ck_assert_int_eq(signal_count(&freed), 0);
        probe_timer(probe, action);
        probe_wake(probe, 1);
        signal_wait(&probe->ticks, 1);
        probe_quiet(probe);
        ck_assert_int_eq(signal_count(&freed), 0);
        OSObjectRelease(action);
        signal_wait(&freed, 1);
}

KEPT_BARE(memory_and_queues_A004, "Cancel, then release: the handler runs once, the target is freed")
{
        struct signal freed = SIGNAL_INIT, cancelled = SIGNAL_INIT;
        struct Probe *probe = probe_new();
        OSAction *action = probe_action(probe);
        probe->freed = &freed;
        OSObjectRelease(probe);
        ck_code(OSAction_Cancel_f(action, &cancelled, signal_add), kIOReturnSuccess);
        OSObjectRelease(action);
        signal_wait(&freed, 1);
        ck_assert_int_eq(signal_count(&cancelled), 1);
}

DRIVER(30005)
{
        D_EXPECT(arguments->completion);
        D_EXPECT(OSAction_GetReference(arguments->completion) == NULL);
        return keep(self, arguments);
}
DRIVER(130005)
{
        D_EXPECT(OSAction_GetReference((OSAction *)self->mine) == NULL);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_A005, "GetReference of an action of another process, the app's completion: NULL")
{
        io_connect_t c = contract_open(0);
        ck_code(call(c, 30005, new_port(), 3, 0), kIOReturnSuccess);
        ck_code(IOConnectCallScalarMethod(c, 130005, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

struct cancelling {
        struct Probe *probe, *other;
        OSAction *action;
        struct signal *cancelled;
};
/* On the probe's queue: a call that has been sent off waits for it when the action is cancelled. */
static __attribute__((unused)) void cancel_on_its_way(void *context)
{
        struct cancelling *c = context;
        probe_wake(c->probe, 1);
        probe_wake(c->other, mach_absolute_time() + MS);
        signal_wait(&c->other->ticks, 1);
        ck_code(OSAction_Cancel_f(c->action, c->cancelled, signal_add), kIOReturnSuccess);
}
KEPT_BARE(memory_and_queues_A006, "who invokes a cancelled action: its method does not run")
{
        struct signal cancelled = SIGNAL_INIT;
        struct Probe *probe = probe_new(), *other = probe_ticking();
        OSAction *action = probe_action(probe);
        struct cancelling cancelling = { probe, other, action, &cancelled };
        IODispatchQueue *queue = NULL;
        probe_timer(probe, action);
        ck_code(IOService_CopyDispatchQueue(&probe->service, kIOServiceDefaultQueueName, &queue), kIOReturnSuccess);
        IODispatchQueue_DispatchSync_f(queue, &cancelling, cancel_on_its_way);
        signal_wait(&cancelled, 1);
        probe_wake(probe, 1);
        probe_pass(probe, other, mach_absolute_time() + MS);
        ck_assert_int_eq(signal_count(&probe->ticks), 0);
        probe_quiet(probe);
        OSObjectRelease(queue);
        OSObjectRelease(action);
        OSObjectRelease(probe);
        probe_end(other);
}

KEPT_BARE(memory_and_queues_A007,
        "an action of the class made for Tock that is delivered to Tick: dropped (BadArgument in the log); the right one comes")
{
        struct Probe *probe = probe_new(), *other = probe_ticking();
        OSString *name = OSStringCreate("OSAction_Probe_Tock", (size_t)-1);
        OSAction *wrong = NULL, *right;
        ck_code(OSAction_CreateWithTypeName((OSObject *)probe, Probe_Tick_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, name,
                                            &wrong), kIOReturnSuccess);
        ck_assert_str_eq(OSObject_GetClassName(wrong), "OSAction_Probe_Tock");
        probe_timer(probe, wrong);
        probe_wake(probe, 1);
        probe_pass(probe, other, mach_absolute_time() + MS);
        ck_assert_int_eq(signal_count(&probe->ticks) + signal_count(&probe->tocks), 0);
        right = probe_action(probe);
        ck_code(IOTimerDispatchSource_SetHandler(probe->timer, right), kIOReturnSuccess);
        probe_wake(probe, 1);
        signal_wait(&probe->ticks, 1);
        ck_assert_ptr_eq(probe->action, right);
        probe_quiet(probe);
        OSObjectRelease(name);
        OSObjectRelease(wrong);
        OSObjectRelease(right);
        OSObjectRelease(probe);
        probe_end(other);
}

DIFFERS_BARE(memory_and_queues_A008, "of two aborted handlers only the second one runs, once",
        "no other process holds an action here, so none can die with it: the handler runs when the last source lets go")
{
        struct signal first = SIGNAL_INIT, second = SIGNAL_INIT, cancelled = SIGNAL_INIT;
        struct Probe *probe = probe_new(), *other = probe_new();
        OSAction *action = probe_action(probe);
        ck_code(OSAction_SetAbortedHandler_f(action, &first, signal_add), kIOReturnSuccess);
        ck_code(OSAction_SetAbortedHandler_f(action, &second, signal_add), kIOReturnSuccess);
        probe_timer(probe, action);
        probe_timer(other, action);
        probe_quiet(probe);
        ck_assert_int_eq(signal_count(&second), 0);
        probe_quiet(other);
        signal_wait(&second, 1);
        /* Held and let go of again: nothing more. */
        probe_timer(probe, action);
        probe_quiet(probe);
        ck_code(OSAction_Cancel_f(action, &cancelled, signal_add), kIOReturnSuccess);
        signal_wait(&cancelled, 1);
        ck_assert_int_eq(signal_count(&second), 1);
        ck_assert_int_eq(signal_count(&first), 0);
        OSObjectRelease(action);
        OSObjectRelease(probe);
        OSObjectRelease(other);
}

KEPT_BARE(memory_and_queues_A009, "WillWait twice: Busy; after EndWait again")
{
        struct Probe *probe = probe_new();
        OSAction *action = probe_action(probe);
        void *token = NULL, *second = &token;
        ck_code(OSAction_WillWait(action, &token), kIOReturnSuccess);
        ck_code(OSAction_WillWait(action, &second), kIOReturnBusy);
        ck_assert_ptr_eq(second, &token);
        ck_code(OSAction_EndWait(action, token), kIOReturnTimeout);
        ck_code(OSAction_WillWait(action, &second), kIOReturnSuccess);
        ck_code(OSAction_EndWait(action, second), kIOReturnTimeout);
        OSObjectRelease(action);
        OSObjectRelease(probe);
}

KEPT_BARE(memory_and_queues_A010,
        "Wait without an invocation: Timeout, not before the deadline; with one: 0; no limit with 0 and 0")
{
        struct Probe *probe = probe_new();
        OSAction *action = probe_action(probe);
        uint64_t deadline = clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + 50 * MS;
        void *token;
        probe_timer(probe, action);
        ck_code(OSAction_WillWait(action, &token), kIOReturnSuccess);
        ck_code(OSAction_Wait(action, token, kIOTimerClockUptimeRaw, deadline), kIOReturnTimeout);
        ck_assert_uint_ge(clock_gettime_nsec_np(CLOCK_UPTIME_RAW), deadline);
        probe_wake(probe, 1);
        ck_code(OSAction_Wait(action, token, 0, 0), kIOReturnSuccess);
        ck_assert_int_eq(signal_count(&probe->ticks), 1);
        ck_code(OSAction_EndWait(action, token), kIOReturnSuccess);
        probe_quiet(probe);
        OSObjectRelease(action);
        OSObjectRelease(probe);
}

struct wait {
        OSAction *action;
        void *token;
        kern_return_t code;
};
static __attribute__((unused)) void *wait_run(void *context)
{
        struct wait *wait = context;
        do
                wait->code = OSAction_Wait(wait->action, wait->token, 0, 0);
        while (wait->code == kIOReturnBusy);    /* the row itself is in there, for a moment */
        return NULL;
}
KEPT_BARE(memory_and_queues_A011, "Wait without a limit, Cancel from another thread: Aborted")
{
        struct Probe *probe = probe_new();
        struct wait wait = { .action = probe_action(probe) };
        pthread_t thread;
        ck_code(OSAction_WillWait(wait.action, &wait.token), kIOReturnSuccess);
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_run, &wait), 0);
        while (OSAction_Wait(wait.action, wait.token, kIOTimerClockUptimeRaw, 1) != kIOReturnBusy)
                sched_yield();
        ck_code(OSAction_Cancel_f(wait.action, NULL, NULL), kIOReturnSuccess);
        pthread_join(thread, NULL);
        ck_code(wait.code, kIOReturnAborted);
        ck_code(OSAction_EndWait(wait.action, wait.token), kIOReturnAborted);
        OSObjectRelease(wait.action);
        OSObjectRelease(probe);
}

DRIVER(30012)
{
        complete(self, arguments->completion, 1, 17);
        complete(self, arguments->completion, 2, 16);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_A012, "AsyncCompletion with 17 values returns, and the app gets nothing")
{
        mach_port_t port = new_port();
        ck_code(call(contract_open(0), 30012, port, 3, 0), kIOReturnSuccess);
        ck_next(port, PATIENCE, 3, 2);
        ck_nothing(port);
}

/* A subclass's own Plain. */
struct Deputy {
        struct Probe probe;
};
static __attribute__((unused)) void deputy_plain(struct Probe *self, OSAction *action, uint64_t time)
{
        probe_note(self, action, time);
        signal_add(&self->tocks);
}
static __attribute__((unused)) const struct amb_method deputy_methods[] = {
        AMB_METHOD(Probe_Plain_ID, deputy_plain),
        AMB_METHODS_END,
};
static __attribute__((unused)) const OSMetaClass gDeputyMetaClass = {
        "Deputy", &gProbeMetaClass, sizeof(struct Deputy), deputy_methods, NULL,
};
KEPT_BARE(memory_and_queues_A013,
        "OSAction::Create for a plain virtual method: 0; the delivery reaches the target's own implementation")
{
        struct signal none = SIGNAL_INIT;
        struct Probe *deputy = (struct Probe *)amb_object_new(OSTypeID(Deputy));
        OSAction *action = NULL, *marker = NULL;
        ck_assert_ptr_nonnull(deputy);
        deputy->plains = deputy->tocks = none;
        ck_code(OSAction_Create((OSObject *)deputy, Probe_Plain_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, &action),
                kIOReturnSuccess);
        ck_assert_str_eq(OSObject_GetClassName(action), "OSAction");
        probe_timer(deputy, action);
        probe_wake(deputy, 1);
        signal_wait(&deputy->tocks, 1);
        ck_assert_ptr_eq(deputy->action, action);
        ck_assert_int_eq(signal_count(&deputy->plains), 0);
        ck_code(OSAction_Create((OSObject *)deputy, 42, 1, 0, &marker), kIOReturnBadArgument);
        ck_assert_ptr_null(marker);
        probe_quiet(deputy);
        OSObjectRelease(action);
        OSObjectRelease(deputy);
}
