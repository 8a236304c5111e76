/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Whiteboard: what it maps is what the driver has, in both directions and between clients. */
#include <setjmp.h>
#include <signal.h>

#include "client.h"
#include "Whiteboard/WhiteboardShared.h"

struct view {
        volatile uint8_t *bytes;
        mach_vm_size_t size;
};

static kern_return_t view_map(io_connect_t connect, uint32_t type, struct view *view)
{
        mach_vm_address_t address = 0;
        kern_return_t ret = IOConnectMapMemory64(connect, type, mach_task_self(), &address, &view->size, kIOMapAnywhere);

        view->bytes = (volatile uint8_t *)(uintptr_t)address;
        return ret;
}

static kern_return_t view_unmap(io_connect_t connect, uint32_t type, struct view *view)
{
        return IOConnectUnmapMemory64(connect, type, mach_task_self(), (mach_vm_address_t)(uintptr_t)view->bytes);
}

static uint64_t driver_byte(io_connect_t connect, uint64_t type, uint64_t offset)
{
        uint64_t in[2] = { type, offset }, out = 0;
        uint32_t count = 1;

        CHECK_OK(IOConnectCallScalarMethod(connect, kWhiteboardPeek, in, 2, &out, &count));
        return out;
}

static void driver_store(io_connect_t connect, uint64_t type, uint64_t offset, uint8_t byte)
{
        uint64_t in[3] = { type, offset, byte };

        CHECK_OK(IOConnectCallScalarMethod(connect, kWhiteboardPoke, in, 3, NULL, NULL));
}

/* Both sides see each other's stores, at both ends of the memory. */
static void check_shared(io_connect_t connect, uint32_t type, mach_vm_size_t size)
{
        struct view view;

        CHECK_OK(view_map(connect, type, &view));
        CHECK(view.size == size);
        view.bytes[0] = (uint8_t)(0x40 + type);
        view.bytes[size - 1] = (uint8_t)(0x80 + type);
        CHECK(driver_byte(connect, type, 0) == 0x40 + type);
        CHECK(driver_byte(connect, type, size - 1) == 0x80 + type);
        driver_store(connect, type, 17, 0x17);
        CHECK(view.bytes[17] == 0x17);
        CHECK_OK(view_unmap(connect, type, &view));
        CHECK_CODE(view_unmap(connect, type, &view), kIOReturnBadArgument);
        printf("type %u: %llu bytes, shared\n", type, (unsigned long long)size);
}

/* The board is one, whoever maps it and however it is cut. */
static void check_two_clients(io_connect_t one, io_connect_t other)
{
        struct view mine, page, joined;

        CHECK_OK(view_map(one, kWhiteboardBoard, &mine));
        CHECK_OK(view_map(other, kWhiteboardSecondPage, &page));
        CHECK_OK(view_map(other, kWhiteboardJoined, &joined));
        CHECK(mine.size == kWhiteboardPages * kWhiteboardPage && page.size == kWhiteboardPage);
        CHECK(joined.size == mine.size + kWhiteboardPage);
        mine.bytes[kWhiteboardPage + 5] = 0xa5;
        CHECK(page.bytes[5] == 0xa5 && joined.bytes[kWhiteboardPage + 5] == 0xa5);
        joined.bytes[7] = 0x5a;
        CHECK(mine.bytes[7] == 0x5a && driver_byte(one, kWhiteboardBoard, 7) == 0x5a);
        joined.bytes[mine.size] = 1;
        CHECK(driver_byte(other, kWhiteboardJoined, mine.size) == 1 && driver_byte(one, kWhiteboardJoined, mine.size) == 0);
        printf("two clients: one board\n");
}

static sigjmp_buf fault;

static void faulted(int signal)
{
        (void)signal;
        siglongjmp(fault, 1);
}

static void check_read_only(io_connect_t connect)
{
        struct view view;
        volatile int stored = 0;

        CHECK_OK(view_map(connect, kWhiteboardReadOnly, &view));
        driver_store(connect, kWhiteboardReadOnly, 3, 0x33);
        CHECK(view.bytes[3] == 0x33);
        signal(SIGSEGV, faulted);
        signal(SIGBUS, faulted);
        if (sigsetjmp(fault, 1) == 0) {
                view.bytes[3] = 0x44;
                stored = 1;
        }
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        CHECK(!stored);
        CHECK(driver_byte(connect, kWhiteboardReadOnly, 3) == 0x33);
        CHECK_OK(view_unmap(connect, kWhiteboardReadOnly, &view));
        printf("read-only: cannot be written\n");
}

/* The length counts when memory is mapped; what is mapped stays as it is. */
static void check_length(io_connect_t connect)
{
        uint64_t in = 100, out = 0;
        uint32_t count = 1;
        struct view before, after;

        CHECK_OK(view_map(connect, kWhiteboardOwn, &before));
        CHECK(before.size == 5000);
        CHECK_OK(IOConnectCallScalarMethod(connect, kWhiteboardResize, &in, 1, &out, &count));
        CHECK(out == 100);
        CHECK_OK(view_map(connect, kWhiteboardOwn, &after));
        CHECK(after.size == 100 && after.bytes == before.bytes);
        before.bytes[4999] = 9;
        in = 1 << 20;           /* beyond the capacity: stays */
        CHECK_OK(IOConnectCallScalarMethod(connect, kWhiteboardResize, &in, 1, &out, &count));
        CHECK(out == 100);
        in = 5000;
        CHECK_OK(IOConnectCallScalarMethod(connect, kWhiteboardResize, &in, 1, &out, &count));
        CHECK(driver_byte(connect, kWhiteboardOwn, 4999) == 9);
        printf("length: set, and limited\n");
}

static void check_facts(io_connect_t connect)
{
        struct WhiteboardFacts facts;
        size_t size = sizeof(facts);

        memset(&facts, 0, sizeof(facts));
        CHECK_OK(IOConnectCallStructMethod(connect, kWhiteboardInspect, NULL, 0, &facts, &size));
        CHECK(size == sizeof(facts));
        CHECK(facts.boardLength == 3 * kWhiteboardPage && facts.rangeLength == facts.boardLength && facts.rangeAgain);
        CHECK(facts.mapLength == kWhiteboardPage && facts.mapOffset == kWhiteboardPage && facts.mapShowsPage && facts.sameMap);
        CHECK(facts.mapTwiceSame && facts.subLength == kWhiteboardPage && facts.joinedLength == 4 * kWhiteboardPage);
        CHECK(facts.joinedShows && facts.emptyAtFirst);
        printf("driver: sees its board as it is\n");
}

static void check_refused(io_connect_t connect)
{
        uint64_t codes[kRefuses] = { 0 };
        uint32_t count = kRefuses;

        CHECK_OK(IOConnectCallScalarMethod(connect, kWhiteboardRefuse, NULL, 0, codes, &count));
        CHECK_CODE((kern_return_t)codes[kRefuseOptions], kIOReturnBadArgument);
        CHECK_CODE((kern_return_t)codes[kRefuseNothing], kIOReturnNoMemory);
        CHECK_CODE((kern_return_t)codes[kRefuseSubRange], kIOReturnBadArgument);
        CHECK_CODE((kern_return_t)codes[kRefuseSubNone], kIOReturnBadArgument);
        CHECK_CODE((kern_return_t)codes[kRefuseBeyond], kIOReturnError);
        CHECK_CODE((kern_return_t)codes[kRefuseCache], kIOReturnBadArgument);
        CHECK_CODE((kern_return_t)codes[kRefuseJoinNone], kIOReturnBadArgument);
        CHECK_CODE(IOConnectCallScalarMethod(connect, kWhiteboardHole, NULL, 0, NULL, NULL), kIOReturnUnsupported);
        printf("refused: what must be\n");
}

int main(void)
{
        io_connect_t one = client_open("Whiteboard", 0), other = client_open("Whiteboard", 0);
        struct view view;

        check_shared(one, kWhiteboardBoard, kWhiteboardPages * kWhiteboardPage);
        check_shared(one, kWhiteboardOwn, 5000);
        check_shared(one, kWhiteboardOut, kWhiteboardPage);
        check_shared(one, kWhiteboardSecondPage, kWhiteboardPage);
        check_shared(one, kWhiteboardJoined, (kWhiteboardPages + 1) * kWhiteboardPage);
        check_two_clients(one, other);
        check_read_only(one);
        check_length(one);
        check_facts(one);
        check_refused(one);
        CHECK_CODE(view_map(one, kWhiteboardTypes, &view), kIOReturnBadArgument);
        CHECK_OK(IOServiceClose(one));
        CHECK_OK(IOServiceClose(other));
        return 0;
}
