/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.9, first part: what a close, a release and the app's end do, and what they leave behind. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/test-process.h"
#include "gate.h"

DRIVER(1163)
{
        gate_open();
        return kIOReturnSuccess;
}
/* What most rows call. */
DRIVER_ALIVE(163)
static kern_return_t nop(io_connect_t connection)
{
        return ask_alive(connection, 163);
}
/* One page of the driver's, which belongs to the user client. */
static kern_return_t give_page(struct ContractUserClient *self, IOMemoryDescriptor **memory)
{
        IOAddressSegment range;
        if (!self->mine) {
                IOBufferMemoryDescriptor *page;
                kern_return_t code = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, 4096, 0, &page);
                if (code)
                        return code;
                IOBufferMemoryDescriptor_GetAddressRange(page, &range);
                memset((void *)(uintptr_t)range.address, 0xa5, 4096);
                self->mine = (OSObject *)page;
        }
        OSObjectRetain(self->mine);
        *memory = (IOMemoryDescriptor *)self->mine;
        return kIOReturnSuccess;
}
DRIVER_MEMORY(168)
{
        return give_page(self, memory);
}
static const uint8_t *map_page(io_connect_t connection, uint32_t type)
{
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        ck_code(IOConnectMapMemory64(connection, type, mach_task_self(), &address, &size, kIOMapAnywhere), kIOReturnSuccess);
        ck_assert_uint_eq(size, 4096);
        return (const uint8_t *)(uintptr_t)address;
}
static bool mapped(const void *page)
{
        unsigned char there;
        return mincore((void *)(uintptr_t)page, 4096, &there) == 0;
}

KEPT(call_path_163, "close of a live connection: 0")
{
        io_connect_t connection = contract_open(0);
        ck_code(nop(connection), kIOReturnSuccess);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
}

KEPT(call_path_164, "a call with a closed handle: MACH_SEND_INVALID_DEST")
{
        io_connect_t connection = contract_open(0);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_code(nop(connection), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(contract_calls(163), 0);
}

KEPT(call_path_165, "a call after the close, with another reference left: MACH_SEND_INVALID_DEST")
{
        io_connect_t connection = contract_open(0);
        ck_code(IOConnectAddRef(connection), KERN_SUCCESS);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(connection), 1);
        ck_code(nop(connection), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(contract_calls(163), 0);
}

KEPT(call_path_166, "the second close: MACH_SEND_INVALID_DEST, and the last reference is gone")
{
        io_connect_t connection = contract_open(0);
        ck_code(IOConnectAddRef(connection), KERN_SUCCESS);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_code(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(connection), 0);
        ck_code(IOConnectRelease(connection), KERN_INVALID_NAME);
}

KEPT(call_path_167, "close of handle 0: MACH_SEND_INVALID_DEST")
{
        ck_code(IOServiceClose(0), MACH_SEND_INVALID_DEST);
}

KEPT(call_path_168, "memory was mapped, closed, a reference is left: a call gives kIOReturnBadArgument, the memory stays")
{
        io_connect_t connection = contract_open(0);
        const uint8_t *page = map_page(connection, 168);
        ck_assert_uint_eq(page[4095], 0xa5);
        ck_code(IOConnectAddRef(connection), KERN_SUCCESS);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_code(nop(connection), kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls(163), 0);
        ck_assert_uint_eq(page[4095], 0xa5);
}

KEPT(call_path_169, "as 168, the second close: 0, and the memory is unmapped with the last reference")
{
        io_connect_t connection = contract_open(0);
        const uint8_t *page = map_page(connection, 168);
        ck_code(IOConnectAddRef(connection), KERN_SUCCESS);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert(mapped(page));
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert(!mapped(page));
        ck_code(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
}

/* --- Stop and free --- */

DRIVER_STOP(173)
{
        gate_wait();
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(173)
{
        return kIOReturnSuccess;
}
KEPT(call_path_173, "close does not wait for Stop, which is called exactly once")
{
        io_connect_t connection = contract_open(173), other = contract_open(0);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_STOP, 173, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_FREE, 173), 0);
        ck_code(IOConnectCallScalarMethod(other, 1163, NULL, 0, NULL, NULL), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_FREE, 173, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 173), 1);
}

/* Once freed nobody can call it any more: then the number of Stops is final. */
DRIVER_STOP(174)
{
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(174)
{
        return kIOReturnSuccess;
}
static void stopped_once(uint64_t opened)
{
        contract_calls_wait(CONTRACT_FREE, 174, opened);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 174), opened);
}

KEPT(call_path_174, "release of the last reference: 0, then Stop")
{
        io_connect_t connection = contract_open(174);
        ck_code(IOConnectAddRef(connection), KERN_SUCCESS);
        ck_code(IOConnectRelease(connection), KERN_SUCCESS);
        ck_code(nop(connection), kIOReturnSuccess);
        ck_code(IOConnectRelease(connection), KERN_SUCCESS);
        ck_code(nop(connection), MACH_SEND_INVALID_DEST);
        stopped_once(1);
}

/* A process of its own opens a connection of type 174, or several, and does what it is told. */
static void app_ends(bool close_before)
{
        pid_t app = fork();
        ck_assert_int_ge(app, 0);
        if (app == 0) {
                io_connect_t connection = contract_open(174);
                if (nop(connection) || (close_before && IOServiceClose(connection)))
                        _exit(1);
                _exit(0);
        }
        int status;
        ck_assert_int_eq(waitpid(app, &status, 0), app);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
static void app_is_killed(void)
{
        int ready[2];
        ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
        pid_t app = fork();
        ck_assert_int_ge(app, 0);
        if (app == 0) {
                io_connect_t connection = contract_open(174);
                if (nop(connection) == 0 && write(ready[1], "x", 1) == 1)
                        pause();
                _exit(1);
        }
        char byte;
        int status;
        close(ready[1]);
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        ck_assert_int_eq(kill(app, SIGKILL), 0);
        ck_assert_int_eq(waitpid(app, &status, 0), app);
        ck_assert(WIFSIGNALED(status));
}

KEPT(call_path_175, "the app exits or is killed: Stop, once")
{
        app_ends(false);
        stopped_once(1);
        app_is_killed();
        stopped_once(2);
}

KEPT(call_path_177, "closed before the app's exit: no second Stop")
{
        app_ends(true);
        stopped_once(1);
        /* The host has seen the process end: this one was opened later and is stopped. */
        app_ends(false);
        stopped_once(2);
}

/* --- what is left behind --- */

DRIVER_STOP(195)
{
        return kIOReturnSuccess;
}
DRIVER_FREE(195)
{
        return kIOReturnSuccess;
}
KEPT(call_path_195, "the driver never calls the base Stop: close 0, the app goes on, the object stays")
{
        io_connect_t connection = contract_open(195);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_code(nop(connection), MACH_SEND_INVALID_DEST);
        contract_calls_wait(CONTRACT_STOP, 195, 1);
        /* Another one's whole life passes meanwhile. */
        connection = contract_open(174);
        ck_code(nop(connection), kIOReturnSuccess);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        stopped_once(1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_FREE, 195), 0);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 195), 1);
}

/* The driver's leak: a completion action that nobody will ever release. */
static OSAction *leaked;
DRIVER(196)
{
        D_EXPECT(arguments->completion && !leaked);
        leaked = arguments->completion;
        OSObjectRetain(leaked);
        return kIOReturnSuccess;
}
DRIVER(1196)
{
        D_EXPECT(leaked);
        OSObjectRelease(leaked);
        leaked = NULL;
        return kIOReturnSuccess;
}
/* What the host keeps of a connection is a mapping of its channel. Only the host itself may look, which cannot be dumped. */
DRIVER(2196)
{
        D_EXPECT(arguments->scalarOutputCount == 1);
        int channels = process_mappings(getpid(), "/memfd:ambidext-channel");
        D_EXPECT(channels >= 0);
        arguments->scalarOutput[0] = (uint64_t)channels;
        return kIOReturnSuccess;
}
static int host_channels(io_connect_t through)
{
        uint64_t channels = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(through, 2196, NULL, 0, &channels, &count), kIOReturnSuccess);
        return (int)channels;
}
static void channels_become(io_connect_t through, int wanted)
{
        int channels;
        for (time_t end = time(NULL) + 20; (channels = host_channels(through)) != wanted; sched_yield())
                ck_assert_msg(time(NULL) < end, "%d channels in the host, not %d", channels, wanted);
}
KEPT(call_path_196, "a leaked completion action keeps its connection in the driver's host: what the kernel-side object is there")
{
        io_connect_t other = contract_open(0);
        ck_code(nop(other), kIOReturnSuccess);
        int before = host_channels(other);
        ck_assert_int_gt(before, 0);
        io_connect_t leaking = contract_open(174), proper = contract_open(174);
        IONotificationPortRef port = IONotificationPortCreate(0);
        uint64_t reference[3] = { 0 };
        ck_code(IOConnectCallAsyncScalarMethod(leaking, 196, IONotificationPortGetMachPort(port), reference, 3, NULL, 0, NULL,
                                               NULL),
                kIOReturnSuccess);
        ck_code(IOServiceClose(leaking), kIOReturnSuccess);
        ck_code(IOServiceClose(proper), kIOReturnSuccess);
        IONotificationPortDestroy(port);
        stopped_once(2);
        channels_become(other, before + 2);    /* the leaking one, and the one that stopped_once() counts on */
        ck_code(IOConnectCallScalarMethod(other, 1196, NULL, 0, NULL, NULL), kIOReturnSuccess);
        channels_become(other, before + 1);
}

/* --- fork --- */

KEPT(call_path_197, "a forked child has none of its parent's connections: MACH_SEND_INVALID_DEST")
{
        io_connect_t connection = contract_open(174);
        ck_code(nop(connection), kIOReturnSuccess);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                if (nop(connection) != MACH_SEND_INVALID_DEST || IOServiceClose(connection) != MACH_SEND_INVALID_DEST)
                        _exit(1);
                /* It is an app like any other. */
                io_connect_t own = contract_open(0);
                _exit(nop(own) == 0 && nop(connection) == MACH_SEND_INVALID_DEST ? 0 : 2);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
        /* Neither the child's close nor its end has touched the parent's. */
        ck_code(nop(connection), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 174), 0);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        stopped_once(1);
}
