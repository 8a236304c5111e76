/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An app that speaks the protocol itself: a real connection, granted as any other, whose ends the test then uses as it likes.
 * Everything here asserts (Check).
 */
#include <stddef.h>
#include <stdint.h>

#include "control/bus.h"

struct raw {
        sd_bus *bus;
        int channel, side, host;        /* the connection's memory, its side socket, the host's pidfd */
};

/* Opens the service called `name` with type 0, waiting (bounded) for it. */
void raw_open(struct raw *raw, const char *name);
void raw_close(struct raw *raw);

/* One packet on the side socket, with any number of descriptors. */
void raw_send(struct raw *raw, const void *bytes, size_t length, const int *fds, int fd_count);

/* Asks for a memory type as the library does; returns the descriptor of what the driver has given, the caller's. */
int raw_map(struct raw *raw, uint32_t type);
/* Has the host look at the channel (amb_channel_options.knock). Never waits, and does not mind if it has cut us off. */
void raw_knock(void *raw);

/* Waits (bounded) until the side socket's other end is closed: the host has cut this connection off. */
void raw_cut_off(struct raw *raw);
