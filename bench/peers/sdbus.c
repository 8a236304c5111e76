/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D-Bus by libsystemd: point to point over a unix socket ("sd-bus"), and through a broker of our own ("dbus": a dbus-daemon with a
 * configuration in the peer's directory). The method takes an array of bytes and gives it back.
 */
#include "bench/peers/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

static const char name[] = "org.ambidext.bench.Echo", path[] = "/echo", interface[] = "org.ambidext.bench.Echo", method[] = "Echo";
static sd_bus *bus;
static const char *destination;         /* NULL: there is nobody else */

/* --- server --- */

static int echo(sd_bus_message *request, void *context, sd_bus_error *error)
{
        const void *bytes;
        size_t size;
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_read_array(request, 'y', &bytes, &size);
        if (r >= 0)
                r = sd_bus_message_new_method_return(request, &reply);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', bytes, size);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static const sd_bus_vtable methods[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Echo", "ay", "ay", echo, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int answer(void)
{
        for (;;) {
                int r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
                if (r < 0)
                        return peer_fail(r, "sd-bus: %s", strerror(-r));
        }
}

static int accept_one(const struct peer_place *place)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        strncpy(address.sun_path, peer_path(place, "bus"), sizeof(address.sun_path) - 1);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                return -errno;
        peer_ready();
        int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int r = connection < 0 ? -errno : 0;
        close(fd);
        return r < 0 ? r : connection;
}

static int direct_serve(const struct peer_place *place)
{
        sd_id128_t id;
        int fd = accept_one(place), r = fd < 0 ? fd : sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(bus, 1, id);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, path, interface, methods, NULL);
        return r < 0 ? peer_fail(r, "sd-bus server: %s", strerror(-r)) : answer();
}

/* --- the broker --- */

static int write_configuration(const struct peer_place *place)
{
        FILE *file = fopen(peer_path(place, "bus.conf"), "we");
        if (!file)
                return -errno;
        fprintf(file,
                "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
                "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
                "<busconfig><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth><policy context=\"default\">"
                "<allow own=\"*\"/><allow send_destination=\"*\"/><allow eavesdrop=\"false\"/></policy></busconfig>\n",
                place->directory);
        return fclose(file) == 0 ? 0 : -errno;
}

/* to_bus: its other end is a message bus. */
static int start_bus(const struct peer_place *place, bool to_bus)
{
        char address[256];
        snprintf(address, sizeof(address), "unix:path=%s", peer_path(place, "bus"));
        int r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, to_bus);
        return r < 0 ? r : sd_bus_start(bus);
}

/* The broker says that it listens by the first line on the pipe it is given. */
static int start_broker(const struct peer_place *place)
{
        int ready[2];
        char configuration[256], print[64], line[256];
        pid_t child;
        if (write_configuration(place) < 0 || pipe(ready) < 0)
                return -errno;
        snprintf(configuration, sizeof(configuration), "--config-file=%s", peer_path(place, "bus.conf"));
        snprintf(print, sizeof(print), "--print-address=%d", ready[1]);
        char *arguments[] = { (char *)"dbus-daemon", configuration, print, (char *)"--nofork", (char *)"--nopidfile",
                              (char *)"--nosyslog", NULL };
        int r = peer_spawn(arguments, &child);
        close(ready[1]);
        if (r == 0 && read(ready[0], line, sizeof(line)) <= 0)
                r = -ENOENT;
        close(ready[0]);
        return r;
}

static int broker_serve(const struct peer_place *place)
{
        int r = start_broker(place);
        if (r < 0)
                return peer_fail(r, "dbus-daemon did not start (package dbus-daemon): %s", strerror(-r));
        r = start_bus(place, true);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, path, interface, methods, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, name, 0);
        if (r < 0)
                return peer_fail(r, "D-Bus service: %s", strerror(-r));
        peer_ready();
        return answer();
}

/* --- client --- */

static int direct_connect(const struct peer_place *place)
{
        int r = start_bus(place, false);
        return r < 0 ? peer_fail(r, "sd-bus: %s", strerror(-r)) : 0;
}

static int broker_connect(const struct peer_place *place)
{
        int r = start_bus(place, true);
        destination = name;
        return r < 0 ? peer_fail(r, "D-Bus: %s", strerror(-r)) : 0;
}

static int make_request(const void *in, size_t size, sd_bus_message **ret_request)
{
        int r = sd_bus_message_new_method_call(bus, ret_request, destination, path, interface, method);
        return r < 0 ? r : sd_bus_message_append_array(*ret_request, 'y', in, size);
}

static int bus_call(const void *in, void *out, size_t size)
{
        sd_bus_message *request = NULL, *reply = NULL;
        const void *bytes;
        size_t length;
        int r = make_request(in, size, &request);
        if (r >= 0)
                r = sd_bus_call(bus, request, 0, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_read_array(reply, 'y', &bytes, &length);
        if (r >= 0 && length == size)
                memcpy(out, bytes, size);
        sd_bus_message_unref(request);
        sd_bus_message_unref(reply);
        return r < 0 ? r : length == size ? 0 : -EBADMSG;
}

struct flood {
        uint64_t until, *done;
        int under_way, error;
};

static int on_reply(sd_bus_message *reply, void *context, sd_bus_error *error);

static int send_one(struct flood *flood)
{
        static const unsigned char bytes[PEER_SMALL];
        sd_bus_message *request = NULL;
        int r = make_request(bytes, sizeof(bytes), &request);
        if (r >= 0)
                r = sd_bus_call_async(bus, NULL, request, on_reply, flood, 0);
        sd_bus_message_unref(request);
        flood->under_way += r >= 0;
        return r < 0 ? r : 0;
}

static int on_reply(sd_bus_message *reply, void *context, sd_bus_error *error)
{
        struct flood *flood = context;
        flood->under_way--;
        if (sd_bus_message_is_method_error(reply, NULL))
                flood->error = -sd_bus_message_get_errno(reply);
        else {
                ++*flood->done;
                if (peer_now() < flood->until)
                        flood->error = send_one(flood);
        }
        return 0;
}

static int bus_flood(uint64_t until, uint64_t *done)
{
        struct flood flood = { until, done, 0, 0 };
        while (flood.under_way < PEER_IN_FLIGHT && flood.error == 0)
                flood.error = send_one(&flood);
        while (flood.under_way > 0 && flood.error == 0) {
                int r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
                if (r < 0)
                        return r;
        }
        return flood.error;
}

const struct peer peers[] = {
        { "sd-bus", PEER_BIG, false, direct_serve, direct_connect, bus_call, bus_flood },
        { "dbus", PEER_BIG, false, broker_serve, broker_connect, bus_call, bus_flood },
        { 0 },
};
