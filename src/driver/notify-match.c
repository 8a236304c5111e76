/* SPDX-License-Identifier: Apache-2.0 */
/* lifecycle-registry 5.1 for the services that this process knows: its own and their providers. */
#include <DriverKit/IOKitKeys.h>
#include <DriverKit/IOUserClient.h>

#include "driver/notify-source.h"
#include "driver/service.h"
#include "object/match.h"

struct subject {
        const char *class_name;
        OSDictionary *properties;
};

/* The registry's classes, not the driver's. */
static bool conforms(const void *context, const char *class_name)
{
        static const char *const supers[][2] = { { "IOUserUserClient", "IOUserClient" }, { "AppleUserHIDDevice", "IOHIDDevice" } };
        const struct subject *subject = context;

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(supers); i++)
                if (strcmp(subject->class_name, supers[i][0]) == 0 && strcmp(class_name, supers[i][1]) == 0)
                        return true;
        return strcmp(class_name, subject->class_name) == 0 || strcmp(class_name, "IOService") == 0 ||
               strcmp(class_name, "IORegistryEntry") == 0 || strcmp(class_name, "OSObject") == 0;
}

static const OSObject *property(const void *context, const char *key)
{
        return OSDictionaryGetValue(((const struct subject *)context)->properties, key);
}

static const char *class_of(IOService *service, const OSDictionary *properties)
{
        const char *name = OSDictionaryGetStringValue(properties, kIOClassKey);

        if (name)
                return name;
        if (service->ivars->foreign)
                return "IOService";
        return OSDynamicCast(IOUserClient, service) ? "IOUserUserClient" : "IOUserService";
}

static bool evaluate(IOService *service, const OSDictionary *table, uint32_t *budget);

static bool some_provider(IOService *service, const OSDictionary *table, uint32_t *budget)
{
        IOService *above = amb_service_copy_provider(service), *next;
        bool matched = false;

        while (above && !matched) {
                matched = evaluate(above, table, budget);
                next = amb_service_copy_provider(above);
                OSObject_release(above);
                above = next;
        }
        OSObject_release(above);
        return matched;
}

static bool evaluate(IOService *service, const OSDictionary *table, uint32_t *budget)
{
        const OSDictionary *parent = OSDictionaryGetDictionaryValue(table, "IOParentMatch");
        struct subject subject = { 0 };
        OSString *name = NULL;
        bool matched = false;

        /* Only the registry knows paths, and who else has matched. */
        if (OSDictionaryGetValue(table, "IOPathMatch") || OSDictionaryGetValue(table, "IOMatchedServiceCountMatch"))
                return false;
        if (amb_match_spend(budget) && IOService_CopyProperties(service, &subject.properties) == kIOReturnSuccess) {
                subject.class_name = class_of(service, subject.properties);
                IOService_CopyName(service, &name);
                struct amb_match_service known = {
                        &subject, name ? OSStringGetStringPtr(name) : NULL, amb_service_entry(service), conforms, property,
                };
                matched = amb_match_service(&known, table, budget, NULL);
        }
        OSObject_release(name);
        OSObject_release(subject.properties);
        return matched && (!parent || some_provider(service, parent, budget));
}

bool amb_notify_matches(IOService *service, const OSDictionary *matching)
{
        uint32_t budget = AMB_MATCH_BUDGET;

        return evaluate(service, matching, &budget);
}
