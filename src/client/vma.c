/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/vma.h"

/* Linux 6.11; Debian 12's headers do not have it yet. */
struct procmap_query {
        uint64_t size, query_flags, query_addr;
        uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
        uint32_t dev_major, dev_minor;
        uint32_t vma_name_size, build_id_size;
        uint64_t vma_name_addr, build_id_addr;
};
#define QUERY _IOWR('f', 17, struct procmap_query)
enum { READABLE = 1, WRITABLE = 2, EXECUTABLE = 4, SHARED = 8, OR_NEXT = 16 };

static int ask(int fd, uintptr_t address, struct amb_vma *ret)
{
        struct procmap_query query = { .size = sizeof(query), .query_flags = OR_NEXT, .query_addr = address };

        if (ioctl(fd, QUERY, &query) < 0)
                return errno == ENOENT ? AMB_VMA_NONE : -errno;
        *ret = (struct amb_vma){
                .start = query.vma_start, .end = query.vma_end, .offset = query.vma_offset, .inode = query.inode,
                .device = makedev(query.dev_major, query.dev_minor),
                .readable = query.vma_flags & READABLE, .writable = query.vma_flags & WRITABLE,
                .executable = query.vma_flags & EXECUTABLE, .shared = query.vma_flags & SHARED,
        };
        return 0;
}

/* "7f00-7f10 rw-p 00000000 00:01 12 name". False: not such a line. */
static bool parse(const char *line, struct amb_vma *ret)
{
        unsigned long long start, end, offset, inode;
        unsigned int major, minor;
        char rights[5];

        if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &start, &end, rights, &offset, &major, &minor, &inode) != 7)
                return false;
        *ret = (struct amb_vma){
                .start = start, .end = end, .offset = offset, .inode = inode, .device = makedev(major, minor),
                .readable = rights[0] == 'r', .writable = rights[1] == 'w', .executable = rights[2] == 'x',
                .shared = rights[3] == 's',
        };
        return true;
}

/* Without stdio: another thread may be stopped with its locks in hand. */
static int search(int fd, uintptr_t address, struct amb_vma *ret)
{
        char buffer[4096 + 1], *line, *end;
        size_t have = 0;
        ssize_t n;

        for (;;) {
                n = read(fd, buffer + have, sizeof(buffer) - 1 - have);
                if (n < 0)
                        return -errno;
                have += (size_t)n;
                buffer[have] = 0;
                for (line = buffer; (end = memchr(line, '\n', have - (size_t)(line - buffer))); line = end + 1) {
                        *end = 0;
                        if (parse(line, ret) && address < ret->end)
                                return 0;
                }
                if (n == 0)
                        return AMB_VMA_NONE;
                have -= (size_t)(line - buffer);
                memmove(buffer, line, have);
                if (have == sizeof(buffer) - 1)
                        have = 0;       /* a name of more than a page: what is left of it is no line */
        }
}

int amb_vma_next(uintptr_t address, struct amb_vma *ret)
{
        AMB_FD fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return amb_trace(amb_errno());
        r = ask(fd, address, ret);
        return r < 0 ? search(fd, address, ret) : r;
}

int amb_vma_find(uintptr_t address, struct amb_vma *ret)
{
        int r = amb_vma_next(address, ret);

        return r == 0 && ret->start > address ? AMB_VMA_NONE : r;
}

int amb_vma_open(const struct amb_vma *vma, int flags, int *ret_fd)
{
        struct dirent *entry;
        char path[64];
        DIR *directory;
        int fd = -1;

        directory = opendir("/proc/self/fd");
        if (!directory)
                return amb_trace(amb_errno());
        while (fd < 0 && (entry = readdir(directory))) {
                struct stat st;
                int number = atoi(entry->d_name);

                if (entry->d_name[0] == '.' || number == dirfd(directory) || fstat(number, &st) < 0 || !S_ISREG(st.st_mode) ||
                    st.st_ino != vma->inode || st.st_dev != vma->device)
                        continue;
                snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
                fd = open(path, flags | O_CLOEXEC);
        }
        closedir(directory);
        if (fd < 0)
                return AMB_VMA_NONE;
        *ret_fd = fd;
        return 0;
}
