/* SPDX-License-Identifier: Apache-2.0 */
/* As found: a header for two languages with annotations, a matching dictionary made of arrays of keys and values. */
#include <CoreFoundation/CFBundle.h>
#include <IOKit/IOKitLib.h>

CF_EXTERN_C_BEGIN
CF_ASSUME_NONNULL_BEGIN
typedef CF_ENUM(UInt32, DeviceMode) { kDeviceModeIdle = 0, kDeviceModeBusy = 1 };
typedef CF_OPTIONS(UInt32, DeviceFlags) { kDeviceFlagLoud = 1u << 0, kDeviceFlagFast = 1u << 1 };
CFMutableDictionaryRef CopyMatching(CFStringRef className, CFStringRef bundleIdentifier) CF_RETURNS_RETAINED;
CF_ASSUME_NONNULL_END
CF_EXTERN_C_END

CFMutableDictionaryRef CopyMatching(CFStringRef className, CFStringRef bundleIdentifier)
{
    CFMutableDictionaryRef match = IOServiceMatching("IOUserService");
    CFTypeRef keys[] = { CFSTR("IOUserClass"), kCFBundleIdentifierKey };
    CFTypeRef values[] = { className, bundleIdentifier };
    CFDictionaryRef properties = CFDictionaryCreate(kCFAllocatorDefault, keys, values, 2, &kCFTypeDictionaryKeyCallBacks,
                                                    &kCFTypeDictionaryValueCallBacks);

    CFDictionaryAddValue(match, CFSTR(kIOPropertyMatchKey), properties);
    CFRelease(properties);
    return match;
}

OSStatus Open(DeviceMode mode, DeviceFlags flags, io_connect_t *connect);
OSStatus Open(DeviceMode mode, DeviceFlags flags, io_connect_t *connect)
{
    io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, CopyMatching(CFSTR("Device"),
                                                                                        CFSTR("org.example.device")));
    OSStatus status = noErr;

    if (mode == kDeviceModeIdle || (flags & kDeviceFlagFast) == 0)
        return status;
    status = IOServiceOpen(service, mach_task_self(), 0, connect);
    IOObjectRelease(service);
    return status;
}
