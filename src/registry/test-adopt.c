/* SPDX-License-Identifier: Apache-2.0 */
/* A new registry takes over the hosts of the last one. */
#include "registry/test-tool.h"

#define ROW(extra) "<dict><key>id</key><integer>5000000000</integer><key>parent</key><integer>4294967554</integer>"         \
        "<key>name</key><string>Sensors</string><key>class</key><string>IOUserService</string><key>state</key><integer>30</integer>" \
        "<key>properties</key><dict><key>IOMatchCategory</key><string>IODefaultMatchCategory</string><key>IOMatchedPersonality</key>" \
        "%s</dict>" extra "</dict>"
#define CLIENT_ROW "<dict><key>id</key><integer>5000000009</integer><key>parent</key><integer>5000000000</integer><key>name</key>" \
        "<string>Client</string><key>class</key><string>IOUserUserClient</string><key>state</key><integer>0</integer>" \
        "<key>properties</key><dict/></dict>"

START_TEST(adoption)
{
        struct amb_registry *registry = amb_registry_new(0, NULL);
        OSDictionary *info = value_of(INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
        AMB_FREE char *text = amb_format("<array>" ROW("<key>started</key><true/>") CLIENT_ROW "</array>", "<dict/>");
        OSArray *rows = value_of(text);
        struct amb_entry_view view;
        AMB_FREE char *why = NULL, *again = NULL;

        add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_LAUNCH, 0));
        ck_assert_int_eq(amb_registry_adopt(registry, 3, ID, 5000000000, ID, rows, 0, &why), kIOReturnSuccess);
        amb_registry_set_matching(registry, true, 0);
        drain(registry);
        ck_assert_ptr_null(nth(AMB_ACTION_LAUNCH, 0));
        ck_assert_uint_eq(state_of(registry, 5000000000), 0x1e);
        ck_assert(amb_registry_view(registry, 5000000009, &view) && view.user_client && view.host == 3);
        uint64_t client = opened(registry, 5000000000, 3);
        ck_assert_uint_gt(client, 5000000009);
        ck_assert_int_eq(amb_registry_adopt(registry, 4, ID, 1, ID, rows, 0, &again), kIOReturnBadArgument);
        ck_assert_ptr_nonnull(again);
        OSObject_release(info);
        OSObject_release(rows);
        amb_registry_free(registry);
}
END_TEST

START_TEST(adoption_wins_and_loses)
{
        AMB_FREE char *text = amb_format("<array>" ROW("<key>started</key><true/>") "</array>", "<dict/>");
        OSArray *rows = value_of(text);

        for (int i = 0; i < 2; i++) {
                struct amb_registry *registry = new_registry(NULL);
                AMB_FREE char *why = NULL;

                add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
                drain(registry);
                uint64_t tag = nth(AMB_ACTION_LAUNCH, 0)->tag;
                if (i)
                        run_driver(registry, 1, ID, 0);
                ck_assert_int_eq(amb_registry_adopt(registry, 3, ID, 1, ID, rows, 0, &why), i ? kIOReturnExclusiveAccess : kIOReturnSuccess);
                drain(registry);
                if (!i)
                        ck_assert_uint_eq(nth(AMB_ACTION_CANCEL_LAUNCH, 0)->tag, tag);
                amb_registry_free(registry);
        }
        OSObject_release(rows);
}
END_TEST

START_TEST(hostile_adoption)
{
        static const char *const rows[] = {
                "<array/>", "<array><string>x</string></array>", "<array><dict/></array>",
                "<array>" CLIENT_ROW "</array>",
                "<array><dict><key>id</key><integer>1</integer><key>parent</key><integer>4294967554</integer><key>name</key>"
                "<string>n</string><key>class</key><string>IOUserService</string><key>properties</key><dict/></dict></array>",
                "<array><dict><key>id</key><integer>5000000000</integer><key>parent</key><integer>4294967552</integer><key>name</key>"
                "<string>n</string><key>class</key><string>IOUserService</string><key>properties</key><dict/></dict></array>",
                "<array><dict><key>id</key><integer>5000000000</integer><key>parent</key><integer>5000000000</integer><key>name</key>"
                "<string>n</string><key>class</key><string>IOUserService</string><key>properties</key><dict/></dict></array>",
        };
        struct amb_registry *registry = new_registry(NULL);

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(rows); i++) {
                OSArray *array = value_of(rows[i]);
                AMB_FREE char *why = NULL;

                ck_assert_int_ne(amb_registry_adopt(registry, 1, ID, 1, ID, array, 0, &why), kIOReturnSuccess);
                ck_assert_ptr_nonnull(why);
                ck_assert_uint_eq(drain(registry), 0);
                OSObject_release(array);
        }
        AMB_FREE char *text = amb_format("<array>" ROW("") "</array>", "<dict/>");
        OSArray *array = value_of(text);
        AMB_FREE char *why = NULL;
        ck_assert_int_eq(amb_registry_adopt(registry, 1, ID, 1, ID, array, 0, &why), kIOReturnNotReady);
        OSObject_release(array);
        amb_registry_free(registry);
}
END_TEST

int main(void)
{
        return run_suite("registry-adopt", adoption, adoption_wins_and_loses, hostile_adoption);
}
