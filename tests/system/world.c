/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/port.h>
#include <ambidext/registry.h>

enum { PATIENCE_MS = 20000 };

static int64_t now_ms(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *world_build_path(const char *relative)
{
        static char path[4096];
        const char *root = getenv("AMBIDEXT_BUILD");
        ck_assert_msg(root != NULL, "AMBIDEXT_BUILD names the build directory; meson sets it for tests");
        snprintf(path, sizeof(path), "%s/%s", root, relative);
        return path;
}

const char *world_log(struct world *world)
{
        static char *text;
        free(text);
        text = NULL;
        int fd = open(world->log, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        off_t size = lseek(fd, 0, SEEK_END);
        text = calloc(1, (size_t)size + 1);
        ssize_t n = pread(fd, text, (size_t)size, 0);
        ck_assert_int_ge(n, 0);
        close(fd);
        return text;
}

void world_until(bool (*condition)(void *context), void *context, const char *what)
{
        int64_t end = now_ms() + PATIENCE_MS;
        for (int pause = 1; !condition(context); pause = pause < 50 ? pause * 2 : 50) {
                ck_assert_msg(now_ms() < end, "waited %d ms in vain: %s", PATIENCE_MS, what);
                poll(NULL, 0, pause); /* there is no event for what other processes' tables show */
        }
}

struct log_wait {
        struct world *world;
        const char *text;
};
static bool log_has(void *context)
{
        struct log_wait *wait = context;
        return strstr(world_log(wait->world), wait->text) != NULL;
}

void world_log_wait(struct world *world, const char *text)
{
        struct log_wait wait = { world, text };
        world_until(log_has, &wait, text);
}

static void wait_ready(int fd)
{
        char text[16] = "";
        struct pollfd poller = { .fd = fd, .events = POLLIN };
        ck_assert_msg(poll(&poller, 1, PATIENCE_MS) == 1, "the daemon did not become ready");
        ssize_t n = read(fd, text, sizeof(text) - 1);
        ck_assert_msg(n > 0 && strncmp(text, "READY", 5) == 0, "the daemon ended before it was ready");
}

void world_daemon_start(struct world *world, const char *const bundles[])
{
        const char *arguments[64];
        char numbers[2][16], *paths[24] = { NULL };
        int ready[2], lifetime[2], n = 0, k = 0;
        ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(lifetime, O_CLOEXEC), 0);
        snprintf(numbers[0], sizeof(numbers[0]), "%d", ready[1]);
        snprintf(numbers[1], sizeof(numbers[1]), "%d", lifetime[0]);
        char *program = strdup(world_build_path("src/daemon/ambidextd"));
        arguments[n++] = program;
        arguments[n++] = "--developer";
        arguments[n++] = "--socket";
        arguments[n++] = world->socket;
        arguments[n++] = "--ready-fd";
        arguments[n++] = numbers[0];
        arguments[n++] = "--lifetime-fd";
        arguments[n++] = numbers[1];
        if (getenv("AMBIDEXT_TEST_NO_SANDBOX"))
                arguments[n++] = "--no-sandbox";
        if (getenv("AMBIDEXT_TEST_POLICY")) {
                arguments[n++] = "--policy";
                arguments[n++] = getenv("AMBIDEXT_TEST_POLICY");
        }
        for (int i = 0; bundles && bundles[i]; i++) {
                arguments[n++] = "--dext";
                arguments[n++] = paths[k++] = strdup(world_build_path(bundles[i]));
        }
        arguments[n] = NULL;

        world->daemon = fork();
        ck_assert_int_ge(world->daemon, 0);
        if (world->daemon == 0) {
                int log = open(world->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
                dup2(log, STDERR_FILENO);
                dup2(log, STDOUT_FILENO);
                fcntl(ready[1], F_SETFD, 0);
                fcntl(lifetime[0], F_SETFD, 0);
                execv(program, (char **)arguments);
                _exit(127);
        }
        close(ready[1]);
        close(lifetime[0]);
        world->lifetime = lifetime[1];
        wait_ready(ready[0]);
        close(ready[0]);
        free(program);
        for (int i = 0; i < k; i++)
                free(paths[i]);
}

void world_start(struct world *world, const char *const bundles[])
{
        const char *temporary = getenv("TMPDIR");
        memset(world, 0, sizeof(*world));
        snprintf(world->directory, sizeof(world->directory), "%s/amb-test-XXXXXX",
                 temporary && strlen(temporary) < 40 ? temporary : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(world->directory));
        snprintf(world->socket, sizeof(world->socket), "%s/registry", world->directory);
        snprintf(world->log, sizeof(world->log), "%s/log", world->directory);
        setenv("AMBIDEXT_REGISTRY", world->socket, 1);
        world_daemon_start(world, bundles);
}

static void wait_child(pid_t pid)
{
        int fd = pidfd_open(pid, 0);
        if (fd >= 0) {
                struct pollfd poller = { .fd = fd, .events = POLLIN };
                ck_assert_msg(poll(&poller, 1, PATIENCE_MS) == 1, "process %d does not end", (int)pid);
                close(fd);
        }
        waitpid(pid, NULL, 0);
}

void world_daemon_kill(struct world *world)
{
        kill(world->daemon, SIGKILL);
        wait_child(world->daemon);
        world->daemon = 0;
        close(world->lifetime);
        world->lifetime = -1;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
        (void)status;
        (void)kind;
        (void)walk;
        return remove(path);
}

/* A process whose environment names our registry is ours: the hosts. */
static int processes_left(struct world *world)
{
        int left = 0;
        DIR *directory = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(directory));) {
                char path[300], environment[16384];
                if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || atoi(entry->d_name) == getpid())
                        continue;
                snprintf(path, sizeof(path), "/proc/%s/environ", entry->d_name);
                int fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        continue;
                ssize_t n = read(fd, environment, sizeof(environment));
                close(fd);
                if (n > 0 && memmem(environment, (size_t)n, world->socket, strlen(world->socket)))
                        left++;
        }
        closedir(directory);
        return left;
}

static bool none_left(void *context)
{
        return processes_left(context) == 0;
}

void world_stop(struct world *world)
{
        if (world->daemon) {
                kill(world->daemon, SIGTERM);
                wait_child(world->daemon);
                close(world->lifetime);
        }
        if (getenv("AMBIDEXT_TEST_VERBOSE"))
                fputs(world_log(world), stderr);
        ck_assert_int_eq(nftw(world->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
        /* A host without daemon ends when the registry's directory goes. Only those that carry our socket's name count. */
        world_until(none_left, world, "hosts are left behind");
}

struct name_wait {
        uint64_t old;
        io_service_t found;
};
static void service_came(void *context, io_iterator_t iterator)
{
        struct name_wait *wait = context;
        for (io_service_t service; (service = IOIteratorNext(iterator));) {
                if (!wait->found && world_service_id(service) != wait->old)
                        wait->found = service;
                else
                        IOObjectRelease(service);
        }
}

io_service_t world_service_again(const char *name, uint64_t old)
{
        struct name_wait wait = { .old = old };
        IONotificationPortRef port = IONotificationPortCreate(0);
        io_iterator_t iterator = 0;
        ck_assert_ptr_nonnull(port);
        kern_return_t code = IOServiceAddMatchingNotification(port, "IOServiceMatched", IOServiceNameMatching(name),
                                                              service_came, &wait, &iterator);
        ck_assert_msg(code == 0, "%s", mach_error_string(code));
        service_came(&wait, iterator);
        int64_t end = now_ms() + PATIENCE_MS;
        while (!wait.found) {
                struct pollfd poller = { .fd = amb_port_get_fd(port), .events = POLLIN };
                ck_assert_msg(now_ms() < end, "no service called %s came", name);
                poll(&poller, 1, 200);
                amb_port_dispatch(port);
        }
        IOObjectRelease(iterator);
        IONotificationPortDestroy(port);
        return wait.found;
}

io_service_t world_service(const char *name)
{
        return world_service_again(name, 0);
}

uint64_t world_service_id(io_service_t service)
{
        uint64_t id = 0;
        IORegistryEntryGetRegistryEntryID(service, &id);
        return id;
}

io_connect_t world_open(const char *name)
{
        io_service_t service = world_service(name);
        io_connect_t connection = 0;
        kern_return_t code = IOServiceOpen(service, mach_task_self(), 0, &connection);
        ck_assert_msg(code == 0, "IOServiceOpen(%s): %s", name, mach_error_string(code));
        IOObjectRelease(service);
        return connection;
}

static uint64_t number_of(CFDictionaryRef row, CFStringRef key)
{
        int64_t value = 0;
        CFNumberRef number = CFDictionaryGetValue(row, key);
        if (number)
                CFNumberGetValue(number, kCFNumberSInt64Type, &value);
        return (uint64_t)value;
}

pid_t world_host_of(io_service_t service)
{
        uint64_t id = world_service_id(service);
        CFArrayRef rows = NULL;
        pid_t pid = 0;
        kern_return_t code = amb_registry_dump(&rows);
        ck_assert_msg(code == 0, "%s", mach_error_string(code));
        for (CFIndex i = 0; i < CFArrayGetCount(rows); i++) {
                CFDictionaryRef row = CFArrayGetValueAtIndex(rows, i);
                if (number_of(row, CFSTR("id")) == id)
                        pid = (pid_t)number_of(row, CFSTR("pid"));
        }
        CFRelease(rows);
        ck_assert_msg(pid > 0, "entry %llu has no host", (unsigned long long)id);
        return pid;
}

pid_t world_host_pid(const char *name)
{
        io_service_t service = world_service(name);
        pid_t pid = world_host_of(service);

        IOObjectRelease(service);
        return pid;
}

void world_kill(pid_t pid)
{
        int fd = pidfd_open(pid, 0);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(pidfd_send_signal(fd, SIGKILL, NULL, 0), 0);
        struct pollfd poller = { .fd = fd, .events = POLLIN };
        ck_assert_int_eq(poll(&poller, 1, PATIENCE_MS), 1);
        close(fd);
}

