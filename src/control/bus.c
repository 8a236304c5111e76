/* SPDX-License-Identifier: Apache-2.0 */
#include "control/bus.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"
#include "control/protocol.h"

static void errno_format(char **ret_message, int error, const char *path)
{
        if (!ret_message)
                return;
        switch (-error) {
        case ENOENT:
        case ECONNREFUSED:
                *ret_message = amb_format("no Ambidext registry at %s: start ambidextd, run the program with `ambidext run`, "
                                          "or name "
                                          "the socket in $" AMB_REGISTRY_VARIABLE, path);
                break;
        case EACCES:
                *ret_message = amb_format("not allowed to connect to the registry at %s: it is another user's private one; "
                                          "name your own in $" AMB_REGISTRY_VARIABLE, path);
                break;
        case EPERM:
                *ret_message = amb_format("the registry at %s is served by neither this user nor root and is not trusted; "
                                          "name your own in $" AMB_REGISTRY_VARIABLE, path);
                break;
        case ENAMETOOLONG:
                *ret_message = amb_format("the registry path %s is longer than a socket's address may be (%zu bytes); "
                                          "set $" AMB_REGISTRY_VARIABLE " to a shorter one", path,
                                          sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
                break;
        default:
                *ret_message = amb_format("cannot connect to the registry at %s: %s", path, strerror(-error));
        }
}

char *amb_registry_path(void)
{
        const char *path = getenv(AMB_REGISTRY_VARIABLE), *runtime = getenv("XDG_RUNTIME_DIR");

        if (path && *path)
                return strdup(path);
        if (runtime && *runtime == '/')
                return amb_format("%s/ambidext/registry", runtime);
        return strdup("/run/ambidext/registry");
}

static int bus_new(int *fd, bool server, sd_bus **ret)
{
        AMB_CLEANUP(amb_bus_closep) sd_bus *bus = NULL;
        sd_id128_t id;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, true);
        if (r >= 0 && server) {
                r = sd_id128_randomize(&id);
                if (r >= 0)
                        r = sd_bus_set_server(bus, true, id);
                if (r >= 0)
                        r = sd_bus_set_anonymous(bus, false);
        }
        if (r >= 0)
                r = sd_bus_set_fd(bus, *fd, *fd);
        if (r < 0)
                return r;
        /* From here on the bus closes it. */
        *fd = -1;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = amb_steal(bus);
        return 0;
}

int amb_bus_serve(int fd, sd_bus **ret_bus)
{
        AMB_FD owned = fd;

        return amb_trace(bus_new(&owned, true, ret_bus));
}

int amb_bus_join(int fd, sd_bus **ret_bus)
{
        AMB_FD owned = fd;

        return amb_trace(bus_new(&owned, false, ret_bus));
}

/* Whoever listens at the path is told everything we ask for and hands us descriptors: it must be us or root. */
static int check_server(int fd)
{
        struct ucred credentials;
        socklen_t size = sizeof(credentials);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return amb_errno();
        if (credentials.uid != 0 && credentials.uid != geteuid())
                return -EPERM;
        return 0;
}

static int connect_path(const char *path, sd_bus **ret)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AMB_FD fd = -1;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return amb_errno();
        do
                r = connect(fd, (struct sockaddr *)&address, sizeof(address));
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return amb_errno();
        r = check_server(fd);
        if (r < 0)
                return r;
        return bus_new(&fd, false, ret);
}

int amb_bus_connect_path(const char *path, sd_bus **ret_bus, char **ret_message)
{
        int r = connect_path(path, ret_bus);

        if (r < 0)
                errno_format(ret_message, r, path);
        return r;
}

int amb_bus_connect_registry(sd_bus **ret_bus, char **ret_message)
{
        AMB_FREE char *path = amb_registry_path();

        if (!path) {
                if (ret_message)
                        *ret_message = NULL;
                return amb_trace(-ENOMEM);
        }
        return amb_bus_connect_path(path, ret_bus, ret_message);
}

int amb_bus_call(sd_bus *bus, sd_bus_message *message, sd_bus_error *error, sd_bus_message **ret_reply)
{
        int r = sd_bus_call(bus, message, UINT64_MAX, error, ret_reply);

        return r < 0 ? amb_trace(r) : 0;
}

int amb_bus_new_call(sd_bus *bus, sd_bus_message **ret_message, const char *path, const char *interface, const char *member)
{
        int r = sd_bus_message_new_method_call(bus, ret_message, NULL, path, interface, member);

        return r < 0 ? amb_trace(r) : 0;
}

int amb_bus_call_async(sd_bus *bus, sd_bus_slot **ret_slot, sd_bus_message *message, sd_bus_message_handler_t callback,
                       void *userdata)
{
        int r = sd_bus_call_async(bus, ret_slot, message, callback, userdata, UINT64_MAX);

        return r < 0 ? amb_trace(r) : 0;
}

int amb_bus_read_fd(sd_bus_message *message, int *ret_fd)
{
        int borrowed, fd, r;

        r = sd_bus_message_read_basic(message, SD_BUS_TYPE_UNIX_FD, &borrowed);
        if (r <= 0)
                return amb_trace(r == -ENOMEM ? r : -EBADMSG);
        fd = fcntl(borrowed, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (fd < 0)
                return amb_trace(amb_errno());
        *ret_fd = fd;
        return 0;
}

int amb_bus_append_fds(sd_bus_message *message, const struct amb_named_fd *fds, size_t count)
{
        int r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "{sh}");

        for (size_t i = 0; r >= 0 && i < count; i++)
                r = sd_bus_message_append(message, "{sh}", fds[i].name, fds[i].fd);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? amb_trace(r) : 0;
}

static int read_named_fd(sd_bus_message *message, struct amb_named_fd *fds, size_t count)
{
        const char *name;
        int r;

        r = sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &name);
        if (r <= 0)
                return r == -ENOMEM ? r : -EBADMSG;
        for (size_t i = 0; i < count; i++) {
                if (strcmp(name, fds[i].name) != 0)
                        continue;
                if (fds[i].fd >= 0)
                        return -EBADMSG;
                return amb_bus_read_fd(message, &fds[i].fd);
        }
        r = sd_bus_message_skip(message, "h");
        return r < 0 ? -EBADMSG : 0;
}

int amb_bus_read_fds(sd_bus_message *message, struct amb_named_fd *fds, size_t count)
{
        int r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sh}");

        if (r == 0)
                r = -EBADMSG;
        while (r >= 0 && (r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sh")) > 0) {
                r = read_named_fd(message, fds, count);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r >= 0)
                return 0;
        for (size_t i = 0; i < count; i++)
                fds[i].fd = amb_fd_close(fds[i].fd);
        return amb_trace(r == -ENOMEM || r == -EMFILE ? r : -EBADMSG);
}
