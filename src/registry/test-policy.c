/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/test-tool.h"

#include "registry/policy.h"

static bool user(void *context, const char *name, uid_t *ret_uid)
{
        *ret_uid = strcmp(name, "broken") ? 7 : (uid_t)-1;
        return !strcmp(name, "scannerd") || !strcmp(name, "broken");
}

static bool group(void *context, const char *name, gid_t *ret_gid)
{
        *ret_gid = 70;
        return !strcmp(name, "plugdev");
}

static const struct amb_policy_resolver resolver = { user, group, NULL };

#define FILE_OF(grants) "<dict><key>Version</key><integer>1</integer><key>Grants</key><array>" grants "</array></dict>"
#define GRANT(subject, entitlements)                                                                                    \
        "<dict><key>Subject</key><dict>" subject "</dict><key>Entitlements</key><dict>" entitlements "</dict></dict>"
#define S(key, value) "<key>" key "</key><string>" value "</string>"

static int add(struct amb_policy *policy, const char *file, char **ret_why)
{
        OSObject *plist = value_of(file);
        int r = amb_policy_add(policy, plist, "x.plist", ret_why);

        OSObject_release(plist);
        return r;
}

START_TEST(refused_files)
{
        static const struct {
                const char *file, *says;
        } cases[] = {
                { "<array/>", "not a dictionary" },
                { "<dict/>", "Version" },
                { "<dict><key>Version</key><integer>2</integer></dict>", "Version" },
                { "<dict><key>Version</key><integer>1</integer></dict>", "Grants" },
                { "<dict><key>Version</key><integer>1</integer><key>Grants</key><array/><key>More</key><true/></dict>", "\"More\"" },
                { FILE_OF("<string>x</string>"), "grant 1: not a dictionary" },
                { FILE_OF("<dict/>"), "Subject" },
                { FILE_OF(GRANT("", "")), "must say who" },
                { FILE_OF(GRANT(S("Executable", "/bin/x"), "")), "must say who" },
                { FILE_OF(GRANT(S("Executable", "x"), "")), "absolute" },
                { FILE_OF(GRANT(S("User", "nobody-here"), "")), "no user" },
                { FILE_OF(GRANT(S("User", "broken"), "")), "no user" },
                { FILE_OF(GRANT("<key>User</key><integer>4294967295</integer>", "")), "no valid number" },
                { FILE_OF(GRANT("<key>User</key><integer>4294967296</integer>", "")), "no valid number" },
                { FILE_OF(GRANT("<key>User</key><integer>-1</integer>", "")), "no valid number" },
                { FILE_OF(GRANT("<key>User</key><true/>", "")), "name or a number" },
                { FILE_OF(GRANT(S("Group", "x"), "")), "no group" },
                { FILE_OF(GRANT("<key>Any</key><false/>", "")), "Any must be true" },
                { FILE_OF(GRANT(S("Label", ""), "")), "not empty" },
                { FILE_OF(GRANT(S("Unit", "x.service") "<key>Any</key><true/>", "")), "unknown key \"Unit\"" },
                { FILE_OF(GRANT("<key>Any</key><true/>", "<key>e</key><true/>") GRANT("<key>User</key><integer>1</integer>", S("e", "x"))),
                  "grant 2: the value of e" },
        };
        struct amb_policy *policy = amb_policy_new(&resolver);

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                AMB_FREE char *why = NULL;

                ck_assert_int_eq(add(policy, cases[i].file, &why), AMB_POLICY_REFUSED);
                ck_assert_msg(strstr(why, cases[i].says) && !strncmp(why, "x.plist: ", 9), "case %zu says: %s", i, why);
                ck_assert_uint_eq(amb_policy_count(policy), 0);
        }
        amb_policy_free(policy);
}
END_TEST

/* Does this principal hold the boolean entitlement? */
static bool holds(const struct amb_policy *policy, struct amb_principal principal, const char *key)
{
        OSDictionary *held = amb_policy_entitlements(policy, &principal);
        bool is = OSDictionaryGetValue(held, key) == (OSObject *)kOSBooleanTrue;

        OSObject_release(held);
        return is;
}

START_TEST(subjects)
{
        struct amb_policy *policy = amb_policy_new(&resolver);
        gid_t groups[] = { 5, 70 };
        char *why = NULL;

        ck_assert_int_eq(add(policy, FILE_OF(GRANT(S("User", "scannerd"), "<key>u</key><true/>")
                                             GRANT(S("Group", "plugdev"), "<key>g</key><true/>")
                                             GRANT(S("Label", "scanner_t"), "<key>l</key><true/>")
                                             GRANT(S("Listener", "flatpak/x"), "<key>s</key><true/>")
                                             GRANT("<key>Any</key><true/>", "<key>any</key><true/>")
                                             GRANT("<key>User</key><integer>7</integer>" S("Executable", "/bin/x"), "<key>e</key><true/>")
                                             GRANT("<key>User</key><integer>0</integer>" S("Group", "plugdev"), "<key>both</key><true/>")),
                                 &why), 0);
        ck_assert_ptr_null(why);
        ck_assert_uint_eq(amb_policy_count(policy), 7);
        ck_assert(holds(policy, (struct amb_principal){ .uid = 7 }, "u"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = 8 }, "u"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = 0 }, "u"));
        ck_assert(holds(policy, (struct amb_principal){ .uid = 8, .gid = 70 }, "g"));
        ck_assert(holds(policy, (struct amb_principal){ .uid = 8, .groups = groups, .group_count = 2 }, "g"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = 8, .groups = groups, .group_count = 1 }, "g"));
        ck_assert(holds(policy, (struct amb_principal){ .uid = 8, .label = "scanner_t" }, "l"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = 8 }, "l"));
        ck_assert(holds(policy, (struct amb_principal){ .uid = 8, .listener = "flatpak/x" }, "s"));
        ck_assert(holds(policy, (struct amb_principal){ .uid = 7, .executable = "/bin/x" }, "e"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = 8, .executable = "/bin/x" }, "e"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = 7 }, "e"));
        ck_assert(holds(policy, (struct amb_principal){ .uid = 0, .gid = 70 }, "both"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = 0 }, "both"));
        ck_assert(holds(policy, (struct amb_principal){ .uid = 4294967294u }, "any"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = (uid_t)-1, .gid = 70, .label = "scanner_t" }, "any"));
        ck_assert(!holds(policy, (struct amb_principal){ .uid = (uid_t)-1, .gid = 70 }, "g"));
        amb_policy_free(policy);
}
END_TEST

START_TEST(merging)
{
        struct amb_policy *policy = amb_policy_new(NULL);
        struct amb_principal principal = { .uid = 1 };
        char *why = NULL;

        ck_assert_int_eq(add(policy, FILE_OF(GRANT("<key>Any</key><true/>", "<key>a</key><array><string>x</string></array><key>b</key><true/>"
                                                   S("c", "same"))), &why), 0);
        ck_assert_int_eq(add(policy, FILE_OF(GRANT("<key>User</key><integer>1</integer>", "<key>a</key><array><string>y</string>"
                                                   "<string>x</string></array><key>b</key><false/>" S("c", "same"))), &why), 0);
        ck_assert_int_eq(add(policy, FILE_OF(GRANT("<key>User</key><integer>9</integer>", S("c", "other"))), &why), AMB_POLICY_REFUSED);
        free(why);
        for (int round = 0; round < 2; round++) {
                OSDictionary *held = amb_policy_entitlements(policy, &principal);

                ck_assert_uint_eq(OSArrayGetCount(OSDictionaryGetArrayValue(held, "a")), 2);
                ck_assert_ptr_eq(OSDictionaryGetValue(held, "b"), (OSObject *)kOSBooleanTrue);
                ck_assert_str_eq(OSDictionaryGetStringValue(held, "c"), "same");
                OSObject_release(held);
        }
        principal.uid = (uid_t)-1;
        OSDictionary *nothing = amb_policy_entitlements(policy, &principal);
        ck_assert_uint_eq(OSDictionaryGetCount(nothing), 0);
        OSObject_release(nothing);
        amb_policy_free(policy);
}
END_TEST

int main(void)
{
        return run_suite("registry-policy", refused_files, subjects, merging);
}
