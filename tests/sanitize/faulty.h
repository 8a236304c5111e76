/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The selectors of the driver "faulty": tests/sanitize/driver.c. Each takes one scalar and gives one. */
enum {
        kFaultyHealthy,         /* counts on queues, from several threads; gives how often it was called */
        kFaultyFill,            /* fills a buffer of 16 bytes with n bytes */
        kFaultyRace,            /* two threads write one variable */
        kFaultyAdd,             /* INT_MAX + n */
        kFaultyLose,            /* forgets n bytes of memory */
        kFaultyCount
};
