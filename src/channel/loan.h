/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Loans: how a host asks for memory of the application's own (memory-and-queues 4).
 *
 * A ticket stands for a described range: a structure argument of more than 4096 bytes (the app's library makes the ticket and
 * the call names it), or the segments that a driver has given to CreateMemoryDescriptorFromClient (the host makes it). When the
 * driver maps for the first time, the host borrows: the app's library answers with files. The app alone decides what it gives;
 * the host never reaches into it.
 *
 * One SOCK_SEQPACKET pair per connection that needs one, made by the app and handed over by AMB_SIDE_LOANS. The host's requests
 * are served by a thread of the app's library, one after the other.
 *
 *      host -> app     BORROW     serial, ticket, options, count and segments (0 for the app's tickets)     one ANSWER
 *                      RETURN     ticket: the host will not ask for it again; the app may take its memory back      no answer
 *      app -> host     ANSWER     serial, code; on 0: options, count of the EXTENTs that follow at once
 *                      EXTENT     serial, id of a file, offset, length, size of the file, flags; the file when it is new to the
 * host
 *                      DROP       id: will not be named again
 *
 * options: direction and kIOMemoryDisableCopyOnWrite, as the driver sees them; of the app's own tickets its own word counts (a
 * structure output is shared: In and kIOMemoryDisableCopyOnWrite), but that a host which asks for an input with
 * kIOMemoryDisableCopyOnWrite gets the memory itself: it is for a device. From then on the ticket stays that. It is lent to be
 * written only to hosts that may name any memory of the app's, and asked for In; the ANSWER's options say so. Extents lie end to
 * end: the first begins at the range's place inside its page, junctions are on page borders. Without kIOMemoryDisableCopyOnWrite
 * the host makes a snapshot: it copies the files' bytes, unless the file is SEALED, which nobody can change any more.
 *
 * A call may name a file that the host has by then, instead of being asked for: a buffer that comes again, and small inputs, which
 * the app's library copies into a file that it keeps for them.
 *
 * What the host may do wrong: anything. It gets what its tickets describe and nothing else, and is cut off from the loans when
 * it breaks the protocol or does not read. What the app may do wrong: anything; files are checked (amb_loan_file_check),
 * numbers compared with private copies; an app that does not answer in time is cut off. The memory of a file that is not sealed
 * against shrinking may vanish: reading it raises SIGBUS.
 */
#include "base/base.h"
#include "channel/packet.h"

#define AMB_LOAN_SEGMENTS 32
#define AMB_LOAN_EXTENTS_MAX 64                         /* of one answer */
#define AMB_LOAN_FILES_MAX 256                          /* of one connection, named by id */
#define AMB_LOAN_BYTES_MAX (1ull << 34)                 /* of one ticket; pages count only where something is stored */
#define AMB_LOAN_HOST_TICKET 0x80000000u                /* in the numbers of the host's tickets */
#define AMB_LOAN_WAIT_NS 5000000000ull                  /* for an answer, and a second more for each GiB */

enum amb_loan_kind {
        AMB_LOAN_BORROW = 1,
        AMB_LOAN_RETURN,
        AMB_LOAN_ANSWER = 64,
        AMB_LOAN_EXTENT,
        AMB_LOAN_DROP,
};

/* of a BORROW; the values of kIOMemoryDirectionIn, Out, kIOMemoryDisableCopyOnWrite */
enum {
        AMB_LOAN_IN = 1,                                /* the driver may store into it */
        AMB_LOAN_OUT = 2,
        AMB_LOAN_SHARED = 0x10,                         /* the memory itself, no snapshot */
};

enum {                                                  /* of an EXTENT */
        AMB_LOAN_WRITABLE = 1,
        AMB_LOAN_SEALED = 2,                            /* a snapshot that nobody can change; id 0 */
        AMB_LOAN_OPEN = 4,                              /* the app's own shared file: may be shrunk at any time */
        AMB_LOAN_ONCE = 8,                              /* for this ticket alone; id 0 */
};

/* kern_return_t of an ANSWER. */
enum { AMB_LOAN_NOT_PERMITTED = (int)0xE00002E2, AMB_LOAN_UNSUITABLE = (int)0xE00002BC };

struct amb_loan_segment {
        uint64_t address, length;
};

/* Host byte order; unused fields are 0. */
struct amb_loan_message {
        uint32_t kind, serial;
        uint32_t ticket;                                /* EXTENT, DROP: the file's id */
        uint32_t options;
        uint32_t count;
        int32_t code;
        uint64_t offset, length, size;
        struct amb_loan_segment segments[AMB_LOAN_SEGMENTS];
};
_Static_assert(sizeof(struct amb_loan_message) == 560, "loan message: layout is protocol");

static inline int amb_loan_send(int socket, const struct amb_loan_message *message, int fd)
{
        return amb_packet_send(socket, message, sizeof(*message), fd, false);
}
static inline int amb_loan_receive(int socket, struct amb_loan_message *ret, int *ret_fd)
{
        return amb_packet_receive(socket, ret, sizeof(*ret), false, ret_fd);
}

/*
 * Host: is what came with LOANS a socket of the right kind? Messages that this process sends to anybody else's could be taken
 * for its own.
 */
bool amb_loan_socket_check(int socket);
/*
 * Host: is the file what an extent with these flags says: on tmpfs (a page that is read cannot hang); unless OPEN at least
 * `size` bytes, not empty, and sealed against shrinking; SEALED: against writing too? How long an OPEN one is holds for the
 * moment only, whatever is asked.
 */
bool amb_loan_file_check(int fd, uint64_t size, uint32_t flags);
/* Segments that describe something: no overflow, more than 0 and at most AMB_LOAN_BYTES_MAX bytes in all. */
bool amb_loan_segments_check(const struct amb_loan_segment *segments, uint32_t count, uint64_t *ret_length);
/*
 * Joins neighbours; the new count. Segments are page-congruent when every junction that is left falls on a page border on both
 * sides.
 */
uint32_t amb_loan_segments_merge(struct amb_loan_segment *segments, uint32_t count);
bool amb_loan_segments_congruent(const struct amb_loan_segment *segments, uint32_t count, uint64_t page);
