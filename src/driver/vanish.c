/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <DriverKit/IOTypes.h>

#include "driver/vanish.h"

#define WATCHED 4096

/* Read by the signal's handler: no lock. A slot is taken when start is not 0; end follows it, and is 0 before. */
static struct {
        _Atomic uintptr_t start, end;
} watched[WATCHED];
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static void vanished(int number, siginfo_t *info, void *context)
{
        static const char said[] = "ambidext: an application has cut a file short that its driver is using; zeros from there on\n";
        uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(IOVMPageSize - 1), start, end;
        int saved = errno;
        bool replaced = false;

        (void)context;
        for (size_t i = 0; i < WATCHED && info->si_code == BUS_ADRERR && !replaced; i++) {
                start = atomic_load(&watched[i].start);
                end = atomic_load(&watched[i].end);
                /* Shared, so that it does not count as private memory, of which a host may have little. */
                if (start <= page && page < end)
                        replaced = mmap((void *)page, end - page, PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
        }
        if (replaced)
                (void)!write(STDERR_FILENO, said, sizeof(said) - 1);
        else
                signal(number, SIG_DFL);        /* the access again, and the end */
        errno = saved;
}

static void install(void)
{
        struct sigaction action = { .sa_sigaction = vanished, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK }, before;

        if (sigaction(SIGBUS, NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL)
                sigaction(SIGBUS, &action, NULL);
}

bool amb_vanish_watch(const void *start, size_t size)
{
        pthread_once(&installed, install);
        for (size_t i = 0; i < WATCHED; i++) {
                uintptr_t nobody = 0;

                if (!atomic_compare_exchange_strong(&watched[i].start, &nobody, (uintptr_t)start))
                        continue;
                atomic_store(&watched[i].end, (uintptr_t)start + size);
                return true;
        }
        return false;
}

void amb_vanish_forget(const void *start)
{
        for (size_t i = 0; i < WATCHED; i++) {
                if (atomic_load(&watched[i].start) != (uintptr_t)start)
                        continue;
                atomic_store(&watched[i].end, 0);
                atomic_store(&watched[i].start, 0);
                return;
        }
}
