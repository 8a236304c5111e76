/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One pidfd for each other process, however many connections we have with it: descriptors are what runs out first.
 *
 * Whose pidfd it is says the kernel, by its inode (Linux 6.9 and later); where that says nothing, everybody keeps his own. Any
 * thread, also in a forked child, whose table is a copy: what it gives back there is closed there.
 */

/* Takes over a pidfd (-1: none); returns one for the same process, the caller's until it gives it back. */
int amb_pidfd_share(int fd);
/* Gives it back; returns -1. */
int amb_pidfd_unshare(int fd);
