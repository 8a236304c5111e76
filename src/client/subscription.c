/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus of a notification port: connected while there is something to subscribe to and a daemon to tell.
 *
 * Without a daemon the port watches the directory where the socket will appear (or the nearest one above it that exists). A
 * socket that is there but refuses - a daemon between bind and listen, or a dead one's leftover - is tried again by a timer
 * with a growing delay, because listen() is no event that a directory shows.
 */
#include <libgen.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>

#include "base/cancel.h"
#include "channel/side.h"
#include "client/port.h"
#include "client/remote.h"
#include "control/protocol.h"

#define RETRY_FIRST_NS 10000000ull
#define RETRY_DOUBLINGS 7

static bool poll_add(struct amb_port *port, int fd)
{
        struct epoll_event event = { .events = EPOLLIN };

        return fd >= 0 && epoll_ctl(port->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* --- while there is no daemon --- */

static void watch_stop(struct amb_port *port)
{
        port->watch = amb_fd_close(port->watch);
        port->timer = amb_fd_close(port->timer);
        port->attempts = 0;
}

static void watch_directory(struct amb_port *port)
{
        AMB_FREE char *path = amb_registry_path();
        char *directory = path;

        if (!path)
                return;
        if (port->watch < 0) {
                port->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
                if (!poll_add(port, port->watch))
                        return;
        }
        do
                directory = dirname(directory);
        while (inotify_add_watch(port->watch, directory, IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR) < 0 &&
               strcmp(directory, "/") != 0 && strcmp(directory, ".") != 0);
}

static void watch_timer(struct amb_port *port)
{
        uint64_t delay = RETRY_FIRST_NS << (port->attempts < RETRY_DOUBLINGS ? port->attempts++ : RETRY_DOUBLINGS);
        struct itimerspec at = { .it_value = { (time_t)(delay / 1000000000u), (long)(delay % 1000000000u) } };

        if (port->timer < 0) {
                port->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
                if (!poll_add(port, port->timer))
                        return;
        }
        timerfd_settime(port->timer, 0, &at, NULL);
}

static void watch_drain(struct amb_port *port)
{
        char bytes[4096];

        while (port->watch >= 0 && read(port->watch, bytes, sizeof(bytes)) > 0)
                continue;
        if (port->timer >= 0)
                (void)!read(port->timer, bytes, sizeof(uint64_t));
}

/* --- the bus --- */

static void bus_drop(struct amb_port *port)
{
        if (!port->bus)
                return;
        epoll_ctl(port->epoll, EPOLL_CTL_DEL, port->bus_fd, NULL);
        sd_bus_close_unref(port->bus);
        port->bus = NULL;
        port->bus_fd = -1;
}

static struct amb_subscription *subscription_find(struct amb_port *port, uint32_t number)
{
        struct amb_subscription *subscription;

        amb_list_for(subscription, &port->subscriptions, link)
                if (subscription->number == number)
                        return subscription;
        return NULL;
}

/* A signal from the daemon; what does not parse, or is for a subscription that has just been removed, is ignored. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct amb_subscription *subscription;
        struct amb_port *port = userdata;
        uint32_t number, type;
        uint64_t entry, argument;

        (void)error;
        if (sd_bus_message_is_signal(message, AMB_REGISTRY_INTERFACE, "Notified")) {
                if (sd_bus_message_read(message, "ut", &number, &entry) < 0)
                        return 0;
                subscription = subscription_find(port, number);
                if (subscription && subscription->notified)
                        subscription->notified(subscription, entry);
        } else if (sd_bus_message_is_signal(message, AMB_REGISTRY_INTERFACE, "Interest")) {
                if (sd_bus_message_read(message, "utut", &number, &entry, &type, &argument) < 0)
                        return 0;
                subscription = subscription_find(port, number);
                if (subscription && subscription->interest)
                        subscription->interest(subscription, entry, type, argument);
        }
        return 0;
}

static int bus_subscribe_all(struct amb_port *port)
{
        struct amb_subscription *subscription;
        int r;

        amb_list_for(subscription, &port->subscriptions, link) {
                r = subscription->subscribe(subscription);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int bus_try(struct amb_port *port)
{
        int r;

        r = amb_bus_connect_registry(&port->bus, NULL);
        if (r < 0)
                return r;
        port->bus_fd = sd_bus_get_fd(port->bus);
        r = sd_bus_add_filter(port->bus, NULL, on_message, port);
        if (r >= 0)
                r = bus_subscribe_all(port);
        if (r >= 0 && !poll_add(port, port->bus_fd))
                r = amb_errno();
        if (r < 0) {
                bus_drop(port);
                return r;
        }
        watch_stop(port);
        /* What came in between the answers waits inside the bus, where no poll sees it. */
        amb_side_port_wake(port->wake_write);
        return 0;
}

/* Connects and subscribes everything; or sees to it that the port becomes readable when that may work. */
static void bus_connect(struct amb_port *port)
{
        int r;

        r = bus_try(port);
        if (r < 0) {
                watch_directory(port);
                r = bus_try(port);
        }
        if (r < 0 && r != -ENOENT)
                watch_timer(port);
}

void amb_port_bus_init(struct amb_port *port)
{
        port->bus_fd = port->watch = port->timer = -1;
        amb_list_init(&port->subscriptions);
}

void amb_port_bus_dispatch(struct amb_port *port)
{
        AMB_NO_CANCEL;
        int r = 1;

        pthread_mutex_lock(&port->bus_lock);
        if (!amb_list_empty(&port->subscriptions)) {
                while (port->bus && (r = sd_bus_process(port->bus, NULL)) > 0)
                        continue;
                if (r < 0)
                        bus_drop(port);
                if (!port->bus) {
                        watch_drain(port);
                        bus_connect(port);
                }
        }
        pthread_mutex_unlock(&port->bus_lock);
}

void amb_port_bus_close(struct amb_port *port)
{
        AMB_NO_CANCEL;

        pthread_mutex_lock(&port->bus_lock);
        bus_drop(port);
        watch_stop(port);
        /* Each keeps its reference of the port until it is removed itself. */
        while (!amb_list_empty(&port->subscriptions))
                amb_link_remove(port->subscriptions.next);
        pthread_mutex_unlock(&port->bus_lock);
}

/* The memory of the lists and the bus stays; the child only must not hold the sockets. */
void amb_port_bus_forked(struct amb_port *port)
{
        if (port->bus_fd >= 0)
                close(port->bus_fd);
        if (port->watch >= 0)
                close(port->watch);
        if (port->timer >= 0)
                close(port->timer);
        port->inherited_bus = amb_steal(port->bus);
        port->bus_fd = port->watch = port->timer = -1;
        amb_list_init(&port->subscriptions);
        pthread_mutex_init(&port->bus_lock, NULL);
        pthread_mutex_init(&port->queue_lock, NULL);
        pthread_mutex_init(&port->links_lock, NULL);
}

/* --- subscriptions --- */

int amb_subscription_add(struct amb_port *port, struct amb_subscription *subscription)
{
        AMB_NO_CANCEL;
        int r = 0;

        pthread_mutex_lock(&port->bus_lock);
        if (atomic_load(&port->destroyed)) {
                r = -ESHUTDOWN;
        } else {
                subscription->port = amb_target_ref(port);
                subscription->number = ++port->next_subscription;
                amb_list_append(&port->subscriptions, &subscription->link);
                if (port->bus && subscription->subscribe(subscription) < 0)
                        bus_drop(port);
                if (!port->bus)
                        bus_connect(port);
                amb_side_port_wake(port->wake_write);
        }
        pthread_mutex_unlock(&port->bus_lock);
        return r;
}

void amb_subscription_remove(struct amb_subscription *subscription)
{
        AMB_NO_CANCEL;
        struct amb_port *port = subscription->port;

        if (!port)
                return;
        pthread_mutex_lock(&port->bus_lock);
        if (amb_link_linked(&subscription->link)) {
                amb_link_remove(&subscription->link);
                if (port->bus && amb_remote_unsubscribe(port->bus, subscription->number) < 0)
                        bus_drop(port);
                amb_side_port_wake(port->wake_write);
        }
        pthread_mutex_unlock(&port->bus_lock);
        amb_target_unref(port);
        subscription->port = NULL;
}
