/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The Macintosh's names for numbers; the same types as in <CoreFoundation/CFBase.h>. Contract: real-code 1.10. */
#include <stdint.h>

typedef unsigned char Boolean;
typedef uint8_t UInt8;
typedef int8_t SInt8;
typedef uint16_t UInt16;
typedef int16_t SInt16;
typedef uint32_t UInt32;
typedef int32_t SInt32;
typedef uint64_t UInt64;
typedef int64_t SInt64;
typedef int32_t OSStatus;

#ifndef kNilOptions
#define kNilOptions 0
#endif
