/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The rules by which entitlements decide. Pure functions over dictionaries; no state. Any thread.
 * Contract: lifecycle-registry 3.1, 3.3 (A, C, D: the macOS form), 3.5; SECURITY-NOTES 4.3: rule C needs the value true.
 */
#include <DriverKit/IOReturn.h>
#include <DriverKit/OSCollections.h>

#include <sys/types.h>

#include "base/base.h"

#define AMB_ENTITLEMENT_DRIVERKIT "com.apple.developer.driverkit"
#define AMB_ENTITLEMENT_ADMINISTRATOR "com.apple.developer.driverkit.administrator"
#define AMB_ENTITLEMENT_USERCLIENT_ACCESS "com.apple.developer.driverkit.userclient-access"
#define AMB_ENTITLEMENT_ALLOW_ANY "com.apple.developer.driverkit.allow-any-userclient-access"
#define AMB_ENTITLEMENT_DRIVER_ACCESS "com.apple.private.driverkit.driver-access"
/* A driver's: its HID devices are devices of Linux. The second one is what "virtual" devices are said to need; either will do. */
#define AMB_ENTITLEMENT_HID_DEVICE "com.apple.developer.driverkit.family.hid.device"
#define AMB_ENTITLEMENT_HID_VIRTUAL "com.apple.developer.hid.virtual.device"
/* Ours, a driver's: it may name memory of its applications by itself. The original asks for nothing. */
#define AMB_ENTITLEMENT_CLIENT_MEMORY "org.ambidext.client-memory"
#define AMB_ENTITLEMENT_CREATOR "IOUserClientCreator"

/* What was decided. Zero refuses, so that a forgotten or failed decision refuses. */
enum amb_verdict {
        AMB_VERDICT_DENY = 0,
        AMB_VERDICT_ALLOW = 1,
};

/* 3.1: a requirement is absent (NULL), a string, an array of strings (any) or an array of arrays of strings (any of all). */
enum amb_verdict amb_entitlements_check(const OSDictionary *entitlements, const OSObject *requirement);

/* The key's value is boolean true. */
bool amb_entitlements_true(const OSDictionary *entitlements, const char *key);

/* 3.3 A, C, D: may an app with `app` open a service of bundle `bundle_id` whose driver holds `driver`? Dictionaries may be NULL. */
enum amb_verdict amb_entitlements_allow_open(const OSDictionary *app, const OSDictionary *driver, const char *bundle_id);

/* 3.3's last line, then 3.5, on the properties of a user client that the driver made: 0, kIOReturnNotPermitted,
 * kIOReturnNotPrivileged. */
IOReturn amb_entitlements_check_user_client(const OSDictionary *app, const OSDictionary *user_client);

/* The dictionary that 2.1 O7 describes: a copy of `granted` (may be NULL) with IOUserClientCreator, and with the administrator key
 * exactly when uid is 0, whatever `granted` says. One reference. */
OSDictionary *amb_entitlements_of_client(const OSDictionary *granted, uid_t uid, const char *creator);
