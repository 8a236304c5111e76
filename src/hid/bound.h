/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * When a driver of the kernel has taken a device of /dev/uhid on. It says UHID_START when it begins with that, and until it has
 * done, some milliseconds, the kernel drops input reports without a word. uhid does not say when that is over, but the kernel's
 * uevents do.
 *
 * One socket for each device, opened like /dev/uhid before a sandbox closes; it costs nothing while it does not listen. The peer:
 * only the kernel's own messages count. Nothing waits. -1 in place of a socket is fine everywhere: nothing is seen then.
 */
#include "base/base.h"

/* -1: there are no uevents here. */
int amb_hid_bound_open(void);
/* Listens from now on, if it does not; what came before is forgotten. */
void amb_hid_bound_listen(int fd);
void amb_hid_bound_end(int fd);
/* Reads what has come: true if the device with this `phys` is bound, or if so much has come that it may have been among it. */
bool amb_hid_bound_seen(int fd, const char *phys);
