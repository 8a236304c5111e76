/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another thread of the program changes what is mapped at each step of an exchange, while a third one is about to store into the
 * part that stays: whatever becomes of the exchange, that thread goes on, its store is there, and nobody waits for these pages
 * any more.
 */
#include <check.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/test-suite.h"
#include "client/exchange.h"

enum step { REGISTER, POPULATE, PROTECT, COPY, MOVE, STEPS };
enum disturbance { NONE, UNMAPPED, CLOSED, READ_ONLY, REPLACED, A_DISK_FILE, MOVED_AWAY, FAILURE, DISTURBANCES };
static const char *const step_names[] = { "register", "populate", "protect", "copy", "move" };
static const char *const disturbance_names[] = {
        "nothing", "unmapped", "closed", "read only", "replaced", "a file on a disk", "moved away", "failure",
};

#define VALUE 4711u

static struct {
        enum step step;
        enum disturbance disturbance;
        bool armed, disturbed, fails;
        uint8_t *at;
        size_t size;
        uint8_t *changed, *kept;        /* its halves */
        int stored;                     /* an eventfd: the third thread has stored */
        pthread_t storer;
        bool storing;
} game;

static size_t half(void)
{
        return game.size / 2;
}

/* --- the second thread, in the place of the exchange's system calls --- */

static void map_disk_file(void)
{
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        ck_assert_ptr_ne(mmap(game.changed, half(), PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0), MAP_FAILED);
        close(fd);
}

static void disturb(void)
{
        const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        void *aside = mmap(NULL, half(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        switch (game.disturbance) {
        case UNMAPPED:
                munmap(game.changed, half());
                break;
        case CLOSED:
        case READ_ONLY:
                mprotect(game.changed, half(), game.disturbance == CLOSED ? PROT_NONE : PROT_READ);
                break;
        case REPLACED:
                ck_assert_ptr_eq(mmap(game.changed, half(), PROT_READ | PROT_WRITE, fixed, -1, 0), game.changed);
                break;
        case A_DISK_FILE:
                map_disk_file();
                break;
        case MOVED_AWAY:
                ck_assert_int_eq(syscall(SYS_mremap, game.changed, half(), half(), MREMAP_MAYMOVE | MREMAP_FIXED, aside),
                                 (long)aside);
                break;
        case FAILURE:
                game.fails = true;
                break;
        default:
                break;
        }
}

/* True: the system call is to fail. */
static bool reach(enum step step)
{
        if (game.armed && step == game.step && !game.disturbed) {
                game.disturbed = true;
                disturb();
        }
        return game.armed && game.fails && step == game.step;
}

static void *store(void *context)
{
        (void)context;
        *(volatile uint32_t *)game.kept = VALUE;
        ck_assert_int_eq(eventfd_write(game.stored, 1), 0);
        return NULL;
}

/* Returns when it has stored, or waits for the page. */
static void storer_start(int faults)
{
        struct pollfd fds[] = { { game.stored, POLLIN, 0 }, { faults, POLLIN, 0 } };

        if (game.storing)
                return;
        game.storing = true;
        ck_assert_int_eq(pthread_create(&game.storer, NULL, store, NULL), 0);
        if (faults >= 0)
                fcntl(faults, F_SETFL, O_NONBLOCK);     /* or it cannot be polled */
        ck_assert_int_gt(poll(fds, faults < 0 ? 1 : 2, -1), 0);
}

static int protect_half_and_fail(int fd, struct uffdio_writeprotect *all)
{
        struct uffdio_writeprotect part = *all;

        part.range = (struct uffdio_range){ (uintptr_t)game.kept, half() };
        ck_assert_int_eq(syscall(SYS_ioctl, fd, UFFDIO_WRITEPROTECT, &part), 0);
        storer_start(fd);
        errno = ENOMEM;
        return -1;
}

static bool protects(unsigned long request, const struct uffdio_writeprotect *argument)
{
        return request == UFFDIO_WRITEPROTECT && (argument->mode & UFFDIO_WRITEPROTECT_MODE_WP);
}

int ioctl(int fd, unsigned long request, ...)
{
        va_list arguments;
        void *argument;
        int r, error;

        va_start(arguments, request);
        argument = va_arg(arguments, void *);
        va_end(arguments);
        if (request == UFFDIO_REGISTER && reach(REGISTER)) {
                errno = ENOMEM;
                return -1;
        }
        if (!game.armed || !protects(request, argument))
                return (int)syscall(SYS_ioctl, fd, request, argument);
        if (reach(PROTECT))
                return protect_half_and_fail(fd, argument);
        r = (int)syscall(SYS_ioctl, fd, request, argument);
        error = errno;
        storer_start(fd);
        errno = error;
        return r;
}

int madvise(void *at, size_t length, int advice)
{
        if (advice == MADV_POPULATE_READ && reach(POPULATE)) {
                errno = EFAULT;
                return -1;
        }
        return (int)syscall(SYS_madvise, at, length, advice);
}

ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long count, const struct iovec *remote,
                         unsigned long remote_count, unsigned long flags)
{
        if (reach(COPY)) {
                errno = EFAULT;
                return -1;
        }
        return syscall(SYS_process_vm_readv, pid, local, count, remote, remote_count, flags);
}

ssize_t pread(int fd, void *to, size_t length, off_t offset)
{
        if (reach(COPY)) {
                errno = EIO;
                return -1;
        }
        return syscall(SYS_pread64, fd, to, length, offset);
}

void *mremap(void *from, size_t length, size_t new_length, int flags, ...)
{
        va_list arguments;
        void *to;

        va_start(arguments, flags);
        to = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
        va_end(arguments);
        if (game.armed && to == game.at && reach(MOVE)) {
                errno = ENOMEM;
                return MAP_FAILED;
        }
        return (void *)syscall(SYS_mremap, from, length, new_length, flags, to);
}

/* --- the tests --- */

static void fill(void)
{
        for (size_t i = 0; i < game.size; i += 4096)
                game.at[i + 8] = (uint8_t)(1 + i / 4096);
}

static void expect_kept(const char *what)
{
        ck_assert_msg(*(uint32_t *)game.kept == VALUE, "%s: the store is lost", what);
        for (size_t i = 0; i < half(); i += 4096) {
                size_t number = (size_t)(game.kept - game.at + (ptrdiff_t)i) / 4096;

                ck_assert_msg(game.kept[i + 8] == 1 + number, "%s: page %zu is lost", what, number);
                game.kept[i + 16] = 1;          /* does not wait */
        }
}

/* back: from the file to private memory; second: it is the second half that changes. */
static void play(enum step step, enum disturbance disturbance, bool back, bool second)
{
        char what[128];
        int (*exchange)(uintptr_t, size_t, bool, int, uint64_t) = back ? amb_exchange_return : amb_exchange_share;
        int fd = memfd_create("exchanged", MFD_CLOEXEC), r;

        game.size = 8 * 4096;
        ck_assert_int_eq(ftruncate(fd, (off_t)game.size), 0);
        /* pages before and behind it keep it apart */
        game.at = (uint8_t *)mmap(NULL, game.size + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
        mmap(game.at, game.size, PROT_READ | PROT_WRITE, MAP_FIXED | (back ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
             back ? fd : -1, 0);
        game.changed = game.at + (second ? half() : 0);
        game.kept = game.at + (second ? 0 : half());
        game.stored = eventfd(0, EFD_CLOEXEC);
        game.step = step;
        game.disturbance = disturbance;
        game.disturbed = game.fails = game.storing = false;
        fill();
        game.armed = true;
        r = exchange((uintptr_t)game.at, game.size, true, fd, 0);
        game.armed = false;
        snprintf(what, sizeof(what), "%s, %s half %s at %s: %d", back ? "return" : "share", second ? "second" : "first",
                 disturbance_names[disturbance], step_names[step], r);
        if (getenv("AMBIDEXT_TEST_VERBOSE"))
                fprintf(stderr, "%s\n", what);
        ck_assert_msg(game.disturbed && (r == 0 || disturbance != NONE) && (r != 0 || disturbance != FAILURE), "%s", what);
        storer_start(-1);
        pthread_join(game.storer, NULL);
        expect_kept(what);
        close(game.stored);
        close(fd);
        munmap(game.at - 4096, game.size + 2 * 4096);
}

START_TEST(disturbed)
{
        if (!amb_exchange_possible())
                return;
        for (int disturbance = NONE; disturbance < DISTURBANCES; disturbance++)
                for (int step = 0; step < STEPS; step++)
                        play(step, disturbance, _i & 1, _i & 2);
}
END_TEST

int main(void)
{
        TCase *tcase = tcase_create("exchange");

        tcase_set_timeout(tcase, 60);
        tcase_add_loop_test(tcase, disturbed, 0, 4);
        return run_cases("exchange", tcase);
}
