/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages of a notification port, with Apple's layout: a mach_msg_header_t, an OSNotificationHeader64, the content. They are
 * made here from completions and notifications, wait in a port's queue, and are taken apart by IODispatchCalloutFromMessage(),
 * which works on any such message. Contract: call-path 4.3, 4.4.
 */
#include <IOKit/IOKitLib.h>

#include "base/base.h"
#include "channel/channel.h"

struct amb_message {
        struct amb_link link;
        mach_port_t held;               /* a handle with a user reference of ours, or 0; dropped with the message */
        uint32_t room;                  /* bytes from `header` on, of one that can be filled again; otherwise 0 */
        mach_msg_header_t header;       /* the content follows without a gap */
};
AMB_UNUSED static const size_t amb_message_head = sizeof(mach_msg_header_t) + sizeof(struct OSNotificationHeader64);

/* NULL: no memory. A completion's message has room for any completion: amb_message_refill() makes another one's of it. */
struct amb_message *amb_message_of_completion(const struct amb_completion *completion);
void amb_message_refill(struct amb_message *message, const struct amb_completion *completion);
struct amb_message *amb_message_of_matching(uint32_t type, mach_port_t iterator, IOServiceMatchingCallback callback,
                                            void *refcon);
/* `held`: takes over one user reference of `service`. */
struct amb_message *amb_message_of_interest(mach_port_t service, IOServiceInterestCallback callback, void *refcon,
                                            uint32_t message_type, uint64_t argument);
/* A header alone: that there is something to look at is all it says. IODispatchCalloutFromMessage() ignores it. */
struct amb_message *amb_message_empty(void);
struct amb_message *amb_message_free(struct amb_message *message);
