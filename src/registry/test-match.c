/* SPDX-License-Identifier: Apache-2.0 */
/* lifecycle-registry 5.1: which dictionary matches which service. */
#include "registry/test-tool.h"

static struct amb_registry *registry;
static uint64_t nub, child;

static void setup(void)
{
        OSDictionary *properties = value_of("<dict><key>n</key><integer>5</integer><key>s</key><string>x</string><key>d</key><data>eAA=</data>"
                                            "<key>b</key><true/><key>a</key><array><integer>1</integer></array>"
                                            "<key>BSD Name</key><string>sda</string></dict>");

        registry = new_registry(NULL);
        ck_assert_int_eq(amb_registry_add_class(registry, "Device", "IOService"), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_add_class(registry, "Disk", "Device"), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_add_class(registry, "Disk", "IOService"), kIOReturnBadArgument);
        ck_assert_int_eq(amb_registry_add_class(registry, "Orphan", "Nope"), kIOReturnBadArgument);
        ck_assert_int_eq(amb_registry_add_nub(registry, AMB_ENTRY_ROOT, "Disk", "disk0", properties, 0, &nub), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_add_nub(registry, nub, "Device", "part", NULL, 0, &child), kIOReturnSuccess);
        OSObject_release(properties);
}

static bool matches(uint64_t entry, const char *body)
{
        AMB_FREE char *text = amb_format("<dict>%s</dict>", body);
        OSDictionary *matching = value_of(text);
        bool result = amb_registry_matches(registry, entry, matching);

        OSObject_release(matching);
        return result;
}

#define CLASS(name) "<key>IOProviderClass</key><string>" name "</string>"
#define PROPERTY(body) "<key>IOPropertyMatch</key>" body

START_TEST(rules)                               /* [159 to 166, 173] */
{
        static const struct {
                const char *body;
                bool matches;
        } cases[] = {
                { "", true },
                { CLASS("Disk"), true },
                { CLASS("Device"), true },
                { CLASS("IOService"), true },
                { CLASS("Partition"), false },
                { "<key>IOProviderClass</key><integer>1</integer>", true },
                { CLASS("Disk") "<key>idVendor</key><integer>1</integer>", true },
                { "<key>IONameMatch</key><string>disk0</string>", true },
                { "<key>IONameMatch</key><string>Disk0</string>", false },
                { "<key>IONameMatch</key><array><string>a</string><string>disk0</string></array>", true },
                { "<key>IONameMatch</key><array/>", false },
                { PROPERTY("<dict><key>n</key><integer>5</integer></dict>"), true },
                { PROPERTY("<dict><key>n</key><string>5</string></dict>"), false },
                { PROPERTY("<dict><key>n</key><integer>5</integer><key>s</key><string>y</string></dict>"), false },
                { PROPERTY("<dict><key>d</key><string>x</string></dict>"), true },
                { PROPERTY("<dict><key>s</key><data>eAA=</data></dict>"), true },
                { PROPERTY("<dict><key>b</key><integer>1</integer></dict>"), false },
                { PROPERTY("<dict><key>a</key><array><integer>1</integer></array></dict>"), true },
                { PROPERTY("<dict><key>none</key><string>x</string></dict>"), false },
                { PROPERTY("<array><dict><key>n</key><integer>4</integer></dict><dict><key>n</key><integer>5</integer></dict></array>"), true },
                { PROPERTY("<array><dict><key>n</key><integer>4</integer></dict></array>"), false },
                { PROPERTY("<array><string>n</string></array>"), false },
                { PROPERTY("<string>n</string>"), true },
                { "<key>IOPropertyExistsMatch</key><string>n</string>", true },
                { "<key>IOPropertyExistsMatch</key><string>none</string>", false },
                { "<key>IOPropertyExistsMatch</key><array><string>none</string><string>n</string></array>", true },
                { "<key>IOPathMatch</key><string>IOService:/disk0</string>", true },
                { "<key>IOPathMatch</key><string>IOService:/disk0/part</string>", false },
                { "<key>IOPathMatch</key><string>IODeviceTree:/disk0</string>", false },
                { "<key>IORegistryEntryID</key><integer>1</integer>", false },
                { "<key>IOMatchedServiceCountMatch</key><integer>0</integer>", true },
                { "<key>IOMatchedServiceCountMatch</key><integer>1</integer>", false },
                { "<key>BSD Name</key><string>sda</string>", true },
                { "<key>BSD Name</key><string>sdb</string>", false },
                { "<key>IOLocationMatch</key><string>0</string>", false },
                { "<key>IOParentMatch</key><dict>" CLASS("IOService") "</dict>", false },
                { "<key>IOResourceMatch</key><string>unpublished</string>", true },
                { "<key>IOProbeScore</key><string>x</string><key>IOMatchCategory</key><integer>1</integer>", true },
        };
        setup();
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++)
                ck_assert_msg(matches(nub, cases[i].body) == cases[i].matches, "case %zu: %s", i, cases[i].body);
        ck_assert(matches(child, "<key>IOParentMatch</key><dict>" CLASS("Disk") "</dict>"));
        ck_assert(!matches(child, "<key>IOParentMatch</key><dict>" CLASS("IOUserService") "</dict>"));
        AMB_FREE char *id = amb_format("<key>IORegistryEntryID</key><integer>%llu</integer>", (unsigned long long)nub);
        ck_assert(matches(nub, id) && !matches(child, id));
        ck_assert(!matches(AMB_ENTRY_ROOT, ""));
        ck_assert(matches(AMB_ENTRY_USER_RESOURCES, "<key>IOResourceMatch</key><string>IOKit</string>"));
        ck_assert(!matches(AMB_ENTRY_USER_RESOURCES, "<key>IOResourceMatch</key><array><string>IOKit</string><string>K</string></array>"));
        ck_assert_uint_eq(find(registry, "<dict>" CLASS("IOService") "</dict>", NULL), 4);
        ck_assert_uint_eq(find(registry, "<dict>" CLASS("Nope") "</dict>", NULL), 0);
        amb_registry_free(registry);
}
END_TEST

/* IOParentMatch in IOParentMatch on a deep tree: 3^60 ways to fail, and an answer at once. */
START_TEST(nested_parents_end)
{
        OSDictionary *matching = value_of("<dict>" CLASS("Nope") "</dict>");
        uint64_t parent = AMB_ENTRY_ROOT, deepest = 0;

        setup();
        while (amb_registry_add_nub(registry, parent, "Device", NULL, NULL, 0, &deepest) == kIOReturnSuccess)
                parent = deepest;
        for (int i = 0; i < 25; i++) {
                OSDictionary *outer = OSDictionaryCreate();

                OSDictionarySetValue(outer, "IOParentMatch", matching);
                OSObject_release(matching);
                matching = outer;
        }
        ck_assert(!amb_registry_matches(registry, deepest, matching));
        OSObject_release(matching);
        amb_registry_free(registry);
}
END_TEST

int main(void)
{
        return run_suite("registry-match", rules, nested_parents_end);
}
