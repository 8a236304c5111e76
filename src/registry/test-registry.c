/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of lifecycle-registry by their wording; the numbers in brackets are rows of its section 7. Opens: test-open.c; hosts that
 * are taken over: test-adopt.c.
 */
#include "registry/test-tool.h"

START_TEST(starts_a_driver)                     /* [1, 6, 10, 147, 178, 179] */
{
        struct amb_registry *registry = new_registry(NULL);
        struct amb_entry_view view;
        uint64_t found = 0;

        add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
        drain(registry);
        ck_assert_str_eq(nth(AMB_ACTION_LAUNCH, 0)->server_name, ID);
        ck_assert_uint_eq(nth(AMB_ACTION_LAUNCH, 0)->not_before, 0);
        uint64_t entry = check_in(registry, 0, 5, ID, 0);
        ck_assert_uint_lt(where(AMB_ACTION_LOAD_MODULE, 0, 0), where(AMB_ACTION_START, entry, 0));
        ck_assert_str_eq(nth(AMB_ACTION_START, 0)->user_class, "Sensors");
        ck_assert_uint_eq(nth(AMB_ACTION_START, 0)->provider, AMB_ENTRY_USER_RESOURCES);
        ck_assert_int_eq(amb_registry_register_service(registry, 5, entry, 0), kIOReturnSuccess);
        ck_assert_uint_eq(state_of(registry, entry), 0);
        ck_assert_int_eq(amb_registry_start_done(registry, 5, entry, kIOReturnSuccess, 0), kIOReturnSuccess);
        ck_assert_uint_eq(state_of(registry, entry), 0x1e);
        ck_assert(amb_registry_view(registry, entry, &view));
        ck_assert_str_eq(view.class, "IOUserService");
        ck_assert_str_eq(view.name, "Sensors");
        ck_assert_uint_eq(view.host, 5);
        ck_assert_uint_eq(busy_of(registry, 0), 0);
        OSDictionary *properties = amb_registry_copy_properties(registry, entry);
        ck_assert_str_eq(OSDictionaryGetStringValue(properties, "IOMatchCategory"), "IODefaultMatchCategory");
        ck_assert_str_eq(OSDictionaryGetStringValue(properties, "CFBundleIdentifier"), ID);
        ck_assert_ptr_nonnull(OSDictionaryGetDictionaryValue(properties, "IOMatchedPersonality"));
        ck_assert_ptr_nonnull(OSDictionaryGetValue(properties, "IOProbeScore"));
        OSObject_release(properties);
        ck_assert_uint_eq(find(registry, "<dict><key>IONameMatch</key><string>Sensors</string></dict>", &found), 1);
        ck_assert_uint_eq(found, entry);
        ck_assert_uint_eq(find(registry, "<dict><key>IOProviderClass</key><string>Sensors</string></dict>", NULL), 0);
        ck_assert_uint_eq(find(registry, "<dict><key>IOProviderClass</key><string>IOUserServer</string></dict>", &found), 1);
        AMB_FREE char *name = amb_format("IOUserServer(%s-0x%llx)", ID, (unsigned long long)entry);
        ck_assert(amb_registry_view(registry, found, &view));
        ck_assert_str_eq(view.name, name);
        amb_registry_free(registry);
}
END_TEST

START_TEST(start_fails)                         /* [2, 3, 7] */
{
        struct amb_registry *registry = new_registry(NULL);

        subscribe(registry, 1, 1, "IOServiceTerminate", "<dict/>");
        add_bundle(registry, INFO(ID, "<key>a</key>" PERSONALITY("Low", "<key>IOProbeScore</key><integer>100</integer>")
                                  "<key>b</key>" PERSONALITY("High", "<key>IOProbeScore</key><integer>200</integer>")));
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_LAUNCH), 1);
        uint64_t high = check_in(registry, 0, 1, ID, 0);
        ck_assert_str_eq(nth(AMB_ACTION_START, 0)->user_class, "High");
        amb_registry_register_service(registry, 1, high, 0);
        ck_assert_int_eq(amb_registry_start_done(registry, 1, high, kIOReturnNoDevice, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert(!in_tree(registry, high));
        ck_assert_ptr_null(nth(AMB_ACTION_STOP, 0));
        ck_assert_ptr_null(nth(AMB_ACTION_NOTIFY, 0));
        ck_assert_uint_eq(nth(AMB_ACTION_EXIT_HOST, 0)->host, 1);
        uint64_t low = check_in(registry, 0, 2, ID, 0);
        ck_assert_str_eq(nth(AMB_ACTION_START, 0)->user_class, "Low");
        ck_assert_uint_gt(busy_of(registry, 0), 0);
        amb_registry_start_done(registry, 2, low, kIOReturnError, 0);
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_LAUNCH, 0));
        ck_assert_uint_eq(busy_of(registry, 0), 0);
        ck_assert_uint_eq(state_of(registry, AMB_ENTRY_USER_RESOURCES), 0x1e);
        amb_registry_free(registry);
}
END_TEST

START_TEST(categories)                          /* [4, 5, 168, 169] */
{
        struct amb_registry *registry = new_registry(NULL);

        add_bundle(registry, INFO(ID, "<key>a</key>" PERSONALITY("A", CATEGORY("one")) "<key>b</key>" PERSONALITY("B", CATEGORY("two"))
                                  "<key>c</key>" PERSONALITY("C", CATEGORY("one"))));
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_LAUNCH), 2);
        uint64_t tag = nth(AMB_ACTION_LAUNCH, 1)->tag;
        /* The second hangs; the first goes on, and so does a bundle that comes now. */
        run_driver(registry, 1, ID, 0);
        add_bundle(registry, INFO("com.example.y", "<key>a</key>" PERSONALITY("Y", CATEGORY("three")) "<key>b</key>"
                                  PERSONALITY("Taken", CATEGORY("one"))));
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_LAUNCH), 1);
        run_driver(registry, 2, "com.example.y", 0);
        OSObject *matched = amb_registry_copy_property(registry, AMB_ENTRY_USER_RESOURCES, "IODEXTMatchCount");
        ck_assert_uint_eq(OSNumberGetUInt64Value((OSNumber *)matched), 5);
        OSObject_release(matched);
        amb_registry_launch_failed(registry, tag, 0);           /* [143] */
        drain(registry);
        ck_assert_uint_eq(busy_of(registry, 0), 0);
        amb_registry_free(registry);
}
END_TEST

START_TEST(hostile_bundles)                     /* [132, 148, 155] */
{
        static const struct {
                const char *info, *entitlements, *says;
                IOReturn code;
        } cases[] = {
                { "<string>x</string>", "<dict>" DRIVERKIT "</dict>", "not a dictionary", kIOReturnBadArgument },
                { "<dict/>", "<dict>" DRIVERKIT "</dict>", "CFBundleIdentifier is missing", kIOReturnBadArgument },
                { "<dict><key>CFBundleIdentifier</key><integer>1</integer></dict>", NULL, "not a string", kIOReturnBadArgument },
                { INFO(ID, ""), "<dict>" DRIVERKIT "</dict>", "empty", kIOReturnBadArgument },
                { INFO(ID, "<key>p</key><string>x</string>"), "<dict>" DRIVERKIT "</dict>", "\"p\": not a dictionary", kIOReturnBadArgument },
                { INFO(ID, "<key>p</key><dict/>"), "<dict>" DRIVERKIT "</dict>", "IOProviderClass is missing", kIOReturnBadArgument },
                { INFO(ID, "<key>p</key><dict><key>IOProviderClass</key><string>IOResources</string></dict>"),
                  "<dict>" DRIVERKIT "</dict>", "should be IOUserResources", kIOReturnBadArgument },
                { INFO(ID, "<key>p</key>" PERSONALITY("no-identifier", "")), "<dict>" DRIVERKIT "</dict>", "not a class name",
                  kIOReturnBadArgument },
                { INFO(ID, "<key>p</key>" PERSONALITY("X", "<key>IOUserServerName</key><true/>")), "<dict>" DRIVERKIT "</dict>",
                  "IOUserServerName is not a string", kIOReturnBadArgument },
                { INFO(ID, "<key>p</key>" PERSONALITY("X", "<key>CFBundleIdentifier</key><string>com.other</string>")),
                  "<dict>" DRIVERKIT "</dict>", "another bundle", kIOReturnBadArgument },
                { INFO(ID, "<key>p</key>" PERSONALITY("X", "")), NULL, "boolean value true", kIOReturnNotPermitted },
                { INFO(ID, "<key>p</key>" PERSONALITY("X", "")),
                  "<dict><key>com.apple.developer.driverkit</key><string>true</string></dict>", "boolean value true",
                  kIOReturnNotPermitted },
                { INFO(ID, "<key>p</key>" PERSONALITY("X", "")), "<array/>", "not a dictionary", kIOReturnBadArgument },
        };
        struct amb_registry *registry = new_registry(NULL);

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                AMB_FREE char *why = NULL;

                ck_assert_int_eq(add_bundle_with(registry, cases[i].info, cases[i].entitlements, &why), cases[i].code);
                ck_assert_msg(why && strstr(why, cases[i].says), "case %zu says: %s", i, why);
                ck_assert_ptr_null(amb_registry_bundle_path(registry, ID));
                ck_assert_uint_eq(drain(registry), 0);
        }
        /* One good personality is enough; the bad one is told of. */
        AMB_FREE char *why = NULL, *again = NULL;
        ck_assert_int_eq(add_bundle_with(registry, INFO(ID, "<key>bad</key><dict/><key>good</key>" PERSONALITY("X", "")),
                                         "<dict>" DRIVERKIT "</dict>", &why), kIOReturnSuccess);
        ck_assert_ptr_nonnull(strstr(why, "\"bad\""));
        ck_assert_int_eq(add_bundle_with(registry, INFO(ID, "<key>good</key>" PERSONALITY("X", "")), "<dict>" DRIVERKIT "</dict>", &again),
                         kIOReturnExclusiveAccess);
        ck_assert_ptr_nonnull(strstr(again, "/drivers/x.dext"));
        amb_registry_free(registry);
}
END_TEST

START_TEST(what_a_bundle_holds)
{
        struct amb_registry *registry = new_registry(NULL);
        AMB_FREE char *why = NULL;

        ck_assert(!amb_registry_bundle_holds(registry, ID, "com.apple.developer.driverkit"));
        ck_assert_int_eq(add_bundle_with(registry, INFO(ID, "<key>good</key>" PERSONALITY("X", "")),
                                         "<dict>" DRIVERKIT "<key>a</key><true/><key>b</key><false/><key>c</key><string>true</string></dict>",
                                         &why), kIOReturnSuccess);
        ck_assert(amb_registry_bundle_holds(registry, ID, "com.apple.developer.driverkit"));
        ck_assert(amb_registry_bundle_holds(registry, ID, "a"));
        ck_assert(!amb_registry_bundle_holds(registry, ID, "b"));
        ck_assert(!amb_registry_bundle_holds(registry, ID, "c"));
        ck_assert(!amb_registry_bundle_holds(registry, ID, "d"));
        ck_assert(!amb_registry_bundle_holds(registry, "another", "a"));
        amb_registry_free(registry);
}
END_TEST

START_TEST(too_deep_and_too_big)
{
        struct amb_registry *registry = new_registry(NULL);
        OSArray *deep = OSArrayCreate(), *big = OSArrayCreate();
        OSObject *held = value_of("<dict>" DRIVERKIT "</dict>");

        for (int i = 0; i < 100; i++) {
                OSArray *outer = OSArrayCreate();

                OSArrayAppendValue(outer, deep);
                OSObject_release(deep);
                deep = outer;
        }
        for (int i = 0; i < 20000; i++)
                OSArrayAppendValue(big, kOSBooleanTrue);
        for (int i = 0; i < 2; i++) {
                OSDictionary *info = value_of(INFO(ID, "<key>p</key>" PERSONALITY("X", "")));
                AMB_FREE char *why = NULL;
                uint64_t *found;
                size_t count;

                OSDictionarySetValue(info, "extra", i ? big : deep);
                ck_assert_int_eq(amb_registry_add_bundle(registry, "/x", (OSObject *)info, held, 0, &why), kIOReturnBadArgument);
                ck_assert_ptr_nonnull(why);
                ck_assert_int_eq(amb_registry_find_services(registry, info, &found, &count), kIOReturnBadArgument);
                OSObject_release(info);
        }
        OSObject_release(deep);
        OSObject_release(big);
        OSObject_release(held);
        amb_registry_free(registry);
}
END_TEST

START_TEST(properties)                          /* [16, 18, 19, 20, 21] */
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);
        OSDictionary *first = value_of("<dict><key>IOUserClass</key><string>R</string><key>a</key><integer>1</integer></dict>");
        OSDictionary *second = value_of("<dict><key>b</key><integer>2</integer></dict>");
        OSArray *removed = value_of("<array><string>a</string></array>");

        ck_assert_int_eq(amb_registry_set_properties(registry, 1, entry, first, NULL), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_set_properties(registry, 1, entry, second, NULL), kIOReturnSuccess);
        OSDictionary *all = amb_registry_copy_properties(registry, entry);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(all, "a"), 1);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(all, "b"), 2);
        ck_assert_str_eq(OSDictionaryGetStringValue(all, "IOUserClass"), "R");
        ck_assert_ptr_null(OSDictionaryGetValue(all, "IOUserServiceProperties"));
        OSObject *one = amb_registry_copy_property(registry, entry, "IOUserClass");
        ck_assert_str_eq(OSStringGetStringPtr((OSString *)one), "Sensors");
        ck_assert_uint_eq(find(registry, "<dict><key>IOPropertyMatch</key><dict><key>IOUserClass</key><string>R</string></dict></dict>", NULL), 1);
        ck_assert_uint_eq(find(registry, "<dict><key>IOPropertyMatch</key><dict><key>IOUserClass</key><string>Sensors</string></dict></dict>",
                               NULL), 0);
        ck_assert_int_eq(amb_registry_set_properties(registry, 1, entry, NULL, removed), kIOReturnSuccess);
        ck_assert_ptr_null(amb_registry_copy_property(registry, entry, "a"));
        ck_assert_int_eq(amb_registry_set_properties(registry, 2, entry, first, NULL), kIOReturnNotPermitted);
        ck_assert_int_eq(amb_registry_set_name(registry, 1, entry, "x\ny"), kIOReturnSuccess);
        ck_assert_uint_eq(find(registry, "<dict><key>IONameMatch</key><string>x_y</string></dict>", NULL), 1);
        ck_assert_uint_eq(find(registry, "<dict><key>IONameMatch</key><string>Sensors</string></dict>", NULL), 0);
        OSObject_release(first);
        OSObject_release(second);
        OSObject_release(removed);
        OSObject_release(all);
        OSObject_release(one);
        amb_registry_free(registry);
}
END_TEST

START_TEST(create_service)                      /* [39, 40, 41, 42, 44] */
{
        uint64_t entry, created = 0;
        struct amb_registry *registry = started(&entry);
        OSDictionary *good = value_of("<dict><key>IOClass</key><string>IOUserService</string><key>IOUserClass</key><string>N</string></dict>");
        OSDictionary *unknown = value_of("<dict><key>IOClass</key><string>Nope</string></dict>");
        OSDictionary *empty = OSDictionaryCreate();

        ck_assert_int_eq(amb_registry_create_service(registry, 1, entry, empty, &created), kIOReturnBadArgument);
        ck_assert_int_eq(amb_registry_create_service(registry, 1, entry, unknown, &created), kIOReturnUnsupported);
        ck_assert_int_eq(amb_registry_create_service(registry, 1, AMB_ENTRY_USER_RESOURCES, good, &created), kIOReturnNotPermitted);
        ck_assert_int_eq(amb_registry_create_service(registry, 1, entry, good, &created), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_register_service(registry, 1, created, 0), kIOReturnSuccess);
        ck_assert_uint_eq(state_of(registry, created), 0x1e);
        OSObject *id = amb_registry_copy_property(registry, created, "CFBundleIdentifier");
        ck_assert_str_eq(OSStringGetStringPtr((OSString *)id), ID);
        AMB_FREE char *path = amb_registry_copy_path(registry, created);
        ck_assert_str_eq(path, "IOService:/IOUserResources/Sensors/N");
        ck_assert_uint_eq(amb_registry_from_path(registry, path), created);
        ck_assert_uint_eq(amb_registry_from_path(registry, "IOService:/IOUserResources/Sensors/N/more"), 0);
        ck_assert_int_eq(amb_registry_terminate(registry, 1, entry, 0, 0), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_create_service(registry, 1, entry, good, &created), kIOReturnUnsupported);
        OSObject_release(id);
        OSObject_release(good);
        OSObject_release(unknown);
        OSObject_release(empty);
        amb_registry_free(registry);
}
END_TEST

START_TEST(terminate_order)                     /* [45, 46, 47, 48, 49, 53, 54, 232] */
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);
        uint64_t client = opened(registry, entry, 1);

        subscribe(registry, 1, 1, "IOServiceTerminate", "<dict/>");
        subscribe(registry, 1, 2, "IOServiceWillTerminate", "<dict/>");
        ck_assert_int_eq(amb_registry_subscribe_interest(registry, 1, 3, entry, "IOGeneralInterest"), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_subscribe_interest(registry, 1, 4, client, "IOGeneralInterest"), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_terminate(registry, 1, entry, 1, 0), kIOReturnUnsupported);
        ck_assert_int_eq(amb_registry_terminate(registry, 2, entry, 0, 0), kIOReturnNotPermitted);
        ck_assert_int_eq(amb_registry_terminate(registry, 1, entry, 0, 0), kIOReturnSuccess);
        ck_assert_uint_eq(state_of(registry, entry), 0x1);
        drain(registry);
        ck_assert_uint_lt(where(AMB_ACTION_NOTIFY, entry, 1), where(AMB_ACTION_NOTIFY, client, 1));
        ck_assert_uint_lt(where(AMB_ACTION_NOTIFY, client, 1), where(AMB_ACTION_STOP, entry, 0));
        ck_assert(nth(AMB_ACTION_STOP, 0)->wait);
        ck_assert_uint_eq(count_of(AMB_ACTION_STOP), 1);
        /* Stop returned 0, the base Stop has not been called: the client is stopped, the service stays. */
        ck_assert_int_eq(amb_registry_stop_done(registry, 1, entry, kIOReturnSuccess, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_lt(where(AMB_ACTION_NOTIFY, entry, 2), where(AMB_ACTION_STOP, client, 0));
        ck_assert(!nth(AMB_ACTION_STOP, 0)->wait);
        ck_assert_uint_eq(nth(AMB_ACTION_INTEREST, 0)->message, AMB_MESSAGE_TERMINATED);
        ck_assert_uint_eq(nth(AMB_ACTION_INTEREST, 0)->entry, client);
        ck_assert_uint_eq(count_of(AMB_ACTION_INTEREST), 1);
        ck_assert(in_tree(registry, entry) && !in_tree(registry, client));
        ck_assert_uint_eq(busy_of(registry, entry), 1);
        ck_assert_uint_eq(busy_of(registry, AMB_ENTRY_USER_RESOURCES), 1);
        ck_assert_int_eq(amb_registry_did_stop(registry, 1, entry, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(nth(AMB_ACTION_INTEREST, 0)->entry, entry);
        ck_assert_uint_eq(nth(AMB_ACTION_EXIT_HOST, 0)->host, 1);
        ck_assert_ptr_null(nth(AMB_ACTION_LAUNCH, 0));
        ck_assert_uint_eq(busy_of(registry, 0), 0);
        /* Its last readers still can. [211] */
        struct amb_entry_view view;
        ck_assert(amb_registry_view(registry, entry, &view) && view.detached && view.state == 1);
        amb_registry_free(registry);
}
END_TEST

START_TEST(stop_forms)                          /* [50, 51, 52, 57, 61] */
{
        struct amb_registry *registry = new_registry(NULL);
        uint64_t nub, entry;

        ck_assert_int_eq(amb_registry_add_class(registry, "Device", "IOService"), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_add_nub(registry, AMB_ENTRY_ROOT, "Device", "dev", NULL, 0, &nub), kIOReturnSuccess);
        add_bundle(registry, INFO(ID, "<key>x</key><dict><key>IOClass</key><string>IOUserService</string><key>IOProviderClass</key>"
                                  "<string>Device</string><key>IOUserClass</key><string>X</string></dict>"));
        drain(registry);
        entry = run_driver(registry, 1, ID, 0);
        ck_assert_int_eq(amb_registry_did_stop(registry, 1, entry, 0), kIOReturnSuccess);
        ck_assert_uint_eq(state_of(registry, entry), 0x1e);
        /* Unplugged: one-way, not waited for. */
        ck_assert_int_eq(amb_registry_remove_nub(registry, nub, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_STOP), 1);
        ck_assert(!nth(AMB_ACTION_STOP, 0)->wait);
        ck_assert(!in_tree(registry, entry) && !in_tree(registry, nub));
        ck_assert_int_eq(amb_registry_stop_done(registry, 1, entry, 0, 0), kIOReturnBadArgument);
        /* A Stop that returns an error is a Stop that is over. */
        ck_assert_int_eq(amb_registry_add_nub(registry, AMB_ENTRY_ROOT, "Device", "dev", NULL, 0, &nub), kIOReturnSuccess);
        drain(registry);
        entry = run_driver(registry, 2, ID, 0);
        ck_assert_int_eq(amb_registry_terminate(registry, 2, entry, 0, 0), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_stop_done(registry, 2, entry, kIOReturnError, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert(!in_tree(registry, entry));
        amb_registry_free(registry);
}
END_TEST

START_TEST(relaunch)                            /* [59, 61, 62, 64, 184] */
{
        uint64_t entry, now = 1000 * SECOND;
        struct amb_registry *registry = new_registry(NULL);
        bool quiet = true;

        add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
        drain(registry);
        entry = run_driver(registry, 1, ID, now);
        subscribe(registry, 1, 1, "IOServiceTerminate", "<dict><key>IONameMatch</key><string>Sensors</string></dict>");
        subscribe(registry, 1, 2, "IOServiceFirstMatch", "<dict><key>IONameMatch</key><string>Sensors</string></dict>");
        static const uint64_t delays[] = { 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000 };
        for (uint64_t crash = 0; crash < AMB_ARRAY_LENGTH(delays); crash++) {
                now += SECOND;
                amb_registry_host_lost(registry, 1 + crash, true, now);
                drain(registry);
                ck_assert_uint_eq(where(AMB_ACTION_NOTIFY, entry, 1), where(AMB_ACTION_NOTIFY, entry, 0));
                ck_assert_ptr_null(nth(AMB_ACTION_STOP, 0));
                ck_assert_uint_gt(nth(AMB_ACTION_LAUNCH, 0)->tag, entry);
                ck_assert_uint_eq(nth(AMB_ACTION_LAUNCH, 0)->not_before, delays[crash] ? now + delays[crash] * 1000000 : 0);
                OSObject *count = amb_registry_copy_property(registry, AMB_ENTRY_USER_RESOURCES, "IORematchCount");
                ck_assert_uint_eq(OSNumberGetUInt64Value((OSNumber *)count), crash);
                OSObject_release(count);
                uint64_t tag = nth(AMB_ACTION_LAUNCH, 0)->tag;
                ck_assert_int_eq(amb_registry_wait_quiet(registry, 1, 9, 0, &quiet), kIOReturnSuccess);
                ck_assert(!quiet);
                entry = run_driver(registry, 2 + crash, ID, now);
                ck_assert_uint_eq(entry, tag);
                ck_assert_uint_eq(nth(AMB_ACTION_NOTIFY, 0)->subscription, 2);
                ck_assert_uint_eq(count_of(AMB_ACTION_QUIET), 1);
        }
        /* A long life is forgiven. */
        now += 11 * SECOND;
        amb_registry_host_lost(registry, 1 + AMB_ARRAY_LENGTH(delays), false, now);
        drain(registry);
        ck_assert_uint_eq(nth(AMB_ACTION_LAUNCH, 0)->not_before, 0);
        amb_registry_free(registry);
}
END_TEST

START_TEST(no_relaunch)                         /* [47, 63, 65, 66] */
{
        for (int which = 0; which < 3; which++) {
                struct amb_registry_limits limits = { .rematches = which == 1 ? UINT32_MAX : 2 };
                struct amb_registry *registry = new_registry(&limits);
                uint64_t host = 1;

                add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
                drain(registry);
                if (which == 0) {               /* crashes inside Start */
                        check_in(registry, 0, host, ID, 0);
                } else {
                        run_driver(registry, host, ID, 0);
                        for (; which == 2 && host < 4; host++) {
                                amb_registry_host_lost(registry, host, true, 0);
                                drain(registry);
                                run_driver(registry, host + 1, ID, 0);
                        }
                }
                amb_registry_host_lost(registry, host, true, 0);
                drain(registry);
                ck_assert_ptr_null(nth(AMB_ACTION_LAUNCH, 0));
                ck_assert_uint_eq(busy_of(registry, 0), 0);
                amb_registry_free(registry);
        }
}
END_TEST

START_TEST(one_process)                         /* [137 to 141] */
{
        static const struct {
                const char *info, *id;
                size_t processes;
        } cases[] = {
#define TWO(extra) "<key>a</key>" PERSONALITY("A", CATEGORY("a") extra) "<key>b</key>" PERSONALITY("B", CATEGORY("b") extra)
#define ONE "<key>IOUserServerOneProcess</key><false/>"
                { INFO("com.acme.x", TWO("")), "com.acme.x", 2 },
                { INFO("com.acme.x", TWO(ONE)), "com.acme.x", 1 },
                { INFO("com.acme.x", TWO(ONE "<key>IOUserServerName</key><string>com.acme.all</string>")), "com.acme.x", 1 },
                { INFO("com.acme.x", TWO(ONE "<key>IOUserServerName</key><string>com.acmeother</string>")), "com.acme.x", 2 },
                { INFO("com.acme", TWO(ONE)), "com.acme", 2 },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                struct amb_registry *registry = new_registry(NULL);

                add_bundle(registry, cases[i].info);
                drain(registry);
                ck_assert_uint_eq(count_of(AMB_ACTION_LAUNCH), cases[i].processes);
                check_in(registry, 0, 1, cases[i].id, 0);
                ck_assert_uint_eq(count_of(AMB_ACTION_START), 3 - cases[i].processes);
                ck_assert_uint_eq(count_of(AMB_ACTION_LOAD_MODULE), 1);
                amb_registry_free(registry);
        }
}
END_TEST

START_TEST(wrong_check_in)                      /* [144] */
{
        struct amb_registry *registry = new_registry(NULL);

        add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
        drain(registry);
        uint64_t tag = nth(AMB_ACTION_LAUNCH, 0)->tag;
        ck_assert_int_eq(amb_registry_host_checked_in(registry, 1, tag + 1, ID, ID, 0), kIOReturnBadArgument);
        ck_assert_int_eq(amb_registry_host_checked_in(registry, 1, tag, "other", ID, 0), kIOReturnBadArgument);
        ck_assert_int_eq(amb_registry_host_checked_in(registry, 0, tag, ID, ID, 0), kIOReturnBadArgument);
        ck_assert_int_eq(amb_registry_remove_bundle(registry, ID, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(nth(AMB_ACTION_CANCEL_LAUNCH, 0)->tag, tag);
        ck_assert_int_eq(amb_registry_host_checked_in(registry, 1, tag, ID, ID, 0), kIOReturnBadArgument);
        ck_assert_uint_eq(busy_of(registry, 0), 0);
        ck_assert_int_eq(amb_registry_remove_bundle(registry, ID, 0), kIOReturnNotFound);
        amb_registry_free(registry);
}
END_TEST

START_TEST(driver_entitlements)                 /* [131] */
{
        struct amb_registry *registry = new_registry(NULL);
        char *why = NULL;

        ck_assert_int_eq(add_bundle_with(registry, INFO(ID, "<key>a</key>" PERSONALITY("Needs",
                "<key>IOProbeScore</key><integer>9</integer><key>IOServiceDEXTEntitlements</key><string>T</string>")
                "<key>b</key>" PERSONALITY("Free", "")), "<dict>" DRIVERKIT "</dict>", &why), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_LAUNCH), 1);
        check_in(registry, 0, 1, ID, 0);
        ck_assert_str_eq(nth(AMB_ACTION_START, 0)->user_class, "Free");
        amb_registry_free(registry);
}
END_TEST

START_TEST(resource_wait)                       /* [171, 172, 233] */
{
        struct amb_registry *registry = new_registry(NULL);
        uint64_t nub;

        add_bundle(registry, INFO(ID, "<key>a</key><dict><key>IOClass</key><string>IOUserService</string><key>IOProviderClass</key>"
                "<string>Device</string><key>IOUserClass</key><string>X</string><key>IOResourceMatch</key><string>K</string></dict>"
                "<key>b</key>" PERSONALITY("Y", "<key>IOResourceMatch</key><array><string>IOKit</string><string>K</string></array>")));
        ck_assert_int_eq(amb_registry_add_class(registry, "Device", "IOService"), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_add_nub(registry, AMB_ENTRY_ROOT, "Device", NULL, NULL, 0, &nub), kIOReturnSuccess);
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_LAUNCH, 0));
        ck_assert_uint_eq(busy_of(registry, nub), 1);
        ck_assert_int_eq(amb_registry_publish_resource(registry, "K", (OSObject *)kOSBooleanTrue, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_LAUNCH), 2);
        amb_registry_free(registry);
}
END_TEST

START_TEST(notifications)                       /* [8, 206, 210, 213, 217, 219, 220, 222] */
{
        uint64_t entry, *found = NULL;
        struct amb_registry *registry = started(&entry);
        OSDictionary *all = value_of("<dict><key>IONameMatch</key><string>Sensors</string></dict>");
        size_t count = 0;

        ck_assert_int_eq(amb_registry_subscribe(registry, 1, 1, "IOServiceNope", all, &found, &count), kIOReturnUnsupported);
        ck_assert_int_eq(amb_registry_subscribe(registry, 1, 1, "IOServiceMatched", NULL, &found, &count), kIOReturnBadArgument);
        static const char *const types[] = { "IOServicePublish", "IOServiceFirstPublish", "IOServiceMatched", "IOServiceFirstMatch",
                                             "IOServiceTerminate", "IOServiceWillTerminate" };
        for (uint32_t i = 0; i < AMB_ARRAY_LENGTH(types); i++) {
                ck_assert_int_eq(amb_registry_subscribe(registry, 1, i + 1, types[i], all, &found, &count), kIOReturnSuccess);
                ck_assert_uint_eq(count, i < 4 ? 1 : 0);
                free(found);
        }
        ck_assert_int_eq(amb_registry_subscribe(registry, 1, 1, types[0], all, &found, &count), kIOReturnBadArgument);
        amb_registry_register_service(registry, 1, entry, 0);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_NOTIFY), 2);
        ck_assert_uint_eq(nth(AMB_ACTION_NOTIFY, 0)->subscription, 1);
        ck_assert_uint_eq(nth(AMB_ACTION_NOTIFY, 1)->subscription, 3);
        ck_assert_int_eq(amb_registry_subscribe_interest(registry, 2, 1, entry, "Nope"), kIOReturnUnsupported);
        ck_assert_int_eq(amb_registry_subscribe_interest(registry, 2, 1, AMB_ENTRY_ROOT, "IOGeneralInterest"), kIOReturnBadArgument);
        ck_assert_int_eq(amb_registry_subscribe_interest(registry, 2, 1, 99, "IOGeneralInterest"), MACH_SEND_INVALID_DEST);
        amb_registry_terminate(registry, 1, entry, 0, 0);
        ck_assert_int_eq(amb_registry_subscribe_interest(registry, 2, 1, entry, "IOGeneralInterest"), kIOReturnUnsupported);
        amb_registry_owner_gone(registry, 1);
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_NOTIFY, 0));
        OSObject_release(all);
        amb_registry_free(registry);
}
END_TEST

START_TEST(subscription_limit)
{
        struct amb_registry *registry = new_registry(NULL);
        OSDictionary *all = OSDictionaryCreate();
        uint64_t *found;
        size_t count;

        for (uint32_t i = 0; i < 1024; i++) {
                ck_assert_int_eq(amb_registry_subscribe(registry, 1, i, "IOServiceTerminate", all, &found, &count), kIOReturnSuccess);
                free(found);
        }
        ck_assert_int_eq(amb_registry_subscribe(registry, 1, 2000, "IOServiceTerminate", all, &found, &count), kIOReturnNoResources);
        amb_registry_unsubscribe(registry, 1, 5);
        ck_assert_int_eq(amb_registry_subscribe(registry, 1, 2000, "IOServiceTerminate", all, &found, &count), kIOReturnSuccess);
        OSObject_release(all);
        amb_registry_free(registry);
}
END_TEST

START_TEST(busy)                                /* [223, 224, 225, 227] */
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);
        bool quiet = false;

        ck_assert_int_eq(amb_registry_subscribe_interest(registry, 1, 1, entry, "IOBusyInterest"), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_wait_quiet(registry, 1, 2, entry, &quiet), kIOReturnSuccess);
        ck_assert(quiet);
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(amb_registry_adjust_busy(registry, 1, entry, i < 2 ? 1 : -1), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_adjust_busy(registry, 1, entry, -1), kIOReturnSuccess);
        ck_assert_uint_eq(busy_of(registry, entry), 0);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_INTEREST), 2);
        ck_assert_uint_eq(nth(AMB_ACTION_INTEREST, 0)->argument, 1);
        ck_assert_uint_eq(nth(AMB_ACTION_INTEREST, 1)->argument, 0);
        amb_registry_adjust_busy(registry, 1, entry, 1023);
        amb_registry_adjust_busy(registry, 1, entry, 1);
        ck_assert_uint_eq(busy_of(registry, entry), 1023);
        ck_assert_uint_eq(busy_of(registry, AMB_ENTRY_USER_RESOURCES), 1);
        amb_registry_free(registry);
}
END_TEST

START_TEST(shutdown_is_one_way)
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);

        opened(registry, entry, 1);
        amb_registry_shutdown(registry, 0);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_STOP), 2);
        ck_assert(!nth(AMB_ACTION_STOP, 0)->wait);
        ck_assert_uint_eq(nth(AMB_ACTION_EXIT_HOST, 0)->host, 1);
        amb_registry_host_lost(registry, 1, false, 0);
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_LAUNCH, 0));
        amb_registry_free(registry);
}
END_TEST

START_TEST(ids_and_generation)                  /* [183] */
{
        struct amb_registry *registry = amb_registry_new(1ull << 50, NULL);
        uint64_t generation = amb_registry_generation(registry), nub, entry = 0;
        struct amb_entry_view view;
        size_t count = 0;

        ck_assert(amb_registry_view(registry, 0, &view));
        ck_assert_uint_eq(view.id, 0x100000100ull);
        ck_assert_str_eq(view.name, "Root");
        ck_assert_int_eq(amb_registry_add_nub(registry, AMB_ENTRY_ROOT, "IOService", "n", NULL, 0, &nub), kIOReturnSuccess);
        ck_assert_uint_eq(nub, 1ull << 50);
        ck_assert_uint_gt(amb_registry_generation(registry), generation);
        while ((entry = amb_registry_next(registry, entry)))
                count++;
        ck_assert_uint_eq(count, 4);
        ck_assert_uint_eq(amb_registry_children(registry, 0, NULL, 0), 3);
        amb_registry_free(registry);
}
END_TEST

int main(void)
{
        return run_suite("registry", starts_a_driver, start_fails, categories, hostile_bundles, what_a_bundle_holds,
                         too_deep_and_too_big, properties, create_service, terminate_order, stop_forms, relaunch, no_relaunch,
                         one_process, wrong_check_in, driver_entitlements, resource_wait, notifications, subscription_limit, busy,
                         shutdown_is_one_way, ids_and_generation);
}
