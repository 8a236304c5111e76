/* SPDX-License-Identifier: Apache-2.0 */
/* Recorders that break the rules, end, or do not read: each harms nobody but itself. */
#include "hid/test/device.h"

/* Each ends the recording, and nothing else. */
START_TEST(breaks_the_rules)
{
        static uint8_t bytes[sizeof(struct uhid_event) + 1];
        static const struct {
                uint32_t type;
                size_t size;
                uint16_t length;        /* of an OUTPUT or SET_REPORT */
        } rows[] = {
                { UHID_START, 3, 0 },
                { UHID_START, sizeof(bytes), 0 },
                { UHID_OUTPUT, sizeof(struct uhid_event), UHID_DATA_MAX + 1 },
                { UHID_SET_REPORT, sizeof(struct uhid_event), UHID_DATA_MAX + 1 },
                { UHID_SET_REPORT, sizeof(struct uhid_event), 0xFFFF },
        };

        world_begin();
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(rows); i++) {
                struct uhid_event event, *bad = (struct uhid_event *)bytes;
                TestHID *device;
                int fd;

                device = device_start(&fd, &event);
                memset(bytes, 0, sizeof(bytes));
                bad->type = rows[i].type;
                if (rows[i].type == UHID_OUTPUT)
                        bad->u.output.size = rows[i].length;
                else if (rows[i].type == UHID_SET_REPORT)
                        bad->u.set_report.size = rows[i].length;
                ck_assert_int_eq(send(fd, bytes, rows[i].size, 0), (ssize_t)rows[i].size);
                ck_assert_uint_eq(recorder_read(fd, &event), 0);
                ck_assert_int_eq(post_input(device, "1234", 4), kIOReturnSuccess);
                close(fd);
                device_stop(device, -1);
        }
        ck_assert_int_eq(signal_count(&driver.asked), 0);
        world_end();
}
END_TEST

/* What nobody knows, and what only devices say, is passed over; short records have zeros at their end. */
START_TEST(odd_records)
{
        static const uint32_t types[] = { 0, UHID_DESTROY, UHID_CREATE2, UHID_INPUT2, UHID_GET_REPORT_REPLY, UHID_SET_REPORT_REPLY,
                                          UHID_OPEN, UHID_CLOSE, 15, 0x7FFFFFFF, 0xFFFFFFFF };
        struct bench b = bench_begin(ANSWER);
        struct uhid_event event;

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(types); i++)
                ck_assert_int_eq(send(b.fd, &types[i], 4, 0), 4);
        memset(&event, 0, sizeof(event));
        event.type = UHID_GET_REPORT;
        event.u.get_report.id = 77;
        ck_assert_int_eq(send(b.fd, &event, 8, 0), 8);  /* type and id: report 0, a feature */
        expect_get_reply(b.fd, 77, 0, "\0\x11\x22\x33", 4);
        bench_end(&b);
}
END_TEST

static uint32_t chance(uint64_t *seed, uint32_t most)
{
        *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
        return (uint32_t)(*seed >> 33) % most;
}

/* Often one that makes sense. */
static size_t any_record(uint64_t *seed, struct uhid_event *event)
{
        static const uint32_t types[] = { UHID_OUTPUT, UHID_GET_REPORT, UHID_SET_REPORT, UHID_START, UHID_STOP, UHID_OPEN, 99 };
        size_t size = chance(seed, 4) ? sizeof(*event) : chance(seed, sizeof(*event)) + 1;
        uint8_t *bytes = (uint8_t *)event;

        for (size_t i = 0; i < sizeof(*event); i++)
                bytes[i] = (uint8_t)chance(seed, 256);
        event->type = types[chance(seed, AMB_ARRAY_LENGTH(types))];
        if (chance(seed, 8))
                event->u.set_report.size = (uint16_t)chance(seed, UHID_DATA_MAX + 1);
        if (chance(seed, 8))
                event->u.output.size = (uint16_t)chance(seed, UHID_DATA_MAX + 1);
        if (chance(seed, 2))
                event->u.set_report.rtype = event->u.output.rtype = (uint8_t)chance(seed, 3);
        return size;
}

/* Any records, until the recorder is let go of; then the next device. The driver does this and that with what reaches it. */
START_TEST(any_records)
{
        uint64_t seed = 20261122;
        unsigned int records = 0, answered = 0;

        world_begin();
        driver.time_limit_us = 1000;
        while (records < 3000) {
                struct uhid_event event;
                TestHID *device;
                int fd;

                device = device_start(&fd, &event);
                for (bool there = true; there && records < 3000; records++) {
                        size_t size = any_record(&seed, &event);

                        driver.manner = chance(&seed, 2) ? ANSWER : REFUSE;
                        there = send(fd, &event, size, MSG_NOSIGNAL) == (ssize_t)size;
                        while (recv(fd, &event, sizeof(event), MSG_DONTWAIT) > 0)
                                answered++;
                }
                close(fd);
                device_stop(device, -1);
        }
        ck_assert_uint_gt(answered, 100);
        ck_assert_int_gt(signal_count(&driver.asked), 100);
        world_end();
}
END_TEST

START_TEST(recorder_ends)
{
        struct bench b = bench_begin(KEEP);

        recorder_get(b.fd, 1, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        close(b.fd);
        for (int i = 0; i < 100; i++)
                ck_assert_int_eq(post_input(b.device, "1234", 4), kIOReturnSuccess);
        IOHIDDevice_CompleteReport(b.hid, driver.kept, kIOReturnSuccess, 3);
        b.fd = -1;
        bench_end(&b);
}
END_TEST

/* --- recorders that do not read --- */

/* An answer shows that the device knows that it has been started: what comes is sent at once from now on. */
static void know_started(struct bench *b)
{
        ask_get(b, 99, 0, EINVAL, NULL, 0);
}

#define SLOW 1000       /* more than a socket holds */

/* Nothing is lost, and answers keep their place among the reports. */
START_TEST(recorder_reads_later)
{
        struct bench b = bench_begin(ANSWER);

        know_started(&b);
        for (int i = 0; i < SLOW; i++)
                ck_assert_int_eq(post_input(b.device, &i, sizeof(i)), kIOReturnSuccess);
        recorder_get(b.fd, 7, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        for (int i = 0; i < SLOW; i++)
                expect_input(b.fd, &i, sizeof(i));
        expect_get_reply(b.fd, 7, 0, "\0\x11\x22\x33", 4);
        ck_assert_int_eq(post_input(b.device, "1234", 4), kIOReturnSuccess);
        expect_input(b.fd, "1234", 4);
        bench_end(&b);
}
END_TEST

/* What the socket holds is read, in its order, and then there is an end. */
START_TEST(recorder_reads_after_the_end)
{
        struct bench b = bench_begin(ANSWER);
        struct uhid_event event;
        int read = 0;

        know_started(&b);
        for (int i = 0; i < SLOW; i++)
                ck_assert_int_eq(post_input(b.device, &i, sizeof(i)), kIOReturnSuccess);
        ck_assert_int_eq(amb_invoke(b.device, IOService, Stop, NULL), kIOReturnSuccess);
        while (recorder_read(b.fd, &event) > 0) {
                ck_assert_uint_eq(event.type, UHID_INPUT2);
                ck_assert_mem_eq(event.u.input2.data, &read, sizeof(read));
                read++;
        }
        ck_assert_int_gt(read, 100);
        ck_assert_int_lt(read, SLOW);
        close(b.fd);
        b.fd = -1;
        bench_end(&b);
}
END_TEST

/* Linked in poll's place: whoever posts a report waits for nobody. */
static _Thread_local bool posting;

int __real_poll(struct pollfd *fds, nfds_t count, int patience);
int __wrap_poll(struct pollfd *fds, nfds_t count, int patience);

int __wrap_poll(struct pollfd *fds, nfds_t count, int patience)
{
        ck_assert(!posting || patience == 0);
        return __real_poll(fds, count, patience);
}

#define DEAF 3

/* They are let go of, one after the other, and nobody waits for any of them: neither the driver nor another device. */
START_TEST(recorders_that_never_read)
{
        static uint8_t report[AMB_HID_REPORT_MOST];
        struct bench b = bench_begin(ANSWER);
        TestHID *deaf[DEAF];
        int fds[DEAF];

        for (int i = 0; i < DEAF; i++) {
                struct uhid_event event;

                deaf[i] = device_start(&fds[i], &event);
                recorder_start(fds[i]);
                recorder_get(fds[i], 1, 99, 0);
                expect_get_reply(fds[i], 1, EINVAL, NULL, 0);
                posting = true;
                for (size_t sent = 0; sent < 2 * AMB_HID_UNSENT_MOST; sent += sizeof(report))
                        ck_assert_int_eq(post_input(deaf[i], report, sizeof(report)), kIOReturnSuccess);
                posting = false;
                ask_get(&b, UHID_FEATURE_REPORT, 0, 0, "\0\x11\x22\x33", 4);
        }
        for (int i = 0; i < DEAF; i++) {
                struct uhid_event event;

                while (recorder_read(fds[i], &event) > 0)
                        ck_assert_uint_eq(event.type, UHID_INPUT2);     /* and no end of the device: it has been let go of */
                close(fds[i]);
                device_stop(deaf[i], -1);
        }
        bench_end(&b);
}
END_TEST

int main(void)
{
        return run_suite("hid-hostile", breaks_the_rules, odd_records, any_records, recorder_ends, recorder_reads_later,
                         recorder_reads_after_the_end, recorders_that_never_read);
}
