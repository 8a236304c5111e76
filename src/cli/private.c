/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/registry.h>
#include <mach/mach_error.h>

#include "base/paths.h"

enum {
        READY_MS = 20000,       /* for the daemon to listen */
        QUIET_MS = 30000,       /* for the bundles' services to be there */
        QUIET_SLICE_MS = 200,   /* how long a signal may wait meanwhile */
        END_MS = 10000,         /* for the daemon, after SIGTERM */
        HOSTS_END_MS = 3000,    /* for hosts, once the daemon is gone */
        RESTART_NS = 1000000000,
        DAEMON_FOUND = 3,       /* ambidextd(8), EXIT STATUS */
};

/* --- the directory --- */

/* The first of the places for such things where the socket's name fits: 108 bytes is what the kernel allows. */
static int make_directory(struct cli_private *private)
{
        const char *places[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };
        int why = ENOENT;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(places); i++) {
                if (!places[i] || places[i][0] != '/')
                        continue;
                AMB_FREE char *directory = amb_format("%s/ambidext-XXXXXX", places[i]);
                if (!directory)
                        return -ENOMEM;
                if (strlen(directory) + sizeof("/registry") > sizeof(((struct sockaddr_un *)NULL)->sun_path))
                        continue;
                if (!mkdtemp(directory)) {      /* 0700 */
                        why = errno;
                        continue;
                }
                private->directory = amb_steal(directory);
                private->socket = amb_format("%s/registry", private->directory);
                return private->socket ? 0 : -ENOMEM;
        }
        return -why;
}

/* Removes what is in the directory that `fd` (taken over) is open on; never follows a link, never leaves the directory. */
static void empty_directory(int fd, int depth)
{
        DIR *directory = fdopendir(fd);
        if (!directory) {
                amb_fd_close(fd);
                return;
        }
        for (struct dirent *entry; (entry = readdir(directory));) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (unlinkat(dirfd(directory), entry->d_name, 0) == 0 || errno == ENOENT || depth == 0)
                        continue;
                int inner = openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (inner >= 0)
                        empty_directory(inner, depth - 1);
                unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
        }
        closedir(directory);
}

static void remove_directory(struct cli_private *private)
{
        if (!private->directory)
                return;
        int fd = open(private->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
                empty_directory(fd, 8);
        if (rmdir(private->directory) < 0 && errno != ENOENT)
                cli_say_failure(false, "%s could not be removed: %s", private->directory, strerror(errno));
}

/* --- the daemon --- */

/* Only what is asynchronous-signal-safe, and what a single-threaded process may do anyway. */
static _Noreturn void daemon_exec(const struct cli_private *private, char **arguments, int ready, int lifetime)
{
        cli_private_child(private);
        unsetenv("AMBIDEXT_DEXT_PATH");         /* a private registry has what it was told to have */
        setsid();
        int null = open("/dev/null", O_RDWR);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                _exit(127);
        if (null > STDERR_FILENO)
                close(null);
        fcntl(ready, F_SETFD, 0);
        fcntl(lifetime, F_SETFD, 0);
        execv(private->program, arguments);
        int error = errno;
        dprintf(STDERR_FILENO, "ambidext: %s: %s\n", private->program, strerror(error));
        _exit(127);
}

static size_t count_strings(char *const *strings)
{
        size_t count = 0;
        while (strings && strings[count])
                count++;
        return count;
}

/* Bundles are not named here: they are loaded by calls, whose answers we can pass on. A daemon that follows knows them. */
static char **daemon_arguments(const struct cli_private *private, char *ready, char *lifetime)
{
        char *const *policies = private->options.policies;
        char **arguments = calloc(16 + 2 * count_strings(policies), sizeof(*arguments));
        if (!arguments)
                return NULL;
        char **next = arguments;
        *next++ = private->program;
        *next++ = (char *)"--developer";
        *next++ = (char *)"--socket";
        *next++ = private->socket;
        *next++ = (char *)"--ready-fd";
        *next++ = ready;
        *next++ = (char *)"--lifetime-fd";
        *next++ = lifetime;
        if (private->options.no_sandbox)
                *next++ = (char *)"--no-sandbox";
        for (; policies && *policies; policies++) {
                *next++ = (char *)"--policy";
                *next++ = *policies;
        }
        return arguments;
}

/* Starts the daemon; *ret_ready becomes readable when it listens, or has ended. */
static int daemon_start(struct cli_private *private, int *ret_ready)
{
        int ready[2], lifetime[2];
        if (pipe2(ready, O_CLOEXEC) < 0)
                return amb_errno();
        AMB_FD ready_read = ready[0], ready_write = ready[1];
        if (pipe2(lifetime, O_CLOEXEC) < 0)
                return amb_errno();
        AMB_FD lifetime_read = lifetime[0], lifetime_write = lifetime[1];
        AMB_FREE char *ready_text = amb_format("%d", ready_write), *lifetime_text = amb_format("%d", lifetime_read);
        AMB_FREE char **arguments = ready_text && lifetime_text ? daemon_arguments(private, ready_text, lifetime_text) : NULL;
        if (!arguments)
                return -ENOMEM;
        pid_t pid = fork();
        if (pid < 0)
                return amb_errno();
        if (pid == 0)
                daemon_exec(private, arguments, ready_write, lifetime_read);
        private->daemon = pid;
        private->daemon_fd = pidfd_open(pid, 0);        /* our child, not yet reaped: the pid is its own */
        private->lifetime_fd = amb_fd_steal(&lifetime_write);
        if (private->daemon_fd < 0)
                return amb_errno();
        *ret_ready = amb_fd_steal(&ready_read);
        return 0;
}

/* Waits until one of two descriptors is readable; which: 0 or 1, -1: time is up. Signals are taken note of. */
static int wait_for(struct cli_private *private, int one, int other, int timeout_ms)
{
        uint64_t end = amb_time_now() + (uint64_t)timeout_ms * 1000000;
        for (;;) {
                struct pollfd polled[] = { { .fd = one, .events = POLLIN }, { .fd = other, .events = POLLIN },
                                           { .fd = private->signal_fd, .events = POLLIN } };
                uint64_t now = amb_time_now();
                int left = now < end ? (int)((end - now) / 1000000) + 1 : 0;
                int n = poll(polled, private->caught ? 2 : 3, left);
                if (n < 0 && errno != EINTR)
                        return -1;
                if (n > 0 && polled[0].revents)
                        return 0;
                if (n > 0 && polled[1].revents)
                        return 1;
                struct signalfd_siginfo ignored;
                if (n > 0)
                        cli_private_signal(private, &ignored);
                if (left == 0)
                        return -1;
        }
}

static int wait_ready(struct cli_private *private, int ready)
{
        char text[16] = "";
        int which = wait_for(private, ready, private->daemon_fd, READY_MS);
        if (private->caught)
                return CLI_FAILURE;
        if (which < 0)
                return cli_say_failure(false, "ambidextd did not become ready within %d s", READY_MS / 1000);
        if (read(ready, text, sizeof(text) - 1) <= 0 || strncmp(text, "READY", 5) != 0)
                return cli_say_failure(false, "ambidextd ended before it was ready; its last words are above");
        return CLI_OK;
}

static void reap_daemon(struct cli_private *private, int *ret_status)
{
        *ret_status = 0;
        while (waitpid(private->daemon, ret_status, 0) < 0 && errno == EINTR)
                ;
        private->daemon = 0;
        private->daemon_fd = amb_fd_close(private->daemon_fd);
        private->lifetime_fd = amb_fd_close(private->lifetime_fd);
}

static void daemon_end(struct cli_private *private)
{
        int status;
        if (private->daemon == 0)
                return;
        kill(private->daemon, SIGTERM);         /* not reaped yet: nobody else can have this pid */
        if (private->daemon_fd >= 0 && wait_for(private, private->daemon_fd, -1, END_MS) != 0) {
                cli_say_failure(false, "ambidextd did not end within %d s and is killed", END_MS / 1000);
                kill(private->daemon, SIGKILL);
        }
        reap_daemon(private, &status);
        private->found |= WIFEXITED(status) && WEXITSTATUS(status) == DAEMON_FOUND;
}

void cli_private_daemon_again(struct cli_private *private)
{
        int status;
        pid_t pid = private->daemon;
        reap_daemon(private, &status);
        AMB_FREE char *how = WIFSIGNALED(status)
                                     ? amb_format("was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)))
                                     : amb_format("ended with status %d", WEXITSTATUS(status));
        uint64_t now = amb_time_now();
        if (private->restarts[0] && now - private->restarts[0] < AMB_ARRAY_LENGTH(private->restarts) * (uint64_t)RESTART_NS) {
                cli_say_failure(false, "ambidextd (pid %d) %s, again and again; it is not started any more", (int)pid, how);
                return;
        }
        memmove(private->restarts, private->restarts + 1, sizeof(private->restarts) - sizeof(private->restarts[0]));
        private->restarts[AMB_ARRAY_LENGTH(private->restarts) - 1] = now;
        int ready, r = daemon_start(private, &ready);
        if (r < 0)
                cli_say_failure(false, "ambidextd (pid %d) %s and cannot be started again: %s", (int)pid, how, strerror(-r));
        else {
                wait_ready(private, ready);
                amb_fd_close(ready);
                fprintf(stderr, "ambidext: ambidextd (pid %d) %s; started again (pid %d)\n", (int)pid, how, (int)private->daemon);
        }
}

/* --- children --- */

bool cli_private_signal(struct cli_private *private, struct signalfd_siginfo *ret_signal)
{
        struct signalfd_siginfo signal;
        if (read(private->signal_fd, &signal, sizeof(signal)) != sizeof(signal))
                return false;
        if (signal.ssi_signo != SIGCHLD)
                private->caught = (int)signal.ssi_signo;
        *ret_signal = signal;
        return true;
}

void cli_private_child(const struct cli_private *private)
{
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, &private->mask_before, NULL);
}

void cli_private_reap(struct cli_private *private, pid_t but)
{
        for (;;) {
                siginfo_t child = { 0 };
                /* WNOWAIT: look first, so that the daemon's and the program's end stay for those who wait for them */
                if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) < 0 || child.si_pid == 0)
                        return;
                if (child.si_pid == private->daemon || child.si_pid == but)
                        return;
                waitpid(child.si_pid, NULL, WNOHANG);
        }
}

/* The next child of ours that runs the host program; 0: none. Children that are something else are not ours to judge. */
static pid_t next_host(const char *host)
{
        AMB_FREE char *path = amb_format("/proc/self/task/%d/children", (int)getpid()), *text = NULL;
        size_t length;
        if (!path || amb_file_read(AT_FDCWD, path, 1 << 20, &text, &length) < 0)
                return 0;
        for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest));) {
                char link[64], program[PATH_MAX];
                snprintf(link, sizeof(link), "/proc/%s/exe", word);
                ssize_t n = readlink(link, program, sizeof(program) - 1);
                if (n < 0)
                        continue;
                program[n] = 0;
                if (strcmp(program, host) == 0)
                        return (pid_t)strtol(word, NULL, 10);
        }
        return 0;
}

/* Hosts end themselves when they are told to, or see that their registry's directory is gone. What does not is killed. */
static void hosts_end(struct cli_private *private)
{
        AMB_FREE char *host = amb_program_path("ambidext-host");
        pid_t pid;
        while (host && (pid = next_host(host)) > 0) {
                AMB_FD fd = pidfd_open(pid, 0);
                if (fd >= 0 && wait_for(private, fd, -1, HOSTS_END_MS) != 0) {
                        cli_say_failure(false, "the driver host %d did not end and is killed", (int)pid);
                        pidfd_send_signal(fd, SIGKILL, NULL, 0);
                        wait_for(private, fd, -1, HOSTS_END_MS);
                }
                if (waitpid(pid, NULL, fd < 0 ? 0 : WNOHANG) <= 0)
                        return;
        }
}

/* --- the bundles --- */

static int load_bundle(struct cli_private *private, size_t i)
{
        AMB_FREE char *message = NULL;
        const char *path = private->options.bundles[i];
        kern_return_t code = amb_registry_load_bundle(path, &message, &private->bundle_ids[i]);
        if (code != kIOReturnSuccess)
                return cli_say_code(false, code, message && *message ? message : NULL, "loading %s", path);
        return CLI_OK;
}

/* Whether any entry is of this bundle. One whose Start has failed is in the tree no more. */
static bool is_started(CFArrayRef entries, const char *bundle_id)
{
        for (CFIndex i = 0; i < CFArrayGetCount(entries); i++) {
                CFDictionaryRef entry = CFArrayGetValueAtIndex(entries, i);
                CFTypeRef properties = cli_get_value(entry, "properties");
                if (properties && CFGetTypeID(properties) == CFDictionaryGetTypeID() &&
                    strcmp(cli_get_string(properties, "CFBundleIdentifier", ""), bundle_id) == 0)
                        return true;
        }
        return false;
}

static int say_no_service(CFArrayRef entries, const char *path, const char *id, bool late)
{
        if (late)
                return cli_say_failure(false,
                                       "%s (%s) has registered no service within %d seconds, and its driver is still busy: does "
                                       "it wait for something in Start, or before?",
                                       path, id, QUIET_MS / 1000);
        if (is_started(entries, id))
                return cli_say_failure(false,
                                       "%s (%s) runs, but has registered no service, so no application can find it: its Start "
                                       "must call RegisterService",
                                       path, id);
        return cli_say_failure(
                false,
                "%s (%s) has registered no service; the lines above say why. If no host was launched for it, "
                "nothing that is there matches its personalities: see IOProviderClass and the other matching keys in "
                "its Info.plist",
                path, id);
}

/* late: they have had their time and are not done; what has no service yet is what we waited for. */
static int check_services(struct cli_private *private, bool late)
{
        CFArrayRef entries;
        kern_return_t code = amb_registry_dump(&entries);
        if (code != kIOReturnSuccess)
                return cli_say_code(false, code, NULL, "reading the private registry");
        int status = CLI_OK;
        for (size_t i = 0; status == CLI_OK && i < count_strings(private->options.bundles); i++) {
                const char *path = private->options.bundles[i], *id = private->bundle_ids[i];
                if (!id || cli_bundle_has_service(entries, id))
                        continue;
                status = say_no_service(entries, path, id, late);
        }
        CFRelease(entries);
        return status;
}

/* The daemon answers each slice's wait; in between we look for signals, and whether it lives. */
static int wait_quiet(struct cli_private *private)
{
        uint64_t end = amb_time_now() + (uint64_t)QUIET_MS * 1000000;
        for (;;) {
                mach_timespec_t slice = { .tv_sec = 0, .tv_nsec = QUIET_SLICE_MS * 1000000 };
                kern_return_t code = IOKitWaitQuiet(kIOMainPortDefault, &slice);
                if (code == kIOReturnSuccess)
                        return CLI_OK;
                struct signalfd_siginfo ignored;
                while (cli_private_signal(private, &ignored))
                        ;
                if (private->caught)
                        return CLI_FAILURE;
                if (code != kIOReturnTimeout)
                        return cli_say_code(false, code, NULL, "waiting for the drivers to start");
                if (amb_time_now() > end) {
                        int status = check_services(private, true);
                        return status != CLI_OK ? status : cli_say_code(false, code, NULL, "waiting for the drivers to start");
                }
        }
}

static int load_bundles(struct cli_private *private)
{
        size_t count = count_strings(private->options.bundles);
        if (count > AMB_ARRAY_LENGTH(private->bundle_ids))
                return cli_say_failure(false, "at most %zu bundles", AMB_ARRAY_LENGTH(private->bundle_ids));
        for (size_t i = 0; i < count; i++)
                if (load_bundle(private, i) != CLI_OK)
                        return CLI_FAILURE;
        int status = count ? wait_quiet(private) : CLI_OK;
        return status == CLI_OK && count ? check_services(private, false) : status;
}

/* --- the whole --- */

static int catch_signals(struct cli_private *private)
{
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &mask, &private->mask_before) < 0)
                return amb_errno();
        private->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return private->signal_fd < 0 ? amb_errno() : 0;
}

static int private_start(struct cli_private *private)
{
        private->program = amb_program_path("ambidextd");
        if (!private->program)
                return cli_say_failure(false,
                                       "there is no ambidextd beside this program; is the installation (or the build) whole?");
        int r = catch_signals(private);
        if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                r = amb_errno();
        if (r < 0)
                return cli_say_failure(false, "preparing to start ambidextd: %s", strerror(-r));
        r = make_directory(private);
        if (r < 0)
                return cli_say_failure(false,
                                       "no directory for a private registry could be made ($XDG_RUNTIME_DIR, $TMPDIR, /tmp): %s",
                                       strerror(-r));
        AMB_FD ready = -1;
        r = daemon_start(private, &ready);
        if (r < 0)
                return cli_say_failure(false, "starting %s: %s", private->program, strerror(-r));
        int status = wait_ready(private, ready);
        if (status != CLI_OK)
                return status;
        if (setenv("AMBIDEXT_REGISTRY", private->socket, 1) < 0)
                return cli_say_failure(false, "out of memory");
        return load_bundles(private);
}

int cli_private_create(struct cli_private **ret_private, const struct cli_private_options *options)
{
        struct cli_private *private = calloc(1, sizeof(*private));
        if (!private)
                return cli_say_failure(false, "out of memory");
        private->options = *options;
        private->daemon_fd = private->lifetime_fd = private->signal_fd = -1;
        int status = private_start(private);
        if (status != CLI_OK) {
                if (private->caught)
                        status = 128 + private->caught;
                cli_private_free(private);
                return status;
        }
        *ret_private = private;
        return CLI_OK;
}

void cli_private_end(struct cli_private *private)
{
        if (private->signal_fd < 0)
                return;
        daemon_end(private);
        remove_directory(private);
        hosts_end(private);
        private->signal_fd = amb_fd_close(private->signal_fd);
}

struct cli_private *cli_private_free(struct cli_private *private)
{
        if (!private)
                return NULL;
        cli_private_end(private);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(private->bundle_ids); i++)
                free(private->bundle_ids[i]);
        free(private->directory);
        free(private->socket);
        free(private->program);
        free(private);
        return NULL;
}
