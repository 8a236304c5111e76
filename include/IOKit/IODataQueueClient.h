/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A client's end of a data queue in memory that it shares with a driver (IOConnectMapMemory) or another part of itself: one side
 * puts entries in, the other takes them out, without a system call.
 *
 * The ring's size is in the shared memory, where the other side can change it. Each call reads it once; when the queue lies in
 * memory mapped by IOConnectMapMemory, a ring that would not fit into that mapping counts as broken, so a driver cannot make a
 * call touch anything else. Of other memory only the program knows the size: <ambidext/dataqueue.h> takes it from there.
 *
 * Notification: what a call sends here is a message to a port of this process. The port is the one that was given to
 * IODataQueueSetNotificationPort() by this process for this queue; what anybody writes into the appendix reaches no other. A
 * driver cannot send to it: it completes an asynchronous call instead.
 *
 * One reader and one writer at a time; other calls from any thread. `dataQueue` must stay mapped during a call.
 *
 * Contract: memory-and-queues 7 (Q28 to Q40).
 */
#include <CoreFoundation/CFBase.h>
#include <IOKit/IODataQueueShared.h>
#include <IOKit/IOReturn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Are head and tail different? False for NULL. */
Boolean IODataQueueDataAvailable(IODataQueueMemory *dataQueue);

/*
 * The oldest entry, which stays; it lies in the shared memory, where a hostile writer can still change it: copy `size` first and
 * check it. NULL: empty, broken, or no queue.
 */
IODataQueueEntry *IODataQueuePeek(IODataQueueMemory *dataQueue);

/*
 * Takes out the oldest entry. *dataSize: bytes that `data` has room for, then bytes of the entry. data NULL: throws it away,
 * *dataSize is not used. kIOReturnUnderrun: empty. kIOReturnNoSpace: larger than *dataSize; it stays. kIOReturnError: the writer
 * has broken the queue. kIOReturnBadArgument: no queue, or data without dataSize. On failure *dataSize stays.
 */
IOReturn IODataQueueDequeue(IODataQueueMemory *dataQueue, void *data, uint32_t *dataSize);

/*
 * Puts in a copy of dataSize bytes. When the queue was empty the reader is notified and the result is the notification's: 0 (sent,
 * or no port is set), 0x10000004 MACH_SEND_TIMED_OUT (the port still holds a message), MACH_SEND_INVALID_DEST (the port is gone,
 * or the appendix names another one); the entry is in the queue in all of these. kIOReturnOverrun: it does not fit (the reader is
 * notified, too) or is larger than any ring. kIOReturnUnderrun: the reader has broken the queue. kIOReturnBadArgument: no queue.
 */
IOReturn IODataQueueEnqueue(IODataQueueMemory *dataQueue, void *data, uint32_t dataSize);

/*
 * Waits for one message on the port and takes it: 0, or a code of mach_msg(), such as MACH_RCV_PORT_DIED. A message may be older
 * than the data that has been read since: loop on IODataQueueDataAvailable(). kIOReturnBadArgument: no queue, no port.
 */
IOReturn IODataQueueWaitForAvailableData(IODataQueueMemory *dataQueue, mach_port_t notificationPort);

/*
 * A receive port that holds one message; a second one is not sent (see Enqueue). 0: no memory or no descriptor. End it with
 * mach_port_mod_refs() or mach_port_destroy().
 */
mach_port_t IODataQueueAllocateNotificationPort(void);

/*
 * The port that is told when this queue stops being empty: any receive port of this process; 0: none. It is remembered for the
 * address dataQueue and written into the appendix behind the ring, which must be there unless port is 0. 0; kIOReturnBadArgument:
 * no queue; kIOReturnNoMemory; kIOReturnNoSpace: in mapped memory, when the appendix would lie outside.
 */
IOReturn IODataQueueSetNotificationPort(IODataQueueMemory *dataQueue, mach_port_t notificationPort);

#ifdef __cplusplus
}
#endif
