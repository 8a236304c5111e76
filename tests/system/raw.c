/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "channel/side.h"
#include "control/protocol.h"
#include "control/value.h"
#include "raw.h"
#include "world.h"

void raw_open(struct raw *raw, const char *name)
{
        sd_bus_message *call = NULL, *reply = NULL;
        int names_memory = 0;
        int32_t code;
        uint64_t connection;
        io_service_t service = world_service(name);
        char *why = NULL;
        ck_assert_msg(amb_bus_connect_registry(&raw->bus, &why) == 0, "%s", why);
        ck_assert_int_ge(amb_bus_new_call(raw->bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "OpenService"), 0);
        ck_assert_int_ge(sd_bus_message_append(call, "tu", world_service_id(service), 0), 0);
        ck_assert_int_eq(amb_bus_call(raw->bus, call, NULL, &reply), 0);
        ck_assert_int_gt(sd_bus_message_read(reply, "itb", &code, &connection, &names_memory), 0);
        ck_assert_msg(code == 0, "%s", mach_error_string(code));
        struct amb_named_fd fds[] = { { "channel", -1 }, { "side", -1 }, { "host", -1 } };
        ck_assert_int_eq(amb_bus_read_fds(reply, fds, 3), 0);
        raw->channel = fds[0].fd;
        raw->side = fds[1].fd;
        raw->host = fds[2].fd;
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        IOObjectRelease(service);
}

void raw_close(struct raw *raw)
{
        amb_fd_close(raw->channel);
        amb_fd_close(raw->side);
        amb_fd_close(raw->host);
        sd_bus_flush_close_unref(raw->bus);
}

void raw_send(struct raw *raw, const void *bytes, size_t length, const int *fds, int fd_count)
{
        char control[CMSG_SPACE(sizeof(int) * 253)] = { 0 };
        struct iovec vector = { (void *)bytes, length };
        struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
        if (fd_count) {
                message.msg_control = control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
                struct cmsghdr *header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = SOL_SOCKET;
                header->cmsg_type = SCM_RIGHTS;
                header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
                memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)fd_count);
        }
        ck_assert_int_ge(sendmsg(raw->side, &message, MSG_NOSIGNAL), 0);
}

void raw_knock(void *raw)
{
        struct amb_side_message request = { .kind = AMB_SIDE_KNOCK };
        /* A host that has cut us off does not take it; one that is busy has knocks enough. */
        (void)amb_side_send(((struct raw *)raw)->side, &request, -1, false);
}

int raw_map(struct raw *raw, uint32_t type)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .serial = 77, .id = type }, answer;
        int fd = -1;
        raw_send(raw, &request, sizeof(request), NULL, 0);
        /* The descriptor comes with the answer or right behind it. */
        while (fd < 0) {
                ck_assert_int_eq(amb_side_receive(raw->side, true, &answer, &fd), 0);
                ck_assert_int_eq(answer.code, 0);
                ck_assert_uint_eq(answer.serial, 77);
        }
        return fd;
}

void raw_cut_off(struct raw *raw)
{
        struct pollfd poller = { .fd = raw->side, .events = 0 };
        ck_assert_msg(poll(&poller, 1, 20000) == 1 && (poller.revents & POLLHUP),
                      "the host keeps a connection that broke the rules");
}
