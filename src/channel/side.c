/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "channel/side.h"

int amb_side_send(int socket, const struct amb_side_message *message, int fd, bool wait)
{
        return amb_packet_send(socket, message, sizeof(*message), fd, wait);
}

int amb_side_receive(int socket, bool wait, struct amb_side_message *ret_message, int *ret_fd)
{
        struct amb_side_message message;
        int r = amb_packet_receive(socket, &message, sizeof(message), wait, ret_fd);

        if (r == 0)
                *ret_message = message;
        return r;
}

bool amb_side_request_valid(const struct amb_side_message *m, bool with_fd)
{
        bool needs_fd = m->kind == AMB_SIDE_PORT || m->kind == AMB_SIDE_LOANS || m->kind == AMB_SIDE_TRAP;
        bool may_be_silent = m->kind == AMB_SIDE_PORT_DROP || m->kind == AMB_SIDE_LOANS || m->kind == AMB_SIDE_KNOCK;

        if ((m->serial == 0 && !may_be_silent) || m->code || m->filler || m->identity || with_fd != needs_fd ||
            m->flags || (m->kind != AMB_SIDE_TRAP && m->size))
                return false;
        switch (m->kind) {
        case AMB_SIDE_PORT:
        case AMB_SIDE_PORT_DROP:
                return (m->id & 0xFF) < AMB_SIDE_PORTS_MAX;
        case AMB_SIDE_MAP:
        case AMB_SIDE_UNMAP:
        case AMB_SIDE_FETCH:
                return true;
        case AMB_SIDE_TRAP:
                return m->id <= AMB_SIDE_TRAP_WORK_GROUP && m->size > 0 && m->size <= AMB_SIDE_NAME_MAX;
        case AMB_SIDE_LOANS:
        case AMB_SIDE_CLOSE:
        case AMB_SIDE_MAP_MORE:
                return m->id == 0;
        case AMB_SIDE_KNOCK:
                return m->id == 0 && m->serial == 0;
        default:
                return false;
        }
}

bool amb_side_memory_check(int fd, uint64_t size, int seals)
{
        int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | seals, present;
        struct statfs fs;
        struct stat st;

        present = fcntl(fd, F_GET_SEALS);
        if (present < 0 || (present & wanted) != wanted)
                return false;
        /* Huge pages have seals too, but their faults can fail for want of pages. */
        if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
                return false;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
                return false;
        return size == 0 || (uint64_t)st.st_size == size;
}

int amb_side_port_create(int *ret_read, int *ret_write)
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return amb_trace(amb_errno());
        *ret_read = pair[0];
        *ret_write = pair[1];
        return 0;
}

void amb_side_port_wake(int write_fd)
{
        /* Full means that the reader has wake-ups enough; a dead reader needs none. */
        (void)!send(write_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void amb_side_port_drain(int read_fd)
{
        char bytes[256];

        while (recv(read_fd, bytes, sizeof(bytes), MSG_DONTWAIT) == (ssize_t)sizeof(bytes))
                continue;
}

bool amb_side_port_check(int write_fd)
{
        int domain = -1, type = -1;
        socklen_t length = sizeof(int);

        if (getsockopt(write_fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
                return false;
        length = sizeof(int);
        return getsockopt(write_fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && domain == AF_UNIX && type == SOCK_STREAM;
}
