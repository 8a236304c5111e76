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

/* Contract: lifecycle-registry 1.9, rows 34 and 35. */
START_TEST(power_states)
{
        IOService *own = (IOService *)amb_object_new(OSTypeID(IOService)), *attached = NULL;

        ck_assert_int_eq(amb_service_new_foreign(7, "IOUserResources", NULL, &attached), 0);
        ck_assert_int_eq(IOService_ChangePowerState(own, 0), 0);
        ck_assert_int_eq(IOService_ChangePowerState(own, 2), 0);
        ck_assert_int_eq(IOService_ChangePowerState(own, 0x10000), 0);
        ck_assert_int_eq(IOService_ChangePowerState(own, 1), kIOReturnBadArgument);
        ck_assert_int_eq(IOService_JoinPMTree(own), kIOReturnNotReady);
        ck_assert_int_eq(IOService_JoinPMTree(attached), 0);
        ck_assert_int_eq(amb_invoke(own, IOService, SetPowerState, kIOServicePowerCapabilityOn), kIOReturnNotReady);
        OSObject_release(own);
        OSObject_release(attached);
}
END_TEST

START_TEST(names_of_codes)
{
        IOService *own = (IOService *)amb_object_new(OSTypeID(IOService));
        OSString *name = NULL;

        ck_assert_int_eq(IOService_StringFromReturn(own, kIOReturnNotReady, &name), 0);
        ck_assert_str_eq(OSString_getCStringNoCopy(name), "kIOReturnNotReady");
        OSSafeReleaseNULL(name);
        ck_assert_int_eq(IOService_StringFromReturn(own, 12345, &name), kIOReturnError);
        ck_assert_ptr_null(name);
        ck_assert_str_eq(IOService_StringFromReturn_cString(kIOReturnNotReady), "kIOReturnNotReady");
        ck_assert_str_eq(IOService_StringFromReturn_cString(12345), "UNDEFINED");
        OSObject_release(own);
}
END_TEST

int main(void)
{
        return run_suite("driver-service", remote, properties_are_copies, power_states, names_of_codes);
}
