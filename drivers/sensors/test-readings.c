/* SPDX-License-Identifier: Apache-2.0 */
#include "readings.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A machine made of files, in a directory of its own. */
static char root[] = "/tmp/ambidext-readings-XXXXXX";
static struct sensors_reader *reader;
static struct sensors_all all;

static void file_write(const char *path, const char *text)
{
        char full[512];
        FILE *file;

        snprintf(full, sizeof(full), "%s/%s", root, path);
        for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
                *slash = '\0';
                ck_assert(mkdir(full, 0700) == 0 || errno == EEXIST);
        }
        file = fopen(full, "we");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_ge(fputs(text, file), 0);
        ck_assert_int_eq(fclose(file), 0);
}

static int entry_remove(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
        return remove(path);
}

static void setup(void)
{
        ck_assert_ptr_nonnull(mkdtemp(root));
        ck_assert_int_eq(sensors_reader_new(&reader, root), 0);
        file_write("proc/stat", "cpu  30 1 20 4000 9 2 3 4 0 0\n"
                                "cpu0 10 1 5 1000 4 1 2 3 0 0\n"
                                "cpu2 20 0 15 3000 5 1 1 1 0 0\n"
                                "intr 12 0 0\nctxt 5\n");
}

static void teardown(void)
{
        reader = sensors_reader_free(reader);
        nftw(root, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

START_TEST(test_cores)
{
        ck_assert_int_eq(sensors_read_counters(reader, &all), 0);
        ck_assert_uint_eq(all.snapshot.cores, 2);
        ck_assert_uint_eq(all.snapshot.total.user, 30);
        ck_assert_uint_eq(all.snapshot.total.steal, 4);
        ck_assert_uint_eq(all.cores[0].number, 0);
        ck_assert_uint_eq(all.cores[1].number, 2);
        ck_assert_uint_eq(all.cores[1].times.user, 20);
        ck_assert_uint_eq(all.cores[1].times.nice, 0);
        ck_assert_uint_eq(all.cores[1].times.system, 15);
        ck_assert_uint_eq(all.cores[1].times.idle, 3000);
        ck_assert_uint_eq(all.cores[1].times.iowait, 5);
        ck_assert_uint_eq(all.cores[1].times.irq, 1);
        ck_assert_uint_eq(all.cores[1].times.softirq, 1);
        ck_assert_uint_eq(all.cores[1].times.steal, 1);
        ck_assert_uint_gt(all.snapshot.time, 0);
}
END_TEST

/* More cores than there is room for: counted, not stored; nothing beyond the array is touched. */
START_TEST(test_many_cores)
{
        size_t size = 64 + 1000 * 40, length = 0;
        char *text = malloc(size);

        length += (size_t)snprintf(text, size, "cpu 1 2 3 4\n");
        for (int i = 0; i < 1000; i++)
                length += (size_t)snprintf(text + length, size - length, "cpu%d 1 2 3 %d 5 6 7 8\n", i, i);
        file_write("proc/stat", text);
        free(text);
        ck_assert_int_eq(sensors_read_counters(reader, &all), 0);
        ck_assert_uint_eq(all.snapshot.cores, 1000);
        ck_assert_uint_eq(all.cores[SENSORS_CORES_MAX - 1].times.idle, SENSORS_CORES_MAX - 1);
        ck_assert_uint_eq(all.interfaces[0].received, 0);
}
END_TEST

START_TEST(test_bad_stat)
{
        static const char *const bad[] = {
                "", "\n", "cpu", "cpu  1 2 3\n", "cpu 1 2 3 4\n", "cpu0 1 2 3 4\n", "cpu 1 2 3 4\ncpux 1 2 3 4\n",
                "cpu 1 2 3 4\ncpu-1 1 2 3 4\n", "nonsense",
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                file_write("proc/stat", bad[i]);
                ck_assert_int_eq(sensors_read_counters(reader, &all), -ENODATA);
        }
        teardown();
        ck_assert_int_eq(sensors_reader_new(&reader, root), -ENOENT);
        reader = NULL;
}
END_TEST

START_TEST(test_memory_and_load)
{
        file_write("proc/meminfo", "MemTotal:        2000 kB\nMemFree:          500 kB\nMemAvailable:    1500 kB\n"
                                   "SwapTotal:         10 kB\nSwapFree:           4 kB\nOdd\nHugePages_Total:       0\n");
        file_write("proc/loadavg", "1.05 20.40 0.07 3/93 6661\n");
        ck_assert_int_eq(sensors_read_counters(reader, &all), 0);
        ck_assert_uint_eq(all.snapshot.memory_total, 2000 * 1024);
        ck_assert_uint_eq(all.snapshot.memory_free, 500 * 1024);
        ck_assert_uint_eq(all.snapshot.memory_available, 1500 * 1024);
        ck_assert_uint_eq(all.snapshot.swap_total, 10 * 1024);
        ck_assert_uint_eq(all.snapshot.swap_free, 4 * 1024);
        ck_assert_uint_eq(all.snapshot.load[0], 1050);
        ck_assert_uint_eq(all.snapshot.load[1], 20400);
        ck_assert_uint_eq(all.snapshot.load[2], 70);
        ck_assert_uint_eq(all.snapshot.running, 3);
}
END_TEST

START_TEST(test_network)
{
        file_write("proc/net/dev",
                   "Inter-|   Receive                      |  Transmit\n"
                   " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
                   "    lo:    3267      29    0    0    0     0          0         0     3267      29    0    0    0 0 0 0\n"
                   "eth0:1:      100 2 3 4 0 0 0 0 200 6 7 8 0 0 0 0\n"
                   "  half: 1 2 3\n"
                   "wlan0: 11 1 0 0 0 0 0 0 22 1 0 0 0 0 0 0\n");
        ck_assert_int_eq(sensors_read_counters(reader, &all), 0);
        ck_assert_uint_eq(all.snapshot.interfaces, 3);
        ck_assert_str_eq(all.interfaces[0].name, "lo");
        ck_assert_str_eq(all.interfaces[1].name, "eth0:1");
        ck_assert_uint_eq(all.interfaces[1].received, 100);
        ck_assert_uint_eq(all.interfaces[1].received_packets, 2);
        ck_assert_uint_eq(all.interfaces[1].received_errors, 3);
        ck_assert_uint_eq(all.interfaces[1].received_drops, 4);
        ck_assert_uint_eq(all.interfaces[1].sent, 200);
        ck_assert_uint_eq(all.interfaces[1].sent_packets, 6);
        ck_assert_uint_eq(all.interfaces[1].sent_errors, 7);
        ck_assert_uint_eq(all.interfaces[1].sent_drops, 8);
        ck_assert_uint_eq(all.snapshot.received, 111);
        ck_assert_uint_eq(all.snapshot.sent, 222);
}
END_TEST

START_TEST(test_no_hardware)
{
        all.snapshot.sensors = 7;
        sensors_read_hardware(reader, &all);
        ck_assert_uint_eq(all.snapshot.sensors, 0);
        ck_assert(all.snapshot.hottest == SENSORS_NO_TEMPERATURE);
}
END_TEST

START_TEST(test_hardware)
{
        file_write("sys/class/hwmon/hwmon10/name", "late\n");
        file_write("sys/class/hwmon/hwmon10/fan1_input", "1200\n");
        file_write("sys/class/hwmon/hwmon2/name", "coretemp\n");
        file_write("sys/class/hwmon/hwmon2/temp1_input", "45500\n");
        file_write("sys/class/hwmon/hwmon2/temp1_label", "Package id 0\n");
        file_write("sys/class/hwmon/hwmon2/temp1_max", "100000\n");
        file_write("sys/class/hwmon/hwmon2/temp2_input", "\n");
        file_write("sys/class/hwmon/hwmon2/temp10_input", "-3000\n");
        file_write("sys/class/hwmon/hwmon2/in0_input", "1100\n");
        file_write("sys/class/hwmon/hwmon2/power1_average", "25000000\n");
        file_write("sys/class/hwmon/hwmon2/curr1_input", "12x\n");
        file_write("sys/class/hwmon/hwmon2/intrusion0_input", "1\n");
        file_write("sys/class/thermal/thermal_zone0/type", "acpitz\n");
        file_write("sys/class/thermal/thermal_zone0/temp", "51000\n");
        file_write("sys/class/thermal/cooling_device0/temp", "99000\n");
        sensors_read_hardware(reader, &all);
        ck_assert_uint_eq(all.snapshot.sensors, 6);
        ck_assert_str_eq(all.sensors[0].name, "coretemp in0");
        ck_assert_uint_eq(all.sensors[0].kind, SENSORS_VOLTAGE);
        ck_assert_int_eq(all.sensors[0].value, 1100);
        ck_assert_str_eq(all.sensors[1].name, "coretemp power1");
        ck_assert_uint_eq(all.sensors[1].kind, SENSORS_POWER);
        ck_assert_str_eq(all.sensors[2].name, "coretemp Package id 0");
        ck_assert_int_eq(all.sensors[2].value, 45500);
        ck_assert_str_eq(all.sensors[3].name, "coretemp temp10");
        ck_assert_int_eq(all.sensors[3].value, -3000);
        ck_assert_str_eq(all.sensors[4].name, "late fan1");
        ck_assert_uint_eq(all.sensors[4].kind, SENSORS_FAN);
        ck_assert_str_eq(all.sensors[5].name, "thermal_zone0 acpitz");
        ck_assert_int_eq(all.snapshot.hottest, 51000);
}
END_TEST

/* The machine that the test runs on. */
START_TEST(test_this_machine)
{
        struct sensors_reader *machine;

        ck_assert_int_eq(sensors_reader_new(&machine, "/"), 0);
        ck_assert_int_eq(sensors_read_counters(machine, &all), 0);
        sensors_read_hardware(machine, &all);
        ck_assert_uint_ge(all.snapshot.cores, 1);
        ck_assert_uint_gt(all.snapshot.total.idle, 0);
        ck_assert_uint_gt(all.snapshot.memory_total, all.snapshot.memory_available);
        ck_assert_ptr_null(sensors_reader_free(machine));
}
END_TEST

START_TEST(test_busy)
{
        struct sensors_times before = { .user = 10, .idle = 100, .iowait = 5 };
        struct sensors_times after = { .user = 35, .idle = 170, .iowait = 10 };

        uint64_t busy = 7;

        ck_assert(!sensors_busy(&before, &before, &busy));
        ck_assert(!sensors_busy(&after, &before, &busy));
        ck_assert_uint_eq(busy, 7);
        ck_assert(sensors_busy(&before, &after, &busy));
        ck_assert_uint_eq(busy, 250);
}
END_TEST

static struct sensors_ring ring = { .magic = SENSORS_RING_MAGIC, .capacity = SENSORS_RING_SAMPLES };

START_TEST(test_ring)
{
        struct sensors_sample sample = { 0 };

        ck_assert(!sensors_ring_read(&ring, 0, &sample));
        for (uint64_t i = 0; i < SENSORS_RING_SAMPLES + 5; i++) {
                sample = (struct sensors_sample){ .time = i, .hottest = -(int64_t)i };
                sensors_ring_write(&ring, &sample);
        }
        ck_assert_uint_eq(sensors_ring_written(&ring), SENSORS_RING_SAMPLES + 5);
        ck_assert(!sensors_ring_read(&ring, 4, &sample));
        ck_assert(sensors_ring_read(&ring, 5, &sample));
        ck_assert_uint_eq(sample.time, 5);
        ck_assert(sensors_ring_read(&ring, SENSORS_RING_SAMPLES + 4, &sample));
        ck_assert_int_eq(sample.hottest, -(int64_t)SENSORS_RING_SAMPLES - 4);
        ck_assert(!sensors_ring_read(&ring, SENSORS_RING_SAMPLES + 5, &sample));
}
END_TEST

#define WRITES 300000u

static void *ring_write_many(void *unused)
{
        for (uint64_t i = 0; i < WRITES; i++) {
                struct sensors_sample sample = { .time = i, .busy = ~i, .memory_available = i * 3, .received = i,
                                                 .sent = i, .load = i, .hottest = (int64_t)i };

                sensors_ring_write(&ring, &sample);
        }
        return NULL;
}

/* A reader beside a writer that laps it over and over: every sample it gets is whole. */
START_TEST(test_ring_race)
{
        pthread_t writer;
        uint64_t whole = 0, written;

        ck_assert_int_eq(pthread_create(&writer, NULL, ring_write_many, NULL), 0);
        do {
                struct sensors_sample sample;
                uint64_t number;

                written = sensors_ring_written(&ring);
                /* Just behind the newest, and at the oldest, which the writer is about to overwrite. */
                number = written ? written - 1 : 0;
                if (written > SENSORS_RING_SAMPLES && whole % 2)
                        number = written - SENSORS_RING_SAMPLES;
                if (!sensors_ring_read(&ring, number, &sample))
                        continue;
                whole++;
                ck_assert(sample.time == number && sample.busy == ~number && sample.memory_available == number * 3 &&
                          sample.received == number && sample.sent == number && sample.load == number &&
                          sample.hottest == (int64_t)number);
        } while (written < WRITES);
        ck_assert_int_eq(pthread_join(writer, NULL), 0);
        ck_assert_uint_gt(whole, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("readings");
        TCase *machine = tcase_create("machine"), *layout = tcase_create("ring");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(machine, setup, teardown);
        tcase_add_test(machine, test_cores);
        tcase_add_test(machine, test_many_cores);
        tcase_add_test(machine, test_bad_stat);
        tcase_add_test(machine, test_memory_and_load);
        tcase_add_test(machine, test_network);
        tcase_add_test(machine, test_no_hardware);
        tcase_add_test(machine, test_hardware);
        tcase_add_test(machine, test_this_machine);
        tcase_add_test(layout, test_busy);
        tcase_add_test(layout, test_ring);
        tcase_add_test(layout, test_ring_race);
        suite_add_tcase(suite, machine);
        suite_add_tcase(suite, layout);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
