/* SPDX-License-Identifier: Apache-2.0 */
/* The walks through collections, with blocks as a compiler makes them. Compiled by clang. */
#include <Block.h>
#include <check.h>
#include <stdlib.h>

#include <DriverKit/OSCollections.h>

#include "base/test-suite.h"

START_TEST(walks)
{
        OSDictionary *dictionary = OSDictionaryCreate();
        OSArray *array = OSArrayCreate();
        __block uint64_t sum = 0;
        __block int calls = 0;

        for (const char *key = "a\0b\0c\0"; *key; key += 2)
                ck_assert(OSDictionarySetUInt64Value(dictionary, key, 1) && OSArraySetUInt64Value(array, kOSArrayAppend, 10));
        ck_assert(OSDictionary_iterateObjects(dictionary, ^bool(OSObject *key, OSObject *value) {
                sum += OSNumber_unsigned64BitValue(OSDynamicCast(OSNumber, value));
                return OSString_isEqualTo_cString(OSDynamicCast(OSString, key), "b");
        }));
        ck_assert_uint_eq(sum, 2); /* R17 */
        ck_assert(OSCollection_iterateObjects((OSCollection *)array, ^bool(OSObject *value) {
                calls++;
                return value == OSArray_getObject(array, 1);
        }));
        ck_assert_int_eq(calls, 2);
        ck_assert(OSDictionaryApply(dictionary, ^bool(const char *key, OSObjectPtr value) {
                sum += (uint64_t)key[0];
                return false;
        }));
        ck_assert_uint_eq(sum, 2 + 'a' + 'b' + 'c');
        ck_assert(OSArrayApply(array, ^bool(size_t index, OSObjectPtr value) {
                sum += index;
                return index == 1;
        }));
        ck_assert_uint_eq(sum, 3 + 'a' + 'b' + 'c');
        OSObject_release(dictionary);
        OSObject_release(array);
}
END_TEST

START_TEST(lent_bytes)
{
        __block size_t given_back = 0;
        char *bytes = calloc(1, 10);
        OSSerialization *s = OSCreateSerializationFromBytes(bytes, 10, ^(const void *lent, size_t length) {
                if (lent == bytes)
                        given_back += length;
                free(bytes);
        });

        ck_assert_ptr_null(OSCreateObjectFromSerialization(s));
        ck_assert_uint_eq(given_back, 0);
        OSObject_release(s);
        ck_assert_uint_eq(given_back, 10);
}
END_TEST

int main(void)
{
        return run_suite("object-walk-block", walks, lent_bytes);
}
