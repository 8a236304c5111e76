/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the driver library's tests share: waiting for something that another thread does, and the frame of a test program (base/test-suite.h). */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/test-suite.h"

/* A counter to wait on; every wait is bounded by the test's own time-out. */
struct signal {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        int count;
};
#define SIGNAL_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

static inline void signal_add(void *context)
{
        struct signal *s = context;

        pthread_mutex_lock(&s->lock);
        s->count++;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
}

static inline void signal_wait(struct signal *s, int count)
{
        pthread_mutex_lock(&s->lock);
        while (s->count < count)
                pthread_cond_wait(&s->changed, &s->lock);
        pthread_mutex_unlock(&s->lock);
}

static inline int signal_count(struct signal *s)
{
        int count;

        pthread_mutex_lock(&s->lock);
        count = s->count;
        pthread_mutex_unlock(&s->lock);
        return count;
}
