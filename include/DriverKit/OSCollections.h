/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Property values: strings, data, numbers, booleans, arrays, dictionaries.
 *
 * These are the values of property lists, of registry properties and of matching dictionaries. They are OSObjects: "Create"
 * returns one reference (NULL: no memory, or a bad argument), "Get" returns none and stays valid while the container keeps
 * the value. Containers retain their members. Strings, numbers and booleans never change and may be used from any thread;
 * data, arrays and dictionaries have no lock: one thread at a time changes them, or many read them.
 *
 * Contract: memory-and-queues 12.1 to 12.6.
 */
#include <DriverKit/OSObject.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct OSString OSString;
typedef struct OSString OSSymbol;
typedef struct OSData OSData;
typedef struct OSNumber OSNumber;
typedef struct OSBoolean OSBoolean;
typedef struct OSArray OSArray;
typedef struct OSDictionary OSDictionary;

typedef OSObject *OSObjectPtr;
typedef OSString *OSStringPtr;
typedef OSData *OSDataPtr;
typedef OSNumber *OSNumberPtr;
typedef OSBoolean *OSBooleanPtr;
typedef OSArray *OSArrayPtr;
typedef OSDictionary *OSDictionaryPtr;

extern const OSMetaClass gOSStringMetaClass, gOSDataMetaClass, gOSNumberMetaClass, gOSBooleanMetaClass, gOSArrayMetaClass,
        gOSDictionaryMetaClass;

/* Equal by value: class and contents; numbers regardless of width; strings by bytes; containers member by member. */
bool OSObjectIsEqual(const void *one, const void *other);

/* --- strings: bytes without NUL inside, NUL-terminated, immutable --- */
OSString *OSStringCreate(const char *cstring, size_t length);   /* length (size_t)-1: up to the NUL */
const char *OSStringGetStringPtr(const OSString *string);       /* valid as long as the string; "" for NULL */
size_t OSStringGetLength(const OSString *string);               /* bytes, without the NUL */

/* --- data --- */
OSData *OSDataCreate(const void *bytes, size_t length);         /* copies; bytes NULL with length > 0: zeros */
size_t OSDataGetLength(const OSData *data);
/* Address of `length` bytes from `offset`; NULL if they are not inside, or length is 0. Valid until the data changes. */
const void *OSDataGetBytesPtr(const OSData *data, size_t offset, size_t length);
/* Copies out; true if all of [offset, offset + length) is inside. */
bool OSDataGetBytes(const OSData *data, void *buffer, size_t offset, size_t length);
bool OSDataAppendBytes(OSData *data, const void *bytes, size_t length);

/* --- numbers: 8, 16, 32 or 64 bits, immutable; compared by value --- */
OSNumber *OSNumberCreate(uint64_t value, size_t bits);          /* truncated to its width; other widths: NULL */
OSNumber *OSNumberCreateWithUInt64Value(uint64_t value);
uint64_t OSNumberGetUInt64Value(const OSNumber *number);
size_t OSNumberGetBits(const OSNumber *number);

/* --- booleans: two objects that are never freed --- */
extern OSBoolean *const kOSBooleanTrue;
extern OSBoolean *const kOSBooleanFalse;

/* --- arrays --- */
#define kOSArrayAppend ((size_t)-1)
OSArray *OSArrayCreate(void);
size_t OSArrayGetCount(const OSArray *array);
OSObject *OSArrayGetValue(const OSArray *array, size_t index);                          /* NULL beyond the end */
const char *OSArrayGetStringValue(const OSArray *array, size_t index);                  /* NULL if it is no string */
uint64_t OSArrayGetUInt64Value(const OSArray *array, size_t index);                     /* 0 if it is no number */
bool OSArraySetValue(OSArray *array, size_t index, void *value);                        /* inserts; kOSArrayAppend appends */
bool OSArrayReplaceValue(OSArray *array, size_t index, void *value);
bool OSArrayAppendValue(OSArray *array, void *value);
bool OSArrayAppendStringValue(OSArray *array, const char *value);
bool OSArrayRemoveValue(OSArray *array, size_t index);

/* --- dictionaries: keys are C strings (copied), in order of insertion --- */
OSDictionary *OSDictionaryCreate(void);
OSDictionary *OSDictionaryCreateCopy(const OSDictionary *dictionary);                   /* shallow: members are shared */
size_t OSDictionaryGetCount(const OSDictionary *dictionary);
const char *OSDictionaryGetKeyAt(const OSDictionary *dictionary, size_t index);         /* NULL beyond the end */
OSObject *OSDictionaryGetValueAt(const OSDictionary *dictionary, size_t index);
OSObject *OSDictionaryGetValue(const OSDictionary *dictionary, const char *key);        /* NULL if absent */
const char *OSDictionaryGetStringValue(const OSDictionary *dictionary, const char *key); /* NULL if absent or no string */
uint64_t OSDictionaryGetUInt64Value(const OSDictionary *dictionary, const char *key);   /* 0 if absent or no number */
OSDictionary *OSDictionaryGetDictionaryValue(const OSDictionary *dictionary, const char *key);
OSArray *OSDictionaryGetArrayValue(const OSDictionary *dictionary, const char *key);
bool OSDictionarySetValue(OSDictionary *dictionary, const char *key, void *value);      /* retains, replaces */
bool OSDictionarySetStringValue(OSDictionary *dictionary, const char *key, const char *value);
bool OSDictionarySetUInt64Value(OSDictionary *dictionary, const char *key, uint64_t value);
bool OSDictionarySetBooleanValue(OSDictionary *dictionary, const char *key, bool value);
bool OSDictionaryRemoveValue(OSDictionary *dictionary, const char *key);                /* false if absent */
bool OSDictionaryMerge(OSDictionary *dictionary, const OSDictionary *other);            /* other's values win */

#ifdef __cplusplus
}
#endif
