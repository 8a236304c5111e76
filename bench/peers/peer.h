/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One way for two processes to call each other, as `make bench-peers` measures it. Each file of peers[] is linked with runner.c
 * into a program bench-peer-NAME, which main.c runs twice: as the server, which gives every request's bytes back, and as the
 * client, which calls and measures. Both run in processes of their own, so that a peer that hangs or dies takes nothing with it.
 *
 * What a peer makes lies in its directory, or in memory that ends with its processes; a server may be killed at any time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
        PEER_SMALL = 16,        /* bytes of the ordinary call */
        PEER_BIG = 4096,        /* bytes of the big one */
        PEER_IN_FLIGHT = 32,    /* calls under way at once in a flood */
        PEER_CALLERS = 8,       /* threads of a flood, where each thread can have but one call under way */
        PEER_WORDS = 4096 / 4,
};

/* What both sides find in `shared`, zero-filled at first. */
struct peer_shared {
        uint32_t words[PEER_WORDS];     /* the peer's own */
        uint32_t active;                /* the client measures; what polls, polls only then */
};

struct peer_place {
        const char *directory;          /* private, short enough for a socket's name, empty at first */
        struct peer_shared *shared;
        pid_t server;                   /* in the client: its server's process */
};

struct peer {
        const char *name;               /* as --only names it */
        size_t most;                    /* bytes that it carries each way; at least PEER_SMALL */
        bool several;                   /* several threads may be in call() at once */

        /*
         * In the server's process, single-threaded at first: gets ready to be connected to, calls peer_ready(), answers for ever.
         * Returns only when something is broken, -errno.
         */
        int (*serve)(const struct peer_place *place);
        /* In the client's process, once. 0 or -errno. */
        int (*connect)(const struct peer_place *place);
        /* Sends size (PEER_SMALL or PEER_BIG) bytes, waits for the answer, as long. 0 or -errno. */
        int (*call)(const void *in, void *out, size_t size);
        /*
         * Keeps PEER_IN_FLIGHT calls of PEER_SMALL bytes under way until peer_now() is past `until`, then waits for the rest. *done
         * grows with every answer. NULL: the runner has PEER_CALLERS threads call(), if several may.
         */
        int (*flood)(uint64_t until, uint64_t *done);
};

/* The program's peers (most have one); the last one's name is NULL. */
extern const struct peer peers[];

/* --- what peers lean on (runner.c) --- */

/* The server can be connected to. */
void peer_ready(void);
/* Says on standard error what went wrong; returns `error`. */
int peer_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Nanoseconds. */
uint64_t peer_now(void);
/* The path of a file in the directory, for a moment: the next call reuses it. */
const char *peer_path(const struct peer_place *place, const char *name);
/* A server that polls calls this when it has found nothing: gives the processor away, blocks while nobody measures. */
void peer_rest(struct peer_shared *shared);
/*
 * Gives the process mounts of its own, with an empty /tmp and /dev/shm: what is made there is seen by nobody else and ends with
 * its processes. For libraries that use fixed names there. The client joins its server's. Before any thread exists.
 */
int peer_private_mounts(void);
int peer_join_mounts(pid_t server);
/* Starts a program that ends when the calling process does (PR_SET_PDEATHSIG) and writes what it has to say to /dev/null. */
int peer_spawn(char *const arguments[], pid_t *ret_child);

#ifdef __cplusplus
}
#endif
