/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host1: what the daemon asks. A request is read on the control thread, carried out on the pool (it runs driver code), and
 * answered from there, with the control lock.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include <DriverKit/IOKitKeys.h>

#include "control/bus.h"
#include "control/value.h"
#include "driver/bundle.h"
#include "driver/opening.h"
#include "driver/pool.h"
#include "driver/queue.h"
#include "driver/server.h"
#include "driver/service.h"
#include "driver/table.h"
#include "driver/userclient.h"

struct job {
        struct amb_post post;
        struct amb_server *server;
        sd_bus_message *call;           /* touched with the control lock only; the strings in it live as long */
        void (*work)(struct job *job);
        int (*answer)(struct job *job);
        uint64_t entry, provider;
        const char *class_name, *name, *user_class;
        OSDictionary *provider_properties, *properties;
        uint32_t type;
        int channel, side, pidfd;
        struct amb_connection *connection;
        IOUserClient *client;
        kern_return_t code;
        char *message;
};

static void job_free(struct job *job)
{
        OSObject_release(job->provider_properties);
        OSObject_release(job->properties);
        OSObject_release(job->client);
        amb_fd_close(job->channel);
        amb_fd_close(job->side);
        amb_fd_close(job->pidfd);
        amb_connection_release(job->connection);
        sd_bus_message_unref(job->call);
        free(job->message);
        free(job);
}
AMB_DEFINE_CLEANUP(struct job, job_free)

static struct job *job_new(sd_bus_message *call, struct amb_server *server, void (*work)(struct job *), int (*answer)(struct job *))
{
        struct job *job = calloc(1, sizeof(*job));

        if (job) {
                job->server = server;
                job->call = sd_bus_message_ref(call);
                job->work = work;
                job->answer = answer;
                job->channel = job->side = job->pidfd = -1;
        }
        return job;
}

static void job_answer(struct amb_post *post)
{
        AMB_CLEANUP(job_freep) struct job *job = amb_container_of(post, struct job, post);
        int r = job->answer(job);

        /* A daemon that has gone away in the meantime hears the outcome from our report. */
        if (r < 0)
                amb_trace(r);
}

static void job_work(void *context)
{
        struct job *job = context;

        job->work(job);
        job->post.run = job_answer;
        amb_server_run(job->server, &job->post);
}

/* From a method handler: 1, or -errno with the job freed. */
static int job_submit(struct job *job)
{
        int r = amb_pool_run(job_work, job);

        if (r < 0)
                job_free(job);
        return r < 0 ? r : 1;
}

/* A Start that arrives while a bundle is being loaded waits for it: their order is the daemon's. */
static int job_submit_loaded(struct job *job)
{
        if (job->server->loading == 0)
                return job_submit(job);
        amb_list_append(&job->server->after_loading, &job->post.link);
        return 1;
}

/* --- LoadModule --- */

static void load_module_work(struct job *job)
{
        job->code = amb_bundle_load(job->name, &job->message);
}

static int load_module_answer(struct job *job)
{
        struct amb_post *post;

        job->server->loading--;
        while (job->server->loading == 0 && (post = amb_list_first(&job->server->after_loading, struct amb_post, link))) {
                amb_link_remove(&post->link);
                if (job_submit(amb_container_of(post, struct job, post)) < 0)
                        amb_log(AMB_LOG_ERROR, "no memory to start a service");
        }
        return sd_bus_reply_method_return(job->call, "is", job->code, job->message ? job->message : "");
}

static int on_load_module(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(job_freep) struct job *job = job_new(call, userdata, load_module_work, load_module_answer);
        int r;

        if (!job)
                return -ENOMEM;
        r = sd_bus_message_read(call, "s", &job->name);
        if (r < 0)
                return r;
        job->server->loading++;
        r = job_submit(amb_steal(job));
        if (r < 0)
                ((struct amb_server *)userdata)->loading--;
        return r;
}

/* --- Start --- */

static void start_work(struct job *job)
{
        IOService *provider = amb_table_find(job->provider), *service = NULL;

        job->code = amb_opening_make(job->user_class, &service, &job->message);
        if (job->code == kIOReturnSuccess && !provider &&
            amb_service_new_foreign(job->provider, job->name, job->provider_properties, &provider) < 0)
                job->code = kIOReturnNoMemory;
        if (job->code == kIOReturnSuccess &&
            amb_service_attach(service, job->entry, provider, job->properties, job->user_class) < 0)
                job->code = kIOReturnNoMemory;
        if (job->code == kIOReturnSuccess)
                job->code = amb_opening_start(service, provider);
        OSObject_release(service);
        OSObject_release(provider);
}

static int start_answer(struct job *job)
{
        amb_adopt_started(job->server);
        return sd_bus_reply_method_return(job->call, "i", job->code);
}

static int on_start(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(job_freep) struct job *job = job_new(call, userdata, start_work, start_answer);
        int r;

        if (!job)
                return -ENOMEM;
        r = sd_bus_message_read(call, "ttss", &job->entry, &job->provider, &job->class_name, &job->name);
        if (r >= 0)
                r = amb_dictionary_read(call, &job->provider_properties);
        if (r >= 0)
                r = sd_bus_message_read(call, "s", &job->user_class);
        if (r >= 0)
                r = amb_dictionary_read(call, &job->properties);
        return r < 0 ? r : job_submit_loaded(amb_steal(job));
}

/* --- NewUserClient --- */

static void connection_ended(struct amb_post *post)
{
        struct job *job = amb_container_of(post, struct job, post);

        amb_server_connection_ended(job->server, job->connection);
        job_free(job);
}

/* On the connection's thread. */
static void on_ended(void *userdata, struct amb_connection *connection)
{
        struct job *job = calloc(1, sizeof(*job));

        if (!job) {
                amb_log(AMB_LOG_ERROR, "no memory to end a connection");
                abort();
        }
        job->server = userdata;
        job->channel = job->side = job->pidfd = -1;
        job->connection = amb_connection_retain(connection);
        job->post.run = connection_ended;
        amb_server_run(job->server, &job->post);
}

static kern_return_t make_connection(struct job *job)
{
        struct amb_connection_options options = {
                .id = job->entry,
                .channel = amb_fd_steal(&job->channel),
                .side = amb_fd_steal(&job->side),
                .process = amb_fd_steal(&job->pidfd),
                .ended = on_ended,
                .awake = amb_server_connection_awake,
                .userdata = job->server,
        };

        return amb_connection_new(&options, &job->connection) < 0 ? kIOReturnNoResources : kIOReturnSuccess;
}

static kern_return_t open_client(struct job *job, IOService *service)
{
        const struct amb_opening opening = { .entry = job->entry, .type = job->type, .entitlements = job->properties };
        kern_return_t code = amb_opening_ask(service, &opening, &job->client);

        if (code == kIOReturnSuccess)
                code = make_connection(job);
        return code == kIOReturnSuccess ? amb_opening_start(&job->client->service, service) : code;
}

static void new_user_client_work(struct job *job)
{
        IOService *service = amb_table_find(job->provider);

        job->code = service ? open_client(job, service) : kIOReturnOffline;
        /* Its end is the driver's code: here. */
        if (job->code != kIOReturnSuccess)
                OSObject_release(amb_steal(job->client));
        OSObject_release(amb_steal(job->properties));
        if (job->code == kIOReturnSuccess) {
                IOService_CopyProperties(&job->client->service, &job->properties);
                job->message = strdup(OSObject_GetClassName(job->client));
        }
        OSObject_release(service);
}

static void stop_client(void *context)
{
        IOUserClient *client = context;

        amb_service_stop(&client->service);
        OSObject_release(client);
}

/* From here on calls may come: watched first, so that the end of the connection finds the watch. */
static int begin(struct job *job)
{
        struct amb_connection *connection = job->connection;
        int r;

        r = amb_server_watch(job->server, connection);
        if (r < 0)
                return r;
        job->connection = NULL;
        amb_connection_start(connection, job->client);
        return 0;
}

static int new_user_client_answer(struct job *job)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (job->code == kIOReturnSuccess && begin(job) < 0) {
                job->code = kIOReturnNoResources;
                OSObject_retain(job->client);
                if (amb_pool_run(stop_client, job->client) < 0)
                        OSObject_release(job->client);
        }
        r = sd_bus_message_new_method_return(job->call, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "is", job->code, job->message ? job->message : "");
        if (r >= 0)
                r = amb_dictionary_append(reply, job->properties);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/*
 * Kept for what open connections and the driver still need: a message of the daemon's whose descriptors do not fit would end its
 * bus.
 */
#define DESCRIPTORS_KEPT 32

/* Descriptors are given out lowest first: the number says how many there are. */
static bool has_room(const struct job *job)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || (rlim_t)job->pidfd + DESCRIPTORS_KEPT < limit.rlim_cur)
                return true;
        amb_log(AMB_LOG_WARNING, "a connection is refused: this host may have %llu descriptors; a higher hard limit of open files "
                "(ulimit -Hn, LimitNOFILE=) for ambidextd gives its hosts more", (unsigned long long)limit.rlim_cur);
        return false;
}

static int on_new_user_client(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(job_freep) struct job *job = job_new(call, userdata, new_user_client_work, new_user_client_answer);
        int r;

        if (!job)
                return -ENOMEM;
        r = sd_bus_message_read(call, "ttus", &job->provider, &job->entry, &job->type, &job->name);
        if (r >= 0)
                r = amb_dictionary_read(call, &job->properties);
        if (r >= 0)
                r = amb_bus_read_fd(call, &job->channel);
        if (r >= 0)
                r = amb_bus_read_fd(call, &job->side);
        if (r >= 0)
                r = amb_bus_read_fd(call, &job->pidfd);
        if (r >= 0 && !has_room(job)) {
                job->code = kIOReturnNoResources;
                r = new_user_client_answer(job);
                return r < 0 ? r : 1;
        }
        return r < 0 ? r : job_submit(amb_steal(job));
}

/* --- Stop, Exit --- */

static void stop_work(struct job *job)
{
        IOService *service = amb_table_find(job->entry);

        if (!service) {
                job->code = kIOReturnOffline;
                return;
        }
        amb_service_stop(service);
        OSObject_release(service);
}

static int code_answer(struct job *job)
{
        return sd_bus_reply_method_return(job->call, "i", job->code);
}

static int stop_answer(struct job *job)
{
        amb_service_stop_end();
        return code_answer(job);
}

static int on_stop(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(job_freep) struct job *job = job_new(call, userdata, stop_work, stop_answer);
        int r, wait;

        if (!job)
                return -ENOMEM;
        r = sd_bus_message_read(call, "tb", &job->entry, &wait);
        if (r < 0)
                return r;
        amb_server_refuse(job->server, job->entry);
        amb_service_stop_begin();
        r = job_submit(amb_steal(job));
        if (r < 0)
                amb_service_stop_end();
        return r;
}

static void exit_work(struct job *job)
{
        amb_service_stops_wait();
}

static int exit_answer(struct job *job)
{
        IOUserServer_Exit(job->server->object, job->name);
        return sd_bus_reply_method_return(job->call, "");
}

static int on_exit_request(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(job_freep) struct job *job = job_new(call, userdata, exit_work, exit_answer);
        int r;

        if (!job)
                return -ENOMEM;
        r = sd_bus_message_read(call, "s", &job->name);
        return r < 0 ? r : job_submit(amb_steal(job));
}

const sd_bus_vtable amb_hosting_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("LoadModule", "s", "is", on_load_module, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Start", "ttssa{sv}sa{sv}as", "i", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("NewUserClient", "ttusa{sv}hhh", "isa{sv}", on_new_user_client, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Stop", "tb", "i", on_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Exit", "s", "", on_exit_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
