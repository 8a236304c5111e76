/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>

#include "driver/connection-private.h"
#include "driver/pool.h"
#include "driver/queue.h"
#include "driver/service.h"

/* --- birth and end --- */

/* With the channel's completion lock held. */
static void wake_port(void *userdata, uint32_t port)
{
        struct amb_connection *c = userdata;

        pthread_mutex_lock(&c->port_lock);
        if (port < AMB_SIDE_PORTS_MAX && c->ports[port] >= 0)
                amb_side_port_wake(c->ports[port]);
        pthread_mutex_unlock(&c->port_lock);
}

static void connection_free(struct amb_connection *c)
{
        struct amb_region *region, *next_region;
        struct amb_output *output, *next_output;

        amb_channel_free(c->channel);
        amb_list_for_safe(region, next_region, &c->regions, link) {
                amb_link_remove(&region->link);
                amb_region_release(region);
        }
        amb_list_for_safe(output, next_output, &c->outputs, link) {
                amb_link_remove(&output->link);
                amb_output_free(output);
        }
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(c->ports); i++)
                amb_fd_close(c->ports[i]);
        amb_fd_close(c->side);
        OSObject_release(c->client);
        OSObject_release(c->queue);
        pthread_cond_destroy(&c->maps_done);
        pthread_mutex_destroy(&c->port_lock);
        pthread_mutex_destroy(&c->lock);
        free(c);
}

int amb_connection_new(const struct amb_connection_options *options, struct amb_connection **ret)
{
        AMB_FD channel_fd = options->channel, side = options->side;
        struct amb_channel_options channel = { .peer_pidfd = -1, .wake = wake_port };
        struct amb_connection *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return amb_trace(-ENOMEM);
        c->references = 1;
        c->options = *options;
        c->side = -1;
        pthread_mutex_init(&c->lock, NULL);
        pthread_mutex_init(&c->port_lock, NULL);
        pthread_cond_init(&c->maps_done, NULL);
        amb_list_init(&c->regions);
        amb_list_init(&c->outputs);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(c->ports); i++)
                c->ports[i] = -1;
        channel.userdata = c;
        r = amb_channel_attach(channel_fd, AMB_CHANNEL_HOST, &channel, &c->channel);
        if (r != 0) {
                connection_free(c);
                return r < 0 ? r : amb_trace(-EBADF);
        }
        c->side = amb_fd_steal(&side);
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

int amb_connection_side(struct amb_connection *c)
{
        return c->side;
}

/* --- the connection's thread --- */

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

static void *connection_run(void *context)
{
        struct amb_connection *c = context;
        IOUserClient *client;
        int r;

        while ((r = amb_channel_receive(c->channel, &c->request, c->bytes)) == 0)
                amb_connection_call(c);
        if (r == AMB_CHANNEL_BROKEN)
                amb_connection_cut_off(c, amb_channel_reason(c->channel));
        else if (r < 0)
                amb_connection_cut_off(c, strerror(-r));
        answer_close(c);

        pthread_mutex_lock(&c->lock);
        client = amb_steal(c->client);
        pthread_mutex_unlock(&c->lock);
        amb_service_stop(&client->service);
        OSObject_release(client);
        OSObject_release(amb_steal(c->queue));
        if (c->options.ended)
                c->options.ended(c->options.userdata, c);
        amb_connection_release(c);
        return NULL;
}

int amb_connection_start(struct amb_connection *c, IOUserClient *client)
{
        int r;

        OSObject_retain(client);
        c->client = client;
        c->method = (amb_external_method)amb_object_method(&client->service.object, IOUserClient_ExternalMethod_ID);
        amb_connection_retain(c);
        r = amb_thread_start(connection_run, c);
        if (r < 0) {
                OSObject_release(amb_steal(c->client));
                amb_connection_release(c);
        }
        return r;
}

/* --- what ends it --- */

void amb_connection_app_gone(struct amb_connection *c)
{
        if (!atomic_exchange(&c->over, true))
                amb_channel_shutdown(c->channel);
}

void amb_connection_cut_off(struct amb_connection *c, const char *why)
{
        if (!atomic_load(&c->over))
                amb_log(AMB_LOG_WARNING, "connection 0x%llx: the application is cut off: %s", (unsigned long long)c->options.id, why);
        amb_connection_app_gone(c);
}

void amb_connection_refuse(struct amb_connection *c)
{
        atomic_store(&c->refusing, true);
}

void amb_connection_finish(struct amb_connection *c)
{
        pthread_mutex_lock(&c->lock);
        c->side = amb_fd_close(c->side);
        pthread_mutex_unlock(&c->lock);
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
        if (r == AMB_SIDE_FULL)
                amb_connection_cut_off(c, "it does not read its answers");
        else if (r < 0)
                amb_connection_cut_off(c, strerror(-r));
}

void amb_connection_complete(struct amb_connection *c, uint32_t port, const uint64_t reference[8], IOReturn status,
                             const uint64_t *values, uint32_t count)
{
        struct amb_completion completion = { .port = port, .status = status, .count = count };

        memcpy(completion.reference, reference, sizeof(completion.reference));
        if (count > 0)
                memcpy(completion.args, values, count * sizeof(uint64_t));
        if (amb_channel_complete(c->channel, &completion) == AMB_CHANNEL_DROPPED && !atomic_exchange(&c->dropped_told, true))
                amb_log(AMB_LOG_WARNING, "connection 0x%llx: the application does not read its completions, some are lost",
                        (unsigned long long)c->options.id);
}
