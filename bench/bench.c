/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambidext-bench, what `make bench` runs: calls of ours and the plainest things that two processes can do, in turns, in one run.
 *
 * This process measures nothing. It runs one section after another, each as `ambidext run ... -- ambidext-bench --in SECTION`: a
 * private registry and a process of its own, which writes what it finds into shared memory that is ours; a section that fails, or
 * takes too long, is ended alone, and everything that it had started with it. Then it says what was found.
 */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/paths.h"
#include "bench/bench.h"
#include "bench/plot.h"
#include "bench/report.h"

static const char help[] =
        "ambidext-bench [--json FILE] [--plot FILE] [--rounds N] [--quick] [SECTION...]\n"
        "ambidext-bench --list\n"
        "\n"
        "Measures calls into a driver against the plainest things that two processes can do, in turns of milliseconds, in one\n"
        "run: the processors of a virtual machine move apart and together, and everything wanders with them but the ratio of\n"
        "neighbours. Prints a table (median, 99th percentile, least, ratio of the medians) and the bars: the median of at least 5\n"
        "rounds' ratios each. Without SECTION: all of them, two to three minutes. Nothing else should run meanwhile.\n"
        "\n"
        "  --json FILE    write everything, histograms too, to FILE\n"
        "  --plot FILE    write a picture (SVG) of latency against load to FILE\n"
        "  --rounds N     exactly N rounds of each (5 to 1000), not as many as fit into each section's time\n"
        "  --quick        5 rounds, as short as can be: does it work? The figures mean nothing\n"
        "  --list         the sections, and what they measure\n"
        "\n"
        "Exit status: 0, all bars that were measured are reached; 1, one is missed; 2, a section failed or the call was wrong.\n";

enum { OK = 0, MISSED = 1, FAILED = 2, PATIENCE_S = 30, END_MS = 20000, ROUNDS_LEAST = 5, ROUNDS_MOST = 1000 };

struct options {
        const char *json, *plot, *in, *results;
        unsigned rounds;
        bool quick, list;
        char **sections;        /* NULL at the end; none: all */
};

static int say(const char *format, ...) AMB_PRINTF(1, 2);
static int say(const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        fputs("ambidext-bench: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
        return FAILED;
}

static const struct bench_section *section_find(const char *name)
{
        for (const struct bench_section *section = bench_sections; section->name; section++)
                if (strcmp(section->name, name) == 0)
                        return section;
        return NULL;
}

static bool section_wanted(const struct options *options, const char *name)
{
        for (char **wanted = options->sections; *wanted; wanted++)
                if (strcmp(*wanted, name) == 0)
                        return true;
        return !*options->sections;
}

/* --- in a section's process --- */

static int compare(const void *left, const void *right)
{
        uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
        return (a > b) - (a < b);
}

static uint64_t clock_cost(void)
{
        uint64_t costs[1001];
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(costs); i++) {
                uint64_t begin = amb_time_now();
                costs[i] = amb_time_now() - begin;
        }
        qsort(costs, AMB_ARRAY_LENGTH(costs), sizeof(*costs), compare);
        return costs[AMB_ARRAY_LENGTH(costs) / 2];
}

static struct bench_results *results_map(int fd)
{
        struct bench_results *results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return results == MAP_FAILED ? NULL : results;
}

static int section_main(const struct options *options)
{
        const struct bench_section *section = section_find(options->in);
        AMB_FD fd = options->results ? open(options->results, O_RDWR | O_CLOEXEC) : -1;
        struct bench bench = { .quick = options->quick, .rounds_fixed = options->rounds, .clock_cost = clock_cost() };
        bench.results = fd >= 0 ? results_map(fd) : NULL;
        if (!section || !bench.results)
                return say("--in is for this program's own use");
        prctl(PR_SET_TIMERSLACK, 1);            /* what sleeps for a millisecond is to sleep for a millisecond */
        bench.section = section->name;
        bench.first_row = bench.results->row_count;
        bench.several = amb_processors_two(&bench.one, &bench.other);
        if (!bench.several)
                bench.one = bench.other = sched_getcpu();
        section->run(&bench);
        return OK;
}

/* --- the program --- */

static _Noreturn void section_exec(const struct options *options, const struct bench_section *section, int results_fd, pid_t parent)
{
        char self[PATH_MAX], rounds[16];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        self[n > 0 ? n : 0] = 0;
        char *slash = strrchr(self, '/');
        AMB_FREE char *ambidext = amb_program_path("ambidext"), *results = amb_format("/proc/%d/fd/%d", (int)parent, results_fd);
        AMB_FREE char *bundle = slash ? amb_format("%.*s/bench.dext", (int)(slash - self), self) : NULL;
        AMB_FREE char *also = slash && section->also ? amb_format("%.*s/%s", (int)(slash - self), self, section->also) : NULL;
        if (!ambidext || !results || !bundle || (section->also && !also))
                _exit(say("there is no program ambidext in this build"));
        const char *arguments[24] = { ambidext, "run", "--dext", bundle };
        int count = 4;
        if (also) {
                arguments[count++] = "--dext";
                arguments[count++] = also;
        }
        if (getenv("AMBIDEXT_TEST_NO_SANDBOX"))
                arguments[count++] = "--no-sandbox";
        const char *rest[] = { "--", self, "--in", section->name, "--results", results };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(rest); i++)
                arguments[count++] = rest[i];
        if (options->quick)
                arguments[count++] = "--quick";
        if (options->rounds) {
                snprintf(rounds, sizeof(rounds), "%u", options->rounds);
                arguments[count++] = "--rounds";
                arguments[count++] = rounds;
        }
        prctl(PR_SET_PDEATHSIG, SIGTERM);       /* `ambidext run` takes everything down on SIGTERM */
        if (getppid() != parent)
                _exit(FAILED);
        execv(ambidext, (char **)arguments);
        _exit(say("%s: %s", ambidext, strerror(errno)));
}

/* Within its time; then asks it to end, and at last ends it. */
static int section_wait(const struct bench_section *section, pid_t pid)
{
        int status = 0;
        AMB_FD fd = pidfd_open(pid, 0);
        struct pollfd polled = { .fd = fd, .events = POLLIN };
        unsigned seconds = 3 * section->seconds + PATIENCE_S;
        if (fd >= 0 && poll(&polled, 1, (int)seconds * 1000) == 0) {
                say("%s has taken more than %u s and is ended", section->name, seconds);
                pidfd_send_signal(fd, SIGTERM, NULL, 0);
                if (poll(&polled, 1, END_MS) == 0)
                        pidfd_send_signal(fd, SIGKILL, NULL, 0);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? OK : FAILED;
}

/* What daemon, host and section said, for who wants to know why it failed. */
static void log_show(int log)
{
        char text[4096];
        ssize_t n;
        off_t offset = 0;
        while ((n = pread(log, text, sizeof(text), offset)) > 0) {
                fwrite(text, 1, (size_t)n, stderr);
                offset += n;
        }
}

static int section_run(const struct options *options, const struct bench_section *section, int results_fd)
{
        AMB_FD log = memfd_create("log", MFD_CLOEXEC);
        pid_t parent = getpid(), pid = log < 0 ? -1 : fork();
        if (pid < 0)
                return say("%s: %s", section->name, strerror(errno));
        if (pid == 0) {
                dup2(log, STDERR_FILENO);
                if (section->one_core)
                        amb_thread_stay_on(0, sched_getcpu());
                section_exec(options, section, results_fd, parent);
        }
        int status = section_wait(section, pid);
        if (status != OK)
                log_show(log);
        return status;
}

static bool bar_told(const struct bench_results *results, const char *name)
{
        for (unsigned i = 0; i < results->bar_count; i++)
                if (strcmp(results->bars[i].name, name) == 0)
                        return true;
        for (unsigned i = 0; i < results->skip_count; i++)
                if (strcmp(results->skips[i].name, name) == 0)
                        return true;
        return false;
}

/*
 * Every bar appears, measured or with the reason why not. A section that was to measure one and does not even say why has failed.
 */
static int tell_the_rest(struct bench_results *results, const struct options *options)
{
        struct bench bench = { .results = results };
        int status = OK;
        for (const struct bench_bar_row *bar = bench_bars; bar->name; bar++) {
                if (bar_told(results, bar->name))
                        continue;
                bool wanted = section_wanted(options, bar->section);
                bench_skip(&bench, bar->name, "the section %s %s", bar->section,
                           wanted ? "ended before it was measured" : "was not asked for");
                status = wanted ? FAILED : status;
        }
        return status;
}

static int run_all(const struct options *options, struct bench_results *results, int results_fd)
{
        int status = OK;
        for (const struct bench_section *section = bench_sections; section->name; section++) {
                unsigned rows = results->row_count, figures = results->figure_count, points = results->point_count;
                if (!section_wanted(options, section->name))
                        continue;
                printf("%s: %s\n", section->name, section->about);
                fflush(stdout);
                if (section_run(options, section, results_fd) != OK)
                        status = say("the section %s failed", section->name);
                bench_print_rows(stdout, results, rows, results->row_count);
                bench_print_points(stdout, results, points);
                bench_print_figures(stdout, results, figures);
                fflush(stdout);
        }
        return status;
}

static int program_main(const struct options *options)
{
        AMB_FD fd = memfd_create("ambidext-bench", MFD_CLOEXEC);
        struct bench_results *results = fd >= 0 && ftruncate(fd, sizeof(*results)) == 0 ? results_map(fd) : NULL;
        if (!results)
                return say("no memory for the results: %s", strerror(errno));
        int status = run_all(options, results, fd);
        if (tell_the_rest(results, options) != OK)
                status = FAILED;
        puts("bars:");
        if (bench_print_bars(stdout, results) && status == OK)
                status = MISSED;
        int r = options->json ? bench_write_json(options->json, results) : 0;
        if (r < 0)
                status = say("%s: %s", options->json, strerror(-r));
        r = options->plot ? bench_write_plot(options->plot, results) : 0;
        if (r < 0)
                status = say("%s: %s", options->plot, strerror(-r));
        return status;
}

static int list(void)
{
        for (const struct bench_section *section = bench_sections; section->name; section++) {
                printf("%-14s %s (%u s)\n", section->name, section->about, section->seconds);
                for (const struct bench_bar_row *bar = bench_bars; bar->name; bar++)
                        if (strcmp(bar->section, section->name) == 0)
                                printf("  %-18s %s\n", bar->name, bar->what);
        }
        return OK;
}

static int parse_rounds(const char *text, unsigned *ret_rounds)
{
        char *end;
        unsigned long rounds = strtoul(text, &end, 10);
        if (end == text || *end || rounds < ROUNDS_LEAST || rounds > ROUNDS_MOST)
                return say("--rounds wants a number from %d to %d", ROUNDS_LEAST, ROUNDS_MOST);
        *ret_rounds = (unsigned)rounds;
        return OK;
}

static int parse(struct options *options, int argc, char **argv)
{
        static const struct option known[] = {
                { "json", required_argument, NULL, 'j' },     { "plot", required_argument, NULL, 'p' },
                { "rounds", required_argument, NULL, 'r' },   { "quick", no_argument, NULL, 'q' },
                { "list", no_argument, NULL, 'l' },           { "help", no_argument, NULL, 'h' },
                { "in", required_argument, NULL, 'i' },       { "results", required_argument, NULL, 'R' },
                { 0 },
        };
        int option, status = OK;
        while (status == OK && (option = getopt_long(argc, argv, "", known, NULL)) >= 0)
                switch (option) {
                case 'j': options->json = optarg; break;
                case 'p': options->plot = optarg; break;
                case 'r': status = parse_rounds(optarg, &options->rounds); break;
                case 'q': options->quick = true; break;
                case 'l': options->list = true; break;
                case 'h': fputs(help, stdout); exit(OK);
                case 'i': options->in = optarg; break;
                case 'R': options->results = optarg; break;
                default: return FAILED;         /* getopt_long has said it */
                }
        options->sections = argv + optind;
        for (char **name = options->sections; status == OK && *name; name++)
                if (!section_find(*name))
                        status = say("there is no section '%s'; --list names them", *name);
        return status;
}

int main(int argc, char **argv)
{
        struct options options = { 0 };
        int status = parse(&options, argc, argv);
        if (status != OK)
                return status;
        if (options.in)
                return section_main(&options);
        return options.list ? list() : program_main(&options);
}
