/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unix stream socket, and a pair of pipes. The server gives back what it reads, one message at a time: in a flood each message is
 * a system call of its own on both sides, as with callers who know nothing of each other. How long messages are it learns from
 * shared memory (words[0]); a stream carries whatever size it is cut by, so nothing depends on when the word changes.
 */
#include "bench/peers/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
        int in, out;
        struct peer_shared *shared;
} stream;

static int read_all(void *bytes, size_t size)
{
        for (size_t have = 0; have < size;) {
                ssize_t n = read(stream.in, (char *)bytes + have, size - have);
                if (n <= 0)
                        return n < 0 ? -errno : -ECONNRESET;
                have += (size_t)n;
        }
        return 0;
}

static int write_all(const void *bytes, size_t size)
{
        for (size_t have = 0; have < size;) {
                ssize_t n = write(stream.out, (const char *)bytes + have, size - have);
                if (n < 0)
                        return -errno;
                have += (size_t)n;
        }
        return 0;
}

static void set_size(size_t size)
{
        __atomic_store_n(&stream.shared->words[0], (uint32_t)size, __ATOMIC_RELAXED);
}

/* --- server --- */

static int answer(void)
{
        for (;;) {
                unsigned char bytes[PEER_BIG];
                size_t size = __atomic_load_n(&stream.shared->words[0], __ATOMIC_RELAXED);
                ssize_t n = read(stream.in, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
                if (n <= 0)
                        return n < 0 ? -errno : -ECONNRESET;
                int r = write_all(bytes, (size_t)n);
                if (r < 0)
                        return r;
        }
}

static struct sockaddr_un address_of(const struct peer_place *place)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        strncpy(address.sun_path, peer_path(place, "socket"), sizeof(address.sun_path) - 1);
        return address;
}

static int socket_serve(const struct peer_place *place)
{
        struct sockaddr_un address = address_of(place);
        stream.shared = place->shared;
        set_size(PEER_SMALL);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                return peer_fail(-errno, "socket: %s", strerror(errno));
        peer_ready();
        stream.in = stream.out = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        return stream.in < 0 ? peer_fail(-errno, "accept: %s", strerror(errno)) : answer();
}

/* The client opens its ends in the same order, so both wait for each other here. */
static int pipe_serve(const struct peer_place *place)
{
        stream.shared = place->shared;
        set_size(PEER_SMALL);
        if (mkfifo(peer_path(place, "requests"), 0600) < 0 || mkfifo(peer_path(place, "answers"), 0600) < 0)
                return peer_fail(-errno, "mkfifo: %s", strerror(errno));
        peer_ready();
        stream.in = open(peer_path(place, "requests"), O_RDONLY | O_CLOEXEC);
        stream.out = open(peer_path(place, "answers"), O_WRONLY | O_CLOEXEC);
        return stream.in < 0 || stream.out < 0 ? peer_fail(-errno, "pipe: %s", strerror(errno)) : answer();
}

/* --- client --- */

static int socket_connect(const struct peer_place *place)
{
        struct sockaddr_un address = address_of(place);
        stream.shared = place->shared;
        stream.in = stream.out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (stream.in < 0 || connect(stream.in, (struct sockaddr *)&address, sizeof(address)) < 0)
                return peer_fail(-errno, "connect: %s", strerror(errno));
        return 0;
}

static int pipe_connect(const struct peer_place *place)
{
        stream.shared = place->shared;
        stream.out = open(peer_path(place, "requests"), O_WRONLY | O_CLOEXEC);
        stream.in = open(peer_path(place, "answers"), O_RDONLY | O_CLOEXEC);
        return stream.in < 0 || stream.out < 0 ? peer_fail(-errno, "pipe: %s", strerror(errno)) : 0;
}

static int stream_call(const void *in, void *out, size_t size)
{
        set_size(size);
        int r = write_all(in, size);
        return r < 0 ? r : read_all(out, size);
}

static int stream_flood(uint64_t until, uint64_t *done)
{
        unsigned char bytes[PEER_SMALL] = { 0 };
        int under_way = 0, r = 0;
        set_size(PEER_SMALL);
        for (; r == 0 && under_way < PEER_IN_FLIGHT; under_way++)
                r = write_all(bytes, sizeof(bytes));
        while (r == 0 && under_way > 0) {
                r = read_all(bytes, sizeof(bytes));
                if (r < 0)
                        break;
                ++*done;
                if (peer_now() < until)
                        r = write_all(bytes, sizeof(bytes));
                else
                        under_way--;
        }
        return r;
}

const struct peer peers[] = {
        { "socket", PEER_BIG, false, socket_serve, socket_connect, stream_call, stream_flood },
        { "pipe", PEER_BIG, false, pipe_serve, pipe_connect, stream_call, stream_flood },
        { 0 },
};
