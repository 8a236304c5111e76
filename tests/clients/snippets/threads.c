/* SPDX-License-Identifier: Apache-2.0 */
/* As found: threads that name themselves, work by class of service, spans of time. */
#include <dispatch/dispatch.h>
#include <mach/mach_time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void work(void *context)
{
    pthread_setname_np("org.example.worker");
    *(uint64_t *)context = mach_absolute_time() / NSEC_PER_MSEC;
}

int main(void)
{
    static uint64_t when;

    if (!pthread_main_np())
        fprintf(stderr, "%s: not on the main thread\n", getprogname());
    dispatch_async_f(dispatch_get_global_queue(QOS_CLASS_USER_INITIATED, 0), &when, work);
    dispatch_main();
}
