/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>

#include "base/base.h"
#include "base/place.h"

static const int own_faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };

int amb_thread_start(void *(*function)(void *context), void *context, size_t stack)
{
        sigset_t all, before;
        pthread_attr_t attributes;
        pthread_t thread;
        int r;

        amb_place_home();
        r = pthread_attr_init(&attributes);
        if (r != 0)
                return amb_trace(-r);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        if (stack)
                pthread_attr_setstacksize(&attributes, stack);
        sigfillset(&all);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(own_faults); i++)
                sigdelset(&all, own_faults[i]);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread, &attributes, function, context);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return r == 0 ? 0 : amb_trace(-r);
}

bool amb_thread_stack(uintptr_t *ret_low, uintptr_t *ret_high)
{
        pthread_attr_t attributes;
        size_t size = 0;
        void *base = NULL;
        bool known;

        if (pthread_getattr_np(pthread_self(), &attributes) != 0)
                return false;
        known = pthread_attr_getstack(&attributes, &base, &size) == 0;
        pthread_attr_destroy(&attributes);
        if (known) {
                *ret_low = (uintptr_t)base;
                *ret_high = (uintptr_t)base + size;
        }
        return known;
}
