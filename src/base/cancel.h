/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Thread cancellation: a thread must not vanish while it holds a lock of ours or half a reply. `AMB_NO_CANCEL;` as the first
 * declaration of a block puts a cancellation off until the block is left.
 */
#include <pthread.h>

#include "base/base.h"

static inline int amb_cancel_disable(void)
{
        int state;

        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
        return state;
}
static inline void amb_cancel_restore(int *state)
{
        pthread_setcancelstate(*state, NULL);
}
#define AMB_NO_CANCEL AMB_CLEANUP(amb_cancel_restore) AMB_UNUSED int amb_cancel_state = amb_cancel_disable()
