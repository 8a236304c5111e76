/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The names of properties, as on the client side, and those that only drivers meet: constants. Contract: lifecycle-registry
 * 1.8, 4.1; call-path 1.1.
 */
#include <IOKit/IOKitKeys.h>

#define kIOUserClassesKey "IOUserClasses"
#define kIOUserServerTagKey "IOUserServerTag"
#define kIOUserClientCreatorKey "IOUserClientCreator"                   /* on user clients: "pid N, name" of the application */
#define kIOUserClientEntitlementsKey "IOUserClientEntitlements"
#define kIOServiceDEXTEntitlementsKey "IOServiceDEXTEntitlements"
/* Booleans in a user client's properties (call-path 3.9). */
#define kIOUserClientDefaultLockingKey "IOUserClientDefaultLocking"
#define kIOUserClientDefaultLockingSetPropertiesKey "IOUserClientDefaultLockingSetProperties"
#define kIOUserClientDefaultLockingSingleThreadExternalMethodKey "IOUserClientDefaultLockingSingleThreadExternalMethod"
