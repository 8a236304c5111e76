/* SPDX-License-Identifier: Apache-2.0 */
/* What is lent, and a fork. */
#include <fcntl.h>
#include <pthread.h>

#include "base/cancel.h"
#include "base/thread.h"
#include "client/loan-private.h"

/* Under the lock: what lies on this thread's stack must not be shared by two processes that both run on it. */
static void own_stack_take_back(void)
{
        uintptr_t here = (uintptr_t)__builtin_frame_address(0), low = 0, high = 0;
        struct amb_export *e, *next;
        bool any = false;

        for (e = amb_export_next(NULL); e; e = amb_export_next(e))
                any |= e->stack;
        if (!any)
                return;
        (void)amb_thread_stack(&low, &high);
        for (e = amb_export_next(NULL); e; e = next) {
                next = amb_export_next(e);
                if (e->stack && ((e->start >= low && e->start < high) || (e->start <= here && here < e->end)))
                        amb_export_private(e);
        }
}

/*
 * What is a file is the same memory in both processes until the child has made its copies: as long the parent waits, or what it
 * does next would be seen there. The child says when it is done, or ends.
 */
static int child_ready[2] = { -1, -1 };
static int fork_cancel;                 /* the state of the thread that forks */

void amb_loans_fork_prepare(void)
{
        int cancel = amb_cancel_disable();
        struct amb_export *e;
        bool any = false;

        pthread_mutex_lock(&amb_loans_lock);
        fork_cancel = cancel;
        own_stack_take_back();
        for (e = amb_export_next(NULL); e; e = amb_export_next(e))
                any |= e->core < e->core_end;
        if (any && pipe2(child_ready, O_CLOEXEC) < 0)
                child_ready[0] = child_ready[1] = -1;
}

void amb_loans_fork_parent(void)
{
        int cancel = fork_cancel;
        char done;

        /* No child, or a dead one: the end of the file. */
        child_ready[1] = amb_fd_close(child_ready[1]);
        while (child_ready[0] >= 0 && read(child_ready[0], &done, 1) < 0 && errno == EINTR)
                continue;
        child_ready[0] = amb_fd_close(child_ready[0]);
        pthread_mutex_unlock(&amb_loans_lock);
        amb_cancel_restore(&cancel);
}

void amb_loans_fork_child(void)
{
        int cancel = fork_cancel;

        amb_exports_forked();
        if (child_ready[1] >= 0)
                (void)!write(child_ready[1], "", 1);
        child_ready[0] = amb_fd_close(child_ready[0]);
        child_ready[1] = amb_fd_close(child_ready[1]);
        amb_list_init(&amb_lenders);
        amb_loans_unwatch();
        pthread_mutex_unlock(&amb_loans_lock);
        amb_cancel_restore(&cancel);
}
