/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The types of connection that IOHIDSystem knows. Clients of other drivers take kIOHIDServerConnectType as the 0 that they open
 * with; there is no IOHIDSystem here. Constants. Contract: real-code 1.11.
 */
#include <IOKit/IOTypes.h>

enum {
        kIOHIDServerConnectType = 0,
        kIOHIDParamConnectType = 1,
        kIOHIDStackShotConnectType = 2,
        kIOHIDEventSystemConnectType = 3
};
#define kIOHIDSystemClass "IOHIDSystem"
