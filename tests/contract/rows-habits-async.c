/* SPDX-License-Identifier: Apache-2.0 */
/* real-code 1, item 14: how programs use completions. */
#include <dispatch/dispatch.h>

#include "rows-async.h"

DRIVER(3014)
{
        D_EXPECT(arguments->completion && arguments->scalarInputCount == 1);
        if (arguments->scalarInput[0] == 64) {
                /* 64 bytes of a device's report, as 8 values. */
                uint64_t values[8];
                char bytes[65];
                for (int i = 0; i < 64; i++)
                        bytes[i] = (char)i;
                memcpy(values, bytes, 64);
                IOUserClient_AsyncCompletion(&self->client, arguments->completion, 0, values, 8);
                return kIOReturnSuccess;
        }
        complete(self, arguments->completion, 0, (uint32_t)arguments->scalarInput[0]);
        return kIOReturnSuccess;
}

static IONotificationPortRef port;
static char forms[8];
static char report[64];
static dispatch_semaphore_t done;

static void form(char which)
{
        forms[strlen(forms)] = which;
}
static void form0(void *refcon, IOReturn result)
{
        form('0');
}
static void form1(void *refcon, IOReturn result, void *a)
{
        form('1');
}
static void form2(void *refcon, IOReturn result, void *a, void *b)
{
        form('2');
}
static void form_report(void *refcon, IOReturn result, void **args, uint32_t count)
{
        form('n');
        ck_assert_uint_eq(count, 8);
        memcpy(report, args, 64);
        CFRunLoopStop(refcon);
}
static void form_destroy(void *refcon, IOReturn result)
{
        IONotificationPortDestroy(port);
        form('d');
        if (done)
                dispatch_semaphore_signal(done);
}
static void form_main(void *refcon, IOReturn result)
{
        form('m');
        CFRunLoopStop(refcon);
}

static void ask(io_connect_t c, void *function, uint64_t count)
{
        uint64_t reference[3] = { 0, (uintptr_t)function, (uintptr_t)CFRunLoopGetCurrent() };
        ck_code(IOConnectCallAsyncScalarMethod(c, 3014, IONotificationPortGetMachPort(port), reference, 3, &count, 1, NULL, NULL),
                kIOReturnSuccess);
}

KEPT(real_code_14,
     "run-loop source and dispatch queue, all four callback forms, 64 bytes as 8 values, stop and destroy inside callbacks")
{
        io_connect_t c = contract_open(0);
        port = IONotificationPortCreate(kIOMainPortDefault);
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        ask(c, (void *)form0, 0);
        ask(c, (void *)form1, 1);
        ask(c, (void *)form2, 2);
        ask(c, (void *)form_report, 64);
        CFRunLoopRun();
        ck_assert_str_eq(forms, "012n");
        for (int i = 0; i < 64; i++)
                ck_assert_int_eq(report[i], i);
        ask(c, (void *)form_destroy, 0);
        ask(c, (void *)form0, 0);
        CFRunLoopRun();                         /* ends by itself: its only source is gone */
        ck_assert_str_eq(forms, "012nd");

        done = dispatch_semaphore_create(0);
        port = IONotificationPortCreate(kIOMainPortDefault);
        IONotificationPortSetDispatchQueue(port, dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0));
        ask(c, (void *)form_destroy, 0);
        ck_assert_int_eq(dispatch_semaphore_wait(done, dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_SEC)), 0);
        ck_assert_str_eq(forms, "012ndd");

        port = IONotificationPortCreate(kIOMainPortDefault);
        IONotificationPortSetDispatchQueue(port, dispatch_get_main_queue());
        ask(c, (void *)form_main, 0);
        CFRunLoopRun();
        ck_assert_str_eq(forms, "012nddm");
        IONotificationPortDestroy(port);
}
