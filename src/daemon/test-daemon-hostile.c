/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon among hosts that do what they must not. Arguments: ambidextd, test-host.
 */
#include "daemon/test-tool.h"

/* --- what everybody reads stays readable --- */

static void name_is(sd_bus *bus, uint64_t entry, const char *expected)
{
        sd_bus_message *reply = reply_to(bus, call_new(bus, "GetEntry", "t", entry));
        const char *class, *name;

        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_gt(sd_bus_message_read(reply, "ss", &class, &name), 0);
        ck_assert_str_eq(name, expected);
        sd_bus_message_unref(reply);
}

START_TEST(long_name)
{
        char expected[128] = "";
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        sd_bus *bus;

        for (int i = 0; i < 63; i++)
                strcat(expected, "\xc3\xa9");
        start_with_driver(true, "long name");
        bus = bus_new();
        entry = wait_driver(bus);
        name_is(bus, entry, expected);
        row = dump_row(bus, entry, &count);
        ck_assert_ptr_nonnull(row);
        ck_assert_str_eq(OSDictionaryGetStringValue(row, "name"), expected);
        OSObject_release(row);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(escapes)
{
        uint64_t entry;
        sd_bus *bus;

        start_with_driver(false, "escapes");
        bus = bus_new();
        entry = wait_driver(bus);
        name_is(bus, entry, "a_[31mb_31mc_d");
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(fat_host)
{
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        sd_bus *bus;

        start_with_driver(false, "fat");
        bus = bus_new();
        entry = wait_driver(bus);
        ck_assert_int_lt(daemon_resident_kib(), RESIDENT_MOST);
        row = dump_row(bus, entry, &count);
        ck_assert_ptr_nonnull(row);
        OSObject_release(row);
        is_alive();
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(scattered_properties)
{
        sd_bus_message *reply;
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        sd_bus *bus;

        start_with_driver(false, "scattered");
        bus = bus_new();
        entry = wait_driver(bus);
        reply = reply_to(bus, call_new(bus, "GetEntry", "t", entry));
        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        row = dump_row(bus, entry, &count);
        ck_assert_ptr_nonnull(row);
        OSObject_release(row);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(meddler)
{
        uint64_t entry, connection;
        sd_bus *bus;

        start_with_driver(true, "meddle");
        bus = bus_new();
        entry = wait_driver(bus);
        name_is(bus, 0, "Root");
        name_is(bus, AMB_ENTRY_USER_RESOURCES, "IOUserResources");
        name_is(bus, entry, "TestDriver");
        ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
        close_ends();
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(host_object_has_its_process)
{
        struct news news = { .count = 0 };
        uint64_t entry, *ids = NULL;
        sd_bus_message *reply;
        size_t count;
        sd_bus *bus;

        bus = start_and_find(false, &news, &entry);
        reply = reply_to(bus, call_new(bus, "FindServices", "a{sv}", 1, "IOProviderClass", "s", "IOUserServer"));
        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_eq(amb_id_array_read(reply, &ids, &count), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(host_pid(bus, ids[0]), host_pid(bus, entry));
        free(ids);
        sd_bus_message_unref(reply);
        sd_bus_close_unref(bus);
}
END_TEST

/* --- answers to an open --- */

static int on_opened(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        ck_assert_int_gt(sd_bus_message_read(reply, "i", (int *)userdata), 0);
        return 0;
}

static sd_bus_message *open_later(sd_bus *bus, uint64_t entry, uint32_t type, int *ret_code)
{
        sd_bus_message *call = call_new(bus, "OpenService", "tu", entry, type);

        *ret_code = 1;
        ck_assert_int_ge(sd_bus_call_async(bus, NULL, call, on_opened, ret_code, UINT64_MAX), 0);
        ck_assert_int_ge(sd_bus_flush(bus), 0);
        return sd_bus_message_unref(call);
}

static void wait_code(sd_bus *bus, const int *code)
{
        while (*code == 1) {
                int r = sd_bus_process(bus, NULL);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_gt(sd_bus_wait(bus, PATIENCE), 0);
        }
}

START_TEST(silent_driver)
{
        struct news news = { .count = 0 };
        uint64_t entry, connection;
        int silent, pretended;
        sd_bus *bus, *other;

        start_with_driver(true, NULL);
        bus = bus_new();
        other = bus_new();
        entry = find_driver(other, &news);
        open_later(bus, entry, 97, &silent);
        open_later(bus, entry, 96, &pretended);
        /* Nobody else has to wait for them. */
        for (int i = 0; i < 20; i++) {
                ck_assert_int_eq(open_service(other, entry, 0, &connection), 0);
                close_ends();
        }
        /* An error that the bus itself would say is an answer like any other. */
        wait_code(bus, &pretended);
        ck_assert_int_eq(pretended, kIOReturnIPCError);
        ck_assert_int_eq(silent, 1);
        kill(host_pid(other, entry), SIGKILL);
        wait_code(bus, &silent);
        ck_assert_int_eq(silent, MIG_SERVER_DIED);
        wait_news(other, &news, 1);
        ck_assert_int_eq(open_service(other, news.entry, 0, &connection), 0);
        close_ends();
        sd_bus_close_unref(bus);
        sd_bus_close_unref(other);
}
END_TEST

START_TEST(wrong_answers)
{
        static const struct {
                uint32_t type;
                int code;
                bool dies;
        } cases[] = { { 93, kIOReturnUnsupported, false }, { 92, kIOReturnBusy, false }, { 94, MIG_SERVER_DIED, true },
                      { 95, kIOReturnIPCError, false } };
        struct news news = { .count = 0 };
        uint64_t entry, connection;
        sd_bus *bus;

        bus = start_and_find(true, &news, &entry);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                unsigned before = news.count;

                ck_assert_int_eq(open_service(bus, entry, cases[i].type, &connection), cases[i].code);
                if (cases[i].dies) {
                        wait_news(bus, &news, before + 1);
                        entry = news.entry;
                }
                ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
                close_ends();
        }
        sd_bus_close_unref(bus);
}
END_TEST

/* The driver's own no is not a lack of permission. */
START_TEST(drivers_refusal)
{
        struct news news = { .count = 0 };
        uint64_t entry, connection;
        sd_bus *bus;

        bus = start_and_find(true, &news, &entry);
        ck_assert_int_eq(open_service(bus, entry, 99, &connection), kIOReturnExclusiveAccess);
        ck_assert_uint_eq(log_count("refused: process"), 0);
        ck_assert_uint_eq(log_count("0xe00002c5"), 1);
        sd_bus_close_unref(bus);
}
END_TEST

/* People are told that a host keeps them waiting; an end of the daemon does not wait for it. */
START_TEST(host_never_checks_in)
{
        sd_bus_message *reply;
        sd_bus *bus;

        start_with_driver(false, "absent");
        bus = bus_new();
        reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(5500000000)));
        ck_assert_int_eq(code_of(reply), kIOReturnTimeout);
        sd_bus_message_unref(reply);
        ck_assert_uint_eq(log_count("has not checked in for 5 s, it has 115 more"), 1);
        sd_bus_close_unref(bus);
}
END_TEST

int main(int count, char **arguments)
{
        if (count != 3)
                return 2;
        return run_daemon_suite("daemon-hostile", arguments, host_never_checks_in, long_name, escapes, fat_host,
                                scattered_properties, meddler, host_object_has_its_process, silent_driver, wrong_answers,
                                drivers_refusal);
}
