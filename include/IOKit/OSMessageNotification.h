/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The layout of a notification message (types and constants, no calls): a mach_msg_header_t (24 bytes, id 53), an
 * OSNotificationHeader64 (72 bytes), then the content of its type. Contract: call-path 1.3, 4.3; lifecycle-registry 0.3.
 */
#include <stdint.h>

#include <IOKit/IOReturn.h>
#include <mach/mach_types.h>

enum {
        kOSNotificationMessageID = 53,
        kOSAsyncCompleteMessageID = 57,
        kMaxAsyncArgs = 16
};

enum {
        kFirstIOKitNotificationType = 100,
        kIOServicePublishNotificationType = 100,
        kIOServiceMatchedNotificationType = 101,
        kIOServiceTerminatedNotificationType = 102,
        kIOAsyncCompletionNotificationType = 150,
        kIOServiceMessageNotificationType = 160,
        kLastIOKitNotificationType = 199,
        kIOKitNotificationTypeMask = 0x00000FFF,
        kIOKitNotificationMsgSizeMask = 3,
        kIOKitNotificationTypeSizeAdjShift = 30
};

/* The 8 slots of an asynchronous reference. A client sets 1 and 2 and passes count 3; 3 to 7 are its own, carried unchanged. */
enum {
        kOSAsyncRef64Count = 8,
        kOSAsyncRefCount = 8,
        kOSAsyncRef64Size = 64,
        kOSAsyncRefSize = 64
};
enum {
        kIOAsyncReservedIndex = 0,
        kIOAsyncReservedCount,
        kIOAsyncCalloutFuncIndex = kIOAsyncReservedCount,
        kIOAsyncCalloutRefconIndex,
        kIOAsyncCalloutCount,
        kIOMatchingCalloutFuncIndex = kIOAsyncReservedCount,
        kIOMatchingCalloutRefconIndex,
        kIOMatchingCalloutCount,
        kIOInterestCalloutFuncIndex = kIOAsyncReservedCount,
        kIOInterestCalloutRefconIndex,
        kIOInterestCalloutServiceIndex,
        kIOInterestCalloutCount
};

typedef uint64_t OSAsyncReference64[kOSAsyncRef64Count];
typedef OSAsyncReference64 OSAsyncReference;

#pragma pack(push, 4)
struct OSNotificationHeader64 {
        uint32_t size;                          /* bytes of content */
        uint32_t type;
        OSAsyncReference64 reference;
};
/* Type 150: the driver's status, then the scalars, each 8 bytes and only 4-byte aligned. */
struct IOAsyncCompletionContent {
        IOReturn result;
};
/* Type 160. */
struct IOServiceInterestContent64 {
        uint32_t messageType;
        uint64_t messageArgument[1];
};
#pragma pack(pop)
