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
 * NULL is allowed as the object of every Get call, which then answers as if it were empty. Functions that change a container or
 * data return true when they have done it; false, and nothing has changed: a NULL argument, the container as its own member, an
 * index or key that is not there, or no memory. A value is retained on success only; what it replaces is released. Lengths and
 * offsets are bytes, indices count from 0.
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
/* Copies at most `length` bytes, up to a NUL; length (size_t)-1: up to the NUL. */
OSString *OSStringCreate(const char *cstring, size_t length);
const char *OSStringGetStringPtr(const OSString *string);       /* valid as long as the string; "" for NULL */
size_t OSStringGetLength(const OSString *string);               /* bytes, without the NUL */

/* --- data --- */
OSData *OSDataCreate(const void *bytes, size_t length);         /* copies; bytes NULL with length > 0: zeros */
size_t OSDataGetLength(const OSData *data);                     /* bytes */
/* Address of `length` bytes from `offset`; NULL if they are not inside, or length is 0. Valid until the data changes. */
const void *OSDataGetBytesPtr(const OSData *data, size_t offset, size_t length);
/* Copies `length` bytes to buffer; false, and nothing is copied: [offset, offset + length) is not inside. */
bool OSDataGetBytes(const OSData *data, void *buffer, size_t offset, size_t length);
/* Copies them behind the others; bytes NULL: zeros; they may be the data's own. */
bool OSDataAppendBytes(OSData *data, const void *bytes, size_t length);

/* --- numbers: 8, 16, 32 or 64 bits, immutable; compared by value --- */
OSNumber *OSNumberCreate(uint64_t value, size_t bits);          /* truncated to its width; other widths: NULL */
OSNumber *OSNumberCreateWithUInt64Value(uint64_t value);        /* 64 bits */
uint64_t OSNumberGetUInt64Value(const OSNumber *number);        /* zero-extended */
size_t OSNumberGetBits(const OSNumber *number);                 /* 8, 16, 32 or 64 */

/* --- booleans: two objects that are never freed --- */
extern OSBoolean *const kOSBooleanTrue;
extern OSBoolean *const kOSBooleanFalse;

/* --- arrays --- */
#define kOSArrayAppend ((size_t)-1)
OSArray *OSArrayCreate(void);                                                           /* empty */
size_t OSArrayGetCount(const OSArray *array);                                           /* members */
OSObject *OSArrayGetValue(const OSArray *array, size_t index);                          /* NULL beyond the end */
const char *OSArrayGetStringValue(const OSArray *array, size_t index);                  /* NULL if it is no string */
uint64_t OSArrayGetUInt64Value(const OSArray *array, size_t index);                     /* 0 if it is no number */
bool OSArraySetValue(OSArray *array, size_t index, void *value);                        /* inserts; kOSArrayAppend appends */
bool OSArrayReplaceValue(OSArray *array, size_t index, void *value);                    /* false beyond the end */
bool OSArrayAppendValue(OSArray *array, void *value);
bool OSArrayAppendStringValue(OSArray *array, const char *value);                       /* a new string, up to the NUL */
bool OSArrayRemoveValue(OSArray *array, size_t index);                                  /* the others move down */

/* --- dictionaries: keys are C strings (copied), in order of insertion --- */
OSDictionary *OSDictionaryCreate(void);                                                 /* empty */
OSDictionary *OSDictionaryCreateCopy(const OSDictionary *dictionary);                   /* shallow: members are shared */
size_t OSDictionaryGetCount(const OSDictionary *dictionary);                            /* members */
const char *OSDictionaryGetKeyAt(const OSDictionary *dictionary, size_t index);         /* NULL beyond the end */
OSObject *OSDictionaryGetValueAt(const OSDictionary *dictionary, size_t index);         /* NULL beyond the end */
OSObject *OSDictionaryGetValue(const OSDictionary *dictionary, const char *key);        /* NULL if absent */
const char *OSDictionaryGetStringValue(const OSDictionary *dictionary, const char *key); /* NULL if absent or no string */
uint64_t OSDictionaryGetUInt64Value(const OSDictionary *dictionary, const char *key);   /* 0 if absent or no number */
/* NULL: absent, or of another class. */
OSDictionary *OSDictionaryGetDictionaryValue(const OSDictionary *dictionary, const char *key);
OSArray *OSDictionaryGetArrayValue(const OSDictionary *dictionary, const char *key);
bool OSDictionarySetValue(OSDictionary *dictionary, const char *key, void *value);      /* retains, replaces */
/* The same with a new string (up to the NUL), a new number of 64 bits, or one of the two booleans. */
bool OSDictionarySetStringValue(OSDictionary *dictionary, const char *key, const char *value);
bool OSDictionarySetUInt64Value(OSDictionary *dictionary, const char *key, uint64_t value);
bool OSDictionarySetBooleanValue(OSDictionary *dictionary, const char *key, bool value);
bool OSDictionaryRemoveValue(OSDictionary *dictionary, const char *key);                /* false if absent */
/* other's values win. No memory: false, and what was merged until then stays. */
bool OSDictionaryMerge(OSDictionary *dictionary, const OSDictionary *other);

#ifdef __cplusplus
}
#endif
