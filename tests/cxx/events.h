/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Checks, and counters to wait on, for the C++ tests: every wait is bounded by the test's own time-out. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/test-check.h"

struct Events {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;

    void add()
    {
        pthread_mutex_lock(&lock);
        count++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    /* Until so many have happened. */
    void wait(unsigned wanted)
    {
        pthread_mutex_lock(&lock);
        while (count < wanted)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
    }
    unsigned now()
    {
        pthread_mutex_lock(&lock);
        unsigned current = count;
        pthread_mutex_unlock(&lock);
        return current;
    }
};
#define EVENTS_NONE { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }
