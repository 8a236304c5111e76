/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Data queues whose ring's size the program knows itself: the word in shared memory is not looked at, so the other side cannot make
 * these calls touch anything but ring_size bytes behind the head of 12. Otherwise as in <IOKit/IODataQueueClient.h>: codes,
 * threads, lifetime. Contract: memory-and-queues 7.2 'Private variants'; the names are ours.
 */
#include <IOKit/IODataQueueClient.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ring_size: bytes. */
IODataQueueEntry *amb_data_queue_peek(IODataQueueMemory *queue, uint32_t ring_size);
IOReturn amb_data_queue_dequeue(IODataQueueMemory *queue, uint32_t ring_size, void *data, uint32_t *size);

/* When the reader is notified: 0: as IODataQueueEnqueue() does it; or one of these. Other options: kIOReturnBadArgument. */
#define AMB_DATA_QUEUE_FORCE 1u         /* of every entry */
#define AMB_DATA_QUEUE_SUPPRESS 2u      /* never; a batch ends with an entry without it, or with FORCE */
IOReturn amb_data_queue_enqueue(IODataQueueMemory *queue, uint32_t ring_size, const void *data, uint32_t size, uint32_t options);

#ifdef __cplusplus
}
#endif
