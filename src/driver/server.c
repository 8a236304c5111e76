/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "control/bus.h"
#include "control/protocol.h"
#include "driver/bundle.h"
#include "driver/pool.h"
#include "driver/server.h"
#include "driver/uplink.h"
#include "driver/uplink-private.h"

struct IOUserServer_ivars {
        struct amb_server server;
};

static struct amb_server *the_server;
static pthread_mutex_t the_server_lock = PTHREAD_MUTEX_INITIALIZER;

static bool server_init(OSObject *object)
{
        IOUserServer *self = (IOUserServer *)object;

        if (!IOService_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        return self->ivars != NULL;
}

/* Only a half-made server is ever freed. */
static void server_free(OSObject *object)
{
        IOUserServer *self = (IOUserServer *)object;

        if (self->ivars) {
                struct amb_server *s = &self->ivars->server;

                if (s->bus)
                        sd_bus_close_unref(s->bus);
                sd_event_unref(s->event);
                amb_fd_close(s->post_fd > 0 ? s->post_fd : -1);
                amb_fd_close(s->sides > 0 ? s->sides : -1);
                free(s->name);
                free(s->bundle_id);
                free(s->token);
                free(s->path);
                free(s->bundle_path);
                free(s->directory);
                free(self->ivars);
        }
        IOService_free(object);
}

static const struct amb_method server_methods[] = {
        AMB_OVERRIDE(OSObject, init, server_init),
        AMB_OVERRIDE(OSObject, free, server_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOUserServerMetaClass = {
        "IOUserServer", &gIOServiceMetaClass, sizeof(IOUserServer), server_methods, AMB_SKIN_PLACE,
};

struct amb_server *amb_server(void)
{
        return __atomic_load_n(&the_server, __ATOMIC_ACQUIRE);
}

uint32_t amb_uplink_daemon(void)
{
        struct amb_server *server = amb_server();

        return server ? atomic_load(&server->daemons) : 0;
}

const char *amb_uplink_server_name(void)
{
        struct amb_server *server = amb_server();

        return server ? server->name : NULL;
}

/* --- posts, and the control lock --- */

static bool post_append(struct amb_server *server, struct amb_post *post)
{
        bool first;

        pthread_mutex_lock(&server->lock);
        first = amb_list_empty(&server->posts);
        amb_list_append(&server->posts, &post->link);
        pthread_mutex_unlock(&server->lock);
        return first;
}

static struct amb_post *post_take(struct amb_server *server)
{
        struct amb_post *post;

        pthread_mutex_lock(&server->lock);
        post = amb_list_first(&server->posts, struct amb_post, link);
        if (post)
                amb_link_remove(&post->link);
        pthread_mutex_unlock(&server->lock);
        return post;
}

static bool posts_left(struct amb_server *server)
{
        bool left;

        pthread_mutex_lock(&server->lock);
        left = !amb_list_empty(&server->posts);
        pthread_mutex_unlock(&server->lock);
        return left;
}

static void control_wake(struct amb_server *server)
{
        (void)eventfd_write(server->post_fd, 1);
}

void amb_server_post(struct amb_server *server, struct amb_post *post)
{
        /* Otherwise somebody is already on his way to the list, which he empties. */
        if (post_append(server, post))
                control_wake(server);
}

/* With the control lock. */
static void posts_run(struct amb_server *server)
{
        struct amb_post *post;

        while ((post = post_take(server)))
                post->run(post);
}

/* With the control lock: has the control thread to look at the bus? There is what the socket has not taken at once, or its end. */
static bool bus_wants(struct amb_server *server)
{
        uint64_t queued = 0;

        return server->bus && (sd_bus_get_n_queued_write(server->bus, &queued) < 0 || queued > 0);
}

void amb_server_run(struct amb_server *server, struct amb_post *post)
{
        (void)post_append(server, post);
        /* Again after the unlock: who found the lock taken relies on its owner. */
        while (posts_left(server) && pthread_mutex_trylock(&server->control) == 0) {
                posts_run(server);
                if (bus_wants(server))
                        control_wake(server);
                pthread_mutex_unlock(&server->control);
        }
}

static int on_posts(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        eventfd_t count;

        (void)eventfd_read(fd, &count);
        posts_run(userdata);
        return 0;
}

void amb_server_end(struct amb_server *server, int status)
{
        pthread_mutex_lock(&server->lock);
        if (!server->end)
                server->status = status;
        server->end = true;
        pthread_cond_broadcast(&server->ended);
        pthread_mutex_unlock(&server->lock);
}

/* --- connections --- */

#define SIDES_AT_ONCE 64

struct amb_watch {
        struct amb_link link;           /* of the server's `connections` or `refused` */
        struct amb_post ended;
        struct amb_server *server;
        struct amb_connection *connection;
        int side;                       /* the socket, in the server's `sides`; -1: not any more */
        struct amb_app *app;
        struct amb_link sister;         /* of the app's connections */
        struct amb_link awake;          /* of the server's `awake` or `leaving` */
        bool leaving;
};

/*
 * An application's process, which all its connections name by the same pidfd (base/pidfd.h). It lives as long as one of them is
 * watched.
 */
struct amb_app {
        struct amb_link link;           /* hash chain, by fd */
        int fd;
        sd_event_source *source;        /* NULL: it has ended */
        struct amb_link watches;
};

static void watch_end_side(struct amb_watch *watch)
{
        int side = watch->side;

        watch->side = -1;
        if (side >= 0 && epoll_ctl(watch->server->sides, EPOLL_CTL_DEL, side, NULL) < 0)
                amb_trace(-errno);
}

static int on_app_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct amb_app *app = userdata;
        struct amb_watch *watch;

        app->source = sd_event_source_disable_unref(app->source);
        amb_list_for(watch, &app->watches, sister) {
                amb_connection_app_died(watch->connection);
                watch_end_side(watch);
        }
        return 0;
}

static struct amb_app *app_new(struct amb_link *bucket, int fd)
{
        struct amb_app *app = calloc(1, sizeof(*app));

        if (!app)
                return NULL;
        app->fd = fd;
        amb_list_init(&app->watches);
        amb_list_append(bucket, &app->link);
        return app;
}

static void app_free(struct amb_app *app)
{
        sd_event_source_disable_unref(app->source);
        amb_link_remove(&app->link);
        free(app);
}

static int watch_app(struct amb_watch *watch, int fd)
{
        struct amb_link *bucket = &watch->server->apps[(unsigned int)fd % AMB_ARRAY_LENGTH(watch->server->apps)];
        struct amb_app *app, *found = NULL;
        int r = 0;

        amb_list_for(app, bucket, link)
                if (app->fd == fd)
                        found = app;
        if (!found)
                found = app_new(bucket, fd);
        if (!found)
                return -ENOMEM;
        /* None yet; or it has ended, the others have been told, and some are there still: so is this one, and the others once more. */
        if (!found->source)
                r = sd_event_add_io(watch->server->event, &found->source, fd, EPOLLIN, on_app_end, found);
        if (r < 0) {
                if (amb_list_empty(&found->watches))
                        app_free(found);
                return r;
        }
        watch->app = found;
        amb_list_append(&found->watches, &watch->sister);
        return 0;
}

/* Before the connection closes its side socket and gives its pidfd back. */
static void watch_end_sources(struct amb_watch *watch)
{
        struct amb_app *app = amb_steal(watch->app);

        watch_end_side(watch);
        if (!app)
                return;
        amb_link_remove(&watch->sister);
        if (!amb_list_empty(&app->watches))
                return;
        app_free(app);
}

static void serve_side(struct amb_watch *watch)
{
        if (amb_connection_serve_side(watch->connection))
                return;
        watch_end_side(watch);
        amb_connection_leave_side(watch->connection);
}

/*
 * The event loop looks at everything that is ready for each single thing that it does; of all side sockets it sees one descriptor,
 * or the end of thousands of connections at once would take seconds. No watch is freed while we have the control lock, and each is
 * here once.
 */
static int on_sides(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct epoll_event ready[SIDES_AT_ONCE];
        int count = epoll_wait(fd, ready, SIDES_AT_ONCE, 0);

        for (int i = 0; i < count; i++)
                serve_side(ready[i].data.ptr);
        return 0;
}

static int watch_side(struct amb_watch *watch, int fd)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

        if (epoll_ctl(watch->server->sides, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        watch->side = fd;
        return 0;
}

int amb_server_watch(struct amb_server *server, struct amb_connection *connection)
{
        struct amb_watch *watch = calloc(1, sizeof(*watch));
        int r = -ENOMEM;

        if (watch) {
                *watch = (struct amb_watch){ .server = server, .connection = connection, .side = -1 };
                r = watch_side(watch, amb_connection_side(connection));
                if (r >= 0)
                        r = watch_app(watch, amb_connection_process(connection));
        }
        if (r < 0) {
                if (watch)
                        watch_end_sources(watch);
                free(watch);
                return amb_trace(r);
        }
        amb_connection_set_watch(connection, watch);
        amb_list_append(&server->connections, &watch->link);
        return 0;
}

/*
 * --- rest ---
 * A connection whose app has called it has a thread, and keeps it: the next call finds it there, however late it comes. Only beyond
 * AWAKE_MOST the connections that were awakened first are asked to let theirs go: an app that goes through thousands of connections
 * costs no thousands of threads. Whoever is asked is `leaving` until it is seen at rest. It is asked again if it was busy, a few
 * with each knock.
 */

#define AWAKE_MOST 256
#define ASKED_AGAIN 2

static void awake_end(struct amb_watch *watch)
{
        if (!amb_link_linked(&watch->awake))
                return;
        amb_link_remove(&watch->awake);
        watch->server->awake_count -= !watch->leaving;
        watch->leaving = false;
}

/* Asks it to rest, unless it does. */
static void awake_leave(struct amb_watch *watch)
{
        awake_end(watch);
        if (amb_connection_rest(watch->connection))
                return;
        watch->leaving = true;
        amb_list_append(&watch->server->leaving, &watch->awake);
}

void amb_server_connection_awake(void *userdata, struct amb_connection *connection)
{
        struct amb_watch *watch = amb_connection_watch(connection);
        struct amb_server *server = userdata;

        awake_end(watch);
        amb_list_append(&server->awake, &watch->awake);
        if (++server->awake_count <= AWAKE_MOST)
                return;
        awake_leave(amb_list_first(&server->awake, struct amb_watch, awake));
        for (int i = 0; i < ASKED_AGAIN && !amb_list_empty(&server->leaving); i++)
                awake_leave(amb_list_first(&server->leaving, struct amb_watch, awake));
}

void amb_server_refuse(struct amb_server *server, uint64_t entry)
{
        struct amb_watch *watch, *following;

        /*
         * Who is refused stays so: a driver's end with thousands of connections asks for each of them after it has asked for their
         * provider.
         */
        amb_list_for_safe(watch, following, &server->connections, link) {
                if (!amb_connection_serves(watch->connection, entry))
                        continue;
                amb_connection_refuse(watch->connection);
                amb_link_remove(&watch->link);
                amb_list_append(&server->refused, &watch->link);
        }
}

bool amb_server_has_connections(const struct amb_server *server)
{
        return !amb_list_empty(&server->connections) || !amb_list_empty(&server->refused);
}

void amb_server_connection_ended(struct amb_server *server, struct amb_connection *connection)
{
        uint64_t id = amb_connection_id(connection);
        struct amb_watch *watch = amb_connection_watch(connection);

        amb_link_remove(&watch->link);
        awake_end(watch);
        watch_end_sources(watch);
        amb_connection_finish(connection);
        amb_connection_release(connection);
        free(watch);
        amb_uplink_send_closed(server, id);
        amb_adopt_idle(server);
}

/* --- the daemon's bus --- */

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct amb_server *server = userdata;

        if (sd_bus_message_get_bus(message) == server->bus)
                amb_adopt_begin(server);
        return 0;
}

int amb_server_take_bus(struct amb_server *server, sd_bus *bus)
{
        int r;

        r = sd_bus_add_object_vtable(bus, NULL, AMB_HOST_PATH, AMB_HOST_INTERFACE, amb_hosting_vtable, server);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_disconnected, server);
        if (r >= 0)
                r = sd_bus_attach_event(bus, server->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0) {
                sd_bus_close_unref(bus);
                return amb_trace(r);
        }
        server->bus = bus;
        atomic_fetch_add(&server->daemons, 1);
        return 0;
}

/* --- the object --- */

/* Takes a variable out of the environment: drivers and their children have no business with it. NULL: not set, no memory. */
static char *take_variable(const char *name)
{
        const char *value = getenv(name);
        char *copy = value ? strdup(value) : NULL;

        unsetenv(name);
        return copy;
}

static int open_daemon(struct amb_server *s, int fd)
{
        AMB_FREE char *why = NULL;
        sd_bus *bus = NULL;
        int r;

        r = sd_event_new(&s->event);
        if (r >= 0)
                r = sd_event_add_io(s->event, NULL, s->post_fd, EPOLLIN, on_posts, s);
        if (r >= 0)
                r = sd_event_add_io(s->event, NULL, s->sides, EPOLLIN, on_sides, s);
        if (r < 0) {
                amb_fd_close(fd);
                return amb_trace(r);
        }
        r = s->embedded ? amb_bus_connect_path(s->path, &bus, &why) : amb_bus_join(fd, &bus);
        if (why)
                amb_log(AMB_LOG_ERROR, "%s", why);
        return r < 0 ? r : amb_server_take_bus(s, bus);
}

/* One round: asks for what is there, waits without the lock until something is, deals with one thing. -errno. */
static int control_round(struct amb_server *server)
{
        struct pollfd events = { .fd = sd_event_get_fd(server->event), .events = POLLIN };
        int r;

        r = sd_event_prepare(server->event);
        if (r == 0) {
                pthread_mutex_unlock(&server->control);
                /* From here on those who post find the lock free. */
                if (!posts_left(server))
                        (void)poll(&events, 1, -1);
                pthread_mutex_lock(&server->control);
                r = sd_event_wait(server->event, 0);
        }
        if (r > 0)
                r = sd_event_dispatch(server->event);
        posts_run(server);
        return r;
}

static void *control_run(void *context)
{
        struct amb_server *server = context;
        int r;

        pthread_mutex_lock(&server->control);
        do
                r = control_round(server);
        while (r >= 0);
        pthread_mutex_unlock(&server->control);
        amb_log(AMB_LOG_ERROR, "the control loop failed: %s", strerror(-r));
        amb_server_end(server, EXIT_FAILURE);
        return NULL;
}

static kern_return_t server_set_up(struct amb_server *s, IOUserServer *object, const char *name, uint64_t tag, OSString *bundle_id)
{
        AMB_FREE char *fd_text = take_variable(AMB_HOST_FD_VARIABLE);
        char *slash;
        int fd = -1;

        s->object = object;
        s->tag = tag;
        pthread_mutex_init(&s->lock, NULL);
        pthread_mutex_init(&s->control, NULL);
        pthread_cond_init(&s->ended, NULL);
        amb_list_init(&s->posts);
        amb_list_init(&s->connections);
        amb_list_init(&s->refused);
        amb_list_init(&s->awake);
        amb_list_init(&s->leaving);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(s->apps); i++)
                amb_list_init(&s->apps[i]);
        amb_list_init(&s->terminations);
        amb_list_init(&s->after_loading);
        s->token = take_variable(AMB_HOST_TOKEN_VARIABLE);
        s->embedded = !fd_text;
        if (fd_text && (!s->token || (fd = atoi(fd_text)) <= STDERR_FILENO))
                return kIOReturnNotReady;
        s->name = strdup(name);
        s->bundle_id = strdup(OSStringGetStringPtr(bundle_id));
        s->path = amb_registry_path();
        s->directory = s->path ? strdup(s->path) : NULL;
        slash = s->directory ? strrchr(s->directory, '/') : NULL;
        s->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        s->sides = epoll_create1(EPOLL_CLOEXEC);
        if (!s->name || !s->bundle_id || !slash || s->post_fd < 0 || s->sides < 0) {
                amb_fd_close(fd);
                return kIOReturnNoMemory;
        }
        *(slash == s->directory ? slash + 1 : slash) = '\0';
        if (open_daemon(s, fd) < 0)
                return kIOReturnNoResources;
        amb_log_open(s->name, s->embedded ? AMB_LOG_WARNING : AMB_LOG_INFO);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOUserServer_Create(const char *name, uint64_t tag, uint64_t options, OSString *bundleID,
                                             IOUserServer **server)
{
        IOUserServer *created;
        kern_return_t code;

        if (!name || !*name || strlen(name) > 127 || options != 0 || !bundleID || !server)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&the_server_lock);
        if (the_server) {
                pthread_mutex_unlock(&the_server_lock);
                return kIOReturnExclusiveAccess;
        }
        created = (IOUserServer *)amb_object_new(OSTypeID(IOUserServer));
        code = created ? server_set_up(&created->ivars->server, created, name, tag, bundleID) : kIOReturnNoMemory;
        if (code == kIOReturnSuccess) {
                OSObject_retain(created);
                __atomic_store_n(&the_server, &created->ivars->server, __ATOMIC_RELEASE);
                if (amb_thread_start(control_run, the_server, AMB_THREAD_STACK) < 0) {
                        __atomic_store_n(&the_server, NULL, __ATOMIC_RELEASE);
                        OSObject_release(created);
                        code = kIOReturnNoResources;
                }
        }
        pthread_mutex_unlock(&the_server_lock);
        if (code != kIOReturnSuccess) {
                OSObject_release(created);
                return code;
        }
        *server = created;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOUserServer_LoadModule(IOUserServer *self, const char *path)
{
        AMB_FREE char *message = NULL;
        kern_return_t code = path ? amb_bundle_load(path, &message) : kIOReturnNotFound;

        if (code != kIOReturnSuccess) {
                amb_log(AMB_LOG_ERROR, "%s", message ? message : "no memory to load the bundle");
                return code;
        }
        if (self->ivars->server.embedded && !self->ivars->server.bundle_path) {
                self->ivars->server.bundle_path = realpath(path, NULL);
                code = self->ivars->server.bundle_path ? kIOReturnSuccess : kIOReturnNotFound;
        }
        return code;
}

/* An embedded host's process goes on: the daemon learns from the connection's end that it hosts no more. */
static void leave_daemon(struct amb_post *post)
{
        struct amb_server *server = amb_server();
        sd_bus *bus = amb_steal(server->bus);

        free(post);
        if (bus)
                sd_bus_flush_close_unref(bus);
}

AMB_EXPORT kern_return_t IOUserServer_Exit(IOUserServer *self, const char *reason)
{
        struct amb_server *server = &self->ivars->server;
        struct amb_post *post = server->embedded ? calloc(1, sizeof(*post)) : NULL;

        amb_log(AMB_LOG_INFO, "host %s ends: %s", server->name, reason ? reason : "asked to");
        amb_server_end(server, EXIT_SUCCESS);
        if (post) {
                post->run = leave_daemon;
                amb_server_post(server, post);
        }
        return kIOReturnSuccess;
}

AMB_EXPORT int amb_server_wait(IOUserServer *object)
{
        struct amb_server *server = &object->ivars->server;
        int status;

        pthread_mutex_lock(&server->lock);
        while (!server->end)
                pthread_cond_wait(&server->ended, &server->lock);
        status = server->status;
        pthread_mutex_unlock(&server->lock);
        return status;
}
