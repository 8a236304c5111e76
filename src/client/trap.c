/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traps: joining what a driver has put up under a name. The host knows the names; it is asked over the side socket. Contract:
 * memory-and-queues 10.5.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include <IOKit/IOKitLib.h>

#include "base/cancel.h"
#include "client/connection.h"

/* A sealed memfd that holds the name; -errno. */
static int name_memory(const char *name, size_t length)
{
        AMB_FD fd = memfd_create("ambidext-name", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return amb_trace(amb_errno());
        if (write(fd, name, length) != (ssize_t)length ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return amb_trace(amb_errno());
        return amb_fd_steal(&fd);
}

/* Does the driver have it? */
static kern_return_t find(struct amb_connection *connection, uint32_t index, const char *name, size_t length)
{
        struct amb_side_message request = { .kind = AMB_SIDE_TRAP, .id = index, .size = length }, answer;
        AMB_FD fd = name_memory(name, length);

        if (fd < 0)
                return kIOReturnNoResources;
        if (amb_connection_ask(connection, &request, fd, &answer, NULL)) {
                amb_connection_ended(connection);
                return kIOReturnBadArgument;
        }
        return answer.code;
}

static kern_return_t join(struct amb_connection *connection, uint32_t index, const char *name, uintptr_t length, uintptr_t port)
{
        struct amb_target *target = NULL;
        kern_return_t code;

        if (!name || strnlen(name, AMB_SIDE_NAME_MAX + 1) != length || length > AMB_SIDE_NAME_MAX)
                return kIOReturnBadArgument;
        code = length > 0 ? find(connection, index, name, length) : kIOReturnNotFound;
        if (code)
                return code;
        if (port > UINT32_MAX || amb_handle_get_any((mach_port_t)port, &target))
                return kIOReturnBadArgument;
        amb_target_unref(target);
        return kIOReturnUnsupported;
}

static kern_return_t trap(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3)
{
        AMB_NO_CANCEL;
        struct amb_connection *connection = amb_handle_pin(connect);
        kern_return_t code = KERN_SUCCESS;

        if (!connection)
                return kIOReturnBadArgument;
        if (amb_connection_gone(connection)) {
                amb_connection_ended(connection);
                code = kIOReturnBadArgument;
        } else if (index == AMB_SIDE_TRAP_EVENT_LINK || index == AMB_SIDE_TRAP_WORK_GROUP) {
                code = join(connection, index, (const char *)p1, p2, p3);
        }
        amb_handle_unpin(connect);
        return code;
}

kern_return_t IOConnectTrap0(io_connect_t connect, uint32_t index)
{
        return trap(connect, index, 0, 0, 0);
}

kern_return_t IOConnectTrap1(io_connect_t connect, uint32_t index, uintptr_t p1)
{
        return trap(connect, index, p1, 0, 0);
}

kern_return_t IOConnectTrap2(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2)
{
        return trap(connect, index, p1, p2, 0);
}

kern_return_t IOConnectTrap3(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3)
{
        return trap(connect, index, p1, p2, p3);
}

kern_return_t IOConnectTrap4(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4)
{
        (void)p4;
        return trap(connect, index, p1, p2, p3);
}

kern_return_t IOConnectTrap5(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4,
                             uintptr_t p5)
{
        (void)p4;
        (void)p5;
        return trap(connect, index, p1, p2, p3);
}

kern_return_t IOConnectTrap6(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4,
                             uintptr_t p5, uintptr_t p6)
{
        (void)p4;
        (void)p5;
        (void)p6;
        return trap(connect, index, p1, p2, p3);
}
