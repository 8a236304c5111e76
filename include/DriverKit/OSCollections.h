/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Property values and DriverKit's C functions for them. The methods of the classes are in a header for each class, which this one
 * includes; OSContainer.h says how they are spelled in C.
 *
 * They are the values of property lists, of registry properties and of matching dictionaries. They are OSObjects: "Create"
 * returns one reference (NULL: no memory, or a bad argument), "Get" returns none and stays valid while the container keeps
 * the value. Containers retain their members. Strings, numbers and booleans never change and may be used from any thread;
 * data and collections have no lock: one thread at a time changes them, or many read them.
 *
 * NULL is allowed as the object of every Get call, which then answers as if it were empty. Functions that change a container or
 * data return true when they have done it; false, and nothing has changed: a NULL argument, the container as its own member, an
 * index or key that is not there, or no memory. A value is retained on success only; what it replaces is released. Lengths and
 * offsets are bytes, indices count from 0.
 *
 * Contract: memory-and-queues 12.1 to 12.6.
 */
#include <DriverKit/OSArray.h>
#include <DriverKit/OSBoolean.h>
#include <DriverKit/OSCollection.h>
#include <DriverKit/OSContainer.h>
#include <DriverKit/OSData.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSObject.h>
#include <DriverKit/OSOrderedSet.h>
#include <DriverKit/OSSerialization.h>
#include <DriverKit/OSSet.h>
#include <DriverKit/OSString.h>

/* Remarks for the compiler about who owns a reference; here they are for the reader only. */
#define DRIVERKIT_RETURNS_RETAINED
#define DRIVERKIT_RETURNS_NOT_RETAINED
#define DRIVERKIT_CONSUMED
#define DRIVERKIT_CONSUMES_THIS

#ifdef __cplusplus
extern "C" {
#endif

/* --- any value --- */
/*
 * Equal by value: class and contents; numbers regardless of width; strings by bytes; containers member by member, sets in any
 * order. Nothing is equal to NULL but itself, and no containers that are nested deeper than 64.
 */
bool OSObjectIsEqual(const void *one, const void *other);
void OSObjectLog(const void *object);                           /* one line to the log: the value as JSON */

/* Which kind of value an object is; 0: NULL, or another class. */
enum {
        kOSCollectionTypeNone = 0,
        kOSCollectionTypeDictionary = 1,
        kOSCollectionTypeArray = 2,
        kOSCollectionTypeSet = 3,                               /* ordered ones too */
        kOSCollectionTypeNumber = 4,
        kOSCollectionTypeSymbol = 8,                            /* of no object: symbols are strings here */
        kOSCollectionTypeString = 9,
        kOSCollectionTypeData = 10,
        kOSCollectionTypeBoolean = 11,
        kOSCollectionTypeSerialization = 13,
};
uint32_t OSCollectionTypeID(const void *object);
const char *OSCollectionTypeName(uint32_t type);                /* "dictionary", ...; NULL: no such type. Lives for ever. */

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
/* The same with a new string (up to the NUL), or a new number of 64 bits. */
bool OSArraySetStringValue(OSArray *array, size_t index, const char *value);
bool OSArraySetUInt64Value(OSArray *array, size_t index, uint64_t value);
bool OSArrayAppendStringValue(OSArray *array, const char *value);                       /* a new string, up to the NUL */
bool OSArrayRemoveValue(OSArray *array, size_t index);                                  /* the others move down */
/* Calls for each member in order until a call returns true; false: NULL. As OSCollection_iterateObjects. */
typedef bool (*OSArrayApplierFunction)(void *context, size_t index, OSObject *value);
AMB_BLOCK_TYPE(OSArrayApplier, bool, size_t index, OSObjectPtr value);
bool OSArrayApply_f(const OSArray *array, void *context, OSArrayApplierFunction applier);
bool OSArrayApply(const OSArray *array, OSArrayApplier applier);

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
/* Calls for each member in order until a call returns true; false: NULL. The key is valid during the call. */
typedef bool (*OSDictionaryApplierFunction)(void *context, const char *key, OSObject *value);
AMB_BLOCK_TYPE(OSDictionaryApplier, bool, const char *key, OSObjectPtr value);
bool OSDictionaryApply_f(const OSDictionary *dictionary, void *context, OSDictionaryApplierFunction applier);
bool OSDictionaryApply(const OSDictionary *dictionary, OSDictionaryApplier applier);

/*
 * --- serializations: a value as bytes, for another process of this library or for later ---
 * The bytes are this library's own format. They keep everything that OSObjectIsEqual looks at, and the widths of numbers.
 */
/* NULL also: something in it is no property value, or it is nested deeper than 64. */
OSSerialization *OSCreateSerializationFromObject(const void *object);
/*
 * Keeps the bytes, which must not change; they are checked when an object is made of them. freeBytes, may be NULL: called with
 * them when the serialization is freed, or could not be made.
 */
typedef void (*OSSerializationFreeBufferFunction)(void *context, const void *bytes, size_t length);
OSSerialization *OSCreateSerializationFromBytes_f(const void *bytes, size_t length, void *context,
                                                  OSSerializationFreeBufferFunction freeBytes);
AMB_BLOCK_TYPE(OSSerializationFreeBufferHandler, void, const void *bytes, size_t length);
OSSerialization *OSCreateSerializationFromBytes(const void *bytes, size_t length, OSSerializationFreeBufferHandler freeBytes);
const void *OSSerializationGetBytes(const OSSerialization *serialization, size_t *length);     /* valid as long as it is */
/* A new value, one reference; whatever the bytes are. NULL also: they are no serialization. */
OSObject *OSCreateObjectFromSerialization(const OSSerialization *serialization);

#ifdef __cplusplus
}
#endif
