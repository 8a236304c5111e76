/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of the example app share. The layouts are the driver's: drivers/sensors/sensors.h. */
#include <stdbool.h>

#include <IOKit/IOKitLib.h>

#include "drivers/sensors/sensors.h"

/* Says a code by name and number on standard error: "sensors: WHAT: kIOReturnNotPermitted (0xe00002e2)". Returns 1. */
int app_failed(const char *what, kern_return_t code);

/* Whether a registry daemon answers; if not, says so on standard error. */
bool app_registry_there(void);

/* "1.2 GiB" */
const char *app_bytes(uint64_t bytes, char text[32]);

/* The verb `watch`; seconds 0: until it is killed. Exit status. */
int app_watch(unsigned int seconds);
