/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Booleans: two objects that are never freed; compare the pointers. Retain and release do nothing. Any thread. Contract:
 * memory-and-queues 12.3, row R20.
 */
#include <DriverKit/OSContainer.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const OSMetaClass gOSBooleanMetaClass;
extern OSBoolean *const kOSBooleanTrue;
extern OSBoolean *const kOSBooleanFalse;

#ifdef __cplusplus
}
#endif
