/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's threads: who takes calls off the channel, what happens when a call sleeps, and the end.
 *
 * The role of the receiver goes from thread to thread: to a spare that waits for it, or to a new thread. A thread that comes back
 * from a call without the role waits as the spare if there is none; so a driver whose calls sleep in turns costs two threads, not
 * one per call. There are at most as many as there can be calls (AMB_CHANNEL_SLOTS), and one. Nor does anybody wait on a connection
 * at rest: who knocks (the app), ends or terminates it gets a thread from the pool that takes the role, which goes back when it is
 * asked to (server.c) and there is nothing to do.
 */
#include <sys/socket.h>

#include <DriverKit/IOKitKeys.h>

#include "base/place.h"
#include "driver/bundle.h"
#include "driver/connection-private.h"
#include "driver/pool.h"
#include "driver/service.h"
#include "driver/table.h"
#include "driver/userclient.h"

/* --- the end --- */

/* The last call has returned: tells an app that waits for it. */
static void answer_close(struct amb_connection *c)
{
        struct amb_side_message answer = { .kind = AMB_SIDE_ANSWER };

        pthread_mutex_lock(&c->lock);
        answer.serial = c->close_serial;
        pthread_mutex_unlock(&c->lock);
        if (answer.serial != 0)
                amb_connection_answer(c, &answer, -1);
        pthread_mutex_lock(&c->lock);
        if (c->side >= 0)
                shutdown(c->side, SHUT_RDWR);
        pthread_mutex_unlock(&c->lock);
}

/* On the last thread. */
static void connection_end(struct amb_connection *c)
{
        IOUserClient *client;
        IOService *service;

        /* An app that was cut off knows nothing of it; what the driver holds may keep the channel open for ever. */
        amb_channel_end_calls(c->channel);
        answer_close(c);
        pthread_mutex_lock(&c->lock);
        client = amb_steal(c->client);
        pthread_mutex_unlock(&c->lock);
        /* Let go of after a termination whose Stop may not have come yet: the registry will not ask for it any more. */
        service = client ? &client->service : amb_table_find(c->options.id);
        if (service)
                amb_service_close(service);
        OSObject_release(service);
        if (c->options.ended)
                c->options.ended(c->options.userdata, c);
}

/* With the lock held, which it gives up: this thread of the connection's ends, with its reference. */
static void thread_end(struct amb_connection *c)
{
        bool last = --c->threads == 0;

        pthread_mutex_unlock(&c->lock);
        if (last)
                connection_end(c);
        amb_connection_release(c);
}

struct stop {
        struct amb_connection *connection;
        IOUserClient *client;
};

static void stop_run(void *context)
{
        struct stop stop = *(struct stop *)context;

        free(context);
        amb_service_close(&stop.client->service);
        OSObject_release(stop.client);
        pthread_mutex_lock(&stop.connection->lock);
        thread_end(stop.connection);
}

void amb_connection_stop_ahead(struct amb_connection *c)
{
        struct stop *stop = calloc(1, sizeof(*stop));
        bool begin;

        pthread_mutex_lock(&c->lock);
        begin = stop && c->client && c->threads > 0 && !c->stop_begun;
        if (begin) {
                *stop = (struct stop){ amb_connection_retain(c), c->client };
                OSObject_retain(stop->client);
                c->threads++;
                c->stop_begun = true;
        }
        pthread_mutex_unlock(&c->lock);
        if (begin && amb_pool_run(stop_run, stop) == 0)
                return;
        /* Then it comes when the calls have ended. */
        if (begin) {
                OSObject_release(stop->client);
                pthread_mutex_lock(&c->lock);
                thread_end(c);
        }
        free(stop);
}

/* --- receivers --- */

/* The user client is terminated; who terminates it, stops it. */
static void let_driver_go(struct amb_receiver *me)
{
        struct amb_connection *c = me->connection;
        IOUserClient *client = NULL;

        OSObject_release(amb_steal(me->queue));
        pthread_mutex_lock(&c->lock);
        c->letting_go = c->sleepers > 0;
        if (!c->letting_go)
                client = amb_steal(c->client);
        pthread_mutex_unlock(&c->lock);
        OSObject_release(client);
}

/* A call that had handed the role on has ended. */
static void sleeper_end(struct amb_connection *c)
{
        struct amb_link mappings = AMB_LIST_INIT(mappings), *link;
        IOUserClient *client = NULL;

        pthread_mutex_lock(&c->lock);
        if (--c->sleepers == 0) {
                while (!amb_list_empty(&c->maps_waiting)) {
                        link = c->maps_waiting.next;
                        amb_link_remove(link);
                        amb_list_append(&mappings, link);
                }
                if (c->letting_go)
                        client = amb_steal(c->client);
        }
        pthread_mutex_unlock(&c->lock);
        amb_connection_go_on_mapping(&mappings);
        OSObject_release(client);
}

/* Nothing more will be received: r says why. */
static void role_end(struct amb_receiver *me, int r)
{
        struct amb_connection *c = me->connection;

        if (r == AMB_CHANNEL_BROKEN)
                amb_connection_cut_off(c, amb_channel_reason(c->channel));
        else if (r < 0)
                amb_connection_cut_off(c, strerror(-r));
        pthread_mutex_lock(&c->lock);
        me->receiving = false;
        c->role_over = true;
        pthread_cond_broadcast(&c->role);
        pthread_mutex_unlock(&c->lock);
}

/* Without the role: waits for it if nobody else does. False: the thread is not needed any more. */
static bool role_wait(struct amb_receiver *me)
{
        struct amb_connection *c = me->connection;
        bool received;

        OSObject_release(amb_steal(me->queue));
        pthread_mutex_lock(&c->lock);
        if (!c->spare && !c->role_over && !c->resting) {
                c->spare = me;
                while (c->spare == me && !c->role_over)
                        pthread_cond_wait(&c->role, &c->lock);
                if (c->spare == me)
                        c->spare = NULL;
        }
        received = me->receiving;
        pthread_mutex_unlock(&c->lock);
        return received;
}

/* It may go, and nothing has come: nobody has the role from now on, unless somebody has been called for in the meantime. */
static void role_rest(struct amb_receiver *me)
{
        struct amb_connection *c = me->connection;

        pthread_mutex_lock(&c->lock);
        if (c->roused) {
                c->roused = false;
                amb_channel_rest_next(c->channel);
        } else {
                c->resting = true;
                c->threads++;
                amb_connection_retain(c);
                me->receiving = false;
                /* It need not wait any more, either. */
                c->spare = NULL;
                pthread_cond_broadcast(&c->role);
        }
        pthread_mutex_unlock(&c->lock);
}

/* On a thread of its own, with the role, and a count and a reference for it. All that it needs lies on its stack. */
static void receiver_run(void *connection)
{
        struct amb_connection *c = connection;
        struct amb_receiver me = { .connection = c, .receiving = true };
        int r;

        do {
                while (me.receiving) {
                        r = amb_channel_receive(c->channel, &me.request, NULL);
                        if (amb_likely(r == 0)) {
                                amb_connection_call(&me);
                                if (amb_unlikely(!me.receiving))
                                        sleeper_end(c);
                        } else if (r == AMB_CHANNEL_TERMINATED) {
                                let_driver_go(&me);
                                amb_channel_rest_next(c->channel);
                        } else if (r == AMB_CHANNEL_RESTS) {
                                role_rest(&me);
                        } else {
                                role_end(&me, r);
                        }
                }
        } while (role_wait(&me));
        OSObject_release(me.queue);
        OSObject_release(me.input);
        amb_place_home();       /* the pool's again */
        pthread_mutex_lock(&c->lock);
        thread_end(c);
}

/* With the lock held: `next` (NULL: a thread that is still to be started) has the role from now on. */
static void role_give(struct amb_receiver *me, struct amb_receiver *next)
{
        me->connection->sleepers++;
        me->receiving = false;
        if (next) {
                next->receiving = true;
                pthread_cond_broadcast(&me->connection->role);
        }
}

void amb_receiver_asleep(struct amb_queue_frame *frame)
{
        struct amb_receiver *me = amb_container_of(frame, struct amb_receiver, frame), *next;
        struct amb_connection *c = me->connection;

        if (!me->receiving)
                return;         /* not the first sleep of this call */
        amb_place_home();
        pthread_mutex_lock(&c->lock);
        next = amb_steal(c->spare);
        role_give(me, next);
        c->threads += !next;
        pthread_mutex_unlock(&c->lock);
        if (next)
                return;
        if (amb_pool_run_apart(receiver_run, amb_connection_retain(c)) == 0)
                return;
        amb_log(AMB_LOG_ERROR, "connection 0x%llx: no thread for other calls while one sleeps; they wait for it",
                (unsigned long long)c->options.id);
        pthread_mutex_lock(&c->lock);
        c->threads--;
        c->sleepers--;
        me->receiving = true;
        pthread_mutex_unlock(&c->lock);
        amb_connection_release(c);
}

/* --- rest --- */

/* On a thread of the pool. */
static void coming_run(struct amb_work *work)
{
        receiver_run(amb_container_of(work, struct amb_connection, coming));
}

void amb_connection_rouse(struct amb_connection *c, bool apart)
{
        bool rested;

        pthread_mutex_lock(&c->lock);
        rested = c->resting;
        c->resting = false;
        if (!rested)
                c->roused = true;
        pthread_mutex_unlock(&c->lock);
        /* Count and reference of the rest go to who comes. */
        if (!rested || (apart && amb_pool_run_apart(receiver_run, c) == 0))
                return;
        c->coming.run = coming_run;
        amb_pool_submit(&c->coming);
}

bool amb_connection_rest(struct amb_connection *c)
{
        bool resting;

        pthread_mutex_lock(&c->lock);
        resting = c->resting;
        pthread_mutex_unlock(&c->lock);
        if (!resting)
                amb_channel_rest_ask(c->channel);
        return resting;
}

/* --- the start --- */

static bool is_true(OSDictionary *properties, const char *key)
{
        return OSDictionaryGetValue(properties, key) == (OSObject *)kOSBooleanTrue;
}

/* call-path 3.9: the default holds if nothing is said; if anything is, what is not said is false. */
static void read_locking(struct amb_connection *c, IOUserClient *client)
{
        OSDictionary *properties = NULL;

        c->locking = true;
        if (IOService_CopyProperties(&client->service, &properties) != kIOReturnSuccess)
                return;
        if (OSDictionaryGetValue(properties, kIOUserClientDefaultLockingKey) ||
            OSDictionaryGetValue(properties, kIOUserClientDefaultLockingSetPropertiesKey) ||
            OSDictionaryGetValue(properties, kIOUserClientDefaultLockingSingleThreadExternalMethodKey))
                c->locking = is_true(properties, kIOUserClientDefaultLockingKey);
        c->single = c->locking && is_true(properties, kIOUserClientDefaultLockingSingleThreadExternalMethodKey);
        OSObject_release(properties);
}

void amb_connection_start(struct amb_connection *c, IOUserClient *client)
{
        read_locking(c, client);
        if (!c->locking)
                amb_channel_set_unlocked(c->channel);
        if (amb_bundle_imports("CreateMemoryDescriptorFromClient"))
                amb_channel_set_borrows(c->channel);
        amb_client_set_connection(client, c);
        OSObject_retain(client);
        c->client = client;
        c->method = (amb_external_method)amb_object_method(&client->service.object, IOUserClient_ExternalMethod_ID);
        amb_channel_rest(c->channel);
        pthread_mutex_lock(&c->lock);
        c->resting = true;
        c->threads++;
        amb_connection_retain(c);
        pthread_mutex_unlock(&c->lock);
        /* It may be over already. */
        if (atomic_load(&c->over))
                amb_connection_rouse(c, false);
}
