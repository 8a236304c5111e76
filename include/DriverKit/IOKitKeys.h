/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The names of properties, as on the client side, and those that only drivers meet. Contract: lifecycle-registry 1.8, 4.1; call-path 1.1. */
#include <IOKit/IOKitKeys.h>

#define kIOUserClassesKey "IOUserClasses"
#define kIOUserServerTagKey "IOUserServerTag"
#define kIOUserClientCreatorKey "IOUserClientCreator"                   /* on user clients: "pid N, name" of the application */
#define kIOUserClientEntitlementsKey "IOUserClientEntitlements"
#define kIOServiceDEXTEntitlementsKey "IOServiceDEXTEntitlements"
#define kIOUserClientDefaultLockingKey "IOUserClientDefaultLocking"
