/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The head of every notification message, 24 bytes. Contract: call-path 4.3. */
#include <mach/mach_types.h>

typedef uint32_t mach_msg_bits_t;
typedef uint32_t mach_msg_size_t;
typedef int32_t mach_msg_id_t;

typedef struct {
        mach_msg_bits_t msgh_bits;
        mach_msg_size_t msgh_size;              /* bytes of the whole message, this head included */
        mach_port_t msgh_remote_port;
        mach_port_t msgh_local_port;            /* the receive port that it came to */
        mach_port_name_t msgh_voucher_port;
        mach_msg_id_t msgh_id;
} mach_msg_header_t;
