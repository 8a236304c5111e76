/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "channel/loan.h"

bool amb_loan_file_check(int fd, uint64_t size, uint32_t flags)
{
        int wanted = flags & AMB_LOAN_OPEN ? 0 : F_SEAL_SHRINK, present = 0;
        struct statfs fs;
        struct stat st;

        if (flags & AMB_LOAN_SEALED)
                wanted |= F_SEAL_GROW | F_SEAL_WRITE;
        if (wanted) {
                present = fcntl(fd, F_GET_SEALS);
                if (present < 0 || (present & wanted) != wanted)
                        return false;
        }
        if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
                return false;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return false;
        return (flags & AMB_LOAN_OPEN) || (st.st_size > 0 && (uint64_t)st.st_size >= size);
}

bool amb_loan_socket_check(int socket)
{
        int domain = -1, type = -1;
        socklen_t length = sizeof(int);

        if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
                return false;
        length = sizeof(int);
        return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && domain == AF_UNIX && type == SOCK_SEQPACKET;
}

bool amb_loan_segments_check(const struct amb_loan_segment *segments, uint32_t count, uint64_t *ret_length)
{
        uint64_t length = 0, end;

        for (uint32_t i = 0; i < count; i++)
                if (__builtin_add_overflow(segments[i].address, segments[i].length, &end) ||
                    __builtin_add_overflow(length, segments[i].length, &length))
                        return false;
        *ret_length = length;
        return length > 0 && length <= AMB_LOAN_BYTES_MAX;
}

uint32_t amb_loan_segments_merge(struct amb_loan_segment *segments, uint32_t count)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < count; i++) {
                if (segments[i].length == 0)
                        continue;
                if (n > 0 && segments[n - 1].address + segments[n - 1].length == segments[i].address)
                        segments[n - 1].length += segments[i].length;
                else
                        segments[n++] = segments[i];
        }
        return n;
}

bool amb_loan_segments_congruent(const struct amb_loan_segment *segments, uint32_t count, uint64_t page)
{
        for (uint32_t i = 0; i + 1 < count; i++)
                if ((segments[i].address + segments[i].length) % page != 0 || segments[i + 1].address % page != 0)
                        return false;
        return true;
}
