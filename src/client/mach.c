/* SPDX-License-Identifier: Apache-2.0 */
/* The Mach calls that programs make on their ports: reading one with mach_msg(), and its name's rights. */
#include <poll.h>
#include <time.h>

#include <IOKit/IOKitLib.h>

#include "base/cancel.h"
#include "client/mach-host.h"
#include "client/port.h"

static void message_freep(struct amb_message **message)
{
        amb_message_free(*message);
}

/* --- names --- */

/* Nothing that could be given back. */
static bool name_is_fixed(mach_port_name_t name)
{
        return !name || name == mach_task_self() || name == AMB_HOST_SELF;
}

static kern_return_t port_of(mach_port_name_t name, struct amb_port **ret)
{
        kern_return_t code = amb_handle_get(name, AMB_HANDLE_PORT, ret);

        return code == MACH_SEND_INVALID_DEST ? KERN_INVALID_NAME : code == kIOReturnBadArgument ? KERN_INVALID_RIGHT : code;
}

static kern_return_t receive_port_new(mach_port_t *ret)
{
        struct amb_port *port;

        if (amb_port_new(&port) < 0)
                return KERN_RESOURCE_SHORTAGE;
        *ret = port->target.handle;
        /* The name is all that holds it. */
        amb_target_unref(port);
        return KERN_SUCCESS;
}

kern_return_t IOCreateReceivePort(uint32_t type, mach_port_t *port)
{
        if (type != kOSNotificationMessageID && type != kOSAsyncCompleteMessageID)
                return kIOReturnBadArgument;
        return receive_port_new(port) ? kIOReturnNoResources : kIOReturnSuccess;
}

kern_return_t mach_port_allocate(task_t task, mach_port_right_t right, mach_port_name_t *name)
{
        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        if (right != MACH_PORT_RIGHT_RECEIVE)
                return KERN_INVALID_VALUE;
        return receive_port_new(name);
}

/* The count of send rights changes by delta, or is left alone where it would leave its range. */
static bool send_rights_add(struct amb_port *port, int64_t delta)
{
        uint32_t before = atomic_load(&port->send_rights);

        do {
                if (before + delta < 0 || before + delta > UINT16_MAX)
                        return false;
        } while (!atomic_compare_exchange_weak(&port->send_rights, &before, (uint32_t)(before + delta)));
        return true;
}

kern_return_t mach_port_insert_right(task_t task, mach_port_name_t name, mach_port_t right, natural_t poly)
{
        AMB_CLEANUP(amb_target_unrefp) struct amb_port *port = NULL;
        kern_return_t code;

        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        if (poly != MACH_MSG_TYPE_MAKE_SEND)
                return KERN_INVALID_VALUE;
        if (name != right)
                return KERN_INVALID_CAPABILITY;
        code = port_of(name, &port);
        if (code)
                return code;
        return send_rights_add(port, 1) ? KERN_SUCCESS : KERN_UREFS_OVERFLOW;
}

kern_return_t mach_port_mod_refs(task_t task, mach_port_name_t name, mach_port_right_t right, mach_port_delta_t delta)
{
        AMB_NO_CANCEL;
        AMB_CLEANUP(amb_target_unrefp) struct amb_port *port = NULL;
        kern_return_t code;

        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        code = port_of(name, &port);
        if (code)
                return code;
        if (right == MACH_PORT_RIGHT_SEND)
                return send_rights_add(port, delta) ? KERN_SUCCESS : KERN_INVALID_VALUE;
        if (right != MACH_PORT_RIGHT_RECEIVE || delta != -1)
                return KERN_INVALID_VALUE;
        amb_port_close(port);
        return KERN_SUCCESS;
}

kern_return_t mach_port_destroy(task_t task, mach_port_name_t name)
{
        AMB_NO_CANCEL;
        AMB_CLEANUP(amb_target_unrefp) struct amb_port *port = NULL;
        kern_return_t code;

        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        if (name_is_fixed(name))
                return KERN_SUCCESS;
        if (port_of(name, &port) == KERN_SUCCESS) {
                amb_port_close(port);
                return KERN_SUCCESS;
        }
        code = amb_handle_release(name, false);
        while (code == KERN_SUCCESS && amb_handle_release(name, false) == KERN_SUCCESS)
                ;
        return code;
}

kern_return_t mach_port_deallocate(task_t task, mach_port_name_t name)
{
        AMB_NO_CANCEL;
        AMB_CLEANUP(amb_target_unrefp) struct amb_port *port = NULL;

        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        if (name_is_fixed(name))
                return KERN_SUCCESS;
        if (port_of(name, &port) == KERN_SUCCESS)
                return send_rights_add(port, -1) ? KERN_SUCCESS : KERN_INVALID_RIGHT;
        return amb_handle_release(name, false);
}

/* --- messages --- */

/* The receiver gets a reference of what the message is about; a matching notification's iterator may be gone by now. */
static void hand_over(struct amb_message *message, mach_msg_header_t *to)
{
        const mach_msg_trailer_t trailer = { MACH_MSG_TRAILER_FORMAT_0, MACH_MSG_TRAILER_MINIMUM_SIZE };
        mach_port_t remote = message->header.msgh_remote_port;

        memcpy(to, &message->header, message->header.msgh_size);
        memcpy((char *)to + message->header.msgh_size, &trailer, sizeof(trailer));
        if (message->held)
                message->held = MACH_PORT_NULL;
        else if (remote && amb_handle_retain(remote, true) != KERN_SUCCESS)
                to->msgh_remote_port = MACH_PORT_NULL;
}

enum received { RECEIVED, NOTHING_YET, FAILED };

static enum received receive_now(struct amb_port *port, mach_msg_option_t option, mach_msg_size_t room, mach_msg_header_t *to,
                                 mach_msg_return_t *ret_code)
{
        AMB_CLEANUP(message_freep) struct amb_message *message = NULL;
        size_t most = room < MACH_MSG_TRAILER_MINIMUM_SIZE ? 0 : room - MACH_MSG_TRAILER_MINIMUM_SIZE, size;
        int r;

        if (atomic_load(&port->destroyed)) {
                *ret_code = MACH_RCV_PORT_DIED;
                return FAILED;
        }
        amb_port_gather(port);
        r = amb_port_take(port, option & MACH_RCV_LARGE ? most : SIZE_MAX, &message, &size);
        amb_port_settle(port);
        if (r == AMB_PORT_EMPTY)
                return NOTHING_YET;
        if (r == 0 && message->header.msgh_size <= most) {
                hand_over(message, to);
                *ret_code = MACH_MSG_SUCCESS;
                return RECEIVED;
        }
        if (r == AMB_PORT_TOO_LARGE && room >= sizeof(*to)) {
                memset(to, 0, sizeof(*to));
                to->msgh_size = (mach_msg_size_t)size;
                to->msgh_local_port = port->target.handle;
        }
        *ret_code = MACH_RCV_TOO_LARGE;
        return FAILED;
}

/* False: the time is over (code MACH_RCV_TIMED_OUT), or a signal came that the caller wants to hear of. */
static bool receive_wait(struct amb_port *port, mach_msg_option_t option, uint64_t deadline, mach_msg_return_t *ret_code)
{
        struct pollfd fd = { port->epoll, POLLIN, 0 };
        uint64_t now = amb_time_now(), left = deadline > now ? deadline - now : 0;
        struct timespec span = { (time_t)(left / NSEC_PER_SEC), (long)(left % NSEC_PER_SEC) };
        int n;

        *ret_code = MACH_RCV_TIMED_OUT;
        if ((option & MACH_RCV_TIMEOUT) && left == 0)
                return false;
        n = ppoll(&fd, 1, option & MACH_RCV_TIMEOUT ? &span : NULL, NULL);
        if (n < 0 && errno == EINTR && (option & MACH_RCV_INTERRUPT)) {
                *ret_code = MACH_RCV_INTERRUPTED;
                return false;
        }
        return true;
}

mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
                           mach_port_name_t rcv_name, mach_msg_timeout_t timeout, mach_port_name_t notify)
{
        AMB_NO_CANCEL;
        AMB_CLEANUP(amb_target_unrefp) struct amb_port *port = NULL;
        uint64_t deadline = amb_time_now() + timeout * NSEC_PER_MSEC;
        mach_msg_return_t code = MACH_MSG_SUCCESS;
        enum received state;

        (void)send_size;
        (void)notify;
        if (option & MACH_SEND_MSG)
                return MACH_SEND_INVALID_DEST;
        if (!(option & MACH_RCV_MSG))
                return MACH_MSG_SUCCESS;
        if (port_of(rcv_name, &port))
                return MACH_RCV_INVALID_NAME;
        while ((state = receive_now(port, option, rcv_size, msg, &code)) == NOTHING_YET)
                if (!receive_wait(port, option, deadline, &code))
                        return code;
        return code;
}

void mach_msg_destroy(mach_msg_header_t *msg)
{
        mach_port_deallocate(mach_task_self(), msg->msgh_remote_port);
        msg->msgh_remote_port = MACH_PORT_NULL;
}
