/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages as programs receive them that read a port themselves instead of giving it to a run loop or a queue.
 * Each call says which threads. Contract: call-path 4.3, 4.6; real-code 3 'Mach functions and macros'.
 */
#include <mach/mach_types.h>

typedef uint32_t mach_msg_bits_t;
typedef uint32_t mach_msg_size_t;
typedef int32_t mach_msg_id_t;

/* The head of every message, 24 bytes. */
typedef struct {
        mach_msg_bits_t msgh_bits;
        mach_msg_size_t msgh_size;              /* bytes of the whole message, this head included */
        mach_port_t msgh_remote_port;
        mach_port_t msgh_local_port;            /* the receive port that it came to */
        mach_port_name_t msgh_voucher_port;
        mach_msg_id_t msgh_id;
} mach_msg_header_t;

/* Follows a received message, behind msgh_size bytes (rounded up to 4). */
typedef uint32_t mach_msg_trailer_type_t;
typedef uint32_t mach_msg_trailer_size_t;
typedef struct {
        mach_msg_trailer_type_t msgh_trailer_type;
        mach_msg_trailer_size_t msgh_trailer_size;
} mach_msg_trailer_t;
#define MACH_MSG_TRAILER_FORMAT_0 0
#define MACH_MSG_TRAILER_MINIMUM_SIZE 8

typedef int32_t mach_msg_option_t;
typedef uint32_t mach_msg_timeout_t;                            /* milliseconds */
typedef uint32_t mach_msg_type_name_t;
typedef natural_t mach_msg_type_number_t;                       /* how many of something */

#define MACH_MSG_OPTION_NONE 0x00000000
#define MACH_SEND_MSG 0x00000001
#define MACH_RCV_MSG 0x00000002
#define MACH_RCV_LARGE 0x00000004
#define MACH_SEND_TIMEOUT 0x00000010
#define MACH_RCV_TIMEOUT 0x00000100
#define MACH_RCV_INTERRUPT 0x00000400
#define MACH_MSG_TIMEOUT_NONE ((mach_msg_timeout_t)0)

#define MACH_MSG_TYPE_MOVE_RECEIVE 16
#define MACH_MSG_TYPE_MOVE_SEND 17
#define MACH_MSG_TYPE_MOVE_SEND_ONCE 18
#define MACH_MSG_TYPE_COPY_SEND 19
#define MACH_MSG_TYPE_MAKE_SEND 20
#define MACH_MSG_TYPE_MAKE_SEND_ONCE 21

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Receives the oldest message of a port (MACH_RCV_MSG): `rcv_name` from IONotificationPortGetMachPort(), IOCreateReceivePort()
 * or mach_port_allocate(). `msg` has room for rcv_size bytes, message and trailer. With MACH_RCV_TIMEOUT it waits `timeout`
 * milliseconds (0: not at all), else without limit. IODispatchCalloutFromMessage() then calls the callback that it asks for.
 * A message from a service's notification brings one reference of the handle in msgh_remote_port; mach_msg_destroy() drops it.
 *
 * Any number of threads, also beside a run loop or a queue: each message goes to one of them.
 *
 * MACH_RCV_INVALID_NAME: no receive port; MACH_RCV_TIMED_OUT; MACH_RCV_PORT_DIED: destroyed meanwhile; MACH_RCV_INTERRUPTED: by
 * a signal, only with MACH_RCV_INTERRUPT; MACH_RCV_TOO_LARGE: the message is lost, or with MACH_RCV_LARGE stays and
 * msg->msgh_size says its size, so that rcv_size must be MACH_MSG_TRAILER_MINIMUM_SIZE more. Nobody here takes messages:
 * MACH_SEND_MSG gives MACH_SEND_INVALID_DEST, and nothing is received. send_size and notify are ignored.
 */
mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
                           mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
                           mach_port_name_t notify);
/* Drops the reference of msgh_remote_port that a received message brought along, and sets the field to 0. Any thread. */
void mach_msg_destroy(mach_msg_header_t *msg);

#ifdef __cplusplus
}
#endif
