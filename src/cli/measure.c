/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/measure.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/base.h"

/* --- histogram: HISTOGRAM_STEPS buckets of 1 ns, then as many for each doubling --- */

static size_t bucket_of(uint64_t nanoseconds)
{
        if (nanoseconds < HISTOGRAM_STEPS)
                return (size_t)nanoseconds;
        int doubling = 63 - __builtin_clzll(nanoseconds) - __builtin_ctz(HISTOGRAM_STEPS);
        size_t bucket = (size_t)(doubling + 1) * HISTOGRAM_STEPS + (size_t)(nanoseconds >> doubling) - HISTOGRAM_STEPS;
        return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The middle of a bucket. */
static uint64_t duration_of(size_t bucket)
{
        if (bucket < HISTOGRAM_STEPS)
                return bucket;
        size_t doubling = bucket / HISTOGRAM_STEPS - 1;
        return ((uint64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << doubling) + ((1ull << doubling) >> 1);
}

void cli_histogram_add(struct cli_histogram *histogram, uint64_t nanoseconds)
{
        if (histogram->count == 0 || nanoseconds < histogram->least)
                histogram->least = nanoseconds;
        histogram->count++;
        histogram->sum += nanoseconds;
        histogram->buckets[bucket_of(nanoseconds)]++;
}

uint64_t cli_histogram_at(const struct cli_histogram *histogram, double share)
{
        uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += histogram->buckets[i];
                if (seen > wanted || (seen && seen == histogram->count))
                        return duration_of(i);
        }
        return 0;
}

/* --- processors --- */

bool cli_processors(int *ret_one, int *ret_other)
{
        cpu_set_t set;
        int first = -1, last = -1;
        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return false;
        for (int i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &set)) {
                        first = first < 0 ? i : first;
                        last = i;
                }
        if (first == last)
                return false;
        *ret_one = first;
        *ret_other = last;
        return true;
}

void cli_stay_on(pid_t thread, int processor)
{
        cpu_set_t set;
        CPU_ZERO(&set);
        for (int i = 0; i < CPU_SETSIZE; i++)
                if (processor == i || processor == CLI_ANY_PROCESSOR)
                        CPU_SET((size_t)i, &set);
        sched_setaffinity(thread, sizeof(set), &set);
}

void cli_process_stay_on(pid_t process, int processor)
{
        AMB_FREE char *path = amb_format("/proc/%d/task", (int)process);
        DIR *threads = path ? opendir(path) : NULL;
        if (!threads)
                return;
        for (struct dirent *entry; (entry = readdir(threads));) {
                pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
                if (thread > 0)
                        cli_stay_on(thread, processor);
        }
        closedir(threads);
}

/* --- ping-pong --- */

struct shared {
        _Alignas(128) _Atomic uint64_t ping;
        _Alignas(128) _Atomic uint64_t pong;
        _Alignas(128) _Atomic bool rest;
};

struct cli_pingpong {
        struct shared *shared;
        uint64_t turn;
        int start_fd;           /* an eventfd that the child waits on while it rests */
        pid_t child;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ __volatile__("yield");
#endif
}

static _Noreturn void answer(struct cli_pingpong *pingpong)
{
        struct shared *shared = pingpong->shared;
        uint64_t answered = 0, ignored;
        for (;;) {
                if (read(pingpong->start_fd, &ignored, sizeof(ignored)) != sizeof(ignored))
                        _exit(0);
                for (;;) {
                        /* acquire and release: what a call would have written before it publishes, and read after */
                        uint64_t ping = atomic_load_explicit(&shared->ping, memory_order_acquire);
                        if (ping != answered) {
                                answered = ping;
                                atomic_store_explicit(&shared->pong, answered, memory_order_release);
                        } else if (atomic_load_explicit(&shared->rest, memory_order_relaxed))
                                break;
                        else
                                relax();
                }
        }
}

int cli_pingpong_create(struct cli_pingpong **ret_pingpong, int processor)
{
        struct cli_pingpong *pingpong = calloc(1, sizeof(*pingpong));
        if (!pingpong)
                return -ENOMEM;
        pingpong->start_fd = eventfd(0, EFD_CLOEXEC);
        pingpong->shared = mmap(NULL, sizeof(*pingpong->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (pingpong->shared == MAP_FAILED)
                pingpong->shared = NULL;
        pid_t parent = getpid();
        pingpong->child = pingpong->shared && pingpong->start_fd >= 0 ? fork() : -1;
        if (pingpong->child < 0) {
                int r = amb_errno();
                cli_pingpong_free(pingpong);
                return r;
        }
        if (pingpong->child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(0);
                cli_stay_on(0, processor);
                answer(pingpong);
        }
        *ret_pingpong = pingpong;
        return 0;
}

struct cli_pingpong *cli_pingpong_free(struct cli_pingpong *pingpong)
{
        if (!pingpong)
                return NULL;
        if (pingpong->child > 0) {
                kill(pingpong->child, SIGKILL);
                while (waitpid(pingpong->child, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        if (pingpong->shared)
                munmap(pingpong->shared, sizeof(*pingpong->shared));
        amb_fd_close(pingpong->start_fd);
        free(pingpong);
        return NULL;
}

void cli_pingpong_begin(struct cli_pingpong *pingpong)
{
        uint64_t one = 1;
        atomic_store(&pingpong->shared->rest, false);
        ssize_t written = write(pingpong->start_fd, &one, sizeof(one));
        (void)written;
}

void cli_pingpong_end(struct cli_pingpong *pingpong)
{
        atomic_store(&pingpong->shared->rest, true);
}

bool cli_pingpong_once(struct cli_pingpong *pingpong)
{
        uint64_t turn = ++pingpong->turn;
        atomic_store_explicit(&pingpong->shared->ping, turn, memory_order_release);
        for (uint64_t spins = 1; atomic_load_explicit(&pingpong->shared->pong, memory_order_acquire) != turn; spins++) {
                relax();
                /* now and then: is there still somebody? (WNOWAIT: free() reaps it) */
                siginfo_t ended = { 0 };
                if ((spins & 0xffffff) == 0 && waitid(P_PID, (id_t)pingpong->child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                    ended.si_pid)
                        return false;
        }
        return true;
}
