/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that moves data: buffers rounded up to pages, structures that do not fit inline, an output whose size the driver
 * chooses, memory of the driver's mapped into this process. Errors end it by way of AssertMacros and sysexits.
 */
#include <AssertMacros.h>
#include <IOKit/IOKitLib.h>
#include <err.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define ROUND_UP(size, to) (((size) + (to) - 1) / (to) * (to))

struct header {
    uint32_t magic;
    uint32_t length;
} __packed;

static io_connect_t open_device(const char *name)
{
    io_service_t service = IOServiceGetMatchingService(kIOMasterPortDefault, IOServiceNameMatching(name));
    io_connect_t connect = MACH_PORT_NULL;
    kern_return_t kr;

    if (!service)
        errx(EX_UNAVAILABLE, "no service \"%s\"", name);
    kr = IOServiceOpen(service, mach_task_self(), 0, &connect);
    IOObjectRelease(service);
    if (kr != KERN_SUCCESS)
        errx(EX_NOPERM, "IOServiceOpen: %s (%#x)", mach_error_string(kr), kr);
    return connect;
}

static UInt32 checksum(const UInt8 *bytes, size_t length)
{
    UInt32 sum = 0;

    while (length--)
        sum = sum * 31 + *bytes++;
    return sum;
}

/* One round trip of `payload` bytes behind a header, in buffers of whole pages. */
static int round_trip(io_connect_t connect, size_t payload)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = ROUND_UP(sizeof(struct header) + payload, page), back = size;
    UInt8 *out = NULL, *in = NULL;
    struct header *header;
    int result = -1;
    IOReturn kr;

    require(posix_memalign((void **)&out, page, size) == 0, exit);
    require(posix_memalign((void **)&in, page, size) == 0, exit);
    bzero(out, size);
    bzero(in, size);
    header = (struct header *)out;
    header->magic = OSSwapHostToBigInt32(0x41424344);
    header->length = (uint32_t)payload;
    for (size_t i = 0; i < payload; i++)
        out[sizeof(*header) + i] = (UInt8)(i * 7);
    kr = IOConnectCallStructMethod(connect, 1, out, size, in, &back);
    require_noerr(kr, exit);
    require(memcmp(out, in, 4) == 0 && in[0] == 'A', exit);
    require(checksum(in, size) == checksum(out, size), exit);
    printf("%zu bytes in %zu pages: %zu came back\n", payload, size / page, back);
    result = 0;
exit:
    free(out);
    free(in);
    return result;
}

static int chosen_by_driver(io_connect_t connect)
{
    UInt8 data[100];
    void *output = NULL;
    size_t size = kIOConnectMethodVarOutputSize;
    kern_return_t kr;

    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (UInt8)i;
    kr = IOConnectCallMethod(connect, 1, NULL, 0, data, sizeof(data), NULL, NULL, &output, &size);
    if (kr != kIOReturnSuccess)
        return -1;
    printf("variable output: %zu bytes, %s\n", size, memcmp(output, data, sizeof(data)) ? "wrong" : "right");
    return vm_deallocate(mach_task_self(), (vm_address_t)output, size) == KERN_SUCCESS ? 0 : -1;
}

/* Memory type 2 is shared by all connections; selector 10 looks at it and changes it from the driver's side. */
static int mapped(io_connect_t connect)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    const uint64_t ask[3] = { 2, 5, 1234 };
    uint64_t was = 0;
    uint32_t count = 1;
    kern_return_t kr = IOConnectMapMemory64(connect, 2, mach_task_self(), &address, &size, kIOMapAnywhere | kIOMapDefaultCache);

    if (kr != KERN_SUCCESS) {
        mach_error("IOConnectMapMemory64", kr);
        return -1;
    }
    ((volatile uint64_t *)address)[5] = 99;
    kr = IOConnectCallScalarMethod(connect, 10, ask, 3, &was, &count);
    printf("mapped %llu bytes: the driver saw %llu, and wrote %llu\n", (unsigned long long)size, (unsigned long long)was,
           (unsigned long long)((volatile uint64_t *)address)[5]);
    return kr == KERN_SUCCESS && IOConnectUnmapMemory64(connect, 2, mach_task_self(), address) == KERN_SUCCESS ? 0 : -1;
}

int main(void)
{
    io_connect_t connect = open_device("echo");
    const size_t payloads[] = { 0, 100, 4088, 4089, 65536, 1 << 20 };
    int bad = 0;

    for (unsigned i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
        bad |= round_trip(connect, payloads[i]);
    bad |= chosen_by_driver(connect);
    bad |= mapped(connect);
    printf("close: %s\n", mach_error_string(IOServiceClose(connect)));
    printf("after close: %s\n", mach_error_string(IOConnectCallStructMethod(connect, 1, NULL, 0, NULL, NULL)));
    return bad ? EX_SOFTWARE : EX_OK;
}
