/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/test-tool.h"

#include <assert.h>
#include <dirent.h>
#include <link.h>

const char *daemon_program, *host_program;
char directory[64], *socket_path, *log_path;
pid_t daemon_pid;
bool production;
rlim_t descriptors;

/* --- files --- */

char *in_directory(const char *name)
{
        return amb_format("%s/%s", directory, name);
}

void put(const char *name, const char *text)
{
        AMB_FREE char *path = in_directory(name);
        FILE *file = fopen(path, "w");

        ck_assert_ptr_nonnull(file);
        fputs(text, file);
        fclose(file);
}

void put_object(const char *name, uint16_t machine)
{
        AMB_FREE char *path = in_directory(name);
        AMB_FD from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        ElfW(Ehdr) header;

        ck_assert_int_eq(read(from, &header, sizeof(header)), sizeof(header));
        header.e_type = ET_DYN;
        if (machine)
                header.e_machine = machine;
        ck_assert_int_eq(write(to, &header, sizeof(header)), sizeof(header));
}

const char test_info[] =
        "<plist "
        "version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>org.example.test</string><key>IOKitPersonalities</key><dict>"
        "<key>Test</key><dict><key>CFBundleIdentifier</key><string>org.example.test</string><key>IOClass</key><string>IOUserService"
        "</string><key>IOProviderClass</key><string>IOUserResources</string><key>IOUserClass</key><string>TestDriver</string>"
        "<key>IOUserServerName</key><string>org.example.test</string></dict></dict></dict></plist>";

void put_bundle(const char *manner)
{
        AMB_FREE char *path = in_directory("Test.dext");

        ck_assert_int_eq(mkdir(path, 0755), 0);
        put("Test.dext/Info.plist", test_info);
        put_object("Test.dext/Test", 0);        /* the model host loads nothing */
        if (manner)
                put("Test.dext/manner", manner);
}

/* Everybody may use the test driver. */
void put_policy(void)
{
        AMB_FREE char *path = in_directory("policy");

        ck_assert_int_eq(mkdir(path, 0755), 0);
        put("policy/test.plist",
            "<plist version=\"1.0\"><dict><key>Version</key><integer>1</integer><key>Grants</key><array><dict>"
            "<key>Subject</key><dict><key>Any</key><true/></dict><key>Entitlements</key><dict>"
            "<key>com.apple.developer.driverkit.userclient-access</key><array><string>org.example.test</string></array>"
            "</dict></dict></array></dict></plist>");
}

char *log_text(void)
{
        char *text = NULL;
        size_t length;

        ck_assert_int_eq(amb_file_read(AT_FDCWD, log_path, 1 << 20, &text, &length), 0);
        return text;
}

unsigned log_count(const char *what)
{
        AMB_FREE char *text = log_text();
        unsigned count = 0;

        for (const char *found = text; (found = strstr(found, what)); found += strlen(what))
                count++;
        return count;
}

static void remove_tree(const char *path)
{
        DIR *entries = opendir(path);
        struct dirent *entry;

        while (entries && (entry = readdir(entries))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                AMB_FREE char *inner = amb_format("%s/%s", path, entry->d_name);
                if (unlink(inner) < 0)
                        remove_tree(inner);
        }
        if (entries)
                closedir(entries);
        rmdir(path);
}

/* --- the daemon --- */

/* -1, or the exit status of one that has ended before it was ready. */
int daemon_start(char *const *more)
{
        char ready[9] = "", *arguments[16] = { (char *)daemon_program, "--socket", socket_path, "--host", (char *)host_program,
                                              "--ready-fd", "3" };
        struct rlimit limit = { descriptors, descriptors };
        int fds[2], status, log, count = 7;

        if (!production)
                arguments[count++] = "--developer";
        while (more && *more)
                arguments[count++] = *more++;
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        daemon_pid = fork();
        ck_assert_int_ge(daemon_pid, 0);
        if (daemon_pid == 0) {
                log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
                dup2(log, STDERR_FILENO);
                dup2(log, STDOUT_FILENO);
                if (descriptors)
                        setrlimit(RLIMIT_NOFILE, &limit);
                if (fds[1] == 3)
                        fcntl(3, F_SETFD, 0);
                else
                        dup2(fds[1], 3);
                execv(daemon_program, arguments);
                _exit(125);
        }
        close(fds[1]);
        status = read(fds[0], ready, 8) == 8 ? -1 : 0;
        close(fds[0]);
        if (status < 0) {
                ck_assert_str_eq(ready, "READY=1\n");
                return -1;
        }
        ck_assert_int_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
        daemon_pid = 0;
        ck_assert(WIFEXITED(status));
        return WEXITSTATUS(status);
}

void daemon_signal(int number)
{
        int status;

        kill(daemon_pid, number);
        ck_assert_int_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
        daemon_pid = 0;
        if (number != SIGKILL)
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

void set_up(void)
{
        /* The daemon may cut us off while we write. */
        signal(SIGPIPE, SIG_IGN);
        strcpy(directory, "/tmp/ambidext-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(directory));
        socket_path = in_directory("registry");
        log_path = in_directory("log");
        setenv(AMB_REGISTRY_VARIABLE, socket_path, 1);
}

/* An orderly end leaves nothing of the daemon's behind. */
void tear_down(void)
{
        static const char *const leftovers[] = { "registry", "registry.lock", "registry.new", "registry.state" };

        if (daemon_pid > 0)
                daemon_signal(SIGTERM);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(leftovers); i++) {
                AMB_FREE char *path = in_directory(leftovers[i]);

                ck_assert_msg(access(path, F_OK) < 0, "%s is left", path);
        }
        remove_tree(directory);
        free(socket_path);
        free(log_path);
}

/* --- speaking --- */

sd_bus *bus_new(void)
{
        sd_bus *bus = NULL;
        char *message = NULL;

        ck_assert_msg(amb_bus_connect_registry(&bus, &message) == 0, "%s", message);
        return bus;
}

sd_bus_message *call_new(sd_bus *bus, const char *member, const char *types, ...)
{
        sd_bus_message *call = NULL;
        va_list arguments;

        ck_assert_int_eq(amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, member), 0);
        va_start(arguments, types);
        ck_assert_int_ge(sd_bus_message_appendv(call, types, arguments), 0);
        va_end(arguments);
        return call;
}

sd_bus_message *reply_to(sd_bus *bus, sd_bus_message *call)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r = sd_bus_call(bus, call, PATIENCE, &error, &reply);

        ck_assert_msg(r >= 0, "%s: %s", sd_bus_message_get_member(call), error.message);
        sd_bus_message_unref(call);
        return reply;
}

int code_of(sd_bus_message *reply)
{
        int code;

        ck_assert_int_gt(sd_bus_message_read(reply, "i", &code), 0);
        return code;
}

static int on_news(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
        struct news *news = userdata;

        ck_assert_int_gt(sd_bus_message_read(signal, "ut", &news->subscription, &news->entry), 0);
        if (strcmp(sd_bus_message_get_member(signal), "Interest") == 0)
                ck_assert_int_gt(sd_bus_message_read(signal, "u", &news->message), 0);
        news->count++;
        return 0;
}

/* Waits until `count` pieces of news have come in all. */
void wait_news(sd_bus *bus, struct news *news, unsigned count)
{
        while (news->count < count) {
                int r = sd_bus_process(bus, NULL);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_gt(sd_bus_wait(bus, PATIENCE), 0);
        }
}

void hear_news(sd_bus *bus, struct news *news)
{
        ck_assert_int_ge(sd_bus_match_signal_async(bus, NULL, NULL, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, NULL, on_news,
                                                   NULL, news), 0);
}

/* The service of the test driver, matched; `other` is one that is not meant. */
uint64_t find_driver(sd_bus *bus, struct news *news)
{
        sd_bus_message *reply;
        uint64_t *ids = NULL, id;
        size_t count;

        hear_news(bus, news);
        reply = reply_to(bus, call_new(bus, "Subscribe", "usa{sv}", 1, "IOServiceFirstMatch", 1, "IONameMatch", "s",
                                       "TestDriver"));
        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_eq(amb_id_array_read(reply, &ids, &count), 0);
        sd_bus_message_unref(reply);
        if (count == 0)
                wait_news(bus, news, 1);
        id = count > 0 ? ids[0] : news->entry;
        news->count = 0;
        free(ids);
        return id;
}

pid_t host_pid(sd_bus *bus, uint64_t entry)
{
        sd_bus_message *reply = reply_to(bus, call_new(bus, "GetEntry", "t", entry));
        uint64_t pid;

        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_ge(sd_bus_message_skip(reply, "ssuuatat"), 0);
        ck_assert_int_gt(sd_bus_message_read(reply, "t", &pid), 0);
        sd_bus_message_unref(reply);
        return (pid_t)pid;
}

struct amb_named_fd ends[3] = { { "channel", -1 }, { "side", -1 }, { "host", -1 } };

int open_service(sd_bus *bus, uint64_t entry, uint32_t type, uint64_t *ret_connection)
{
        sd_bus_message *reply = reply_to(bus, call_new(bus, "OpenService", "tu", entry, type));
        int code = code_of(reply), names_memory;

        ck_assert_int_gt(sd_bus_message_read(reply, "tb", ret_connection, &names_memory), 0);
        ck_assert_int_eq(names_memory, code == 0);      /* developer mode */
        ends[0].fd = ends[1].fd = ends[2].fd = -1;
        ck_assert_int_eq(amb_bus_read_fds(reply, ends, 3), 0);
        for (int i = 0; i < 3; i++)
                ck_assert((ends[i].fd >= 0) == (code == 0));
        sd_bus_message_unref(reply);
        return code;
}

void close_ends(void)
{
        for (int i = 0; i < 3; i++)
                ends[i].fd = amb_fd_close(ends[i].fd);
}

void wait_end(pid_t pid)
{
        struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

        if (end.fd < 0)
                return;
        ck_assert_int_eq(poll(&end, 1, (int)(PATIENCE / 1000)), 1);
        close(end.fd);
}

void start_with_driver(bool allowed, const char *manner)
{
        AMB_FREE char *bundle = in_directory("Test.dext"), *policy = in_directory("policy");

        put_bundle(manner);
        if (allowed)
                put_policy();
        ck_assert_int_eq(daemon_start((char *[]){ "--dext", bundle, allowed ? "--policy" : NULL, policy, NULL }), -1);
}

void is_alive(void)
{
        sd_bus *bus = bus_new();
        sd_bus_message *reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(0)));

        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        sd_bus_close_unref(bus);
}

int raw_connect(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

/* The row of the entry; everything else can be read too. */
OSDictionary *dump_row(sd_bus *bus, uint64_t entry, size_t *ret_count)
{
        sd_bus_message *reply = reply_to(bus, call_new(bus, "Dump", ""));
        OSDictionary *found = NULL;
        OSArray *rows = NULL;

        ck_assert_int_eq(amb_dictionary_array_read(reply, &rows), 0);
        sd_bus_message_unref(reply);
        *ret_count = OSArrayGetCount(rows);
        for (size_t i = 0; i < *ret_count; i++) {
                OSDictionary *row = OSDynamicCast(OSDictionary, OSArrayGetValue(rows, i));

                if (OSDictionaryGetUInt64Value(row, "id") == entry)
                        found = row;
        }
        OSObject_retain(found);
        OSObject_release(rows);
        return found;
}

sd_bus *start_and_find(bool allowed, struct news *news, uint64_t *ret_entry)
{
        sd_bus *bus;

        start_with_driver(allowed, NULL);
        bus = bus_new();
        *ret_entry = find_driver(bus, news);
        return bus;
}

/* The driver, by its bundle: its name is what is tested. */
uint64_t wait_driver(sd_bus *bus)
{
        struct news news = { .count = 0 };
        sd_bus_message *reply;
        uint64_t *ids = NULL, id;
        size_t count;

        hear_news(bus, &news);
        reply = reply_to(bus, call_new(bus, "Subscribe", "usa{sv}", 7, "IOServiceMatched", 1, "IOPropertyMatch", "a{sv}", 1,
                                       "CFBundleIdentifier", "s", "org.example.test"));
        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_eq(amb_id_array_read(reply, &ids, &count), 0);
        sd_bus_message_unref(reply);
        if (count == 0)
                wait_news(bus, &news, 1);
        id = count > 0 ? ids[0] : news.entry;
        free(ids);
        sd_bus_message_unref(reply_to(bus, call_new(bus, "Unsubscribe", "u", 7)));
        return id;
}

/* --- running --- */

int daemon_suite(const char *name, char **arguments, const TTest *const *tests)
{
        TCase *cases[64] = { NULL };

        daemon_program = arguments[1];
        host_program = arguments[2];
        for (size_t i = 0; tests[i]; i++) {
                assert(i + 1 < AMB_ARRAY_LENGTH(cases));
                cases[i] = test_case(tests[i]->name, tests[i]);
                tcase_add_checked_fixture(cases[i], set_up, tear_down);
        }
        return amb_run_cases(name, cases);
}
