/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.1: types and constants. */
#include "contract.h"

KEPT_BARE(call_path_001, "IOUserClientMethodArguments: 336 bytes, fields where they belong")
{
        ck_assert_uint_eq(sizeof(IOUserClientMethodArguments), 336);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, version), 0);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, selector), 8);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, completion), 16);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarInput), 24);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarInputCount), 32);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureInput), 40);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureInputDescriptor), 48);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarOutput), 56);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarOutputCount), 64);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureOutput), 72);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureOutputDescriptor), 80);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureOutputMaximumSize), 88);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, __reserved), 96);
}
