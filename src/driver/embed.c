/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's end of ambidext/embed.h. Where the daemon would ask over its bus (hosting.c), the program calls; entries are
 * numbered here (uplink.c). One thread, which is started with the first connection and stays, serves the side sockets and finishes
 * connections that have ended, as the server's control thread does. The application is this process: its death is nobody's concern.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <ambidext/embed.h>
#include <DriverKit/IOKitKeys.h>
#include <DriverKit/OSCollections.h>
#include <mach/mach_error.h>

#include "base/base.h"
#include "base/thread.h"
#include "channel/channel.h"
#include "driver/bundle.h"
#include "driver/connection.h"
#include "driver/opening.h"
#include "driver/service.h"
#include "driver/uplink.h"
#include "object/plist.h"

#define PROVIDER_ENTRY 1

struct embedded {
        struct amb_link link;           /* of `ended` */
        struct amb_connection *connection;
        bool watched;                   /* the thread's */
};

static struct {
        pthread_once_t once;
        int epoll, wake;                /* wake: something is in `ended` */
        pthread_mutex_t lock;           /* below */
        pthread_cond_t none;
        struct amb_link ended;
        uint32_t open;
} embed = {
        .once = PTHREAD_ONCE_INIT, .epoll = -1, .wake = -1,
        .lock = PTHREAD_MUTEX_INITIALIZER, .none = PTHREAD_COND_INITIALIZER, .ended = AMB_LIST_INIT(embed.ended),
};

/* --- the thread --- */

static void unwatch(struct embedded *one)
{
        if (one->watched)
                epoll_ctl(embed.epoll, EPOLL_CTL_DEL, amb_connection_side(one->connection), NULL);
        one->watched = false;
}

static void serve_side(struct embedded *one)
{
        if (amb_connection_serve_side(one->connection))
                return;
        unwatch(one);
        amb_connection_leave_side(one->connection);
}

static struct embedded *take_ended(void)
{
        struct embedded *one;

        pthread_mutex_lock(&embed.lock);
        one = amb_list_first(&embed.ended, struct embedded, link);
        if (one)
                amb_link_remove(&one->link);
        pthread_mutex_unlock(&embed.lock);
        return one;
}

static void finish_ended(void)
{
        struct embedded *one;

        while ((one = take_ended())) {
                unwatch(one);
                amb_connection_finish(one->connection);
                amb_connection_release(one->connection);
                free(one);
                pthread_mutex_lock(&embed.lock);
                if (--embed.open == 0)
                        pthread_cond_broadcast(&embed.none);
                pthread_mutex_unlock(&embed.lock);
        }
}

/* One event at a time: what has ended is freed only behind it. */
static void *control(void *context)
{
        struct epoll_event event;
        eventfd_t ignored;

        for (;;) {
                if (epoll_wait(embed.epoll, &event, 1, -1) != 1)
                        continue;
                if (event.data.ptr) {
                        serve_side(event.data.ptr);
                        continue;
                }
                (void)eventfd_read(embed.wake, &ignored);
                finish_ended();
        }
        return context;
}

static void begin(void)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

        embed.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        embed.epoll = epoll_create1(EPOLL_CLOEXEC);
        if (embed.wake < 0 || embed.epoll < 0 || epoll_ctl(embed.epoll, EPOLL_CTL_ADD, embed.wake, &event) < 0 ||
            amb_thread_start(control, NULL, 0) < 0)
                embed.epoll = amb_fd_close(embed.epoll);
}

/* On a thread of the connection's, once. */
static void on_ended(void *userdata, struct amb_connection *connection)
{
        struct embedded *one = userdata;

        pthread_mutex_lock(&embed.lock);
        amb_list_append(&embed.ended, &one->link);
        pthread_mutex_unlock(&embed.lock);
        (void)eventfd_write(embed.wake, 1);
}

AMB_EXPORT void amb_embed_wait(void)
{
        pthread_mutex_lock(&embed.lock);
        while (embed.open > 0)
                pthread_cond_wait(&embed.none, &embed.lock);
        pthread_mutex_unlock(&embed.lock);
}

/* --- the service --- */

static OSDictionary *find_personality(OSObject *info, const char *wanted, char **ret_message)
{
        OSDictionary *list = OSDynamicCast(OSDictionary, info) ?
                                     OSDictionaryGetDictionaryValue((OSDictionary *)info, "IOKitPersonalities") : NULL;

        for (size_t i = 0; list && i < OSDictionaryGetCount(list); i++) {
                const char *key = OSDictionaryGetKeyAt(list, i);
                OSDictionary *one = OSDynamicCast(OSDictionary, OSDictionaryGetValueAt(list, i));

                if (one && OSDictionaryGetStringValue(one, kIOUserClassKey) && (!wanted || strcmp(key, wanted) == 0))
                        return one;
        }
        *ret_message = wanted ? amb_format("Info.plist: IOKitPersonalities has no \"%s\" with an IOUserClass", wanted) :
                                strdup("Info.plist: IOKitPersonalities has none with an IOUserClass");
        return NULL;
}

static kern_return_t start(OSDictionary *personality, IOService **ret_service, char **ret_message)
{
        const char *user_class = OSDictionaryGetStringValue(personality, kIOUserClassKey);
        const char *provider_class = OSDictionaryGetStringValue(personality, "IOProviderClass");
        IOService *service = NULL, *provider = NULL;
        kern_return_t code = amb_opening_make(user_class, &service, ret_message);
        uint64_t entry = 0;

        if (code == kIOReturnSuccess &&
            amb_service_new_foreign(PROVIDER_ENTRY, provider_class ? provider_class : "IOUserResources", NULL, &provider) < 0)
                code = kIOReturnNoMemory;
        if (code == kIOReturnSuccess)
                code = amb_uplink_create(PROVIDER_ENTRY, personality, &entry);
        if (code == kIOReturnSuccess && amb_service_attach(service, entry, provider, personality, user_class) < 0)
                code = kIOReturnNoMemory;
        if (code == kIOReturnSuccess) {
                code = amb_opening_start(service, provider);
                if (code != kIOReturnSuccess)
                        *ret_message = amb_format("Start of %s returned %s (0x%08x)", user_class, mach_error_string(code),
                                                  (unsigned int)code);
        }
        OSObject_release(provider);
        if (code == kIOReturnSuccess)
                *ret_service = service;
        else
                OSObject_release(service);
        return code;
}

AMB_EXPORT kern_return_t amb_embed_start(const void *info, size_t length, const char *personality, IOService **service,
                                         char **message)
{
        AMB_FREE char *why = NULL;
        OSObject *list = NULL;
        kern_return_t code = kIOReturnBadArgument;
        OSDictionary *found;

        if (amb_plist_parse(info, length, &list, &why) != 0) {
                char *said = amb_format("Info.plist: %s", why ? why : "no memory");
                free(why);
                why = said;
        } else if ((found = find_personality(list, personality, &why))) {
                amb_bundle_add_program();
                amb_uplink_alone();
                code = start(found, service, &why);
        }
        OSObject_release(list);
        if (message)
                *message = amb_steal(why);
        return code;
}

/* --- user clients --- */

static kern_return_t watch(struct embedded *one, const int ends[2])
{
        struct amb_connection_options options = {
                .channel = ends[0], .side = ends[1], .process = -1, .ended = on_ended, .userdata = one
        };
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = one };

        if (amb_connection_new(&options, &one->connection) < 0)
                return kIOReturnNoResources;
        if (epoll_ctl(embed.epoll, EPOLL_CTL_ADD, amb_connection_side(one->connection), &event) < 0)
                return kIOReturnNoResources;
        one->watched = true;
        return kIOReturnSuccess;
}

/* Channel and side socket: [0] and [1] the driver's, [2] and [3] the application's. */
static int make_ends(int ends[4])
{
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return amb_trace(amb_errno());
        ends[1] = pair[0];
        ends[3] = pair[1];
        r = amb_channel_create(&ends[0]);
        if (r == 0)
                ends[2] = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
        return r == 0 && ends[2] < 0 ? amb_errno() : r;
}

static kern_return_t open_client(IOService *service, uint32_t type, struct embedded *one, int ends[4])
{
        struct amb_opening opening = { .type = type };
        IOUserClient *client = NULL;
        kern_return_t code = amb_uplink_create(amb_service_entry(service), NULL, &opening.entry);

        if (code == kIOReturnSuccess)
                code = amb_opening_ask(service, &opening, &client);
        if (code == kIOReturnSuccess) {
                code = watch(one, ends);
                ends[0] = ends[1] = -1;
        }
        if (code == kIOReturnSuccess)
                code = amb_opening_start(&client->service, service);
        if (code == kIOReturnSuccess) {
                pthread_mutex_lock(&embed.lock);
                embed.open++;
                pthread_mutex_unlock(&embed.lock);
                amb_connection_start(one->connection, client);
        }
        OSObject_release(client);
        return code;
}

AMB_EXPORT kern_return_t amb_embed_open(IOService *service, uint32_t type, int ends[2])
{
        int all[4] = { -1, -1, -1, -1 };
        struct embedded *one = calloc(1, sizeof(*one));
        kern_return_t code = kIOReturnNoMemory;

        pthread_once(&embed.once, begin);
        if (one && embed.epoll >= 0 && make_ends(all) == 0)
                code = open_client(service, type, one, all);
        if (code == kIOReturnSuccess) {
                ends[0] = all[2];
                ends[1] = all[3];
                return code;
        }
        if (one && one->connection) {
                unwatch(one);
                amb_connection_release(one->connection);
        }
        free(one);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(all); i++)
                amb_fd_close(all[i]);
        return code;
}
