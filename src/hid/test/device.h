/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the tests of devices share: a driver that does with reports what the test tells it, and a recorder in the same process that
 * plays the kernel. What is expected of both is checked here, and fails the test.
 */
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOMemoryMap.h>
#include <HIDDriverKit/HIDDriverKit.h>
#include <HIDDriverKit/IOHIDDeviceKeys.h>

#include "base/base.h"
#include "driver/service.h"
#include "driver/test.h"
#include "hid/device.h"
#include "hid/test/recorder.h"

/* --- the driver --- */

/* What its setReport and getReport do with what they are asked. */
enum manner { ANSWER, TAKE, KEEP, REFUSE, ANSWER_AND_REFUSE, BASE };

typedef struct TestHID {
        IOUserHIDDevice device;
} TestHID;
extern const OSMetaClass gTestHIDMetaClass;

/* Reports without ids: 4 bytes in, 2 bytes out, a feature of 3. */
extern const uint8_t plain_descriptor[22];

struct driver {
        _Atomic(enum manner) manner;
        bool refuse_start, no_descriptor, no_description;
        uint32_t time_limit_us;
        const void *descriptor;         /* plain_descriptor, if the test says nothing else */
        size_t descriptor_size;
        /* what was asked last; getReport gives 11 22 33, as far as there is room */
        struct signal asked, freed;
        IOHIDReportType type;
        IOOptionBits options;
        uint32_t time_limit_ms;
        uint64_t asked_at;              /* amb_time_now */
        uint8_t bytes[64];
        uint64_t size;
        /* KEEP */
        OSAction *kept;
        IOMemoryDescriptor *kept_memory;
};
extern struct driver driver;

/* --- the world around it --- */

/* A recorder listens, where devices look for it. */
void world_begin(void);
void world_end(void);
int world_accept(void);

TestHID *device_new(void);
/* The device, and the recorder's end of it, which has seen the first record. */
TestHID *device_start(int *ret_fd, struct uhid_event *ret_create);
void device_stop(TestHID *device, int fd);      /* fd -1: nobody records it any more */
/* The test's last reference. Threads that have just done something for it may hold it a little longer; nobody does for ever. */
void device_end(TestHID *device);

/* All of it: a world, and a device that the kernel has taken on; and its end. */
struct bench {
        TestHID *device;
        IOHIDDevice *hid;               /* the same */
        int fd;
};
struct bench bench_begin(enum manner manner);
void bench_end(struct bench *bench);

/* --- reports --- */

IOMemoryDescriptor *memory_of(const void *bytes, size_t size);
kern_return_t handle(TestHID *device, IOMemoryDescriptor *memory, uint32_t length, IOHIDReportType type);
kern_return_t post(TestHID *device, IOHIDReportType type, const void *bytes, size_t size);
kern_return_t post_input(TestHID *device, const void *bytes, size_t size);

void expect_input(int fd, const void *bytes, size_t size);
void expect_set_reply(int fd, uint32_t id, int error);
void expect_get_reply(int fd, uint32_t id, int error, const void *bytes, size_t size);

/* One request, and its answer. The id is the one after the last. */
void ask_set(struct bench *bench, uint8_t type, uint8_t report, const void *bytes, size_t size, int error);
void ask_get(struct bench *bench, uint8_t type, uint8_t report, int error, const void *bytes, size_t size);
