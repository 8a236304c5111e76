/* SPDX-License-Identifier: Apache-2.0 */
/* As found: small locks, old atomics, check macros, exit statuses, the log. */
#include <AssertMacros.h>
#include <libkern/OSAtomic.h>
#include <os/lock.h>
#include <os/log.h>
#include <stdlib.h>
#include <sysexits.h>

static os_unfair_lock lock = OS_UNFAIR_LOCK_INIT;
static OSSpinLock spin = OS_SPINLOCK_INIT;
static volatile int32_t count;

int step(void *memory);
int step(void *memory)
{
    int result = EX_OSERR;
    os_log_t log = os_log_create("org.example", "step");

    require_action(memory != NULL, bail, result = EX_USAGE);
    __Require_noErr_Quiet(OSAtomicIncrement32Barrier(&count) - 1, bail);
    os_unfair_lock_lock(&lock);
    OSSpinLockLock(&spin);
    OSMemoryBarrier();
    OSSpinLockUnlock(&spin);
    os_unfair_lock_unlock(&lock);
    os_log_info(log, "step %d of %{public}s", count, "some");
    verify(result != EX_OK);
    result = EX_OK;
bail:
    free(memory);
    return result;
}
