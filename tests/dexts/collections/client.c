/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Catalog: each kind of value comes back as bytes, and with a bit for each small thing that held. */
#include <CoreFoundation/CoreFoundation.h>

#include "client.h"
#include "Catalog/CatalogShared.h"

#define ALL(count) ((1ull << (count)) - 1)

/* Calls with bytes, wants bytes back; the bits are all there. */
static void check_bytes(io_connect_t connect, uint32_t selector, const void *in, size_t length, const void *wanted, size_t wanted_length,
                        int things)
{
        uint8_t out[512] = { 0 };
        size_t size = sizeof(out);
        uint64_t bits = 0;
        uint32_t count = 1;

        CHECK_OK(IOConnectCallMethod(connect, selector, NULL, 0, in, length, &bits, &count, out, &size));
        if (bits != ALL(things))
                fprintf(stderr, "selector %u: bits 0x%llx, not 0x%llx\n", selector, (unsigned long long)bits, ALL(things));
        CHECK(bits == ALL(things));
        if (size != wanted_length || memcmp(out, wanted, size) != 0)
                fprintf(stderr, "selector %u: '%.*s'\n", selector, (int)size, (const char *)out);
        CHECK(size == wanted_length && memcmp(out, wanted, size) == 0);
        printf("selector %u: %d things held\n", selector, things);
}

#define TEXT(literal) literal, sizeof(literal) - 1

static void check_values(io_connect_t connect)
{
        const uint32_t numbers[] = { 5, 1, 4, 1, 3 }, in_order[] = { 1, 1, 3, 4, 5 };
        uint64_t value = 0x1122334455667788, out[6] = { 0 };
        uint32_t count = 6;

        check_bytes(connect, kCatalogString, TEXT("sun"), TEXT("sun sun"), 6);
        check_bytes(connect, kCatalogData, TEXT("moon"), TEXT("moon+moon"), 8);
        check_bytes(connect, kCatalogArray, numbers, sizeof(numbers), in_order, sizeof(in_order), 10);
        check_bytes(connect, kCatalogDictionary, TEXT("a=1;drop=2;b=3;stop=4;c=5"), TEXT("a:1\nb:3\n"), 9);
        check_bytes(connect, kCatalogHelpers, NULL, 0, TEXT("drawerlampnamelegsparts"), 7);
        CHECK_OK(IOConnectCallScalarMethod(connect, kCatalogNumber, &value, 1, out, &count));
        CHECK(count == 6 && out[0] == 0x88 && out[1] == 0x7788 && out[2] == 0x55667788 && out[3] == value && out[4] == 42);
        CHECK(out[5] == ALL(5));
        count = 3;
        CHECK_OK(IOConnectCallScalarMethod(connect, kCatalogSet, NULL, 0, out, &count));
        CHECK(out[0] == 1 && out[1] == 2 && out[2] == ALL(6));
        count = 1;
        CHECK_OK(IOConnectCallScalarMethod(connect, kCatalogNothing, NULL, 0, out, &count));
        CHECK(out[0] == ALL(10));
        printf("numbers, sets, NULL\n");
}

static void check_defaults(io_connect_t connect)
{
        struct CatalogDefaults defaults;
        size_t size = sizeof(defaults);

        CHECK_OK(IOConnectCallStructMethod(connect, kCatalogDefaults, NULL, 0, &defaults, &size));
        CHECK(defaults.shelves == 12 && defaults.names == 2 && defaults.open);
        CHECK(strcmp(defaults.first, "fiction") == 0 && strcmp(defaults.last, "travel") == 0);
        CHECK(memcmp(defaults.stamp, "\1\2\3\4", 4) == 0);
        printf("defaults: as Info.plist has them\n");
}

/* What the driver sets the registry shows. */
static void check_published(io_connect_t connect, io_service_t service)
{
        uint64_t number = 0x1ffffffff;
        int64_t value = 0;
        char text[32] = "";
        CFTypeRef property;

        CHECK_OK(IOConnectCallMethod(connect, kCatalogPublish, &number, 1, "shelf", 5, NULL, NULL, NULL, NULL));
        property = IORegistryEntryCreateCFProperty(service, CFSTR("CatalogText"), kCFAllocatorDefault, 0);
        CHECK(property && CFGetTypeID(property) == CFStringGetTypeID());
        CHECK(CFStringGetCString(property, text, sizeof(text), kCFStringEncodingUTF8) && strcmp(text, "shelf") == 0);
        CFRelease(property);
        property = IORegistryEntryCreateCFProperty(service, CFSTR("CatalogNumber"), kCFAllocatorDefault, 0);
        CHECK(property && CFNumberGetValue(property, kCFNumberSInt64Type, &value) && (uint32_t)value == 0xffffffff);
        CFRelease(property);
        property = IORegistryEntryCreateCFProperty(service, CFSTR("CatalogOpen"), kCFAllocatorDefault, 0);
        CHECK(property == kCFBooleanFalse);
        CFRelease(property);
        CHECK_OK(IOConnectCallScalarMethod(connect, kCatalogRetract, NULL, 0, NULL, NULL));
        property = IORegistryEntryCreateCFProperty(service, CFSTR("CatalogText"), kCFAllocatorDefault, 0);
        CHECK(property == NULL);
        printf("properties: set, seen, removed\n");
}

int main(void)
{
        io_connect_t connect = client_open("Catalog", 0);
        io_service_t service = client_find("Catalog");

        check_values(connect);
        check_defaults(connect);
        check_published(connect, service);
        CHECK_OK(IOObjectRelease(service));
        CHECK_OK(IOServiceClose(connect));
        return 0;
}
