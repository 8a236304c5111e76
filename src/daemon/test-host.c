/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of a driver host for the daemon's tests: speaks Host1, has one service and any number of user clients, and no driver.
 * A file `manner` in its bundle says how it misbehaves: "crash" ends it in Start, "stay" makes it ignore Exit; see misdeeds[]
 * for what it does to the registry, and odd_open() for the types of open that it answers in a way of their own.
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
static uint64_t connections[4096];              /* open ones; 0: free */

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

static void read_manner(const char *bundle)
{
        AMB_FREE char *file = amb_format("%s/manner", bundle), *bytes = NULL;
        size_t length;

        if (amb_file_read(AT_FDCWD, file, sizeof(manner) - 1, &bytes, &length) == 0)
                snprintf(manner, sizeof(manner), "%s", bytes);
}

static int load_module(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *path;
        int r = sd_bus_message_read(call, "s", &path);

        if (r < 0)
                return r;
        read_manner(path);
        return sd_bus_reply_method_return(call, "is", 0, "");
}

/* --- misdeeds --- */

/* More than 127 bytes, and byte 127 is in the middle of a character. */
static int long_name(void)
{
        static const char two[] = "\xc3\xa9";
        char name[2 * 100 + 1] = "";

        for (int i = 0; i < 100; i++)
                strcat(name, two);
        return say("SetName", "ts", service, name);
}

/* What a terminal would obey: one that starts with ESC, and one that is a single character. */
static int escapes(void)
{
        return say("SetName", "ts", service, "a\x1b[31mb\xc2\x9b" "31mc\nd");
}

static int say_big(const char *member, const char *key)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        AMB_FREE char *bytes = calloc(1, 1 << 20);
        OSDictionary *dictionary = OSDictionaryCreate();
        OSData *data = OSDataCreate(bytes, 1 << 20);
        int r;

        OSDictionarySetValue(dictionary, key, data);
        OSDictionarySetStringValue(dictionary, "IOClass", "IOUserService");
        r = amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, member);
        if (r >= 0)
                r = sd_bus_message_append(call, "t", service);
        if (r >= 0)
                r = amb_dictionary_append(call, dictionary);
        if (r >= 0 && strcmp(member, "SetProperties") == 0)
                r = sd_bus_message_append(call, "as", 0);
        if (r >= 0)
                r = sd_bus_send(bus, call, NULL);
        OSObject_release(data);
        OSObject_release(dictionary);
        return r < 0 ? r : sd_bus_flush(bus);
}

/* Hundreds of megabytes of properties: of one service, and of many. */
static int fat(void)
{
        char key[16];
        int r = 0;

        for (int i = 0; i < 128 && r >= 0; i++) {
                snprintf(key, sizeof(key), "key %d", i);
                r = say_big("SetProperties", key);
                if (r >= 0)
                        r = say_big("CreateService", key);
        }
        return r;
}

/* Within what one message may hold each time, and together more than anybody can read at once. */
static int scattered(void)
{
        int r = 0;

        for (int i = 0; i < 3 && r >= 0; i++) {
                AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *call = NULL;

                r = amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "SetProperties");
                if (r >= 0)
                        r = sd_bus_message_append(call, "t", service);
                if (r >= 0)
                        r = sd_bus_message_open_container(call, 'a', "{sv}");
                for (int k = 0; k < 6000 && r >= 0; k++) {
                        char key[32];

                        snprintf(key, sizeof(key), "%d %d", i, k);
                        r = sd_bus_message_append(call, "{sv}", key, "u", (uint32_t)k);
                }
                if (r >= 0)
                        r = sd_bus_message_close_container(call);
                if (r >= 0)
                        r = sd_bus_message_append(call, "as", 0);
                if (r >= 0)
                        r = sd_bus_send(bus, call, NULL);
        }
        return r;
}

/* Says of everybody's entries what may only be said of its own. */
static int meddle(void)
{
        static const uint64_t foreign[] = { 0, 0x100000100ull, 0x100000101ull, 0x100000102ull, UINT64_MAX };
        int r = 0;

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(foreign) && r >= 0; i++) {
                say("SetName", "ts", foreign[i], "mine");
                say("Terminate", "tt", foreign[i], UINT64_C(0));
                say("RegisterService", "t", foreign[i]);
                say("DidStop", "t", foreign[i]);
                say("ConnectionClosed", "t", foreign[i]);
                say("SetProperties", "ta{sv}as", foreign[i], 1, "IOMatchCategory", "s", "mine", 0);
                say("CreateService", "ta{sv}", foreign[i], 1, "IOClass", "s", "IOUserService");
                r = say("CheckIn", "stss", server_name, tag, token, identifier);
        }
        return r;
}

static const struct {
        const char *manner;
        int (*commit)(void);
} misdeeds[] = {
        { "long name", long_name }, { "escapes", escapes }, { "fat", fat }, { "scattered", scattered }, { "meddle", meddle },
};

static int misbehave(void)
{
        int r = 0;

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(misdeeds); i++)
                if (strcmp(manner, misdeeds[i].manner) == 0)
                        r = misdeeds[i].commit();
        return r;
}

/* 1: this type has been dealt with here. */
static int odd_open(sd_bus_message *call, uint64_t connection, uint32_t type)
{
        int r = 1;

        switch (type) {
        case 99:
                return sd_bus_reply_method_return(call, "isa{sv}", kIOReturnExclusiveAccess, "", 0);
        case 98:
                _exit(4);
        case 97:
                return 1;       /* no answer */
        case 96:
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NO_REPLY, "no reply");
        case 95:
                return sd_bus_reply_method_return(call, "s", "nonsense");
        case 94:
                return sd_bus_reply_method_return(call, "i", 0);
        case 93:
                return sd_bus_reply_method_return(call, "isa{sv}", 0, "TestUserClient", 1, "IOClass", "s", "IOUserService");
        case 92:
                /* Much is said about it before it exists; then two answers. */
                say("RegisterService", "t", connection);
                say("Terminate", "tt", connection, UINT64_C(0));
                say("DidStop", "t", connection);
                say("ConnectionClosed", "t", connection);
                r = sd_bus_reply_method_return(call, "isa{sv}", kIOReturnBusy, "", 0);
                return r < 0 ? r : sd_bus_reply_method_return(call, "isa{sv}", 0, "", 0);
        default:
                return 0;
        }
}

/* --- the part of a driver --- */

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
        r = misbehave();
        if (r >= 0)
                r = say("RegisterService", "t", service);
        return r < 0 ? r : sd_bus_reply_method_return(call, "i", 0);
}

/* The app's end of the side socket has gone. */
static int on_side(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        close(fd);
        say("ConnectionClosed", "t", *(uint64_t *)userdata);
        *(uint64_t *)userdata = 0;
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
        uint64_t *name = connections;
        while (*name)
                name++;
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

/* Before the vtable, which would see to it that answers have the right signature. */
static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        uint64_t owner, connection;
        uint32_t type;
        int r;

        if (!sd_bus_message_is_method_call(call, AMB_HOST_INTERFACE, "NewUserClient"))
                return 0;
        r = sd_bus_message_read(call, "ttu", &owner, &connection, &type);
        if (r >= 0)
                r = odd_open(call, connection, type);
        return r != 0 ? r : sd_bus_message_rewind(call, true) < 0 ? -EIO : 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error);

static int serve(void)
{
        int r = sd_bus_add_filter(bus, NULL, on_call, NULL);

        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, AMB_HOST_PATH, AMB_HOST_INTERFACE, host_vtable, NULL);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                              "Disconnected", on_disconnected, NULL, NULL);
        return r < 0 ? r : sd_bus_attach_event(bus, event, 0);
}

static void add_row(OSArray *all, uint64_t id, uint64_t parent, const char *name, const char *class, uint64_t state,
                    OSDictionary *properties)
{
        OSDictionary *row = OSDictionaryCreate(), *none = OSDictionaryCreate();

        OSDictionarySetUInt64Value(row, "id", id);
        OSDictionarySetUInt64Value(row, "parent", parent);
        OSDictionarySetStringValue(row, "name", name);
        OSDictionarySetStringValue(row, "class", class);
        OSDictionarySetUInt64Value(row, "state", state);
        OSDictionarySetBooleanValue(row, "started", true);
        OSDictionarySetValue(row, "properties", properties ? properties : none);
        OSDictionarySetValue(row, "runtime", none);
        OSArrayAppendValue(all, row);
        OSObject_release(row);
        OSObject_release(none);
}

static OSArray *rows(void)
{
        OSArray *all = OSArrayCreate();

        add_row(all, service, 0x100000102ull, "TestDriver", "IOUserService", 0x1e, service_properties);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(connections); i++)
                if (connections[i])
                        add_row(all, connections[i], service, "TestUserClient", "IOUserUserClient", 0, NULL);
        if (strcmp(manner, "far id") == 0)
                add_row(all, (UINT64_C(1) << 62) - 1, service, "TestUserClient", "IOUserUserClient", 0, NULL);
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
        if (r < 0) {
                /* It has died again meanwhile, or it was the former one's socket: only a daemon's answer counts. */
                bus = sd_bus_close_unref(bus);
                return r;
        }
        if (code != 0)
                _exit(5);
        return serve();
}

static int on_directory(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        char bytes[4096];

        if (read(fd, bytes, sizeof(bytes)) > 0 && !bus && adopt() >= 0)
                sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* The daemon has gone: wait for the next one. */
static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        AMB_FREE char *path = amb_registry_path();
        int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

        sd_bus_detach_event(bus);
        bus = NULL;
        *strrchr(path, '/') = '\0';
        if (inotify_add_watch(fd, path, IN_CREATE | IN_MOVED_TO) < 0)
                _exit(0);
        sd_event_add_io(event, NULL, fd, EPOLLIN, on_directory, NULL);
        /* Another one may be there already. */
        if (adopt() >= 0)
                close(fd);
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
        read_manner(getenv(AMB_HOST_BUNDLE_VARIABLE));
        if (strcmp(manner, "absent") == 0)
                pause();
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
        return serve() < 0 ? 7 : sd_event_loop(event);
}
