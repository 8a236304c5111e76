/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile app against real processes: it speaks the protocol itself, gets a real connection, and then misuses the channel, the
 * side socket and the registry socket. Whatever it does, the host lives, other apps' calls go on, and the bad connection is cut off.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/channel.h"
#include "channel/side.h"
#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"
#include "drivers/echo/echo.h"
#include "raw.h"
#include "world.h"

static struct world world;
static const char *const bundles[] = { "drivers/echo.dext", NULL };
static io_connect_t honest;
static pid_t host;

/* The other app is served as if nothing were wrong, by the same host. */
static void honest_is_served(void)
{
        for (uint64_t i = 0; i < 200; i++) {
                uint64_t in[2] = { i, i * 3 }, out[2] = { 0 };
                uint32_t count = 2;
                ck_assert_int_eq(IOConnectCallScalarMethod(honest, kEchoNop, in, 2, out, &count), 0);
                ck_assert_uint_eq(out[1], i * 3);
        }
        ck_assert_int_eq(world_host_pid("echo"), host);
}

static void setup(void)
{
        world_start(&world, bundles);
        honest = world_open("echo");
        host = world_host_pid("echo");
}
static void teardown(void)
{
        IOServiceClose(honest);
        world_stop(&world);
}

/* --- the channel --- */

static uint32_t next_random(uint32_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        return *state;
}

START_TEST(scribbles)
{
        static const uint32_t favourites[] = { 0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 4096, 4097, 16, 17, 64, 31, 32 };
        struct raw raw;
        raw_open(&raw, "echo");
        uint32_t *memory = mmap(NULL, amb_channel_size(), PROT_READ | PROT_WRITE, MAP_SHARED, raw.channel, 0);
        ck_assert_ptr_ne(memory, MAP_FAILED);
        struct amb_channel_options options = { .peer_pidfd = raw.host };
        struct amb_channel *channel = NULL;
        ck_assert_int_eq(amb_channel_attach(raw.channel, AMB_CHANNEL_APP, &options, &channel), 0);
        /* A sound call first, then every few words something else, a thousand times, the host being woken by further calls. */
        uint32_t state = 0x9e3779b9u + (uint32_t)_i, words = (uint32_t)(amb_channel_size() / 4);
        for (int round = 0; round < 400; round++)
                for (int k = 0; k < 50; k++) {
                        uint32_t where = next_random(&state);
                        /* Half of it near the start, where the words that matter are dense. */
                        where = where & 1 ? where % words : where % 2048;
                        uint32_t what = next_random(&state);
                        __atomic_store_n(&memory[where], what & 1 ? favourites[what % AMB_ARRAY_LENGTH(favourites)] : what, __ATOMIC_SEQ_CST);
                }
        honest_is_served();
        munmap(memory, amb_channel_size());
        amb_channel_shutdown(channel);
        amb_channel_free(channel);
        raw_close(&raw);
        honest_is_served();
}
END_TEST

/* A sound call and, between its being sent and its being read, changes of the words it consists of. */
static void *flip(void *argument)
{
        uint32_t *memory = argument, state = 12345;
        for (int i = 0; i < 2000000; i++)
                __atomic_store_n(&memory[next_random(&state) % 8192], next_random(&state) & 0x1f, __ATOMIC_RELAXED);
        return NULL;
}

START_TEST(flips_while_calling)
{
        struct raw raw;
        raw_open(&raw, "echo");
        uint32_t *memory = mmap(NULL, amb_channel_size(), PROT_READ | PROT_WRITE, MAP_SHARED, raw.channel, 0);
        struct amb_channel_options options = { .peer_pidfd = raw.host };
        struct amb_channel *channel = NULL;
        pthread_t thread, stopper;
        ck_assert_int_eq(amb_channel_attach(raw.channel, AMB_CHANNEL_APP, &options, &channel), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, flip, memory), 0);
        (void)stopper;
        honest_is_served();
        pthread_join(thread, NULL);
        honest_is_served();
        amb_channel_shutdown(channel);
        amb_channel_free(channel);
        munmap(memory, amb_channel_size());
        raw_close(&raw);
        honest_is_served();
}
END_TEST

START_TEST(channel_cannot_be_cut)
{
        struct raw raw;
        raw_open(&raw, "echo");
        ck_assert_int_lt(ftruncate(raw.channel, 0), 0);
        ck_assert_int_lt(ftruncate(raw.channel, 1 << 30), 0);
        /* Holes can be punched: zeros, which are as good as any other scribble. */
        fallocate(raw.channel, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)amb_channel_size());
        honest_is_served();
        raw_close(&raw);
        honest_is_served();
}
END_TEST

/* --- the side socket --- */

START_TEST(side_wrong_length)
{
        static const size_t lengths[] = { 1, 39, 41, 4096 };
        char bytes[4096] = { 1 };
        struct raw raw;
        raw_open(&raw, "echo");
        raw_send(&raw, bytes, lengths[_i], NULL, 0);
        raw_cut_off(&raw);
        raw_close(&raw);
        honest_is_served();
}
END_TEST

START_TEST(side_many_descriptors)
{
        struct amb_side_message message = { .kind = AMB_SIDE_REGION, .serial = 1, .flags = AMB_SIDE_REGION_IN, .size = 8192 };
        int fds[200];
        int before = world_fd_count(host);
        struct raw raw;
        raw_open(&raw, "echo");
        for (int i = 0; i < 200; i++)
                fds[i] = raw.channel;
        raw_send(&raw, &message, sizeof(message), fds, 200);
        raw_cut_off(&raw);
        raw_close(&raw);
        honest_is_served();
        ck_assert_int_le(world_fd_count(host), before + 8);
}
END_TEST

/* Memory of the wrong kind as a region: none of it is taken. */
START_TEST(side_bad_region)
{
        struct amb_side_message message = { .kind = AMB_SIDE_REGION, .serial = 1, .flags = AMB_SIDE_REGION_IN, .size = 8192 }, answer;
        int fd = -1, came = -1, ends[2] = { -1, -1 };
        char path[] = "/tmp/amb-region-XXXXXX";
        switch (_i) {
        case 0: fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING); ck_assert_int_eq(ftruncate(fd, 8192), 0); break;
        case 1: fd = memfd_create("shrinks", MFD_CLOEXEC | MFD_ALLOW_SEALING); ck_assert_int_eq(ftruncate(fd, 8192), 0);
                fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL); break;
        case 2: fd = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING); ck_assert_int_eq(ftruncate(fd, 4096), 0);
                fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL); break;
        case 3: fd = mkstemp(path); ck_assert_int_eq(ftruncate(fd, 8192), 0); unlink(path); break;
        case 4: ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0); fd = ends[0]; break;
        case 5: fd = open("/dev/zero", O_RDWR | O_CLOEXEC); break;
        case 6: fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); break;
        }
        struct raw raw;
        raw_open(&raw, "echo");
        raw_send(&raw, &message, sizeof(message), &fd, 1);
        int r = amb_side_receive(raw.side, true, &answer, &came);
        /* Cut off, or told no: never taken. */
        ck_assert_msg(r != 0 || answer.code != 0, "memory of kind %d was taken", _i);
        raw_close(&raw);
        close(fd);
        amb_fd_close(ends[1]);
        honest_is_served();
}
END_TEST

START_TEST(side_never_reads)
{
        struct amb_side_message message = { .kind = AMB_SIDE_PORT_DROP, .serial = 1, .id = 3 };
        struct raw raw;
        raw_open(&raw, "echo");
        struct msghdr header = { .msg_iov = &(struct iovec){ &message, sizeof(message) }, .msg_iovlen = 1 };
        /* Ask without end, read no answer: the host neither waits nor grows. */
        for (int i = 0; i < 100000; i++)
                if (sendmsg(raw.side, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
                        break;
        honest_is_served();
        raw_close(&raw);
        honest_is_served();
}
END_TEST

/* --- the registry socket --- */

static int registry_socket(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        strcpy(address.sun_path, world.socket);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

START_TEST(registry_garbage)
{
        uint32_t state = 777;
        for (int round = 0; round < 60; round++) {
                int fd = registry_socket();
                char bytes[512];
                for (size_t i = 0; i < sizeof(bytes); i++)
                        bytes[i] = (char)next_random(&state);
                if (round & 1)
                        memcpy(bytes, "\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", 46);
                ssize_t n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
                (void)n;
                if (round % 3)
                        close(fd); /* the others stay open and silent until the test ends */
        }
        honest_is_served();
        IOObjectRelease(world_service("echo"));
}
END_TEST

START_TEST(registry_odd_opens)
{
        static const uint64_t odd[] = { 0, 1, 0x100000100ull, ~0ull, 0x7fffffffffffffffull };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(odd); i++) {
                sd_bus *bus = NULL;
                sd_bus_message *call = NULL, *reply = NULL;
                int32_t code = 0;
                ck_assert_int_eq(amb_bus_connect_registry(&bus, NULL), 0);
                ck_assert_int_ge(amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "OpenService"), 0);
                ck_assert_int_ge(sd_bus_message_append(call, "tu", odd[i], 0), 0);
                ck_assert_int_eq(amb_bus_call(bus, call, NULL, &reply), 0);
                ck_assert_int_gt(sd_bus_message_read(reply, "i", &code), 0);
                ck_assert_int_ne(code, 0);
                sd_bus_message_unref(call);
                sd_bus_message_unref(reply);
                sd_bus_flush_close_unref(bus);
        }
        honest_is_served();
}
END_TEST

/* An app may not speak as a host. */
START_TEST(registry_false_host)
{
        static const struct {
                const char *member, *signature;
        } calls[] = { { "RegisterService", "t" }, { "DidStop", "t" }, { "ConnectionClosed", "t" } };
        io_service_t service = world_service("echo");
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(calls); i++) {
                sd_bus *bus = NULL;
                sd_bus_message *call = NULL, *reply = NULL;
                int32_t code = 0;
                ck_assert_int_eq(amb_bus_connect_registry(&bus, NULL), 0);
                ck_assert_int_ge(amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, calls[i].member), 0);
                ck_assert_int_ge(sd_bus_message_append(call, calls[i].signature, world_service_id(service)), 0);
                int r = amb_bus_call(bus, call, NULL, &reply);
                if (r == 0 && sd_bus_message_read(reply, "i", &code) > 0)
                        ck_assert_msg(code != 0, "%s was carried out for an app", calls[i].member);
                sd_bus_message_unref(call);
                sd_bus_message_unref(reply);
                sd_bus_flush_close_unref(bus);
        }
        IOObjectRelease(service);
        honest_is_served();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("hostile");
        TCase *tests = tcase_create("app");
        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, 120);
        tcase_add_loop_test(tests, scribbles, 0, 4);
        tcase_add_test(tests, flips_while_calling);
        tcase_add_test(tests, channel_cannot_be_cut);
        tcase_add_loop_test(tests, side_wrong_length, 0, 4);
        tcase_add_test(tests, side_many_descriptors);
        tcase_add_loop_test(tests, side_bad_region, 0, 7);
        tcase_add_test(tests, side_never_reads);
        tcase_add_test(tests, registry_garbage);
        tcase_add_test(tests, registry_odd_opens);
        tcase_add_test(tests, registry_false_host);
        suite_add_tcase(suite, tests);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
