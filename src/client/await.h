/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Waiting for the answer to a question that costs the other side several context switches: look for a while, then sleep.
 *
 * Why: while a thread looks, its processor does not go idle. The others, daemon and host, hand over to each other on the
 * processors that are left, instead of waking an idle one for each step, which costs 40 to 70 us on a virtual machine. On two
 * CPUs an open takes half the time. It burns AMB_AWAIT_NS at most for a question, and nothing on one CPU.
 */
#include <poll.h>

#include "channel/wait.h"

#define AMB_AWAIT_NS 1000000u

/* As poll without a time limit. */
static inline int amb_await(struct pollfd *fds, nfds_t count)
{
        uint64_t start = amb_time_now();
        int n = 0;

        if (amb_wait_cpus() > 1)
                while ((n = poll(fds, count, 0)) == 0 && amb_time_now() - start < AMB_AWAIT_NS)
                        amb_pause();
        return n != 0 ? n : poll(fds, count, -1);
}
