/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three processes: ours asks; the caller measures, between a mount namespace's creation and its own end; the server is libfuse's
 * loop. Caller and server begin as one: it makes the namespace, and with it, where it must, a user namespace in which it may
 * mount.
 */
#include "bench/fuse.h"

#include <stddef.h>

#ifndef BENCH_FUSE3

struct bench_fuse *bench_fuse_create(const char **ret_why)
{
        *ret_why = "built without libfuse3 (Debian: libfuse3-dev)";
        return NULL;
}

void bench_fuse_calls(struct bench_fuse *fuse, bool busy, uint64_t idle_ns, unsigned count, uint64_t *ret_durations)
{
}

#else

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "bench/bench.h"
#include "bench/fuse-server.h"

enum { CALLS_MOST = 64, PATIENCE_MS = 20000 };

struct request {
        bool busy;
        uint64_t idle_ns;
        unsigned count;
};

struct bench_fuse {
        int socket;                     /* to the caller: struct request there, durations back */
};

/* --- the caller --- */

static bool file_write(const char *path, const char *text)
{
        AMB_FD fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A mount namespace in which we may mount, and whose mounts nobody else sees. */
static bool namespace_enter(void)
{
        uid_t user = geteuid();
        if (unshare(CLONE_NEWNS) < 0) {
                AMB_FREE char *map = amb_format("%u %u 1", user, user);
                if (!map || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !file_write("/proc/self/uid_map", map))
                        return false;
        }
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Mounts below `directory`, forks the server, opens the file: its descriptor, or -1. */
static int mount_and_open(const char *directory)
{
        struct fuse_session *session = bench_fuse_mount(directory);
        if (!session)
                return -1;
        pid_t server = amb_partner_fork();
        if (server == 0) {
                fuse_session_loop(session);
                _exit(0);
        }
        if (server < 0)
                return -1;
        close(fuse_session_fd(session));        /* with the server's end, what waits for it ends too */
        AMB_FREE char *path = amb_format("%s/%s", directory, BENCH_FUSE_FILE);
        return path ? open(path, O_RDWR | O_CLOEXEC) : -1;
}

static bool calls_make(int file, const struct request *request, uint64_t durations[CALLS_MOST])
{
        uint64_t words[2] = { 1, 2 };
        for (unsigned i = 0; i < request->count; i++) {
                (request->busy ? bench_burn : bench_sleep)(request->idle_ns);
                uint64_t begin = amb_time_now();
                if (ioctl(file, BENCH_FUSE_ECHO(sizeof(words)), words) < 0)
                        return false;
                durations[i] = amb_time_now() - begin;
        }
        return true;
}

/* Says whether there is a file system, then serves. */
static void caller_main(int socket, const char *directory)
{
        struct request request;
        uint64_t durations[CALLS_MOST];
        int file = namespace_enter() ? mount_and_open(directory) : -1;
        bool ready = file >= 0 && calls_make(file, &(struct request){ .count = 1 }, durations);
        if (send(socket, &ready, sizeof(ready), MSG_NOSIGNAL) < 0 || !ready)
                return;
        while (recv(socket, &request, sizeof(request), 0) == sizeof(request) && calls_make(file, &request, durations))
                if (send(socket, durations, request.count * sizeof(*durations), MSG_NOSIGNAL) < 0)
                        return;
}

/* --- ours --- */

static bool answer_waits(int socket)
{
        struct pollfd polled = { .fd = socket, .events = POLLIN };
        return poll(&polled, 1, PATIENCE_MS) == 1;
}

static struct bench_fuse *caller_start(const char *directory, const char **ret_why)
{
        static struct bench_fuse fuse;
        int sockets[2];
        bool ready = false;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                bench_fail("socketpair: %s", strerror(errno));
        fuse.socket = sockets[0];
        pid_t child = amb_partner_fork();
        if (child < 0)
                bench_fail("starting another process: %s", strerror(-child));
        if (child == 0) {
                close(fuse.socket);
                caller_main(sockets[1], directory);
                _exit(0);
        }
        close(sockets[1]);
        if (!answer_waits(fuse.socket) || recv(fuse.socket, &ready, sizeof(ready), 0) != sizeof(ready) || !ready) {
                amb_partner_kill(child);
                close(fuse.socket);
                *ret_why = "a FUSE file system cannot be mounted here: that needs root, or user namespaces";
                return NULL;
        }
        return &fuse;
}

/* The directory is gone when we return: what is mounted on it needs no name. */
struct bench_fuse *bench_fuse_create(const char **ret_why)
{
        if (access("/dev/fuse", R_OK | W_OK) < 0) {
                *ret_why = "there is no /dev/fuse that we may use";
                return NULL;
        }
        const char *place = getenv("TMPDIR");
        AMB_FREE char *directory = amb_format("%s/ambidext-bench-XXXXXX", place && *place == '/' ? place : "/tmp");
        if (!directory || !mkdtemp(directory))
                bench_fail("a temporary directory: %s", strerror(errno));
        struct bench_fuse *fuse = caller_start(directory, ret_why);
        rmdir(directory);
        return fuse;
}

void bench_fuse_calls(struct bench_fuse *fuse, bool busy, uint64_t idle_ns, unsigned count, uint64_t *ret_durations)
{
        const struct request request = { .busy = busy, .idle_ns = idle_ns, .count = count };
        ssize_t length = (ssize_t)(count * sizeof(*ret_durations));
        if (count > CALLS_MOST || send(fuse->socket, &request, sizeof(request), MSG_NOSIGNAL) < 0 || !answer_waits(fuse->socket) ||
            recv(fuse->socket, ret_durations, (size_t)length, 0) != length)
                bench_fail("the FUSE file system does not answer");
}

#endif
