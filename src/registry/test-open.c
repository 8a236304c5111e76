/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a service: who may, what it makes, how it ends. The numbers in brackets are rows of lifecycle-registry, section 7. */
#include "registry/test-tool.h"

START_TEST(open_refusals)                       /* [70, 71, 72, 83, 84, 116] */
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);
        const struct {
                uint64_t entry;
                uid_t uid;
                const char *entitlements;
                IOReturn code;
        } cases[] = {
                { 0, 1000, ENTITLED(ID), MACH_SEND_INVALID_DEST },
                { 0x7777777777, 1000, ENTITLED(ID), MACH_SEND_INVALID_DEST },
                { AMB_ENTRY_ROOT, 1000, ENTITLED(ID), kIOReturnBadArgument },
                { AMB_ENTRY_USER_RESOURCES, 1000, ENTITLED(ID), kIOReturnUnsupported },
                { AMB_ENTRY_RESOURCES, 1000, ENTITLED(ID), kIOReturnUnsupported },
                { entry, 1000, NULL, kIOReturnNotPermitted },
                { entry, 0, NULL, kIOReturnNotPermitted },
                { entry, 1000, ENTITLED("com.example.driver.*"), kIOReturnNotPermitted },
                { entry, (uid_t)-1, ENTITLED(ID), kIOReturnNotPermitted },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                struct amb_open open;

                ck_assert_int_eq(open_as(registry, cases[i].entry, cases[i].uid, cases[i].entitlements, &open), cases[i].code);
                ck_assert_uint_eq(open.connection, 0);
                ck_assert_ptr_nonnull(open.why);
                if (cases[i].code == kIOReturnNotPermitted)
                        ck_assert(strstr(open.why, ID) && strstr(open.why, ACCESS) && strstr(open.why, "app (pid 42"));
                free(open.why);
                ck_assert_uint_eq(drain(registry), 0);
        }
        amb_registry_free(registry);
}
END_TEST

/* Who may name its applications' memory: the driver's own entitlement, with the value true, and nothing else. */
START_TEST(client_memory)
{
        static const struct {
                const char *held;
                bool may;
        } cases[] = {
                { "", false },
                { "<key>org.ambidext.client-memory</key><true/>", true },
                { "<key>org.ambidext.client-memory</key><false/>", false },
                { "<key>org.ambidext.client-memory</key><string>true</string>", false },
        };

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                struct amb_registry *registry = new_registry(NULL);
                AMB_FREE char *held = amb_format("<dict>" DRIVERKIT "%s</dict>", cases[i].held);
                char *why = NULL;

                ck_assert_int_eq(add_bundle_with(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")), held, &why), 0);
                drain(registry);
                uint64_t client = opened(registry, run_driver(registry, 1, ID, 0), 1);
                ck_assert_int_eq(amb_registry_names_memory(registry, client), cases[i].may);
                ck_assert(!amb_registry_names_memory(registry, 0x7777777777));
                amb_registry_free(registry);
        }
}
END_TEST

START_TEST(open_succeeds)                       /* [75, 76, 77, 78, 80, 81, 117, 118] */
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);
        struct amb_entry_view view;
        struct amb_open open;

        uint64_t client = opened(registry, entry, 1), other = opened(registry, entry, 1);
        ck_assert_uint_ne(client, other);
        ck_assert(amb_registry_view(registry, client, &view));
        ck_assert_str_eq(view.class, "IOUserUserClient");
        ck_assert_str_eq(view.name, "Client");
        ck_assert_uint_eq(view.parent, entry);
        OSObject *creator = amb_registry_copy_property(registry, client, "IOUserClientCreator");
        ck_assert_str_eq(OSStringGetStringPtr((OSString *)creator), "pid 42, app");
        OSObject_release(creator);
        ck_assert_int_eq(open_as(registry, entry, 0, ENTITLED(ID), &open), kIOReturnSuccess);
        drain(registry);
        const struct seen *ask = nth(AMB_ACTION_NEW_USER_CLIENT, 0);
        ck_assert_uint_eq(ask->open_type, 7);
        ck_assert_ptr_eq(OSDictionaryGetValue(ask->entitlements, "com.apple.developer.driverkit.administrator"), (OSObject *)kOSBooleanTrue);
        ck_assert_str_eq(OSDictionaryGetStringValue(ask->entitlements, "IOUserClientCreator"), "pid 42, app");
        open_done(registry, 1, open.connection, 0x1234, NULL);
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, 0x1234);
        ck_assert(!amb_registry_view(registry, open.connection, &view));
        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnSuccess);
        open_done(registry, 1, open.connection, kIOReturnSuccess, NULL);
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnError);
        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnSuccess);
        open_done(registry, 1, open.connection, kIOReturnSuccess, "<dict><key>IOClass</key><string>IOUserService</string></dict>");
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnUnsupported);
        ck_assert_uint_eq(nth(AMB_ACTION_STOP, 0)->entry, open.connection);
        /* Closed by the app: the host has stopped it, no second Stop. */
        ck_assert_int_eq(amb_registry_connection_closed(registry, 1, client, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_STOP, 0));
        ck_assert(!in_tree(registry, client) && in_tree(registry, other));
        amb_registry_free(registry);
}
END_TEST

START_TEST(open_user_client_entitlements)       /* [86, 87, 88, 121] */
{
        static const struct {
                const char *extra;
                IOReturn code;
        } cases[] = {
                { USER_CLIENT("<key>IOUserClientEntitlements</key><string>E</string>"), kIOReturnNotPrivileged },
                { USER_CLIENT("<key>IOUserClientEntitlements</key><string>F</string>"), kIOReturnNotPrivileged },
                { USER_CLIENT("<key>IOUserClientEntitlements</key><string>T</string>"), kIOReturnSuccess },
                { USER_CLIENT("<key>IOUserClientEntitlements</key><false/>"), kIOReturnSuccess },
                { USER_CLIENT("<key>IOUserClientEntitlements</key><true/>"), kIOReturnNotPrivileged },
                { USER_CLIENT("<key>IOServiceDEXTEntitlements</key><string>X</string>"), kIOReturnNotPermitted },
                { USER_CLIENT("<key>IOServiceDEXTEntitlements</key><string>F</string>"), kIOReturnSuccess },
        };
        uint64_t entry;
        struct amb_registry *registry = started(&entry);

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                struct amb_open open;

                ck_assert_int_eq(open_as(registry, entry, 1000, "<dict><key>" ACCESS "</key><string>" ID "</string><key>F</key><false/>"
                                         "<key>T</key><true/></dict>", &open), kIOReturnSuccess);
                open_done(registry, 1, open.connection, kIOReturnSuccess, cases[i].extra);
                ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, cases[i].code);
                ck_assert_uint_eq(count_of(AMB_ACTION_STOP), cases[i].code ? 1 : 0);
        }
        amb_registry_free(registry);
}
END_TEST

START_TEST(open_and_death)                      /* [85], 2.2 terminate-defer */
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);
        struct amb_open open;

        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnSuccess);
        drain(registry);
        ck_assert_int_eq(amb_registry_terminate(registry, 1, entry, 0, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_STOP, 0));
        ck_assert_int_eq(amb_registry_open_done(registry, 2, open.connection, 0, NULL, NULL, 0), kIOReturnBadArgument);
        open_done(registry, 1, open.connection, kIOReturnSuccess, USER_CLIENT(""));
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnOffline);
        ck_assert_uint_eq(nth(AMB_ACTION_STOP, 0)->entry, entry);
        amb_registry_free(registry);

        registry = started(&entry);
        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnSuccess);
        drain(registry);
        amb_registry_host_lost(registry, 1, true, 0);
        drain(registry);
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, MIG_SERVER_DIED);
        ck_assert_uint_eq(count_of(AMB_ACTION_OPEN_RESULT), 1);
        amb_registry_free(registry);
}
END_TEST

static uint64_t make_child(struct amb_registry *registry, uint64_t parent, IOReturn code)
{
        OSDictionary *properties = value_of("<dict><key>IOClass</key><string>AppleUserHIDDevice</string></dict>");
        uint64_t child = 0;

        ck_assert_int_eq(amb_registry_create_service(registry, 1, parent, properties, &child), code);
        OSObject_release(properties);
        return child;
}

/* An open that has been asked for, and below whose user client the driver has made a service. */
static uint64_t opened_with_child(struct amb_registry *registry, uint64_t entry, uint64_t *ret_child)
{
        struct amb_open open;

        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnSuccess);
        drain(registry);
        *ret_child = make_child(registry, open.connection, kIOReturnSuccess);
        ck_assert(in_tree(registry, *ret_child) && in_tree(registry, open.connection));
        return open.connection;
}

/* A user client makes services in its Start: they hang below it, and end with it, however the open ends. */
START_TEST(open_makes_services)
{
        uint64_t entry, child, client;
        struct amb_registry *registry = started(&entry);
        struct amb_entry_view view;

        client = opened_with_child(registry, entry, &child);
        ck_assert(amb_registry_view(registry, child, &view) && view.parent == client);
        ck_assert_str_eq(view.bundle_id, ID);
        ck_assert_int_eq(amb_registry_connection_closed(registry, 1, client, 0), kIOReturnSuccess);
        ck_assert(in_tree(registry, client));   /* it has not been opened yet */
        open_done(registry, 1, client, kIOReturnSuccess, USER_CLIENT("<key>a</key><integer>2</integer>"));
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnSuccess);
        ck_assert(amb_registry_view(registry, client, &view) && view.parent == entry && view.children == 1);
        ck_assert_str_eq(view.name, "Client");
        ck_assert_int_eq(amb_registry_connection_closed(registry, 1, client, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(nth(AMB_ACTION_STOP, 0)->entry, child);
        ck_assert(!in_tree(registry, child) && !in_tree(registry, client));

        /* The driver refuses after all: the service gets its Stop, the user client, which the host has dropped, none. */
        client = opened_with_child(registry, entry, &child);
        open_done(registry, 1, client, kIOReturnNoDevice, NULL);
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnNoDevice);
        ck_assert_uint_eq(count_of(AMB_ACTION_STOP), 1);
        ck_assert_uint_eq(nth(AMB_ACTION_STOP, 0)->entry, child);
        ck_assert(!in_tree(registry, child) && !in_tree(registry, client));
        make_child(registry, client, kIOReturnNotPermitted);

        /* The user client goes meanwhile, or the service: nothing is stopped before the driver has answered. */
        client = opened_with_child(registry, entry, &child);
        ck_assert_int_eq(amb_registry_terminate(registry, 1, client, 0, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_STOP), 0);
        open_done(registry, 1, client, kIOReturnSuccess, USER_CLIENT(""));
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnOffline);
        ck_assert_uint_eq(nth(AMB_ACTION_STOP, 0)->entry, client);
        client = opened_with_child(registry, entry, &child);
        ck_assert_int_eq(amb_registry_terminate(registry, 1, entry, 0, 0), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(count_of(AMB_ACTION_STOP), 0);
        make_child(registry, client, kIOReturnUnsupported);
        open_done(registry, 1, client, kIOReturnSuccess, USER_CLIENT(""));
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnOffline);
        ck_assert_uint_eq(nth(AMB_ACTION_STOP, 0)->entry, entry);
        amb_registry_free(registry);

        /* The host dies. */
        registry = started(&entry);
        client = opened_with_child(registry, entry, &child);
        amb_registry_host_lost(registry, 1, true, 0);
        drain(registry);
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, MIG_SERVER_DIED);
        ck_assert_uint_eq(count_of(AMB_ACTION_OPEN_RESULT), 1);
        ck_assert(!in_tree(registry, child) && !in_tree(registry, client));
        amb_registry_free(registry);
}
END_TEST

/* The driver describes a user client while it starts it; what the app may do is judged by that. */
START_TEST(open_sets_properties)
{
        uint64_t entry;
        struct amb_registry *registry = started(&entry);
        OSDictionary *changes = value_of("<dict><key>a</key><integer>1</integer></dict>");
        struct amb_open open;

        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnSuccess);
        drain(registry);
        ck_assert_int_eq(amb_registry_set_properties(registry, 1, open.connection, changes, NULL), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_set_properties(registry, 2, open.connection, changes, NULL), kIOReturnNotPermitted);
        open_done(registry, 1, open.connection, kIOReturnSuccess, USER_CLIENT("<key>a</key><integer>2</integer>"));
        OSDictionary *all = amb_registry_copy_properties(registry, open.connection);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(all, "a"), 2);
        OSObject_release(all);
        OSObject_release(changes);
        amb_registry_free(registry);
}
END_TEST

START_TEST(quota)
{
        struct amb_registry *registry = new_registry(&(struct amb_registry_limits){ .connections_per_uid = 2 });
        struct amb_open open;

        add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
        drain(registry);
        uint64_t entry = run_driver(registry, 1, ID, 0);
        uint64_t client = opened(registry, entry, 1);
        opened(registry, entry, 1);
        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnNoResources);
        free(open.why);
        ck_assert_int_eq(open_as(registry, entry, 1001, ENTITLED(ID), &open), kIOReturnSuccess);
        amb_registry_connection_closed(registry, 1, client, 0);
        drain(registry);
        opened(registry, entry, 1);
        amb_registry_free(registry);
}
END_TEST

int main(void)
{
        return run_suite("registry-open", open_refusals, client_memory, open_succeeds, open_user_client_entitlements,
                         open_and_death, open_sets_properties, open_makes_services, quota);
}
