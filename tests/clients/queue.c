/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that reads samples from a data queue in memory that it shares with its driver. The driver completes an asynchronous call
 * when there are some; the run loop's callback takes them out and asks for more. Started by another thread, ended by the last
 * sample.
 */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IODataQueueClient.h>
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <os/log.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { kListen = 0, kWrite = 1, kSwap = 2 };
#define WANTED 2000u

typedef struct {
    uint64_t sequence;
    uint32_t value;
} __attribute__((packed)) Sample;

typedef struct {
    io_connect_t connection;
    IODataQueueMemory *queue;
    CFRunLoopRef runLoop;
    uint64_t received;
    unsigned wrong;
} Reader;

static kern_return_t AskForMore(const Reader *reader)
{
    uint64_t want = 64, got = 0;
    uint32_t outputCount = 1;

    return IOConnectCallScalarMethod(reader->connection, kWrite, &want, 1, &got, &outputCount);
}

static void DataAvailable(void *refcon, IOReturn result, void *arg0)
{
    Reader *reader = refcon;
    uint8_t bytes[32];
    uint32_t size = sizeof(bytes);

    (void)arg0;
    while (result == kIOReturnSuccess && IODataQueueDataAvailable(reader->queue)) {
        Sample sample;

        size = sizeof(bytes);
        if (IODataQueueDequeue(reader->queue, bytes, &size) != kIOReturnSuccess || size < sizeof(sample)) {
            reader->wrong++;
            break;
        }
        memcpy(&sample, bytes, sizeof(sample));
        if (sample.sequence != reader->received || sample.value != (uint32_t)(reader->received * 3) ||
            size != 12 + reader->received % 5)
            reader->wrong++;
        reader->received++;
    }
    if (reader->received >= WANTED || reader->wrong || AskForMore(reader) != kIOReturnSuccess)
        CFRunLoopStop(reader->runLoop);
}

static void *Begin(void *argument)
{
    pthread_setname_np("org.example.begin");
    return AskForMore(argument) == kIOReturnSuccess ? NULL : argument;
}

static void PrintProperty(io_service_t service, CFStringRef key)
{
    CFTypeRef value = IORegistryEntryCreateCFProperty(service, key, kCFAllocatorDefault, 0);
    CFStringRef line = CFStringCreateWithFormat(kCFAllocatorDefault, NULL, CFSTR("%@: %@"), key, value);
    char buffer[256];

    if (CFStringGetCString(line, buffer, sizeof(buffer), kCFStringEncodingUTF8))
        printf("%s\n", buffer);
    CFRelease(line);
    if (value)
        CFRelease(value);
}

int main(void)
{
    io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("stream0"));
    IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
    os_log_t log = os_log_create("org.example.queue", "client");
    Reader reader = { .runLoop = CFRunLoopGetMain() };
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    io_async_ref64_t reference = { 0 };
    uint64_t three[3] = { 1, 2, 3 };
    size_t threeSize = sizeof(three);
    pthread_t thread;
    void *failed = NULL;
    kern_return_t kr;

    if (!service)
        return EXIT_FAILURE;
    printf("by its class: %s\n", IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("Stream")) ? "yes" : "no");
    PrintProperty(service, CFSTR("StreamRate"));
    PrintProperty(service, CFSTR("StreamState"));
    PrintProperty(service, CFSTR("StreamFormats"));
    PrintProperty(service, CFSTR("StreamNothing"));
    kr = IOServiceOpen(service, mach_task_self(), 7, &reader.connection);
    printf("type 7: %s\n", kr == kIOReturnExclusiveAccess ? "exclusive" : mach_error_string(kr));
    kr = IOServiceOpen(service, mach_task_self(), 0, &reader.connection);
    if (kr != KERN_SUCCESS) {
        os_log_error(log, "IOServiceOpen: %{public}s", mach_error_string(kr));
        return EXIT_FAILURE;
    }
    kr = IOConnectCallStructMethod(reader.connection, kSwap, three, sizeof(three), three, &threeSize);
    printf("swap: %x, %llu %llu %llu\n", kr, (unsigned long long)three[0], (unsigned long long)three[1],
           (unsigned long long)three[2]);
    kr = IOConnectCallStructMethod(reader.connection, kSwap, three, 16, three, &threeSize);
    printf("swap of 16 bytes: %x\n", kr);

    kr = IOConnectMapMemory64(reader.connection, 0, mach_task_self(), &address, &size, kIOMapAnywhere);
    if (kr != KERN_SUCCESS)
        return EXIT_FAILURE;
    reader.queue = (IODataQueueMemory *)address;
    printf("queue of %u bytes in %s\n", reader.queue->queueSize, size > reader.queue->queueSize ? "more" : "less");
    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)DataAvailable;
    reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)&reader;
    kr = IOConnectCallAsyncScalarMethod(reader.connection, kListen, IONotificationPortGetMachPort(port), reference,
                                        kIOAsyncCalloutCount,
                                        NULL, 0, NULL, NULL);
    if (kr != KERN_SUCCESS || pthread_create(&thread, NULL, Begin, &reader) != 0)
        return EXIT_FAILURE;
    CFRunLoopRun();
    pthread_join(thread, &failed);
    printf("samples: %s, %u wrong%s\n", reader.received >= WANTED ? "enough" : "too few", reader.wrong,
           failed ? ", could not begin" : "");
    IOConnectUnmapMemory64(reader.connection, 0, mach_task_self(), address);
    IOServiceClose(reader.connection);
    IONotificationPortDestroy(port);
    IOObjectRelease(service);
    return reader.wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
