/* SPDX-License-Identifier: Apache-2.0 */
/* The ground floor: lists, files, the log's lines, names of return codes. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <IOKit/IOReturn.h>

#include "base/base.h"
#include "base/pidfd.h"
#include "base/return.h"
#include "base/test-suite.h"

static pid_t child_that_waits(void)
{
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        pause();
        return pid;
}

/* One descriptor for one process, another one for another; it goes with the last who had it. */
START_TEST(pidfds_are_shared)
{
        pid_t one = child_that_waits(), other = child_that_waits();
        int first = amb_pidfd_share(pidfd_open(one, 0)), second = amb_pidfd_share(pidfd_open(one, 0));
        int third = amb_pidfd_share(pidfd_open(other, 0));
        struct statfs fs;

        ck_assert_int_ge(first, 0);
        ck_assert_int_ge(third, 0);
        ck_assert_int_ne(first, third);
        ck_assert_int_eq(fstatfs(first, &fs), 0);
        ck_assert((first == second) == (fs.f_type == 0x50494446));      /* the kernel says whose it is */
        ck_assert_int_eq(amb_pidfd_unshare(first), -1);
        ck_assert_int_eq(pidfd_send_signal(second, SIGKILL, NULL, 0), 0);
        ck_assert_int_eq(waitpid(one, NULL, 0), one);
        ck_assert_int_eq(amb_pidfd_unshare(second), -1);
        ck_assert_int_eq(fcntl(second, F_GETFD), -1);
        ck_assert_int_eq(pidfd_send_signal(third, SIGKILL, NULL, 0), 0);
        ck_assert_int_eq(waitpid(other, NULL, 0), other);
        amb_pidfd_unshare(third);
        ck_assert_int_eq(amb_pidfd_share(-1), -1);
        ck_assert_int_eq(amb_pidfd_unshare(-1), -1);
}
END_TEST

struct item {
        int value;
        struct amb_link link;
};

static int list_digits(struct amb_link *list)
{
        struct item *item;
        int digits = 0;
        amb_list_for(item, list, link)
                digits = digits * 10 + item->value;
        return digits;
}

START_TEST(list_keeps_order)
{
        struct amb_link list = AMB_LIST_INIT(list);
        struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
        ck_assert(amb_list_empty(&list));
        ck_assert_ptr_null(amb_list_first(&list, struct item, link));
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(items); i++) {
                ck_assert(!amb_link_linked(&items[i].link));
                amb_list_append(&list, &items[i].link);
                ck_assert(amb_link_linked(&items[i].link));
        }
        ck_assert_int_eq(list_digits(&list), 123);
        ck_assert_ptr_eq(amb_list_first(&list, struct item, link), &items[0]);
        amb_link_remove(&items[1].link);
        ck_assert_int_eq(list_digits(&list), 13);
        amb_link_remove(&items[1].link); /* a second time, and one that never was in a list */
        struct amb_link zero = { NULL, NULL };
        amb_link_remove(&zero);
        amb_list_append(&list, &items[1].link);
        ck_assert_int_eq(list_digits(&list), 132);
        struct item *item, *following;
        amb_list_for_safe(item, following, &list, link)
                amb_link_remove(&item->link);
        ck_assert(amb_list_empty(&list));
        amb_list_init(&list);
        ck_assert(amb_list_empty(&list));
}
END_TEST

/* A file of `length` bytes that has no name; *path is how to open it again. */
static int file_of(const char *bytes, size_t length, char path[64])
{
        int fd = memfd_create("test-base", MFD_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, bytes, length), length);
        snprintf(path, 64, "/proc/self/fd/%d", fd);
        return fd;
}

START_TEST(files_are_read_up_to_a_limit)
{
        char path[64], *bytes = NULL;
        size_t length = 99;
        AMB_UNUSED AMB_FD fd = file_of("0123456789", 10, path);
        ck_assert_int_eq(amb_file_read(AT_FDCWD, path, 9, &bytes, &length), -EFBIG);
        ck_assert_ptr_null(bytes);
        ck_assert_uint_eq(length, 99);
        ck_assert_int_eq(amb_file_read(AT_FDCWD, path, 10, &bytes, &length), 0);
        ck_assert_uint_eq(length, 10);
        ck_assert_str_eq(bytes, "0123456789");
        free(bytes);
        AMB_UNUSED AMB_FD empty = file_of("", 0, path);
        ck_assert_int_eq(amb_file_read(AT_FDCWD, path, 0, &bytes, &length), 0);
        ck_assert_uint_eq(length, 0);
        ck_assert_int_eq(bytes[0], 0);
        free(bytes);
        ck_assert_int_eq(amb_file_read(AT_FDCWD, "/nonexistent/file", 10, &bytes, &length), -ENOENT);
        ck_assert_int_eq(amb_file_read(AT_FDCWD, "/", 10, &bytes, &length), -EISDIR);
        /* Endless, and nobody at the other end: neither may hold us. */
        ck_assert_int_eq(amb_file_read(AT_FDCWD, "/dev/zero", 4096, &bytes, &length), -EFBIG);
        int pipe_fds[2];
        ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", pipe_fds[0]);
        ck_assert_int_eq(amb_file_read(AT_FDCWD, path, 10, &bytes, &length), -EAGAIN);
        amb_fd_close(pipe_fds[0]);
        amb_fd_close(pipe_fds[1]);
}
END_TEST

/* What one call wrote to standard error. */
static void logged(char *text, size_t size, enum amb_log_level level, const char *message)
{
        int saved = dup(STDERR_FILENO), file = memfd_create("log", MFD_CLOEXEC);
        ck_assert_int_eq(dup2(file, STDERR_FILENO), STDERR_FILENO);
        errno = EXDEV;
        amb_log(level, "%s", message);
        int after = errno;
        dup2(saved, STDERR_FILENO);
        close(saved);
        ssize_t n = pread(file, text, size - 1, 0);
        ck_assert_int_ge(n, 0);
        text[n] = 0;
        close(file);
        ck_assert_int_eq(after, EXDEV);
}

START_TEST(a_log_line_is_one_line)
{
        char text[4096], lengthy[4096];
        unsetenv("JOURNAL_STREAM");
        amb_log_open("tester", AMB_LOG_INFO);
        logged(text, sizeof(text), AMB_LOG_INFO, "a\nb\x1b[31m\tc\x7f");
        ck_assert_str_eq(text, "tester: a b [31m c \n");
        logged(text, sizeof(text), AMB_LOG_INFO, "d\xc2\x9b" "31me\xc3\xa9");
        ck_assert_str_eq(text, "tester: d  31me\xc3\xa9\n");
        logged(text, sizeof(text), AMB_LOG_DEBUG, "quiet");
        ck_assert_str_eq(text, "");
        memset(lengthy, 'x', sizeof(lengthy) - 1);
        lengthy[sizeof(lengthy) - 1] = 0;
        logged(text, sizeof(text), AMB_LOG_ERROR, lengthy);
        ck_assert_int_eq(text[strlen(text) - 1], '\n');
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
        setenv("JOURNAL_STREAM", "8:1", 1);
        logged(text, sizeof(text), AMB_LOG_WARNING, "x");
        ck_assert_str_eq(text, "<4>tester: x\n");
}
END_TEST

START_TEST(return_codes_have_names)
{
        ck_assert_str_eq(amb_return_name(0), "kIOReturnSuccess");
        ck_assert_str_eq(amb_return_name(kIOReturnNotPermitted), "kIOReturnNotPermitted");
        ck_assert_str_eq(amb_return_name(MIG_SERVER_DIED), "MIG_SERVER_DIED");
        ck_assert_str_eq(amb_return_name(MACH_SEND_INVALID_DEST), "MACH_SEND_INVALID_DEST");
        ck_assert_ptr_null(amb_return_name(0x12345678));
        ck_assert_str_eq(mach_error_string(kIOReturnBadArgument), "kIOReturnBadArgument");
        ck_assert_ptr_nonnull(strstr(mach_error_string(0x12345678), "unknown"));
}
END_TEST

START_TEST(small_things)
{
        char *text = amb_format("%d-%s", 7, "x"), *kept = amb_steal(text);
        ck_assert_str_eq(kept, "7-x");
        ck_assert_ptr_null(text);
        free(kept);
        int fd = dup(STDERR_FILENO), stolen = amb_fd_steal(&fd);
        ck_assert_int_eq(fd, -1);
        errno = EXDEV;
        ck_assert_int_eq(amb_fd_close(stolen), -1);
        ck_assert_int_eq(amb_fd_close(stolen), -1); /* EBADF stays inside */
        ck_assert_int_eq(errno, EXDEV);
        ck_assert_int_eq(fcntl(stolen, F_GETFD), -1);
        errno = 0;
        ck_assert_int_eq(amb_errno(), -EIO);
        ck_assert_int_eq(amb_trace(-ENOENT), -ENOENT);
        uint64_t before = amb_time_now();
        ck_assert_uint_le(before, amb_time_now());
        struct rlimit limit = { 0 };
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max < 64 ? limit.rlim_max : 64;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        amb_fd_limit_raise();
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
}
END_TEST

int main(void)
{
        return run_suite("base", pidfds_are_shared, list_keeps_order, files_are_read_up_to_a_limit, a_log_line_is_one_line,
                         return_codes_have_names, small_things);
}
