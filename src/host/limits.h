/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What one host may take of the machine, whatever its driver does. The kernel's per-process limits: a last line behind a cgroup,
 * which alone can count shared memory (MemoryMax= in a unit, or the system's own policy).
 *
 *      RLIMIT_DATA     AMB_LIMIT_DATA: heap, private memory, stacks. An allocation beyond it fails; nothing is killed.
 *      RLIMIT_FSIZE    AMB_LIMIT_FILE: one memfd (buffers, outputs). Writing or growing beyond it fails with EFBIG.
 *      RLIMIT_CORE     0: a host's memory is its applications' data, and a dump of it delays the news of its death by seconds.
 *      processes       none can be made (the sandbox's clone rule); threads are bounded by their stacks, which count as data.
 *      descriptors     the hard limit the host was born with: connections need three each.
 *
 * A lower limit that was inherited stays. Soft and hard limits are set: a driver cannot raise them.
 */
#include <stdint.h>

#define AMB_LIMIT_DATA (4ull << 30)
#define AMB_LIMIT_FILE (1ull << 30)             /* of files that the host makes itself; what an application gives comes as it is */

/* 0 or -errno. Before there are threads. */
int amb_limits_set(void);
