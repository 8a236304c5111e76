/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One thread of the process that waits for file descriptors of dispatch sources, started with the first of them.
 *
 * A member belongs to an object and lives in it. The object's free removes it first of all; from then on nothing touches it any
 * more. ready runs on the thread, with a reference to the object and without a lock, and must not block: driver code runs on
 * queues. Any thread may call; the lock inside is innermost, so the caller may hold its own.
 */
#include <DriverKit/OSObject.h>

#include "base/base.h"

struct amb_poll {
        struct amb_link link;
        uint64_t number;                        /* by which the thread knows it: a late event of a former member finds nobody */
        int fd;                                 /* the owner's; stays open until the removal */
        bool in;                                /* epoll knows it */
        OSObject *object;
        void (*ready)(OSObject *object);
};

/* Not watched yet. -errno: no thread. */
int amb_poll_add(struct amb_poll *poll, int fd, OSObject *object, void (*ready)(OSObject *object));
/* ready will be called once, when there is something to read; at once if there is. -errno: it will not; again is fine. */
int amb_poll_watch(struct amb_poll *poll);
/* The same, when there is room to write. What is waited for last counts: who waits for both has two members, and a descriptor each. */
int amb_poll_watch_room(struct amb_poll *poll);
/* No new call of ready; one that has begun goes on. */
void amb_poll_unwatch(struct amb_poll *poll);
/* Fine when it is not in. */
void amb_poll_remove(struct amb_poll *poll);
