/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-contract                run every row, each in its own process and world
 * test-contract ROW...         only these, by name
 * test-contract FILE.c         only the rows of this file
 * test-contract --table        the rows as lines of docs/CONTRACT.md
 * test-contract --embedded [ROW...]   driver and app in one process, so that sanitizers see both; without the rows that need a host
 *                              of their own
 */
#include <poll.h>
#include <stdio.h>

#include "base/test-suite.h"
#include "contract.h"
#include "system/world.h"

static struct world world;
static struct contract_row *rows;
static bool embedded;

/* Rows that kill the host, or fork, and therefore need it to be another process. */
static const char *const apart[] = {
        "call_path_137",
        "call_path_138",
        "call_path_175",
        "call_path_176",
        "call_path_177",
        "call_path_185",
        "call_path_186",
        "call_path_187",
        "call_path_188",
        "call_path_189",
        "call_path_190",
        "call_path_191",
        "call_path_194",
        "call_path_196",
        "call_path_197",
        "memory_and_queues_M100",
        "memory_and_queues_M103",
        "memory_and_queues_M104",
        "memory_and_queues_M058",
        "memory_and_queues_M084",
        "memory_and_queues_M085",
        /* gigabytes that are looked at: a thread sanitizer keeps a note of every byte */
        "call_path_023",
        "call_path_030",
};

void contract_row_add(struct contract_row *row)
{
        /* In order of names, which is the order of the contract. */
        struct contract_row **at = &rows;
        while (*at && strcmp((*at)->name, row->name) < 0)
                at = &(*at)->next;
        row->next = *at;
        *at = row;
}

static void setup_embedded(void)
{
        OSString *bundle_id = OSStringCreate("org.ambidext.test.contract", (size_t)-1);
        IOUserServer *server;
        world_start(&world, NULL);
        ck_code(IOUserServer_Create("org.ambidext.test.contract", 0, 0, bundle_id, &server), kIOReturnSuccess);
        ck_code(IOUserServer_LoadModule(server, world_build_path("tests/contract/contract.dext")), kIOReturnSuccess);
        ck_code(IOUserServer_RegisterService(server), kIOReturnSuccess);
        OSObjectRelease(bundle_id);
}

static void setup(void)
{
        if (embedded) {
                setup_embedded();
                return;
        }
        static const char *const bundles[] = { "tests/contract/contract.dext", NULL };
        world_start(&world, bundles);
}

static void teardown(void)
{
        world_stop(&world);
}

io_service_t contract_service(void)
{
        return world_service("contract");
}

io_service_t contract_service_again(uint64_t old)
{
        return world_service_again("contract", old);
}

io_connect_t contract_open(uint32_t type)
{
        io_service_t service = contract_service();
        io_connect_t connection = 0;
        ck_code(IOServiceOpen(service, mach_task_self(), type, &connection), kIOReturnSuccess);
        IOObjectRelease(service);
        return connection;
}

/* A connection of its own, so that a row's blocked or closed one does not matter. */
static io_connect_t counter;

uint64_t contract_calls_of(int kind, uint64_t n)
{
        uint64_t in[2] = { (uint64_t)kind, n }, out = 0;
        uint32_t count = 1;
        if (!counter)
                counter = contract_open(0);
        ck_code(IOConnectCallScalarMethod(counter, kContractCalls, in, 2, &out, &count), kIOReturnSuccess);
        return out;
}

uint64_t contract_calls(uint64_t n)
{
        return contract_calls_of(CONTRACT_METHOD, n);
}

struct calls_wait {
        int kind;
        uint64_t n, calls;
};
static bool calls_are(void *context)
{
        struct calls_wait *wait = context;
        return contract_calls_of(wait->kind, wait->n) >= wait->calls;
}

void contract_calls_wait(int kind, uint64_t n, uint64_t calls)
{
        struct calls_wait wait = { kind, n, calls };
        char what[64];
        snprintf(what, sizeof(what), "hook %d/%d called %d times", kind, (int)n, (int)calls);
        world_until(calls_are, &wait, what);
}

bool contract_port_wait(IONotificationPortRef port, int milliseconds)
{
        struct pollfd poller = { .fd = amb_port_get_fd(port), .events = POLLIN };
        if (poll(&poller, 1, milliseconds) != 1)
                return false;
        amb_port_dispatch(port);
        return true;
}

void contract_log_wait(const char *text)
{
        world_log_wait(&world, text);
}

pid_t contract_host(void)
{
        return world_host_pid("contract");
}

void contract_host_kill(void)
{
        pid_t host = contract_host();
        counter = 0;
        world_kill(host);
}

/* "call_path_066" -> document "call-path", row 66; "memory_and_queues_M005" -> "memory-and-queues", row M5. */
static void print_table(void)
{
        for (struct contract_row *row = rows; row; row = row->next) {
                char document[64];
                snprintf(document, sizeof(document), "%s", row->name);
                char *number = strrchr(document, '_'), letter[2] = "";
                *number++ = 0;
                if (*number >= 'A' && *number <= 'Z')
                        letter[0] = *number++;
                for (char *c = document; *c; c++)
                        if (*c == '_')
                                *c = '-';
                printf("| %s %s%ld | %s | %s | `%s` | %s |\n", document, letter, strtol(number, NULL, 10),
                       row->reason ? "differs" : "kept", row->promise, row->name, row->reason ? row->reason : "");
        }
}

static bool needs_host_apart(const struct contract_row *row)
{
        for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++)
                if (strcmp(apart[i], row->name) == 0)
                        return true;
        return false;
}

static bool wanted(const struct contract_row *row, int argc, char **argv)
{
        if (embedded && (row->bare || needs_host_apart(row)))
                return false;
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], row->name) == 0 || strcmp(argv[i], basename(row->test->file)) == 0)
                        return true;
        return argc == 1;
}

int main(int argc, char **argv)
{
        if (argc == 2 && strcmp(argv[1], "--table") == 0) {
                print_table();
                return 0;
        }
        if (argc > 1 && strcmp(argv[1], "--embedded") == 0) {
                embedded = true;
                argc--;
                argv++;
        }
        TCase *driven = tcase_create("driven"), *bare = tcase_create("bare");
        int count = 0, failed;
        tcase_add_checked_fixture(driven, setup, teardown);
        tcase_set_timeout(driven, 60);
        for (struct contract_row *row = rows; row; row = row->next)
                if (wanted(row, argc, argv)) {
                        tcase_add_test(row->bare ? bare : driven, row->test);
                        count++;
                }
        failed = run_cases("contract", bare, driven);
        if (count == 0)
                fprintf(stderr, "test-contract: no such row\n");
        return count == 0 ? EXIT_FAILURE : failed;
}
