/* SPDX-License-Identifier: Apache-2.0 */
/* Services that are of this process, and those that are not. */
#include "base/base.h"
#include "driver/service.h"
#include "driver/test.h"

START_TEST(remote)
{
        IOService *own = (IOService *)amb_object_new(OSTypeID(IOService)), *foreign = NULL;

        ck_assert_ptr_nonnull(own);
        ck_assert_int_eq(amb_service_new_foreign(7, "IOUserResources", NULL, &foreign), 0);
        ck_assert(!amb_invoke(own, OSObject, IsRemote));
        ck_assert(amb_invoke(foreign, OSObject, IsRemote));
        ck_assert(!amb_invoke(kOSBooleanTrue, OSObject, IsRemote));
        ck_assert_str_eq(OSObject_GetClassName(foreign), "IOService");
        OSObject_release(own);
        OSObject_release(foreign);
}
END_TEST

START_TEST(properties_are_copies)
{
        OSDictionary *given = OSDictionaryCreate(), *inner = OSDictionaryCreate(), *got = NULL, *again = NULL;
        IOService *service = NULL;

        ck_assert(OSDictionarySetUInt64Value(inner, "n", 1) && OSDictionarySetValue(given, "inner", inner));
        ck_assert_int_eq(amb_service_new_foreign(7, "IOUserResources", given, &service), 0);
        ck_assert_int_eq(IOService_CopyProperties(service, &got), 0);
        ck_assert(OSDictionarySetUInt64Value(OSDictionaryGetDictionaryValue(got, "inner"), "n", 2));
        ck_assert_int_eq(IOService_CopyProperties(service, &again), 0);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(OSDictionaryGetDictionaryValue(again, "inner"), "n"), 1);
        OSObject_release(given);
        OSObject_release(inner);
        OSObject_release(got);
        OSObject_release(again);
        OSObject_release(service);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = { remote, properties_are_copies };

        return run_tests("driver-service", tests, AMB_ARRAY_LENGTH(tests));
}
