/* SPDX-License-Identifier: Apache-2.0 */
/* A section's side of bench.h: rounds and rows, and what is needed of other processes. */
#include "bench/bench.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/registry.h>
#include <mach/mach_error.h>

#include "bench/driver/bench-driver.h"

enum {
        ROUNDS_LEAST = 5,       /* what a bar's median is of */
        WARM_UP = 64,           /* operations at the start of a turn that do not count: caches, and a peer that wakes up */
        QUICKER = 50,           /* --quick divides by it */
};

_Noreturn void bench_fail(const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        fputs("ambidext-bench: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
        exit(2);
}

void bench_check(kern_return_t code, const char *what)
{
        if (code != kIOReturnSuccess)
                bench_fail("%s: %s", what, mach_error_string(code));
}

static void name_set(char to[BENCH_NAME], const char *name)
{
        if (snprintf(to, BENCH_NAME, "%s", name) >= BENCH_NAME)
                bench_fail("the name '%s' is too long", name);
}

/* --- rounds --- */

/* What the round in progress has gathered becomes one value of each quantile. */
static void row_round_end(struct bench_row *row, unsigned round)
{
        float *values = row->rounds[round];
        values[BENCH_P50] = row->batch_round.count ? (float)amb_histogram_at(&row->batch_round, 0.5) / BENCH_BATCH
                                                   : (float)amb_histogram_at(&row->round, 0.5);
        values[BENCH_P99] = (float)amb_histogram_at(&row->round, 0.99);
        row->round_count = round + 1;
        if (row->round.count)
                memset(&row->round, 0, sizeof(row->round));
        if (row->batch_round.count)
                memset(&row->batch_round, 0, sizeof(row->batch_round));
}

static void round_end(struct bench *bench)
{
        struct bench_results *results = bench->results;
        for (unsigned i = bench->first_row; i < results->row_count; i++)
                row_round_end(&results->rows[i], bench->round - 1);
}

void bench_rounds(struct bench *bench, double seconds)
{
        unsigned least = bench->rounds_fixed ? bench->rounds_fixed : ROUNDS_LEAST;
        if (BENCH_ROUNDS - bench->round < least)
                bench_fail("%s: no room for more rounds", bench->section);
        bench->rounds_least = bench->round + least;
        bench->rounds_most = bench->rounds_fixed || bench->quick ? bench->rounds_least : BENCH_ROUNDS;
        bench->rounds_end = amb_time_now() + (uint64_t)(seconds * 1e9);
}

bool bench_round(struct bench *bench)
{
        bool enough = bench->round >= bench->rounds_least && amb_time_now() >= bench->rounds_end;
        if (bench->in_round)
                round_end(bench);
        bench->in_round = !enough && bench->round < bench->rounds_most;
        bench->round += bench->in_round;
        return bench->in_round;
}

uint64_t bench_amount(const struct bench *bench, uint64_t amount, uint64_t least)
{
        uint64_t less = amount / QUICKER;
        return !bench->quick ? amount : less < least ? least : less;
}

/* --- rows --- */

struct bench_row *bench_row(struct bench *bench, const char *name, const struct bench_row *baseline)
{
        struct bench_results *results = bench->results;
        if (results->row_count == BENCH_ROWS)
                bench_fail("too many rows");
        struct bench_row *row = &results->rows[results->row_count++];
        name_set(row->section, bench->section);
        name_set(row->name, name);
        row->baseline = baseline ? (int)(baseline - results->rows) : -1;
        return row;
}

void bench_add(struct bench_row *row, uint64_t nanoseconds)
{
        amb_histogram_add(&row->round, nanoseconds);
        amb_histogram_add(&row->total, nanoseconds);
}

void bench_add_all(struct bench_row *row, const struct amb_histogram *samples)
{
        amb_histogram_add_all(&row->round, samples);
        amb_histogram_add_all(&row->total, samples);
}

uint64_t bench_since(const struct bench *bench, uint64_t begin)
{
        uint64_t elapsed = amb_time_now() - begin;
        return elapsed > bench->clock_cost ? elapsed - bench->clock_cost : 0;
}

void bench_turn(struct bench *bench, struct bench_row *row, void (*once)(void *context), void *context, uint64_t nanoseconds)
{
        for (int i = 0; i < WARM_UP; i++)
                once(context);
        uint64_t first = amb_time_now(), begin;
        do {
                begin = amb_time_now();
                for (int i = 0; i < BENCH_BATCH; i++)
                        once(context);
                uint64_t batch = bench_since(bench, begin);
                amb_histogram_add(&row->batch_round, batch);
                amb_histogram_add(&row->batch_total, batch);
                begin = amb_time_now();
                once(context);
                bench_add(row, bench_since(bench, begin));
        } while (begin - first < nanoseconds);
}

/* --- what was found --- */

static struct bench_value *value_add(struct bench_value *values, unsigned *count, unsigned most, const char *name, double value)
{
        if (*count == most)
                bench_fail("no room for %s", name);
        struct bench_value *added = &values[(*count)++];
        name_set(added->name, name);
        added->value = value;
        return added;
}

static void bar_add(struct bench *bench, const char *name, double value, unsigned rounds)
{
        struct bench_results *results = bench->results;
        if (!bench_bar_find(name))
                bench_fail("there is no bar '%s'", name);
        if (!isfinite(value))
                bench_fail("%s: no number", name);
        value_add(results->bars, &results->bar_count, AMB_ARRAY_LENGTH(results->bars), name, value)->rounds = rounds;
}

void bench_bar(struct bench *bench, const char *name, double value)
{
        bar_add(bench, name, value, 1);
}

void bench_bar_median(struct bench *bench, const char *name, double value, unsigned rounds)
{
        if (rounds < ROUNDS_LEAST)
                bench_skip(bench, name, "%u rounds gave a value, and %d are needed", rounds, ROUNDS_LEAST);
        else
                bar_add(bench, name, value, rounds);
}

void bench_bar_values(struct bench *bench, const char *name, double *values, unsigned count)
{
        bench_bar_median(bench, name, bench_median(values, count), count);
}

void bench_bar_worst(struct bench *bench, const char *name, const struct bench_pair *pairs, unsigned count,
                     enum bench_quantile quantile)
{
        unsigned least = UINT_MAX, rounds;
        double worst = 0;
        for (unsigned i = 0; i < count; i++) {
                double ratio = bench_rows_ratio(pairs[i].row, pairs[i].baseline, quantile, &rounds);
                worst = ratio > worst ? ratio : worst;
                least = rounds < least ? rounds : least;
        }
        bench_bar_median(bench, name, worst, least);
}

void bench_bar_rows(struct bench *bench, const char *name, const struct bench_row *row, const struct bench_row *baseline,
                    enum bench_quantile quantile)
{
        bench_bar_worst(bench, name, &(struct bench_pair){ row, baseline }, 1, quantile);
}

void bench_skip(struct bench *bench, const char *name, const char *format, ...)
{
        struct bench_results *results = bench->results;
        if (results->skip_count == AMB_ARRAY_LENGTH(results->skips))
                bench_fail("too much is skipped");
        struct bench_skip *skip = &results->skips[results->skip_count++];
        name_set(skip->name, name);
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(skip->why, sizeof(skip->why), format, arguments);
        va_end(arguments);
}

void bench_figure(struct bench *bench, const char *name, double value, const char *unit)
{
        struct bench_results *results = bench->results;
        struct bench_value *figure = value_add(results->figures, &results->figure_count, AMB_ARRAY_LENGTH(results->figures), name,
                                               isfinite(value) ? value : 0);
        snprintf(figure->unit, sizeof(figure->unit), "%s", unit);
}

void bench_point(struct bench *bench, const char *series, double offered, double p50, double p99)
{
        struct bench_results *results = bench->results;
        if (results->point_count == BENCH_POINTS)
                bench_fail("too many points");
        struct bench_point *point = &results->points[results->point_count++];
        name_set(point->series, series);
        point->offered = offered;
        point->p50 = p50;
        point->p99 = p99;
}

/* --- idling --- */

void bench_sleep(uint64_t nanoseconds)
{
        uint64_t end = amb_time_now() + nanoseconds;
        struct timespec when = { .tv_sec = (time_t)(end / 1000000000), .tv_nsec = (long)(end % 1000000000) };
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
                ;
}

void bench_burn(uint64_t nanoseconds)
{
        uint64_t begin = amb_time_now();
        while (amb_time_now() - begin < nanoseconds)
                ;
}

/* --- other processes --- */

struct amb_partner *bench_partner(enum amb_partner_kind kind, int processor)
{
        struct amb_partner *partner;
        int r = amb_partner_create(&partner, kind, processor);
        if (r < 0)
                bench_fail("starting another process: %s", strerror(-r));
        return partner;
}

void bench_partner_once(void *partner)
{
        if (!amb_partner_once(partner))
                bench_fail("the process that calls are compared with has ended");
}

pid_t bench_burner(int processor)
{
        pid_t child = amb_partner_fork();
        if (child < 0)
                bench_fail("starting another process: %s", strerror(-child));
        if (child > 0)
                return child;
        amb_thread_stay_on(0, processor);
        for (volatile uint64_t turns = 0;; turns++)
                ;
}

char *bench_build_directory(void)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        for (int level = 0; n > 0 && level < 2; level++) {
                char *slash = memrchr(self, '/', (size_t)n);
                n = slash ? slash - self : 0;
        }
        char *directory = n > 0 ? amb_format("%.*s", (int)n, self) : NULL;
        if (!directory)
                bench_fail("this program does not know where it lies");
        return directory;
}

static _Noreturn void run_exec(const char *const arguments[], int out, pid_t parent)
{
        prctl(PR_SET_PDEATHSIG, SIGTERM);       /* who has started others takes them down */
        if (getppid() == parent && dup2(out, STDOUT_FILENO) >= 0)
                execv(arguments[0], (char **)arguments);
        _exit(127);
}

int bench_run(const char *const arguments[], char *out, size_t size)
{
        int pipes[2], status;
        size_t length = 0;
        pid_t parent = getpid(), pid = pipe2(pipes, O_CLOEXEC) < 0 ? -1 : fork();
        if (pid < 0)
                bench_fail("%s: %s", arguments[0], strerror(errno));
        if (pid == 0)
                run_exec(arguments, pipes[1], parent);
        close(pipes[1]);
        for (ssize_t n; length + 1 < size && (n = read(pipes[0], out + length, size - 1 - length)) > 0;)
                length += (size_t)n;
        out[length] = 0;
        close(pipes[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- the driver --- */

static io_service_t service_find(const char *name)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
        if (!service)
                bench_fail("no driver offers a service '%s'", name);
        return service;
}

static io_service_t service(struct bench *bench)
{
        if (!bench->service)
                bench->service = service_find("bench");
        return bench->service;
}

io_connect_t bench_open_service(const char *name)
{
        io_service_t found = service_find(name);
        io_connect_t connection;
        bench_check(IOServiceOpen(found, mach_task_self(), kBenchDirect, &connection), name);
        IOObjectRelease(found);
        return connection;
}

io_connect_t bench_open_alone(void)
{
        return bench_open_service("alone");
}

io_connect_t bench_open(struct bench *bench, uint32_t type)
{
        io_connect_t connection;
        bench_check(IOServiceOpen(service(bench), mach_task_self(), type, &connection), "opening bench.dext");
        return connection;
}

static int64_t number_of(CFDictionaryRef entry, CFStringRef key)
{
        int64_t value = 0;
        CFNumberRef number = CFDictionaryGetValue(entry, key);
        if (number)
                CFNumberGetValue(number, kCFNumberSInt64Type, &value);
        return value;
}

pid_t bench_host(struct bench *bench)
{
        CFArrayRef entries;
        uint64_t id;
        pid_t pid = 0;
        bench_check(IORegistryEntryGetRegistryEntryID(service(bench), &id), "asking for the service's id");
        bench_check(amb_registry_dump(&entries), "reading the registry");
        for (CFIndex i = 0; i < CFArrayGetCount(entries); i++) {
                CFDictionaryRef entry = CFArrayGetValueAtIndex(entries, i);
                if ((uint64_t)number_of(entry, CFSTR("id")) == id)
                        pid = (pid_t)number_of(entry, CFSTR("pid"));
        }
        CFRelease(entries);
        if (pid <= 0)
                bench_fail("bench.dext has no process");
        return pid;
}

pid_t bench_daemon(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = getenv("AMBIDEXT_REGISTRY");
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path ? path : "");
        AMB_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct ucred peer;
        socklen_t length = sizeof(peer);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
                bench_fail("%s: %s", address.sun_path, strerror(errno));
        return peer.pid;
}

void bench_call(void *connection)
{
        uint64_t in[2] = { 1, 2 }, out[2];
        uint32_t count = 2;
        bench_check(IOConnectCallScalarMethod(*(io_connect_t *)connection, kBenchScalar, in, 2, out, &count),
                    "calling kBenchScalar");
}

void bench_call_page(void *connection)
{
        static unsigned char in[kBenchPage], out[kBenchPage];
        size_t size = sizeof(out);
        bench_check(IOConnectCallStructMethod(*(io_connect_t *)connection, kBenchStruct, in, sizeof(in), out, &size),
                    "calling kBenchStruct");
}

void bench_warm(io_connect_t connection, uint64_t nanoseconds)
{
        uint64_t first = amb_time_now();
        while (amb_time_now() - first < nanoseconds)
                bench_call(&connection);
}
