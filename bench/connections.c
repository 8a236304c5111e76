/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What connections cost that do nothing: memory of 10,000 of them to one host, each having been called once; a hot call on one of
 * them, against the only one that another app has to another host of the same driver, in turns; and how often 100 idle ones wake
 * anybody.
 *
 * Resident memory is what /proc says of each process (VmRSS): shared pages count in the app and in the host. The bar is the host's.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

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
                if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1 ||
                    sscanf(line, "nonvoluntary_ctxt_switches: %llu", &n) == 1)
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

/* --- the app with one connection --- */

/* Rows lie in memory that it shares with us; it adds to its own while we wait for the byte that says that it is done. */
static void alone_main(struct bench *bench, struct bench_row *row, int socket)
{
        io_connect_t connection = bench_open_alone();
        for (char byte; read(socket, &byte, 1) == 1;) {
                bench_turn(bench, row, bench_call, &connection, HOT_NS);
                if (write(socket, &byte, 1) != 1)
                        return;
        }
}

/* A fork, so before we open anything. Our end. */
static int alone_start(struct bench *bench, struct bench_row *row)
{
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                bench_fail("socketpair: %s", strerror(errno));
        pid_t child = amb_partner_fork();
        if (child < 0)
                bench_fail("starting another process: %s", strerror(-child));
        if (child == 0) {
                close(pair[0]);
                alone_main(bench, row, pair[1]);
                _exit(0);
        }
        close(pair[1]);
        return pair[0];
}

static void alone_turn(int socket)
{
        char byte = 0;
        if (write(socket, &byte, 1) != 1 || read(socket, &byte, 1) != 1)
                bench_fail("the app with one connection has ended");
}

static void hot(struct bench *bench, int alone, struct bench_row *alone_row, struct bench_row *among)
{
        bench_rounds(bench, 2);
        while (bench_round(bench)) {
                alone_turn(alone);
                bench_turn(bench, among, bench_call, &connections[0], HOT_NS);
        }
        bench_bar_rows(bench, "connections_call", among, alone_row, BENCH_P50);
}

void bench_connections(struct bench *bench)
{
        unsigned many = (unsigned)bench_amount(bench, MANY, 2 * IDLE);
        struct bench_row *alone_row = bench_row(bench, "call, one connection", NULL);
        struct bench_row *among = bench_row(bench, "call, one of many connections", alone_row);
        int alone = alone_start(bench, alone_row);
        pid_t host = bench_host(bench), daemon = bench_daemon();
        if (!room_for(many + 256)) {
                bench_skip(bench, "connections", "a process may have fewer than %u descriptors here", many + 256);
                bench_skip(bench, "connections_call", "a process may have fewer than %u descriptors here", many + 256);
                many = IDLE;
        }
        open_more(bench, 0, 1);
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
        hot(bench, alone, alone_row, among);
}
