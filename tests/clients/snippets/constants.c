/* SPDX-License-Identifier: Apache-2.0 */
/* As found: CFSTR where C wants a constant. run-client: gcc clang -std=c99 -Wall -Werror -Wno-unused-command-line-argument */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>

#define kDriverClass "Sensor"

static CFStringRef kName = CFSTR("Name");
const CFStringRef kClass = CFSTR(kDriverClass "Class");
static const CFTypeRef keys[] = { CFSTR(kIOPropertyMatchKey), CFSTR("") };
static const struct {
    CFStringRef property;
    const char *label;
} rows[] = {
    { CFSTR("Reading"), "reading" },
    { CFSTR("Unit"), "unit" },
};

size_t total(io_service_t service);
size_t total(io_service_t service)
{
    static const CFStringRef extra = CFSTR("Extra" " property");
    CFIndex sum = CFStringGetLength(extra) + CFStringGetLength(kName) + CFStringGetLength(kClass);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CFTypeRef value = IORegistryEntryCreateCFProperty(service, rows[i].property, kCFAllocatorDefault, 0);

        if (value != NULL)
            CFRelease(value);
    }
    return (size_t)(sum + CFStringGetLength(keys[0]));
}
