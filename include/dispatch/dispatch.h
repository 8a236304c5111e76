/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The part of libdispatch that IOKit clients use: queues to deliver callbacks on, semaphores, once, points in time, sources.
 *
 * A queue runs functions in the order in which they were submitted; a serial one (the default) one at a time, a concurrent one,
 * such as the global ones, many. Queues are bound to no thread: the library starts threads when a queue has work and ends them
 * some seconds after; a program that uses no queue never gets a thread. At most 64 functions run at once: what waits in one of
 * them for a 65th waits for ever. The library's threads block all signals.
 *
 * The main queue's functions run on the main thread, inside CFRunLoopRun() or dispatch_main(), one behind the other: a run loop
 * that one of them runs does not begin the next.
 *
 * Objects count references: create gives one, a submitted function holds one of its queue. dispatch_retain and dispatch_release
 * do nothing for the global queues and the main queue. All calls may be made by any thread, also inside functions on
 * queues, unless they say otherwise. A forked child has empty queues and no threads.
 *
 * The forms that take a block are declared where the compiler has blocks (clang -fblocks); such a program is linked with the
 * blocks runtime (-lBlocksRuntime, which pkg-config --libs ambidext gives). They do as the `_f` forms. dispatch_async and
 * dispatch_after copy the block; the copy goes when it has run.
 *
 * Contract: real-code 3 'libdispatch', call-path 4.6 (queues of a notification port).
 */
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <mach/clock_types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dispatch_queue_s *dispatch_queue_t;
typedef struct dispatch_semaphore_s *dispatch_semaphore_t;
typedef struct dispatch_source_s *dispatch_source_t;
typedef struct dispatch_queue_attr_s *dispatch_queue_attr_t;
typedef void (*dispatch_function_t)(void *context);
#ifdef __BLOCKS__
typedef void (^dispatch_block_t)(void);
#endif

#ifdef __cplusplus
typedef void *dispatch_object_t;
#else
typedef union {
        struct dispatch_queue_s *queue;
        struct dispatch_semaphore_s *semaphore;
        struct dispatch_source_s *source;
} dispatch_object_t __attribute__((transparent_union));
#endif
/* One reference more, or less; the last one frees, a queue once what it was given has run. object: not NULL. */
void dispatch_retain(dispatch_object_t object);
void dispatch_release(dispatch_object_t object);
/* A pointer of the program's with an object, NULL at first. The functions of a source get it. */
void dispatch_set_context(dispatch_object_t object, void *context);
void *dispatch_get_context(dispatch_object_t object);

/* --- points in time --- */

/* Nanoseconds of the clock that does not jump; 0 is now. */
typedef uint64_t dispatch_time_t;
#define DISPATCH_TIME_NOW (0ull)
#define DISPATCH_TIME_FOREVER (~0ull)
/* `delta` nanoseconds after `when`; a point that cannot be expressed is FOREVER (or now, if it lies before). */
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta);
struct timespec;
/* The same after a time of day, or now (when NULL). A clock that is set later moves nothing. */
dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta);

/* --- queues --- */

extern const dispatch_queue_attr_t amb_dispatch_queue_concurrent;
#define DISPATCH_QUEUE_SERIAL ((dispatch_queue_attr_t)NULL)
#define DISPATCH_QUEUE_CONCURRENT amb_dispatch_queue_concurrent

enum {
        DISPATCH_QUEUE_PRIORITY_HIGH = 2,
        DISPATCH_QUEUE_PRIORITY_DEFAULT = 0,
        DISPATCH_QUEUE_PRIORITY_LOW = -2,
        DISPATCH_QUEUE_PRIORITY_BACKGROUND = -32768
};
/* Classes of work, taken as priorities: they make no difference. */
typedef enum {
        QOS_CLASS_USER_INTERACTIVE = 0x21,
        QOS_CLASS_USER_INITIATED = 0x19,
        QOS_CLASS_DEFAULT = 0x15,
        QOS_CLASS_UTILITY = 0x11,
        QOS_CLASS_BACKGROUND = 0x09,
        QOS_CLASS_UNSPECIFIED = 0x00
} qos_class_t;
typedef qos_class_t dispatch_qos_class_t;

/* The same attribute: classes make no difference. */
dispatch_queue_attr_t dispatch_queue_attr_make_with_qos_class(dispatch_queue_attr_t attribute, dispatch_qos_class_t qos_class,
                                                              int relative_priority);
/* label: copied, may be NULL. One reference for the caller; NULL: no memory. */
dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attribute);
const char *dispatch_queue_get_label(dispatch_queue_t queue);           /* "" without one; valid as long as the queue */
/* A concurrent queue of the process, not owned by the caller, the same for every priority; NULL: flags other than 0. */
dispatch_queue_t dispatch_get_global_queue(intptr_t priority, uintptr_t flags);
dispatch_queue_t dispatch_get_main_queue(void);                         /* never NULL; not owned by the caller */
/* Runs the main queue for ever. The main thread's call. */
void dispatch_main(void) __attribute__((noreturn));

/* Runs function(context) later. Returns at once. Ends the process when there is no memory. */
void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t function);
#ifdef __BLOCKS__
void dispatch_async(dispatch_queue_t queue, dispatch_block_t block);
#endif
/*
 * Runs function(context) when it is its turn, on the calling thread (the main queue's: on the main thread), and returns after
 * it. From a function on the same serial queue it waits for ever.
 */
void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t function);
#ifdef __BLOCKS__
void dispatch_sync(dispatch_queue_t queue, __attribute__((noescape)) dispatch_block_t block);
#endif
/* Submits it at `when`, or soon after; FOREVER: never. */
void dispatch_after_f(dispatch_time_t when, dispatch_queue_t queue, void *context, dispatch_function_t function);
#ifdef __BLOCKS__
void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, dispatch_block_t block);
#endif

/* --- sources: handlers that run on a queue when something has happened --- */

/*
 * MACH_RECV: a receive port (IONotificationPortGetMachPort(), IOCreateReceivePort(), mach_port_allocate()) holds messages, for
 * mach_msg(). READ, WRITE: a descriptor that poll() knows can be read from or written to. TIMER: a time has come; handle is 0.
 */
typedef const struct amb_dispatch_source_type *dispatch_source_type_t;
extern const struct amb_dispatch_source_type amb_dispatch_source_mach_recv, amb_dispatch_source_read, amb_dispatch_source_write,
        amb_dispatch_source_timer;
#define DISPATCH_SOURCE_TYPE_MACH_RECV (&amb_dispatch_source_mach_recv)
#define DISPATCH_SOURCE_TYPE_READ (&amb_dispatch_source_read)
#define DISPATCH_SOURCE_TYPE_WRITE (&amb_dispatch_source_write)
#define DISPATCH_SOURCE_TYPE_TIMER (&amb_dispatch_source_timer)
#define DISPATCH_TIMER_STRICT 1ul

/*
 * One reference for the caller, at rest until dispatch_resume(). mask is kept and changes nothing; queue NULL: a global one. NULL:
 * no memory, no descriptor, no such port. Files and /dev/null are always ready; a program reads them to their end and cancels.
 * The event handler runs once at a time, again and again as long as there is something: it reads what has come.
 * A program closes a descriptor or ends a port after the cancel handler has run, or in it.
 */
dispatch_source_t dispatch_source_create(dispatch_source_type_t type, uintptr_t handle, uintptr_t mask, dispatch_queue_t queue);
/* function(context of the source); NULL: none. The cancel handler runs once, behind the last event. At any time. */
void dispatch_source_set_event_handler_f(dispatch_source_t source, dispatch_function_t function);
void dispatch_source_set_cancel_handler_f(dispatch_source_t source, dispatch_function_t function);
#ifdef __BLOCKS__
/* The same; the block is copied, and goes with the cancellation or with the next one. */
void dispatch_source_set_event_handler(dispatch_source_t source, dispatch_block_t block);
void dispatch_source_set_cancel_handler(dispatch_source_t source, dispatch_block_t block);
#endif
/* Of a timer: first at `start`, then every `interval` nanoseconds (FOREVER: never again; below a millisecond it counts as one). */
void dispatch_source_set_timer(dispatch_source_t source, dispatch_time_t start, uint64_t interval, uint64_t leeway);
/* Inside the event handler: bytes to read (READ, 0 at the end), times since it ran last (TIMER), else 1. */
uintptr_t dispatch_source_get_data(dispatch_source_t source);
uintptr_t dispatch_source_get_handle(dispatch_source_t source);
uintptr_t dispatch_source_get_mask(dispatch_source_t source);
/*
 * No event handler begins after this; the cancel handler follows, of a source at rest when it is resumed. The last
 * dispatch_release() does it too, also at rest. Any number of times, also in handlers.
 */
void dispatch_source_cancel(dispatch_source_t source);
intptr_t dispatch_source_testcancel(dispatch_source_t source);          /* not 0: it has been */
static inline __attribute__((__unused__)) void dispatch_cancel(dispatch_source_t source)
{
        dispatch_source_cancel(source);
}
/* Rests and goes on; as many resumes as suspends, and one at first (activate is the same, where it rests for that alone). */
void dispatch_suspend(dispatch_source_t source);
void dispatch_resume(dispatch_source_t source);
void dispatch_activate(dispatch_source_t source);

/* --- once --- */

typedef intptr_t dispatch_once_t;                                       /* 0 before, static */
/* The first caller runs function(context) on its own thread, the others wait until it has run. Not from inside the function. */
void dispatch_once_f(dispatch_once_t *predicate, void *context, dispatch_function_t function);
#ifdef __BLOCKS__
void dispatch_once(dispatch_once_t *predicate, __attribute__((noescape)) dispatch_block_t block);
#endif

/* --- semaphores --- */

/* `value`: how many can be taken at first. One reference for the caller; NULL: value below 0, or no memory. */
dispatch_semaphore_t dispatch_semaphore_create(intptr_t value);
/* Takes one, waiting until `timeout` if there is none. 0, or not 0: timed out. */
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout);
/* Gives one back, also from a thread that took none. 0: nobody waited. */
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore);

#ifdef __cplusplus
}
#endif
