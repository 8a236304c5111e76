/* SPDX-License-Identifier: Apache-2.0 */
#include "readings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* /proc/stat lists the cores first: this is room for more of them than struct sensors_all has. */
#define TEXT_SIZE (128 * 1024)

struct sensors_reader {
        int root;
        char text[TEXT_SIZE];
};

int sensors_reader_new(struct sensors_reader **ret_reader, const char *root)
{
        struct sensors_reader *reader = malloc(sizeof(*reader));

        if (!reader)
                return -ENOMEM;
        reader->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (reader->root < 0) {
                int r = -errno;

                free(reader);
                return r;
        }
        *ret_reader = reader;
        return 0;
}

struct sensors_reader *sensors_reader_free(struct sensors_reader *reader)
{
        if (!reader)
                return NULL;
        close(reader->root);
        free(reader);
        return NULL;
}

/* As much of a file as fits, NUL-terminated. The kernel hands /proc files out page by page, so one read is not enough. */
static int text_read(int directory, const char *path, char *text, size_t size)
{
        size_t length = 0;
        int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r = 0;

        if (fd < 0)
                return -errno;
        while (length < size - 1) {
                ssize_t n = read(fd, text + length, size - 1 - length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        r = -errno;
                if (n <= 0)
                        break;
                length += (size_t)n;
        }
        close(fd);
        text[length] = '\0';
        return r;
}

/* The next line of *cursor, without its newline; NULL at the end. */
static char *line_next(char **cursor)
{
        char *line = *cursor, *end;

        if (!line || !*line)
                return NULL;
        end = strchr(line, '\n');
        if (end)
                *end = '\0';
        *cursor = end ? end + 1 : NULL;
        return line;
}

/* Up to `most` unsigned numbers separated by blanks; how many there were. */
static size_t numbers_parse(const char *text, uint64_t *numbers, size_t most)
{
        size_t count = 0;

        while (count < most) {
                char *end;

                while (*text == ' ' || *text == '\t')
                        text++;
                if (*text < '0' || *text > '9')
                        break;
                numbers[count++] = strtoull(text, &end, 10);
                text = end;
        }
        return count;
}

static bool times_parse(const char *text, struct sensors_times *ret_times)
{
        uint64_t n[SENSORS_TIMES_COUNT] = { 0 };

        /* Old kernels have no steal; user to idle were always there. */
        if (numbers_parse(text, n, SENSORS_TIMES_COUNT) < 4)
                return false;
        *ret_times = (struct sensors_times){ n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7] };
        return true;
}

static int stat_read(struct sensors_reader *reader, struct sensors_all *all)
{
        char *cursor = reader->text, *line, *end;
        uint32_t cores = 0;
        bool total = false;
        int r = text_read(reader->root, "proc/stat", reader->text, sizeof(reader->text));

        if (r < 0)
                return r;
        while ((line = line_next(&cursor)) && strncmp(line, "cpu", 3) == 0) {
                struct sensors_times times;
                unsigned long number;

                if (line[3] == ' ') {
                        total = times_parse(line + 3, &all->snapshot.total);
                        continue;
                }
                number = strtoul(line + 3, &end, 10);
                if (end == line + 3 || number > UINT32_MAX || !times_parse(end, &times))
                        continue;
                if (cores < SENSORS_CORES_MAX)
                        all->cores[cores] = (struct sensors_core){ .number = (uint32_t)number, .times = times };
                cores++;
        }
        if (!total || cores == 0)
                return -ENODATA;
        all->snapshot.cores = cores;
        return 0;
}

static void memory_read(struct sensors_reader *reader, struct sensors_snapshot *snapshot)
{
        const struct {
                const char *key;
                uint64_t *value;
        } fields[] = {
                { "MemTotal:", &snapshot->memory_total },
                { "MemFree:", &snapshot->memory_free },
                { "MemAvailable:", &snapshot->memory_available },
                { "SwapTotal:", &snapshot->swap_total },
                { "SwapFree:", &snapshot->swap_free },
        };
        char *cursor = reader->text, *line;

        if (text_read(reader->root, "proc/meminfo", reader->text, sizeof(reader->text)) < 0)
                return;
        while ((line = line_next(&cursor))) {
                for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
                        size_t length = strlen(fields[i].key);
                        uint64_t kilobytes;

                        if (strncmp(line, fields[i].key, length) == 0 && numbers_parse(line + length, &kilobytes, 1) == 1)
                                *fields[i].value = kilobytes * 1024;
                }
        }
}

/* "0.90 0.21 0.07 1/93 6661": two digits after the point, whatever the locale says of points. */
static void load_read(struct sensors_reader *reader, struct sensors_snapshot *snapshot)
{
        unsigned int whole[3], part[3], running;

        if (text_read(reader->root, "proc/loadavg", reader->text, sizeof(reader->text)) < 0)
                return;
        if (sscanf(reader->text, "%u.%2u %u.%2u %u.%2u %u/", &whole[0], &part[0], &whole[1], &part[1], &whole[2], &part[2],
                   &running) != 7)
                return;
        for (size_t i = 0; i < 3; i++)
                snapshot->load[i] = whole[i] * 1000ull + part[i] * 10ull;
        snapshot->running = running;
}

static void network_read(struct sensors_reader *reader, struct sensors_all *all)
{
        char *cursor = reader->text, *line;
        uint32_t interfaces = 0;
        uint64_t received = 0, sent = 0;

        if (text_read(reader->root, "proc/net/dev", reader->text, sizeof(reader->text)) < 0)
                reader->text[0] = '\0';
        while ((line = line_next(&cursor))) {
                char *colon = strrchr(line, ':'), *name = line + strspn(line, " ");
                struct sensors_interface interface = { 0 };
                uint64_t n[16];

                /* The two lines of headings have no colon, and a name may itself have one. */
                if (!colon || numbers_parse(colon + 1, n, 16) != 16)
                        continue;
                *colon = '\0';
                snprintf(interface.name, sizeof(interface.name), "%s", name);
                interface.received = n[0], interface.received_packets = n[1];
                interface.received_errors = n[2], interface.received_drops = n[3];
                interface.sent = n[8], interface.sent_packets = n[9];
                interface.sent_errors = n[10], interface.sent_drops = n[11];
                if (interfaces < SENSORS_INTERFACES_MAX)
                        all->interfaces[interfaces] = interface;
                interfaces++;
                if (strcmp(interface.name, "lo") != 0) {
                        received += interface.received;
                        sent += interface.sent;
                }
        }
        all->snapshot.interfaces = interfaces;
        all->snapshot.received = received;
        all->snapshot.sent = sent;
}

int sensors_read_counters(struct sensors_reader *reader, struct sensors_all *all)
{
        struct timespec now;
        int r = stat_read(reader, all);

        if (r < 0)
                return r;
        clock_gettime(CLOCK_MONOTONIC, &now);
        all->snapshot.time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        memory_read(reader, &all->snapshot);
        load_read(reader, &all->snapshot);
        network_read(reader, all);
        return 0;
}

/* --- sensors --- */

/* The first line of a small file; false if there is none. */
static bool line_read(int directory, const char *path, char *line, size_t size)
{
        if (text_read(directory, path, line, size) < 0)
                return false;
        line[strcspn(line, "\n")] = '\0';
        return line[0] != '\0';
}

static bool value_read(int directory, const char *path, int64_t *ret_value)
{
        char line[32], *end;
        long long value;

        if (!line_read(directory, path, line, sizeof(line)))
                return false;
        errno = 0;
        value = strtoll(line, &end, 10);
        if (errno || end == line || *end)
                return false;
        *ret_value = value;
        return true;
}

static void sensor_add(struct sensors_all *all, enum sensors_kind kind, const char *chip, const char *label, int64_t value)
{
        struct sensors_snapshot *snapshot = &all->snapshot;

        if (snapshot->sensors < SENSORS_SENSORS_MAX) {
                struct sensors_sensor *sensor = &all->sensors[snapshot->sensors];

                memset(sensor, 0, sizeof(*sensor));
                snprintf(sensor->name, sizeof(sensor->name), "%.20s %.26s", chip, label);
                sensor->kind = kind;
                sensor->value = value;
        }
        snapshot->sensors++;
        if (kind == SENSORS_TEMPERATURE && (snapshot->hottest == SENSORS_NO_TEMPERATURE || value > snapshot->hottest))
                snapshot->hottest = value;
}

/* What a file of a chip's directory measures: "temp1_input", "power2_average"; 0: not a reading. */
static enum sensors_kind input_kind(const char *file, size_t *ret_stem)
{
        static const struct {
                const char *stem, *suffix;
                enum sensors_kind kind;
        } kinds[] = {
                { "temp", "_input", SENSORS_TEMPERATURE }, { "fan", "_input", SENSORS_FAN },
                { "in", "_input", SENSORS_VOLTAGE },       { "curr", "_input", SENSORS_CURRENT },
                { "power", "_input", SENSORS_POWER },      { "power", "_average", SENSORS_POWER },
                { "humidity", "_input", SENSORS_HUMIDITY },
        };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                size_t stem = strlen(kinds[i].stem), digits;

                if (strncmp(file, kinds[i].stem, stem) != 0)
                        continue;
                digits = strspn(file + stem, "0123456789");
                if (digits > 0 && strcmp(file + stem + digits, kinds[i].suffix) == 0) {
                        *ret_stem = stem + digits;
                        return kinds[i].kind;
                }
        }
        return 0;
}

static int entry_is_visible(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

static int entry_is_input(const struct dirent *entry)
{
        size_t stem;

        return input_kind(entry->d_name, &stem) != 0;
}

static int entry_is_zone(const struct dirent *entry)
{
        return strncmp(entry->d_name, "thermal_zone", 12) == 0;
}

/* Calls `take` with each chosen entry of a directory in natural order: hwmon2 before hwmon10. */
static void directory_walk(int directory, const char *path, int (*choose)(const struct dirent *),
                           void (*take)(int directory, const char *name, void *context), void *context)
{
        struct dirent **entries;
        int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), count;

        if (fd < 0)
                return;
        count = scandirat(fd, ".", &entries, choose, versionsort);
        for (int i = 0; i < count; i++) {
                take(fd, entries[i]->d_name, context);
                free(entries[i]);
        }
        if (count >= 0)
                free(entries);
        close(fd);
}

struct chip {
        struct sensors_all *all;
        char name[NAME_MAX + 1];
};

static void input_take(int directory, const char *file, void *context)
{
        struct chip *chip = context;
        char path[NAME_MAX + 16], label[64];
        size_t stem = 0;
        enum sensors_kind kind = input_kind(file, &stem);
        int64_t value;

        /* A sensor that is asleep or unplugged answers with an error: it is not listed until it speaks again. */
        if (!value_read(directory, file, &value))
                return;
        snprintf(path, sizeof(path), "%.*s_label", (int)stem, file);
        if (!line_read(directory, path, label, sizeof(label)))
                snprintf(label, sizeof(label), "%.*s", (int)stem, file);
        sensor_add(chip->all, kind, chip->name, label, value);
}

static void chip_take(int directory, const char *name, void *context)
{
        struct chip chip = { .all = context };
        char path[NAME_MAX + 8];

        snprintf(path, sizeof(path), "%s/name", name);
        if (!line_read(directory, path, chip.name, sizeof(chip.name)))
                snprintf(chip.name, sizeof(chip.name), "%s", name);
        directory_walk(directory, name, entry_is_input, input_take, &chip);
}

static void zone_take(int directory, const char *name, void *context)
{
        char path[NAME_MAX + 8], type[64];
        int64_t value;

        snprintf(path, sizeof(path), "%s/temp", name);
        if (!value_read(directory, path, &value))
                return;
        snprintf(path, sizeof(path), "%s/type", name);
        if (!line_read(directory, path, type, sizeof(type)))
                snprintf(type, sizeof(type), "temperature");
        sensor_add(context, SENSORS_TEMPERATURE, name, type, value);
}

void sensors_read_hardware(struct sensors_reader *reader, struct sensors_all *all)
{
        all->snapshot.sensors = 0;
        all->snapshot.hottest = SENSORS_NO_TEMPERATURE;
        directory_walk(reader->root, "sys/class/hwmon", entry_is_visible, chip_take, all);
        directory_walk(reader->root, "sys/class/thermal", entry_is_zone, zone_take, all);
}
