/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One message of a fixed size with at most one descriptor, over a SOCK_SEQPACKET socket: what side.h and loan.h speak in.
 *
 * What the peer may do wrong: send another length, no data, several descriptors, or close. Whatever came along is closed;
 * nothing of a broken message is handed out.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * Sends `size` bytes and, unless fd is -1, a copy of fd, which stays the caller's. Never raises SIGPIPE. Any thread. With wait
 * false the message is refused at once when the socket is full.
 */
enum {
        AMB_PACKET_FULL = 1,            /* only with wait false: the peer does not read */
        AMB_PACKET_GONE = 2,            /* the peer has closed its end */
};
int amb_packet_send(int socket, const void *bytes, size_t size, int fd, bool wait);

/*
 * Receives a message of exactly `size` bytes into `bytes`, which is the caller's own memory and undefined unless 0 is returned;
 * *ret_fd is the descriptor that came with it (close-on-exec, the caller's from now on) or -1.
 */
enum {
        AMB_PACKET_NOTHING = 1,         /* only with wait false */
        AMB_PACKET_END = 2,             /* end of file, or a zero-length message: treat both as the end */
        AMB_PACKET_BROKEN = 3,          /* wrong length, truncated, more than one descriptor: cut the peer off */
};
int amb_packet_receive(int socket, void *bytes, size_t size, bool wait, int *ret_fd);
