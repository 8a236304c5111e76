/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that blocking processes can do with shared memory: a futex each way, nobody spins. The bytes lie in shared memory and
 * are copied in and out on both sides, as a call's arguments are. words[0] counts requests, words[1] answers.
 */
#include "bench/peers/peer.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REQUEST = 0, ANSWER = 16, REQUEST_BYTES = 32, ANSWER_BYTES = 48 };       /* words; a cache line each */

static struct peer_shared *shared;

static int wait_while(uint32_t *word, uint32_t value)
{
        while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
                if (syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0) < 0 && errno != EAGAIN && errno != EINTR)
                        return peer_fail(-errno, "futex: %s", strerror(errno));
        return 0;
}

static void publish(uint32_t *word, uint32_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int futex_serve(const struct peer_place *place)
{
        uint32_t *words = place->shared->words;
        unsigned char bytes[PEER_SMALL];
        peer_ready();
        for (uint32_t turn = 1;; turn++) {
                int r = wait_while(&words[REQUEST], turn - 1);
                if (r < 0)
                        return r;
                memcpy(bytes, &words[REQUEST_BYTES], sizeof(bytes));
                memcpy(&words[ANSWER_BYTES], bytes, sizeof(bytes));
                publish(&words[ANSWER], turn);
        }
}

static int futex_connect(const struct peer_place *place)
{
        shared = place->shared;
        return 0;
}

static int futex_call(const void *in, void *out, size_t size)
{
        uint32_t *words = shared->words, turn = words[REQUEST] + 1;
        memcpy(&words[REQUEST_BYTES], in, size);
        publish(&words[REQUEST], turn);
        int r = wait_while(&words[ANSWER], turn - 1);
        memcpy(out, &words[ANSWER_BYTES], size);
        return r;
}

const struct peer peers[] = {
        { "futex", PEER_SMALL, false, futex_serve, futex_connect, futex_call, NULL },
        { 0 },
};
