/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that looks around: walks the registry in several ways, prints properties of all types, and finds its own user client
 * with its creator below the service.
 */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_value(CFTypeRef value, int depth);

static void print_pair(const void *key, const void *value, void *context)
{
    int depth = *(int *)context;
    char name[256];

    if (!CFStringGetCString(key, name, sizeof(name), kCFStringEncodingUTF8))
        strlcpy(name, "?", sizeof(name));
    printf("%*s%s = ", depth * 2, "", name);
    print_value(value, depth);
}

static void print_value(CFTypeRef value, int depth)
{
    CFTypeID type = CFGetTypeID(value);

    if (type == CFStringGetTypeID()) {
        CFIndex size = CFStringGetMaximumSizeForEncoding(CFStringGetLength(value), kCFStringEncodingUTF8) + 1;
        char *text = malloc((size_t)size);

        printf("\"%s\"\n", CFStringGetCString(value, text, size, kCFStringEncodingUTF8) ? text : "?");
        free(text);
    } else if (type == CFNumberGetTypeID()) {
        long long number = 0;

        CFNumberGetValue(value, kCFNumberLongLongType, &number);
        printf("%lld\n", number);
    } else if (type == CFBooleanGetTypeID()) {
        printf("%s\n", CFBooleanGetValue(value) ? "Yes" : "No");
    } else if (type == CFDictionaryGetTypeID()) {
        int inside = depth + 1;

        printf("{%ld}\n", CFDictionaryGetCount(value));
        CFDictionaryApplyFunction(value, print_pair, &inside);
    } else if (type == CFArrayGetTypeID()) {
        printf("(%ld)\n", CFArrayGetCount(value));
    } else if (type == CFDataGetTypeID()) {
        printf("<%ld bytes>\n", CFDataGetLength(value));
    }
}

static void print_subtree(io_registry_entry_t entry, int depth)
{
    io_iterator_t children;
    io_registry_entry_t child;
    io_name_t name, class_name;

    IORegistryEntryGetNameInPlane(entry, kIOServicePlane, name);
    IOObjectGetClass(entry, class_name);
    if (depth > 1)      /* what is above differs with the machine */
        printf("%*s+-o %s  <class %s>\n", depth * 2, "", name, class_name);
    if (IORegistryEntryGetChildIterator(entry, kIOServicePlane, &children) != KERN_SUCCESS)
        return;
    while ((child = IOIteratorNext(children))) {
        print_subtree(child, depth + 1);
        IOObjectRelease(child);
    }
    IOObjectRelease(children);
}

static void count_services(void)
{
    io_iterator_t all;
    io_service_t each;
    int found = 0, services = 0;

    if (IORegistryCreateIterator(kIOMainPortDefault, kIOServicePlane, kIORegistryIterateRecursively, &all) != KERN_SUCCESS)
        return;
    do {
        found = services = 0;
        while ((each = IOIteratorNext(all))) {
            CFStringRef user_class = IORegistryEntryCreateCFProperty(each, CFSTR("IOUserClass"), kCFAllocatorDefault, 0);

            if (user_class && CFStringCompare(user_class, CFSTR("echo"), 0) == kCFCompareEqualTo)
                found++;
            if (IOObjectConformsTo(each, "IOService"))
                services++;
            if (user_class)
                CFRelease(user_class);
            IOObjectRelease(each);
        }
    } while (!IOIteratorIsValid(all) && (IOIteratorReset(all), true));
    IOObjectRelease(all);
    printf("recursive iterator: %d echo, %s services\n", found, services > 2 ? "some" : "too few");
}

/* The entry below the service that says that this process made it. */
static void find_creator(io_service_t service)
{
    io_iterator_t iterator;
    io_registry_entry_t entry;
    char mine[64];

    snprintf(mine, sizeof(mine), "pid %d,", getpid());
    IORegistryEntryGetChildIterator(service, kIOServicePlane, &iterator);
    while ((entry = IOIteratorNext(iterator))) {
        CFTypeRef creator = IORegistryEntryCreateCFProperty(entry, CFSTR("IOUserClientCreator"), kCFAllocatorDefault, kNilOptions);
        const char *text = creator ? CFStringGetCStringPtr(creator, kCFStringEncodingMacRoman) : NULL;

        printf("user client made by me: %s\n", text && strncmp(text, mine, strlen(mine)) == 0 ? "yes" : "no");
        if (creator)
            CFRelease(creator);
        IOObjectRelease(entry);
    }
    IOObjectRelease(iterator);
}

static void print_classes(io_object_t object)
{
    CFStringRef name = IOObjectCopyClass(object), super;

    for (; name != NULL; name = super) {
        printf("%s%s", CFStringGetCStringPtr(name, kCFStringEncodingUTF8), CFEqual(name, CFSTR("OSObject")) ? "\n" : " < ");
        super = IOObjectCopySuperclassForClass(name);
        CFRelease(name);
    }
    printf("counted: %s, %u\n", IOObjectGetKernelRetainCount(object) > 0 ? "yes" : "no", IOObjectGetRetainCount(0));
    printf("unknown class: %s\n", IOObjectCopySuperclassForClass(CFSTR("NoSuchClass")) ? "known" : "unknown");
}

int main(void)
{
    io_registry_entry_t root = IORegistryGetRootEntry(kIOMainPortDefault), parent = 0, again;
    io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("echo"));
    CFMutableDictionaryRef properties = NULL;
    io_connect_t first = 0, second = 0;
    CFTypeRef searched;
    io_string_t path;
    uint64_t id = 0;
    int depth = 0;
    int32_t busy = -1;

    printf("opened twice: %x %x\n", IOServiceOpen(service, mach_task_self(), 0, &first),
           IOServiceOpen(service, mach_task_self(), 0, &second));
    printf("different: %s\n", first != second ? "yes" : "no");
    print_subtree(root, 0);
    count_services();
    find_creator(service);

    print_classes(service);

    IORegistryEntryGetPath(service, kIOServicePlane, path);
    printf("%s\n", path);
    again = IORegistryEntryFromPath(kIOMainPortDefault, path);
    printf("same by path: %s\n", IOObjectIsEqualTo(service, again) ? "yes" : "no");
    IORegistryEntryGetRegistryEntryID(service, &id);
    IOObjectRelease(again);
    again = IOServiceGetMatchingService(kIOMainPortDefault, IORegistryEntryIDMatching(id));
    printf("same by id: %s\n", again == service ? "yes" : "no");
    IOObjectRelease(again);
    if (IORegistryEntryGetParentEntry(service, kIOServicePlane, &parent) == KERN_SUCCESS) {
        CFStringRef class_name = IOObjectCopyClass(parent);

        CFShow(class_name);
        printf("location: %x\n", IORegistryEntryGetLocationInPlane(parent, kIOServicePlane, path));
        CFRelease(class_name);
        IOObjectRelease(parent);
    }
    if (IORegistryEntryCreateCFProperties(service, &properties, kCFAllocatorDefault, kNilOptions) == KERN_SUCCESS) {
        CFStringRef wanted[] = { CFSTR("IOUserClass"), CFSTR("UserClientProperties"), CFSTR("IOProbeScore"),
                                 CFSTR("ambidext-methods") };

        for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            CFTypeRef value;

            if (CFDictionaryGetValueIfPresent(properties, wanted[i], &value))
                print_pair(wanted[i], value, &depth);
        }
        printf("set: %x\n", IORegistryEntrySetCFProperties(service, properties));
        CFRelease(properties);
    }
    printf("set one: %x\n", IORegistryEntrySetCFProperty(service, CFSTR("Brightness"), kCFBooleanTrue));
    printf("set on a connection: %x\n", IOConnectSetCFProperty(first, CFSTR("Brightness"), kCFBooleanTrue));
    searched = IORegistryEntrySearchCFProperty(first ? service : 0, kIOServicePlane, CFSTR("IOUserClientCreator"),
                                               kCFAllocatorDefault,
                                               kIORegistryIterateRecursively);
    printf("found below: %s\n", searched ? "yes" : "no");
    if (searched)
        CFRelease(searched);
    IOServiceGetBusyState(service, (uint32_t *)&busy);
    printf("busy: %d\n", busy);
    IOServiceClose(first);
    IOServiceClose(second);
    IOObjectRelease(service);
    IOObjectRelease(root);
    return 0;
}
