/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The memory of a client's data queue, as the writer and the reader see it; plain data, any thread. Entries follow each other
 * without gaps; where the next one does not fit before the ring's end it is at the start, and a size word that does not fit
 * says so, if there is room for one.
 *
 * Contract: memory-and-queues 7.1.
 */
#include <mach/message.h>
#include <stdint.h>

/* Stands at any byte, hence packed. */
typedef struct _IODataQueueEntry {
        uint32_t size;                  /* bytes of data */
        uint8_t data[4];                /* as many as that */
} __attribute__((packed)) IODataQueueEntry;

typedef struct _IODataQueueMemory {
        uint32_t queueSize;             /* bytes of the ring */
        volatile uint32_t head;         /* bytes from the ring's start to the next entry to read */
        volatile uint32_t tail;         /* and to where the next one is written */
        IODataQueueEntry queue[1];      /* the ring */
} IODataQueueMemory;

/* Behind the ring, at any byte. The message that tells the reader; msgh_remote_port is its port. */
typedef struct _IODataQueueAppendix {
        uint32_t version;               /* 0 */
        mach_msg_header_t msgh;
} IODataQueueAppendix;

#define DATA_QUEUE_ENTRY_HEADER_SIZE 4
#define DATA_QUEUE_MEMORY_HEADER_SIZE 12
#define DATA_QUEUE_MEMORY_APPENDIX_SIZE sizeof(IODataQueueAppendix)
