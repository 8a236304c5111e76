/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main program of each bench-peer-NAME: the server's and the client's process. Started by main.c alone:
 *
 *      bench-peer-NAME server PEER DIRECTORY MEMORY-FD READY-FD
 *      bench-peer-NAME client PEER DIRECTORY MEMORY-FD CONTROL-FD SERVER-PID
 *
 * Both end when main.c does. The server writes a byte to READY-FD when it can be connected to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/base.h"
#include "bench/peers/turn.h"

static int ready_fd = -1;
static const struct peer *peer;

/* --- what peers lean on --- */

void peer_ready(void)
{
        if (write(ready_fd, "", 1) != 1)
                _exit(1);
        ready_fd = amb_fd_close(ready_fd);
}

int peer_fail(int error, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        return error;
}

uint64_t peer_now(void)
{
        return amb_time_now();
}

const char *peer_path(const struct peer_place *place, const char *name)
{
        static char path[256];
        snprintf(path, sizeof(path), "%s/%s", place->directory, name);
        return path;
}

void peer_rest(struct peer_shared *shared)
{
        static unsigned tries;
        if (!__atomic_load_n(&shared->active, __ATOMIC_ACQUIRE))
                syscall(SYS_futex, &shared->active, FUTEX_WAIT, 0, NULL, NULL, 0);
        else if (++tries % 16 == 0)
                sched_yield();
}

static void set_active(struct peer_shared *shared, bool active)
{
        __atomic_store_n(&shared->active, active, __ATOMIC_RELEASE);
        if (active)
                syscall(SYS_futex, &shared->active, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int write_file(const char *path, const char *text)
{
        AMB_FD fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, text, strlen(text)) < 0 ? amb_errno() : 0;
}

/* Who is not root may have mounts of its own in a user namespace of its own, where it is who it was. */
static int leave_namespaces(void)
{
        AMB_FREE char *users = amb_format("%d %d 1", (int)geteuid(), (int)geteuid());
        AMB_FREE char *groups = amb_format("%d %d 1", (int)getegid(), (int)getegid());
        if (unshare(CLONE_NEWNS) == 0)
                return 0;
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return amb_errno();
        int r = write_file("/proc/self/setgroups", "deny");
        if (r == 0)
                r = write_file("/proc/self/uid_map", users);
        return r == 0 ? write_file("/proc/self/gid_map", groups) : r;
}

int peer_private_mounts(void)
{
        int r = leave_namespaces();
        if (r == 0 && (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                       mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0 ||
                       mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0))
                r = amb_errno();
        return r < 0 ? peer_fail(r, "no mounts of its own (root, or user namespaces, needed): %s", strerror(-r)) : 0;
}

/* Into the server's user namespace first, where there is one: that is what gives the right to its mounts. */
int peer_join_mounts(pid_t server)
{
        AMB_FREE char *users = amb_format("/proc/%d/ns/user", (int)server), *mounts = amb_format("/proc/%d/ns/mnt", (int)server);
        AMB_FD users_fd = open(users, O_RDONLY | O_CLOEXEC), mounts_fd = open(mounts, O_RDONLY | O_CLOEXEC);
        if (setns(mounts_fd, CLONE_NEWNS) == 0 || (setns(users_fd, CLONE_NEWUSER) == 0 && setns(mounts_fd, CLONE_NEWNS) == 0))
                return 0;
        int r = amb_errno();
        return peer_fail(r, "the server's mounts cannot be joined: %s", strerror(-r));
}

int peer_spawn(char *const arguments[], pid_t *ret_child)
{
        pid_t parent = getpid(), child = fork();
        if (child < 0)
                return amb_errno();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                int null = open("/dev/null", O_RDWR);
                if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                        _exit(127);
                execvp(arguments[0], arguments);
                _exit(127);
        }
        *ret_child = child;
        return 0;
}

/* --- one call --- */

/* Calls with bytes that no other call had, and looks whether they came back: answers can be neither mixed up nor made up. */
static int call_once(size_t size, uint64_t number)
{
        static unsigned char in[PEER_BIG], out[PEER_BIG];
        memcpy(in, &number, sizeof(number));
        memcpy(in + size - sizeof(number), &number, sizeof(number));
        memset(out, 0xff, sizeof(number));
        memset(out + size - sizeof(number), 0xff, sizeof(number));
        int r = peer->call(in, out, size);
        if (r == 0 && (memcmp(in, out, sizeof(number)) != 0 ||
                       memcmp(in + size - sizeof(number), out + size - sizeof(number), sizeof(number)) != 0))
                r = peer_fail(-EBADMSG, "call %llu: the answer is not what was sent", (unsigned long long)number);
        return r;
}

static void idle(enum turn_kind kind)
{
        struct timespec time = { .tv_nsec = TURN_IDLE_NS };
        uint64_t end = peer_now() + TURN_IDLE_NS;
        if (kind == TURN_ASLEEP)
                nanosleep(&time, NULL);
        else
                while (peer_now() < end)
                        ;
}

/* --- turns --- */

static int measure_calls(struct turn_memory *memory, const struct turn_order *order)
{
        static uint64_t number;
        int r = 0;
        for (int i = 0; r == 0 && i < TURN_WARM_UP; i++)
                r = call_once(order->size, ++number);
        uint64_t begin = peer_now(), before = begin, now = begin;
        while (r == 0 && now - begin < order->duration) {
                if (order->kind != TURN_HOT) {
                        idle(order->kind);
                        before = peer_now();
                }
                r = call_once(order->size, ++number);
                now = peer_now();
                amb_histogram_add(&memory->histogram, now - before);
                before = now;
        }
        return r;
}

struct caller {
        pthread_t thread;
        pthread_barrier_t *begin;
        uint64_t duration, done;
        int error;
};

static void *call_on(void *argument)
{
        struct caller *caller = argument;
        unsigned char in[PEER_SMALL] = { 0 }, out[PEER_SMALL];
        pthread_barrier_wait(caller->begin);
        for (uint64_t end = peer_now() + caller->duration; caller->error == 0 && peer_now() < end; caller->done++)
                caller->error = peer->call(in, out, sizeof(in));
        return NULL;
}

static int flood_by_threads(uint64_t duration, uint64_t *ret_begin, uint64_t *done)
{
        struct caller callers[PEER_CALLERS];
        pthread_barrier_t begin;
        int r = 0, count = 0;
        pthread_barrier_init(&begin, NULL, PEER_CALLERS + 1);
        for (; count < PEER_CALLERS; count++) {
                callers[count] = (struct caller){ .begin = &begin, .duration = duration };
                if (pthread_create(&callers[count].thread, NULL, call_on, &callers[count]) != 0)
                        abort();        /* the others wait for it for ever; main.c reports that we died */
        }
        *ret_begin = peer_now();
        pthread_barrier_wait(&begin);
        for (int i = 0; i < count; i++) {
                pthread_join(callers[i].thread, NULL);
                *done += callers[i].done;
                r = callers[i].error ? callers[i].error : r;
        }
        pthread_barrier_destroy(&begin);
        return r;
}

static int measure_flood(struct turn_memory *memory, const struct turn_order *order)
{
        uint64_t begin = peer_now(), ignored = 0;
        int r = peer->flood ? peer->flood(begin + order->duration / 8, &ignored) : 0;   /* warms up */
        if (r == 0) {
                memory->done = 0;
                begin = peer_now();
                r = peer->flood ? peer->flood(begin + order->duration, &memory->done)
                                : flood_by_threads(order->duration, &begin, &memory->done);
                memory->elapsed = peer_now() - begin;
        }
        return r;
}

static int take_turn(struct turn_memory *memory, const struct turn_order *order)
{
        memset(&memory->histogram, 0, sizeof(memory->histogram));
        memory->done = memory->elapsed = 0;
        set_active(&memory->shared, true);
        int r = order->kind == TURN_FLOOD ? measure_flood(memory, order) : measure_calls(memory, order);
        set_active(&memory->shared, false);
        return r;
}

static int run_client(struct turn_memory *memory, const struct peer_place *place, int control)
{
        struct turn_order order;
        turn_outcome outcome = peer->connect(place);
        while (send(control, &outcome, sizeof(outcome), MSG_NOSIGNAL) == sizeof(outcome) && outcome == 0 &&
               recv(control, &order, sizeof(order), 0) == sizeof(order))
                outcome = take_turn(memory, &order);
        return outcome != 0;
}

/* --- the process --- */

static bool choose_peer(const char *name)
{
        for (peer = peers; peer->name; peer++)
                if (strcmp(peer->name, name) == 0)
                        return true;
        return false;
}

static struct turn_memory *map_memory(int fd)
{
        void *memory = mmap(NULL, sizeof(struct turn_memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return memory == MAP_FAILED ? NULL : memory;
}

int main(int argc, char **argv)
{
        bool client = argc == 7 && strcmp(argv[1], "client") == 0;
        if ((!client && (argc != 6 || strcmp(argv[1], "server") != 0)) || !choose_peer(argv[2])) {
                fprintf(stderr, "%s is started by bench-peers.\n", argv[0]);
                return 2;
        }
        struct turn_memory *memory = map_memory(atoi(argv[4]));
        if (!memory)
                return peer_fail(1, "mmap: %s", strerror(errno));
        struct peer_place place = { .directory = argv[3], .shared = &memory->shared };
        signal(SIGPIPE, SIG_IGN);
        if (client) {
                place.server = (pid_t)atoi(argv[6]);
                return run_client(memory, &place, atoi(argv[5]));
        }
        ready_fd = atoi(argv[5]);
        return peer->serve(&place) != 0;
}
