/* SPDX-License-Identifier: Apache-2.0 */
/* What programs take of Darwin beside IOKit: pages, the host's name, small locks, old atomics, check macros, clocks, log lines. */
#include <AssertMacros.h>
#include <IOKit/IOBSD.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/hidsystem/IOHIDShared.h>
#include <IOKit/usb/USB.h>
#include <libkern/OSAtomic.h>
#include <mach/mach.h>
#include <mach/mach_interface.h>
#include <mach/mach_time.h>
#include <mach/mach_vm.h>
#include <os/lock.h>
#include <os/log.h>

#undef check
#undef verify
#undef require
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "base/test-suite.h"

/* --- memory --- */

START_TEST(test_pages)
{
        vm_address_t at = 0, same;
        mach_vm_address_t wide = 0;

        ck_assert_uint_eq(vm_page_size, (vm_size_t)sysconf(_SC_PAGESIZE));
        ck_assert_uint_eq(vm_page_size, 1ul << vm_page_shift);
        ck_assert_uint_eq(round_page((vm_size_t)1), vm_page_size);
        ck_assert_uint_eq(trunc_page(vm_page_size + 1), vm_page_size);
        ck_assert_uint_eq(mach_vm_round_page(vm_page_size), vm_page_size);
        ck_assert_int_eq(vm_allocate(mach_task_self(), &at, 2 * vm_page_size, VM_FLAGS_ANYWHERE), KERN_SUCCESS);
        ((char *)at)[2 * vm_page_size - 1] = 1;
        ck_assert_int_eq(((char *)at)[0], 0);
        /* What is there stays there, unless it is to be replaced. */
        same = at;
        ck_assert_int_eq(vm_allocate(mach_task_self(), &same, vm_page_size, VM_FLAGS_FIXED), KERN_NO_SPACE);
        same = at + vm_page_size + 5;
        ck_assert_int_eq(vm_allocate(mach_task_self(), &same, vm_page_size, VM_FLAGS_FIXED | VM_FLAGS_OVERWRITE), KERN_SUCCESS);
        ck_assert_uint_eq(same, at + vm_page_size);
        ck_assert_int_eq(((char *)at)[2 * vm_page_size - 1], 0);
        ck_assert_int_eq(vm_protect(mach_task_self(), at, 1, FALSE, VM_PROT_READ), KERN_SUCCESS);
        /* A system call that would write there fails now; the next page is as it was. */
        ck_assert_int_eq(pipe((int *)at), -1);
        ck_assert_int_eq(errno, EFAULT);
        ck_assert_int_eq(vm_protect(mach_task_self(), at, 1, TRUE, VM_PROT_READ), KERN_INVALID_ARGUMENT);
        ck_assert_int_eq(vm_deallocate(mach_task_self(), at, 2 * vm_page_size), KERN_SUCCESS);
        ck_assert_int_eq(vm_protect(mach_task_self(), at, 1, FALSE, VM_PROT_READ), KERN_INVALID_ADDRESS);
        ck_assert_int_eq(vm_allocate(1, &at, vm_page_size, VM_FLAGS_ANYWHERE), KERN_INVALID_TASK);
        ck_assert_int_eq(mach_vm_allocate(mach_task_self(), &wide, 1, VM_FLAGS_ANYWHERE), KERN_SUCCESS);
        ck_assert_uint_ne(wide, 0);
        ck_assert_int_eq(mach_vm_deallocate(mach_task_self(), wide, 1), KERN_SUCCESS);
        ck_assert_int_eq(vm_allocate(mach_task_self(), &at, 0, VM_FLAGS_ANYWHERE), KERN_SUCCESS);
        ck_assert_uint_eq(at, 0);
}
END_TEST

/* --- names --- */

START_TEST(test_host)
{
        mach_port_t door = 0, again = 0;

        ck_assert_uint_ne(mach_host_self(), 0);
        ck_assert_uint_ne(mach_host_self(), mach_task_self());
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), mach_host_self()), KERN_SUCCESS);
        ck_assert_int_eq(host_get_io_main(mach_host_self(), &door), KERN_SUCCESS);
        ck_assert_int_eq(IOMasterPort(bootstrap_port, &again), KERN_SUCCESS);
        ck_assert_uint_eq(door, again);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), again), KERN_SUCCESS);
        ck_assert_int_eq(host_get_io_master(mach_task_self(), &again), KERN_INVALID_HOST);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), door), KERN_SUCCESS);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), door), KERN_INVALID_NAME);
}
END_TEST

START_TEST(test_constants)
{
        kern_return_t code = kIOUSBPipeStalled;

        ck_assert_int_eq(kIOHIDServerConnectType, 0);
        ck_assert_int_eq(code, (kern_return_t)0xe000404f);
        ck_assert_uint_eq(err_get_system(code), 0x38);
        ck_assert_uint_eq(err_get_sub(code), 1);
        ck_assert_uint_eq(err_get_code(code), 0x4f);
        ck_assert_str_eq(kIOBSDNameKey, "BSD Name");
        ck_assert_uint_eq(_OSSwapInt16(0x1234), 0x3412);
        ck_assert_uint_eq(USBToHostWord(HostToUSBWord(0x1234)), 0x1234);
}
END_TEST

/* --- locks and atomics --- */

static os_unfair_lock lock = OS_UNFAIR_LOCK_INIT;
static OSSpinLock spin = OS_SPINLOCK_INIT;
static int guarded, spun;
static volatile int32_t counted;

static void *count_up(void *unused)
{
        for (int i = 0; i < 20000; i++) {
                os_unfair_lock_lock(&lock);
                guarded++;
                os_unfair_lock_unlock(&lock);
                if (i % 16 == 0) {
                        OSSpinLockLock(&spin);
                        spun++;
                        OSSpinLockUnlock(&spin);
                }
                OSAtomicIncrement32(&counted);
        }
        return unused;
}

START_TEST(test_locks)
{
        volatile int64_t wide = 5;
        void *volatile pointer = NULL;
        volatile uint32_t bits = 1;
        int counted_in = 0;
        pthread_t threads[4];

        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(guarded, 80000);
        ck_assert_int_eq(spun, 5000);
        ck_assert_int_eq(counted, 80000);
        ck_assert(os_unfair_lock_trylock(&lock));
        ck_assert(!os_unfair_lock_trylock(&lock));
        os_unfair_lock_assert_owner(&lock);
        os_unfair_lock_unlock(&lock);
        os_unfair_lock_assert_not_owner(&lock);
        ck_assert_int_eq(OSAtomicAdd64(-7, &wide), -2);
        ck_assert(OSAtomicCompareAndSwap64(-2, 9, &wide) && !OSAtomicCompareAndSwap64(-2, 1, &wide));
        ck_assert(OSAtomicCompareAndSwapPtrBarrier(NULL, &counted_in, &pointer) && pointer == &counted_in);
        ck_assert_int_eq(OSAtomicOr32(6, &bits), 7);
        ck_assert_int_eq(OSAtomicAnd32Orig(4, &bits), 7);
        ck_assert_uint_eq(bits, 4);
}
END_TEST

START_TEST(test_lock_taken_twice)
{
        os_unfair_lock_lock(&lock);
        os_unfair_lock_lock(&lock);
}
END_TEST

START_TEST(test_lock_of_another)
{
        os_unfair_lock_unlock(&lock);
}
END_TEST

/* --- macros --- */

static int steps(int code)
{
        int done = 0;

        __Require_noErr_Quiet(code == 1, fail);
        done++;
        __Require_Action_Quiet(code != 2, fail, done = 20);
        done++;
        require_noerr_action_quiet(code, fail, done += 100);
        done++;
fail:
        return done;
}

START_TEST(test_check_macros)
{
        ck_assert_int_eq(steps(1), 0);
        ck_assert_int_eq(steps(2), 20);
        ck_assert_int_eq(steps(3), 102);
        ck_assert_int_eq(steps(0), 3);
}
END_TEST

/* --- clocks, pauses, log lines --- */

static char said[4096];

/* What `say` writes to standard error. */
static void hear(void (*say)(void))
{
        int ends[2], before = dup(STDERR_FILENO);
        ssize_t n;

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        dup2(ends[1], STDERR_FILENO);
        say();
        dup2(before, STDERR_FILENO);
        close(before);
        close(ends[1]);
        n = read(ends[0], said, sizeof(said) - 1);
        said[n > 0 ? n : 0] = 0;
        close(ends[0]);
}

static void say_lines(void)
{
        os_log_t log = os_log_create("org.example", "test");

        ck_assert_ptr_eq(log, os_log_create("org.example", "test"));
        os_log(log, "opened %{public}s", "it");
        os_log_error(OS_LOG_DEFAULT, "code %x", 0xe00002c2);
        mach_error("open:", kIOReturnBadArgument);
}

START_TEST(test_clocks_and_lines)
{
        mach_timebase_info_data_t base;
        uint64_t before = mach_absolute_time();

        ck_assert_int_eq(mach_timebase_info(&base), KERN_SUCCESS);
        ck_assert_int_eq(thread_switch(THREAD_NULL, SWITCH_OPTION_WAIT, 2), KERN_SUCCESS);
        ck_assert_uint_ge((mach_absolute_time() - before) * base.numer / base.denom, 2000000);
        ck_assert_int_eq(thread_switch(THREAD_NULL, SWITCH_OPTION_NONE, 0), KERN_SUCCESS);
        ck_assert_int_eq(thread_switch(THREAD_NULL, 99, 0), KERN_INVALID_ARGUMENT);
        hear(say_lines);
        ck_assert_ptr_nonnull(strstr(said, "org.example:test: opened it\n"));
        ck_assert_ptr_nonnull(strstr(said, "code e00002c2\n"));
        ck_assert_ptr_nonnull(strstr(said, "open: kIOReturnBadArgument (0xe00002c2)\n"));
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("darwin", test_pages, test_host, test_constants, test_locks, test_check_macros,
                                 test_clocks_and_lines);

        tcase_add_test_raise_signal(tcase, test_lock_taken_twice, SIGABRT);
        tcase_add_test_raise_signal(tcase, test_lock_of_another, SIGABRT);
        return run_cases("client-darwin", tcase);
}
