/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The side socket of a connection: what needs a file descriptor or may take long, and the connection's end.
 *
 * One SOCK_SEQPACKET pair per connection, made by the daemon. The app asks, the host answers; nothing else travels. One message
 * is one struct amb_side_message and at most one descriptor. Every request carries a serial of the app's choice and gets exactly
 * one AMB_SIDE_ANSWER with the same serial; PORT_DROP and LOANS may have the serial 0 and get none then, KNOCK always has and
 * does. Behind some answers come AMB_SIDE_EXTENTs. Answers may come in another order than the requests. The host never waits for
 * the app here: an app that does not read its answers is cut off.
 *
 *      kind         id               flags            size     descriptor     answer: code, and on 0
 *      PORT         port name        -                -        a port's end   -
 *      PORT_DROP    port name        -                -        -              -
 *      LOANS        -                -                -        a socket       -       (loan.h; once)
 *      MAP          memory type      -                -        -              size (bytes), identity, READ_ONLY, id: extents
 *      MAP_MORE     -                -                -        -              id: extents that are left
 *      UNMAP        memory type      -                -        -              identity (0: the driver gave no memory), READ_ONLY
 *      FETCH        output id        -                -        -              size (bytes), sealed memfd (none for size 0)
 *      TRAP         AMB_SIDE_TRAP_*  -                bytes    sealed memfd   - (kIOReturnNotFound: no such name)
 *      KNOCK        -                -                -        -              no answer: the channel rests, and has a request
 * (channel.h)
 *      CLOSE        -                -                -        -              - (every call in progress has returned; or at once,
 * see below)
 *
 * A port's name (channel.h) is an index below AMB_SIDE_PORTS_MAX and the app's number above it. PORT puts a port in the place of
 * the one that had the index before; PORT_DROP is for a port that the app has destroyed, and does nothing if the index has another
 * name by now. Completions for a name that is not in force are not sent.
 *
 * A user client that is terminated answers MAP and UNMAP with AMB_SIDE_TERMINATED, code 0 and nothing else; the driver is not
 * asked.
 *
 * MAP and UNMAP ask the driver (CopyClientMemoryForType on the user client's default queue), after the calls in progress and
 * before later ones. MAP's code is 0 or the driver's; a memory that is NULL or cannot be shared is kIOReturnBadArgument; UNMAP's
 * code is the driver's, unchanged. identity names the memory descriptor object: equal identity and equal READ_ONLY mean the
 * same memory; never reused within a host. A read-only memory cannot be mapped or made writable by the app: the kernel refuses
 * (F_SEAL_FUTURE_WRITE).
 *
 * What is mapped is extents, end to end, AMB_SIDE_EXTENTS_MAX at most. Directly behind MAP's answer come the first of them,
 * AMB_SIDE_EXTENTS_AT_ONCE at most, each a message of its own of kind EXTENT with the request's serial, size (bytes), offset
 * (bytes, in the file) and a sealed memfd; MAP_MORE asks for the next ones, in the same way, until there are no more. An extent but
 * the first starts a page of its file, one but the last ends where a page ends: so they can be mapped as one range. The sum of a
 * single extent may be more than the answer's size (a buffer whose length was set), of several it is the size. A MAP forgets what
 * is left of the one before.
 *
 * TRAP asks whether the driver has given the user client something under a name, which the memfd holds, without a NUL.
 *
 * An app that has no calls in progress just closes its end, and waits for nothing. CLOSE is for one that has: after the answer
 * the host closes its end; but if the channel says that a close does not wait for calls (amb_channel_unlocked), it answers at
 * once, goes on serving for the sake of the calls in progress, and the app closes its end after the last of them. End of file on
 * the app's end means that the host has gone; on the host's end, that the app has closed or gone (the host also watches the
 * app's pidfd).
 *
 * What the peer may do wrong: anything. amb_side_receive() hands out only messages of the right length without truncation and owns
 * up for every descriptor that came along; amb_side_request_valid() checks one request's shape; amb_side_memory_check() a memfd.
 */
#include <sys/types.h>

#include "base/base.h"
#include "channel/packet.h"

#define AMB_SIDE_PORTS_MAX 16                           /* ports of one connection at a time, index 0 to 15 */
#define AMB_SIDE_OUTPUTS_MAX 64                         /* variable outputs that wait for FETCH; the oldest one goes first */
#define AMB_SIDE_NAME_MAX 64                            /* bytes of a name in a TRAP */
#define AMB_SIDE_PENDING_MAX 64                         /* requests without an answer */
#define AMB_SIDE_EXTENTS_MAX 1024                       /* of one memory */
#define AMB_SIDE_EXTENTS_AT_ONCE 32                     /* behind one answer */

enum amb_side_kind {
        AMB_SIDE_PORT = 1,
        AMB_SIDE_PORT_DROP,
        AMB_SIDE_LOANS,
        AMB_SIDE_MAP,
        AMB_SIDE_UNMAP,
        AMB_SIDE_FETCH,
        AMB_SIDE_CLOSE,
        AMB_SIDE_TRAP,
        AMB_SIDE_MAP_MORE,
        AMB_SIDE_KNOCK,
        AMB_SIDE_ANSWER = 64,
        AMB_SIDE_EXTENT,
};

enum {
        AMB_SIDE_TRAP_EVENT_LINK = 0,
        AMB_SIDE_TRAP_WORK_GROUP = 1,
};

enum {
        AMB_SIDE_READ_ONLY = 4,         /* answers to MAP and UNMAP */
        AMB_SIDE_TERMINATED = 8,        /* the same */
};

/* 40 bytes; host byte order; unused fields are 0. */
struct amb_side_message {
        uint32_t kind;
        uint32_t serial;
        uint32_t id;
        uint32_t flags;
        int32_t code;
        uint32_t filler;
        uint64_t size;
        union {
                uint64_t identity;
                uint64_t offset;        /* EXTENT */
        };
};
_Static_assert(sizeof(struct amb_side_message) == 40, "side message: layout is protocol");

/*
 * Sends one message and, unless fd is -1, a copy of fd; fd stays the caller's. Never raises SIGPIPE. Any thread.
 * With wait false the message is refused at once when the socket is full.
 */
enum {
        AMB_SIDE_FULL = AMB_PACKET_FULL,
        AMB_SIDE_GONE = AMB_PACKET_GONE,
};
int amb_side_send(int socket, const struct amb_side_message *message, int fd, bool wait);

/*
 * Receives one message; *ret_fd is the descriptor that came with it (close-on-exec, the caller's from now on) or -1. With wait
 * false and nothing there: AMB_SIDE_NOTHING.
 */
enum {
        AMB_SIDE_NOTHING = AMB_PACKET_NOTHING,
        AMB_SIDE_END = AMB_PACKET_END,
        AMB_SIDE_BROKEN = AMB_PACKET_BROKEN,
};
int amb_side_receive(int socket, bool wait, struct amb_side_message *ret_message, int *ret_fd);

/* A request's shape: known kind, serial, descriptor exactly where one belongs, unused fields 0, id and size within the limits. */
bool amb_side_request_valid(const struct amb_side_message *message, bool with_fd);

/*
 * A memfd that cannot be pulled from under us: on tmpfs, exactly `size` bytes (0: any size above 0), sealed against shrinking,
 * growing and further seals, and with all of `seals` besides. False for everything else that a peer may send.
 */
bool amb_side_memory_check(int fd, uint64_t size, int seals);

/*
 * --- ports ---
 * What wakes a notification port: a pair of stream sockets, not an eventfd, because a peer can make a write to a shared eventfd
 * block, while MSG_DONTWAIT holds whatever the peer does. The app keeps ret_read (pollable: readable = look at the completion
 * ring), PORT carries a copy of ret_write. One pair serves any number of connections.
 */
int amb_side_port_create(int *ret_read, int *ret_write);
void amb_side_port_wake(int write_fd);          /* host: never blocks; a full socket or a dead reader is fine */
void amb_side_port_drain(int read_fd);          /* app: forget the wake-ups so far, before looking at the rings */
bool amb_side_port_check(int write_fd);         /* host: is what came with PORT such an end? */
