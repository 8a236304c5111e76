/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/registry.h>

#include "base/paths.h"
#include "cli/method.h"
#include "cli/private.h"
#include "measure/histogram.h"
#include "measure/partner.h"
#include "measure/processors.h"

static const char help[] =
        "ambidext bench [--json FILE] [--dext BUNDLE.dext] [--service NAME]\n"
        "\n"
        "Measures calls into a driver, in a private registry, against the least that two processes can do (a ping-pong through shared\n"
        "memory, spinning, both pinned) and the least that the kernel can be asked (an ioctl). What is compared is measured in turns of\n"
        "a few milliseconds, so that a busy machine disturbs all alike. Takes about ten seconds.\n"
        "\n"
        "  --json FILE          write the figures, in nanoseconds, to FILE too\n"
        "  --dext BUNDLE.dext   the driver; default: echo, as installed or built with this program\n"
        "  --service NAME       the name of its service; default: echo\n"
        "\n"
        "The driver must describe its methods (ambidext(1)): measured are the first with 2 scalars in and 2 out, and the first with\n"
        "4096 bytes in and out.\n";

enum {
        ROUNDS = 150,
        ROUND_NS = 4000000,
        WARM_UP = 64,           /* operations at the start of a turn that do not count: caches, and a peer that wakes up */
        IDLE_CALLS = 250,
        IDLE_MS = 3,            /* longer than anybody spins */
        OPENS = 500,
        OPENS_WARM_UP = 20,
        PAGE = 4096,
};

enum subject_id { PINGPONG, IOCTL, SCALAR, STRUCT, IDLE, OPEN, SUBJECTS };

struct bench {
        struct cli_private *private;
        struct amb_partner *pingpong;
        io_service_t service;
        io_connect_t connection;
        uint32_t scalar_selector, struct_selector;
        bool has_struct;
        int one, other;                 /* processors */
        int pipe_fds[2];
        const char *json_path, *service_name;
        FILE *json;
        char *bundle;
        unsigned char page_in[PAGE], page_out[PAGE];
        kern_return_t code;             /* why an operation failed */
        struct amb_histogram histograms[SUBJECTS];
};

/* --- the operations: each once; false: it failed --- */

static bool pingpong_once(struct bench *bench)
{
        return amb_partner_once(bench->pingpong);
}

static bool ioctl_once(struct bench *bench)
{
        int waiting;
        return ioctl(bench->pipe_fds[0], FIONREAD, &waiting) == 0;
}

static bool scalar_once(struct bench *bench)
{
        uint64_t in[2] = { 1, 2 }, out[2];
        uint32_t count = 2;
        bench->code = IOConnectCallScalarMethod(bench->connection, bench->scalar_selector, in, 2, out, &count);
        return bench->code == kIOReturnSuccess;
}

static bool struct_once(struct bench *bench)
{
        size_t size = sizeof(bench->page_out);
        bench->code = IOConnectCallStructMethod(bench->connection, bench->struct_selector, bench->page_in, sizeof(bench->page_in),
                                                bench->page_out, &size);
        return bench->code == kIOReturnSuccess;
}

static bool open_once(struct bench *bench)
{
        io_connect_t connection;
        bench->code = IOServiceOpen(bench->service, mach_task_self(), 0, &connection);
        if (bench->code == kIOReturnSuccess)
                bench->code = IOServiceClose(connection);
        return bench->code == kIOReturnSuccess;
}

static const struct {
        const char *name, *key;
        bool (*once)(struct bench *bench);
} subjects[SUBJECTS] = {
        [PINGPONG] = { "bare ping-pong", "pingpong", pingpong_once },
        [IOCTL] = { "ioctl (FIONREAD, a pipe)", "ioctl", ioctl_once },
        [SCALAR] = { "call, 2 scalars in, 2 out", "scalar", scalar_once },
        [STRUCT] = { "call, 4096 bytes in and out", "struct", struct_once },
        [IDLE] = { "scalar call after idling", "idle", scalar_once },
        [OPEN] = { "open and close", "open", open_once },
};

/* --- measuring --- */

/* One operation after the other for a few milliseconds; each sample contains one reading of the clock, for all subjects alike. */
static bool measure_turn(struct bench *bench, enum subject_id id)
{
        for (int i = 0; i < WARM_UP; i++)
                if (!subjects[id].once(bench))
                        return false;
        uint64_t begin = amb_time_now(), before = begin;
        do {
                if (!subjects[id].once(bench))
                        return false;
                uint64_t now = amb_time_now();
                amb_histogram_add(&bench->histograms[id], now - before);
                before = now;
        } while (before - begin < ROUND_NS);
        return true;
}

static bool interrupted(struct bench *bench)
{
        struct signalfd_siginfo signal;
        while (cli_private_signal(bench->private, &signal))
                ;
        return bench->private->caught != 0;
}

/*
 * What runs hot stays where it is: we on one processor, the driver's process where the ping-pong's other side is. Only once the
 * first call is over, because whoever has but one processor to run on does not spin, and that is decided at the first wait.
 */
static void pin(struct bench *bench, int ours, int theirs)
{
        CFArrayRef entries;
        uint64_t id;
        if (IORegistryEntryGetRegistryEntryID(bench->service, &id) != kIOReturnSuccess ||
            amb_registry_dump(&entries) != kIOReturnSuccess)
                return;
        for (CFIndex i = 0; i < CFArrayGetCount(entries); i++) {
                CFDictionaryRef entry = CFArrayGetValueAtIndex(entries, i);
                pid_t pid = (pid_t)cli_get_number(entry, "pid", 0);
                if (cli_get_number(entry, "id", 0) == id && pid > 0)
                        amb_process_stay_on(pid, theirs);
        }
        CFRelease(entries);
        amb_thread_stay_on(0, ours);
}

static int measure_hot(struct bench *bench)
{
        if (!scalar_once(bench))
                return cli_say_code(false, bench->code, NULL, "calling %s", bench->service_name);
        if (bench->pingpong)
                pin(bench, bench->one, bench->other);
        for (int round = 0; round < ROUNDS; round++) {
                if (interrupted(bench))
                        return 128 + bench->private->caught;
                if (bench->pingpong) {
                        amb_partner_begin(bench->pingpong);
                        bool done = measure_turn(bench, PINGPONG);
                        amb_partner_end(bench->pingpong);
                        if (!done)
                                return cli_say_failure(false, "the ping-pong's other process died");
                }
                if (!measure_turn(bench, IOCTL))
                        return cli_say_failure(false, "ioctl: %s", strerror(errno));
                if (!measure_turn(bench, SCALAR) || (bench->has_struct && !measure_turn(bench, STRUCT)))
                        return cli_say_code(false, bench->code, NULL, "calling %s", bench->service_name);
        }
        pin(bench, AMB_PROCESSOR_ANY, AMB_PROCESSOR_ANY);
        return CLI_OK;
}

static int measure_idle(struct bench *bench)
{
        for (int i = 0; i < IDLE_CALLS; i++) {
                if (interrupted(bench))
                        return 128 + bench->private->caught;
                poll(NULL, 0, IDLE_MS); /* idling is what is measured here */
                uint64_t before = amb_time_now();
                if (!subjects[IDLE].once(bench))
                        return cli_say_code(false, bench->code, NULL, "calling %s", bench->service_name);
                amb_histogram_add(&bench->histograms[IDLE], amb_time_now() - before);
        }
        return CLI_OK;
}

static int measure_open(struct bench *bench)
{
        for (int i = -OPENS_WARM_UP; i < OPENS; i++) {
                if (interrupted(bench))
                        return 128 + bench->private->caught;
                uint64_t before = amb_time_now();
                if (!subjects[OPEN].once(bench))
                        return cli_say_code(false, bench->code, NULL, "opening %s", bench->service_name);
                if (i >= 0)
                        amb_histogram_add(&bench->histograms[OPEN], amb_time_now() - before);
        }
        return CLI_OK;
}

/* --- what to measure --- */

static bool fits(uint64_t described, uint64_t wanted)
{
        return described == wanted || described == CLI_METHOD_ANY;
}

static int find_methods(struct bench *bench)
{
        CFTypeRef methods = IORegistryEntryCreateCFProperty(bench->service, CFSTR(CLI_METHODS_PROPERTY), kCFAllocatorDefault, 0);
        struct cli_method method;
        bool has_scalar = false;
        for (uint32_t i = 0; cli_method_at(methods, i, &method); i++) {
                if (method.async)
                        continue;
                if (!has_scalar && fits(method.scalars_in, 2) && fits(method.scalars_out, 2)) {
                        bench->scalar_selector = i;
                        has_scalar = true;
                } else if (!bench->has_struct && fits(method.struct_in, PAGE) && fits(method.struct_out, PAGE) &&
                           fits(method.scalars_in, 0) && fits(method.scalars_out, 0)) {
                        bench->struct_selector = i;
                        bench->has_struct = true;
                }
        }
        if (methods)
                CFRelease(methods);
        return has_scalar ? CLI_OK
                          : cli_say_failure(false, "%s describes no method with 2 scalars in and 2 out", bench->service_name);
}

static int prepare(struct bench *bench)
{
        char *bundles[] = { bench->bundle, NULL };
        const struct cli_private_options options = { .bundles = bundles };
        bool several = amb_processors_two(&bench->one, &bench->other);
        if (pipe2(bench->pipe_fds, O_CLOEXEC) < 0)
                return cli_say_failure(false, "pipe: %s", strerror(errno));
        /* before there is a daemon, or anything else that the child should not inherit */
        int r = several ? amb_partner_create(&bench->pingpong, AMB_PARTNER_SPIN, bench->other) : 0;
        if (r < 0)
                return cli_say_failure(false, "starting the ping-pong: %s", strerror(-r));
        int status = cli_private_create(&bench->private, &options);
        if (status != CLI_OK)
                return status;
        bench->service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(bench->service_name));
        if (!bench->service)
                return cli_say_failure(false, "%s offers no service '%s'", bench->bundle, bench->service_name);
        if ((status = find_methods(bench)) != CLI_OK)
                return status;
        kern_return_t code = IOServiceOpen(bench->service, mach_task_self(), 0, &bench->connection);
        return code == kIOReturnSuccess ? CLI_OK : cli_say_code(false, code, NULL, "opening %s", bench->service_name);
}

/* --- results --- */

static void print_duration(uint64_t nanoseconds)
{
        if (nanoseconds < 10000)
                printf("  %7" PRIu64 " ns", nanoseconds);
        else
                printf("  %7.1f us", (double)nanoseconds / 1000);
}

static void print_ratio(const struct bench *bench, enum subject_id id, enum subject_id against)
{
        uint64_t base = amb_histogram_at(&bench->histograms[against], 0.5);
        if (base)
                printf("  %9.2f", (double)amb_histogram_at(&bench->histograms[id], 0.5) / (double)base);
        else
                printf("  %9s", "-");
}

static void print_table(const struct bench *bench)
{
        printf("%-28s  %10s  %10s  %10s  %9s  %9s\n", "", "p50", "p99", "min", "ping-pong", "ioctl");
        for (enum subject_id id = 0; id < SUBJECTS; id++) {
                const struct amb_histogram *histogram = &bench->histograms[id];
                if (!histogram->count)
                        continue;
                printf("%-28s", subjects[id].name);
                print_duration(amb_histogram_at(histogram, 0.5));
                print_duration(amb_histogram_at(histogram, 0.99));
                print_duration(histogram->least);
                print_ratio(bench, id, PINGPONG);
                print_ratio(bench, id, IOCTL);
                putchar('\n');
        }
        puts("The last two columns: p50 as a multiple of that row's.");
        if (!bench->pingpong)
                puts("There is one processor only: no ping-pong, and calls include a switch between processes each way.");
}

static int write_json(struct bench *bench)
{
        FILE *out = amb_steal(bench->json);
        fputs("{\"unit\": \"ns\"", out);
        for (enum subject_id id = 0; id < SUBJECTS; id++) {
                const struct amb_histogram *histogram = &bench->histograms[id];
                if (histogram->count)
                        fprintf(out,
                                ",\n \"%s\": {\"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"min\": %" PRIu64 ", \"mean\": %" PRIu64
                                ", \"samples\": %" PRIu64 "}",
                                subjects[id].key, amb_histogram_at(histogram, 0.5), amb_histogram_at(histogram, 0.99),
                                histogram->least, histogram->sum / histogram->count, histogram->count);
        }
        fputs("}\n", out);
        bool failed = ferror(out);
        if (fclose(out) != 0 || failed)
                return cli_say_failure(false, "%s: %s", bench->json_path, strerror(errno));
        return CLI_OK;
}

/* --- the verb --- */

static void bench_finish(struct bench *bench)
{
        if (bench->json)
                fclose(bench->json);
        if (bench->connection)
                IOServiceClose(bench->connection);
        if (bench->service)
                IOObjectRelease(bench->service);
        cli_private_free(bench->private);
        amb_partner_free(bench->pingpong);
        amb_fd_close(bench->pipe_fds[0]);
        amb_fd_close(bench->pipe_fds[1]);
        free(bench->bundle);
}

static int parse(struct bench *bench, int argc, char **argv)
{
        static const struct option options[] = {
                { "json", required_argument, NULL, 'j' },
                { "dext", required_argument, NULL, 'd' },
                { "service", required_argument, NULL, 's' },
                { 0 },
        };
        const char *bundle = NULL;
        int option;
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
                switch (option) {
                case 'j': bench->json_path = optarg; break;
                case 'd': bundle = optarg; break;
                case 's': bench->service_name = optarg; break;
                default: return cli_say_option(&cli_bench, argv, option);
                }
        if (optind < argc)
                return cli_say_usage(&cli_bench, "no argument expected, but there is '%s'", argv[optind]);
        bench->bundle = bundle ? realpath(bundle, NULL) : amb_bundle_path("echo");
        if (!bench->bundle)
                return bundle ? cli_say_failure(false, "%s: %s", bundle, strerror(errno))
                              : cli_say_failure(false, "there is no echo.dext beside this program; --dext names a bundle");
        /* Before ten seconds are spent. */
        bench->json = bench->json_path ? fopen(bench->json_path, "we") : NULL;
        if (bench->json_path && !bench->json)
                return cli_say_failure(false, "%s: %s", bench->json_path, strerror(errno));
        return CLI_OK;
}

static int bench_main(int argc, char **argv)
{
        struct bench *bench = calloc(1, sizeof(*bench));
        if (!bench)
                return cli_say_failure(false, "out of memory");
        bench->pipe_fds[0] = bench->pipe_fds[1] = -1;
        bench->service_name = "echo";
        int status = parse(bench, argc, argv);
        if (status == CLI_OK)
                status = prepare(bench);
        if (status == CLI_OK)
                status = measure_hot(bench);
        if (status == CLI_OK)
                status = measure_idle(bench);
        if (status == CLI_OK)
                status = measure_open(bench);
        if (status == CLI_OK) {
                print_table(bench);
                status = bench->json ? write_json(bench) : CLI_OK;
        }
        bench_finish(bench);
        free(bench);
        return status;
}

const struct cli_verb cli_bench = { "bench", "measure calls against a ping-pong and an ioctl", help, bench_main, false };
