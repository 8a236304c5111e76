/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of a driver host for the daemon's tests: speaks Host1, has one service and any number of user clients, and no driver.
 * A file `manner` in its bundle says how it misbehaves: "crash" ends it in Start, "stay" makes it ignore Exit.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "base/base.h"
#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"

static sd_event *event;
static sd_bus *bus;
static uint64_t tag, service;
static const char *token, *server_name, *identifier;
static char manner[16];
static OSDictionary *service_properties;

static int say(const char *member, const char *types, ...)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        va_list arguments;
        int r;

        r = amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, member);
        va_start(arguments, types);
        if (r >= 0)
                r = sd_bus_message_appendv(call, types, arguments);
        va_end(arguments);
        return r < 0 ? r : sd_bus_send(bus, call, NULL);
}

static int load_module(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *path;
        int r = sd_bus_message_read(call, "s", &path);

        if (r < 0)
                return r;
        AMB_FREE char *file = amb_format("%s/manner", path), *bytes = NULL;
        size_t length;

        if (amb_file_read(AT_FDCWD, file, sizeof(manner) - 1, &bytes, &length) == 0)
                snprintf(manner, sizeof(manner), "%s", bytes);
        return sd_bus_reply_method_return(call, "is", 0, "");
}

static int start(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *provider_class, *provider_name, *user_class;
        OSDictionary *provider_properties = NULL;
        uint64_t provider;
        int r;

        r = sd_bus_message_read(call, "ttss", &service, &provider, &provider_class, &provider_name);
        if (r >= 0)
                r = amb_dictionary_read(call, &provider_properties);
        if (r >= 0)
                r = sd_bus_message_read(call, "s", &user_class);
        if (r >= 0)
                r = amb_dictionary_read(call, &service_properties);
        OSObject_release(provider_properties);
        if (r < 0)
                return r;
        if (strncmp(manner, "crash", 5) == 0)
                _exit(3);
        r = say("RegisterService", "t", service);
        return r < 0 ? r : sd_bus_reply_method_return(call, "i", 0);
}

/* The app's end of the side socket has gone. */
static int on_side(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        close(fd);
        say("ConnectionClosed", "t", *(uint64_t *)userdata);
        free(userdata);
        return 0;
}

static int new_user_client(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        AMB_FD channel = -1, side = -1, app = -1;
        OSDictionary *entitlements = NULL;
        uint64_t owner, connection;
        const char *creator;
        uint32_t type;
        int r;

        r = sd_bus_message_read(call, "ttus", &owner, &connection, &type, &creator);
        if (r >= 0)
                r = amb_dictionary_read(call, &entitlements);
        if (r >= 0)
                r = amb_bus_read_fd(call, &channel);
        if (r >= 0)
                r = amb_bus_read_fd(call, &side);
        if (r >= 0)
                r = amb_bus_read_fd(call, &app);
        OSObject_release(entitlements);
        if (r < 0)
                return r;
        if (type == 99)
                return sd_bus_reply_method_return(call, "isa{sv}", kIOReturnExclusiveAccess, "", 0);
        if (type == 98)
                _exit(4);
        uint64_t *name = malloc(sizeof(*name));
        *name = connection;
        r = sd_event_add_io(event, NULL, amb_fd_steal(&side), EPOLLIN, on_side, name);
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "isa{sv}", 0, "TestUserClient", 2, "IOClass", "s", "IOUserUserClient",
                                          "IOUserClass",
                                          "s", "TestUserClient");
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int stop(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        uint64_t entry;
        int wait, r;

        r = sd_bus_message_read(call, "tb", &entry, &wait);
        if (r >= 0)
                r = say("DidStop", "t", entry);
        return r < 0 ? r : sd_bus_reply_method_return(call, "i", 0);
}

static int leave(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        if (strncmp(manner, "stay", 4) != 0)
                _exit(0);
        return 1;
}

static const sd_bus_vtable host_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("LoadModule", "s", "is", load_module, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Start", "ttssa{sv}sa{sv}as", "i", start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("NewUserClient", "ttusa{sv}hhh", "isa{sv}", new_user_client, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Stop", "tb", "i", stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Exit", "s", "", leave, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int serve(void)
{
        int r = sd_bus_add_object_vtable(bus, NULL, AMB_HOST_PATH, AMB_HOST_INTERFACE, host_vtable, NULL);

        return r < 0 ? r : sd_bus_attach_event(bus, event, 0);
}

static OSArray *rows(void)
{
        OSDictionary *row = OSDictionaryCreate(), *none = OSDictionaryCreate();
        OSArray *all = OSArrayCreate();

        OSDictionarySetUInt64Value(row, "id", service);
        OSDictionarySetUInt64Value(row, "parent", 0x100000102ull);
        OSDictionarySetStringValue(row, "name", "TestDriver");
        OSDictionarySetStringValue(row, "class", "IOUserService");
        OSDictionarySetUInt64Value(row, "state", 0x1e);
        OSDictionarySetBooleanValue(row, "started", true);
        OSDictionarySetValue(row, "properties", service_properties);
        OSDictionarySetValue(row, "runtime", none);
        OSArrayAppendValue(all, row);
        OSObject_release(row);
        OSObject_release(none);
        return all;
}

/* To a new daemon; exits when it does not want us. */
static int adopt(void)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        OSArray *all = rows();
        int code, r;

        r = amb_bus_connect_registry(&bus, NULL);
        if (r < 0)
                return r;
        r = amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "Adopt");
        if (r >= 0)
                r = sd_bus_message_append(call, "stss", server_name, tag, token, identifier);
        if (r >= 0)
                r = amb_dictionary_array_append(call, all);
        if (r >= 0)
                r = amb_bus_call(bus, call, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "i", &code);
        OSObject_release(all);
        if (r < 0 || code != 0)
                _exit(5);
        return serve();
}

static int on_directory(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        char bytes[4096];

        if (read(fd, bytes, sizeof(bytes)) > 0 && adopt() >= 0)
                sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* The daemon has gone: wait for the next one. */
static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        AMB_FREE char *path = amb_registry_path();
        int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

        sd_bus_detach_event(bus);
        *strrchr(path, '/') = '\0';
        if (inotify_add_watch(fd, path, IN_CREATE | IN_MOVED_TO) < 0)
                _exit(0);
        sd_event_add_io(event, NULL, fd, EPOLLIN, on_directory, NULL);
        return 0;
}

int main(void)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        int code, r;

        tag = strtoull(getenv(AMB_HOST_TAG_VARIABLE), NULL, 10);
        token = getenv(AMB_HOST_TOKEN_VARIABLE);
        server_name = getenv(AMB_HOST_NAME_VARIABLE);
        identifier = getenv(AMB_HOST_BUNDLE_ID_VARIABLE);
        sd_event_new(&event);
        r = amb_bus_join(atoi(getenv(AMB_HOST_FD_VARIABLE)), &bus);
        if (r >= 0)
                r = amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "CheckIn");
        if (r >= 0)
                r = sd_bus_message_append(call, "stss", server_name, tag, token, identifier);
        if (r >= 0)
                r = amb_bus_call(bus, call, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "i", &code);
        if (r < 0 || code != 0)
                return 6;
        sd_bus_match_signal_async(bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                  on_disconnected, NULL, NULL);
        return serve() < 0 ? 7 : sd_event_loop(event);
}
