/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that waits for a device, opens it, and waits until it goes: matching notifications, an interest notification, a timer,
 * and an asynchronous call on one run loop.
 */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <mach/mach.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct MyPrivateData {
    io_object_t notification;
    io_service_t service;
    io_connect_t connection;
    CFStringRef deviceName;
} MyPrivateData;

static IONotificationPortRef gNotifyPort;
static io_iterator_t gAddedIter;
static io_iterator_t gRemovedIter;
static int gStillToHear = 2;    /* both notifications of the end, in whatever order */

static void Completed(void *refcon, IOReturn result, void *arg0)
{
    MyPrivateData *privateDataRef = (MyPrivateData *)refcon;

    (void)privateDataRef;
    printf("completed: 0x%08x, %s\n", result, arg0 ? "with a time" : "without a time");
    printf("waiting for the device to go\n");
    fflush(stdout);
}

static void DeviceNotification(void *refCon, io_service_t service, natural_t messageType, void *messageArgument __unused)
{
    MyPrivateData *privateDataRef = (MyPrivateData *)refCon;
    char name[128] = "";

    (void)service;
    if (messageType != kIOMessageServiceIsTerminated)
        return;
    CFStringGetCString(privateDataRef->deviceName, name, sizeof(name), kCFStringEncodingASCII);
    printf("%s: kIOMessageServiceIsTerminated\n", name);
    /* Frees everything of this device. */
    IOServiceClose(privateDataRef->connection);
    IOObjectRelease(privateDataRef->service);
    IOObjectRelease(privateDataRef->notification);
    CFRelease(privateDataRef->deviceName);
    free(privateDataRef);
    if (--gStillToHear == 0)
        CFRunLoopStop(CFRunLoopGetCurrent());
}

static void DeviceRemoved(void *refCon, io_iterator_t iterator)
{
    io_service_t device;

    while ((device = IOIteratorNext(iterator))) {
        io_name_t name;

        if (IORegistryEntryGetName(device, name) == KERN_SUCCESS)
            printf("removed: %s\n", name);
        IOObjectRelease(device);
        if (--gStillToHear == 0)
            CFRunLoopStop((CFRunLoopRef)refCon);
    }
}

static void DeviceAdded(void *refCon, io_iterator_t iterator)
{
    io_service_t device;

    (void)refCon;
    while ((device = IOIteratorNext(iterator))) {
        MyPrivateData *privateDataRef = malloc(sizeof(*privateDataRef));
        uint64_t asyncRef[8] = { 0 }, delay = 1;
        io_name_t deviceName;
        kern_return_t kr;

        bzero(privateDataRef, sizeof(*privateDataRef));
        privateDataRef->service = device;
        kr = IORegistryEntryGetName(device, deviceName);
        if (KERN_SUCCESS != kr)
            deviceName[0] = '\0';
        privateDataRef->deviceName = CFStringCreateWithCString(kCFAllocatorDefault, deviceName, kCFStringEncodingASCII);
        printf("added: %s\n", deviceName);
        kr = IOServiceAddInterestNotification(gNotifyPort, device, kIOGeneralInterest, DeviceNotification, privateDataRef,
                                              &(privateDataRef->notification));
        if (KERN_SUCCESS != kr)
            printf("IOServiceAddInterestNotification returned 0x%08x.\n", kr);
        kr = IOServiceOpen(device, mach_task_self(), 0, &privateDataRef->connection);
        if (KERN_SUCCESS != kr) {
            printf("IOServiceOpen returned 0x%08x.\n", kr);
            continue;
        }
        asyncRef[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)&Completed;
        asyncRef[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)privateDataRef;
        kr = IOConnectCallAsyncScalarMethod(privateDataRef->connection, 7, IONotificationPortGetMachPort(gNotifyPort), asyncRef,
                                            kIOAsyncCalloutCount, &delay, 1, NULL, NULL);
        if (KERN_SUCCESS != kr)
            printf("IOConnectCallAsyncScalarMethod returned 0x%08x.\n", kr);
    }
}

static void TooLate(CFRunLoopTimerRef timer, void *info)
{
    (void)timer;
    printf("nothing has happened\n");
    CFRunLoopStop((CFRunLoopRef)info);
}

int main(int argc, const char *argv[])
{
    CFMutableDictionaryRef matchingDict = IOServiceMatching("IOUserService"), propertyDict;
    CFRunLoopRef runLoop = CFRunLoopGetCurrent();
    CFRunLoopTimerContext context = { 0, runLoop, NULL, NULL, NULL };
    CFRunLoopTimerRef timer;
    CFStringRef className;
    kern_return_t kr;

    className = CFStringCreateWithCString(kCFAllocatorDefault, argc > 1 ? argv[1] : "echo", kCFStringEncodingUTF8);
    propertyDict = CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks,
                                             &kCFTypeDictionaryValueCallBacks);
    CFDictionarySetValue(propertyDict, CFSTR("IOUserClass"), className);
    CFDictionarySetValue(propertyDict, kCFBundleIdentifierKey, CFSTR("org.ambidext.echo"));
    CFDictionarySetValue(matchingDict, CFSTR(kIOPropertyMatchKey), propertyDict);
    CFRelease(propertyDict);
    CFRelease(className);

    gNotifyPort = IONotificationPortCreate(kIOMasterPortDefault);
    CFRunLoopAddSource(runLoop, IONotificationPortGetRunLoopSource(gNotifyPort), kCFRunLoopDefaultMode);
    timer = CFRunLoopTimerCreate(kCFAllocatorDefault, CFAbsoluteTimeGetCurrent() + 60, 0, 0, 0, TooLate, &context);
    CFRunLoopAddTimer(runLoop, timer, kCFRunLoopDefaultMode);

    matchingDict = (CFMutableDictionaryRef)CFRetain(matchingDict);
    kr = IOServiceAddMatchingNotification(gNotifyPort, kIOFirstMatchNotification, matchingDict, DeviceAdded, NULL, &gAddedIter);
    if (kr != KERN_SUCCESS)
        printf("IOServiceAddMatchingNotification returned 0x%08x.\n", kr);
    DeviceAdded(NULL, gAddedIter);
    kr = IOServiceAddMatchingNotification(gNotifyPort, kIOTerminatedNotification, matchingDict, DeviceRemoved, runLoop,
                                          &gRemovedIter);
    if (kr != KERN_SUCCESS)
        printf("IOServiceAddMatchingNotification returned 0x%08x.\n", kr);
    DeviceRemoved(runLoop, gRemovedIter);

    CFRunLoopRun();

    CFRunLoopTimerInvalidate(timer);
    CFRelease(timer);
    IOObjectRelease(gAddedIter);
    IOObjectRelease(gRemovedIter);
    IONotificationPortDestroy(gNotifyPort);
    printf("done\n");
    return 0;
}
