/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The app of the sensors driver: finds it in the registry, opens it, calls it, hears from it, reads its memory.
 *
 *      sensors once              one reading, by calls
 *      sensors watch [SECONDS]   a live plot, by completions; survives the death of the driver
 *      sensors map               the ring of samples in shared memory, without a call
 *
 * Nothing but IOKitLib's calls are used; the same source would be built on macOS against IOKit.framework.
 */
#include "app.h"

#include <inttypes.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int app_failed(const char *what, kern_return_t code)
{
        fprintf(stderr, "sensors: %s: %s (0x%08x)\n", what, mach_error_string(code), (unsigned int)code);
        if (code == kIOReturnNotPermitted)
                fprintf(stderr, "sensors: this app may not open the driver; the daemon's log says what it lacks\n");
        return EXIT_FAILURE;
}

bool app_registry_there(void)
{
        io_registry_entry_t root = IORegistryGetRootEntry(kIOMainPortDefault);

        if (!root) {
                fprintf(stderr, "sensors: no registry daemon answers: start ambidextd, or run this app in a private registry:\n"
                                "         ambidext run --dext sensors.dext -- sensors once\n");
                return false;
        }
        IOObjectRelease(root);
        return true;
}

const char *app_bytes(uint64_t bytes, char text[32])
{
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
        double value = (double)bytes;
        size_t unit = 0;

        while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
                value /= 1024;
                unit++;
        }
        snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
        return text;
}

/* --- once --- */

static void sensor_print(const struct sensors_sensor *sensor)
{
        static const struct {
                double scale;
                const char *unit;
        } kinds[] = {
                [SENSORS_TEMPERATURE] = { 1e-3, "°C" }, [SENSORS_FAN] = { 1, "rpm" },    [SENSORS_VOLTAGE] = { 1e-3, "V" },
                [SENSORS_CURRENT] = { 1e-3, "A" },      [SENSORS_POWER] = { 1e-6, "W" }, [SENSORS_HUMIDITY] = { 1e-3, "%" },
        };

        if (sensor->kind == 0 || sensor->kind >= sizeof(kinds) / sizeof(kinds[0]))
                return;
        printf("  %-28.47s %.2f %s\n", sensor->name, (double)sensor->value * kinds[sensor->kind].scale,
               kinds[sensor->kind].unit);
}

static void all_print(const struct sensors_all *all, uint64_t ticks)
{
        const struct sensors_snapshot *now = &all->snapshot;
        char one[32], two[32];

        for (uint32_t i = 0; i < now->cores && i < SENSORS_CORES_MAX; i++) {
                const struct sensors_times *times = &all->cores[i].times;

                printf("  cpu%-3" PRIu32 " busy for %.1f s, idle for %.1f s since boot\n", all->cores[i].number,
                       (double)(times->user + times->nice + times->system + times->irq + times->softirq) / (double)ticks,
                       (double)(times->idle + times->iowait) / (double)ticks);
        }
        for (uint32_t i = 0; i < now->interfaces && i < SENSORS_INTERFACES_MAX; i++) {
                const struct sensors_interface *interface = &all->interfaces[i];

                if (interface->received || interface->sent)
                        printf("  %-6.15s %s received, %s sent\n", interface->name, app_bytes(interface->received, one),
                               app_bytes(interface->sent, two));
        }
        for (uint32_t i = 0; i < now->sensors && i < SENSORS_SENSORS_MAX; i++)
                sensor_print(&all->sensors[i]);
        if (now->sensors == 0)
                printf("  (this machine has no temperature, fan, voltage or power sensor)\n");
}

static int once(io_connect_t connect)
{
        uint64_t info[SENSORS_INFO_COUNT];
        uint32_t info_count = SENSORS_INFO_COUNT;
        struct sensors_snapshot now;
        size_t now_size = sizeof(now), all_size = sizeof(struct sensors_all);
        static struct sensors_all all;
        char one[32], two[32];
        kern_return_t r;

        /* Scalars out, a small structure out, and one of more than 4096 bytes. */
        r = IOConnectCallScalarMethod(connect, SENSORS_GET_INFO, NULL, 0, info, &info_count);
        if (r != kIOReturnSuccess)
                return app_failed("GetInfo", r);
        r = IOConnectCallStructMethod(connect, SENSORS_SNAPSHOT, NULL, 0, &now, &now_size);
        if (r != kIOReturnSuccess)
                return app_failed("Snapshot", r);
        r = IOConnectCallStructMethod(connect, SENSORS_READ_ALL, NULL, 0, &all, &all_size);
        if (r != kIOReturnSuccess)
                return app_failed("ReadAll", r);
        printf("  %" PRIu64 " cores, %" PRIu64 " network interfaces, %" PRIu64 " sensors; a sample every %" PRIu64 " ms\n",
               info[SENSORS_INFO_CORES], info[SENSORS_INFO_INTERFACES], info[SENSORS_INFO_SENSORS],
               info[SENSORS_INFO_PERIOD] / 1000000);
        printf("  load %.2f, %" PRIu32 " threads running, memory: %s of %s available\n", (double)now.load[0] / 1000,
               now.running, app_bytes(now.memory_available, one), app_bytes(now.memory_total, two));
        all_print(&all, info[SENSORS_INFO_TICKS]);
        return EXIT_SUCCESS;
}

/* --- map --- */

static int map(io_connect_t connect)
{
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        const struct sensors_ring *ring;
        uint64_t written, oldest;
        kern_return_t r = IOConnectMapMemory64(connect, 0, mach_task_self(), &address, &size, kIOMapAnywhere);

        if (r != kIOReturnSuccess)
                return app_failed("IOConnectMapMemory64", r);
        ring = (const struct sensors_ring *)(uintptr_t)address;
        if (size < sizeof(*ring) || ring->magic != SENSORS_RING_MAGIC || ring->capacity != SENSORS_RING_SAMPLES) {
                fprintf(stderr, "sensors: the mapped memory is of another layout than this app's\n");
                return EXIT_FAILURE;
        }
        written = sensors_ring_written(ring);
        oldest = written > 12 ? written - 12 : 0;
        printf("  %" PRIu64 " bytes of the driver's memory, mapped read-only; %" PRIu64 " samples written, the last ones:\n",
               (uint64_t)size, written);
        for (uint64_t i = oldest; i < written; i++) {
                struct sensors_sample sample;
                char text[32];

                if (sensors_ring_read(ring, i, &sample))
                        printf("  sample %-6" PRIu64 " at %.3f s   cpu %5.1f %%   available %s\n", i, (double)sample.time / 1e9,
                               (double)sample.busy / 10, app_bytes(sample.memory_available, text));
        }
        r = IOConnectUnmapMemory64(connect, 0, mach_task_self(), address);
        return r == kIOReturnSuccess ? EXIT_SUCCESS : app_failed("IOConnectUnmapMemory64", r);
}

static int with_connection(int (*verb)(io_connect_t connect))
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("sensors"));
        io_connect_t connect = 0;
        kern_return_t r;
        int status;

        if (!service) {
                if (app_registry_there())
                        fprintf(stderr,
                                "sensors: no service is named \"sensors\": is the driver loaded? (ambidext ls shows what is "
                                "there, ambidext load sensors.dext loads it)\n");
                return EXIT_FAILURE;
        }
        r = IOServiceOpen(service, mach_task_self(), 0, &connect);
        IOObjectRelease(service);
        if (r != kIOReturnSuccess)
                return app_failed("IOServiceOpen", r);
        status = verb(connect);
        IOServiceClose(connect);
        return status;
}

static const char usage[] =
        "usage: sensors once              one reading of this machine's counters\n"
        "       sensors watch [SECONDS]   a live plot; without SECONDS until it is interrupted\n"
        "       sensors map               the last samples, from shared memory\n";

int main(int argc, char **argv)
{
        if (argc == 2 && strcmp(argv[1], "--help") == 0) {
                fputs(usage, stdout);
                return EXIT_SUCCESS;
        }
        if (argc == 2 && strcmp(argv[1], "once") == 0)
                return with_connection(once);
        if (argc == 2 && strcmp(argv[1], "map") == 0)
                return with_connection(map);
        if ((argc == 2 || argc == 3) && strcmp(argv[1], "watch") == 0) {
                char *end = NULL;
                unsigned long seconds = argc == 3 ? strtoul(argv[2], &end, 10) : 0;

                if (argc == 2 || (*argv[2] >= '0' && *argv[2] <= '9' && !*end && seconds > 0 && seconds <= 1000000))
                        return app_watch((unsigned int)seconds);
        }
        fputs(usage, stderr);
        return 2;
}
