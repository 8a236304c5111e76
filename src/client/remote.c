/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <IOKit/IOReturn.h>

#include "base/cancel.h"
#include "client/await.h"
#include "client/remote.h"
#include "control/protocol.h"
#include "control/value.h"

#define IDLE_MOST 8

/* A connection of the pool. Its fd is kept beside it, because in a forked child sd-bus tells nothing about its parent's bus. */
struct link {
        struct link *next;
        sd_bus *bus;
        int fd;
};

static struct {
        pthread_mutex_t lock;
        struct link *idle;
        size_t count;
        struct link *inherited;         /* our parents' */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void link_end(struct link *link)
{
        sd_bus_close_unref(link->bus);
        free(link);
}

/* NULL: none is idle. */
static struct link *pool_take(void)
{
        struct link *link;

        pthread_mutex_lock(&pool.lock);
        link = pool.idle;
        if (link) {
                pool.idle = link->next;
                pool.count--;
        }
        pthread_mutex_unlock(&pool.lock);
        return link;
}

static void pool_put(struct link *link)
{
        bool full;

        pthread_mutex_lock(&pool.lock);
        full = pool.count == IDLE_MOST;
        if (!full) {
                link->next = pool.idle;
                pool.idle = link;
                pool.count++;
        }
        pthread_mutex_unlock(&pool.lock);
        if (full)
                link_end(link);
}

static int pool_connect(struct link **ret)
{
        struct link *link = malloc(sizeof(*link));
        int r;

        if (!link)
                return -ENOMEM;
        r = amb_bus_connect_registry(&link->bus, NULL);
        if (r < 0) {
                free(link);
                return r;
        }
        link->fd = sd_bus_get_fd(link->bus);
        *ret = link;
        return 0;
}

static void fork_prepare(void)
{
        pthread_mutex_lock(&pool.lock);
}

static void fork_parent(void)
{
        pthread_mutex_unlock(&pool.lock);
}

/* The memory of the buses stays: sd-bus refuses to touch another process's bus. Leak checkers see that it is meant. */
static void fork_child(void)
{
        struct link *link;

        while ((link = pool.idle)) {
                close(link->fd);
                pool.idle = link->next;
                link->next = pool.inherited;
                pool.inherited = link;
        }
        pool.count = 0;
        pthread_mutex_unlock(&pool.lock);
}

__attribute__((constructor)) static void pool_start(void)
{
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}

__attribute__((destructor)) static void pool_end(void)
{
        struct link *link;

        while ((link = pool_take()))
                link_end(link);
}

/* --- one question --- */

struct question {
        const char *member;
        int (*append)(sd_bus_message *message, const struct question *question);
        bool once;                      /* must not be asked again after it has been sent */
        uint64_t entry, number;
        const char *text;
        const OSDictionary *dictionary;
};

static bool is_disconnect(int error)
{
        return error == -ECONNRESET || error == -ENOTCONN || error == -EPIPE || error == -ESHUTDOWN || error == -ECONNABORTED ||
               error == -ESTALE;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        *(sd_bus_message **)userdata = sd_bus_message_ref(reply);
        return 0;
}

/*
 * sd_bus_call() gives up when a signal comes, and with it the reply: a user client would be open that nobody knows of. On these
 * buses nothing but the reply arrives, so its loop can be ours.
 */
static int call_through_signals(sd_bus *bus, sd_bus_message *message, sd_bus_message **ret_reply)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        AMB_CLEANUP(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        struct pollfd look = { .fd = sd_bus_get_fd(bus) };
        int r;

        r = amb_bus_call_async(bus, &slot, message, on_reply, &reply);
        while (r >= 0 && !reply) {
                r = sd_bus_process(bus, NULL);
                if (r != 0)
                        continue;
                r = sd_bus_get_events(bus);
                if (r < 0)
                        break;
                look.events = (short)r;
                r = amb_await(&look, 1);
                if (r < 0 && errno == EINTR)
                        r = 0;
        }
        if (!reply)
                return r < 0 ? r : -ECONNRESET;
        if (sd_bus_message_is_method_error(reply, NULL))
                return sd_bus_is_open(bus) > 0 ? -sd_bus_message_get_errno(reply) : -ECONNRESET;
        *ret_reply = amb_steal(reply);
        return 0;
}

/*
 * The same on a port's bus, where other things arrive, which sd_bus_call() keeps for later: the daemon answers these questions by
 * itself, so signals can wait.
 */
static int call_undisturbed(sd_bus *bus, sd_bus_message *message, sd_bus_message **ret_reply)
{
        sigset_t all, before;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = amb_bus_call(bus, message, NULL, ret_reply);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}

static int ask_on(sd_bus *bus, const struct question *question, sd_bus_message **ret_reply)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = amb_bus_new_call(bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, question->member);
        if (r < 0)
                return r;
        if (question->append) {
                r = question->append(message, question);
                if (r < 0)
                        return r;
        }
        return call_through_signals(bus, message, ret_reply);
}

/* Has the daemon hung up on an idle connection? Then nothing is lost by taking another one. */
static bool link_stale(const struct link *link)
{
        char byte;
        ssize_t n = recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

        return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static int ask(const struct question *question, sd_bus_message **ret_reply)
{
        AMB_NO_CANCEL;
        struct link *link;
        int r;

        while ((link = pool_take()) && link_stale(link))
                link_end(link);
        if (!link) {
                r = pool_connect(&link);
                if (r < 0)
                        return r;
        }
        r = ask_on(link->bus, question, ret_reply);
        if (is_disconnect(r)) {
                link_end(link);
                if (question->once)
                        return amb_trace(r);
                r = pool_connect(&link);
                if (r < 0)
                        return r;
                r = ask_on(link->bus, question, ret_reply);
                if (is_disconnect(r)) {
                        link_end(link);
                        return amb_trace(r);
                }
        }
        pool_put(link);
        return r < 0 ? amb_trace(r) : 0;
}

kern_return_t amb_remote_code(int error)
{
        return error == -ENOMEM ? kIOReturnNoMemory : error == -E2BIG ? kIOReturnMessageTooLarge :
               error == -EBADMSG || error == -EINVAL ? kIOReturnIPCError : kIOReturnOffline;
}

/* --- the questions --- */

static int append_dictionary(sd_bus_message *message, const struct question *question)
{
        return amb_dictionary_append(message, question->dictionary);
}

static int append_entry(sd_bus_message *message, const struct question *question)
{
        return sd_bus_message_append(message, "t", question->entry);
}

static int append_entry_type(sd_bus_message *message, const struct question *question)
{
        return sd_bus_message_append(message, "tu", question->entry, (uint32_t)question->number);
}

static int append_entry_time(sd_bus_message *message, const struct question *question)
{
        return sd_bus_message_append(message, "tt", question->entry, question->number);
}

static int append_text(sd_bus_message *message, const struct question *question)
{
        return sd_bus_message_append(message, "s", question->text);
}

static int read_ids(sd_bus_message *message, struct amb_ids *ret)
{
        return amb_id_array_read(message, &ret->list, &ret->count);
}

static int read_code(sd_bus_message *message, kern_return_t *ret_code)
{
        int32_t code;
        int r;

        r = sd_bus_message_read(message, "i", &code);
        if (r < 0)
                return amb_trace(r);
        if (r == 0)
                return amb_trace(-EBADMSG);
        *ret_code = code;
        return 0;
}

/* A question whose answer begins with a code. */
static int ask_code(const struct question *question, sd_bus_message **ret_reply, kern_return_t *ret_code)
{
        int r = ask(question, ret_reply);

        return r < 0 ? r : read_code(*ret_reply, ret_code);
}

static int read_text(sd_bus_message *message, char **ret)
{
        const char *text;
        int r;

        r = sd_bus_message_read(message, "s", &text);
        if (r <= 0)
                return amb_trace(r < 0 ? r : -EBADMSG);
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

int amb_remote_find(const OSDictionary *matching, kern_return_t *ret_code, struct amb_ids *ret_entries)
{
        struct question question = { .member = "FindServices", .append = append_dictionary, .dictionary = matching };
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        kern_return_t code;
        int r;

        r = ask_code(&question, &reply, &code);
        if (r == 0)
                r = read_ids(reply, ret_entries);
        if (r < 0)
                return r;
        *ret_code = code;
        return 0;
}

void amb_snapshot_clear(struct amb_snapshot *snapshot)
{
        free(snapshot->class);
        free(snapshot->name);
        amb_ids_clear(&snapshot->parents);
        amb_ids_clear(&snapshot->children);
        OSObject_release(snapshot->properties);
        OSObject_release(snapshot->classes);
        *snapshot = (struct amb_snapshot){ 0 };
}

static int read_snapshot(sd_bus_message *reply, struct amb_snapshot *snapshot)
{
        int r;

        r = read_text(reply, &snapshot->class);
        if (r == 0)
                r = read_text(reply, &snapshot->name);
        if (r == 0)
                r = sd_bus_message_read(reply, "uu", &snapshot->state, &snapshot->busy);
        if (r < 0)
                return r;
        r = read_ids(reply, &snapshot->parents);
        if (r == 0)
                r = read_ids(reply, &snapshot->children);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "t", &snapshot->pid);
        if (r < 0)
                return r;
        r = amb_dictionary_read(reply, &snapshot->properties);
        if (r == 0)
                r = amb_string_array_read(reply, &snapshot->classes);
        return r < 0 ? r : 0;
}

int amb_remote_entry(uint64_t entry, kern_return_t *ret_code, struct amb_snapshot *ret)
{
        struct question question = { .member = "GetEntry", .append = append_entry, .entry = entry };
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;
        int r;

        r = ask_code(&question, &reply, &code);
        if (r == 0 && code == 0)
                r = read_snapshot(reply, &snapshot);
        if (r < 0)
                return amb_trace(r);
        *ret_code = code;
        *ret = snapshot;
        snapshot = (struct amb_snapshot){ 0 };
        return 0;
}

int amb_remote_open(uint64_t entry, uint32_t type, kern_return_t *ret_code, struct amb_opened *ret)
{
        struct question question = { .member = "OpenService", .append = append_entry_type, .once = true, .entry = entry,
                                     .number = type };
        struct amb_named_fd fds[] = { { "channel", -1 }, { "side", -1 }, { "host", -1 } };
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t connection = 0;
        int names_memory = 0;
        kern_return_t code;
        int r;

        r = ask_code(&question, &reply, &code);
        if (r == 0)
                r = sd_bus_message_read(reply, "tb", &connection, &names_memory);
        if (r >= 0)
                r = amb_bus_read_fds(reply, fds, AMB_ARRAY_LENGTH(fds));
        if (r < 0)
                return amb_trace(r);
        if (code == 0 && (fds[0].fd < 0 || fds[1].fd < 0 || fds[2].fd < 0)) {
                for (size_t i = 0; i < AMB_ARRAY_LENGTH(fds); i++)
                        amb_fd_close(fds[i].fd);
                return amb_trace(-EBADMSG);
        }
        *ret_code = code;
        *ret = (struct amb_opened){ connection, fds[0].fd, fds[1].fd, fds[2].fd, names_memory };
        return 0;
}

int amb_remote_wait_quiet(uint64_t entry, uint64_t nanoseconds, kern_return_t *ret_code)
{
        struct question question = { .member = "WaitQuiet", .append = append_entry_time, .entry = entry,
                                    .number = nanoseconds };
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        return ask_code(&question, &reply, ret_code);
}

int amb_remote_load(const char *path, kern_return_t *ret_code, char **ret_message, char **ret_bundle)
{
        struct question question = { .member = "LoadBundle", .append = append_text, .text = path };
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        AMB_FREE char *message = NULL;
        kern_return_t code;
        int r;

        r = ask_code(&question, &reply, &code);
        if (r == 0)
                r = read_text(reply, &message);
        if (r == 0)
                r = read_text(reply, ret_bundle);
        if (r < 0)
                return r;
        *ret_code = code;
        *ret_message = amb_steal(message);
        return 0;
}

int amb_remote_unload(const char *bundle, kern_return_t *ret_code, char **ret_message)
{
        struct question question = { .member = "UnloadBundle", .append = append_text, .text = bundle };
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        kern_return_t code;
        int r;

        r = ask_code(&question, &reply, &code);
        if (r == 0)
                r = read_text(reply, ret_message);
        if (r < 0)
                return r;
        *ret_code = code;
        return 0;
}

int amb_remote_dump(OSArray **ret_entries)
{
        struct question question = { .member = "Dump" };
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = ask(&question, &reply);
        return r < 0 ? r : amb_dictionary_array_read(reply, ret_entries);
}

/* --- subscriptions --- */

int amb_remote_subscribe(sd_bus *bus, uint32_t subscription, const char *notification, const OSDictionary *matching,
                         kern_return_t *ret_code, struct amb_ids *ret_entries)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        kern_return_t code;
        int r;

        r = amb_bus_new_call(bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "Subscribe");
        if (r >= 0)
                r = sd_bus_message_append(message, "us", subscription, notification);
        if (r >= 0)
                r = amb_dictionary_append(message, matching);
        if (r >= 0)
                r = call_undisturbed(bus, message, &reply);
        if (r >= 0)
                r = read_code(reply, &code);
        if (r >= 0)
                r = read_ids(reply, ret_entries);
        if (r < 0)
                return amb_trace(r);
        *ret_code = code;
        return 0;
}

int amb_remote_subscribe_interest(sd_bus *bus, uint32_t subscription, uint64_t entry, const char *interest,
                                  kern_return_t *ret_code)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        int r;

        r = amb_bus_new_call(bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "SubscribeInterest");
        if (r >= 0)
                r = sd_bus_message_append(message, "uts", subscription, entry, interest);
        if (r >= 0)
                r = call_undisturbed(bus, message, &reply);
        return r < 0 ? amb_trace(r) : read_code(reply, ret_code);
}

int amb_remote_unsubscribe(sd_bus *bus, uint32_t subscription)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = amb_bus_new_call(bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "Unsubscribe");
        if (r >= 0)
                r = sd_bus_message_append(message, "u", subscription);
        if (r >= 0)
                r = call_undisturbed(bus, message, NULL);
        return r < 0 ? amb_trace(r) : 0;
}
