/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-peers: what `make bench-peers` runs. Starts every peer that was built, measures each in turn in every round, so that all
 * see the same machine, and says how many times as long as ours a peer's call takes (the median of the rounds' ratios); once for
 * each placement of the two sides. A peer that is not installed, hangs or dies is named, and the rest goes on.
 *
 * Ends whatever it started, also when it is interrupted; its directory is removed.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/un.h>

#include "bench/bench.h"
#include "bench/report.h"
#include "bench/peers/contender.h"

static const char help[] =
        "bench-peers [--json FILE] [--only PEER,...] [--seconds N] [--quick] [--list]\n"
        "\n"
        "Measures round trips between two processes by Ambidext and by other means, in turn.\n"
        "\n"
        "  --json FILE       write everything to FILE too\n"
        "  --only PEER,...   measure these peers (and Ambidext) only\n"
        "  --seconds N       about how long to measure (default 40); never fewer than 5 rounds\n"
        "  --quick           5 short rounds: does it work?\n"
        "  --list            say which peers there are, and do nothing\n";

/* Ourselves first: everything is compared with the first. */
static const struct known {
        const char *peer, *program, *title, *packages, *flood;
} known[] = {
        { "ambidext", "bench-peer-ambidext", "Ambidext", "", "8 threads with a call each" },
        { "futex", "bench-peer-futex", "futex, shared memory", "", NULL },
        { "pipe", "bench-peer-stream", "pipe", "", NULL },
        { "socket", "bench-peer-stream", "unix stream socket", "", NULL },
        { "sd-bus", "bench-peer-sdbus", "sd-bus, peer to peer", "libsystemd-dev", NULL },
        { "dbus", "bench-peer-sdbus", "D-Bus through dbus-daemon", "libsystemd-dev dbus-daemon", NULL },
        { "zeromq", "bench-peer-zeromq", "ZeroMQ, ipc", "libzmq3-dev", NULL },
        { "nng", "bench-peer-nng", "nng, ipc", "libnng-dev", NULL },
        { "capnp", "bench-peer-capnp", "Cap'n Proto RPC", "libcapnp-dev capnproto", NULL },
        { "grpc", "bench-peer-grpc", "gRPC, unix socket", "libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc", NULL },
        { "iceoryx-poll", "bench-peer-iceoryx", "iceoryx, polling", "libiceoryx-posh-dev libacl1-dev", "16, its longest queue" },
        { "iceoryx-event", "bench-peer-iceoryx", "iceoryx, events", "libiceoryx-posh-dev libacl1-dev", "16, its longest queue" },
        { "fuse", "bench-peer-fuse", "FUSE ioctl", "libfuse3-dev", "8 threads with a call each" },
};
enum { PEERS = AMB_ARRAY_LENGTH(known), OURS = 0 };

/* Processes are on their processors when they begin: who knows how to wait on one core must know that it is one. */
enum placed { SAME_CORE, ACROSS, ANYWHERE, PLACED };
static const struct race {
        const char *name, *about;
        enum turn_kind kind;
        uint32_t size;
        enum placed placed;
        uint64_t duration;
} races[] = {   /* by placement */
        { "same core", "16 bytes, hot, both sides on one core", TURN_HOT, PEER_SMALL, SAME_CORE, 12000000 },
        { "4 KiB, same core", "4096 bytes, hot, both sides on one core", TURN_HOT, PEER_BIG, SAME_CORE, 12000000 },
        { "across cores", "16 bytes, hot, each side on a core of its own", TURN_HOT, PEER_SMALL, ACROSS, 12000000 },
        { "4 KiB, across cores", "4096 bytes, hot, each side on a core of its own", TURN_HOT, PEER_BIG, ACROSS, 12000000 },
        { "anywhere", "16 bytes, hot, freely placed", TURN_HOT, PEER_SMALL, ANYWHERE, 12000000 },
        { "after sleep", "16 bytes, a call after 1 ms of sleep, freely placed", TURN_ASLEEP, PEER_SMALL, ANYWHERE, 40000000 },
        { "after work", "16 bytes, a call after 1 ms of work, freely placed", TURN_BUSY, PEER_SMALL, ANYWHERE, 40000000 },
        { "in flight", "16 bytes, 32 under way, freely placed: time for each", TURN_FLOOD, PEER_SMALL, ANYWHERE, 20000000 },
};
enum { RACES = AMB_ARRAY_LENGTH(races) };

struct field {
        struct bench bench;
        const char *json_path;
        const char *only;
        double seconds;
        char place[PATH_MAX], programs[PEERS][PATH_MAX];
        struct contender contenders[PEERS];
        struct bench_row *rows[RACES][PEERS];   /* NULL: not run */
};
static struct field field;

/* --- the beginning and the end --- */

static bool is_wanted(size_t peer)
{
        AMB_FREE char *names = field.only ? strdup(field.only) : NULL;
        for (char *rest = names, *name; names && (name = strtok_r(rest, ",", &rest));)
                if (strcmp(name, known[peer].peer) == 0)
                        return true;
        return !names || peer == OURS;
}

/* A directory where sockets' names fit. */
static void make_place(void)
{
        const char *places[] = { getenv("TMPDIR"), "/tmp" };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(places); i++) {
                if (!places[i] || places[i][0] != '/' || strlen(places[i]) + 64 > sizeof(((struct sockaddr_un *)NULL)->sun_path))
                        continue;
                snprintf(field.place, sizeof(field.place), "%s/ambidext-peers-XXXXXX", places[i]);
                if (mkdtemp(field.place))
                        return;
                field.place[0] = 0;
        }
        bench_fail("no directory could be made in $TMPDIR or /tmp");
}

static void end_all(void)
{
        for (size_t i = 0; i < PEERS; i++)
                if (field.contenders[i].state == CONTENDER_READY)
                        contender_end(&field.contenders[i]);
        contender_end_orphans();
}

/* atexit: also when something failed. */
static void clean_up(void)
{
        end_all();
        if (field.place[0] && rmdir(field.place) < 0)
                fprintf(stderr, "bench-peers: %s could not be removed: %s\n", field.place, strerror(errno));
}

static void stop_when_interrupted(void)
{
        if (contender_signal())
                exit(128 + contender_signal());
}

/* The programs lie beside this one. */
static void find_programs(void)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        self[n > 0 ? n : 0] = 0;
        char *slash = strrchr(self, '/');
        if (!slash)
                bench_fail("/proc is needed");
        *slash = 0;
        for (size_t i = 0; i < PEERS; i++)
                if (snprintf(field.programs[i], PATH_MAX, "%s/%s", self, known[i].program) >= PATH_MAX)
                        bench_fail("%s: too long a path", self);
}

static void say_out(size_t peer)
{
        bench_skip(&field.bench, known[peer].peer, "%s", field.contenders[peer].why);
        fprintf(stderr, "bench-peers: %s: %s\n", known[peer].title, field.contenders[peer].why);
}

static void start_all(enum placed placed)
{
        for (size_t i = 0; i < PEERS; i++) {
                struct contender *contender = &field.contenders[i];
                contender->peer = known[i].peer;
                contender->program = field.programs[i];
                contender->ours = placed == ANYWHERE || !field.bench.several ? AMB_PROCESSOR_ANY : field.bench.one;
                contender->theirs = placed == ACROSS ? field.bench.other : contender->ours;
                if (!is_wanted(i) || contender->state == CONTENDER_OUT)
                        continue;
                if (access(contender->program, X_OK) < 0) {
                        contender->state = CONTENDER_OUT;
                        snprintf(contender->why, sizeof(contender->why), "not installed (packages %s)", known[i].packages);
                        say_out(i);
                } else if (!contender_start(contender, field.place)) {
                        stop_when_interrupted();
                        say_out(i);
                }
        }
        if (field.contenders[OURS].state != CONTENDER_READY)
                bench_fail("there is nothing to compare peers with");
}

/* --- the races --- */

static bool can_run(const struct race *race, size_t peer)
{
        /* No queue: a futex says that something has changed, once. */
        bool too_much = strcmp(known[peer].peer, "futex") == 0 && (race->size > PEER_SMALL || race->kind == TURN_FLOOD);
        return field.contenders[peer].state == CONTENDER_READY && !too_much;
}

static void make_rows(enum placed placed)
{
        for (size_t i = 0; i < RACES; i++) {
                if (races[i].placed != placed)
                        continue;
                field.bench.section = races[i].name;
                for (size_t j = 0; j < PEERS; j++)
                        if (can_run(&races[i], j))
                                field.rows[i][j] = bench_row(&field.bench, known[j].title, j == OURS ? NULL : field.rows[i][OURS]);
        }
}

static void run_one(size_t race, size_t peer)
{
        const struct race *run = &races[race];
        struct contender *contender = &field.contenders[peer];
        struct turn_order order = { .kind = run->kind, .size = run->size };
        order.duration = bench_amount(&field.bench, run->duration, 4000000);
        if (!contender_turn(contender, &order)) {
                stop_when_interrupted();
                say_out(peer);
        } else if (run->kind != TURN_FLOOD)
                bench_add_all(field.rows[race][peer], &contender->memory->histogram);
        else if (contender->memory->done)
                bench_add(field.rows[race][peer], contender->memory->elapsed / contender->memory->done);
}

/* The races of one placement get their part of the time. */
static void run_all(enum placed placed)
{
        double part = 0;
        for (size_t i = 0; i < RACES; i++)
                part += races[i].placed == placed ? 1.0 / RACES : 0;
        bench_rounds(&field.bench, field.seconds * part);
        while (bench_round(&field.bench))
                for (size_t i = 0; i < RACES; i++)
                        for (size_t j = 0; j < PEERS; j++) {
                                stop_when_interrupted();
                                if (races[i].placed == placed && field.rows[i][j] && field.contenders[j].state == CONTENDER_READY)
                                        run_one(i, j);
                        }
        if (field.contenders[OURS].state != CONTENDER_READY)
                bench_fail("Ambidext itself failed");
}

/* --- what came of it --- */

static void print_rates(void)
{
        for (size_t i = 0; i < RACES; i++)
                for (size_t j = 0; j < PEERS; j++) {
                        const struct bench_row *row = races[i].kind == TURN_FLOOD ? field.rows[i][j] : NULL;
                        uint64_t each = row ? amb_histogram_at(&row->total, 0.5) : 0;
                        if (each)
                                bench_figure(&field.bench, known[j].title, 1e9 / (double)each, "calls/s");
                }
        puts("\ncalls per second, 32 under way");
        bench_print_figures(stdout, field.bench.results, 0);
        for (size_t j = 0; j < PEERS; j++)
                if (known[j].flood && field.contenders[j].state != CONTENDER_OUT && is_wanted(j))
                        printf("  (%s: %s)\n", known[j].title, known[j].flood);
}

static void print_out(void)
{
        bool absent = false, any = false;
        for (size_t j = 0; j < PEERS; j++)
                if (field.contenders[j].state == CONTENDER_OUT) {
                        printf("%s%s: %s\n", any ? "" : "\n", known[j].title, field.contenders[j].why);
                        any = true;
                        absent |= access(field.programs[j], X_OK) < 0;
                }
        if (absent)
                puts("`make bench-peers INSTALL=1` installs what is missing first.");
}

static void print_all(void)
{
        printf("Round trips between two processes; ratio: times as long as by %s (median of the rounds' ratios).\n",
               known[OURS].title);
        for (unsigned i = 0, row = 0; i < RACES; i++) {
                unsigned first = row;
                for (size_t j = 0; j < PEERS; j++)
                        row += field.rows[i][j] != NULL;
                if (first < row) {
                        printf("\n%s: %s\n", races[i].name, races[i].about);
                        bench_print_rows(stdout, field.bench.results, first, row);
                }
        }
        print_rates();
        print_out();
}

/* --- the program --- */

static void list(void)
{
        for (size_t i = 0; i < PEERS; i++)
                printf("%-14s %-26s %s\n", known[i].peer, known[i].title,
                       access(field.programs[i], X_OK) == 0 ? "" : known[i].packages);
}

/* Every name of --only is a peer's: a wrong one would leave its peer out, and nothing would say so. */
static bool only_is_known(void)
{
        AMB_FREE char *names = strdup(field.only);
        unsigned count = 0;
        for (char *rest = names, *name; names && (name = strtok_r(rest, ",", &rest)); count++) {
                size_t i = 0;
                while (i < PEERS && strcmp(name, known[i].peer) != 0)
                        i++;
                if (i == PEERS) {
                        fprintf(stderr, "bench-peers: --only: there is no peer '%s'; --list says which there are\n", name);
                        return false;
                }
        }
        if (count == 0)
                fprintf(stderr, "bench-peers: --only: no peer is named; --list says which there are\n");
        return count > 0;
}

static int parse(int argc, char **argv)
{
        static const struct option options[] = {
                { "json", required_argument, NULL, 'j' }, { "only", required_argument, NULL, 'o' },
                { "seconds", required_argument, NULL, 's' }, { "quick", no_argument, NULL, 'q' },
                { "list", no_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' }, { 0 },
        };
        int option;
        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {
                case 'j': field.json_path = optarg; break;
                case 'o': field.only = optarg; break;
                case 's': field.seconds = strtod(optarg, NULL); break;
                case 'q': field.bench.quick = true; break;
                case 'l': list(); exit(0);
                case 'h': fputs(help, stdout); exit(0);
                default: fputs(help, stderr); return 2;
                }
        if (optind < argc) {
                fputs(help, stderr);
                return 2;
        }
        return !field.only || only_is_known() ? 0 : 2;
}

int main(int argc, char **argv)
{
        field.seconds = 40;
        find_programs();
        if (parse(argc, argv) != 0)
                return 2;
        field.bench.results = calloc(1, sizeof(*field.bench.results));
        if (!field.bench.results || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                bench_fail("preparing: %s", strerror(errno));
        field.bench.several = amb_processors_two(&field.bench.one, &field.bench.other);
        contender_catch_signals();
        make_place();
        atexit(clean_up);
        for (enum placed placed = 0; placed < PLACED; placed++)
                if (placed != ACROSS || field.bench.several) {
                        start_all(placed);
                        make_rows(placed);
                        run_all(placed);
                        end_all();
                }
        print_all();
        int r = field.json_path ? bench_write_json(field.json_path, field.bench.results) : 0;
        if (r < 0)
                bench_fail("%s: %s", field.json_path, strerror(-r));
        return 0;
}
