/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the kernel, as programs for Darwin ask them. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <darwin/sys/sysctl.h>

#include "base/test-suite.h"

START_TEST(test_texts)
{
        int numbers[] = { CTL_KERN, KERN_OSRELEASE };
        struct utsname names;
        char text[512] = "";
        size_t size = 0, length = sizeof(text);

        uname(&names);
        ck_assert_int_eq(sysctlbyname("kern.osrelease", NULL, &size, NULL, 0), 0);
        ck_assert_uint_eq(size, strlen(names.release) + 1);
        ck_assert_int_eq(sysctl(numbers, 2, text, &length, NULL, 0), 0);
        ck_assert_uint_eq(length, size);
        ck_assert_str_eq(text, names.release);
        /* What does not fit is cut off. */
        length = 2;
        text[2] = 'x';
        ck_assert_int_eq(sysctlbyname("kern.osrelease", text, &length, NULL, 0), -1);
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_uint_eq(length, 2);
        ck_assert(text[1] == names.release[1] && text[2] == 'x');
        length = sizeof(text);
        ck_assert_int_eq(sysctlbyname("hw.model", text, &length, NULL, 0), 0);
        ck_assert(length > 1 && length == strlen(text) + 1);
        length = sizeof(text);
        ck_assert_int_eq(sysctlbyname("machdep.cpu.brand_string", text, &length, NULL, 0), 0);
        ck_assert(length > 1);
}
END_TEST

START_TEST(test_numbers)
{
        int processors = 0, cores = 0, page[] = { CTL_HW, HW_PAGESIZE };
        uint64_t memory = 0, wide = 0;
        size_t length = sizeof(processors);

        ck_assert_int_eq(sysctlbyname("hw.ncpu", &processors, &length, NULL, 0), 0);
        ck_assert_int_eq(processors, (int)sysconf(_SC_NPROCESSORS_CONF));
        ck_assert_int_eq(sysctlbyname("hw.physicalcpu", &cores, &length, NULL, 0), 0);
        ck_assert(cores >= 1 && cores <= processors);
        length = sizeof(wide);
        ck_assert_int_eq(sysctlbyname("hw.ncpu", &wide, &length, NULL, 0), 0);
        ck_assert_uint_eq(wide, (uint64_t)processors);
        ck_assert_int_eq(sysctlbyname("hw.memsize", NULL, &length, NULL, 0), 0);
        ck_assert_uint_eq(length, sizeof(memory));
        ck_assert_int_eq(sysctlbyname("hw.memsize", &memory, &length, NULL, 0), 0);
        ck_assert_uint_ge(memory, 1 << 20);
        ck_assert_int_eq(sysctl(page, 2, &wide, &length, NULL, 0), 0);
        ck_assert_uint_eq(wide, (uint64_t)sysconf(_SC_PAGESIZE));
        length = 3;
        ck_assert_int_eq(sysctlbyname("hw.ncpu", &processors, &length, NULL, 0), -1);
        ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(test_structures)
{
        struct timeval boot = { 0 };
        struct xsw_usage swap = { 0 };
        struct timespec up;
        size_t length = sizeof(boot);

        ck_assert_int_eq(sysctlbyname("kern.boottime", &boot, &length, NULL, 0), 0);
        clock_gettime(CLOCK_BOOTTIME, &up);
        ck_assert(labs(time(NULL) - up.tv_sec - boot.tv_sec) <= 2);
        length = sizeof(swap);
        ck_assert_int_eq(sysctlbyname("vm.swapusage", &swap, &length, NULL, 0), 0);
        ck_assert_uint_eq(swap.xsu_total, swap.xsu_avail + swap.xsu_used);
}
END_TEST

START_TEST(test_refusals)
{
        int numbers[] = { CTL_HW, 0, 0 }, value = 0;
        size_t length = sizeof(value);

        ck_assert_int_eq(sysctlbyname("hw.nothing", &value, &length, NULL, 0), -1);
        ck_assert_int_eq(errno, ENOENT);
        ck_assert_int_eq(sysctl(numbers, 2, &value, &length, NULL, 0), -1);
        ck_assert_int_eq(errno, ENOENT);
        ck_assert_int_eq(sysctl(numbers, 3, &value, &length, NULL, 0), -1);
        ck_assert_int_eq(errno, ENOENT);
        ck_assert_int_eq(sysctlbyname("hw.ncpu", NULL, NULL, &value, sizeof(value)), -1);
        ck_assert_int_eq(errno, EPERM);
        ck_assert_int_eq(sysctlbyname(NULL, &value, &length, NULL, 0), -1);
        ck_assert_int_eq(errno, EFAULT);
        ck_assert_int_eq(sysctlbyname("hw.ncpu", NULL, NULL, NULL, 0), 0);
}
END_TEST

int main(void)
{
        return run_suite("sysctl", test_texts, test_numbers, test_structures, test_refusals);
}
