/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 13: what IOLib.h has beside the calls that its rows test. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <DriverKit/IOLib.h>

#include "base/base.h"
#include "base/block.h"
#include "driver/test.h"

/* --- what is logged --- */

static int log_file, old_stderr;

static void log_catch(void)
{
        fflush(stderr);
        old_stderr = dup(STDERR_FILENO);
        log_file = memfd_create("log", MFD_CLOEXEC);
        ck_assert_int_ge(log_file, 0);
        ck_assert_int_eq(dup2(log_file, STDERR_FILENO), STDERR_FILENO);
}

/* What was written since, in one piece of static memory. */
static const char *log_end(void)
{
        static char text[65536];
        ssize_t n;

        ck_assert_int_eq(dup2(old_stderr, STDERR_FILENO), STDERR_FILENO);
        n = pread(log_file, text, sizeof(text) - 1, 0);
        ck_assert_int_ge(n, 0);
        text[n] = '\0';
        close(log_file);
        close(old_stderr);
        return text;
}

START_TEST(lines)
{
        const char *text;
        uint8_t bytes[18] = "A\n\xff";

        log_catch();
        IOLog("one %d\n", 1);
        IOLogBuffer("title", bytes, sizeof(bytes));
        IOLogBuffer(NULL, NULL, 0);
        text = log_end();
        ck_assert_ptr_nonnull(strstr(text, "one 1\n"));
        ck_assert_ptr_null(strstr(text, "one 1\n\n"));
        ck_assert_ptr_nonnull(strstr(text, "title: 18 bytes\n"));
        ck_assert_ptr_nonnull(strstr(text, "000000 41 0a ff 00 00"));
        ck_assert_ptr_nonnull(strstr(text, "A..............."));
        ck_assert_ptr_nonnull(strstr(text, "000010 00 00  "));
        ck_assert_ptr_nonnull(strstr(text, ": 0 bytes\n"));
}
END_TEST

START_TEST(backtrace)
{
        const char *text, *line, *name = program_invocation_short_name;
        int lines = 0;

        log_catch();
        ck_assert_int_eq(OSReportWithBacktrace("who %s", "called"), 10);
        text = log_end();
        ck_assert_ptr_nonnull(strstr(text, "who called\n"));
        for (line = strstr(text, name); line; line = strstr(line + 1, name))
                lines++;
        ck_assert_int_ge(lines, 2); /* this test and main, at least */
}
END_TEST

START_TEST(panics)
{
        panic("the number is %d", 7);
}
END_TEST

/* --- memory, strings, numbers --- */

START_TEST(memory)
{
        uint64_t *numbers = IONew(uint64_t, SIZE_MAX / 8 + 2), *zeros = IONewZero(uint64_t, 3);
        struct signal *one = IOMallocType(struct signal);
        void *typed = IOMallocTyped(10, 7);

        ck_assert_ptr_null(numbers);
        ck_assert(zeros && one && typed);
        ck_assert(!zeros[0] && !zeros[1] && !zeros[2] && !one->count);
        IOSafeDeleteNULL(zeros, uint64_t, 3);
        ck_assert_ptr_null(zeros);
        IOFreeType(one, struct signal);
        IOFree(typed, 10);
        IOFree(NULL, 10);
}
END_TEST

START_TEST(strings)
{
        char text[6] = "zzzzz";

        ck_assert_uint_eq(strlcpy(text, "abc", sizeof(text)), 3);
        ck_assert_str_eq(text, "abc");
        ck_assert_uint_eq(strlcat(text, "defg", sizeof(text)), 7);
        ck_assert_str_eq(text, "abcde");
        ck_assert_uint_eq(strlcpy(text, "123456789", sizeof(text)), 9);
        ck_assert_str_eq(text, "12345");
        ck_assert_uint_eq(strlcpy(text, "x", 1), 1);
        ck_assert_str_eq(text, "");
        ck_assert_uint_eq(strlcpy(NULL, "abc", 0), 3);
        memcpy(text, "zzzzzz", 6);
        ck_assert_uint_eq(strlcat(text, "abc", sizeof(text)), 9); /* there is no NUL in it */
        ck_assert_mem_eq(text, "zzzzzz", 6);
        bzero(text, sizeof(text));
        bcopy("ab", text, 2);
        ck_assert_str_eq(text, "ab");
}
END_TEST

START_TEST(sums_and_orders)
{
        uint8_t one[16] = { 0 }, other[16] = { 0 };

        ck_assert_uint_eq(crc32(0, "123456789", 9), 0xcbf43926);
        ck_assert_uint_eq(crc32(crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
        ck_assert_uint_eq(crc32(0, NULL, 0), 0);
        ck_assert_uint_eq(OSSwapInt16(0x1122), 0x2211);
        ck_assert_uint_eq(OSSwapInt32(0x11223344), 0x44332211);
        ck_assert_uint_eq(OSSwapInt64(0x1122334455667788), 0x8877665544332211);
        memcpy(one, "\1\2\3\4\5\6\7\10", 8);
        ck_assert_uint_eq(OSSwapLittleToHostInt16(*(uint16_t *)one), 0x0201);
        ck_assert_uint_eq(OSSwapBigToHostInt32(*(uint32_t *)one), 0x01020304);
        ck_assert_uint_eq(OSSwapBigToHostInt64(*(uint64_t *)one), 0x0102030405060708);
        ck_assert_uint_eq(OSSwapHostToLittleInt32(OSSwapLittleToHostInt32(5)), 5);
        ck_assert_uint_eq(OSSwapHostToBigInt16(OSSwapBigToHostInt16(5)), 5);
        ck_assert_int_eq(IOFixedMultiply(3 << 16, -(1 << 15)), -(3 << 15));
        ck_assert_int_eq(IOFixedDivide(1 << 16, 1 << 18), 1 << 14);
        ck_assert_int_eq(IOFixedDivide(-(3 << 16), 2 << 16), -(3 << 15));
        read_random(one, sizeof(one));
        read_random(other, sizeof(other));
        ck_assert_mem_ne(one, other, sizeof(one));
        OSSynchronizeIO();
}
END_TEST

/* --- time --- */

START_TEST(clocks)
{
        uint64_t before = mach_absolute_time(), other_before = mach_continuous_time(), raw;

        IODelay(2000);
        raw = clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
        ck_assert_uint_ge(mach_absolute_time() - before, 2 * kMillisecondScale);
        ck_assert_uint_ge(mach_continuous_time() - other_before, 2 * kMillisecondScale);
        ck_assert_uint_ge(raw, before + 2 * NSEC_PER_MSEC); /* one clock, one unit */
        ck_assert_uint_le(raw, mach_absolute_time());
        ck_assert_uint_eq(NSEC_PER_SEC, kSecondScale);
        ck_assert_uint_eq(kSecondScale, 1000 * 1000 * kMicrosecondScale * kNanosecondScale);
}
END_TEST

/* --- once, and for each thread --- */

static struct IOCallOnceFlag once;
static int once_runs;
static struct signal once_callers = SIGNAL_INIT;

/* Runs until everybody is about to call. */
static void once_slowly(void *context)
{
        signal_wait(&once_callers, 4);
        once_runs++;
}

static void *once_call(void *context)
{
        signal_add(&once_callers);
        IOCallOnce_f(&once, NULL, once_slowly);
        ck_assert_int_eq(once_runs, 1); /* it has run, whoever ran it */
        return NULL;
}

struct once_block {
        struct amb_block head;
        int *runs;
};

static void once_block_run(struct once_block *self)
{
        ++*self->runs;
}

START_TEST(call_once)
{
        struct IOCallOnceFlag flag = { 0 };
        int runs = 0;
        struct once_block block = { .head.invoke = (void (*)(void))once_block_run, .runs = &runs };
        pthread_t threads[4];

        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, once_call, NULL), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(once_runs, 1);
        IOCallOnce(&flag, &block);
        IOCallOnce(&flag, &block);
        ck_assert_int_eq(runs, 1);
}
END_TEST

static void *other_thread(void *context)
{
        uint64_t key = *(uint64_t *)context;

        ck_assert_ptr_null(IOThreadLocalStorageGet(key));
        ck_assert_int_eq(IOThreadLocalStorageSet(key, &key), 0);
        ck_assert_ptr_eq(IOThreadLocalStorageGet(key), &key);
        return NULL;
}

START_TEST(thread_local_storage)
{
        uint64_t key = 0;
        pthread_t thread;

        ck_assert_int_eq(IOThreadLocalStorageKeyCreate(NULL), kIOReturnBadArgument);
        ck_assert_int_eq(IOThreadLocalStorageKeyCreate(&key), 0);
        ck_assert_uint_ne(key, 0);
        ck_assert_ptr_null(IOThreadLocalStorageGet(key));
        ck_assert_int_eq(IOThreadLocalStorageSet(key, "mine"), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, &key), 0);
        pthread_join(thread, NULL);
        ck_assert_str_eq(IOThreadLocalStorageGet(key), "mine");
        ck_assert_int_eq(IOThreadLocalStorageKeyDelete(key), 0);
        ck_assert_int_eq(IOThreadLocalStorageKeyDelete(key), kIOReturnBadArgument);
        ck_assert_int_eq(IOThreadLocalStorageSet(0, "x"), kIOReturnBadArgument);
        ck_assert_int_eq(IOThreadLocalStorageSet(UINT64_MAX, "x"), kIOReturnBadArgument);
        ck_assert_ptr_null(IOThreadLocalStorageGet(UINT64_MAX));
}
END_TEST

/* --- boot arguments --- */

START_TEST(boot_numbers)
{
        uint64_t wide = 5;
        uint32_t number = 5;
        uint8_t bytes[2] = { 5, 5 };

        setenv("AMBIDEXT_BOOT_ARGS", "a=1 a=2\tb=0x1ff -v c=-1 d=x e= ab=9 f=99999999999999999999", 1);
        ck_assert(IOParseBootArgNumber("a", &number, 4) && number == 2);
        ck_assert(IOParseBootArgNumber("b", bytes, 1) && bytes[0] == 0xff && bytes[1] == 5);
        ck_assert(IOParseBootArgNumber("b", bytes, 2) && bytes[0] + 256 * bytes[1] == 0x1ff);
        ck_assert(IOParseBootArgNumber("-v", &number, 4) && number == 1);
        ck_assert(IOParseBootArgNumber("c", &wide, 8) && wide == UINT64_MAX);
        number = 5;
        for (const char *bad = "d\0e\0f\0g\0\0"; *bad; bad += strlen(bad) + 1)
                ck_assert(!IOParseBootArgNumber(bad, &number, 4));
        ck_assert(!IOParseBootArgNumber("", &number, 4) && !IOParseBootArgNumber(NULL, &number, 4));
        ck_assert(!IOParseBootArgNumber("a", &number, 3) && !IOParseBootArgNumber("a", NULL, 4));
        ck_assert_uint_eq(number, 5);
}
END_TEST

START_TEST(boot_strings)
{
        char text[4] = "zzz";

        setenv("AMBIDEXT_BOOT_ARGS", "name=abcdef flag empty= url=a=b", 1);
        ck_assert(!IOParseBootArgString("none", text, 4) && !IOParseBootArgString("name", text, 0));
        ck_assert_str_eq(text, "zzz");
        ck_assert(IOParseBootArgString("name", text, 4));
        ck_assert_str_eq(text, "abc");
        ck_assert(IOParseBootArgString("url", text, 4));
        ck_assert_str_eq(text, "a=b");
        ck_assert(IOParseBootArgString("flag", text, 4));
        ck_assert_str_eq(text, "");
        ck_assert(IOParseBootArgString("empty", text, 4));
        setenv("AMBIDEXT_BOOT_ARGS", "", 1);
        ck_assert(!IOParseBootArgString("name", text, 4));
}
END_TEST

/* Without the variable: the last word of the kernel's own. */
START_TEST(boot_arguments_of_the_kernel)
{
        AMB_FREE char *line = NULL;
        size_t length;
        char *word, name[256], value[4096] = "";

        unsetenv("AMBIDEXT_BOOT_ARGS");
        ck_assert(!IOParseBootArgString("ambidext.no-such-argument", value, sizeof(value)));
        ck_assert_int_eq(amb_file_read(-100 /* AT_FDCWD */, "/proc/cmdline", 65536, &line, &length), 0);
        line[strcspn(line, "\n")] = '\0';
        word = strrchr(line, ' ') ? strrchr(line, ' ') + 1 : line;
        if (!*word || *word == '=')
                return; /* a kernel that was started with none */
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
        ck_assert(IOParseBootArgString(name, value, sizeof(value)));
        ck_assert_str_eq(value, word[strlen(name)] ? word + strlen(name) + 1 : "");
}
END_TEST

/* --- locks --- */

#define ROUNDS 100000
static IORecursiveLock *recursive;
static int counted;

static void *count(void *context)
{
        for (int i = 0; i < ROUNDS; i++) {
                IORecursiveLockLock(recursive);
                if (i % 3 == 0 && IORecursiveLockTryLock(recursive))
                        IORecursiveLockUnlock(recursive);
                counted++;
                IORecursiveLockUnlock(recursive);
                ck_assert(!IORecursiveLockHaveLock(recursive));
        }
        return NULL;
}

/* Who has had a lock before must not take it for its own while another thread gets it. */
START_TEST(owners)
{
        pthread_t threads[3];

        recursive = IORecursiveLockAlloc();
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
        for (int i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(counted, 3 * ROUNDS);
        IORecursiveLockFreeZero(recursive)
        ck_assert_ptr_null(recursive);
}
END_TEST

START_TEST(all_kinds_are_freed)
{
        IOLock *lock = IOLockAlloc();
        IORWLock *rw = IORWLockAlloc();
        IORecursiveConditionLock *condition = IORecursiveConditionLockAlloc();

        ck_assert(lock && rw && condition);
        IOLockLock(lock);
        IOLockAssert(lock, kIOLockAssertOwned);
        ck_assert(!IOLockTryLock(lock));
        IOLockUnlock(lock);
        IOLockAssert(lock, kIOLockAssertNotOwned);
        IORecursiveConditionLockLock(condition);
        ck_assert(IORecursiveConditionLockTryLock(condition) && IORecursiveConditionLockHaveLock(condition));
        IORecursiveConditionLockUnlock(condition);
        ck_assert(IORecursiveConditionLockHaveLock(condition));
        IORecursiveConditionLockUnlock(condition);
        ck_assert(!IORecursiveConditionLockHaveLock(condition));
        IOLockFreeZero(lock)
        IORWLockFreeZero(rw)
        IORecursiveConditionLockFreeZero(condition)
        ck_assert(!lock && !rw && !condition);
        IOLockFree(NULL);
        IORWLockFree(NULL);
        IORecursiveLockFree(NULL);
        IORecursiveConditionLockFree(NULL);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("driver-iolib", lines, backtrace, memory, strings, sums_and_orders, clocks, call_once,
                                 thread_local_storage, boot_numbers, boot_strings, boot_arguments_of_the_kernel, owners,
                                 all_kinds_are_freed);

        tcase_add_test_raise_signal(tcase, panics, SIGABRT);
        return run_cases("driver-iolib", tcase);
}
