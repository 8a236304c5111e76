/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the clients of tests/dexts share: CHECK, which says where it failed and ends the client with 1; finding and opening a
 * service by name, as clients of dexts do. C and C++.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <IOKit/IOKitLib.h>

#define CHECK(condition)                                                                                                \
        do {                                                                                                            \
                if (!(condition)) {                                                                                     \
                        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                         \
                        exit(1);                                                                                        \
                }                                                                                                       \
        } while (0)

/* A call and the code it must give; both are shown when they differ. */
#define CHECK_CODE(call, wanted)                                                                                        \
        do {                                                                                                            \
                kern_return_t client_code = (call), client_wanted = (kern_return_t)(wanted);                            \
                if (client_code != client_wanted) {                                                                     \
                        fprintf(stderr, "%s:%d: %s gives 0x%08x, not 0x%08x\n", __FILE__, __LINE__, #call,              \
                                (unsigned int)client_code, (unsigned int)client_wanted);                                \
                        exit(1);                                                                                        \
                }                                                                                                       \
        } while (0)
#define CHECK_OK(call) CHECK_CODE(call, kIOReturnSuccess)

static inline __attribute__((unused)) io_service_t client_find(const char *name)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
        if (service == IO_OBJECT_NULL) {
                fprintf(stderr, "there is no service %s\n", name);
                exit(1);
        }
        return service;
}

static inline __attribute__((unused)) io_connect_t client_open(const char *name, uint32_t type)
{
        io_service_t service = client_find(name);
        io_connect_t connect = IO_OBJECT_NULL;
        CHECK_OK(IOServiceOpen(service, mach_task_self(), type, &connect));
        CHECK_OK(IOObjectRelease(service));
        return connect;
}
