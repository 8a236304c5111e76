/* SPDX-License-Identifier: Apache-2.0 */
/* lifecycle-registry 3.1, 3.3, 3.5; the numbers in brackets are rows of its section 7. */
#include "registry/test-tool.h"

#include "registry/entitlements.h"

START_TEST(requirements)                        /* [126 to 130] */
{
        static const struct {
                const char *held, *requirement;
                bool passes;
        } cases[] = {
                { NULL, NULL, true },
                { NULL, "<string>E</string>", false },
                { "<dict/>", NULL, true },
                { "<dict><key>E</key><false/></dict>", "<string>E</string>", true },
                { "<dict><key>F</key><string>x</string></dict>", "<array><string>E</string><string>F</string></array>", true },
                { "<dict><key>E</key><true/></dict>",
                  "<array><array><string>E</string><string>F</string></array><array><string>G</string></array></array>", false },
                { "<dict><key>E</key><true/><key>F</key><true/></dict>",
                  "<array><array><string>E</string><string>F</string></array><array><string>G</string></array></array>", true },
                { "<dict><key>G</key><true/></dict>",
                  "<array><array><string>E</string><string>F</string></array><array><string>G</string></array></array>", true },
                { "<dict><key>E</key><true/></dict>", "<array/>", false },
                { "<dict><key>E</key><true/></dict>", "<array><array/></array>", false },
                { "<dict><key>E</key><true/></dict>", "<integer>1</integer>", false },
                { "<dict><key>E</key><true/></dict>", "<true/>", false },
                { "<dict><key>E</key><true/></dict>", "<dict><key>E</key><true/></dict>", false },
                { "<dict><key>e</key><true/></dict>", "<string>E</string>", false },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                OSDictionary *held = cases[i].held ? value_of(cases[i].held) : NULL;
                OSObject *requirement = cases[i].requirement ? value_of(cases[i].requirement) : NULL;

                ck_assert_msg((amb_entitlements_check(held, requirement) == AMB_VERDICT_ALLOW) == cases[i].passes, "case %zu", i);
                OSObject_release(held);
                OSObject_release(requirement);
        }
}
END_TEST

#define APP(value) "<dict><key>com.apple.developer.driverkit.userclient-access</key>" value "</dict>"
#define ANY(value) "<dict><key>com.apple.developer.driverkit.allow-any-userclient-access</key>" value "</dict>"
#define PRIVATE "<key>com.apple.private.driverkit.driver-access</key><array><string>T</string></array>"

START_TEST(who_may_open)                        /* [112 to 115, 119, 120, 125]; 115 by our rule: the value must be true */
{
        static const struct {
                const char *app, *driver;
                bool allowed;
        } cases[] = {
                { NULL, NULL, false },
                { "<dict/>", "<dict/>", false },
                { APP("<array><string>com.a.d</string></array>"), NULL, true },
                { APP("<array><string>x</string><integer>1</integer><string>com.a.d</string></array>"), NULL, true },
                { APP("<string>com.a.d</string>"), NULL, true },
                { APP("<dict><key>com.a.d</key><true/></dict>"), NULL, true },
                { APP("<array><string>com.a.*</string></array>"), NULL, false },
                { APP("<array><string>COM.A.D</string></array>"), NULL, false },
                { APP("<array><string>com.a</string></array>"), NULL, false },
                { APP("<array><string>com.a.d.e</string></array>"), NULL, false },
                { APP("<true/>"), NULL, false },
                { APP("<array/>"), NULL, false },
                { NULL, ANY("<true/>"), true },
                { NULL, ANY("<false/>"), false },
                { NULL, ANY("<string>true</string>"), false },
                { NULL, ANY("<integer>1</integer>"), false },
                { "<dict>" PRIVATE "</dict>", "<dict><key>T</key><true/></dict>", true },
                { "<dict>" PRIVATE "</dict>", "<dict><key>U</key><true/></dict>", false },
                { "<dict>" PRIVATE "</dict>", NULL, false },
                { "<dict>" PRIVATE "<key>" ACCESS "</key><string>com.a.d</string></dict>", NULL, true },
                { "<dict><key>com.apple.developer.driverkit.communicates-with-drivers</key><true/></dict>", NULL, false },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                OSDictionary *app = cases[i].app ? value_of(cases[i].app) : NULL;
                OSDictionary *driver = cases[i].driver ? value_of(cases[i].driver) : NULL;

                ck_assert_msg((amb_entitlements_allow_open(app, driver, "com.a.d") == AMB_VERDICT_ALLOW) == cases[i].allowed, "case %zu", i);
                OSObject_release(app);
                OSObject_release(driver);
        }
        OSDictionary *empty = value_of(APP("<string></string>"));
        ck_assert_int_eq(amb_entitlements_allow_open(empty, NULL, ""), AMB_VERDICT_DENY);
        ck_assert_int_eq(amb_entitlements_allow_open(empty, NULL, NULL), AMB_VERDICT_DENY);
        OSObject_release(empty);
}
END_TEST

START_TEST(what_the_driver_sees)                /* [116, 117, 118] */
{
        OSDictionary *forged = value_of("<dict><key>com.apple.developer.driverkit.administrator</key><true/>"
                                        "<key>IOUserClientCreator</key><string>pid 1, init</string></dict>");
        OSDictionary *user = amb_entitlements_of_client(forged, 1000, "pid 2, x"), *root = amb_entitlements_of_client(NULL, 0, "pid 2, x");

        ck_assert_ptr_null(OSDictionaryGetValue(user, AMB_ENTITLEMENT_ADMINISTRATOR));
        ck_assert_str_eq(OSDictionaryGetStringValue(user, AMB_ENTITLEMENT_CREATOR), "pid 2, x");
        ck_assert(amb_entitlements_true(root, AMB_ENTITLEMENT_ADMINISTRATOR));
        ck_assert_str_eq(OSDictionaryGetStringValue(forged, AMB_ENTITLEMENT_CREATOR), "pid 1, init");
        OSObject_release(forged);
        OSObject_release(user);
        OSObject_release(root);
}
END_TEST

int main(void)
{
        return run_suite("registry-entitlements", requirements, who_may_open, what_the_driver_sees);
}
