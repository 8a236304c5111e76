/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Puts other pages in the place of the app's own, while its threads run: private memory becomes a mapping of a file, and back.
 *
 * How
 *      userfaultfd write-protects the pages; the contents are copied; mremap moves a ready mapping over them in one step; who has
 * stored meanwhile waits
 *      in the page fault and is woken. Reads go on all the time, the kernel's too. No store of a thread is lost, because none gets
 * through between
 *      the protection and the move. (Against the way by MREMAP_DONTUNMAP and a fault for missing pages: readers never wait, a
 * system
 *      call that reads the memory never fails, and the way back is protected as well.)
 *      Big ranges go in steps of AMB_EXCHANGE_STEP, so that nobody waits longer than for one step and no more memory is needed.
 *
 * What may happen to others
 *      A system call that stores into the range during its step (read(2) by another thread, say) fails with EFAULT where
 * userfaultfd is for user
 *      mode only, which is what the kernel allows to everybody; with vm.unprivileged_userfaultfd=1 or CAP_SYS_PTRACE it waits like
 * a
 *      thread. Pages that a device or io_uring holds pinned stay with them: what arrives there after the exchange is not seen.
 *      Locked memory is locked again. Huge pages become small ones.
 *
 * Where userfaultfd is forbidden (containers by default) amb_exchange_possible() is false and nothing is exchanged.
 *
 * One call at a time: the caller has a lock. Signals of its thread wait for the end. Nothing in here allocates or logs while
 * pages are protected: who waits may hold the lock of malloc.
 */
#include "base/base.h"

#define AMB_EXCHANGE_STEP (4u << 20)

bool amb_exchange_possible(void);
/* In a forked child: the descriptor belongs to the parent's memory. */
void amb_exchange_forked(void);

/*
 * [at, at + length), whole pages of one private anonymous mapping, become [offset, ...) of the file, shared, with the same
 * contents and rights; pages of zeros stay holes of the file. -errno: nothing has changed.
 */
int amb_exchange_share(uintptr_t at, size_t length, bool writable, int fd, uint64_t offset);
/*
 * The way back: the range shows [offset, ...) of the file, and becomes private anonymous memory with the same contents.
 * -errno: some steps may have been done.
 */
int amb_exchange_return(uintptr_t at, size_t length, bool writable, int fd, uint64_t offset);
/* The same in a forked child, where no other thread is. */
int amb_exchange_return_alone(uintptr_t at, size_t length, bool writable, int fd, uint64_t offset);

/*
 * Copies the app's memory without a fault when it is not there any more: -EFAULT. read: to `bytes`, which is the library's own.
 */
int amb_exchange_read(void *bytes, uintptr_t from, size_t length);
int amb_exchange_write(uintptr_t to, const void *bytes, size_t length);
/* Copies [from, from + length) to the file at `offset`, leaving out pages of the file that would be zeros. */
int amb_exchange_save(int fd, uint64_t offset, uintptr_t from, size_t length);
