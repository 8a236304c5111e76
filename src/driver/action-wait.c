/* SPDX-License-Identifier: Apache-2.0 */
#include <DriverKit/IOService.h>

#include "driver/action-private.h"
#include "driver/clock.h"
#include "driver/service.h"

/*
 * A wait has its result from the first of two things: the method has run, or nobody will run it any more: the action is cancelled
 * and no callback is in progress, or the last source has let go and none is on its way. The result stays until EndWait.
 */
static void finish(struct amb_action_wait *wait, kern_return_t result)
{
        if (wait->token == 0 || wait->done)
                return;
        wait->done = true;
        wait->result = result;
        pthread_cond_broadcast(&wait->changed);
}

void amb_action_wait_handled(struct OSAction_ivars *a)
{
        finish(&a->wait, kIOReturnSuccess);
}

void amb_action_wait_settle(struct OSAction_ivars *a)
{
        if ((atomic_load(&a->cancelled) && a->rest.running == 0) || (a->abandoned && a->pending == 0))
                finish(&a->wait, kIOReturnAborted);
}

/* A token is a number in a pointer's clothes: an old one is known as such. */
static bool is_current(const struct amb_action_wait *wait, const void *token)
{
        return wait->token != 0 && wait->token == (uintptr_t)token;
}

AMB_EXPORT kern_return_t OSAction_WillWait(OSAction *self, void **token)
{
        struct OSAction_ivars *a = self->ivars;
        kern_return_t code = kIOReturnSuccess;

        if (!token)
                return kIOReturnBadArgument;
        if (a->connection)
                return kIOReturnUnsupported;
        pthread_mutex_lock(&a->lock);
        if (a->wait.token != 0) {
                code = kIOReturnBusy;
        } else {
                a->wait.token = ++a->wait.last_token;
                a->wait.done = false;
                /* What it was used for before does not count; a cancel does. */
                a->abandoned = false;
                amb_action_wait_settle(a);
                *token = (void *)(uintptr_t)a->wait.token;
        }
        pthread_mutex_unlock(&a->lock);
        return code;
}

/* Does the caller hold the queue on which the method would have to run? */
static bool keeps_method_out(OSAction *self)
{
        IODispatchQueue *queue = NULL;
        bool on;

        pthread_mutex_lock(&self->ivars->lock);
        if (self->ivars->target)
                queue = amb_service_named_queue(self->ivars->target, self->ivars->queue);
        pthread_mutex_unlock(&self->ivars->lock);
        on = queue && IODispatchQueue_OnQueue(queue);
        OSObject_release(queue);
        return on;
}

/* Under the lock, until there is a result, the deadline (NULL: none) has passed or the wait was ended. */
static kern_return_t await(struct OSAction_ivars *a, clockid_t clock, const struct timespec *until)
{
        struct amb_action_wait *wait = &a->wait;
        uint64_t token = wait->token;
        int r = 0;

        wait->waiting = true;
        while (wait->token == token && !wait->done && r == 0) {
                if (until)
                        r = pthread_cond_clockwait(&wait->changed, &a->lock, clock, until);
                else
                        pthread_cond_wait(&wait->changed, &a->lock);
        }
        if (wait->token != token)
                return kIOReturnAborted;
        wait->waiting = false;
        return wait->done ? wait->result : kIOReturnTimeout;
}

AMB_EXPORT kern_return_t OSAction_Wait(OSAction *self, void *token, uint64_t clockOption, uint64_t deadline)
{
        struct OSAction_ivars *a = self->ivars;
        bool forever = clockOption == 0 && deadline == 0, held = keeps_method_out(self);
        clockid_t clock = forever ? CLOCK_MONOTONIC : amb_clock_of_option(clockOption);
        struct timespec until;
        kern_return_t code;

        if (clock < 0)
                return kIOReturnBadArgument;
        amb_clock_make_waitable(&clock, &deadline);
        until = amb_clock_timespec(deadline);
        OSObject_retain(self);
        pthread_mutex_lock(&a->lock);
        if (!is_current(&a->wait, token))
                code = kIOReturnBadArgument;
        else if (a->wait.waiting)
                code = kIOReturnBusy;
        else if (held && !a->wait.done)
                code = kIOReturnNotPermitted;
        else
                code = await(a, clock, forever ? NULL : &until);
        pthread_mutex_unlock(&a->lock);
        OSObject_release(self);
        return code;
}

AMB_EXPORT kern_return_t OSAction_EndWait(OSAction *self, void *token)
{
        struct amb_action_wait *wait = &self->ivars->wait;
        kern_return_t code = kIOReturnBadArgument;

        pthread_mutex_lock(&self->ivars->lock);
        if (is_current(wait, token)) {
                code = wait->done ? wait->result : kIOReturnTimeout;
                wait->token = 0;
                wait->waiting = false;
                pthread_cond_broadcast(&wait->changed);
        }
        pthread_mutex_unlock(&self->ivars->lock);
        return code;
}
