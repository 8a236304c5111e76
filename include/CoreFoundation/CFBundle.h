/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names of the keys that bundles and personalities have: constants, valid for ever, any thread. There are no bundles of
 * applications here, and no functions for them. Contract: real-code 1.12, lifecycle-registry 5.1.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif
CF_EXPORT const CFStringRef kCFBundleIdentifierKey;             /* "CFBundleIdentifier" */
CF_EXPORT const CFStringRef kCFBundleExecutableKey;             /* "CFBundleExecutable" */
CF_EXPORT const CFStringRef kCFBundleNameKey;                   /* "CFBundleName" */
CF_EXPORT const CFStringRef kCFBundleVersionKey;                /* "CFBundleVersion" */
#ifdef __cplusplus
}
#endif
