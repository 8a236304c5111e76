/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CF's constants that are objects. Their values are known when the library is loaded, not when it is linked, so they are plain
 * variables here and constants in the public headers, which this file therefore must not include.
 */
#include <DriverKit/OSCollections.h>

const void *__CFStringMakeConstantString(const char *literal);

extern const void *kCFBooleanTrue, *kCFBooleanFalse, *kCFRunLoopDefaultMode, *kCFRunLoopCommonModes;
const void *kCFBooleanTrue;
const void *kCFBooleanFalse;
const void *kCFRunLoopDefaultMode;
const void *kCFRunLoopCommonModes;

extern const void *kCFBundleIdentifierKey, *kCFBundleExecutableKey, *kCFBundleNameKey, *kCFBundleVersionKey;
const void *kCFBundleIdentifierKey;
const void *kCFBundleExecutableKey;
const void *kCFBundleNameKey;
const void *kCFBundleVersionKey;

__attribute__((constructor(101))) static void constants_fill(void)
{
        kCFBooleanTrue = kOSBooleanTrue;
        kCFBooleanFalse = kOSBooleanFalse;
        kCFRunLoopDefaultMode = __CFStringMakeConstantString("kCFRunLoopDefaultMode");
        kCFRunLoopCommonModes = __CFStringMakeConstantString("kCFRunLoopCommonModes");
        kCFBundleIdentifierKey = __CFStringMakeConstantString("CFBundleIdentifier");
        kCFBundleExecutableKey = __CFStringMakeConstantString("CFBundleExecutable");
        kCFBundleNameKey = __CFStringMakeConstantString("CFBundleName");
        kCFBundleVersionKey = __CFStringMakeConstantString("CFBundleVersion");
}
