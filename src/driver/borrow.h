/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory of an application, as descriptors: structure arguments of more than 4096 bytes and what a driver names itself
 * (CreateMemoryDescriptorFromClient). Contract: memory-and-queues 4; protocol: channel/loan.h.
 *
 * Nothing is asked for before the first mapping. Then the application's library is asked, over the connection's loans socket,
 * and the mapping waits for it: at most as long as loan.h says, and no longer than the application lives. Its files stay known
 * under their ids, each with one view of it in this process, so that a buffer that comes again costs one question and no page.
 *
 * A snapshot (no kIOMemoryDisableCopyOnWrite) is a file that nobody can write any more, or a copy made here (snapshot.h); the
 * application does not reach it. A device works on the memory itself all the same (amb_borrow_itself), which is asked for apart. A
 * descriptor outlives the call if the driver retains it: the reply says so to the application, and the last release gives the
 * ticket back. It outlives the application once it has been mapped.
 *
 * Which thread: any; one question of a connection at a time. What the peer may do wrong: loan.h; it is cut off.
 */
#include <DriverKit/IOUserClient.h>
#include <pthread.h>

#include "channel/channel.h"
#include "channel/loan.h"
#include "driver/memory.h"

struct amb_connection;

extern uint64_t amb_borrow_wait_ns;             /* AMB_LOAN_WAIT_NS; tests do not have the time */
#define AMB_BORROW_COPIES (1ull << 30)          /* bytes of snapshots that one connection makes us hold */

struct amb_borrows {                    /* of a connection */
        pthread_mutex_t lock;           /* the socket, the files, one question at a time */
        pthread_cond_t arrived;         /* the socket, or the end */
        int socket;
        bool over;
        uint32_t serial, ticket;
        struct amb_link files;
        uint32_t file_count;
        _Atomic uint64_t copied;
};
void amb_borrows_init(struct amb_borrows *borrows);
void amb_borrows_free(struct amb_borrows *borrows);
/* The application has made its socket; consumed. False: it has one already. */
bool amb_borrows_start(struct amb_borrows *borrows, int socket);
/* The application has gone: who waits need not. */
void amb_borrows_end(struct amb_borrows *borrows);

/* A call's range; options as AMB_LOAN_... -ENOMEM; AMB_BORROW_REFUSED (positive): a part of a file that there is not. */
enum { AMB_BORROW_REFUSED = 1 };
int amb_borrow_argument(struct amb_connection *connection, const struct amb_range *range, uint64_t options,
                        IOMemoryDescriptor **ret);
/* What the driver names. Segments are good (amb_loan_segments_check). -ENOMEM. */
int amb_borrow_named(struct amb_connection *connection, const struct amb_loan_segment *segments, uint32_t count, uint64_t options,
                     IOMemoryDescriptor **ret);
/* The driver keeps an argument: it will be given back. Before the reply that says so. */
void amb_borrow_keep(IOMemoryDescriptor *memory);
/*
 * For a device: *ret is the application's memory itself, also where mappings of the descriptor are snapshots, and is borrowed when
 * it is mapped for the first time. An argument can be written if the application lends it so, though its descriptor says no such
 * thing: the device of an existing driver does (real-code 1.1). It belongs to the descriptor, and is that one where it is no
 * snapshot. -ENOMEM.
 */
int amb_borrow_itself(IOMemoryDescriptor *memory, IOMemoryDescriptor **ret);
