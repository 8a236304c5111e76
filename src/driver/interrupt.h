/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of interrupts: what a provider has attached, and the source that waits for it.
 *
 * The provider's list of interrupts is guarded by its lock; a source keeps the provider, and with it the interrupt. The source's
 * descriptor is read on the poll thread (poll.h), which only counts; the handler runs on the queue of the action's target. A level
 * interrupt is not read again until its handler has run. Lock order: source, then poll.
 */
struct amb_interrupt;

/* With the provider. NULL is fine. */
void amb_interrupts_free(struct amb_interrupt *first);
