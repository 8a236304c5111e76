/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/base.h"
#include "host/sandbox.h"

static const char *const system_directories[] = { "/proc", "/sys", "/usr", "/lib", "/lib64", "/etc" };

/* --- Landlock: no wrappers in the C library --- */

#define LANDLOCK_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_ALL                                                                                                    \
        (LANDLOCK_READ | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |   \
         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                  \
         LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                    \
         LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static int allow_below(int ruleset, const char *path)
{
        struct landlock_path_beneath_attr rule = { .allowed_access = LANDLOCK_READ };
        AMB_FD directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (directory < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : amb_trace(amb_errno());
        rule.parent_fd = directory;
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                return amb_trace(amb_errno());
        return 0;
}

static int restrict_files(const char *const *readable, size_t count)
{
        struct landlock_ruleset_attr all = { .handled_access_fs = LANDLOCK_ALL };
        AMB_FD ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
        int r = 0;

        if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
                amb_log(AMB_LOG_NOTICE, "this kernel has no Landlock: files are protected by their permissions only");
                return 0;
        }
        if (ruleset < 0)
                return amb_trace(amb_errno());
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(system_directories) && r == 0; i++)
                r = allow_below(ruleset, system_directories[i]);
        for (size_t i = 0; i < count && r == 0; i++)
                r = allow_below(ruleset, readable[i]);
        if (r < 0)
                return r;
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return amb_trace(amb_errno());
        return 0;
}

/* --- seccomp --- */

/* By name, because not every architecture has every one of them. */
static const char *const allowed[] = {
        /* memory */
        "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mlock", "munlock", "msync", "membarrier",
        "memfd_create",
        /* threads */
        "clone", "clone3", "exit", "exit_group", "futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq",
        "set_tid_address", "gettid", "getpid", "getppid", "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam",
        "sched_getscheduler", "arch_prctl", "prctl", "getcpu",
        /* signals, to itself */
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "restart_syscall", "tgkill",
        /* time */
        "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "timerfd_create",
        "timerfd_settime", "timerfd_gettime",
        /* descriptors */
        "read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "pwritev", "close", "close_range", "dup", "dup2",
        "dup3", "fcntl", "lseek", "ftruncate", "fallocate", "fchmod", "sendfile", "ppoll", "poll", "select", "pselect6", "pipe2",
        "eventfd2", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "inotify_init1", "inotify_add_watch",
        "inotify_rm_watch", "pidfd_open", "pidfd_send_signal",
        /* files; opening for writing is refused below */
        "open", "openat", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
        "readlink", "readlinkat", "getdents64", "getcwd", "fstatat64", "stat64", "lstat64", "fstat64",
        /* sockets that it has, and unix ones */
        "sendmsg", "recvmsg", "sendto", "recvfrom", "sendmmsg", "recvmmsg", "connect", "shutdown", "getsockopt", "setsockopt",
        "getsockname", "getpeername", "socketpair",
        /* who and how much */
        "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid", "getrusage", "getrlimit", "prlimit64",
        "uname", "sysinfo", "getrandom",
};

static int allow(scmp_filter_ctx filter, const char *name)
{
        int number = seccomp_syscall_resolve_name(name), r;

        if (number == __NR_SCMP_ERROR)
                return 0;
        if (number == SCMP_SYS(clone3)) /* its flags lie in memory, out of the filter's sight: the C library falls back to clone */
                return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
        if (number == SCMP_SYS(clone))  /* threads only */
                return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0x10000, 0x10000));
        if (number == SCMP_SYS(tgkill) || number == SCMP_SYS(prlimit64)) {
                /* on itself only; prlimit64's pid 0 means itself */
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
                if (r == 0 && number == SCMP_SYS(prlimit64))
                        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1, SCMP_A0(SCMP_CMP_EQ, 0));
                return r;
        }
        if (number == SCMP_SYS(sched_setaffinity))      /* 0: the calling thread */
                return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1, SCMP_A0(SCMP_CMP_EQ, 0));
        /* Reading only; O_TRUNC would empty a file that was opened for reading. */
        if (number == SCMP_SYS(open))
                return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
                                        SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
        if (number == SCMP_SYS(openat))
                return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
                                        SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
}

static int restrict_calls(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r = 0;

        if (!filter)
                return amb_trace(-ENOMEM);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(allowed) && r == 0; i++)
                r = allow(filter, allowed[i]);
        if (r == 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, 1 /* AF_UNIX */));
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r < 0 ? amb_trace(r) : 0;
}

int amb_sandbox_enter(const char *const *readable, size_t count)
{
        struct rlimit no_core = { 0, 0 };
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
            setrlimit(RLIMIT_CORE, &no_core) < 0)
                return amb_trace(amb_errno());
        r = restrict_files(readable, count);
        return r < 0 ? r : restrict_calls();
}
