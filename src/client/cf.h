/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the CF faces share. Floating point numbers are the one CF value that is no property value: they exist in the app only,
 * and the wire refuses them.
 */
#include <DriverKit/OSObject.h>

extern const OSMetaClass amb_float_class;
double amb_float_value(const void *number);
/* A UUID as text, in memory of malloc; NULL: no memory. */
char *amb_uuid_text(const void *uuid);
