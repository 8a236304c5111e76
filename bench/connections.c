/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What connections cost that do nothing: memory of 10,000 of them to one host, each having been called once, a hot call on one of them
 * and before there were others (one after the other, so no bar); and how often 100 idle ones wake anybody.
 *
 * Resident memory is what /proc says of each process (VmRSS): shared pages count in the app and in the host. The bar is the host's.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>

#include "bench/sections.h"

enum { MANY = 10000, IDLE = 100, SETTLE_S = 9, WATCH_S = 5, HOT_NS = 4000000 };

static io_connect_t connections[MANY];

static double resident(pid_t pid)
{
        char path[64], line[128];
        double kib = 0;
        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "VmRSS: %lf", &kib) == 1)
                        break;
        if (file)
                fclose(file);
        return kib;
}

/* Of one thread, of its own will or not. */
static uint64_t thread_switches(const char *directory, const char *thread)
{
        char path[400], line[128];
        unsigned long long n, sum = 0;
        snprintf(path, sizeof(path), "%s/%s/status", directory, thread);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1 || sscanf(line, "nonvoluntary_ctxt_switches: %llu", &n) == 1)
                        sum += n;
        if (file)
                fclose(file);
        return sum;
}

static uint64_t switches(pid_t pid)
{
        AMB_FREE char *ourselves = amb_format("%d", (int)gettid());
        char path[64];
        uint64_t sum = 0;
        snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        DIR *directory = opendir(path);
        if (!directory)
                bench_fail("%s is not there", path);
        for (struct dirent *entry; (entry = readdir(directory));)
                if (entry->d_name[0] != '.' && (!ourselves || strcmp(entry->d_name, ourselves) != 0))
                        sum += thread_switches(path, entry->d_name);
        closedir(directory);
        return sum;
}

/* Our own thread does nothing but sleep meanwhile, and read what others did: not the library's doing. */
static void idle_wakeups(struct bench *bench, pid_t host, pid_t daemon)
{
        uint64_t seconds = bench_amount(bench, WATCH_S, 1);
        bench_sleep(bench_amount(bench, SETTLE_S, 9) * 1000000000);
        uint64_t before = switches(host) + switches(daemon) + switches(getpid());
        bench_sleep(seconds * 1000000000);
        uint64_t after = switches(host) + switches(daemon) + switches(getpid());
        bench_bar(bench, "idle_wakeups", (double)(after - before) / (double)seconds);
}

static bool room_for(rlim_t descriptors)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < descriptors)
                return false;
        limit.rlim_cur = limit.rlim_max;
        return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void open_more(struct bench *bench, unsigned from, unsigned to)
{
        for (unsigned i = from; i < to; i++) {
                connections[i] = bench_open(bench, kBenchDirect);
                bench_call(&connections[i]);
        }
}

static void hot(struct bench *bench, struct bench_row *row)
{
        bench_rounds(bench, 1);
        while (bench_round(bench))
                bench_turn(bench, row, bench_call, &connections[0], HOT_NS);
}

void bench_connections(struct bench *bench)
{
        unsigned many = (unsigned)bench_amount(bench, MANY, 2 * IDLE);
        pid_t host = bench_host(bench), daemon = bench_daemon();
        struct bench_row *alone = bench_row(bench, "call, one connection", NULL);
        struct bench_row *among = bench_row(bench, "call, one of many connections", NULL);
        if (!room_for(many + 256)) {
                bench_skip(bench, "connections", "a process may have fewer than %u descriptors here", many + 256);
                bench_skip(bench, "connections_call", "a process may have fewer than %u descriptors here", many + 256);
                many = IDLE;
        }
        open_more(bench, 0, 1);
        hot(bench, alone);
        double before[] = { resident(host), resident(getpid()), resident(daemon) };
        open_more(bench, 1, IDLE);
        idle_wakeups(bench, host, daemon);
        if (many == IDLE)
                return;
        uint64_t begin = amb_time_now();
        open_more(bench, IDLE, many);
        bench_figure(bench, "opened and called per second", (many - IDLE) * 1e9 / (double)(amb_time_now() - begin), "");
        bench_sleep(3000000000);                /* they come to rest */
        bench_bar(bench, "connections", (resident(host) - before[0]) / many);
        bench_figure(bench, "app, resident each", (resident(getpid()) - before[1]) / many, "KiB");
        bench_figure(bench, "daemon, resident each", (resident(daemon) - before[2]) / many, "KiB");
        hot(bench, among);
        bench_skip(bench, "connections_call", "one and many are not measured in turns yet; the rows show both");
}
