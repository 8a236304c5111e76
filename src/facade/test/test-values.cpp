/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values and objects in C++: that each method reaches its C function with its arguments in place, by virtual call where C decides,
 * and what drivers write around them. What the functions do is tested in C (src/object). Compiled as C++11, 14, 17 and 20, with and
 * without blocks, by test-proof.sh.
 */
#include <initializer_list>
#include <stdio.h>
#include <stdlib.h>

#include <DriverKit/DriverKit.h>

#include "base/test-check.h"

static void strings()
{
        OSString *text = OSString::withCString("driver");
        OSString *part = OSString::withCString("driverkit", 6);
        OSSymbol *kept = OSString::withCStringNoCopy("other");
        OSString *copy = OSString::withString(kept);
        CHECK(text->getLength() == 6 && strcmp(text->getCStringNoCopy(), "driver") == 0);
        CHECK(part->isEqualTo(text) && part->isEqualTo("driver") && !part->isEqualTo(kept) && copy->isEqualTo("other"));
        OSData *bytes = OSData::withBytes("driver", 6);
        CHECK(part->isEqualTo(bytes) && bytes->isEqualTo(part));
        /* By the virtual method that the runtime calls for containers. */
        const OSMetaClassBase *any = text;
        CHECK(part->isEqualTo(any) && static_cast<OSObject *>(part)->isEqualTo(text));
        OSSafeReleaseNULL(text);
        CHECK(text == nullptr);
        OSSafeRelease(part);
        kept->release();
        copy->release();
        bytes->release();
}

static void data()
{
        OSData *data = OSData::withCapacity(16);
        CHECK(data->getLength() == 0 && data->getCapacity() >= 16 && data->getBytesNoCopy() == nullptr);
        CHECK(data->appendBytes("abc", 3));
        OSData *more = OSData::withBytes("defg", 4);
        CHECK(data->appendBytes(more) && data->getLength() == 7);
        CHECK(memcmp(data->getBytesNoCopy(), "abcdefg", 7) == 0 && memcmp(data->getBytesNoCopy(3, 2), "de", 2) == 0);
        CHECK(data->getBytesNoCopy(6, 2) == nullptr && data->isEqualTo("abcdefg", 7) && !data->isEqualTo(more));
        OSData *middle = OSData::withData(data, 3, 4), *whole = OSData::withData(data);
        CHECK(middle->isEqualTo(more) && whole->isEqualTo(data));
        char storage[] = "lent";
        OSData *lent = OSData::withBytesNoCopy(storage, 4);
        CHECK(lent->getBytesNoCopy() == storage && !lent->appendBytes("x", 1));
        for (OSData *one : { data, more, middle, whole, lent })
                one->release();
}

static void numbers()
{
        OSNumber *number = OSNumber::withNumber(0x1122334455667788, 64);
        CHECK(number->numberOfBits() == 64 && number->numberOfBytes() == 8);
        CHECK(number->unsigned8BitValue() == 0x88 && number->unsigned16BitValue() == 0x7788);
        CHECK(number->unsigned32BitValue() == 0x55667788 && number->unsigned64BitValue() == 0x1122334455667788);
        OSNumber *small = OSNumber::withNumber(5, 8), *text = OSNumber::withNumber("0x5", 32);
        CHECK(small->isEqualTo(text) && !small->isEqualTo(number) && OSNumber::withNumber(5, 7) == nullptr);
        size_t bits = sizeof(uint16_t) * 8;
        OSNumber *product = OSNumber::withNumber(1234u, bits);
        CHECK(product->unsigned16BitValue() == 1234);
        for (OSNumber *one : { number, small, text, product })
                one->release();
}

static void booleans()
{
        OSBoolean *yes = kOSBooleanTrue;
        CHECK(yes != kOSBooleanFalse);
        yes->retain();
        yes->release();
        CHECK(OSDynamicCast(OSBoolean, static_cast<OSObject *>(yes)) == kOSBooleanTrue);
        CHECK(static_cast<OSObject *>(yes)->isEqualTo(kOSBooleanTrue) && strcmp(yes->GetClassName(), "OSBoolean") == 0);
}

static void arrays()
{
        OSArray *array = OSArray::withCapacity(2);
        OSString *a = OSString::withCString("a"), *b = OSString::withCString("b"), *c = OSString::withCString("c");
        CHECK(array->setObject(a) && array->setObject(c) && array->setObject(1, b) && array->getCount() == 3);
        CHECK(array->getObject(1) == b && array->getLastObject() == c && array->getObject(3) == nullptr);
        CHECK(array->getNextIndexOfObject(c, 0) == 2 && array->getNextIndexOfObject(a, 1) == UINT32_MAX);
        const OSObject *objects[] = { a, b, c };
        OSArray *same = OSArray::withObjects(objects, 3), *copy = OSArray::withArray(array);
        CHECK(same->isEqualTo(array) && copy->isEqualTo(array) && copy->merge(same) && copy->getCount() == 6);
        CHECK(copy->replaceObject(0, c) && copy->getObject(0) == c && copy->removeObject(0) && copy->getObject(0) == b);
        OSCollection *deep = array->copyCollection();
        CHECK(deep->getCount() == 3 && OSDynamicCast(OSArray, deep)->isEqualTo(array));
        CHECK(array->ensureCapacity(64) >= 64 && array->getCapacity() >= 64);
        array->flushCollection();
        CHECK(array->getCount() == 0);
        for (OSObject *one : std::initializer_list<OSObject *>{ array, same, copy, deep, a, b, c })
                one->release();
}

static void dictionaries()
{
        OSDictionary *dictionary = OSDictionary::withCapacity(4);
        OSString *key = OSString::withCString("Product"), *value = OSString::withCString("Lamp");
        OSNumber *number = OSNumber::withNumber(7, 32);
        CHECK(dictionary->setObject(key, value) && dictionary->setObject("VendorID", number));
        CHECK(dictionary->setObject("Built-In", kOSBooleanFalse) && dictionary->getCount() == 3);
        CHECK(dictionary->getObject("Product") == value && dictionary->getObject(key) == value);
        CHECK(OSDynamicCast(OSNumber, dictionary->getObject("VendorID"))->unsigned32BitValue() == 7);
        CHECK(OSDynamicCast(OSString, dictionary->getObject("VendorID")) == nullptr && !dictionary->getObject("absent"));
        const OSObject *values[] = { number, value }, *keys[] = { value, key };
        OSDictionary *other = OSDictionary::withObjects(values, keys, 2), *copy = OSDictionary::withDictionary(dictionary);
        CHECK(copy->isEqualTo(dictionary) && !copy->isEqualTo(other) && copy->merge(other) && copy->getCount() == 4);
        CHECK(copy->isEqualTo(dictionary, dictionary) && copy->removeObject("Lamp") && copy->removeObject(key) &&
              copy->getCount() == 2);
        CHECK(!dictionary->setObject("nothing", nullptr));
        CHECK(other->setObject(number, value) && other->getObject(number) == value && other->getCount() == 3);
        CHECK(other->removeObject(number) && !other->getObject(number));
        CHECK(OSDictionarySetUInt64Value(dictionary, "Size", 99) && OSDictionaryGetUInt64Value(dictionary, "Size") == 99);
        CHECK(OSDictionarySetStringValue(dictionary, "Name", "desk") &&
              strcmp(OSDictionaryGetStringValue(dictionary, "Name"), "desk") == 0);
        CHECK(OSDictionarySetValue(dictionary, "Again", value) && OSDictionaryGetValue(dictionary, "Again") == value);
        OSSerialization *bytes = OSCreateSerializationFromObject(dictionary);
        OSObject *again = OSCreateObjectFromSerialization(bytes);
        CHECK(again->isEqualTo(dictionary) && OSDynamicCast(OSDictionary, again));
        OSSafeReleaseNULL(bytes);
        for (OSObject *one : std::initializer_list<OSObject *>{ dictionary, key, value, number, other, copy, again })
                one->release();
}

static void sets()
{
        OSString *a = OSString::withCString("a"), *b = OSString::withCString("b");
        OSSet *set = OSSet::withCapacity(1);
        CHECK(set->setObject(a) && !set->setObject(a) && set->containsObject(a) && set->getAnyObject() == a);
        const OSObject *objects[] = { b, a };
        OSSet *both = OSSet::withObjects(objects, 2), *copy = OSSet::withSet(both);
        CHECK(copy->isEqualTo(both) && set->merge(both) && set->getCount() == 2 && set->removeObject(b) && !set->containsObject(b));
        OSArray *array = OSArray::withObjects(objects, 2);
        OSSet *of = OSSet::withArray(array);
        CHECK(of->isEqualTo(both) && set->merge(array) && set->isEqualTo(both));
        OSOrderedSet *ordered = OSOrderedSet::withCapacity(2);
        CHECK(ordered->setObject(a) && ordered->setFirstObject(b) && ordered->getFirstObject() == b &&
              ordered->getLastObject() == a);
        CHECK(ordered->getObject(1) == a && ordered->removeObject(a) && ordered->setObject(0, a) && ordered->getObject(0) == a);
        CHECK(!ordered->setLastObject(b) && ordered->containsObject(b) && ordered->isEqualTo(ordered));
        for (OSObject *one : std::initializer_list<OSObject *>{ a, b, set, both, copy, array, of, ordered })
                one->release();
}

#ifdef __BLOCKS__
static void blocks()
{
        OSDictionary *dictionary = OSDictionary::withCapacity(2);
        OSDictionarySetUInt64Value(dictionary, "one", 1);
        OSDictionarySetUInt64Value(dictionary, "two", 2);
        __block uint64_t sum = 0;
        dictionary->iterateObjects(^bool(OSObject *key, OSObject *value) {
            sum += OSDynamicCast(OSString, key)->getLength() * OSDynamicCast(OSNumber, value)->unsigned64BitValue();
            return false;
        });
        CHECK(sum == 9);
        __block int seen = 0;
        OSDictionaryApply(dictionary, ^bool(const char *key, OSObjectPtr value) {
            CHECK(OSDictionaryGetValue(dictionary, key) == value);
            return ++seen == 1;
        });
        CHECK(seen == 1);
        OSArray *array = OSArray::withCapacity(1);
        array->setObject(dictionary);
        CHECK(array->iterateObjects(^bool(OSObject *object) {
            seen += object == dictionary;
            return false;
        }));
        CHECK(seen == 2);
        array->release();
        dictionary->release();
}
#endif

/* Objects that C makes wear their classes from birth, the runtime's own included. */
static void classes()
{
        OSArray *array = OSArrayCreate();
        OSObject *object = array;
        OSMetaClassBase *root = array;
        CHECK(object->IsRemote() == false && object->getMetaClass() == OSTypeID(OSArray) &&
              OSTypeID(OSArray) == OSArray::sGetMetaClass());
        CHECK(OSDynamicCast(OSCollection, root) == array && OSDynamicCast(OSDictionary, root) == nullptr);
        CHECK(OSRequiredCast(OSArray, object) == array && OSRequiredCast(OSArray, static_cast<OSObject *>(nullptr)) == nullptr);
        CHECK(object->getRetainCount() == 1);
        object->retain();
        OSObjectRetain(object);
        CHECK(object->getRetainCount() == 3);
        OSObjectRelease(object);
        object->release();
        OSObjectSafeReleaseNULL(array);
        CHECK(array == nullptr);
}

int main()
{
        strings();
        data();
        numbers();
        booleans();
        arrays();
        dictionaries();
        sets();
#ifdef __BLOCKS__
        blocks();
#endif
        classes();
        return 0;
}
