/* SPDX-License-Identifier: Apache-2.0 */
/* As found: a source that includes <IOKit/IOKitLib.h> alone, and uses what that brings on Darwin. */
#include <IOKit/IOKitLib.h>

typedef struct {
    UInt32 address;
    UInt16 port;
    Boolean valid;
    SInt32 status;
} Endpoint;

static void stop(int signal __unused)
{
    _exit(1);
}

static __deprecated int old(void)
{
    return 0;
}

int open_device(const char *name, io_connect_t *connect);
int open_device(const char *name, io_connect_t *connect)
{
    Endpoint endpoint = { 0 };
    io_name_t copy;
    CFTypeRef value;
    io_service_t service;
    struct sigaction action = { .sa_handler = stop };

#if TARGET_OS_OSX && defined(MAC_OS_X_VERSION_10_15)
    endpoint.valid = true;
#endif
    bzero(copy, sizeof(copy));
    strlcpy(copy, name, sizeof(copy));
    sigaction(SIGINT, &action, NULL);
    endpoint.address = htonl(INADDR_LOOPBACK);
    endpoint.port = _OSSwapInt16(OSSwapHostToBigInt16(80));
    service = IOServiceGetMatchingService(kIOMasterPortDefault, IOServiceMatching(copy));
    value = IORegistryEntryCreateCFProperty(service, CFSTR("IOClass"), kCFAllocatorDefault, kNilOptions);
    if (value)
        CFRelease(value);
    usleep(1);
    (void)getpid();
    (void)&old;
    return IOServiceOpen(service, mach_task_self(), 0, connect) == kIOReturnSuccess && endpoint.valid ? 0 : -1;
}
