/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile app against real processes: it speaks the protocol itself, gets a real connection, and then misuses the channel, the
 * side socket and the registry socket. Whatever it does, the host lives, other apps' calls go on, and the bad one is cut off.
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
#include "channel/loan.h"
#include "channel/side.h"
#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"
#include "raw.h"
#include "echo-world.h"

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

static void setup_both(void)
{
        setup();
        honest = world_open("echo");
        host = world_host_pid("echo");
}
static void teardown_both(void)
{
        IOServiceClose(honest);
        teardown();
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
        static const uint32_t favourites[] = { 0, 1, 2, 16, 17, 31, 32, 64, 4096, 4097, 0x7fffffff, 0x80000000, 0xfffffffe,
                                               0xffffffff };
        struct raw raw;
        raw_open(&raw, "echo");
        uint32_t *memory = mmap(NULL, amb_channel_size(), PROT_READ | PROT_WRITE, MAP_SHARED, raw.channel, 0);
        ck_assert_ptr_ne(memory, MAP_FAILED);
        struct amb_channel_options options = { .peer_pidfd = raw.host };
        struct amb_channel *channel = NULL;
        ck_assert_int_eq(amb_channel_attach(raw.channel, AMB_CHANNEL_APP, &options, &channel), 0);
        /* A sound call first, then every few words something else, a thousand times, the host being woken by further calls. */
        uint32_t state = 0x9e3779b9u + (uint32_t)_i, words = (uint32_t)(amb_channel_size() / 4);
        for (int round = 0; round < 400; round++) {
                raw_knock(&raw);        /* or nobody would look */
                for (int k = 0; k < 50; k++) {
                        uint32_t where = next_random(&state);
                        /* Half of it near the start, where the words that matter are dense. */
                        where = where & 1 ? where % words : where % 2048;
                        uint32_t what = next_random(&state);
                        __atomic_store_n(&memory[where], what & 1 ? favourites[what % AMB_ARRAY_LENGTH(favourites)] : what,
                                         __ATOMIC_SEQ_CST);
                }
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
        raw_knock(&raw);
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
        struct amb_side_message message = { .kind = AMB_SIDE_LOANS, .serial = 1 };
        int fds[200];
        int before = process_descriptors(host);
        struct raw raw;
        raw_open(&raw, "echo");
        for (int i = 0; i < 200; i++)
                fds[i] = raw.channel;
        raw_send(&raw, &message, sizeof(message), fds, 200);
        raw_cut_off(&raw);
        raw_close(&raw);
        honest_is_served();
        ck_assert_int_le(process_descriptors(host), before + 8);
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

/* --- the loans' socket: the app answers what the host asks of its memory --- */

enum {
        PLACE = 16, LENGTH = 5000, SIZE = 8192,         /* of the range that calls name, and of a file that would do */
        PAGES = AMB_LOAN_EXTENTS_MAX,                   /* of a long range that needs all extents there can be */
};

/* What one message of the app says; what is not said is right. */
struct lie {
        const char *name, *why;         /* why: in the log's one line; NULL: no breach, only an error for the driver */
        bool out;                       /* the call has a shared output, not an input */
        bool alive;                     /* the connection goes on afterwards */
        void (*tell)(int loans, uint32_t serial);
};

static int lent(uint64_t size, int seals)
{
        int fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static void tell(int loans, struct amb_loan_message message, int fd)
{
        /* The host may have closed its end in the middle: that is its right. */
        (void)amb_loan_send(loans, &message, fd);
        amb_fd_close(fd);
}

/* Right but for the changes to m. */
#define ANSWER(changes...) do { \
                struct amb_loan_message m = { .kind = AMB_LOAN_ANSWER, .serial = serial }; \
                changes; \
                tell(loans, m, -1); \
        } while (0)
#define EXTENT(fd, changes...) do { \
                struct amb_loan_message m = { .kind = AMB_LOAN_EXTENT, .serial = serial, .ticket = 1, .offset = PLACE, \
                                              .length = LENGTH, .size = SIZE }; \
                changes; \
                tell(loans, m, fd); \
        } while (0)
#define GOOD lent(SIZE, F_SEAL_SHRINK | F_SEAL_GROW)
#define LIE(name, ...) static void name(int loans, uint32_t serial) { __VA_ARGS__ }

LIE(unsealed, ANSWER(m.count = 1); EXTENT(lent(SIZE, 0), m.options = 0);)
LIE(shrinks, ANSWER(m.count = 1); EXTENT(lent(SIZE, F_SEAL_GROW | F_SEAL_SEAL), m.options = 0);)
LIE(too_small, ANSWER(m.count = 1); EXTENT(lent(4096, F_SEAL_SHRINK | F_SEAL_GROW), m.options = 0);)
LIE(too_big, ANSWER(m.count = 1); EXTENT(GOOD, m.size = AMB_LOAN_BYTES_MAX + 1);)
LIE(open_and_small, ANSWER(m.count = 1); EXTENT(lent(4096, 0), m.options = AMB_LOAN_OPEN);)
LIE(not_closed_up, ANSWER(m.count = 1); EXTENT(GOOD, m.ticket = 0, m.options = AMB_LOAN_SEALED | AMB_LOAN_ONCE);)
LIE(device, ANSWER(m.count = 1); EXTENT(open("/dev/zero", O_RDWR | O_CLOEXEC), m.options = AMB_LOAN_OPEN);)
LIE(directory, ANSWER(m.count = 1); EXTENT(open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC), m.options = AMB_LOAN_OPEN);)
LIE(proc_file, ANSWER(m.count = 1); EXTENT(open("/proc/self/maps", O_RDONLY | O_CLOEXEC), m.options = AMB_LOAN_OPEN);)
LIE(the_socket, ANSWER(m.count = 1); EXTENT(fcntl(loans, F_DUPFD_CLOEXEC, 0), m.options = AMB_LOAN_OPEN);)
LIE(unknown_id, ANSWER(m.count = 1); EXTENT(-1, m.ticket = 9);)
LIE(no_id, ANSWER(m.count = 1); EXTENT(GOOD, m.ticket = 0);)
LIE(once_with_id, ANSWER(m.count = 1); EXTENT(GOOD, m.options = AMB_LOAN_ONCE);)
LIE(id_twice, ANSWER(m.count = 2); EXTENT(GOOD, m.length = 4096 - PLACE);
    EXTENT(GOOD, m.offset = 0, m.length = LENGTH - 4096 + PLACE);)
LIE(another_place, ANSWER(m.count = 1); EXTENT(GOOD, m.offset = PLACE + 1);)
LIE(no_page, ANSWER(m.count = 2); EXTENT(GOOD, m.length = 4096 - PLACE);
    EXTENT(-1, m.offset = 1, m.length = LENGTH - 4096 + PLACE);)
LIE(no_page_end, ANSWER(m.count = 2); EXTENT(GOOD, m.length = 4000); EXTENT(-1, m.offset = 0, m.length = LENGTH - 4000);)
LIE(beyond, ANSWER(m.count = 1); EXTENT(GOOD, m.offset = 4096 + PLACE);)
LIE(overflowing, ANSWER(m.count = 1); EXTENT(GOOD, m.offset = UINT64_MAX - 4095 + PLACE);)
LIE(nothing_long, ANSWER(m.count = 1); EXTENT(GOOD, m.length = 0);)
LIE(too_short, ANSWER(m.count = 1); EXTENT(GOOD, m.length = LENGTH - 1);)
LIE(too_long, ANSWER(m.count = 1); EXTENT(GOOD, m.length = LENGTH + 1);)
LIE(too_many_parts, ANSWER(m.count = AMB_LOAN_EXTENTS_MAX + 1);)
LIE(read_only, ANSWER(m.count = 1); EXTENT(GOOD, m.options = 0);)
LIE(wrong_serial, ANSWER(m.serial++, m.count = 1);)
LIE(no_answer_first, EXTENT(GOOD, m.options = 0);)
LIE(extent_of_another, ANSWER(m.count = 1); EXTENT(GOOD, m.serial = serial - 1);)
LIE(two_answers, ANSWER(m.count = 1); ANSWER(m.count = 1);)
LIE(asks_itself, tell(loans, (struct amb_loan_message){ .kind = AMB_LOAN_BORROW, .serial = serial }, -1);)
LIE(no_kind, tell(loans, (struct amb_loan_message){ .kind = 0, .serial = serial }, -1);)
LIE(answer_with_file, tell(loans, (struct amb_loan_message){ .kind = AMB_LOAN_ANSWER, .serial = serial }, GOOD);)
LIE(drop_with_file, tell(loans, (struct amb_loan_message){ .kind = AMB_LOAN_DROP, .ticket = 1 }, GOOD);)
LIE(broken, ck_assert_int_eq(send(loans, &serial, sizeof(serial), 0), sizeof(serial));)
LIE(refuses, ANSWER(m.code = AMB_LOAN_NOT_PERMITTED);)
LIE(has_nothing, ANSWER(m.count = 0);)
LIE(says_no_with_parts, ANSWER(m.code = AMB_LOAN_UNSUITABLE, m.count = 4000000000u % (AMB_LOAN_EXTENTS_MAX + 1));)
LIE(drops_unknown, tell(loans, (struct amb_loan_message){ .kind = AMB_LOAN_DROP, .ticket = 77 }, -1); ANSWER(m.code = 1);)
LIE(ends_in_the_middle, ANSWER(m.count = 2); EXTENT(GOOD, m.length = 4096 - PLACE); shutdown(loans, SHUT_RDWR);)
LIE(ends, (void)serial; shutdown(loans, SHUT_RDWR);)
#undef LIE

#define KIND "a file that is not what it says"
#define KNOWN "a file that is not known, or known already"
#define FIT "a part of a file that does not fit"
#define SENSE "a message that makes no sense"
static const struct lie lies[] = {
        { "unsealed", KIND, false, false, unsealed },
        { "shrinks", KIND, false, false, shrinks },
        { "small", KIND, false, false, too_small },
        { "big", KIND, false, false, too_big },
        { "open and small", NULL, false, false, open_and_small },
        { "not closed up", KIND, false, false, not_closed_up },
        { "device", KIND, false, false, device },
        { "directory", KIND, false, false, directory },
        { "proc", KIND, false, false, proc_file },
        { "socket", KIND, false, false, the_socket },
        { "unknown id", KNOWN, false, false, unknown_id },
        { "no id", KNOWN, false, false, no_id },
        { "once with id", KNOWN, false, false, once_with_id },
        { "id twice", KNOWN, false, false, id_twice },
        { "another place", FIT, false, false, another_place },
        { "no page", FIT, false, false, no_page },
        { "no page's end", "memory of another length", false, false, no_page_end },
        { "beyond", FIT, false, false, beyond },
        { "overflow", FIT, false, false, overflowing },
        { "length 0", FIT, false, false, nothing_long },
        { "short", "memory of another length", false, false, too_short },
        { "long", "memory of another length", false, false, too_long },
        { "parts", SENSE, false, false, too_many_parts },
        { "read-only", FIT, true, false, read_only },
        { "serial", SENSE, false, false, wrong_serial },
        { "no answer first", SENSE, false, false, no_answer_first },
        { "extent of another", SENSE, false, false, extent_of_another },
        { "two answers", SENSE, false, false, two_answers },
        { "asks", SENSE, false, false, asks_itself },
        { "no kind", SENSE, false, false, no_kind },
        { "answer with file", SENSE, false, false, answer_with_file },
        { "drop with file", SENSE, false, false, drop_with_file },
        { "broken", "a broken message on the loans' socket", false, false, broken },
        { "refuses", NULL, false, true, refuses },
        { "has nothing", NULL, true, true, has_nothing },
        { "no, with parts", NULL, false, true, says_no_with_parts },
        { "drops unknown", NULL, false, true, drops_unknown },
        { "ends in the middle", NULL, false, false, ends_in_the_middle },
        { "ends", NULL, true, false, ends },
};

/* A connection with a loans' socket; calls are made by a thread, since the test answers for the library's. */
struct liar {
        struct raw raw;
        struct amb_channel *channel;
        struct amb_call call;
        struct amb_reply reply;
        pthread_t caller;
        int loans, result;
};

static void liar_open(struct liar *liar)
{
        struct amb_side_message request = { .kind = AMB_SIDE_LOANS, .serial = 1 }, answer = { 0 };
        struct amb_channel_options options = { .knock = raw_knock };
        int pair[2], fd = -1;
        *liar = (struct liar){ .loans = -1 };
        raw_open(&liar->raw, "echo");
        options.peer_pidfd = liar->raw.host;
        options.userdata = &liar->raw;
        ck_assert_int_eq(amb_channel_attach(liar->raw.channel, AMB_CHANNEL_APP, &options, &liar->channel), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        ck_assert_int_eq(amb_side_send(liar->raw.side, &request, pair[1], true), 0);
        ck_assert_int_eq(amb_side_receive(liar->raw.side, true, &answer, &fd), 0);
        ck_assert(answer.kind == AMB_SIDE_ANSWER && answer.code == 0);
        close(pair[1]);
        liar->loans = pair[0];
}

static void liar_close(struct liar *liar)
{
        amb_channel_shutdown(liar->channel);
        amb_channel_free(liar->channel);
        close(liar->loans);
        raw_close(&liar->raw);
}

static void *liar_call(void *context)
{
        struct liar *liar = context;
        liar->result = amb_channel_call(liar->channel, &liar->call, &liar->reply);
        return NULL;
}

/* Starts a call with a range of `length` bytes, and takes the host's question. */
static uint32_t liar_asked(struct liar *liar, bool out, uint64_t length)
{
        struct amb_range range = { 7, PLACE, length };
        struct amb_loan_message borrow = { 0 };
        struct pollfd poller = { .fd = liar->loans, .events = POLLIN };
        int fd = -1;
        liar->call = (struct amb_call){ .selector = kEchoStruct, .flags = out ? AMB_CALL_RANGE_OUT : AMB_CALL_RANGE_IN };
        *(out ? &liar->call.range_out : &liar->call.range_in) = range;
        ck_assert_int_eq(pthread_create(&liar->caller, NULL, liar_call, liar), 0);
        ck_assert_int_eq(poll(&poller, 1, 20000), 1);
        ck_assert_int_eq(amb_loan_receive(liar->loans, &borrow, &fd), 0);
        ck_assert(borrow.kind == AMB_LOAN_BORROW && borrow.ticket == 7 && fd < 0);
        return borrow.serial;
}

static int count_of(const char *text, const char *part)
{
        int count = 0;
        for (const char *at = text; (at = strstr(at, part)); at++)
                count++;
        return count;
}

START_TEST(loans_lies)
{
        int before = process_descriptors(host), cut = 0;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lies); i++) {
                const struct lie *lie = &lies[i];
                struct liar liar;
                liar_open(&liar);
                lie->tell(liar.loans, liar_asked(&liar, lie->out, LENGTH));
                pthread_join(liar.caller, NULL);
                /* Cut off, the call may end without a reply. */
                ck_assert_msg(liar.result ? lie->why != NULL : liar.reply.status == kIOReturnError, "%s: %d, %x", lie->name,
                              liar.result, liar.reply.status);
                if (lie->why) {
                        raw_cut_off(&liar.raw);
                        world_log_wait(&world, lie->why);
                        ck_assert_msg(count_of(world_log(&world), "the application is cut off") == ++cut, "%s: %s", lie->name,
                                      world_log(&world));
                } else {
                        struct amb_call call = { .selector = kEchoNop };
                        struct amb_reply reply;
                        ck_assert_int_eq(amb_channel_call(liar.channel, &call, &reply), 0);
                        ck_assert_int_eq(reply.status, 0);
                }
                if (lie->alive) {
                        /* asked again, and answered this time */
                        int loans = liar.loans;
                        uint32_t serial = liar_asked(&liar, lie->out, LENGTH);
                        ANSWER(m.count = 1);
                        EXTENT(GOOD, m.options = AMB_LOAN_WRITABLE);
                        pthread_join(liar.caller, NULL);
                        ck_assert_int_eq(liar.result, 0);
                        ck_assert_msg(liar.reply.status == 0, "%s: %x", lie->name, liar.reply.status);
                }
                liar_close(&liar);
        }
        honest_is_served();
        ck_assert_int_eq(count_of(world_log(&world), "the application is cut off"), cut);
        ck_assert_int_le(process_descriptors(host), before + 8);
}
END_TEST

/* More files than a connection may have. */
START_TEST(loans_too_many_files)
{
        struct liar liar;
        uint32_t id = 0;
        liar_open(&liar);
        for (int round = 0; round <= AMB_LOAN_FILES_MAX / PAGES; round++) {
                int loans = liar.loans;
                uint32_t serial = liar_asked(&liar, false, PAGES * 4096 - PLACE);
                ANSWER(m.count = PAGES);
                for (int i = 0; i < PAGES; i++)
                        EXTENT(lent(4096, F_SEAL_SHRINK | F_SEAL_GROW), m.ticket = ++id, m.size = 4096, m.offset = i ? 0 : PLACE,
                               m.length = i ? 4096 : 4096 - PLACE);
                pthread_join(liar.caller, NULL);
                if (round < AMB_LOAN_FILES_MAX / PAGES)
                        ck_assert(liar.result == 0 && liar.reply.status == 0);
        }
        ck_assert(liar.result != 0 || liar.reply.status == kIOReturnError);
        raw_cut_off(&liar.raw);
        world_log_wait(&world, "or one too many");
        liar_close(&liar);
        honest_is_served();
}
END_TEST

/* An answer before there is a question is read with the next one, and is none. */
START_TEST(loans_answer_to_nothing)
{
        struct liar liar;
        int loans;
        const uint32_t serial = 0;
        liar_open(&liar);
        loans = liar.loans;
        ANSWER(m.count = 1);
        liar_asked(&liar, false, LENGTH);
        pthread_join(liar.caller, NULL);
        raw_cut_off(&liar.raw);
        world_log_wait(&world, SENSE);
        liar_close(&liar);
        honest_is_served();
}
END_TEST

/* A file that the host knows cannot become a closed snapshot by being named so: the driver's input would change under its eyes. */
START_TEST(loans_false_snapshot)
{
        struct liar liar;
        int loans;
        uint32_t serial;
        liar_open(&liar);
        loans = liar.loans;
        serial = liar_asked(&liar, false, LENGTH);
        ANSWER(m.count = 1);
        EXTENT(GOOD, m.options = 0);
        pthread_join(liar.caller, NULL);
        ck_assert(liar.result == 0 && liar.reply.status == 0);
        serial = liar_asked(&liar, false, LENGTH);
        ANSWER(m.count = 1);
        EXTENT(-1, m.options = AMB_LOAN_SEALED);
        pthread_join(liar.caller, NULL);
        ck_assert(liar.result != 0 || liar.reply.status == kIOReturnError);
        raw_cut_off(&liar.raw);
        liar_close(&liar);
        honest_is_served();
}
END_TEST

START_TEST(loans_second_socket)
{
        struct amb_side_message request = { .kind = AMB_SIDE_LOANS, .serial = 2 };
        struct liar liar;
        int pair[2];
        liar_open(&liar);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        ck_assert_int_eq(amb_side_send(liar.raw.side, &request, pair[1], true), 0);
        raw_cut_off(&liar.raw);
        world_log_wait(&world, "a second socket for its loans");
        close(pair[0]);
        close(pair[1]);
        liar_close(&liar);
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
        TCase *tests = test_case("app", flips_while_calling, channel_cannot_be_cut, side_many_descriptors, side_never_reads,
                                 loans_lies, loans_too_many_files, loans_answer_to_nothing, loans_false_snapshot,
                                 loans_second_socket, registry_garbage, registry_odd_opens, registry_false_host);

        tcase_add_checked_fixture(tests, setup_both, teardown_both);
        tcase_set_timeout(tests, 120);
        tcase_add_loop_test(tests, scribbles, 0, 4);
        tcase_add_loop_test(tests, side_wrong_length, 0, 4);
        return run_cases("hostile", tests);
}
