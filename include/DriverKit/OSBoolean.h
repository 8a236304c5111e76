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
extern OSBoolean *const kOSBooleanTrue;
extern OSBoolean *const kOSBooleanFalse;
#ifdef __cplusplus
}
#endif

#if defined(__IIG)
#include <DriverKit/OSBoolean.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSBoolean.iig.h>
#else
extern const OSMetaClass gOSBooleanMetaClass;
#endif
