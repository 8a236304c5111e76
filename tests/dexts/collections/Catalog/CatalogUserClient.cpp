//
//  CatalogUserClient.cpp: one selector for each kind of value.
//  SPDX-License-Identifier: Apache-2.0
//
#include "Catalog.h"

#include <os/log.h>
#include <stdio.h>
#include <string.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/OSArray.h>
#include <DriverKit/OSBoolean.h>
#include <DriverKit/OSCollections.h>
#include <DriverKit/OSData.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSOrderedSet.h>
#include <DriverKit/OSSet.h>
#include <DriverKit/OSString.h>

struct CatalogUserClient_IVars {
  Catalog* catalog;
};

namespace {
constexpr uint32_t kAny = kIOUserClientVariableStructureSize;

// Collects what held: one bit for each thing in turn.
struct Bits {
  CatalogBits bits = 0;
  int count = 0;
  void add(bool held) { bits |= (CatalogBits)(held ? 1 : 0) << count++; }
};
}  // namespace

bool CatalogUserClient::init() {
  if (!super::init()) return false;
  ivars = IONewZero(CatalogUserClient_IVars, 1);
  return ivars != nullptr;
}

void CatalogUserClient::free() {
  IOSafeDeleteNULL(ivars, CatalogUserClient_IVars, 1);
  super::free();
}

kern_return_t CatalogUserClient::Start_Impl(IOService* provider) {
  ivars->catalog = OSDynamicCast(Catalog, provider);
  return ivars->catalog ? Start(provider, SUPERDISPATCH) : kIOReturnBadArgument;
}

kern_return_t CatalogUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments* arguments,
                                                const IOUserClientMethodDispatch* dispatch, OSObject* target, void* reference) {
  static const IOUserClientMethodDispatch methods[kCatalogSelectors] = {
      [kCatalogString] = {&CatalogUserClient::sString, false, 0, kAny, 1, kAny},
      [kCatalogNumber] = {&CatalogUserClient::sNumber, false, 1, 0, 6, 0},
      [kCatalogData] = {&CatalogUserClient::sData, false, 0, kAny, 1, kAny},
      [kCatalogArray] = {&CatalogUserClient::sArray, false, 0, kAny, 1, kAny},
      [kCatalogDictionary] = {&CatalogUserClient::sDictionary, false, 0, kAny, 1, kAny},
      [kCatalogSet] = {&CatalogUserClient::sSet, false, 0, 0, 3, 0},
      [kCatalogHelpers] = {&CatalogUserClient::sHelpers, false, 0, 0, 1, kAny},
      [kCatalogDefaults] = {&CatalogUserClient::sDefaults, false, 0, 0, 0, sizeof(CatalogDefaults)},
      [kCatalogPublish] = {&CatalogUserClient::sPublish, false, 1, kAny, 0, 0},
      [kCatalogRetract] = {&CatalogUserClient::sRetract, false, 0, 0, 0, 0},
      [kCatalogNothing] = {&CatalogUserClient::sNothing, false, 0, 0, 1, 0},
  };
  if (selector >= kCatalogSelectors) return kIOReturnBadArgument;
  dispatch = &methods[selector];
  return super::ExternalMethod(selector, arguments, dispatch, this, ivars);
}

kern_return_t CatalogUserClient::sString(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  OSData* input = arguments->structureInput;
  if (input == nullptr) return kIOReturnBadArgument;
  OSString* text = OSString::withCString(static_cast<const char*>(input->getBytesNoCopy()), input->getLength());
  OSString* same = OSString::withString(text);
  OSString* borrowed = OSString::withCStringNoCopy("borrowed");
  OSObject* object = same;
  Bits held;
  char twice[1024];

  int length = snprintf(twice, sizeof(twice), "%s %s", text->getCStringNoCopy(), same->getCStringNoCopy());
  held.add(text->getLength() == input->getLength());
  held.add(text->isEqualTo(same) && text->isEqualTo(object));
  held.add(!text->isEqualTo(borrowed) && !text->isEqualTo("borrowed"));
  held.add(borrowed->isEqualTo("borrowed"));
  held.add(text->isEqualTo(input));
  held.add(OSDynamicCast(OSString, object) == same && OSDynamicCast(OSNumber, object) == nullptr);
  arguments->structureOutput = OSData::withBytes(twice, (size_t)length);
  arguments->scalarOutput[0] = held.bits;
  OSSafeReleaseNULL(borrowed);
  OSSafeReleaseNULL(same);
  OSSafeReleaseNULL(text);
  return kIOReturnSuccess;
}

kern_return_t CatalogUserClient::sNumber(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  uint64_t value = arguments->scalarInput[0];
  OSNumber* number = OSNumber::withNumber(value, 64);
  OSNumber* narrow = OSNumber::withNumber(value, 8);
  OSNumber* text = OSNumber::withNumber("0x2a", 16);
  OSNumber* seven = OSNumber::withNumber(7, 32);
  OSNumber* wide = OSNumber::withNumber(7, 64);
  Bits held;

  arguments->scalarOutput[0] = number->unsigned8BitValue();
  arguments->scalarOutput[1] = number->unsigned16BitValue();
  arguments->scalarOutput[2] = number->unsigned32BitValue();
  arguments->scalarOutput[3] = number->unsigned64BitValue();
  arguments->scalarOutput[4] = text->unsigned32BitValue();
  held.add(narrow->unsigned64BitValue() == (value & 0xff));
  held.add(number->numberOfBits() == 64 && narrow->numberOfBytes() == 1 && text->numberOfBits() == 16);
  held.add(seven->isEqualTo(wide));
  held.add(!seven->isEqualTo(text));
  held.add(OSNumber::withNumber(1, 9) == nullptr);
  arguments->scalarOutput[5] = held.bits;
  OSSafeReleaseNULL(wide);
  OSSafeReleaseNULL(seven);
  OSSafeReleaseNULL(text);
  OSSafeReleaseNULL(narrow);
  OSSafeReleaseNULL(number);
  return kIOReturnSuccess;
}

kern_return_t CatalogUserClient::sData(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  OSData* input = arguments->structureInput;
  if (input == nullptr) return kIOReturnBadArgument;
  static uint8_t fixed[] = {1, 2, 3, 4};
  OSData* data = OSData::withCapacity((uint32_t)(2 * input->getLength() + 1));
  OSData* borrowed = OSData::withBytesNoCopy(fixed, sizeof(fixed));
  OSData* part = OSData::withData(borrowed, 1, 2);
  OSData* empty = OSData::withBytes(fixed, 0);
  Bits held;

  held.add(data->getLength() == 0 && data->getCapacity() >= input->getLength() && data->getBytesNoCopy() == nullptr);
  held.add(data->appendBytes(input->getBytesNoCopy(), input->getLength()));
  held.add(data->appendBytes("+", 1) && data->appendBytes(input));
  held.add(borrowed->getBytesNoCopy() == fixed && !borrowed->appendBytes("x", 1));
  held.add(part->getLength() == 2 && part->isEqualTo(&fixed[1], 2));
  held.add(empty && empty->getLength() == 0);
  held.add(borrowed->getBytesNoCopy(2, 2) == &fixed[2] && borrowed->getBytesNoCopy(3, 2) == nullptr);
  held.add(!data->isEqualTo(borrowed) && OSData::withData(borrowed, 3, 2) == nullptr);
  arguments->scalarOutput[0] = held.bits;
  arguments->structureOutput = data;  // its reference goes along
  OSSafeReleaseNULL(empty);
  OSSafeReleaseNULL(part);
  OSSafeReleaseNULL(borrowed);
  return kIOReturnSuccess;
}

// Each number goes before the first one that is greater.
static OSArray* sorted(const uint32_t* values, size_t count) {
  OSArray* array = OSArray::withCapacity((uint32_t)count);
  for (size_t i = 0; array && i < count; i++) {
    OSNumber* number = OSNumber::withNumber(values[i], 32);
    uint32_t at = 0;
    while (at < array->getCount() && OSDynamicCast(OSNumber, array->getObject(at))->unsigned32BitValue() <= values[i]) at++;
    array->setObject(at, number);
    OSSafeReleaseNULL(number);
  }
  return array;
}

kern_return_t CatalogUserClient::sArray(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  OSData* input = arguments->structureInput;
  if (input == nullptr) return kIOReturnBadArgument;
  OSArray* array = sorted((const uint32_t*)input->getBytesNoCopy(), input->getLength() / sizeof(uint32_t));
  if (array == nullptr || array->getCount() < 2) {
    OSSafeReleaseNULL(array);
    return kIOReturnBadArgument;
  }
  OSData* output = OSData::withCapacity(64);
  OSArray* more = OSArray::withArray(array, 0);
  __block uint32_t walked = 0;
  Bits held;

  held.add(array->iterateObjects(^bool(OSObject* object) {
    uint32_t value = OSDynamicCast(OSNumber, object)->unsigned32BitValue();
    output->appendBytes(&value, sizeof(value));
    walked++;
    return false;
  }));
  held.add(walked == array->getCount());
  held.add(more->isEqualTo(array));
  held.add(more->setObject(kOSBooleanTrue) && more->getLastObject() == kOSBooleanTrue && !more->isEqualTo(array));
  more->replaceObject(0, kOSBooleanFalse);
  held.add(more->getObject(0) == kOSBooleanFalse);
  held.add(more->getNextIndexOfObject(kOSBooleanTrue, 0) == array->getCount());
  more->removeObject(0);
  held.add(more->getCount() == array->getCount() && more->getObject(0) == array->getObject(1));
  held.add(more->getObject(1000) == nullptr && more->getNextIndexOfObject(kOSBooleanFalse, 0) == (uint32_t)-1);
  held.add(more->merge(array) && more->getCount() == 2 * array->getCount());
  more->flushCollection();
  held.add(more->getCount() == 0 && more->getLastObject() == nullptr && more->ensureCapacity(100) >= 100);
  arguments->structureOutput = output;
  arguments->scalarOutput[0] = held.bits;
  OSSafeReleaseNULL(more);
  OSSafeReleaseNULL(array);
  return kIOReturnSuccess;
}

// "key=value;key=value" as a dictionary of strings.
static OSDictionary* parsed(OSData* input) {
  OSDictionary* dictionary = OSDictionary::withCapacity(4);
  const char* at = static_cast<const char*>(input->getBytesNoCopy());
  const char* end = at + input->getLength();
  while (dictionary && at < end) {
    const char* stop = static_cast<const char*>(memchr(at, ';', (size_t)(end - at)));
    const char* limit = stop ? stop : end;
    const char* equal = static_cast<const char*>(memchr(at, '=', (size_t)(limit - at)));
    if (equal) {
      OSString* key = OSString::withCString(at, (size_t)(equal - at));
      OSString* value = OSString::withCString(equal + 1, (size_t)(limit - equal - 1));
      dictionary->setObject(key, value);
      OSSafeReleaseNULL(key);
      OSSafeReleaseNULL(value);
    }
    at = limit + 1;
  }
  return dictionary;
}

kern_return_t CatalogUserClient::sDictionary(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  if (arguments->structureInput == nullptr) return kIOReturnBadArgument;
  OSDictionary* dictionary = parsed(arguments->structureInput);
  OSDictionary* copy = OSDictionary::withDictionary(dictionary, 0);
  OSData* output = OSData::withCapacity(64);
  __block uint32_t seen = 0;
  Bits held;

  held.add(copy->isEqualTo(dictionary) && copy->getCount() == dictionary->getCount());
  held.add(dictionary->getObject("drop") != nullptr);
  dictionary->removeObject("drop");
  held.add(dictionary->getObject("drop") == nullptr && copy->getObject("drop") != nullptr && !copy->isEqualTo(dictionary));
  held.add(dictionary->iterateObjects(^bool(OSObject* key, OSObject* value) {
    OSString* name = OSDynamicCast(OSString, key);
    OSString* text = OSDynamicCast(OSString, value);
    if (name->isEqualTo("stop")) return true;
    output->appendBytes(name->getCStringNoCopy(), name->getLength());
    output->appendBytes(":", 1);
    output->appendBytes(text->getCStringNoCopy(), text->getLength());
    output->appendBytes("\n", 1);
    seen++;
    return false;
  }));
  held.add(seen < dictionary->getCount());
  held.add(dictionary->merge(copy) && dictionary->isEqualTo(copy));
  OSCollection* deep = dictionary->copyCollection();
  held.add(deep && OSDynamicCast(OSDictionary, deep)->isEqualTo(dictionary));
  dictionary->setObject("number", kOSBooleanTrue);
  held.add(dictionary->getObject("number") == kOSBooleanTrue && !OSDynamicCast(OSDictionary, deep)->getObject("number"));
  const OSObject* values[] = {kOSBooleanTrue, kOSBooleanFalse};
  OSString* yes = OSString::withCString("yes");
  OSString* no = OSString::withCString("no");
  const OSObject* keys[] = {yes, no};
  OSDictionary* answers = OSDictionary::withObjects(values, keys, 2, 2);
  held.add(answers && answers->getObject(yes) == kOSBooleanTrue && answers->getObject(no) == kOSBooleanFalse);
  arguments->structureOutput = output;
  arguments->scalarOutput[0] = held.bits;
  OSSafeReleaseNULL(answers);
  OSSafeReleaseNULL(no);
  OSSafeReleaseNULL(yes);
  OSSafeReleaseNULL(deep);
  OSSafeReleaseNULL(copy);
  OSSafeReleaseNULL(dictionary);
  return kIOReturnSuccess;
}

kern_return_t CatalogUserClient::sSet(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  OSSet* set = OSSet::withCapacity(2);
  OSOrderedSet* ordered = OSOrderedSet::withCapacity(2);
  OSNumber* one = OSNumber::withNumber(1, 8);
  OSNumber* two = OSNumber::withNumber(2, 8);
  Bits held;

  held.add(set->setObject(one) && set->setObject(two) && !set->setObject(one));
  held.add(set->containsObject(two) && set->getAnyObject() != nullptr);
  set->removeObject(two);
  held.add(!set->containsObject(two));
  held.add(ordered->setObject(one) && ordered->setFirstObject(two) && !ordered->setLastObject(one));
  held.add(ordered->getObject(0) == two && ordered->getLastObject() == one && ordered->getFirstObject() == two);
  held.add(ordered->containsObject(one) && ordered->getObject(2) == nullptr);
  arguments->scalarOutput[0] = set->getCount();
  arguments->scalarOutput[1] = ordered->getCount();
  arguments->scalarOutput[2] = held.bits;
  OSSafeReleaseNULL(two);
  OSSafeReleaseNULL(one);
  OSSafeReleaseNULL(ordered);
  OSSafeReleaseNULL(set);
  return kIOReturnSuccess;
}

// The C functions: what older drivers and headers for both languages use.
static OSDictionary* helpersMake() {
  OSDictionary* dictionary = OSDictionaryCreate();
  OSArray* array = OSArrayCreate();
  OSString* string = OSStringCreate("drawer", (size_t)-1);
  OSNumber* number = OSNumberCreateWithUInt64Value(1ull << 40);

  OSDictionarySetStringValue(dictionary, "name", "desk");
  OSDictionarySetUInt64Value(dictionary, "legs", 4);
  OSArrayAppendValue(array, string);
  OSArraySetStringValue(array, kOSArrayAppend, "lamp");
  OSArraySetUInt64Value(array, 0, 77);
  OSArraySetValue(array, kOSArrayAppend, number);
  OSDictionarySetValue(dictionary, "parts", array);
  OSObjectSafeReleaseNULL(number);
  OSObjectSafeReleaseNULL(string);
  OSObjectSafeReleaseNULL(array);
  return dictionary;
}

kern_return_t CatalogUserClient::sHelpers(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  OSDictionary* made = helpersMake();
  OSSerialization* bytes = OSCreateSerializationFromObject(made);
  OSObject* again = OSCreateObjectFromSerialization(bytes);
  OSDictionary* dictionary = OSDynamicCast(OSDictionary, again);
  OSArray* parts = dictionary ? OSDynamicCast(OSArray, OSDictionaryGetValue(dictionary, "parts")) : nullptr;
  OSData* text = OSDataCreate("", 0);
  __block OSData* into = text;
  Bits held;

  held.add(parts != nullptr && OSDictionaryGetCount(dictionary) == 3 && OSArrayGetCount(parts) == 4);
  held.add(OSDictionaryGetUInt64Value(dictionary, "legs") == 4 && OSDictionaryGetUInt64Value(dictionary, "name") == 0);
  held.add(strcmp(OSDictionaryGetStringValue(dictionary, "name"), "desk") == 0 && !OSDictionaryGetStringValue(dictionary, "none"));
  held.add(OSArrayGetUInt64Value(parts, 0) == 77 && strcmp(OSArrayGetStringValue(parts, 1), "drawer") == 0);
  held.add(OSNumberGetUInt64Value(OSDynamicCast(OSNumber, OSArrayGetValue(parts, 3))) == 1ull << 40);
  held.add(OSCollectionTypeID(parts) == kOSCollectionTypeArray);
  OSArrayApply(parts, ^bool(size_t index, OSObjectPtr value) {
    OSString* one = OSDynamicCast(OSString, value);
    if (one) OSDataAppendBytes(into, OSStringGetStringPtr(one), OSStringGetLength(one));
    return false;
  });
  OSDictionaryApply(dictionary, ^bool(const char* key, OSObjectPtr value) {
    OSDataAppendBytes(into, key, strlen(key));
    return false;
  });
  char first[2] = {};
  held.add(OSDataGetBytes(text, first, 0, 1) && first[0] == 'd' && *(const char*)OSDataGetBytesPtr(text, 1, 1) == 'r');
  arguments->scalarOutput[0] = held.bits;
  arguments->structureOutput = text;
  OSObjectRelease(again);
  OSSafeReleaseNULL(bytes);
  OSSafeReleaseNULL(made);
  return kIOReturnSuccess;
}

kern_return_t CatalogUserClient::sDefaults(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  CatalogDefaults defaults = {};
  kern_return_t ret = static_cast<CatalogUserClient_IVars*>(reference)->catalog->readDefaults(&defaults);
  if (ret == kIOReturnSuccess) arguments->structureOutput = OSData::withBytes(&defaults, sizeof(defaults));
  return ret;
}

kern_return_t CatalogUserClient::sPublish(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  OSData* input = arguments->structureInput;
  if (input == nullptr) return kIOReturnBadArgument;
  OSString* text = OSString::withCString(static_cast<const char*>(input->getBytesNoCopy()), input->getLength());
  kern_return_t ret = static_cast<CatalogUserClient_IVars*>(reference)->catalog->publish(text, arguments->scalarInput[0]);
  OSSafeReleaseNULL(text);
  return ret;
}

kern_return_t CatalogUserClient::sRetract(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  return static_cast<CatalogUserClient_IVars*>(reference)->catalog->retract();
}

kern_return_t CatalogUserClient::sNothing(OSObject* target, void* reference, IOUserClientMethodArguments* arguments) {
  OSString* text = OSString::withCString("text");
  OSArray* array = OSArray::withCapacity(0);
  OSDictionary* dictionary = OSDictionary::withCapacity(0);
  OSContainer* property = nullptr;
  OSObject* none = nullptr;
  CatalogUserClient* self = OSRequiredCast(CatalogUserClient, target);
  Bits held;

  held.add(OSString::withCString(nullptr) == nullptr);
  held.add(OSDynamicCast(OSString, none) == nullptr && OSRequiredCast(OSString, none) == nullptr);
  held.add(!array->setObject(nullptr) && array->getCount() == 0 && array->getObject(0) == nullptr);
  held.add(!dictionary->setObject("key", nullptr) && !dictionary->setObject((const OSObject*)nullptr, text));
  held.add(dictionary->getObject("key") == nullptr && dictionary->getObject((const char*)nullptr) == nullptr);
  held.add(!text->isEqualTo((const OSString*)nullptr));
  OSData* empty = OSData::withBytes(nullptr, 0);
  held.add(empty != nullptr && empty->getLength() == 0);
  OSSafeReleaseNULL(empty);
  held.add(!OSDictionarySetValue(nullptr, "key", text) && OSDictionaryGetUInt64Value(nullptr, "key") == 0);
  held.add(self->SearchProperty("nowhere", "IOService", kIOServiceSearchPropertyParents, &property) == kIOReturnNotFound && !property);
  held.add(self->ivars->catalog->SearchProperty("CatalogDefaults", "IOService", 0, &property) == kIOReturnSuccess &&
           OSDynamicCast(OSDictionary, property));
  OSSafeReleaseNULL(none);
  OSSafeReleaseNULL(property);
  OSSafeReleaseNULL(dictionary);
  OSSafeReleaseNULL(array);
  OSSafeReleaseNULL(text);
  arguments->scalarOutput[0] = held.bits;
  return kIOReturnSuccess;
}
