/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of state notifications: the items of a service, and the sources that wait for their changes. One lock guards all items,
 * the list of sources, and which of them are armed; driver code never runs under it.
 */
struct amb_state_item;

/* With the service. NULL is fine. */
void amb_state_items_free(struct amb_state_item *first);
