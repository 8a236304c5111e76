/* SPDX-License-Identifier: Apache-2.0 */
/* Lets the metronome beat and rest, closes in the middle of it, and opens again. */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOMessage.h>

#include "client.h"
#include "timers/Metronome/MetronomeKeys.h"

enum { BEATS = 12, INTERVAL = 3000000 };

static IONotificationPortRef notify;

struct count {
    uint64_t beats, rests, last;
    bool over;
};

static void beat(void *refcon, IOReturn result, void **arguments, uint32_t n)
{
    struct count *count = refcon;
    struct MetronomeBeat beat;

    CHECK(n == 4);
    memcpy(&beat, arguments, sizeof(beat));
    CHECK(beat.number == count->beats && beat.left == BEATS - 1 - count->beats);
    CHECK(beat.at >= beat.due && (count->beats == 0 || beat.due == count->last + INTERVAL));
    CHECK(result == (beat.left ? kIOReturnSuccess : 1));
    count->last = beat.due;
    count->beats++;
    if (beat.left == 0) {
        count->over = true;
        CFRunLoopStop(CFRunLoopGetCurrent());
    }
}

static void rest(void *refcon, IOReturn result, void *argument)
{
    struct count *count = refcon;
    CHECK(result == kIOReturnSuccess && argument != NULL);
    count->rests++;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

static kern_return_t call(io_connect_t connect, uint32_t selector, void *callback, struct count *count, uint64_t a, uint64_t b,
                          uint32_t in)
{
    io_async_ref64_t reference = { 0 };
    const uint64_t scalars[] = { a, b };

    reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)callback;
    reference[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)count;
    return IOConnectCallAsyncScalarMethod(connect, selector, IONotificationPortGetMachPort(notify), reference, kIOAsyncCalloutCount,
                                          scalars, in, NULL, NULL);
}

static void state(io_connect_t connect, uint64_t out[3])
{
    uint32_t count = 3;
    CHECK_OK(IOConnectCallScalarMethod(connect, kMetronomeSelectorState, NULL, 0, out, &count));
}

static void check_beats(io_connect_t connect)
{
    struct count count = { 0 };
    uint64_t before[3], after[3];

    state(connect, before);
    CHECK_CODE(call(connect, kMetronomeSelectorBeats, (void *)beat, &count, 0, INTERVAL, 2), kIOReturnBadArgument);
    CHECK_OK(call(connect, kMetronomeSelectorBeats, (void *)beat, &count, BEATS, INTERVAL, 2));
    CHECK_CODE(call(connect, kMetronomeSelectorBeats, (void *)beat, &count, BEATS, INTERVAL, 2), kIOReturnBusy);
    while (!count.over)
        CFRunLoopRun();
    state(connect, after);
    CHECK(count.beats == BEATS && after[1] == before[1] + BEATS);
    CHECK(after[0] > before[0]); /* the service's own pulse went on: 36 ms are 18 of its times */
}

/* Beats and rests do not disturb each other. */
static void check_both(io_connect_t connect)
{
    struct count count = { 0 };
    uint64_t after[3];

    CHECK_OK(call(connect, kMetronomeSelectorBeats, (void *)beat, &count, BEATS, INTERVAL, 2));
    CHECK_OK(call(connect, kMetronomeSelectorRest, (void *)rest, &count, 7 * 1000 * 1000, 0, 1));
    CHECK_CODE(call(connect, kMetronomeSelectorRest, (void *)rest, &count, 1, 0, 1), kIOReturnBusy);
    while (!count.over || count.rests == 0)
        CFRunLoopRun();
    state(connect, after);
    CHECK(count.rests == 1 && after[2] == 1);
}

static void gone(void *refcon, io_service_t service, uint32_t type, void *argument)
{
    if (type == kIOMessageServiceIsTerminated)
        *(bool *)refcon = true;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

/* The service ends while its own timer goes, and a connection's too: both have to be cancelled before they have stopped. */
static void check_end(io_connect_t connect)
{
    static struct count last;
    bool over = false;
    io_service_t service = client_find("Metronome");
    io_object_t interest;
    mach_timespec_t patience = { 60, 0 };

    CHECK_OK(IOServiceAddInterestNotification(notify, service, kIOGeneralInterest, gone, &over, &interest));
    CHECK_OK(call(connect, kMetronomeSelectorBeats, (void *)beat, &last, BEATS, INTERVAL, 2));
    CHECK_OK(IOConnectCallScalarMethod(connect, kMetronomeSelectorEnd, NULL, 0, NULL, NULL));
    while (!over)
        CFRunLoopRun();
    CHECK_OK(IOKitWaitQuiet(kIOMainPortDefault, &patience));
    CHECK(IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("Metronome")) == IO_OBJECT_NULL);
    IOObjectRelease(interest);
    IOObjectRelease(service);
    IOServiceClose(connect);
}

int main(void)
{
    struct count closed = { 0 };
    io_connect_t connect = client_open("Metronome", 0);

    notify = IONotificationPortCreate(kIOMainPortDefault);
    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(notify), kCFRunLoopDefaultMode);
    check_beats(connect);
    check_beats(connect);
    check_both(connect);
    /* Closed while a beat is due at any time and a rest is an hour away. */
    CHECK_OK(call(connect, kMetronomeSelectorBeats, (void *)beat, &closed, BEATS, INTERVAL, 2));
    CHECK_OK(call(connect, kMetronomeSelectorRest, (void *)rest, &closed, 3600ull * 1000 * 1000 * 1000, 0, 1));
    CHECK_OK(IOServiceClose(connect));
    connect = client_open("Metronome", 0);
    check_beats(connect);
    check_end(connect);
    IONotificationPortDestroy(notify);
    printf("the metronome beats, rests and stops\n");
    return 0;
}
