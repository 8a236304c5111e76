/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "client/exchange.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif

#define PAGE 4096u                      /* grain of what is left out; need not be the machine's */
#define BOUNCE (64u << 10)

static int faults = -1;                 /* the userfaultfd */
static bool tried;
static int scratch = -1;                /* for copies, where nothing better is allowed */
static uint8_t bounce[BOUNCE];          /* one call at a time */

static int faults_open(int flags)
{
        struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
        AMB_FD fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | flags);

        if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
                return -1;
        return amb_fd_steal(&fd);
}

bool amb_exchange_possible(void)
{
        if (!tried) {
                tried = true;
                /* With the right to it the kernel's own stores wait, too. */
                faults = faults_open(0);
                if (faults < 0)
                        faults = faults_open(UFFD_USER_MODE_ONLY);
                if (faults < 0)
                        amb_log(AMB_LOG_NOTICE,
                                "userfaultfd is not allowed here (a container's default): memory of this program that "
                                "drivers are given is copied at the beginning and end of calls instead of shared");
        }
        return faults >= 0;
}

void amb_exchange_forked(void)
{
        faults = amb_fd_close(faults);
        scratch = amb_fd_close(scratch);        /* the same file as the parent's */
        tried = false;
}

/* --- copies --- */

/* Containers may forbid process_vm_readv even for the own process. */
static bool forbidden(int error)
{
        return error == ENOSYS || error == EPERM;
}

/* Then by way of a file: whatever copies for us must give EFAULT where the memory is not there. */
static int by_file(void *to, const void *from, size_t length)
{
        for (size_t at = 0; at < length;) {
                size_t piece = length - at < BOUNCE ? length - at : BOUNCE;

                if (scratch < 0)
                        scratch = memfd_create("ambidext-copy", MFD_CLOEXEC);
                if (scratch < 0)
                        return amb_trace(amb_errno());
                /* By number: sanitizers look at what a program hands to pwrite(), and here it is anybody's memory. */
                if (syscall(SYS_pwrite64, scratch, (const char *)from + at, piece, (off_t)0) != (ssize_t)piece ||
                    pread(scratch, (char *)to + at, piece, 0) != (ssize_t)piece)
                        return -EFAULT;
                at += piece;
        }
        return 0;
}

/* The system calls move 2 GiB at most. */
#define AT_ONCE (1u << 30)

int amb_exchange_read(void *bytes, uintptr_t from, size_t length)
{
        for (size_t at = 0, piece; at < length; at += piece) {
                struct iovec local, remote;
                ssize_t n;

                piece = length - at < AT_ONCE ? length - at : AT_ONCE;
                local = (struct iovec){ (uint8_t *)bytes + at, piece };
                remote = (struct iovec){ (void *)(from + at), piece };
                n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
                if (n < 0 && forbidden(errno))
                        return by_file((uint8_t *)bytes + at, (void *)(from + at), length - at);
                if (n != (ssize_t)piece)
                        return -EFAULT;
        }
        return 0;
}

int amb_exchange_write(uintptr_t to, const void *bytes, size_t length)
{
        struct iovec local = { (void *)bytes, length }, remote = { (void *)to, length };
        ssize_t n = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);

        if (n < 0 && forbidden(errno))
                return by_file((void *)to, bytes, length);
        return n == (ssize_t)length ? 0 : -EFAULT;
}

static int write_all(int fd, const uint8_t *bytes, size_t length, uint64_t offset)
{
        while (length > 0) {
                ssize_t n = pwrite(fd, bytes, length, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                bytes += n;
                length -= (size_t)n;
                offset += (uint64_t)n;
        }
        return 0;
}

/* Writes the runs of pages that are not zeros. */
static int write_sparse(int fd, const uint8_t *bytes, size_t length, uint64_t offset)
{
        static const uint8_t zeros[PAGE];
        size_t run = 0;
        int r = 0;

        for (size_t at = 0; at < length && r == 0;) {
                size_t piece = PAGE - (offset + at) % PAGE;

                if (piece > length - at)
                        piece = length - at;
                if (memcmp(bytes + at, zeros, piece) == 0) {
                        if (at > run)
                                r = write_all(fd, bytes + run, at - run, offset + run);
                        run = at + piece;
                }
                at += piece;
        }
        return r == 0 && length > run ? write_all(fd, bytes + run, length - run, offset + run) : r;
}

int amb_exchange_save(int fd, uint64_t offset, uintptr_t from, size_t length)
{
        int r = 0;

        for (size_t at = 0; at < length && r == 0;) {
                size_t piece = length - at < BOUNCE ? length - at : BOUNCE;

                r = amb_exchange_read(bounce, from + at, piece);
                if (r == 0)
                        r = write_sparse(fd, bounce, piece, offset + at);
                at += piece;
        }
        return r;
}

/* The file's bytes over `to`, which is zeros. */
static int load(int fd, uint64_t offset, uint8_t *to, size_t length)
{
        for (uint64_t at = offset; at < offset + length;) {
                off_t data = lseek(fd, (off_t)at, SEEK_DATA);
                ssize_t n;

                if (data < 0)
                        return errno == ENXIO ? 0 : -errno;
                at = (uint64_t)data;
                if (at >= offset + length)
                        return 0;
                n = pread(fd, to + (at - offset), offset + length - at < BOUNCE ? offset + length - at : BOUNCE, data);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += (uint64_t)n;
        }
        return 0;
}

/* --- one step --- */

/*
 * The range belongs to us no more, or never did: lets everybody go on. Whatever has become of it meanwhile: of what somebody has
 * mapped there nothing is ours, what somebody has moved away is not watched any more, and who waits for one of its addresses is
 * woken at the end. Unregistering alone would wake nobody (the kernel does that for missing pages only).
 */
static void let_go(uintptr_t at, size_t length, bool replaced)
{
        struct uffdio_writeprotect go = { .range = { at, length } };
        struct uffdio_range range = { at, length };
        size_t page = (size_t)sysconf(_SC_PAGESIZE);

        if (!replaced && (ioctl(faults, UFFDIO_WRITEPROTECT, &go) < 0 || ioctl(faults, UFFDIO_UNREGISTER, &range) < 0)) {
                /* Something else has been mapped into the range: page by page, each that still is as it was. */
                for (size_t done = 0; done < length; done += page) {
                        go.range = (struct uffdio_range){ at + done, page };
                        ioctl(faults, UFFDIO_WRITEPROTECT, &go);
                        ioctl(faults, UFFDIO_UNREGISTER, &go.range);
                }
        }
        ioctl(faults, UFFDIO_WAKE, &range);
}

/* On failure everything is let go of again: a part may have been protected, and threads may wait there already. */
static int protect(uintptr_t at, size_t length)
{
        struct uffdio_register area = { .range = { at, length }, .mode = UFFDIO_REGISTER_MODE_WP };
        struct uffdio_writeprotect stop = { .range = { at, length }, .mode = UFFDIO_WRITEPROTECT_MODE_WP };
        bool registered = ioctl(faults, UFFDIO_REGISTER, &area) == 0;
        int error;

        /* What is not there cannot be protected. The zero page will do. */
        if (registered && madvise((void *)at, length, MADV_POPULATE_READ) == 0 && ioctl(faults, UFFDIO_WRITEPROTECT, &stop) == 0)
                return 0;
        error = -errno;
        /* What cannot be registered may be watched by a userfaultfd of the program's own; without memory some of it is. */
        if (registered || error == -ENOMEM)
                let_go(at, length, false);
        return error;
}

struct step {
        uintptr_t at;
        size_t length;
        bool writable;
        int fd;
        uint64_t offset;
};

static int step_share(const struct step *s)
{
        int rights = PROT_READ | (s->writable ? PROT_WRITE : 0), r;
        void *ready = mmap(NULL, s->length, rights, MAP_SHARED, s->fd, (off_t)s->offset);

        if (ready == MAP_FAILED)
                return -errno;
        r = protect(s->at, s->length);
        if (r == 0) {
                r = amb_exchange_save(s->fd, s->offset, s->at, s->length);
                if (r == 0 && mremap(ready, s->length, s->length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)s->at) == MAP_FAILED)
                        r = -errno;
                let_go(s->at, s->length, r == 0);
        }
        if (r < 0)
                munmap(ready, s->length);
        return r;
}

static int step_return(const struct step *s, bool alone)
{
        uint8_t *ready = mmap(NULL, s->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int r;

        if (ready == MAP_FAILED)
                return -errno;
        r = alone ? 0 : protect(s->at, s->length);
        if (r == 0) {
                r = load(s->fd, s->offset, ready, s->length);
                if (r == 0 && !s->writable && mprotect(ready, s->length, PROT_READ) < 0)
                        r = -errno;
                if (r == 0 && mremap(ready, s->length, s->length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)s->at) == MAP_FAILED)
                        r = -errno;
                if (!alone)
                        let_go(s->at, s->length, r == 0);
        }
        if (r < 0)
                munmap(ready, s->length);
        return r;
}

/* --- locked memory --- */

/* KiB that the process has locked; 0 also when it cannot be found out. */
static unsigned long locked(void)
{
        AMB_FD fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        char text[4096], *line;
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        if (n <= 0)
                return 0;
        text[n] = 0;
        line = strstr(text, "VmLck:");
        return line ? strtoul(line + 6, NULL, 10) : 0;
}

/* What was locked before is no more: it was this range. */
static void lock_again(unsigned long before, uintptr_t at, size_t length)
{
        if (before > 0 && locked() < before)
                (void)mlock((void *)at, length);
}

/* --- whole ranges --- */

/* No signal handler runs on this thread meanwhile: if it stored into the pages, nobody would be left to wake it. */
static int steps(const struct step *whole, int (*one)(const struct step *), size_t *ret_done)
{
        unsigned long before = locked();
        sigset_t all, mask;
        int r = 0;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &mask);
        *ret_done = 0;
        while (*ret_done < whole->length && r == 0) {
                struct step s = *whole;

                s.at += *ret_done;
                s.offset += *ret_done;
                s.length = whole->length - *ret_done < AMB_EXCHANGE_STEP ? whole->length - *ret_done : AMB_EXCHANGE_STEP;
                r = one(&s);
                if (r == 0)
                        *ret_done += s.length;
        }
        pthread_sigmask(SIG_SETMASK, &mask, NULL);
        lock_again(before, whole->at, *ret_done);
        return r;
}

static int return_protected(const struct step *s)
{
        return step_return(s, false);
}

static int return_alone(const struct step *s)
{
        return step_return(s, true);
}

int amb_exchange_share(uintptr_t at, size_t length, bool writable, int fd, uint64_t offset)
{
        struct step whole = { at, length, writable, fd, offset };
        size_t done, undone;
        int r;

        if (!amb_exchange_possible())
                return -EPERM;
        r = steps(&whole, step_share, &done);
        if (r < 0 && done > 0) {
                whole.length = done;
                if (steps(&whole, return_protected, &undone) < 0)
                        amb_log(AMB_LOG_ERROR, "memory at 0x%zx could not be made private again", (size_t)at + undone);
        }
        return r;
}

int amb_exchange_return(uintptr_t at, size_t length, bool writable, int fd, uint64_t offset)
{
        struct step whole = { at, length, writable, fd, offset };
        size_t done;

        return amb_exchange_possible() ? steps(&whole, return_protected, &done) : -EPERM;
}

int amb_exchange_return_alone(uintptr_t at, size_t length, bool writable, int fd, uint64_t offset)
{
        struct step whole = { at, length, writable, fd, offset };
        size_t done;

        return steps(&whole, return_alone, &done);
}
