/* SPDX-License-Identifier: Apache-2.0 */
/* The side socket's messages: what is handed out, what is refused, and that no descriptor is lost on the way. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/test-process.h"
#include "base/test-suite.h"
#include "channel/side.h"

static int ends[2];

static void set_up(void)
{
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static int memory(size_t size, int seals)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

START_TEST(round_trip)
{
        struct amb_side_message sent = { .kind = AMB_SIDE_LOANS, .serial = 7, .id = 3, .flags = 1, .size = 5 }, got;
        int fd = memory(5, F_SEAL_SEAL), received;

        ck_assert_int_eq(amb_side_receive(ends[1], false, &got, &received), AMB_SIDE_NOTHING);
        ck_assert_int_eq(amb_side_send(ends[0], &sent, fd, true), 0);
        ck_assert_int_eq(amb_side_receive(ends[1], true, &got, &received), 0);
        ck_assert_mem_eq(&sent, &got, sizeof(got));
        ck_assert_int_ge(received, 0);
        ck_assert_int_eq(fcntl(received, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        ck_assert_int_eq(amb_side_send(ends[0], &sent, -1, true), 0);
        ck_assert_int_eq(amb_side_receive(ends[1], true, &got, &received), 0);
        ck_assert_int_eq(received, -1);
        close(ends[0]);
        ck_assert_int_eq(amb_side_receive(ends[1], true, &got, &received), AMB_SIDE_END);
        ck_assert_int_eq(amb_side_send(ends[1], &sent, -1, true), AMB_SIDE_GONE);
}
END_TEST

/* Raw bytes and descriptors, as a peer may send them. */
static void send_raw(size_t length, int fds)
{
        char bytes[80] = { 0 };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(8 * sizeof(int))];
        } control = { 0 };
        struct iovec vector = { bytes, length };
        struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

        if (fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE((size_t)fds * sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN((size_t)fds * sizeof(int));
                for (int i = 0; i < fds; i++)
                        memcpy(CMSG_DATA(&control.header) + (size_t)i * sizeof(int), &ends[0], sizeof(int));
        }
        ck_assert_int_eq(sendmsg(ends[0], &message, 0), (ssize_t)length);
}

START_TEST(odd_messages)
{
        const struct {
                size_t length;
                int fds, result;
        } cases[] = {
                { 0, 0, AMB_SIDE_END }, { 0, 1, AMB_SIDE_END }, { 39, 0, AMB_SIDE_BROKEN }, { 41, 0, AMB_SIDE_BROKEN },
                { 41, 1, AMB_SIDE_BROKEN }, { 40, 2, AMB_SIDE_BROKEN }, { 40, 3, AMB_SIDE_BROKEN }, { 40, 8, AMB_SIDE_BROKEN },
        };
        int before = process_descriptors(getpid());

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                struct amb_side_message got = { .kind = 99 };
                int fd = -7;

                send_raw(cases[i].length, cases[i].fds);
                ck_assert_msg(amb_side_receive(ends[1], true, &got, &fd) == cases[i].result, "case %zu", i);
                ck_assert(got.kind == 99 && fd == -7);
                ck_assert_msg(process_descriptors(getpid()) == before, "case %zu lost a descriptor", i);
        }
}
END_TEST

START_TEST(full)
{
        struct amb_side_message m = { .kind = AMB_SIDE_ANSWER };
        int r;

        do
                r = amb_side_send(ends[0], &m, -1, false);
        while (r == 0);
        ck_assert_int_eq(r, AMB_SIDE_FULL);
}
END_TEST

START_TEST(requests)
{
        const struct amb_side_message good = { .kind = AMB_SIDE_LOANS, .serial = 1 };
        struct amb_side_message m;

        ck_assert(amb_side_request_valid(&good, true));
        ck_assert(!amb_side_request_valid(&good, false));
#define BAD(change) do { m = good; change; ck_assert_msg(!amb_side_request_valid(&m, true), #change); } while (0)
        BAD(m.id = 1);
        BAD(m.flags = 1);
        BAD(m.size = 1);
        BAD(m.code = 1);
        BAD(m.filler = 1);
        BAD(m.identity = 1);
        BAD(m.kind = AMB_SIDE_MAP);
        BAD(m.kind = AMB_SIDE_FETCH);
        BAD(m.kind = AMB_SIDE_CLOSE);
        BAD(m.kind = 0);
        BAD(m.kind = AMB_SIDE_ANSWER);
        BAD(m.kind = AMB_SIDE_EXTENT);
#undef BAD
        /* No answer is wanted. */
        m = good;
        m.serial = 0;
        ck_assert(amb_side_request_valid(&m, true));
        m = (struct amb_side_message){ .kind = AMB_SIDE_PORT, .serial = 1, .id = AMB_SIDE_PORTS_MAX };
        ck_assert(!amb_side_request_valid(&m, true));
        m.id--;
        ck_assert(amb_side_request_valid(&m, true));
        m.id |= 5 << 8;
        ck_assert(amb_side_request_valid(&m, true));
        m.serial = 0;
        ck_assert(!amb_side_request_valid(&m, true));
        m.kind = AMB_SIDE_PORT_DROP;
        ck_assert(amb_side_request_valid(&m, false));
        const struct amb_side_message trap = { .kind = AMB_SIDE_TRAP, .serial = 1, .id = 1, .size = AMB_SIDE_NAME_MAX };
        ck_assert(amb_side_request_valid(&trap, true));
        ck_assert(!amb_side_request_valid(&trap, false));
        for (int wrong = 0; wrong < 4; wrong++) {
                m = trap;
                m.id += wrong == 0;
                m.size += wrong == 1;
                m.size = wrong == 2 ? 0 : m.size;
                m.flags = wrong == 3;
                ck_assert_msg(!amb_side_request_valid(&m, true), "%d", wrong);
        }
        m = (struct amb_side_message){ .kind = AMB_SIDE_KNOCK };
        ck_assert(amb_side_request_valid(&m, false));
        ck_assert(!amb_side_request_valid(&m, true));
        m.serial = 1;
        ck_assert(!amb_side_request_valid(&m, false));
        for (int i = 0; i < 2; i++) {
                m = (struct amb_side_message){ .kind = i == 0 ? AMB_SIDE_CLOSE : AMB_SIDE_MAP_MORE, .serial = 1 };
                ck_assert(amb_side_request_valid(&m, false));
                m.size = 1;
                ck_assert(!amb_side_request_valid(&m, false));
                m.size = 0;
                m.id = 1;
                ck_assert(!amb_side_request_valid(&m, false));
        }
}
END_TEST

START_TEST(memories)
{
        const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

        ck_assert(amb_side_memory_check(memory(4096, all), 4096, 0));
        ck_assert(amb_side_memory_check(memory(4096, all), 0, 0));
        ck_assert(!amb_side_memory_check(memory(4096, all), 4097, 0));
        ck_assert(!amb_side_memory_check(memory(4096, all), 4096, F_SEAL_FUTURE_WRITE));
        ck_assert(amb_side_memory_check(memory(4096, all | F_SEAL_FUTURE_WRITE), 4096, F_SEAL_FUTURE_WRITE));
        ck_assert(!amb_side_memory_check(memory(4096, F_SEAL_GROW | F_SEAL_SEAL), 4096, 0));
        ck_assert(!amb_side_memory_check(memory(4096, F_SEAL_SHRINK | F_SEAL_SEAL), 4096, 0));
        ck_assert(!amb_side_memory_check(memory(4096, F_SEAL_SHRINK | F_SEAL_GROW), 4096, 0));
        ck_assert(!amb_side_memory_check(memory(0, all), 0, 0));
        ck_assert(!amb_side_memory_check(ends[0], 0, 0));
        ck_assert(!amb_side_memory_check(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0, 0));
        ck_assert(!amb_side_memory_check(open("/tmp", O_PATH | O_CLOEXEC), 0, 0));
}
END_TEST

/* A wake-up is never waited for, whatever the reader does with its end. */
START_TEST(ports)
{
        struct pollfd pollfd = { .events = POLLIN };
        int write_fd, others[2];

        ck_assert_int_eq(amb_side_port_create(&pollfd.fd, &write_fd), 0);
        ck_assert(amb_side_port_check(write_fd));
        ck_assert_int_eq(poll(&pollfd, 1, 0), 0);
        amb_side_port_wake(write_fd);
        ck_assert_int_eq(poll(&pollfd, 1, 0), 1);
        amb_side_port_drain(pollfd.fd);
        ck_assert_int_eq(poll(&pollfd, 1, 0), 0);
        for (int i = 0; i < 100000; i++)
                amb_side_port_wake(write_fd);
        amb_side_port_drain(pollfd.fd);
        ck_assert_int_eq(poll(&pollfd, 1, 0), 0);
        close(pollfd.fd);
        amb_side_port_wake(write_fd);
        ck_assert(!amb_side_port_check(ends[0]));
        ck_assert_int_eq(pipe2(others, O_CLOEXEC), 0);
        ck_assert(!amb_side_port_check(others[1]));
}
END_TEST

int main(void)
{
        TCase *tests = test_case("side", round_trip, odd_messages, full, requests, memories, ports);

        tcase_add_checked_fixture(tests, set_up, NULL);
        return run_cases("side", tests);
}
