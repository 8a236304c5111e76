/* SPDX-License-Identifier: Apache-2.0 */
/* Property values into messages and back; then everything that a hostile peer may put where a value is expected. */
#include "base/test-suite.h"
#include "control/value.h"

#include <check.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/base.h"
#include "control/bus.h"
#include "control/protocol.h"

static sd_bus *bus;
static int other_end;

static void set_up(void)
{
        int pair[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        other_end = pair[0];
        ck_assert_int_eq(amb_bus_join(pair[1], &bus), 0);
}

static void tear_down(void)
{
        bus = sd_bus_close_unref(bus);
        close(other_end);
}

static sd_bus_message *message_new(void)
{
        sd_bus_message *m = NULL;

        ck_assert_int_eq(amb_bus_new_call(bus, &m, AMB_HOST_PATH, AMB_HOST_INTERFACE, "Test"), 0);
        return m;
}

/* What was appended can now be read from the beginning. */
static sd_bus_message *message_turn(sd_bus_message *m)
{
        ck_assert_int_ge(sd_bus_message_seal(m, 1, 0), 0);
        ck_assert_int_ge(sd_bus_message_rewind(m, true), 0);
        return m;
}

static OSObject *round_trip(OSObject *value)
{
        sd_bus_message *m = message_new();
        OSObject *back = NULL;

        ck_assert_int_eq(amb_value_append(m, value), 0);
        ck_assert_int_eq(amb_value_read(message_turn(m), &back), 0);
        ck_assert_int_gt(sd_bus_message_at_end(m, true), 0);
        sd_bus_message_unref(m);
        ck_assert(OSObjectIsEqual(value, back));
        ck_assert_str_eq(OSObject_GetClassName(value), OSObject_GetClassName(back));
        return back;
}

static void round_trip_release(void *value)
{
        OSObject_release(round_trip(value));
        OSObject_release(value);
}

START_TEST(scalars)
{
        static const size_t widths[] = { 8, 16, 32, 64 };

        round_trip_release(OSStringCreate("", (size_t)-1));
        round_trip_release(OSStringCreate("gr\xc3\xbc\xc3\x9f dich", (size_t)-1));
        round_trip_release(OSDataCreate(NULL, 0));
        round_trip_release(OSDataCreate("a\0b", 3));
        round_trip_release(kOSBooleanTrue);
        round_trip_release(kOSBooleanFalse);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(widths); i++) {
                OSNumber *number = OSNumberCreate(0xfedcba9876543210ull, widths[i]);
                OSNumber *back = (OSNumber *)round_trip((OSObject *)number);

                ck_assert_uint_eq(OSNumberGetBits(back), widths[i]);
                ck_assert_uint_eq(OSNumberGetUInt64Value(back), OSNumberGetUInt64Value(number));
                OSObject_release(number);
                OSObject_release(back);
        }
}
END_TEST

static OSDictionary *sample(void)
{
        OSDictionary *dictionary = OSDictionaryCreate(), *inner = OSDictionaryCreate();
        OSArray *array = OSArrayCreate();

        OSArrayAppendStringValue(array, "one");
        OSArrayAppendValue(array, kOSBooleanTrue);
        OSArrayAppendValue(array, inner);
        OSDictionarySetUInt64Value(inner, "number", 1ull << 40);
        OSDictionarySetValue(dictionary, "array", array);
        OSDictionarySetValue(dictionary, "inner", inner);
        OSDictionarySetStringValue(dictionary, "IOUserClass", "Sensors");
        OSObject_release(array);
        OSObject_release(inner);
        return dictionary;
}

START_TEST(containers)
{
        sd_bus_message *m = message_new();
        OSDictionary *dictionary = sample(), *back = NULL;
        OSArray *rows = OSArrayCreate(), *rows_back = NULL, *strings_back = NULL, *empty = NULL;
        uint64_t ids[] = { 1, UINT64_MAX }, *ids_back = NULL, *none = ids;
        size_t count = 9;

        round_trip_release(sample());
        OSArrayAppendValue(rows, dictionary);
        OSArrayAppendValue(rows, dictionary);
        ck_assert_int_eq(amb_dictionary_append(m, dictionary), 0);
        ck_assert_int_eq(amb_dictionary_array_append(m, rows), 0);
        ck_assert_int_eq(amb_string_array_append(m, NULL), 0);
        ck_assert_int_eq(amb_id_array_append(m, ids, 2), 0);
        ck_assert_int_eq(amb_id_array_append(m, NULL, 0), 0);
        ck_assert_int_eq(amb_dictionary_append(m, NULL), 0);
        message_turn(m);
        ck_assert_str_eq(sd_bus_message_get_signature(m, true), "a{sv}aa{sv}asatata{sv}");
        ck_assert_int_eq(amb_dictionary_read(m, &back), 0);
        ck_assert(OSObjectIsEqual(dictionary, back));
        ck_assert_str_eq(OSDictionaryGetKeyAt(back, 0), "array");
        ck_assert_int_eq(amb_dictionary_array_read(m, &rows_back), 0);
        ck_assert(OSObjectIsEqual(rows, rows_back));
        ck_assert_int_eq(amb_string_array_read(m, &strings_back), 0);
        ck_assert_uint_eq(OSArrayGetCount(strings_back), 0);
        ck_assert_int_eq(amb_id_array_read(m, &ids_back, &count), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_uint_eq(ids_back[1], UINT64_MAX);
        ck_assert_int_eq(amb_id_array_read(m, &none, &count), 0);
        ck_assert_uint_eq(count, 0);
        ck_assert_ptr_null(none);
        OSObject_release(back);
        ck_assert_int_eq(amb_dictionary_read(m, &back), 0);
        ck_assert_uint_eq(OSDictionaryGetCount(back), 0);
        /* Nothing is left: a reader that goes on is told so. */
        ck_assert_int_eq(amb_dictionary_array_read(m, &empty), -EBADMSG);
        ck_assert_ptr_null(empty);
        sd_bus_message_unref(m);
        free(ids_back);
        OSObject_release(back);
        OSObject_release(dictionary);
        OSObject_release(rows);
        OSObject_release(rows_back);
        OSObject_release(strings_back);
}
END_TEST

/* Arrays in arrays: `depth` of them. */
START_TEST(sets_arrive_as_arrays)
{
        OSDictionary *dictionary = OSDictionaryCreate();
        OSSet *set = OSSet_withCapacity(1);
        OSOrderedSet *ordered = OSOrderedSet_withCapacity(1);
        sd_bus_message *m = message_new();
        OSObject *back = NULL;
        size_t bytes = 0;

        ck_assert(OSSet_setObject(set, ordered) && OSOrderedSet_setObject(ordered, kOSBooleanTrue));
        ck_assert(OSDictionarySetValue(dictionary, "set", set));
        ck_assert_int_eq(amb_dictionary_measure(dictionary, &bytes), 0);
        ck_assert_int_eq(amb_value_append(m, (OSObject *)dictionary), 0);
        message_turn(m);
        ck_assert_int_eq(amb_value_read(m, &back), 0);
        OSArray *array = OSDictionaryGetArrayValue((OSDictionary *)back, "set");
        OSArray *inner = OSDynamicCast(OSArray, OSArrayGetValue(array, 0));
        ck_assert_uint_eq(OSArrayGetCount(inner), 1);
        ck_assert_ptr_eq(OSArrayGetValue(inner, 0), kOSBooleanTrue);
        sd_bus_message_unref(m);
        /* Keys that are no strings do not travel. */
        m = message_new();
        ck_assert(OSDictionary_setObject(dictionary, ordered, set));
        ck_assert_int_eq(amb_dictionary_measure(dictionary, &bytes), -EINVAL);
        ck_assert_int_eq(amb_value_append(m, (OSObject *)dictionary), -EINVAL);
        sd_bus_message_unref(m);
        OSObject_release(set);
        OSObject_release(ordered);
        OSObject_release(dictionary);
        OSObject_release(back);
}
END_TEST

static OSArray *nest(unsigned depth)
{
        OSArray *outer = OSArrayCreate();

        while (--depth > 0) {
                OSArray *next = OSArrayCreate();

                OSArrayAppendValue(next, outer);
                OSObject_release(outer);
                outer = next;
        }
        return outer;
}

START_TEST(our_own_limits)
{
        OSArray *deep = nest(AMB_VALUE_DEPTH + 1), *many = OSArrayCreate();
        OSString *bad = OSStringCreate("\xff\xfe", (size_t)-1);
        OSData *big = OSDataCreate(NULL, AMB_VALUE_BYTES + 1);
        OSObject *number = amb_object_new(OSTypeID(OSObject));
        sd_bus_message *m;

        round_trip_release(nest(AMB_VALUE_DEPTH));
        for (int i = 0; i < AMB_VALUE_NODES; i++)
                OSArrayAppendValue(many, kOSBooleanTrue);
        const struct {
                void *value;
                int expected;
        } refused[] = { { deep, -E2BIG }, { many, -E2BIG }, { big, -E2BIG }, { bad, -EINVAL }, { number, -EINVAL },
                        { NULL, -EINVAL } };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(refused); i++) {
                m = message_new();
                ck_assert_int_eq(amb_value_append(m, refused[i].value), refused[i].expected);
                sd_bus_message_unref(m);
                OSObject_release(refused[i].value);
        }
}
END_TEST

static void refuse(sd_bus_message *m)
{
        OSObject *value = NULL;

        ck_assert_int_eq(amb_value_read(message_turn(m), &value), -EBADMSG);
        ck_assert_ptr_null(value);
        sd_bus_message_unref(m);
}

START_TEST(foreign_types)
{
        sd_bus_message *m;
        static const char *const types[] = { "i", "x", "n", "d", "as", "at", "(s)", "o", "g", "v", "a{us}", "aay", "a(sv)" };

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(types); i++) {
                m = message_new();
                ck_assert_int_ge(sd_bus_message_open_container(m, 'v', types[i]), 0);
                switch (types[i][0]) {
                case 'a':
                        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', types[i] + 1), 0);
                        sd_bus_message_close_container(m);
                        break;
                case '(':
                        ck_assert_int_ge(sd_bus_message_append(m, "(s)", "x"), 0);
                        break;
                case 'v':
                        ck_assert_int_ge(sd_bus_message_append(m, "v", "u", 1), 0);
                        break;
                case 'o':
                        ck_assert_int_ge(sd_bus_message_append(m, "o", "/"), 0);
                        break;
                case 'g':
                        ck_assert_int_ge(sd_bus_message_append(m, "g", "s"), 0);
                        break;
                case 'd':
                        ck_assert_int_ge(sd_bus_message_append(m, "d", 0.5), 0);
                        break;
                default:
                        ck_assert_int_ge(sd_bus_message_append(m, types[i], (int64_t)1), 0);
                }
                ck_assert_int_ge(sd_bus_message_close_container(m), 0);
                refuse(m);
        }
        m = message_new();
        ck_assert_int_ge(sd_bus_message_append(m, "s", "no variant"), 0);
        refuse(m);
        refuse(message_new());
}
END_TEST

START_TEST(key_twice)
{
        sd_bus_message *m = message_new();

        ck_assert_int_ge(sd_bus_message_append(m, "v", "a{sv}", 2, "a", "u", 1, "a", "u", 2), 0);
        refuse(m);
}
END_TEST

START_TEST(too_deep)
{
        sd_bus_message *m = message_new();

        for (int i = 0; i <= AMB_VALUE_DEPTH; i++) {
                ck_assert_int_ge(sd_bus_message_open_container(m, 'v', "av"), 0);
                ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "v"), 0);
        }
        for (int i = 0; i <= AMB_VALUE_DEPTH; i++) {
                ck_assert_int_ge(sd_bus_message_close_container(m), 0);
                ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        }
        refuse(m);
}
END_TEST

START_TEST(too_many)
{
        sd_bus_message *m = message_new();
        OSArray *strings = NULL, *rows = NULL;
        uint64_t *ids = NULL;
        size_t count;

        ck_assert_int_ge(sd_bus_message_open_container(m, 'v', "av"), 0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "v"), 0);
        for (int i = 0; i < AMB_VALUE_NODES; i++)
                ck_assert_int_ge(sd_bus_message_append(m, "v", "av", 0), 0);
        sd_bus_message_close_container(m);
        sd_bus_message_close_container(m);
        refuse(m);

        m = message_new();
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "s"), 0);
        for (int i = 0; i <= AMB_VALUE_NODES; i++)
                ck_assert_int_ge(sd_bus_message_append(m, "s", ""), 0);
        sd_bus_message_close_container(m);
        ck_assert_int_eq(amb_string_array_read(message_turn(m), &strings), -EBADMSG);
        ck_assert_int_ge(sd_bus_message_rewind(m, true), 0);
        ck_assert_int_eq(amb_dictionary_array_read(m, &rows), -EBADMSG);
        sd_bus_message_unref(m);

        m = message_new();
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "t"), 0);
        for (uint64_t i = 0; i <= AMB_VALUE_NODES; i++)
                ck_assert_int_ge(sd_bus_message_append(m, "t", i), 0);
        sd_bus_message_close_container(m);
        ck_assert_int_eq(amb_id_array_read(message_turn(m), &ids, &count), -EBADMSG);
        ck_assert_ptr_null(ids);
        sd_bus_message_unref(m);
}
END_TEST

START_TEST(too_big)
{
        sd_bus_message *m = message_new();
        void *bytes;

        ck_assert_int_ge(sd_bus_message_open_container(m, 'v', "ay"), 0);
        ck_assert_int_ge(sd_bus_message_append_array_space(m, 'y', AMB_VALUE_BYTES + 1, &bytes), 0);
        memset(bytes, 0, AMB_VALUE_BYTES + 1);
        ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        refuse(m);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("value", scalars, containers, sets_arrive_as_arrays, our_own_limits, foreign_types, key_twice,
                                 too_deep, too_many, too_big);

        tcase_add_checked_fixture(tests, set_up, tear_down);
        return run_cases("value", tests);
}
