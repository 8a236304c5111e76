/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Errors that calls hand to their callers: a number and a sentence, immutable. Any thread. Contract: real-code 3 'CoreFoundation
 * functions'.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif
CFTypeID CFErrorGetTypeID(void);
CFIndex CFErrorGetCode(CFErrorRef error);
CFStringRef CFErrorCopyDescription(CFErrorRef error);           /* one reference for the caller */
#ifdef __cplusplus
}
#endif
