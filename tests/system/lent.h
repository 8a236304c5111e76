/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of memory that drivers keep share: the calls of the echo driver for it, and what this process has mapped. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <CoreFoundation/CoreFoundation.h>

#include "echo-world.h"

#define STEP 4096u                      /* of kEchoExchange */
#define IN 1u                           /* kIOMemoryDirectionIn, Out, DisableCopyOnWrite: what drivers pass */
#define OUT 2u
#define SHARED 0x10u

static inline bool is_of(io_service_t service, const char *identifier)
{
        CFStringRef server = IORegistryEntryCreateCFProperty(service, CFSTR("IOUserServerName"), NULL, 0);
        char name[128] = "";

        if (server && CFGetTypeID(server) == CFStringGetTypeID())
                CFStringGetCString(server, name, sizeof(name), kCFStringEncodingUTF8);
        if (server)
                CFRelease(server);
        return strcmp(name, identifier) == 0;
}

/* The service of a bundle: both have the same name. */
static inline io_service_t service_of(const char *identifier)
{
        io_service_t service = world_service("echo"), other;

        if (is_of(service, identifier))
                return service;
        other = world_service_again("echo", world_service_id(service));
        IOObjectRelease(service);
        ck_assert_msg(is_of(other, identifier), "no service of %s", identifier);
        return other;
}

static inline io_connect_t open_bundle(const char *identifier)
{
        io_service_t service = service_of(identifier);
        io_connect_t c = 0;

        ck_assert_int_eq(IOServiceOpen(service, mach_task_self(), 0, &c), 0);
        IOObjectRelease(service);
        return c;
}

static inline kern_return_t keep(io_connect_t c, uint64_t slot, uint64_t options, void *at, size_t length)
{
        uint64_t in[] = { slot, options, (uintptr_t)at, length };

        return IOConnectCallScalarMethod(c, kEchoKeep, in, 4, NULL, NULL);
}

static inline kern_return_t keep_output(io_connect_t c, uint64_t slot, void *at, size_t length)
{
        return IOConnectCallMethod(c, kEchoKeep, &slot, 1, NULL, 0, NULL, NULL, at, &length);
}

static inline kern_return_t exchange(io_connect_t c, uint64_t slot, uint64_t least, uint64_t value, uint64_t out[2])
{
        uint64_t in[] = { slot, least, value };
        uint32_t count = 2;

        return IOConnectCallScalarMethod(c, kEchoExchange, in, 3, out, &count);
}

static inline kern_return_t drop(io_connect_t c, uint64_t slot)
{
        return IOConnectCallScalarMethod(c, kEchoDrop, &slot, 1, NULL, NULL);
}

