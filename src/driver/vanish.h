/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Views of files that their owner may cut short at any time: an access beyond the new end raises SIGBUS, which would end the
 * process.
 *
 * From the faulting page to the view's end there are zeros then, in one piece and for good, and one line on standard error says
 * so. The file's later contents are not seen any more. What no watched view contains is not ours: the default action, or the
 * handler that was there before. A program with a handler of its own for SIGBUS keeps it, and the risk. Any thread.
 */
#include <stdbool.h>
#include <stddef.h>

/* False: too many are watched; do not use the view. */
bool amb_vanish_watch(const void *start, size_t size);
/* Before it is unmapped; one that is not watched is fine. */
void amb_vanish_forget(const void *start);
