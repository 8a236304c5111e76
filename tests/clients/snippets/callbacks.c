/* SPDX-License-Identifier: Apache-2.0 */
/* As found: callbacks of all forms, as types, with Darwin's names for the arguments, and cast into references in several ways. */
#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>

static void matched(void *refcon, io_iterator_t iterator) { (void)refcon, (void)iterator; }
static void interest(void *refcon, io_service_t service, natural_t messageType, void *messageArgument)
{
    (void)refcon, (void)service, (void)messageArgument;
    if (messageType == kIOMessageServiceIsTerminated || messageType == kIOMessageServicePropertyChange)
        return;
}
static void none(void *refcon, IOReturn result) { (void)refcon, (void)result; }
static void one(void *refcon, IOReturn result, void *arg0) { (void)refcon, (void)result, (void)arg0; }
static void two(void *refcon, IOReturn result, void *arg0, void *arg1) { (void)refcon, (void)result, (void)arg0, (void)arg1; }
static void many(void *refcon, IOReturn result, void **args, UInt32 numArgs) { (void)refcon, (void)result, (void)args,
                                                                               (void)numArgs; }

static IOServiceMatchingCallback as_matching = matched;
static IOServiceInterestCallback as_interest = interest;
static IOAsyncCallback0 as_none = none;
static IOAsyncCallback1 as_one = one;
static IOAsyncCallback2 as_two = two;
static IOAsyncCallback as_many = many;

kern_return_t ask(io_connect_t connect, IONotificationPortRef port, io_service_t service);
kern_return_t ask(io_connect_t connect, IONotificationPortRef port, io_service_t service)
{
    uint64_t first[kIOAsyncCalloutCount] = { 0 };
    io_async_ref64_t second = { 0 };
    OSAsyncReference64 third = { 0 };
    io_iterator_t iterator;
    io_object_t notification;

    first[kIOAsyncCalloutFuncIndex] = (uint64_t)as_none;
    first[kIOAsyncCalloutRefconIndex] = (uint64_t)NULL;
    second[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)(uintptr_t)as_one;
    third[kIOAsyncCalloutFuncIndex] = (uintptr_t)(void *)as_two;
    third[kIOAsyncCalloutRefconIndex] = (uintptr_t)&as_many;
    IOServiceAddMatchingNotification(port, kIOTerminatedNotification, IOServiceMatching("IOUserService"), as_matching, NULL,
                                     &iterator);
    IOServiceAddInterestNotification(port, service, kIOGeneralInterest, as_interest, NULL, &notification);
    IOConnectCallAsyncStructMethod(connect, 1, IONotificationPortGetMachPort(port), second, kIOAsyncCalloutCount, NULL, 0, NULL,
                                   NULL);
    IOConnectCallAsyncScalarMethod(connect, 1, IONotificationPortGetMachPort(port), third, kIOAsyncCalloutCount, NULL, 0, NULL,
                                   NULL);
    return IOConnectCallAsyncMethod(connect, 1, IONotificationPortGetMachPort(port), first, kIOAsyncCalloutCount, NULL, 0, NULL, 0,
                                    NULL, NULL, NULL, NULL);
}
