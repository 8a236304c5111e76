/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>

#include "base/pidfd.h"
#include "driver/connection-private.h"
#include "driver/pool.h"
#include "driver/service.h"

/* --- birth and end --- */

/* With the channel's completion lock held. */
static void wake_port(void *userdata, uint32_t port)
{
        struct amb_connection *c = userdata;

        pthread_mutex_lock(&c->port_lock);
        if (port < AMB_SIDE_PORTS_MAX && c->ports[port].fd >= 0)
                amb_side_port_wake(c->ports[port].fd);
        pthread_mutex_unlock(&c->port_lock);
}

/*
 * Completions that the ring has no room for move on from a thread of their own, because the connection's may be inside a long call,
 * or gone with the close. It ends when the app has drained them, detached or died.
 */
static void *flush_run(void *context)
{
        struct amb_connection *c = context;

        amb_channel_flush_all(c->channel, c->process);
        amb_connection_release(c);
        return NULL;
}

/* With the channel's completion lock held. */
static bool flush_start(void *userdata)
{
        struct amb_connection *c = amb_connection_retain(userdata);

        if (amb_thread_start(flush_run, c, AMB_THREAD_STACK) == 0)
                return true;
        /* Not the last one: whoever completes holds another. */
        amb_connection_release(c);
        return false;
}

static void channel_roused(void *userdata)
{
        amb_connection_rouse(userdata, false);
}

static void connection_free(struct amb_connection *c)
{
        struct amb_output *output, *next_output;

        amb_channel_free(c->channel);
        amb_connection_offer_end(c);
        amb_borrows_free(&c->borrows);
        amb_list_for_safe(output, next_output, &c->outputs, link) {
                amb_link_remove(&output->link);
                amb_output_free(output);
        }
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(c->ports); i++)
                amb_fd_close(c->ports[i].fd);
        amb_fd_close(c->side);
        amb_pidfd_unshare(c->process);
        OSObject_release(c->client);
        pthread_cond_destroy(&c->role);
        pthread_cond_destroy(&c->maps_done);
        pthread_mutex_destroy(&c->port_lock);
        pthread_mutex_destroy(&c->lock);
        free(c);
}

int amb_connection_new(const struct amb_connection_options *options, struct amb_connection **ret)
{
        AMB_FD channel_fd = options->channel, side = options->side, process = options->process;
        struct amb_channel_options channel = { .peer_pidfd = -1, .wake = wake_port, .kept = flush_start, .roused = channel_roused };
        struct amb_connection *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return amb_trace(-ENOMEM);
        c->references = 1;
        c->options = *options;
        c->side = c->process = -1;
        pthread_mutex_init(&c->lock, NULL);
        pthread_mutex_init(&c->port_lock, NULL);
        pthread_cond_init(&c->role, NULL);
        pthread_cond_init(&c->maps_done, NULL);
        amb_list_init(&c->maps_waiting);
        amb_borrows_init(&c->borrows);
        amb_list_init(&c->outputs);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(c->ports); i++)
                c->ports[i].fd = -1;
        channel.userdata = c;
        r = amb_channel_attach(channel_fd, AMB_CHANNEL_HOST, &channel, &c->channel);
        if (r != 0) {
                connection_free(c);
                return r < 0 ? r : amb_trace(-EBADF);
        }
        c->side = amb_fd_steal(&side);
        c->process = amb_pidfd_share(amb_fd_steal(&process));
        *ret = c;
        return 0;
}

struct amb_connection *amb_connection_retain(struct amb_connection *c)
{
        atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
        return c;
}

void amb_connection_release(struct amb_connection *c)
{
        if (c && atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) == 1)
                connection_free(c);
}

uint64_t amb_connection_id(const struct amb_connection *c)
{
        return c->options.id;
}

void amb_connection_set_watch(struct amb_connection *c, void *watch)
{
        c->watch = watch;
}

void *amb_connection_watch(const struct amb_connection *c)
{
        return c->watch;
}

int amb_connection_side(struct amb_connection *c)
{
        return c->side;
}

int amb_connection_process(struct amb_connection *c)
{
        return c->process;
}

/* --- what ends it --- */

void amb_connection_app_gone(struct amb_connection *c)
{
        if (atomic_exchange(&c->over, true))
                return;
        if (!c->locking)
                amb_connection_stop_ahead(c);
        amb_borrows_end(&c->borrows);
        amb_channel_shutdown(c->channel);
}

void amb_connection_cut_off(struct amb_connection *c, const char *why)
{
        if (!atomic_load(&c->over))
                amb_log(AMB_LOG_WARNING, "connection 0x%llx: the application is cut off: %s", (unsigned long long)c->options.id,
                        why);
        amb_connection_app_gone(c);
}

void amb_connection_app_died(struct amb_connection *c)
{
        amb_channel_peer_gone(c->channel);
        amb_connection_app_gone(c);
}

void amb_connection_refuse(struct amb_connection *c)
{
        atomic_store(&c->refusing, true);
        amb_channel_terminate(c->channel);
}

bool amb_connection_serves(struct amb_connection *c, uint64_t entry)
{
        IOService *service = NULL;
        bool found = false;

        if (c->options.id == entry)
                return true;
        pthread_mutex_lock(&c->lock);
        if (c->client) {
                service = &c->client->service;
                OSObject_retain(service);
        }
        pthread_mutex_unlock(&c->lock);
        while (service && !found) {
                IOService *provider;

                found = amb_service_entry(service) == entry;
                provider = amb_service_copy_provider(service);
                OSObject_release(service);
                service = provider;
        }
        OSObject_release(service);
        return found;
}

void amb_connection_leave_side(struct amb_connection *c)
{
        if (c->deserted)
                amb_connection_finish(c);
}

void amb_connection_finish(struct amb_connection *c)
{
        pthread_mutex_lock(&c->lock);
        c->side = amb_fd_close(c->side);
        pthread_mutex_unlock(&c->lock);
        amb_connection_offer_end(c);
}

/* --- what goes out --- */

void amb_connection_answer(struct amb_connection *c, const struct amb_side_message *answer, int fd)
{
        int r = 0;

        pthread_mutex_lock(&c->lock);
        c->pending--;
        if (c->side >= 0)
                r = amb_side_send(c->side, answer, fd, false);
        pthread_mutex_unlock(&c->lock);
        amb_connection_sent(c, r);
}

void amb_connection_sent(struct amb_connection *c, int result)
{
        if (result == AMB_SIDE_FULL)
                amb_connection_cut_off(c, "it does not read its answers");
        else if (result < 0)
                amb_connection_cut_off(c, strerror(-result));
}

/* A port that the app has destroyed hears nothing; who has its index now is another one. */
static bool port_in_force(struct amb_connection *c, uint32_t name)
{
        const struct amb_connection_port *port = &c->ports[AMB_CHANNEL_PORT_INDEX(name)];
        bool found;

        pthread_mutex_lock(&c->port_lock);
        found = port->fd >= 0 && port->name == name;
        pthread_mutex_unlock(&c->port_lock);
        return found;
}

void amb_connection_complete(struct amb_connection *c, uint32_t port, const uint64_t reference[8], IOReturn status,
                             const uint64_t *values, uint32_t count)
{
        struct amb_completion completion = { .port = port, .status = status, .count = count };

        if (!port_in_force(c, port))
                return;
        memcpy(completion.reference, reference, sizeof(completion.reference));
        if (count > 0)
                memcpy(completion.args, values, count * sizeof(uint64_t));
        if (amb_channel_complete(c->channel, &completion) == AMB_CHANNEL_DROPPED && !atomic_exchange(&c->dropped_told, true))
                amb_log(AMB_LOG_WARNING, "connection 0x%llx: the application does not read its completions, some are lost",
                        (unsigned long long)c->options.id);
}
