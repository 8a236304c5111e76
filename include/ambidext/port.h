/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Notification ports for programs that have their own poll loop. Every call says which threads; none returns an error.
 * Contract: ours, no contract. How a callback is called: call-path 4.4.
 */
#include <IOKit/IOKitLib.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A file descriptor that is readable (POLLIN) when amb_port_dispatch has something to do. It belongs to the port and stays the
 * same for its life; only poll it (poll, select, epoll), never close it. port: not NULL. Any thread.
 */
int amb_port_get_fd(IONotificationPortRef port);

/*
 * Calls the callbacks of what has arrived, on the calling thread, and does not sleep. While messages come in a stream it goes on
 * for up to 4096 of them, looking for the next one for at most 20 us; what is left keeps the descriptor readable. Harmless when
 * nothing has arrived.
 * A callback may destroy the port: the rest is then discarded. One thread at a time per port.
 */
void amb_port_dispatch(IONotificationPortRef port);

/*
 * The same, but hands each message to `take` instead of calling the callback that it asks for: for tools that do not know how
 * many values a completion will have. The message is valid during the call; OSGetNotificationFromMessage() takes it apart.
 */
void amb_port_dispatch_messages(IONotificationPortRef port, void (*take)(void *context, mach_msg_header_t *message),
                                void *context);

#ifdef __cplusplus
}
#endif
