/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of OSAction. Two kinds: a local action calls a method of a service of this process on that method's queue; a completion
 * stands for one asynchronous call of an application and sends through its connection.
 *
 * Cancel is final. Its handlers run on the pool when no callback is in progress; then the target is let go.
 */
#include <DriverKit/OSAction.h>

#include "driver/rest.h"

/*
 * A source holds the action that it invokes: a reference, and a holder more. When the last holder has let go, the action is
 * aborted: its handler (OSAction_SetAbortedHandler_f) runs on the pool, once in the action's life. NULL is fine; hold returns its
 * argument.
 */
OSAction *amb_action_hold(OSAction *action);
void amb_action_let_go(OSAction *action);

/* As SetAbortedHandler_f; dropped(context) (may be NULL) runs instead of the handler when it will never have its turn. */
void amb_action_set_aborted(OSAction *action, void *context, void (*handler)(void *context), void (*dropped)(void *context));

uint64_t amb_action_msgid(const OSAction *action);
bool amb_action_cancelled(const OSAction *action);

/*
 * What a callback passes to the method after the action itself, or who calls the method: the messages of C++ have other arguments.
 */
struct amb_action_arguments {
        unsigned int count;             /* 0 to 2 */
        uint64_t values[2];
        void (*call)(void *context, void (*method)(void), OSObject *target);    /* NULL, or instead; context: begin's */
};

/*
 * A callback, on the queue that serves the target's method. Before the method, begin(context, arguments) decides on that queue
 * whether it is still wanted, and fills in the arguments (zero before); after it, end(context, ran). Exactly one end follows each
 * successful submission, in any case. -ENOMEM, or -ECANCELED: no end.
 */
typedef bool (*amb_action_begin)(void *context, struct amb_action_arguments *arguments);
typedef void (*amb_action_end)(void *context, bool ran);
int amb_action_submit(OSAction *action, void *context, amb_action_begin begin, amb_action_end end);

/* What a completion needs of its connection. */
struct amb_connection;
int amb_action_new_completion(struct amb_connection *connection, uint32_t port, const uint64_t reference[8], OSAction **ret_action);
/* The connection of a completion that is not cancelled, or NULL; *ret_reference: its 8 slots. Valid as long as the action. */
struct amb_connection *amb_action_completion(const OSAction *action, uint32_t *ret_port, const uint64_t **ret_reference);
