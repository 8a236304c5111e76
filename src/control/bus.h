/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Point-to-point D-Bus on our own sockets: connect, accept, call, take file descriptors.
 *
 * There is no message bus and no unique names: the two ends of one unix stream socket are the two peers, and both may call
 * methods of the other (add vtables with sd_bus_add_object_vtable on either end). One end must be the server of the
 * authentication, the other the client; that is the only difference. Every connection can pass file descriptors, but a message
 * with descriptors must not be the first thing that a server sends: sd-bus would wait for the client's authentication inside
 * sd_bus_send. Send them after the client's first message has come in (or when sd_bus_is_ready says so).
 *
 * Identity: never from a message. The server looks at SO_PEERCRED before it makes the bus; the client checks that the socket
 * it has found is served by its own user or by root, so that a foreign socket at a guessed path gets no call and no
 * descriptor.
 *
 * Ownership: the fd that is handed in is consumed on success and on failure. A bus is closed and freed with
 * sd_bus_close_unref (nothing is flushed) or sd_bus_flush_close_unref. Threads: a bus belongs to one thread at a time.
 */
#include <systemd/sd-bus.h>

#include <DriverKit/OSObject.h>

/*
 * Where the registry is: $AMBIDEXT_REGISTRY, else $XDG_RUNTIME_DIR/ambidext/registry, else /run/ambidext/registry. malloc;
 * NULL: no memory.
 */
char *amb_registry_path(void);

/*
 * A client's connection to the daemon at amb_registry_path(), or at `path`. Blocks for connect() only; the authentication runs
 * with the first call. On failure *ret_message (if ret_message is not NULL) is a sentence for people from malloc, or NULL (no
 * memory): which path was tried, what is wrong, what to do.
 *      -ENOENT, -ECONNREFUSED: nobody is there    -EACCES: not allowed to connect    -EPERM: it is someone else's
 */
int amb_bus_connect_registry(sd_bus **ret_bus, char **ret_message);
int amb_bus_connect_path(const char *path, sd_bus **ret_bus, char **ret_message);

/* The server's end on a connected stream socket (accepted, or one half of a socketpair). Not attached to an event loop. */
int amb_bus_serve(int fd, sd_bus **ret_bus);
/* The client's end on a connected stream socket: a host's inherited half of its socketpair. */
int amb_bus_join(int fd, sd_bus **ret_bus);

/*
 * Calls `message` and waits without limit: the wait ends with the reply, or with the connection (-ECONNRESET, -ENOTCONN).
 * Returns 0, or -errno; *ret_reply (may be NULL) is the caller's to unref. When the peer answered with a D-Bus error the
 * result is its errno and `error` (may be NULL) holds it. Incoming calls are queued while this waits, not served: a thread
 * that also serves must call sd_bus_call_async instead.
 */
int amb_bus_call(sd_bus *bus, sd_bus_message *message, sd_bus_error *error, sd_bus_message **ret_reply);

/* A new method call to the other end's one object: path and interface from protocol.h. */
int amb_bus_new_call(sd_bus *bus, sd_bus_message **ret_message, const char *path, const char *interface, const char *member);
/* sd_bus_call_async without a limit of time; the slot is floating (lives with the bus) when ret_slot is NULL. */
int amb_bus_call_async(sd_bus *bus, sd_bus_slot **ret_slot, sd_bus_message *message, sd_bus_message_handler_t callback,
                       void *userdata);

/* Reads an `h`: *ret_fd is the caller's own close-on-exec duplicate, beyond the standard three. -EBADMSG: not one. */
int amb_bus_read_fd(sd_bus_message *message, int *ret_fd);

/* An `a{sh}`: what OpenService hands over. Appending duplicates. */
struct amb_named_fd {
        const char *name;       /* must be a constant; also what is expected when reading */
        int fd;                 /* reading: -1 before; afterwards the caller's own, or -1 if it was not in the message */
};
int amb_bus_append_fds(sd_bus_message *message, const struct amb_named_fd *fds, size_t count);
/*
 * Takes the named ones; unknown names are skipped, a name that comes twice is -EBADMSG. On failure all of them are closed
 * and -1.
 */
int amb_bus_read_fds(sd_bus_message *message, struct amb_named_fd *fds, size_t count);

/* For AMB_CLEANUP; messages and errors have sd-bus's own sd_bus_message_unrefp and sd_bus_error_free. */
static inline void amb_bus_closep(sd_bus **bus)
{
        if (*bus)
                sd_bus_close_unref(*bus);
}
