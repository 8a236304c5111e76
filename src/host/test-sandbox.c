/* SPDX-License-Identifier: Apache-2.0 */
/* Each test runs in a process of its own (Check forks), which enters the sandbox and tries. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "host/sandbox.h"

static char directory[64];

static void enter(void)
{
        const char *readable[] = { directory };

        ck_assert_int_eq(amb_sandbox_enter(readable, 1), 0);
}

static void set_up(void)
{
        char path[96];
        int fd;

        snprintf(directory, sizeof(directory), "/tmp/ambidext-sandbox-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/file", directory);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, "text", 4), 4);
        close(fd);
}

static void tear_down(void)
{
        char path[96];

        snprintf(path, sizeof(path), "%s/file", directory);
        unlink(path);
        rmdir(directory);
}

/* What is left in the test's process after it has entered cannot remove its files: a child does the trying. */
#define IN_SANDBOX(body)                                                                                                \
        do {                                                                                                            \
                pid_t child = fork();                                                                                   \
                int status;                                                                                             \
                ck_assert_int_ge(child, 0);                                                                             \
                if (child == 0) {                                                                                       \
                        const char *readable_[] = { directory };                                                        \
                        int failed_ = amb_sandbox_enter(readable_, 1) != 0;                                             \
                        if (!failed_)                                                                                   \
                                failed_ = !(body);                                                                      \
                        _exit(failed_);                                                                                 \
                }                                                                                                       \
                ck_assert_int_eq(waitpid(child, &status, 0), child);                                                    \
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %#x", #body, status);          \
        } while (0)

static bool refused(long result)
{
        return result < 0 && (errno == EPERM || errno == EACCES);
}

START_TEST(calls_refused)
{
        IN_SANDBOX(refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
        IN_SANDBOX(refused(syscall(SYS_io_uring_setup, 1, NULL)));
        IN_SANDBOX(refused(syscall(SYS_bpf, 0, NULL, 0)));
        IN_SANDBOX(refused(syscall(SYS_userfaultfd, 0)));
        IN_SANDBOX(refused(syscall(SYS_unshare, 0x10000000)));
        IN_SANDBOX(refused(execl("/bin/true", "true", NULL)));
        IN_SANDBOX(refused(syscall(SYS_fork)));
        IN_SANDBOX(refused(socket(AF_INET, SOCK_STREAM, 0)));
        IN_SANDBOX(refused(kill(getppid(), 0)));
        IN_SANDBOX(refused(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0)));
}
END_TEST

static bool opens(const char *name, int flags)
{
        char path[96];
        int fd;

        snprintf(path, sizeof(path), "%s%s", *name == '/' ? "" : directory, name);
        if (*name != '/')
                snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, flags | O_CLOEXEC, 0600);
        return fd >= 0;
}

START_TEST(files)
{
        IN_SANDBOX(opens("file", O_RDONLY));
        IN_SANDBOX(opens("/proc/self/stat", O_RDONLY));
        IN_SANDBOX(opens("/sys/class", O_RDONLY | O_DIRECTORY));
        IN_SANDBOX(opens("/etc/passwd", O_RDONLY));
        IN_SANDBOX(!opens("file", O_WRONLY));
        IN_SANDBOX(!opens("file", O_RDWR));
        IN_SANDBOX(!opens("file", O_RDONLY | O_TRUNC));
        IN_SANDBOX(!opens("new", O_CREAT | O_RDONLY));
        IN_SANDBOX(!opens("/proc/self/mem", O_RDWR));
        IN_SANDBOX(refused(syscall(SYS_unlinkat, AT_FDCWD, directory, AT_REMOVEDIR)));
}
END_TEST

/* Reading elsewhere is Landlock's to refuse. */
START_TEST(files_elsewhere)
{
        if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* version */) < 1)
                return;
        IN_SANDBOX(!opens("/root", O_RDONLY | O_DIRECTORY));
        IN_SANDBOX(!opens("/tmp", O_RDONLY | O_DIRECTORY));
        IN_SANDBOX(!opens("/dev/null", O_RDONLY));
}
END_TEST

static void *thread_run(void *context)
{
        *(int *)context = 1;
        return NULL;
}

static bool host_needs(void)
{
        pthread_t thread;
        int ran = 0, pair[2], fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (pthread_create(&thread, NULL, thread_run, &ran) != 0 || pthread_join(thread, NULL) != 0 || !ran)
                return false;
        if (fd < 0 || ftruncate(fd, 4096) < 0 || fchmod(fd, 0600) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0 ||
            mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
                return false;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || send(pair[0], "x", 1, MSG_NOSIGNAL) != 1)
                return false;
        return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) >= 0 && eventfd(0, EFD_CLOEXEC) >= 0 &&
               inotify_init1(IN_CLOEXEC) >= 0 && socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

START_TEST(needs)
{
        IN_SANDBOX(host_needs());
}
END_TEST

START_TEST(not_dumpable)
{
        int pipe_fds[2], status;
        char byte, path[64];
        pid_t child;

        ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
        child = fork();
        if (child == 0) {
                enter();
                (void)!write(pipe_fds[1], "x", 1);
                for (;;)
                        pause();
        }
        ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
        snprintf(path, sizeof(path), "/proc/%d/environ", child);
        /* root may do anything: for others the files of such a process are root's */
        struct stat st;
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_int_eq((int)st.st_uid, 0);
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("sandbox", calls_refused, files, files_elsewhere, needs, not_dumpable);

        tcase_add_checked_fixture(tests, set_up, tear_down);
        return run_cases("sandbox", tests);
}
