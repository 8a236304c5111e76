/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of <dispatch/dispatch.h>: times, descriptors, ports; rest, cancellation, the end. For the thread sanitizer, too. */
#include <check.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

#include "base/test-suite.h"
#include "channel/side.h"
#include "client/port.h"

#define PATIENCE dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_SEC)

/* What a source's functions get. */
struct seen {
        dispatch_source_t source;
        dispatch_semaphore_t event, cancel;
        _Atomic int events, cancels, running;
        _Atomic uintptr_t data;
        int fd;
        _Atomic bool cancel_inside, release_inside;
};

static void seen_init(struct seen *seen)
{
        seen->event = dispatch_semaphore_create(0);
        seen->cancel = dispatch_semaphore_create(0);
}

static void wait_for(dispatch_semaphore_t semaphore)
{
        ck_assert_int_eq(dispatch_semaphore_wait(semaphore, PATIENCE), 0);
}

static void on_event(void *context)
{
        struct seen *seen = context;

        ck_assert_int_eq(++seen->running, 1);
        ck_assert_int_eq(seen->cancels, 0);
        seen->data += dispatch_source_get_data(seen->source);
        seen->events++;
        if (seen->cancel_inside)
                dispatch_source_cancel(seen->source);
        if (seen->release_inside)
                dispatch_release(seen->source);
        seen->running--;
        dispatch_semaphore_signal(seen->event);
}

static void on_cancel(void *context)
{
        struct seen *seen = context;

        ck_assert_int_eq(seen->running, 0);
        seen->cancels++;
        dispatch_semaphore_signal(seen->cancel);
}

static void make(struct seen *seen, dispatch_source_type_t type, uintptr_t handle, dispatch_queue_t queue,
                 dispatch_function_t event)
{
        seen_init(seen);
        seen->source = dispatch_source_create(type, handle, 7, queue);
        ck_assert_ptr_nonnull(seen->source);
        ck_assert_uint_eq(dispatch_source_get_handle(seen->source), handle);
        ck_assert_uint_eq(dispatch_source_get_mask(seen->source), 7);
        dispatch_set_context(seen->source, seen);
        ck_assert_ptr_eq(dispatch_get_context(seen->source), seen);
        dispatch_source_set_event_handler_f(seen->source, event);
        dispatch_source_set_cancel_handler_f(seen->source, on_cancel);
}

static void finish(struct seen *seen)
{
        dispatch_source_cancel(seen->source);
        ck_assert_int_ne(dispatch_source_testcancel(seen->source), 0);
        wait_for(seen->cancel);
        dispatch_release(seen->source);
        ck_assert_int_eq(seen->cancels, 1);
        dispatch_release(seen->event);
        dispatch_release(seen->cancel);
}

/* --- times --- */

START_TEST(test_timer)
{
        struct seen seen = { 0 };
        uint64_t begin = dispatch_time(DISPATCH_TIME_NOW, 0);

        make(&seen, DISPATCH_SOURCE_TYPE_TIMER, 0, dispatch_get_global_queue(0, 0), on_event);
        dispatch_source_set_timer(seen.source, dispatch_time(DISPATCH_TIME_NOW, 5 * NSEC_PER_MSEC), 5 * NSEC_PER_MSEC, 0);
        dispatch_resume(seen.source);
        for (int i = 0; i < 4; i++)
                wait_for(seen.event);
        /* As many times as it was due, whether or not each had a call of its own; never before its time. */
        ck_assert_uint_ge(dispatch_time(DISPATCH_TIME_NOW, 0) - begin, 20 * NSEC_PER_MSEC);
        ck_assert_uint_ge(seen.data, 4);
        finish(&seen);
}
END_TEST

/* One that comes once, set again from outside, and one by the time of day. */
START_TEST(test_timer_once)
{
        dispatch_queue_t queue = dispatch_queue_create("times", DISPATCH_QUEUE_SERIAL);
        struct seen once = { 0 }, later = { 0 };
        struct timespec day;

        make(&once, DISPATCH_SOURCE_TYPE_TIMER, 0, queue, on_event);
        make(&later, DISPATCH_SOURCE_TYPE_TIMER, 0, queue, on_event);
        dispatch_source_set_timer(once.source, DISPATCH_TIME_NOW, DISPATCH_TIME_FOREVER, 0);
        dispatch_activate(once.source);
        dispatch_activate(once.source);         /* the second one resumes nothing */
        wait_for(once.event);
        clock_gettime(CLOCK_REALTIME, &day);
        dispatch_source_set_timer(later.source, dispatch_walltime(&day, 20 * NSEC_PER_MSEC), DISPATCH_TIME_FOREVER, 0);
        dispatch_resume(later.source);
        wait_for(later.event);
        ck_assert_int_eq(once.events, 1);
        dispatch_source_set_timer(once.source, dispatch_walltime(NULL, 0), DISPATCH_TIME_FOREVER, 0);
        wait_for(once.event);
        dispatch_source_set_timer(once.source, DISPATCH_TIME_FOREVER, 0, 0);
        finish(&once);
        finish(&later);
        dispatch_release(queue);
}
END_TEST

START_TEST(test_walltime)
{
        struct timespec far = { .tv_sec = INT64_MAX, .tv_nsec = 0 }, past = { .tv_sec = 1, .tv_nsec = 0 };
        uint64_t now = dispatch_time(DISPATCH_TIME_NOW, 0);

        ck_assert_uint_gt(dispatch_walltime(&far, 1), now + 1000 * NSEC_PER_SEC);
        ck_assert_uint_lt(dispatch_walltime(&past, 0), now);
        ck_assert_uint_ge(dispatch_walltime(NULL, NSEC_PER_SEC), now + NSEC_PER_SEC);
}
END_TEST

/* --- descriptors --- */

static void read_all(void *context)
{
        struct seen *seen = context;
        char bytes[64];

        ck_assert_int_ge(read(seen->fd, bytes, sizeof(bytes)), 0);
        on_event(context);
}

START_TEST(test_read)
{
        struct seen seen = { 0 };
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        seen.fd = ends[0];
        make(&seen, DISPATCH_SOURCE_TYPE_READ, (uintptr_t)ends[0], NULL, read_all);
        ck_assert_int_eq(write(ends[1], "12345", 5), 5);
        dispatch_resume(seen.source);
        wait_for(seen.event);
        ck_assert_uint_eq(seen.data, 5);
        ck_assert_int_eq(write(ends[1], "678", 3), 3);
        wait_for(seen.event);
        ck_assert_uint_eq(seen.data, 8);
        /* At the end it comes again and again, with nothing. */
        seen.cancel_inside = true;
        close(ends[1]);
        wait_for(seen.event);
        finish(&seen);
        ck_assert_int_eq(seen.events, 3);
        ck_assert_uint_eq(seen.data, 8);
        ck_assert_int_eq(fcntl(ends[0], F_GETFD), FD_CLOEXEC);          /* it is the program's */
        close(ends[0]);
}
END_TEST

/* One descriptor may be waited for both ways. */
START_TEST(test_both_ways)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);
        struct seen in = { 0 }, out = { .cancel_inside = true };
        int ends[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        in.fd = ends[0];
        make(&in, DISPATCH_SOURCE_TYPE_READ, (uintptr_t)ends[0], queue, read_all);
        make(&out, DISPATCH_SOURCE_TYPE_WRITE, (uintptr_t)ends[0], queue, on_event);
        dispatch_resume(in.source);
        dispatch_resume(out.source);
        wait_for(out.event);
        ck_assert_int_eq(write(ends[1], "x", 1), 1);
        wait_for(in.event);
        ck_assert_uint_eq(in.data, 1);
        finish(&out);
        finish(&in);
        ck_assert_int_eq(out.events, 1);
        dispatch_release(queue);
        close(ends[0]);
        close(ends[1]);
}
END_TEST

/* A file and /dev/null, as a program's standard input may be, are always ready, both ways. */
START_TEST(test_never_blocks)
{
        static const char *const paths[] = { "/proc/self/exe", "/dev/null" };

        for (int i = 0; i < 2; i++) {
                struct seen in = { .cancel_inside = true }, out = { 0 };
                int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

                ck_assert_int_ge(fd, 0);
                make(&in, DISPATCH_SOURCE_TYPE_READ, (uintptr_t)fd, NULL, on_event);
                make(&out, DISPATCH_SOURCE_TYPE_WRITE, (uintptr_t)fd, NULL, on_event);
                dispatch_resume(in.source);
                dispatch_resume(out.source);
                wait_for(in.event);
                wait_for(out.event);
                wait_for(out.event);
                finish(&in);
                finish(&out);
                ck_assert_int_eq(in.events, 1);
                ck_assert_uint_gt(in.data, 0);
                close(fd);
        }
}
END_TEST

START_TEST(test_refused)
{
        ck_assert_ptr_null(dispatch_source_create(DISPATCH_SOURCE_TYPE_READ, (uintptr_t)-1, 0, NULL));
        ck_assert_ptr_null(dispatch_source_create(DISPATCH_SOURCE_TYPE_MACH_RECV, MACH_PORT_NULL, 0, NULL));
        ck_assert_ptr_null(dispatch_source_create(DISPATCH_SOURCE_TYPE_MACH_RECV, mach_task_self(), 0, NULL));
}
END_TEST

/* --- ports --- */

/* Without a time limit there: an event without a message would wait for ever. */
static void receive(void *context)
{
        struct seen *seen = context;
        struct {
                mach_msg_header_t header;
                char room[512];
        } message;

        ck_assert_int_eq(mach_msg(&message.header, MACH_RCV_MSG, 0, sizeof(message), (mach_port_name_t)seen->fd, 0,
                                  MACH_PORT_NULL), 0);
        on_event(context);
}

START_TEST(test_port)
{
        struct amb_port *port;
        struct seen seen = { 0 };
        mach_port_t name;

        ck_assert_int_eq(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &name), 0);
        ck_assert_int_eq(amb_handle_get(name, AMB_HANDLE_PORT, &port), 0);
        seen.fd = (int)name;
        make(&seen, DISPATCH_SOURCE_TYPE_MACH_RECV, name, NULL, receive);
        /* Two are there before it begins. */
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(amb_port_post(port, amb_message_of_matching(0, 0, NULL, NULL)), 0);
        dispatch_resume(seen.source);
        for (int i = 0; i < 2; i++)
                wait_for(seen.event);
        for (int i = 0; i < 20; i++) {
                ck_assert_int_eq(amb_port_post(port, amb_message_of_matching(0, 0, NULL, NULL)), 0);
                /* What wakes without a message does not come through: receive would wait in vain, and finish for it. */
                amb_side_port_wake(port->wake_write);
                wait_for(seen.event);
        }
        amb_side_port_wake(port->wake_write);
        finish(&seen);
        ck_assert_int_eq(seen.events, 22);
        ck_assert_int_eq(mach_port_destroy(mach_task_self(), name), 0);
        amb_target_unref(port);
}
END_TEST

/* --- rest and end --- */

static void signal_context(void *context)
{
        dispatch_semaphore_signal(context);
}

/* Whatever is on the queue by now has run. */
static void pass(dispatch_queue_t queue, struct seen *seen)
{
        dispatch_semaphore_t passed = dispatch_semaphore_create(0);

        (void)seen;
        dispatch_async_f(queue, passed, signal_context);
        wait_for(passed);
        dispatch_release(passed);
}

START_TEST(test_rest)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);
        struct seen seen = { 0 }, other = { 0 };

        make(&seen, DISPATCH_SOURCE_TYPE_TIMER, 0, queue, on_event);
        make(&other, DISPATCH_SOURCE_TYPE_TIMER, 0, queue, on_event);
        dispatch_source_set_timer(seen.source, DISPATCH_TIME_NOW, DISPATCH_TIME_FOREVER, 0);
        dispatch_source_set_timer(other.source, DISPATCH_TIME_NOW, 2 * NSEC_PER_MSEC, 0);
        dispatch_suspend(seen.source);          /* twice now */
        dispatch_resume(seen.source);
        dispatch_resume(other.source);
        for (int i = 0; i < 5; i++)
                wait_for(other.event);
        ck_assert_int_eq(seen.events, 0);
        dispatch_resume(seen.source);
        wait_for(seen.event);
        /* And once it has begun. */
        dispatch_suspend(seen.source);
        dispatch_source_set_timer(seen.source, DISPATCH_TIME_NOW, DISPATCH_TIME_FOREVER, 0);
        for (int i = 0; i < 5; i++)
                wait_for(other.event);
        ck_assert_int_eq(seen.events, 1);
        dispatch_resume(seen.source);
        wait_for(seen.event);
        finish(&seen);
        finish(&other);
        dispatch_release(queue);
}
END_TEST

START_TEST(test_end_at_rest)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);
        struct seen resumed = { 0 }, released = { 0 };

        make(&resumed, DISPATCH_SOURCE_TYPE_TIMER, 0, queue, on_event);
        dispatch_source_cancel(resumed.source);
        pass(queue, &resumed);
        ck_assert_int_eq(resumed.cancels, 0);
        dispatch_resume(resumed.source);
        finish(&resumed);

        make(&released, DISPATCH_SOURCE_TYPE_TIMER, 0, queue, on_event);
        dispatch_release(released.source);
        wait_for(released.cancel);
        ck_assert_int_eq(released.events, 0);
        dispatch_release(released.event);
        dispatch_release(released.cancel);
        dispatch_release(queue);
}
END_TEST

/* Its last reference goes in its own event. */
START_TEST(test_end_inside)
{
        struct seen seen = { .release_inside = true };

        make(&seen, DISPATCH_SOURCE_TYPE_TIMER, 0, NULL, on_event);
        dispatch_source_set_timer(seen.source, DISPATCH_TIME_NOW, NSEC_PER_MSEC, 0);
        dispatch_resume(seen.source);
        wait_for(seen.cancel);
        ck_assert_int_eq(seen.events, 1);
        ck_assert_int_eq(seen.cancels, 1);
        dispatch_release(seen.event);
        dispatch_release(seen.cancel);
}
END_TEST

static void end_and_run(void *context)
{
        struct seen *seen = context;

        on_event(context);
        CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, false);
        ck_assert_int_eq(seen->cancels, 0);
}

/* The same on the main queue, in an event that runs a run loop then: the end comes behind it. */
START_TEST(test_end_inside_run_loop)
{
        struct seen seen = { .release_inside = true };

        make(&seen, DISPATCH_SOURCE_TYPE_TIMER, 0, dispatch_get_main_queue(), end_and_run);
        dispatch_source_set_timer(seen.source, DISPATCH_TIME_NOW, DISPATCH_TIME_FOREVER, 0);
        dispatch_resume(seen.source);
        while (seen.cancels == 0)
                ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.01, false), kCFRunLoopRunTimedOut);
        ck_assert_int_eq(seen.events, 1);
        dispatch_release(seen.event);
        dispatch_release(seen.cancel);
}
END_TEST

int main(void)
{
        return run_suite("client-event", test_timer, test_timer_once, test_walltime, test_read, test_both_ways, test_never_blocks,
                         test_refused, test_port, test_rest, test_end_at_rest, test_end_inside, test_end_inside_run_loop);
}
