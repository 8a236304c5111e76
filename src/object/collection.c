/* SPDX-License-Identifier: Apache-2.0 */
/* The two abstract classes above the property values, and what holds for all of these. */
#include <stdio.h>

#include "base/base.h"
#include "object/plist.h"
#include "object/value.h"

static const struct amb_method no_methods[] = { AMB_METHODS_END };

const OSMetaClass gOSContainerMetaClass = { "OSContainer", &gOSObjectMetaClass, sizeof(OSObject), no_methods, AMB_SKIN_PLACE };
const OSMetaClass gOSCollectionMetaClass = { "OSCollection", &gOSContainerMetaClass, sizeof(OSCollection), no_methods,
                                             AMB_SKIN_PLACE };

/* --- any value --- */

/* All values compare by contents; which contents are alike is written in one place, match.c. */
bool amb_value_is_equal(const OSObject *self, const OSObject *other)
{
        return OSObjectIsEqual(self, other);
}

void OSObjectLog(const void *object)
{
        AMB_FREE char *text = amb_value_json(object);
        amb_log(AMB_LOG_NOTICE, "%s", text ? text : "(no memory)");
}

uint32_t OSCollectionTypeID(const void *object)
{
        static const uint32_t types[] = {
                [AMB_VALUE_STRING] = kOSCollectionTypeString,   [AMB_VALUE_DATA] = kOSCollectionTypeData,
                [AMB_VALUE_NUMBER] = kOSCollectionTypeNumber,   [AMB_VALUE_BOOLEAN] = kOSCollectionTypeBoolean,
                [AMB_VALUE_ARRAY] = kOSCollectionTypeArray,     [AMB_VALUE_DICTIONARY] = kOSCollectionTypeDictionary,
                [AMB_VALUE_SET] = kOSCollectionTypeSet,         [AMB_VALUE_ORDERED_SET] = kOSCollectionTypeSet,
        };
        return OSDynamicCast(OSSerialization, object) ? kOSCollectionTypeSerialization : types[amb_value_kind(object)];
}

const char *OSCollectionTypeName(uint32_t type)
{
        static const char *const names[] = {
                [kOSCollectionTypeDictionary] = "dictionary",   [kOSCollectionTypeArray] = "array",
                [kOSCollectionTypeSet] = "set",                 [kOSCollectionTypeNumber] = "number",
                [kOSCollectionTypeSymbol] = "symbol",           [kOSCollectionTypeString] = "string",
                [kOSCollectionTypeData] = "data",               [kOSCollectionTypeBoolean] = "boolean",
                [kOSCollectionTypeSerialization] = "serialization",
        };
        return type < AMB_ARRAY_LENGTH(names) ? names[type] : NULL;
}

/* --- any collection: virtual calls --- */

uint32_t OSCollection_getCount(const OSCollection *self)
{
        return self ? amb_invoke(self, OSCollection, getCount) : 0;
}

uint32_t OSCollection_getCapacity(const OSCollection *self)
{
        return self ? amb_invoke(self, OSCollection, getCapacity) : 0;
}

uint32_t OSCollection_ensureCapacity(OSCollection *self, uint32_t capacity)
{
        return self ? amb_invoke(self, OSCollection, ensureCapacity, capacity) : 0;
}

void OSCollection_flushCollection(OSCollection *self)
{
        if (self)
                amb_invoke(self, OSCollection, flushCollection);
}

bool OSCollection_iterateObjects_f(const OSCollection *self, void *context, OSCollectionIterateFunction function)
{
        return self && amb_invoke(self, OSCollection, iterateObjects_f, context, function);
}

bool OSCollection_iterateObjects(const OSCollection *self, OSCollectionIterateBlock block)
{
        return OSCollection_iterateObjects_f(self, (void *)block, AMB_BLOCK_FUNCTION(block, OSCollectionIterateFunction));
}

OSCollection *OSCollection_copyCollection(const OSCollection *self, OSDictionary *cycleDict)
{
        OSDictionary *cycle = cycleDict ? cycleDict : OSDictionaryCreate();
        OSCollection *copy = self && cycle ? amb_invoke(self, OSCollection, copyCollection, cycle) : NULL;
        if (!cycleDict)
                OSObject_release(cycle);
        return copy;
}

/* --- copying --- */

/* What a collection is called in a dictionary of copies: its address. */
struct name {
        char text[2 * sizeof(void *) + 3];
};

static struct name name_of(const void *original)
{
        struct name name;
        snprintf(name.text, sizeof(name.text), "%p", original);
        return name;
}

bool amb_copy_begin(OSDictionary *cycle, const void *original, void *copy, OSCollection **ret)
{
        struct name name = name_of(original);
        OSCollection *known = OSDynamicCast(OSCollection, OSDictionaryGetValue(cycle, name.text));
        if (!known && OSDictionarySetValue(cycle, name.text, copy))
                return false;
        OSObject_release(copy);
        OSObject_retain(known);
        *ret = known;
        return true;
}

OSObject *amb_copy_member(OSDictionary *cycle, OSObject *member)
{
        OSCollection *collection = OSDynamicCast(OSCollection, member);
        if (collection)
                return (OSObject *)OSCollection_copyCollection(collection, cycle);
        OSObject_retain(member);
        return member;
}

OSCollection *amb_copy_fail(OSDictionary *cycle, const void *original, void *copy)
{
        OSCollection_flushCollection(copy); /* it may already be inside something that is inside it */
        OSDictionaryRemoveValue(cycle, name_of(original).text);
        OSObject_release(copy);
        return NULL;
}
