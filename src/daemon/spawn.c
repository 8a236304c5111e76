/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's process: nothing is inherited but the three standard streams, the control socket and what is listed here.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "control/protocol.h"
#include "daemon/daemon.h"

#define CONTROL_FD 3
#define STATUS_FD 4
#define WORDS_FD 5
#define ENVIRONMENT_MOST 24

struct environment {
        char *strings[ENVIRONMENT_MOST + 1];
        size_t count;
        bool incomplete;
};

static void environment_free(struct environment *environment)
{
        for (size_t i = 0; i < environment->count; i++)
                free(environment->strings[i]);
}

static void environment_add(struct environment *environment, const char *name, const char *value)
{
        char *string = environment->count < ENVIRONMENT_MOST ? amb_format("%s=%s", name, value) : NULL;

        if (!string)
                environment->incomplete = true;
        else
                environment->strings[environment->count++] = string;
}

static void environment_pass(struct environment *environment, const char *name)
{
        const char *value = getenv(name);

        if (value)
                environment_add(environment, name, value);
}

static int environment_build(struct environment *environment, const struct amb_daemon *daemon, const struct amb_process *host)
{
        static const char *const developer[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS",
                                                 "AMBIDEXT_TRACE", AMB_HID_RECORDER_VARIABLE };
        char number[32];

        environment_add(environment, "PATH", "/usr/bin:/bin");
        environment_add(environment, "LANG", "C.UTF-8");
        environment_add(environment, AMB_REGISTRY_VARIABLE, daemon->socket_path);
        snprintf(number, sizeof(number), "%d", CONTROL_FD);
        environment_add(environment, AMB_HOST_FD_VARIABLE, number);
        snprintf(number, sizeof(number), "%llu", (unsigned long long)host->tag);
        environment_add(environment, AMB_HOST_TAG_VARIABLE, number);
        environment_add(environment, AMB_HOST_TOKEN_VARIABLE, host->token);
        environment_add(environment, AMB_HOST_NAME_VARIABLE, host->server_name);
        environment_add(environment, AMB_HOST_BUNDLE_ID_VARIABLE, host->bundle_id);
        environment_add(environment, AMB_HOST_BUNDLE_VARIABLE, host->path);
        if (amb_registry_bundle_holds(daemon->registry, host->bundle_id, AMB_ENTITLEMENT_HID_DEVICE) ||
            amb_registry_bundle_holds(daemon->registry, host->bundle_id, AMB_ENTITLEMENT_HID_VIRTUAL))
                environment_add(environment, AMB_HOST_HID_VARIABLE, "1");
        if (host->sanitizer) {
                environment_add(environment, "LD_PRELOAD", host->sanitizer);
                snprintf(number, sizeof(number), "%d", WORDS_FD);
                environment_add(environment, AMB_HOST_WORDS_VARIABLE, number);
        }
        environment_pass(environment, "JOURNAL_STREAM");
        environment_pass(environment, "AMBIDEXT_BOOT_ARGS");
        for (size_t i = 0; daemon->options.developer && i < AMB_ARRAY_LENGTH(developer); i++)
                environment_pass(environment, developer[i]);
        return environment->incomplete ? -ENOMEM : 0;
}

/* --- in the child: async-signal-safe calls only --- */

static int child_drop_privileges(const struct amb_daemon *daemon)
{
        if (!daemon->drop_privileges)
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(daemon->host_gid, daemon->host_gid, daemon->host_gid) < 0 ||
            setresuid(daemon->host_uid, daemon->host_uid, daemon->host_uid) < 0)
                return -1;
        return 0;
}

static void child_reset_signals(void)
{
        struct sigaction standard = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                sigaction(i, &standard, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_place_fds(int control_fd, int status_fd, int words_fd)
{
        unsigned int first = words_fd < 0 ? WORDS_FD : WORDS_FD + 1;

        /* First out of the way of the numbers they shall have. dup2 takes close-on-exec away, for the status it comes back. */
        control_fd = fcntl(control_fd, F_DUPFD, WORDS_FD + 1);
        status_fd = fcntl(status_fd, F_DUPFD, WORDS_FD + 1);
        if (control_fd < 0 || status_fd < 0)
                return -1;
        if (words_fd >= 0) {
                words_fd = fcntl(words_fd, F_DUPFD, WORDS_FD + 1);
                if (words_fd < 0 || dup2(words_fd, WORDS_FD) < 0)
                        return -1;
        }
        if (dup2(control_fd, CONTROL_FD) < 0 || dup3(status_fd, STATUS_FD, O_CLOEXEC) < 0)
                return -1;
        return (int)syscall(SYS_close_range, first, ~0u, 0);
}

static int child_set_up(const struct amb_daemon *daemon)
{
        struct rlimit no_core = { 0, 0 };
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || chdir("/") < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
                return -1;
        umask(077);
        child_reset_signals();
        return child_drop_privileges(daemon);
}

static _Noreturn void child_run(const struct amb_process *host, char **environment, int control_fd, int status_fd)
{
        const struct amb_daemon *daemon = host->daemon;
        const char *option = host->sanitizer ? "--sanitized" : daemon->options.no_sandbox ? "--no-sandbox" : NULL;
        char *arguments[] = { (char *)daemon->options.host_program, (char *)option, NULL };
        int error;

        if (child_place_fds(control_fd, status_fd, host->words_fd) < 0)
                _exit(126);
        if (child_set_up(daemon) == 0)
                execve(daemon->options.host_program, arguments, environment);
        error = errno;
        _exit(write(STATUS_FD, &error, sizeof(error)) == sizeof(error) ? 127 : 126);
}

/* --- in the daemon --- */

/* The pipe is closed by a successful exec; what comes through it is the errno that prevented one. */
static int await_exec(int fd)
{
        ssize_t length;
        int error;

        do
                length = read(fd, &error, sizeof(error));
        while (length < 0 && errno == EINTR);
        if (length == 0)
                return 0;
        return length == sizeof(error) && error > 0 ? -error : -EIO;
}

static int spawn_with(const struct amb_process *host, char **environment, int control_fd, pid_t *ret_pid, int *ret_pidfd)
{
        AMB_FD status_read = -1, status_write = -1, pidfd = -1;
        int status[2], r;
        pid_t pid;

        if (pipe2(status, O_CLOEXEC) < 0)
                return amb_errno();
        status_read = status[0];
        status_write = status[1];
        pid = fork();
        if (pid < 0)
                return amb_errno();
        if (pid == 0)
                child_run(host, environment, control_fd, status_write);
        status_write = amb_fd_close(status_write);
        /* Not waited for yet, so the number is still this child's. */
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        r = pidfd < 0 ? amb_errno() : await_exec(status_read);
        if (r < 0) {
                if (pidfd < 0)
                        kill(pid, SIGKILL);
                else
                        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
                while (waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED) < 0 && errno == EINTR)
                        ;
                return r;
        }
        *ret_pid = pid;
        *ret_pidfd = amb_fd_steal(&pidfd);
        return 0;
}

int amb_spawn(struct amb_daemon *daemon, const struct amb_process *host, int control_fd, pid_t *ret_pid, int *ret_pidfd)
{
        struct environment environment = { .count = 0 };
        int r;

        r = environment_build(&environment, daemon, host);
        if (r >= 0)
                r = spawn_with(host, environment.strings, control_fd, ret_pid, ret_pidfd);
        environment_free(&environment);
        return r < 0 ? amb_trace(r) : 0;
}
