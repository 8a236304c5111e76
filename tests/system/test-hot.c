/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hot inline call costs: no allocation and no system call, on either side.
 *
 * Driver and app are one process here, with both libraries and a daemon of its own, so that one look sees both sides. Allocations
 * of all threads are counted by this program's own malloc in front of the C library's. System calls of all threads are counted by a
 * child that traces this process.
 *
 * A call is measured in windows of CALLS. No window may allocate. On a busy machine one side may have to lie down while the other
 * does not run, which takes system calls: one window without any is what is asked for, of as many as fit into PATIENCE_MS.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <DriverKit/DriverKit.h>

#include "base/test-suite.h"
#include "drivers/echo/echo.h"
#include "world.h"

enum { CALLS = 1000, WARM_UP = 2000, SETTLE = 50, WINDOWS_LEAST = 5, PATIENCE_MS = 30000, SKIPPED = 77 };

/* --- allocations --- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t allocations;

void *malloc(size_t size)
{
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
        return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
        return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
        return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size)
{
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
        return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
        return memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
        void *memory = memalign(alignment, size);
        if (!memory)
                return ENOMEM;
        *ret_memory = memory;
        return 0;
}

/* --- system calls --- */

/*
 * Shared with the tracer. Stops cost so much time that neither side would find the other awake again, so threads run freely until
 * system calls are to be counted: the app sets `counting` and sends itself SIGURG, the tracer then stops every thread once and lets
 * it go on from system call to system call, and says `everywhere`.
 */
struct trace {
        _Atomic uint64_t stops;         /* entries into and returns from system calls, of all threads, while counting */
        _Atomic bool named;             /* the tracer may begin */
        _Atomic int begun;              /* 1: all threads are traced; -errno: tracing failed */
        _Atomic bool counting, everywhere;
};
static struct trace *trace;
static pid_t tracer;

/* The tracer's own. */
static struct {
        pid_t id;                       /* 0: free */
        bool counting;
} threads[256];

static int thread_slot(pid_t id)
{
        int free_slot = -1;
        for (int i = 0; i < 256; i++) {
                if (threads[i].id == id)
                        return i;
                if (threads[i].id == 0 && free_slot < 0)
                        free_slot = i;
        }
        if (free_slot < 0)
                _exit(1);
        threads[free_slot].id = id;
        threads[free_slot].counting = false;
        return free_slot;
}

/* Lets a stopped thread go on. */
static int thread_go(int slot, int signal_number)
{
        bool counting = atomic_load(&trace->counting), everywhere = counting;
        if (ptrace(counting ? PTRACE_SYSCALL : PTRACE_CONT, threads[slot].id, NULL, (void *)(long)signal_number) < 0 &&
            errno != ESRCH)
                return -errno;
        threads[slot].counting = counting;
        for (int i = 0; i < 256; i++)
                everywhere = everywhere && (threads[i].id == 0 || threads[i].counting);
        if (everywhere)
                atomic_store(&trace->everywhere, true);
        return 0;
}

static int trace_all(pid_t process)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
        DIR *directory = opendir(path);
        for (struct dirent *entry; directory && (entry = readdir(directory));) {
                pid_t id = atoi(entry->d_name);
                int status;
                if (id == 0)
                        continue;
                if (ptrace(PTRACE_SEIZE, id, NULL, (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)) < 0 ||
                    ptrace(PTRACE_INTERRUPT, id, NULL, NULL) < 0 || waitpid(id, &status, __WALL) < 0 ||
                    thread_go(thread_slot(id), 0) < 0)
                        return -errno;
        }
        return directory ? 1 : -ENOENT;
}

static void thread_stopped(int slot, int status)
{
        int number = WSTOPSIG(status);
        if (number == (SIGTRAP | 0x80)) {
                atomic_fetch_add(&trace->stops, 1);
                number = 0;
        } else if (status >> 16) {
                number = 0;             /* an event of the tracing's own */
        } else if (number == SIGURG) {
                for (int i = 0; i < 256; i++)
                        if (threads[i].id != 0 && i != slot && !threads[i].counting)
                                ptrace(PTRACE_INTERRUPT, threads[i].id, NULL, NULL);
                number = 0;
        }
        thread_go(slot, number);
}

/* In the child, until we are ended or nobody is left; without us the kernel lets the threads run on. */
static void trace_run(pid_t process)
{
        atomic_store(&trace->begun, trace_all(process));
        for (int status, id; (id = waitpid(-1, &status, __WALL)) > 0;) {
                int slot = thread_slot(id);
                if (WIFSTOPPED(status))
                        thread_stopped(slot, status);
                else
                        threads[slot].id = 0;
        }
}

/* False: this system does not let a process trace another. */
static bool trace_start(void)
{
        pid_t parent = getpid();
        trace = mmap(NULL, sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (trace == MAP_FAILED || (tracer = fork()) < 0)
                return false;
        if (tracer == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (getppid() == parent && !atomic_load(&trace->named))
                        sched_yield();
                trace_run(parent);
                _exit(0);
        }
        prctl(PR_SET_PTRACER, tracer);  /* where only named processes may trace */
        atomic_store(&trace->named, true);
        while (atomic_load(&trace->begun) == 0)
                sched_yield();
        return atomic_load(&trace->begun) > 0;
}

static void trace_end(void)
{
        if (tracer > 0) {
                kill(tracer, SIGKILL);
                waitpid(tracer, NULL, 0);
        }
        tracer = 0;
        munmap(trace, sizeof(*trace));
}

static void count_begin(void)
{
        atomic_store(&trace->everywhere, false);
        atomic_store(&trace->counting, true);
        raise(SIGURG);
}

static void count_end(void)
{
        atomic_store(&trace->counting, false);
}

/* --- calls --- */

static unsigned char in[4096], out[4096];

static kern_return_t call_scalars(io_connect_t connection, size_t size)
{
        uint64_t scalars[2] = { 1, 2 }, results[2];
        uint32_t count = 2;
        kern_return_t code = IOConnectCallScalarMethod(connection, kEchoNop, scalars, 2, results, &count);
        return code == 0 && count == 2 && results[1] == 2 ? 0 : kIOReturnError;
}

static kern_return_t call_struct(io_connect_t connection, size_t size)
{
        size_t came = size;
        kern_return_t code = IOConnectCallStructMethod(connection, kEchoStruct, in, size, out, &came);
        return code == 0 && came == size && out[0] == in[0] && out[size - 1] == in[size - 1] ? 0 : kIOReturnError;
}

struct subject {
        const char *name;
        kern_return_t (*call)(io_connect_t connection, size_t size);
        size_t size;
};
static const struct subject subjects[] = {
        { "2 scalars in and out", call_scalars, 0 },
        { "16 bytes in and out", call_struct, 16 },
        { "4096 bytes in and out", call_struct, 4096 },
};

static void run(const struct subject *subject, io_connect_t connection, int calls)
{
        for (int i = 0; i < calls; i++)
                if (subject->call(connection, subject->size) != 0)
                        ck_abort_msg("%s: a call failed", subject->name);
}

static int64_t now_ms(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void measure(const struct subject *subject, io_connect_t connection)
{
        int64_t end = now_ms() + PATIENCE_MS;
        int windows = 0, quiet = 0;
        uint64_t least = UINT64_MAX;
        while (windows < WINDOWS_LEAST || (quiet == 0 && now_ms() < end)) {
                run(subject, connection, WARM_UP);
                count_begin();
                while (!atomic_load(&trace->everywhere))
                        run(subject, connection, 1);
                run(subject, connection, SETTLE);
                uint64_t stops = atomic_load(&trace->stops), allocated = atomic_load(&allocations);
                run(subject, connection, CALLS);
                allocated = atomic_load(&allocations) - allocated;
                stops = atomic_load(&trace->stops) - stops;
                count_end();
                ck_assert_msg(allocated == 0, "%s: %d calls allocated %d times", subject->name, CALLS, (int)allocated);
                windows++;
                quiet += stops == 0;
                least = stops < least ? stops : least;
        }
        printf("%s: %d of %d windows without system calls\n", subject->name, quiet, windows);
        ck_assert_msg(quiet > 0, "%s: at least %d system call stops in each of %d windows of %d calls", subject->name, (int)least,
                      windows, CALLS);
}

/* The instruments themselves: both counters move when there is something to count, on either side. */
static void instruments_work(io_connect_t connection)
{
        uint64_t reference[3] = { 0, 0, 0 }, nothing = 0, none = 0;
        uint32_t count = 1;
        IONotificationPortRef port = IONotificationPortCreate(0);
        uint64_t allocated = atomic_load(&allocations);
        free(realloc(malloc(10), 20));
        ck_assert_uint_ge(atomic_load(&allocations) - allocated, 2);
        /* The driver's side: the completion of an asynchronous call. */
        allocated = atomic_load(&allocations);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(connection, kEchoAsync, IONotificationPortGetMachPort(port), reference, 3,
                                                        &nothing, 1, NULL, NULL),
                         0);
        ck_assert_uint_ge(atomic_load(&allocations) - allocated, 1);
        IONotificationPortDestroy(port);
        count_begin();
        while (!atomic_load(&trace->everywhere))
                sched_yield();
        uint64_t stops = atomic_load(&trace->stops);
        getppid();
        ck_assert_uint_ge(atomic_load(&trace->stops) - stops, 2);
        /* Long idle, the driver's thread sleeps: a call wakes it. */
        for (int i = 0; i < 100; i++)
                sched_yield();
        stops = atomic_load(&trace->stops);
        ck_assert_int_eq(IOConnectCallScalarMethod(connection, kEchoNop, &nothing, 1, &none, &count), 0);
        ck_assert_uint_ge(atomic_load(&trace->stops) - stops, 2);
        count_end();
}

static struct world world;

static void setup(void)
{
        world_start(&world, NULL);
}

static void teardown(void)
{
        world_stop(&world);
}

START_TEST(hot_calls)
{
        OSString *bundle_id = OSStringCreate("org.ambidext.echo", (size_t)-1);
        IOUserServer *server;
        ck_assert_int_eq(IOUserServer_Create("org.ambidext.echo", 0, 0, bundle_id, &server), 0);
        ck_assert_int_eq(IOUserServer_LoadModule(server, world_build_path("drivers/echo.dext")), 0);
        ck_assert_int_eq(IOUserServer_RegisterService(server), 0);
        OSObjectRelease(bundle_id);
        io_connect_t connection = world_open("echo");
        for (size_t i = 0; i < sizeof(in); i++)
                in[i] = (unsigned char)(i * 7 + 1);
        ck_assert(trace_start());
        instruments_work(connection);
        for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
                measure(&subjects[i], connection);
        trace_end();
        ck_assert_int_eq(IOServiceClose(connection), 0);
}
END_TEST

int main(void)
{
        cpu_set_t processors;
        if (sched_getaffinity(0, sizeof(processors), &processors) == 0 && CPU_COUNT(&processors) < 2) {
                fprintf(stderr, "test-hot: skipped: with one processor every call waits in the kernel\n");
                return SKIPPED;
        }
        bool may_trace = trace_start();
        trace_end();
        if (!may_trace) {
                fprintf(stderr, "test-hot: skipped: a process may not trace another here\n");
                return SKIPPED;
        }
        TCase *tests = test_case("hot", hot_calls);
        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, 120);
        return run_cases("hot", tests);
}
