/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What programs ask a Darwin kernel about the machine, answered from what Linux says. Known: kern.ostype, osrelease, osversion (the
 * release), version, hostname, boottime, argmax; hw.machine, model, ncpu, activecpu, logicalcpu, physicalcpu (each also with _max),
 * memsize, pagesize, byteorder; machdep.cpu.brand_string; vm.swapusage. Everything else is ENOENT. Nothing can be set: EPERM. Any
 * thread. Contract: real-code 3 'Headers included by client programs'.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CTL_MAXNAME 12
#define CTL_KERN 1
#define CTL_VM 2
#define CTL_HW 6
#define CTL_MACHDEP 7

#define KERN_OSTYPE 1
#define KERN_OSRELEASE 2
#define KERN_VERSION 4
#define KERN_ARGMAX 8
#define KERN_HOSTNAME 10
#define KERN_BOOTTIME 21
#define KERN_OSVERSION 65

#define HW_MACHINE 1
#define HW_MODEL 2
#define HW_NCPU 3
#define HW_BYTEORDER 4
#define HW_PAGESIZE 7
#define HW_MEMSIZE 24
#define HW_AVAILCPU 25

#define VM_SWAPUSAGE 5

/* Bytes. */
struct xsw_usage {
        uint64_t xsu_total, xsu_avail, xsu_used;
        uint32_t xsu_pagesize;
        int xsu_encrypted;
};

/*
 * A value by its name, or by its numbers. old NULL: *old_length becomes the bytes that it has, with the NUL of a string. Else as
 * much as fits into *old_length bytes, which becomes what was copied; numbers are copied into 4 or 8 bytes, whichever there are. 0,
 * or -1 and errno: ENOENT; ENOMEM (it does not fit); EPERM (set is not NULL); EINVAL (a number, and neither 4 nor 8 bytes); EFAULT
 * (no name).
 */
int sysctlbyname(const char *name, void *old, size_t *old_length, void *set, size_t set_length);
int sysctl(int *name, unsigned int name_length, void *old, size_t *old_length, void *set, size_t set_length);

#ifdef __cplusplus
}
#endif
