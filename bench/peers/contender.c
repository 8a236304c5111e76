/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peers/contender.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/base.h"
#include "measure/processors.h"

enum {
        START_MS = 20000,       /* for a server to be ready, and for a client to be connected */
        TURN_MS = 10000,        /* beyond what a turn was ordered to take */
        END_MS = 10000,         /* for a server to end by itself */
};

/* --- signals --- */

static volatile sig_atomic_t caught;

static void catch(int number)
{
        caught = number;
}

/* Blocked, but for the moments in which contenders are waited for. */
static sigset_t while_waiting;

void contender_catch_signals(void)
{
        static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
        struct sigaction action = { .sa_handler = catch };
        sigset_t blocked;
        sigemptyset(&blocked);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(numbers); i++) {
                sigaction(numbers[i], &action, NULL);
                sigaddset(&blocked, numbers[i]);
        }
        sigprocmask(SIG_BLOCK, &blocked, &while_waiting);
}

int contender_signal(void)
{
        return caught;
}

/* True: readable, or closed at the other side. False: time is up, or a signal came (unless they no longer matter). */
static bool wait_readable(int fd, uint64_t timeout_ms, bool despite_signals)
{
        uint64_t end = amb_time_now() + timeout_ms * 1000000;
        for (;;) {
                struct pollfd polled = { .fd = fd, .events = POLLIN };
                uint64_t now = amb_time_now(), left = now < end ? end - now : 0;
                struct timespec time = { .tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000) };
                if (caught && !despite_signals)
                        return false;
                int n = ppoll(&polled, 1, &time, despite_signals ? NULL : &while_waiting);
                if (n > 0 || (n < 0 && errno != EINTR))
                        return n > 0;
                if (left == 0)
                        return false;
        }
}

/* --- ending --- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
        return remove(path) < 0 && errno != ENOENT;
}

/*
 * Not reaped yet: the number is its own. Each leads a session, so that a terminal's Ctrl-C does not reach it; who is in it goes
 * with it.
 */
static void kill_session(pid_t process)
{
        if (process > 0) {
                kill(process, SIGKILL);
                kill(-process, SIGKILL);
        }
}

static void reap(pid_t *process)
{
        while (*process > 0 && waitpid(*process, NULL, 0) < 0 && errno == EINTR)
                ;
        *process = 0;
}

void contender_end(struct contender *contender)
{
        contender->control = amb_fd_close(contender->control);
        AMB_FD server = contender->server > 0 ? pidfd_open(contender->server, 0) : -1;
        kill_session(contender->client);
        if (contender->server > 0)
                kill(contender->server, SIGTERM);
        if (server >= 0)
                wait_readable(server, END_MS, true);
        kill_session(contender->server);
        reap(&contender->server);
        reap(&contender->client);       /* last: in a file system's call it ends only once its server has */
        if (contender->memory)
                munmap(contender->memory, sizeof(*contender->memory));
        contender->memory = NULL;
        if (contender->directory)
                nftw(contender->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        free(contender->directory);
        contender->directory = NULL;
        if (contender->state == CONTENDER_READY)
                contender->state = CONTENDER_ABSENT;
}

/* A subreaper's children that are no contender's: they were left behind. */
void contender_end_orphans(void)
{
        for (;;) {
                siginfo_t child = { 0 };
                char path[64], text[32] = "";
                snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
                AMB_FD fd = open(path, O_RDONLY | O_CLOEXEC);
                pid_t orphan = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
                if (orphan <= 0)
                        return;
                kill(orphan, SIGKILL);          /* a child of ours, not reaped yet */
                while (waitid(P_PID, (id_t)orphan, &child, WEXITED) < 0 && errno == EINTR)
                        ;
        }
}

/* The last line of what its processes have said, if they have said something. */
static void add_last_words(struct contender *contender, size_t length)
{
        AMB_FREE char *path = amb_format("%s/said", contender->directory), *text = NULL;
        size_t size;
        if (!path || amb_file_read(AT_FDCWD, path, 1 << 20, &text, &size) < 0)
                return;
        while (size > 0 && text[size - 1] == '\n')
                text[--size] = 0;
        char *line = strrchr(text, '\n');
        if (size)
                snprintf(contender->why + length, sizeof(contender->why) - length, ": %s", line ? line + 1 : text);
}

static bool put_out(struct contender *contender, const char *format, ...) AMB_PRINTF(2, 3);
static bool put_out(struct contender *contender, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf(contender->why, sizeof(contender->why), format, arguments);
        va_end(arguments);
        if (contender->directory)
                add_last_words(contender, (size_t)length);
        contender_end(contender);
        contender->state = CONTENDER_OUT;
        return false;
}

/* --- starting --- */

/* In the child: what both roles have. */
static _Noreturn void become(const struct contender *contender, bool server, int memory, int channel, char **arguments)
{
        AMB_FREE char *said = amb_format("%s/said", contender->directory);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        int processor = server ? contender->theirs : contender->ours;
        if (processor != AMB_PROCESSOR_ANY)     /* any of those that we were given ourselves */
                amb_thread_stay_on(0, processor);
        setsid();
        signal(SIGINT, SIG_DFL);
        sigprocmask(SIG_SETMASK, &while_waiting, NULL);
        int null = open("/dev/null", O_RDONLY), out = open(said, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (null < 0 || out < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
                _exit(127);
        fcntl(memory, F_SETFD, 0);
        fcntl(channel, F_SETFD, 0);
        execv(arguments[0], arguments);
        _exit(127);
}

static pid_t start_role(const struct contender *contender, bool server, int memory, int channel)
{
        AMB_FREE char *memory_text = amb_format("%d", memory), *channel_text = amb_format("%d", channel);
        AMB_FREE char *server_text = amb_format("%d", (int)contender->server);
        char *arguments[] = { (char *)contender->program, (char *)(server ? "server" : "client"), (char *)contender->peer,
                              contender->directory, memory_text, channel_text, server ? NULL : server_text, NULL };
        pid_t parent = getpid(), child = memory_text && channel_text && server_text ? fork() : -ENOMEM;
        if (child == 0 && getppid() == parent)
                become(contender, server, memory, channel, arguments);
        if (child == 0)
                _exit(127);
        return child < 0 ? amb_errno() : child;
}

static bool start_server(struct contender *contender, int memory)
{
        int ready[2];
        char byte;
        if (pipe2(ready, O_CLOEXEC) < 0)
                return put_out(contender, "pipe: %s", strerror(errno));
        AMB_FD ready_read = ready[0], ready_write = ready[1];
        contender->server = start_role(contender, true, memory, ready_write);
        ready_write = amb_fd_close(ready_write);
        if (contender->server < 0)
                return put_out(contender, "its server could not be started");
        if (!wait_readable(ready_read, START_MS, false))
                return put_out(contender, "its server was not ready after %d s", START_MS / 1000);
        return read(ready_read, &byte, 1) == 1 || put_out(contender, "its server ended");
}

/* What the client sends, within so long. */
static bool take_outcome(struct contender *contender, uint64_t timeout_ms, const char *what)
{
        turn_outcome outcome;
        if (!wait_readable(contender->control, timeout_ms, false))
                return caught ? put_out(contender, "stopped") : put_out(contender, "it hung: no answer %s", what);
        if (recv(contender->control, &outcome, sizeof(outcome), 0) != sizeof(outcome))
                return put_out(contender, "its client ended %s", what);
        return outcome == 0 || put_out(contender, "%s %s", strerror(-outcome), what);
}

static bool start_client(struct contender *contender, int memory)
{
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return put_out(contender, "socketpair: %s", strerror(errno));
        contender->control = pair[0];
        contender->client = start_role(contender, false, memory, pair[1]);
        close(pair[1]);
        if (contender->client < 0)
                return put_out(contender, "its client could not be started");
        return take_outcome(contender, START_MS, "when connecting");
}

bool contender_start(struct contender *contender, const char *place)
{
        contender->control = -1;
        contender->directory = amb_format("%s/%s", place, contender->peer);
        AMB_FD memory = memfd_create("bench-peer", MFD_CLOEXEC);
        if (!contender->directory || mkdir(contender->directory, 0700) < 0 || memory < 0 ||
            ftruncate(memory, sizeof(struct turn_memory)) < 0)
                return put_out(contender, "preparing: %s", strerror(errno));
        void *mapped = mmap(NULL, sizeof(struct turn_memory), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        if (mapped == MAP_FAILED)
                return put_out(contender, "mmap: %s", strerror(errno));
        contender->memory = mapped;
        if (!start_server(contender, memory) || !start_client(contender, memory))
                return false;
        contender->state = CONTENDER_READY;
        return true;
}

/* --- turns --- */

bool contender_turn(struct contender *contender, const struct turn_order *order)
{
        if (send(contender->control, order, sizeof(*order), MSG_NOSIGNAL) != sizeof(*order))
                return put_out(contender, "its client ended");
        return take_outcome(contender, order->duration / 1000000 + TURN_MS, "when measuring");
}
