/* SPDX-License-Identifier: Apache-2.0 */
/* ZeroMQ over ipc://, with the leanest pattern that it has: a pair of sockets, no envelopes, no routing. */
#include "bench/peers/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

static void *pair;

static int make_pair(const struct peer_place *place, char address[static 256])
{
        void *context = zmq_ctx_new();
        snprintf(address, 256, "ipc://%s", peer_path(place, "socket"));
        pair = context ? zmq_socket(context, ZMQ_PAIR) : NULL;
        return pair ? 0 : peer_fail(-zmq_errno(), "ZeroMQ: %s", zmq_strerror(zmq_errno()));
}

static int zeromq_serve(const struct peer_place *place)
{
        char address[256];
        unsigned char bytes[PEER_BIG];
        int r = make_pair(place, address);
        if (r == 0 && zmq_bind(pair, address) < 0)
                r = peer_fail(-zmq_errno(), "ZeroMQ: %s", zmq_strerror(zmq_errno()));
        if (r == 0)
                peer_ready();
        while (r == 0) {
                int n = zmq_recv(pair, bytes, sizeof(bytes), 0);
                if (n < 0 || zmq_send(pair, bytes, (size_t)n, 0) < 0)
                        r = peer_fail(-zmq_errno(), "ZeroMQ: %s", zmq_strerror(zmq_errno()));
        }
        return r;
}

static int zeromq_connect(const struct peer_place *place)
{
        char address[256];
        int r = make_pair(place, address);
        if (r == 0 && zmq_connect(pair, address) < 0)
                r = peer_fail(-zmq_errno(), "ZeroMQ: %s", zmq_strerror(zmq_errno()));
        return r;
}

static int zeromq_call(const void *in, void *out, size_t size)
{
        if (zmq_send(pair, in, size, 0) < 0)
                return -zmq_errno();
        int n = zmq_recv(pair, out, size, 0);
        return n < 0 ? -zmq_errno() : (size_t)n == size ? 0 : -EBADMSG;
}

static int zeromq_flood(uint64_t until, uint64_t *done)
{
        unsigned char bytes[PEER_SMALL] = { 0 };
        int under_way = 0;
        for (; under_way < PEER_IN_FLIGHT; under_way++)
                if (zmq_send(pair, bytes, sizeof(bytes), 0) < 0)
                        return -zmq_errno();
        while (under_way > 0) {
                if (zmq_recv(pair, bytes, sizeof(bytes), 0) < 0)
                        return -zmq_errno();
                ++*done;
                if (peer_now() >= until)
                        under_way--;
                else if (zmq_send(pair, bytes, sizeof(bytes), 0) < 0)
                        return -zmq_errno();
        }
        return 0;
}

const struct peer peers[] = {
        { "zeromq", PEER_BIG, false, zeromq_serve, zeromq_connect, zeromq_call, zeromq_flood },
        { 0 },
};
