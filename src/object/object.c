/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object itself: birth, counting, class tables.
 *
 * A count that reached 2^31 sticks: the object is never freed again. That leaks one object instead of freeing one that is in
 * use, which is what an overflow would be worth to an attacker. While an object's free runs its count is AMB_REFERENCES_DYING,
 * so that code called by free may retain and release it in pairs without starting a second free.
 */
#include <DriverKit/OSObject.h>

#include "base/base.h"
#include "base/sanitizer.h"
#include "object/alive.h"
#include "object/value.h"

#define AMB_REFERENCES_FULL 0x80000000u
#define AMB_REFERENCES_DYING 0x40000000u

static const struct amb_method object_methods[] = {
        AMB_OVERRIDE(OSObject, init, OSObject_init),
        AMB_OVERRIDE(OSObject, free, OSObject_free),
        AMB_OVERRIDE(OSObject, isEqualTo, OSObject_isEqualTo),
        AMB_OVERRIDE(OSObject, IsRemote, OSObject_IsRemote),
        AMB_METHODS_END,
};

const OSMetaClass gOSObjectMetaClass = { "OSObject", NULL, sizeof(OSObject), object_methods, AMB_SKIN_PLACE };

_Static_assert(sizeof(void *) != 8 || sizeof(OSObject) == 24, "the C++ skin and every driver binary know this size");

/* The vtable pointer for new instances: a class without a skin of its own wears the nearest superclass's. */
static void *class_skin(const OSMetaClass *meta)
{
        for (; meta; meta = meta->super)
                if (meta->skin && *meta->skin)
                        return *meta->skin;
        return NULL;
}

OSObject *amb_object_alloc_extra(const OSMetaClass *meta, size_t extra)
{
        size_t size;
        if (!meta || meta->size < sizeof(OSObject) || __builtin_add_overflow(meta->size, extra, &size))
                return NULL;
        OSObject *object = calloc(1, size);
        if (!object)
                return NULL;
        object->skin = class_skin(meta);
        object->references = 1;
        object->meta = meta;
        return object;
}

OSObject *amb_object_alloc(const OSMetaClass *meta)
{
        return amb_object_alloc_extra(meta, 0);
}

OSObject *amb_object_new(const OSMetaClass *meta)
{
        OSObject *object = amb_object_alloc(meta);
        if (object && !amb_invoke(object, OSObject, init)) {
                OSObject_release(object);
                return NULL;
        }
        return object;
}

void (*amb_class_method(const OSMetaClass *meta, uint64_t id))(void)
{
        for (; meta; meta = meta->super)
                for (const struct amb_method *m = meta->methods; m && m->function; m++)
                        if (m->id == id)
                                return m->function;
        return NULL;
}

void (*amb_object_method(const OSObject *object, uint64_t id))(void)
{
        if (!object) {
                amb_log(AMB_LOG_ERROR, "method %#llx called on NULL", (unsigned long long)id);
                abort();
        }
        void (*function)(void) = amb_class_method(object->meta, id);
        if (!function) {
                amb_log(AMB_LOG_ERROR, "class %s has no method %#llx", object->meta->name, (unsigned long long)id);
                abort();
        }
        return function;
}

bool OSObject_init(OSObject *self)
{
        return self != NULL;
}

void OSObject_free(OSObject *self)
{
        free(self);
}

bool OSObject_isEqualTo(const OSObject *self, const OSObject *other)
{
        return self == other;
}

bool OSObject_IsRemote(const OSObject *self)
{
        return false;
}

/* Counting writes to objects that callers hold as const: the count is not part of the value. */
static uint32_t *object_references(const void *object)
{
        return &((OSObject *)object)->references;
}

/* Puts the count back to the middle of the stuck range, where 2^30 racing threads could not move it out. */
static void object_stick(uint32_t *references, uint32_t before)
{
        static uint32_t told;
        __atomic_store_n(references, AMB_REFERENCES_STUCK, __ATOMIC_RELAXED);
        if (before < AMB_REFERENCES_FULL && !__atomic_exchange_n(&told, 1, __ATOMIC_RELAXED))
                amb_log(AMB_LOG_ERROR, "an object has been retained 2^31 times; it will never be freed");
}

void OSObject_retain(const void *object)
{
        if (!object)
                return;
        uint32_t *references = object_references(object);
        if (__atomic_load_n(references, __ATOMIC_RELAXED) == AMB_REFERENCES_STUCK)
                return;
        /* Relaxed: who retains already has a reference, and with it has seen the object. */
        uint32_t before = __atomic_fetch_add(references, 1, __ATOMIC_RELAXED);
        if (before >= AMB_REFERENCES_FULL - 1)
                object_stick(references, before);
}

/* That was not one of many references. */
AMB_APART static void release_unusual(const void *object, uint32_t before)
{
        uint32_t *references = object_references(object);
        if (before >= AMB_REFERENCES_FULL) {
                object_stick(references, before);
        } else if (before == 1) {
                amb_race_after(object);
                __atomic_store_n(references, AMB_REFERENCES_DYING, __ATOMIC_RELAXED);
                amb_invoke(object, OSObject, free);
        } else {
                amb_log(AMB_LOG_ERROR, "an object was released more often than it was retained");
                abort();
        }
}

static inline void release(const void *object)
{
        /* Release: what this thread did to the object; acquire: what the others did, before free takes it apart. */
        uint32_t before = __atomic_fetch_sub(object_references(object), 1, __ATOMIC_ACQ_REL);
        if (before - 2 >= AMB_REFERENCES_FULL - 2)      /* 0, 1, or more than can be counted */
                release_unusual(object, before);
}

AMB_COLD static void release_watched(const void *object)
{
        amb_race_before(object);
        release(object);
}

/* What is unusual is called last, so that nothing has to be saved for it. */
void OSObject_release(const void *object)
{
        if (!object || __atomic_load_n(object_references(object), __ATOMIC_RELAXED) == AMB_REFERENCES_STUCK)
                return;
        if (amb_unlikely(amb_race_watched()))
                release_watched(object);
        else
                release(object);
}

bool amb_object_retain_alive(const void *object)
{
        uint32_t *references = object_references(object), before = __atomic_load_n(references, __ATOMIC_RELAXED);
        do {
                /* Far more references than anybody holds, but not stuck: its free has begun, and may retain and release. */
                if (before == 0 || (before >= AMB_REFERENCES_DYING / 2 && before < AMB_REFERENCES_FULL))
                        return false;
                if (before >= AMB_REFERENCES_FULL)
                        return true;
        } while (!__atomic_compare_exchange_n(references, &before, before + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
        return true;
}

void OSObjectRetain(const void *object)
{
        OSObject_retain(object);
}

void OSObjectRelease(const void *object)
{
        OSObject_release(object);
}

uint32_t OSObject_getRetainCount(const void *object)
{
        return object ? __atomic_load_n(object_references(object), __ATOMIC_RELAXED) : 0;
}

const OSMetaClass *OSObject_getMetaClass(const void *object)
{
        return object ? ((const OSObject *)object)->meta : NULL;
}

const char *OSObject_GetClassName(const void *object)
{
        return object ? ((const OSObject *)object)->meta->name : NULL;
}

void *amb_object_cast(const void *object, const OSMetaClass *meta)
{
        for (const OSMetaClass *m = OSObject_getMetaClass(object); m; m = m->super)
                if (m == meta)
                        return (void *)object;
        return NULL;
}

void *amb_object_cast_required(const void *object, const OSMetaClass *meta)
{
        void *cast = amb_object_cast(object, meta);
        if (object && !cast) {
                amb_log(AMB_LOG_ERROR, "OSRequiredCast: an object of class %s is no %s", OSObject_GetClassName(object),
                        meta->name);
                abort();
        }
        return cast;
}
