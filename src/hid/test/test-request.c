/* SPDX-License-Identifier: Apache-2.0 */
/* What the system asks of a device, and how it is answered: by the driver, now, later or never, or for it. */
#include "hid/test/device.h"

START_TEST(set_report)
{
        struct bench b = bench_begin(ANSWER);

        ask_set(&b, UHID_FEATURE_REPORT, 0, "xyz", 3, 0);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeFeature);
        ck_assert_uint_eq(driver.options, 0);
        ck_assert_uint_eq(driver.time_limit_ms, AMB_HID_TIME_LIMIT_MS);
        ck_assert_uint_eq(driver.size, 3);
        ck_assert_mem_eq(driver.bytes, "xyz", 3);
        /* Who takes it and says nothing has taken it. */
        driver.manner = TAKE;
        ask_set(&b, UHID_OUTPUT_REPORT, 9, "xy", 2, 0);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeOutput);
        ck_assert_uint_eq(driver.options, 9);
        /* Who refuses it has refused it, but not after an answer. */
        driver.manner = REFUSE;
        ask_set(&b, UHID_FEATURE_REPORT, 0, "xyz", 3, EINVAL);
        driver.manner = ANSWER_AND_REFUSE;
        ask_set(&b, UHID_FEATURE_REPORT, 0, "xyz", 3, 0);
        /* No such type of report; no bytes. */
        ask_set(&b, 3, 0, "xyz", 3, EINVAL);
        ask_set(&b, UHID_FEATURE_REPORT, 0, "", 0, EINVAL);
        ck_assert_int_eq(signal_count(&driver.asked), 4);
        driver.manner = BASE;
        ask_set(&b, UHID_FEATURE_REPORT, 0, "xyz", 3, EOPNOTSUPP);
        bench_end(&b);
}
END_TEST

/* Later, from elsewhere, and only once. */
START_TEST(answered_once)
{
        struct bench b = bench_begin(KEEP);

        recorder_set(b.fd, 45, UHID_FEATURE_REPORT, 0, "xyz", 3);
        signal_wait(&driver.asked, 1);
        IOHIDDevice_CompleteReport(b.hid, driver.kept, kIOReturnNotPermitted, 0);
        IOHIDDevice_CompleteReport(b.hid, driver.kept, kIOReturnSuccess, 3);
        expect_set_reply(b.fd, 45, EPERM);
        bench_end(&b);
}
END_TEST

/* A device without report ids: the kernel gets a 0 in front, as from other buses; the driver knows nothing of it. */
START_TEST(get_report)
{
        struct bench b = bench_begin(ANSWER);
        struct uhid_event event;

        ask_get(&b, UHID_FEATURE_REPORT, 0, 0, "\0\x11\x22\x33", 4);
        ck_assert_uint_eq(driver.size, 3);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeFeature);
        ask_get(&b, UHID_INPUT_REPORT, 0, 0, "\0\x11\x22\x33\0", 5);
        /* No such report: as much room as there can be. */
        recorder_get(b.fd, 3, UHID_FEATURE_REPORT, 5);
        recorder_expect(b.fd, UHID_GET_REPORT_REPLY, &event);
        ck_assert_uint_eq(event.u.get_report_reply.size, AMB_HID_REPORT_MOST);
        ck_assert_mem_eq(event.u.get_report_reply.data, "\x11\x22\x33", 3);
        ck_assert_uint_eq(driver.options, 5);
        driver.manner = TAKE;
        ask_get(&b, UHID_FEATURE_REPORT, 0, ECANCELED, NULL, 0);
        driver.manner = REFUSE;
        ask_get(&b, UHID_FEATURE_REPORT, 0, EINVAL, NULL, 0);
        ask_get(&b, 200, 0, EINVAL, NULL, 0);
        bench_end(&b);
}
END_TEST

START_TEST(more_than_there_is_room_for)
{
        struct bench b = bench_begin(KEEP);

        recorder_get(b.fd, 4, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        IOHIDDevice_CompleteReport(b.hid, driver.kept, kIOReturnSuccess, 99999);
        expect_get_reply(b.fd, 4, 0, "\0\x11\x22\x33", 4);
        bench_end(&b);
}
END_TEST

/* Input reports without ids; features 2 of two bytes and 7 of one. */
static const uint8_t numbered_features[] = { 0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x75, 0x08, 0x95, 0x04, 0x81, 0x02,
                                             0x85, 0x02, 0x95, 0x02, 0xB1, 0x02, 0x85, 0x07, 0x95, 0x01, 0xB1, 0x02, 0xC0 };

/* Whether reports begin with an id is a matter of their type. */
START_TEST(ids)
{
        struct bench b;

        driver.descriptor = numbered_features;
        driver.descriptor_size = sizeof(numbered_features);
        b = bench_begin(ANSWER);
        ask_get(&b, UHID_FEATURE_REPORT, 2, 0, "\x11\x22\x33", 3);
        ask_get(&b, UHID_INPUT_REPORT, 0, 0, "\0\x11\x22\x33\0", 5);
        ask_set(&b, UHID_FEATURE_REPORT, 2, "\2\0\0", 3, 0);
        ck_assert_uint_eq(driver.size, 3);
        bench_end(&b);
}
END_TEST

/* A device without report ids: hidraw's leading 0 is not the driver's; what has the report's length is a report. */
START_TEST(output)
{
        static const struct {
                const char *bytes;
                size_t size;
                const char *gets;
                size_t gets_size;
        } rows[] = {
                { "\1\2", 2, "\1\2", 2 }, { "\0\1\2", 3, "\1\2", 2 }, { "\0\2", 2, "\0\2", 2 }, { "\1\2\3", 3, "\1\2\3", 3 },
                { "\0\1\2\3", 4, "\1\2\3", 3 },
        };
        struct bench b = bench_begin(ANSWER);

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(rows); i++) {
                recorder_output(b.fd, rows[i].bytes, rows[i].size);
                signal_wait(&driver.asked, (int)i + 1);
                ck_assert_int_eq(driver.type, kIOHIDReportTypeOutput);
                ck_assert_uint_eq(driver.size, rows[i].gets_size);
                ck_assert_mem_eq(driver.bytes, rows[i].gets, rows[i].gets_size);
        }
        /* Nobody waits for an answer to these, so none came before this one. */
        ask_get(&b, UHID_FEATURE_REPORT, 0, 0, "\0\x11\x22\x33", 4);
        bench_end(&b);
}
END_TEST

/* What the driver says of its lamps and settings is what the base gives to who asks; the kernel is told nothing. */
START_TEST(state)
{
        static uint8_t big[AMB_HID_REPORT_MOST + 1];
        struct bench b;

        driver.descriptor = numbered_features;
        driver.descriptor_size = sizeof(numbered_features);
        b = bench_begin(BASE);
        ask_get(&b, UHID_FEATURE_REPORT, 2, EOPNOTSUPP, NULL, 0);
        ck_assert_int_eq(post(b.device, kIOHIDReportTypeFeature, "\2ab", 3), 0);
        ck_assert_int_eq(post(b.device, kIOHIDReportTypeFeature, "\7c", 2), 0);
        ck_assert_int_eq(post(b.device, kIOHIDReportTypeOutput, "lamp", 4), 0);
        ask_get(&b, UHID_FEATURE_REPORT, 2, 0, "\2ab", 3);
        ask_get(&b, UHID_FEATURE_REPORT, 7, 0, "\7c", 2);
        ask_get(&b, UHID_FEATURE_REPORT, 8, EOPNOTSUPP, NULL, 0);
        ask_get(&b, UHID_OUTPUT_REPORT, 0, 0, "\0lamp", 5);
        ask_get(&b, UHID_INPUT_REPORT, 0, EOPNOTSUPP, NULL, 0);
        ck_assert_int_eq(post(b.device, kIOHIDReportTypeFeature, "\2xyz", 4), 0);
        ask_get(&b, UHID_FEATURE_REPORT, 2, 0, "\2xy", 3);      /* as long as it is described */
        ck_assert_int_eq(post(b.device, kIOHIDReportTypeFeature, big, sizeof(big)), kIOReturnMessageTooLarge);
        bench_end(&b);
}
END_TEST

/* --- late, and never --- */

static void drop_kept(void)
{
        OSObject_release(amb_steal(driver.kept));
        OSObject_release(amb_steal(driver.kept_memory));
}

START_TEST(time_limit)
{
        struct bench b;

        driver.time_limit_us = 30000;
        b = bench_begin(KEEP);
        recorder_get(b.fd, 1, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        ck_assert_uint_eq(driver.time_limit_ms, 30);
        expect_get_reply(b.fd, 1, ETIMEDOUT, NULL, 0);
        /* Too late; and the next one is another. */
        IOHIDDevice_CompleteReport(b.hid, driver.kept, kIOReturnSuccess, 3);
        drop_kept();
        ask_get(&b, UHID_FEATURE_REPORT, 0, ETIMEDOUT, NULL, 0);
        bench_end(&b);
}
END_TEST

START_TEST(stop_answers)
{
        struct bench b = bench_begin(KEEP);

        recorder_get(b.fd, 1, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        ck_assert_int_eq(amb_invoke(b.device, IOService, Stop, NULL), kIOReturnSuccess);
        expect_get_reply(b.fd, 1, ECANCELED, NULL, 0);
        IOHIDDevice_CompleteReport(b.hid, driver.kept, kIOReturnSuccess, 3);
        bench_end(&b);
}
END_TEST

START_TEST(too_many_requests)
{
        struct bench b = bench_begin(KEEP);
        OSAction *kept[AMB_HID_REQUESTS_MOST];

        for (uint32_t i = 0; i < AMB_HID_REQUESTS_MOST; i++) {
                recorder_get(b.fd, i, UHID_FEATURE_REPORT, 0);
                signal_wait(&driver.asked, (int)i + 1);
                kept[i] = amb_steal(driver.kept);
                drop_kept();
        }
        ask_get(&b, UHID_FEATURE_REPORT, 0, EBUSY, NULL, 0);
        for (uint32_t i = 0; i < AMB_HID_REQUESTS_MOST; i++) {
                IOHIDDevice_CompleteReport(b.hid, kept[i], kIOReturnSuccess, 1);
                expect_get_reply(b.fd, i, 0, "\0\x11", 2);
                OSObject_release(kept[i]);
        }
        bench_end(&b);
}
END_TEST

#define RACES 200

/*
 * Answers from another thread while time limits run out: every third request is left to its limit, and of the others every second
 * one is answered at the moment of the limit, which is counted from just before getReport's call.
 */
static void *answer_all(void *context)
{
        const struct bench *b = context;

        for (int i = 1; i <= RACES; i++) {
                OSAction *action;

                recorder_get(b->fd, (uint32_t)i, UHID_FEATURE_REPORT, 0);
                signal_wait(&driver.asked, i);
                action = amb_steal(driver.kept);
                drop_kept();
                while (i % 2 && amb_time_now() < driver.asked_at + driver.time_limit_us * 1000ull)
                        ;
                if (i % 3)
                        IOHIDDevice_CompleteReport(b->hid, action, kIOReturnSuccess, 3);
                OSObject_release(action);
        }
        return NULL;
}

START_TEST(answers_race)
{
        struct uhid_event event;
        pthread_t thread;
        struct bench b;

        driver.time_limit_us = 1000;
        b = bench_begin(KEEP);
        ck_assert_int_eq(pthread_create(&thread, NULL, answer_all, &b), 0);
        /* Each has one answer, in whatever way. */
        for (uint32_t i = 1; i <= RACES; i++) {
                recorder_expect(b.fd, UHID_GET_REPORT_REPLY, &event);
                ck_assert_uint_eq(event.u.get_report_reply.id, i);
        }
        pthread_join(thread, NULL);
        /* And one that Stop answers, or the limit before it. */
        recorder_get(b.fd, RACES + 1, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, RACES + 1);
        ck_assert_int_eq(amb_invoke(b.device, IOService, Stop, NULL), kIOReturnSuccess);
        recorder_expect(b.fd, UHID_GET_REPORT_REPLY, &event);
        bench_end(&b);
}
END_TEST

int main(void)
{
        return run_suite("hid-request", set_report, answered_once, get_report, more_than_there_is_room_for, ids, output, state,
                         time_limit, stop_answers, too_many_requests, answers_race);
}
