/* SPDX-License-Identifier: Apache-2.0 */
/* nng over ipc://, with the leanest pattern that it has: a pair of sockets. */
#include "bench/peers/peer.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>

static nng_socket pair;

static int check(int r)
{
        return r ? peer_fail(-EIO, "nng: %s", nng_strerror(r)) : 0;
}

/* Its own buffers hold what is under way, so that neither side ever waits for room. */
static int make_pair(const struct peer_place *place, char address[static 256])
{
        snprintf(address, 256, "ipc://%s", peer_path(place, "socket"));
        int r = nng_pair0_open(&pair);
        if (r == 0)
                r = nng_socket_set_int(pair, NNG_OPT_SENDBUF, PEER_IN_FLIGHT);
        if (r == 0)
                r = nng_socket_set_int(pair, NNG_OPT_RECVBUF, PEER_IN_FLIGHT);
        return check(r);
}

static int pair_serve(const struct peer_place *place)
{
        char address[256];
        unsigned char bytes[PEER_BIG];
        int r = make_pair(place, address);
        if (r == 0)
                r = check(nng_listen(pair, address, NULL, 0));
        if (r == 0)
                peer_ready();
        while (r == 0) {
                size_t size = sizeof(bytes);
                r = check(nng_recv(pair, bytes, &size, 0));
                if (r == 0)
                        r = check(nng_send(pair, bytes, size, 0));
        }
        return r;
}

static int pair_connect(const struct peer_place *place)
{
        char address[256];
        int r = make_pair(place, address);
        return r < 0 ? r : check(nng_dial(pair, address, NULL, 0));
}

static int pair_call(const void *in, void *out, size_t size)
{
        size_t length = size;
        int r = check(nng_send(pair, (void *)in, size, 0));
        if (r == 0)
                r = check(nng_recv(pair, out, &length, 0));
        return r < 0 ? r : length == size ? 0 : -EBADMSG;
}

static int pair_flood(uint64_t until, uint64_t *done)
{
        unsigned char bytes[PEER_SMALL] = { 0 };
        int under_way = 0, r = 0;
        for (; r == 0 && under_way < PEER_IN_FLIGHT; under_way++)
                r = check(nng_send(pair, bytes, sizeof(bytes), 0));
        while (r == 0 && under_way > 0) {
                size_t size = sizeof(bytes);
                r = check(nng_recv(pair, bytes, &size, 0));
                if (r < 0)
                        break;
                ++*done;
                if (peer_now() < until)
                        r = check(nng_send(pair, bytes, sizeof(bytes), 0));
                else
                        under_way--;
        }
        return r;
}

const struct peer peers[] = {
        { "nng", PEER_BIG, false, pair_serve, pair_connect, pair_call, pair_flood },
        { 0 },
};
