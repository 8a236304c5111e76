/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The contract, row by row: what a client does, what its driver does, and what must come of it, side by side.
 *
 * A file of rows is compiled twice: into the driver bundle contract.dext (with CONTRACT_DRIVER defined; the DRIVER... parts are
 * used) and into the program test-contract (the KEPT and DIFFERS parts are). Both use the public headers only.
 *
 *      DRIVER(45)                              what the driver does when selector 45 is called
 *      {
 *              arguments->structureOutput = OSDataCreate("0123456789", 10);
 *              return kIOReturnSuccess;
 *      }
 *      KEPT(call_path_045, "a shorter object than the capacity: its length and bytes come back")
 *      {
 *              ...  IOConnectCallStructMethod(contract_open(0), 45, ...)  ck_assert...
 *      }
 *
 * By convention a row's selector, open type and memory type are its number (a second selector: number + 1000, + 2000, ...). Each
 * row runs in a process of its own, against a daemon and a host of its own, so counters start at 0 and a row may kill whatever it
 * likes.
 *
 * DIFFERS(name, promise, reason) is for a row that is not kept as it stands: its test shows what happens instead, `reason` says
 * both why and what. docs/CONTRACT.md is made from these tables (test-contract --table) and compared by `make check`.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/DriverKit.h>
#include <IOKit/IOKitLib.h>
#include <ambidext/port.h>
#include <ambidext/registry.h>

/* --- the driver's half --- */

/* A user client of the contract driver. Rows may use `mine` and `number` as they like; `mine` is released at free if set. */
struct ContractUserClient {
        IOUserClient client;
        uint32_t type;                          /* what it was opened with */
        OSObject *mine;
        uint64_t number;
};

typedef kern_return_t (*contract_method)(struct ContractUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                         const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference);
typedef kern_return_t (*contract_open_hook)(IOService *self, uint32_t type, IOUserClient **client);
typedef kern_return_t (*contract_life_hook)(struct ContractUserClient *self, IOService *provider);
typedef kern_return_t (*contract_memory_hook)(struct ContractUserClient *self, uint64_t *options, IOMemoryDescriptor **memory);

/* What a row adds to the driver. One list each; kind says which member is meant. */
struct contract_hook {
        struct contract_hook *next;
        enum { CONTRACT_METHOD, CONTRACT_OPEN, CONTRACT_START, CONTRACT_STOP, CONTRACT_MEMORY, CONTRACT_FREE,
               CONTRACT_SERVICE_STOP } kind;
        uint64_t number;
        union {
                contract_method method;
                contract_open_hook open;
                contract_life_hook life;
                contract_memory_hook memory;
        };
        uint64_t calls;
};
void contract_hook_add(struct contract_hook *hook);

#ifdef CONTRACT_DRIVER
#define CONTRACT_ADD(name) __attribute__((constructor)) static void name##_add(void) { contract_hook_add(&name##_hook); }
#else
#define CONTRACT_ADD(name)
#endif
#define CONTRACT_HOOK(name, hook_kind, n, member)                                                                       \
        static __attribute__((unused)) struct contract_hook name##_hook = { .kind = hook_kind, .number = n, .member = name };

/* Selector n. The parameters are those of IOUserClient::ExternalMethod, as the runtime gave them. */
#define DRIVER(n)                                                                                                       \
        static kern_return_t driver_##n(struct ContractUserClient *self, uint64_t selector,                             \
                                        IOUserClientMethodArguments *arguments, const IOUserClientMethodDispatch *dispatch, \
                                        OSObject *target, void *reference);                                             \
        CONTRACT_HOOK(driver_##n, CONTRACT_METHOD, n, method)                                                           \
        CONTRACT_ADD(driver_##n)                                                                                        \
        static kern_return_t driver_##n(struct ContractUserClient *self, uint64_t selector,                             \
                                        IOUserClientMethodArguments *arguments, const IOUserClientMethodDispatch *dispatch, \
                                        OSObject *target, void *reference)
/* NewUserClient for open type n (without one: contract_new_client()). */
#define DRIVER_OPEN(n)                                                                                                  \
        static kern_return_t driver_open_##n(IOService *self, uint32_t type, IOUserClient **client);                    \
        CONTRACT_HOOK(driver_open_##n, CONTRACT_OPEN, n, open)                                                          \
        CONTRACT_ADD(driver_open_##n)                                                                                   \
        static kern_return_t driver_open_##n(IOService *self, uint32_t type, IOUserClient **client)
/*
 * Start of a user client of type n, after the base Start; Stop, instead of the base Stop, which it calls itself; free, before the
 * base's (provider NULL, the result is ignored).
 */
#define DRIVER_LIFE(n, which, kind)                                                                                     \
        static kern_return_t driver_##which##_##n(struct ContractUserClient *self, IOService *provider);                \
        CONTRACT_HOOK(driver_##which##_##n, kind, n, life)                                                              \
        CONTRACT_ADD(driver_##which##_##n)                                                                              \
        static kern_return_t driver_##which##_##n(struct ContractUserClient *self, IOService *provider)
#define DRIVER_START(n) DRIVER_LIFE(n, start, CONTRACT_START)
#define DRIVER_STOP(n) DRIVER_LIFE(n, stop, CONTRACT_STOP)
#define DRIVER_FREE(n) DRIVER_LIFE(n, free, CONTRACT_FREE)
/* In the service's Stop, before the base's, whatever row runs: self is NULL, provider the service. */
#define DRIVER_SERVICE_STOP(n) DRIVER_LIFE(n, service_stop, CONTRACT_SERVICE_STOP)
/* CopyClientMemoryForType for memory type n. */
#define DRIVER_MEMORY(n)                                                                                                \
        static kern_return_t driver_memory_##n(struct ContractUserClient *self, uint64_t *options, IOMemoryDescriptor **memory); \
        CONTRACT_HOOK(driver_memory_##n, CONTRACT_MEMORY, n, memory)                                                    \
        CONTRACT_ADD(driver_memory_##n)                                                                                 \
        static kern_return_t driver_memory_##n(struct ContractUserClient *self, uint64_t *options, IOMemoryDescriptor **memory)

/* Inside a driver's part: what must hold there. The app gets a code that names the line: 0xE3FF8000 + line. */
#define D_EXPECT(condition)                                                                                             \
        do {                                                                                                            \
                if (!(condition))                                                                                       \
                        return iokit_vendor_specific_err(__LINE__);                                                     \
        } while (0)

/* A queue name that the driver's service declares for a method of its own, and never sets. */
#define CONTRACT_SERVICE_QUEUE "ContractServiceQueue"

/* The driver's default: a ContractUserClient made by IOService::Create from "UserClientProperties". */
kern_return_t contract_new_client(IOService *self, uint32_t type, IOUserClient **client);

/* --- the app's half --- */

struct contract_row {
        struct contract_row *next;
        const char *name, *promise, *reason;    /* reason NULL: kept */
        const TTest *test;
        bool bare;                              /* needs no daemon */
};
void contract_row_add(struct contract_row *row);

#ifdef CONTRACT_DRIVER
#define CONTRACT_ROW(row, promise_text, reason_text, is_bare) static __attribute__((unused)) void row##_fn(int _i)
#else
#define CONTRACT_ROW(row, promise_text, reason_text, is_bare)                                                           \
        static void row##_fn(int _i);                                                                                   \
        static const TTest row##_ttest = { #row, row##_fn, __FILE__, __LINE__ };                                        \
        static struct contract_row row##_row = { NULL, #row, promise_text, reason_text, &row##_ttest, is_bare };        \
        __attribute__((constructor)) static void row##_add(void) { contract_row_add(&row##_row); }                      \
        static void row##_fn(int _i)
#endif
#define KEPT(row, promise) CONTRACT_ROW(row, promise, NULL, false)
#define DIFFERS(row, promise, reason) CONTRACT_ROW(row, promise, reason, false)
/* The same for rows that need neither daemon nor driver: sizes, constants, pure functions. */
#define KEPT_BARE(row, promise) CONTRACT_ROW(row, promise, NULL, true)
#define DIFFERS_BARE(row, promise, reason) CONTRACT_ROW(row, promise, reason, true)

/* Asserts a code and prints both by name when it is another. */
#define ck_code(expression, expected)                                                                                   \
        do {                                                                                                            \
                kern_return_t ck_code_is = (expression);                                                                \
                char ck_code_name[128];                                                                                 \
                strncpy(ck_code_name, mach_error_string(ck_code_is), 127)[127] = 0;                                     \
                ck_assert_msg(ck_code_is == (kern_return_t)(expected), "%s: %s (0x%x), not %s", #expression, ck_code_name,  \
                              (unsigned)ck_code_is, mach_error_string(expected));                                       \
        } while (0)

/* The contract driver's service, one reference; the row's world closes what is left open. */
io_service_t contract_service(void);
/* Opens it with this type; asserts success. */
io_connect_t contract_open(uint32_t type);
/* How often the driver's part of selector n (or another kind of hook) has been called so far. */
uint64_t contract_calls(uint64_t n);
uint64_t contract_calls_of(int kind, uint64_t n);
/* Waits (20 s at most) until it has been called that often. */
void contract_calls_wait(int kind, uint64_t n, uint64_t calls);
/* Waits (20 s at most) for the next message on the port and calls its callback; false: none came in `milliseconds`. */
bool contract_port_wait(IONotificationPortRef port, int milliseconds);
/* Waits (20 s at most) until the daemon's and the hosts' log has this text. */
void contract_log_wait(const char *text);
/* The host's process, and its death by SIGKILL (returns when it is gone). */
pid_t contract_host(void);
void contract_host_kill(void);
/* Waits for an instance other than `old` after a host's death. */
io_service_t contract_service_again(uint64_t old);

/* Selectors of the driver that rows do not define: how often hook (kind, number) was called: scalars in 2, out 1. */
#define kContractCalls 0xfffffff0u
