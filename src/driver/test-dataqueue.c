/* SPDX-License-Identifier: Apache-2.0 */
/* Data queues: who is kept alive by whom, and handlers that change while the queue is busy. For the thread sanitizer, too. */
#include <stdatomic.h>

#include <DriverKit/DriverKit.h>

#include "driver/test.h"

#define CALLED_ID 0x64717465737401ull

typedef struct Listener {
        IOService service;
        struct signal calls, held, go, *freed;
        bool hold;
} Listener;

static void listener_called(Listener *self, OSAction *action)
{
        if (self->hold) {
                signal_add(&self->held);
                signal_wait(&self->go, 1);
        }
        signal_add(&self->calls);
}

static void listener_free(OSObject *object)
{
        struct signal *freed = ((Listener *)object)->freed;

        IOService_free(object);
        if (freed)
                signal_add(freed);
}

static const struct amb_method listener_methods[] = {
        AMB_OVERRIDE(OSObject, free, listener_free),
        AMB_METHOD(CALLED_ID, listener_called),
        AMB_METHODS_END,
};
OSDefineMetaClass(Listener, IOService, listener_methods);

static Listener *listener_new(void)
{
        Listener *listener = (Listener *)amb_object_new(OSTypeID(Listener));
        struct signal none = SIGNAL_INIT;

        ck_assert_ptr_nonnull(listener);
        listener->calls = listener->held = listener->go = none;
        return listener;
}

static OSAction *action_new(Listener *listener, uint64_t kind)
{
        OSAction *action = NULL;

        ck_assert_int_eq(OSAction_Create((OSObject *)listener, CALLED_ID, kind, 0, &action), 0);
        return action;
}

static IODataQueueDispatchSource *source_new(uint64_t size)
{
        IODataQueueDispatchSource *source = NULL;

        ck_assert_int_eq(IODataQueueDispatchSource_Create(size, NULL, &source), 0);
        return source;
}

static void fill(void *context, void *data, size_t size)
{
        memset(data, 'x', size);
}

static void look(void *context, const void *data, size_t size)
{
        for (size_t i = 0; i < size; i++)
                ck_assert_int_eq(((const char *)data)[i], 'x');
}

/* _i: by the class's own Cancel, by every source's, by the last release. */
START_TEST(lets_go)
{
        IODataQueueDispatchSource *source = source_new(64);
        struct signal freed = SIGNAL_INIT, cancelled = SIGNAL_INIT;
        Listener *listener = listener_new();
        OSAction *available = action_new(listener, IODataQueueDispatchSource_DataAvailable_ID);
        OSAction *serviced = action_new(listener, IODataQueueDispatchSource_DataServiced_ID);

        ck_assert_int_eq(IODataQueueDispatchSource_SetDataAvailableHandler(source, available), 0);
        ck_assert_int_eq(IODataQueueDispatchSource_SetDataServicedHandler(source, serviced), 0);
        OSObject_release(available);
        OSObject_release(serviced);
        listener->freed = &freed;
        OSObject_release(listener);
        ck_assert_int_eq(signal_count(&freed), 0);
        if (_i == 0) {
                ck_assert_int_eq(IODataQueueDispatchSource_Cancel_f(source, NULL, NULL), 0);
        } else if (_i == 1) {
                ck_assert_int_eq(IODispatchSource_Cancel_f(&source->source, &cancelled, signal_add), 0);
                signal_wait(&cancelled, 1);
        } else {
                OSObject_release(source);
        }
        signal_wait(&freed, 1);
        if (_i < 2) {
                listener = listener_new();
                available = action_new(listener, IODataQueueDispatchSource_DataAvailable_ID);
                ck_assert_int_eq(IODataQueueDispatchSource_SetDataAvailableHandler(source, available), kIOReturnNotReady);
                OSObject_release(available);
                OSObject_release(listener);
                ck_assert_int_eq(IODataQueueDispatchSource_Enqueue_f(source, 4, NULL, fill), 0);
                OSObject_release(source);
        }
}
END_TEST

/* A callback that is on its way when its handler is replaced does not arrive; the one that has begun ends. */
START_TEST(replaced)
{
        IODataQueueDispatchSource *source = source_new(64);
        Listener *listener = listener_new(), *next = listener_new();
        OSAction *action = action_new(listener, IODataQueueDispatchSource_DataAvailable_ID);
        OSAction *other = action_new(next, IODataQueueDispatchSource_DataAvailable_ID);
        IODispatchQueue *queue;

        listener->hold = true;
        ck_assert_int_eq(IODataQueueDispatchSource_SetDataAvailableHandler(source, action), 0);
        IODataQueueDispatchSource_SendDataAvailable(source);
        signal_wait(&listener->held, 1);
        IODataQueueDispatchSource_SendDataAvailable(source);
        ck_assert_int_eq(IODataQueueDispatchSource_SetDataAvailableHandler(source, other), 0);
        IODataQueueDispatchSource_SendDataAvailable(source);
        signal_wait(&next->calls, 1);
        signal_add(&listener->go);
        ck_assert_int_eq(IOService_CopyDispatchQueue(&listener->service, kIOServiceDefaultQueueName, &queue), 0);
        IODispatchQueue_DispatchSync_f(queue, &listener->go, signal_add);
        ck_assert_int_eq(signal_count(&listener->calls), 1);
        OSObject_release(queue);
        OSObject_release(source);
        OSObject_release(action);
        OSObject_release(other);
        OSObject_release(listener);
        OSObject_release(next);
}
END_TEST

static IODataQueueDispatchSource *busy;
static _Atomic bool over;

static void *write_on(void *context)
{
        while (!over)
                IODataQueueDispatchSource_Enqueue_f(busy, 20, NULL, fill);
        return NULL;
}

static void *read_on(void *context)
{
        while (!over)
                IODataQueueDispatchSource_Dequeue_f(busy, NULL, look);
        return NULL;
}

/* Handlers come and go, memory is copied, it is cancelled, while a writer and a reader are at work. */
START_TEST(changes)
{
        Listener *listener = listener_new();
        OSAction *available = action_new(listener, IODataQueueDispatchSource_DataAvailable_ID);
        OSAction *serviced = action_new(listener, IODataQueueDispatchSource_DataServiced_ID);
        pthread_t writer, reader;

        busy = source_new(256);
        ck_assert_int_eq(pthread_create(&writer, NULL, write_on, NULL), 0);
        ck_assert_int_eq(pthread_create(&reader, NULL, read_on, NULL), 0);
        for (int i = 0; i < 500 || signal_count(&listener->calls) == 0; i++) {
                IOMemoryDescriptor *memory;
                OSAction *copied = NULL;

                ck_assert_int_eq(IODataQueueDispatchSource_SetDataAvailableHandler(busy, i % 3 ? available : NULL), 0);
                ck_assert_int_eq(IODataQueueDispatchSource_SetDataServicedHandler(busy, i % 2 ? serviced : NULL), 0);
                if (IODataQueueDispatchSource_CopyDataAvailableHandler(busy, &copied) == 0)
                        OSObject_release(copied);
                ck_assert_int_eq(IODataQueueDispatchSource_CopyMemory(busy, &memory), 0);
                OSObject_release(memory);
        }
        /* Under way as well. */
        ck_assert_int_eq(IODataQueueDispatchSource_Cancel_f(busy, NULL, NULL), 0);
        over = true;
        pthread_join(writer, NULL);
        pthread_join(reader, NULL);
        OSObject_release(busy);
        OSObject_release(available);
        OSObject_release(serviced);
        OSObject_release(listener);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("dataqueue", replaced, changes);

        tcase_add_loop_test(tests, lets_go, 0, 3);
        return run_cases("dataqueue", tests);
}
