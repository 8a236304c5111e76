/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all property values have in common: their names, and how DriverKit's C++ methods are spelled in C.
 *
 * Class::method(args) is Class_method(self, args); a static method has no self. Of overloaded methods, the one that takes objects,
 * or the fewest arguments, has the bare name; the others say at the end what they take instead:
 *
 *      _cString        a C string              _length         a C string and a length
 *      _data           an OSData               _bytes          bytes and a length
 *      _at             an index                _range          a start and a length
 *      _keys, _array, _set                     a collection of that kind
 *
 *      OSString::withCString("abc", 2)         OSString_withCString_length("abc", 2)
 *      dictionary->setObject("key", value)     OSDictionary_setObject_cString(dictionary, "key", value)
 *
 * A method that takes a block has two forms: _f takes a function and a context, handed to it as its first argument; the other
 * takes the block. Both have run it before they return, and keep nothing.
 *
 * Common to all of them: "with", "create" and "copy" return one reference, or NULL: no memory, or a bad argument (a NULL
 * object to copy, too). "get" returns none; what it returns stays valid while the container keeps it. NULL as self is an empty
 * container that refuses every change. A bool is true when the change was made; false, and nothing has changed: NULL, a
 * container as its own member, an index or key that is not there, no memory. What is put into a container is retained, what
 * leaves it released. No locks: one thread at a time changes a value, or many read it. Lengths are bytes, capacities and
 * indices count members from 0.
 *
 * Contract: memory-and-queues 12.
 */
#include <DriverKit/OSObject.h>

AMB_CLASS(OSContainer);
AMB_CLASS(OSString);
AMB_CLASS(OSData);
AMB_CLASS(OSNumber);
AMB_CLASS(OSBoolean);
AMB_CLASS(OSCollection);
AMB_CLASS(OSArray);
AMB_CLASS(OSDictionary);
AMB_CLASS(OSSet);
AMB_CLASS(OSOrderedSet);
AMB_CLASS(OSSerialization);
typedef OSString OSSymbol;

typedef OSObject *OSObjectPtr;
typedef OSString *OSStringPtr;
typedef OSData *OSDataPtr;
typedef OSNumber *OSNumberPtr;
typedef OSBoolean *OSBooleanPtr;
typedef OSContainer *OSContainerPtr;
typedef OSCollection *OSCollectionPtr;
typedef OSArray *OSArrayPtr;
typedef OSDictionary *OSDictionaryPtr;
typedef OSSet *OSSetPtr;
typedef OSOrderedSet *OSOrderedSetPtr;
typedef OSSerialization *OSSerializationPtr;

#if defined(__IIG)
#include <DriverKit/OSContainer.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSContainer.iig.h>
#else
/* The superclass of all of them; nothing is only an OSContainer. */
extern const OSMetaClass gOSContainerMetaClass;
#endif
