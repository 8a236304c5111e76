/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sensors watch`: a plot that goes on when the driver dies.
 *
 * Everything arrives at one notification port and is delivered by the main thread's run loop, so nothing here needs a lock:
 *   - completions of the driver's Subscribe, one every period;
 *   - "a service with this name was matched": at the start and whenever the driver is back;
 *   - messages about the service we have opened: that it was terminated.
 */
#include "app.h"

#include <inttypes.h>
#include <IOKit/IOMessage.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "plot.h"

struct watch {
        IONotificationPortRef port;
        io_iterator_t matched;                  /* services named "sensors" come out of it */
        io_service_t service;                   /* the one that we have open, or 0 */
        io_service_t next;                      /* one that came while we had another open */
        io_connect_t connect;
        io_object_t interest;
        bool terminal, drawn, lost;
        uint64_t period, received, sent, time;  /* network counters of the completion before */
        struct plot plot;
        int status;
};

#define DRAWN_LINES (PLOT_LINES + 3)

/* Whether a plot can be drawn over and over: a terminal that can go up a line, with room for it. Otherwise a line each time. */
static bool can_plot(void)
{
        const char *kind = getenv("TERM");
        struct winsize size;

        if (!isatty(STDOUT_FILENO) || !kind || !*kind || strcmp(kind, "dumb") == 0)
                return false;
        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 ||
               (size.ws_col >= PLOT_COLUMNS + 8 && size.ws_row > DRAWN_LINES);
}

static void service_take(struct watch *watch, io_service_t service);

/* --- drawing --- */

static void cores_format(const uint64_t *values, uint32_t count, size_t width, char *text, size_t size)
{
        size_t length = 0;

        text[0] = '\0';
        for (uint32_t i = SENSORS_EVENT_CORES; i < count && length < size; i++) {
                char bar[3 * 16 + 1];

                plot_bar(values[i], width, bar);
                length += (size_t)snprintf(text + length, size - length, " cpu%u [%s]", i - SENSORS_EVENT_CORES, bar);
        }
}

static void rates_format(struct watch *watch, const uint64_t *values, char *text, size_t size)
{
        double seconds = (double)(values[SENSORS_EVENT_TIME] - watch->time) / 1e9;
        char in[32], out[32];

        text[0] = '\0';
        if (watch->time && seconds > 0)
                snprintf(text, size, "network in %s/s out %s/s",
                         app_bytes((uint64_t)((double)(values[SENSORS_EVENT_RECEIVED] - watch->received) / seconds), in),
                         app_bytes((uint64_t)((double)(values[SENSORS_EVENT_SENT] - watch->sent) / seconds), out));
        watch->time = values[SENSORS_EVENT_TIME];
        watch->received = values[SENSORS_EVENT_RECEIVED];
        watch->sent = values[SENSORS_EVENT_SENT];
}

static void temperature_format(const uint64_t *values, char *text, size_t size)
{
        int64_t hottest = (int64_t)values[SENSORS_EVENT_HOTTEST];

        text[0] = '\0';
        if (hottest != SENSORS_NO_TEMPERATURE)
                snprintf(text, size, "  hottest %.1f °C", (double)hottest / 1000);
}

static void frame_draw(struct watch *watch, const uint64_t *values, uint32_t count)
{
        uint64_t total = values[SENSORS_EVENT_MEMORY_TOTAL], used = total - values[SENSORS_EVENT_MEMORY_AVAILABLE];
        char line[PLOT_LINE_SIZE], cores[512], rates[96], hottest[48], memory[3 * 20 + 1];

        /* Lines end at the edge: many cores would wrap, and the next frame begin in the wrong place. */
        printf("\033[?7l");
        if (watch->drawn)
                printf("\033[%dA", DRAWN_LINES);
        watch->drawn = true;
        for (size_t i = 0; i < PLOT_LINES; i++) {
                plot_line(&watch->plot, i, line);
                printf("\r  %4s \342\224\202%s\033[K\n", i == 0 ? "100%" : i == PLOT_LINES - 1 ? "0%" : "", line);
        }
        cores_format(values, count, 10, cores, sizeof(cores));
        rates_format(watch, values, rates, sizeof(rates));
        temperature_format(values, hottest, sizeof(hottest));
        plot_bar(total ? used * 1000 / total : 0, 20, memory);
        printf("\r  cpu %5.1f %%  %s\033[K\n", (double)values[SENSORS_EVENT_BUSY] / 10, cores);
        printf("\r  memory [%s] %.1f %% used   load %.2f%s\033[K\n", memory, total ? (double)used * 100 / (double)total : 0,
               (double)values[SENSORS_EVENT_LOAD] / 1000, hottest);
        printf("\r  completion %" PRIu64 "   %s\033[K\033[?7h\n", values[SENSORS_EVENT_NUMBER], rates);
}

static void line_print(struct watch *watch, const uint64_t *values)
{
        char bar[3 * 20 + 1], rates[96], hottest[48];

        plot_bar(values[SENSORS_EVENT_BUSY], 20, bar);
        rates_format(watch, values, rates, sizeof(rates));
        temperature_format(values, hottest, sizeof(hottest));
        printf("  completion %-4" PRIu64 " cpu %5.1f %% [%s] load %.2f%s  %s\n", values[SENSORS_EVENT_NUMBER],
               (double)values[SENSORS_EVENT_BUSY] / 10, bar, (double)values[SENSORS_EVENT_LOAD] / 1000, hottest, rates);
}

/* Says something about the connection, below the plot, which then starts anew. */
static void watch_say(struct watch *watch, const char *text)
{
        printf("  %s\n", text);
        watch->drawn = false;
}

/* --- what arrives --- */

static void completion_arrived(void *refcon, IOReturn result, void **arguments, uint32_t count)
{
        struct watch *watch = refcon;
        uint64_t values[SENSORS_EVENT_COUNT_MAX] = { 0 };

        if (result != kIOReturnSuccess || count < SENSORS_EVENT_CORES || count > SENSORS_EVENT_COUNT_MAX)
                return;
        for (uint32_t i = 0; i < count; i++)
                values[i] = (uint64_t)(uintptr_t)arguments[i];
        if (watch->lost) {
                watch->lost = false;
                watch_say(watch, "back: completions arrive again");
        }
        plot_add(&watch->plot, values[SENSORS_EVENT_BUSY]);
        if (watch->terminal)
                frame_draw(watch, values, count);
        else
                line_print(watch, values);
        fflush(stdout);
}

static void connection_drop(struct watch *watch)
{
        /* The handle is dead; closing it gives back what this process holds of it. */
        if (watch->connect)
                IOServiceClose(watch->connect);
        if (watch->interest)
                IOObjectRelease(watch->interest);
        if (watch->service)
                IOObjectRelease(watch->service);
        watch->connect = watch->interest = watch->service = 0;
}

static void service_message(void *refcon, io_service_t service, uint32_t type, void *argument)
{
        struct watch *watch = refcon;
        uint64_t info[SENSORS_INFO_COUNT];
        uint32_t count = SENSORS_INFO_COUNT;
        io_service_t next = watch->next;
        char text[160];
        kern_return_t r;

        if (type != (uint32_t)kIOMessageServiceIsTerminated || service != watch->service)
                return;
        snprintf(text, sizeof(text), "told: kIOMessageServiceIsTerminated (0x%08x): the driver is gone", type);
        watch_say(watch, text);
        r = IOConnectCallScalarMethod(watch->connect, SENSORS_GET_INFO, NULL, 0, info, &count);
        snprintf(text, sizeof(text), "a call on the old connection returns %s (0x%08x); waiting for the driver to come back",
                 mach_error_string(r), (unsigned int)r);
        watch_say(watch, text);
        watch->lost = true;
        watch->next = 0;
        connection_drop(watch);
        if (next)
                service_take(watch, next);
        fflush(stdout);
}

/* Opens and subscribes; takes over the reference of `service`. */
static void service_take(struct watch *watch, io_service_t service)
{
        uint64_t reference[8] = { [kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)completion_arrived,
                                  [kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)watch };
        const char *what = "IOServiceAddInterestNotification";
        mach_port_t wake = IONotificationPortGetMachPort(watch->port);
        uint64_t id = 0;
        char text[96];
        kern_return_t r;

        watch->service = service;
        /* First the interest, then the connection: no end of the service can be missed. */
        r = IOServiceAddInterestNotification(watch->port, service, kIOGeneralInterest, service_message, watch,
                                             &watch->interest);
        if (r == kIOReturnSuccess) {
                what = "IOServiceOpen";
                r = IOServiceOpen(service, mach_task_self(), 0, &watch->connect);
        }
        if (r == kIOReturnSuccess) {
                what = "Subscribe";
                r = IOConnectCallAsyncScalarMethod(watch->connect, SENSORS_SUBSCRIBE, wake, reference, kIOAsyncCalloutCount,
                                                   &watch->period, 1, NULL, NULL);
        }
        if (r != kIOReturnSuccess) {
                uint64_t state = 0;
                bool gone = IOServiceGetState(service, &state) != kIOReturnSuccess || (state & kIOServiceInactiveState);

                connection_drop(watch);
                /* One that has died meanwhile will be followed by another; any other reason would be the same next time. */
                if (gone || r == MIG_SERVER_DIED)
                        return;
                watch->status = app_failed(what, r);
                CFRunLoopStop(CFRunLoopGetCurrent());
                return;
        }
        IORegistryEntryGetRegistryEntryID(service, &id);
        snprintf(text, sizeof(text), "opened service 0x%" PRIx64 ", subscribed to a completion every %" PRIu64 " ms", id,
                 watch->period);
        watch_say(watch, text);
}

static void services_matched(void *refcon, io_iterator_t iterator)
{
        struct watch *watch = refcon;
        io_service_t service;

        while ((service = IOIteratorNext(iterator))) {
                if (!watch->service) {
                        service_take(watch, service);
                        continue;
                }
                /* Known before we were told of the end of the one before. */
                if (watch->next)
                        IOObjectRelease(watch->next);
                watch->next = service;
        }
        fflush(stdout);
}

int app_watch(unsigned int seconds)
{
        struct watch watch = { .terminal = can_plot(), .status = EXIT_SUCCESS };
        kern_return_t r;

        if (!app_registry_there())
                return EXIT_FAILURE;
        watch.period = watch.terminal ? 100 : 250;
        watch.port = IONotificationPortCreate(kIOMainPortDefault);
        if (!watch.port)
                return app_failed("IONotificationPortCreate", kIOReturnNoMemory);
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(watch.port), kCFRunLoopDefaultMode);
        r = IOServiceAddMatchingNotification(watch.port, kIOFirstMatchNotification, IOServiceNameMatching("sensors"),
                                             services_matched, &watch, &watch.matched);
        if (r != kIOReturnSuccess) {
                IONotificationPortDestroy(watch.port);
                return app_failed("IOServiceAddMatchingNotification", r);
        }
        /* What is there already; and this arms the notification. */
        services_matched(&watch, watch.matched);
        if (watch.status == EXIT_SUCCESS) {
                if (!watch.service)
                        watch_say(&watch, "no service is named \"sensors\" yet: waiting for one");
                fflush(stdout);
                if (seconds)
                        CFRunLoopRunInMode(kCFRunLoopDefaultMode, seconds, false);
                else
                        CFRunLoopRun();
        }
        connection_drop(&watch);
        if (watch.next)
                IOObjectRelease(watch.next);
        IOObjectRelease(watch.matched);
        IONotificationPortDestroy(watch.port);
        return watch.status;
}
