/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What tests of memory ask: would touching this byte fault, and is a mapping of ours still there? Not the same question: where a
 * mapping was, another thread (a sanitizer's run-time library as well) may have mapped something of its own by now.
 *
 * The tests of the contract use it too. One thread at a time may ask, as it borrows the process's signal handlers.
 */
#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static sigjmp_buf fault_return;
static void *volatile fault_address;

static inline void fault_note(int signal, siginfo_t *info, void *context)
{
        (void)signal;
        (void)context;
        fault_address = info->si_addr;
        siglongjmp(fault_return, 1);
}

/* Does an access to this very byte fault? A store that does not fault leaves the byte as it was. */
static inline bool faults(volatile uint8_t *at, bool store)
{
        struct sigaction note = { .sa_sigaction = fault_note, .sa_flags = SA_SIGINFO }, before[2];
        volatile bool fault = true;

        sigaction(SIGSEGV, &note, &before[0]);
        sigaction(SIGBUS, &note, &before[1]);
        if (sigsetjmp(fault_return, 1) == 0) {
                uint8_t byte = *at;

                if (store)
                        *at = byte;
                fault = false;
        }
        sigaction(SIGSEGV, &before[0], NULL);
        sigaction(SIGBUS, &before[1], NULL);
        ck_assert(!fault || fault_address == (void *)(uintptr_t)at);
        return fault;
}

static inline bool readable(volatile uint8_t *at)
{
        return !faults(at, false);
}

static inline bool writable(volatile uint8_t *at)
{
        return !faults(at, true);
}

/* Is no memory there that is shared with a file, as all memory of descriptors is? */
static inline bool gone(volatile uint8_t *at)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[5000], rights[5];
        unsigned long start, end;
        bool shared = false;

        ck_assert_ptr_nonnull(maps);
        while (fgets(line, sizeof(line), maps))
                if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && (uintptr_t)at >= start && (uintptr_t)at < end)
                        shared = rights[3] == 's';
        fclose(maps);
        return !shared;
}
