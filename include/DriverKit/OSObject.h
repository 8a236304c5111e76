/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one object of Ambidext: reference counted, with a class pointer.
 *
 * Everything that is shared - property values, services, user clients, actions, queues, memory descriptors - begins with
 * struct OSObject. In C a class is a constant OSMetaClass that names its superclass and lists what it overrides; a C++ class
 * sits on the same memory, its vtable pointer in the first word, so one pointer serves both languages.
 *
 * A C++ method Class::Method(args) is spelled Class_Method(self, args). Such a function is always that class's own
 * implementation (like a qualified call in C++): a driver that overrides Start calls its superclass by
 * IOService_Start(self, provider). amb_invoke() is the virtual call.
 *
 * Contract: memory-and-queues 11.1 (layout, retain, release, init, free), 11.2 (casts).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <DriverKit/IOReturn.h>
#include <ambidext/class.h>

AMB_CLASS(OSObject);

/* The ids of OSObject's virtual methods; see AMB_OVERRIDE. */
#define OSObject_init_ID 0x4f534f626a000001ull
#define OSObject_free_ID 0x4f534f626a000002ull
#define OSObject_isEqualTo_ID 0x4f534f626a000003ull
#define OSObject_IsRemote_ID 0x4f534f626a000004ull

#if defined(__IIG)
#include <DriverKit/OSObject.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSObject.iig.h>
#else
/* 24 bytes on LP64. Fields are the runtime's; use the functions. */
struct OSObject {
        void *skin;                             /* C++ vtable pointer; C code never follows it */
        uint32_t references;
        uint32_t filler;
        const OSMetaClass *meta;
};

extern const OSMetaClass gOSObjectMetaClass;

/*
 * One entry of a method table: the implementation of a method that Class (or a superclass) introduced.
 *      AMB_OVERRIDE(IOService, Start, sensors_start)
 * The compiler refuses a function whose type differs from Class_Method's. Own methods, which nobody overrides yet, are
 * listed with AMB_METHOD(id, function).
 */
#define AMB_OVERRIDE(Class, Method, implementation)                                                                     \
        { Class##_##Method##_ID,                                                                                        \
          (void (*)(void))__builtin_choose_expr(                                                                        \
                  __builtin_types_compatible_p(__typeof__(&(implementation)), __typeof__(&Class##_##Method)),           \
                  (implementation), (struct amb_signature_differs_from_##Class##_##Method *)0), NULL, NULL }

/*
 * Defines and exports the class of a C driver. `struct Class` must begin with a `struct Super`.
 *      OSDefineMetaClass(Sensors, IOService, sensors_methods);
 */
#define AMB_EXPORT __attribute__((visibility("default")))
#define OSDefineMetaClass(Class, Super, method_table)                                                                   \
        AMB_EXPORT const OSMetaClass g##Class##MetaClass = {                                                            \
                #Class, &g##Super##MetaClass, sizeof(struct Class), (method_table), AMB_SKIN_PLACE                      \
        }

/*
 * Allocates an instance of a class: zeroed, one reference, not initialised. NULL: no memory. Any thread.
 * OSTypeAlloc(Sensors) is the typed form. Follow with amb_invoke(o, OSObject, init); if that returns false, release the object.
 */
OSObject *amb_object_alloc(const OSMetaClass *meta);
#define OSTypeAlloc(Class) ((struct Class *)amb_object_alloc(OSTypeID(Class)))

/* OSTypeAlloc and init in one: an object with one reference, or NULL (no memory, or init refused: free has run). */
OSObject *amb_object_new(const OSMetaClass *meta);

/*
 * The implementation of method `id` that `object` uses: its class's own or the nearest superclass's. Aborts with a message
 * when there is none: that is a programming error of this process, never reachable from a peer. Any thread.
 */
void (*amb_object_method(const OSObject *object, uint64_t id))(void);
/* The same on a class; NULL when no class of the chain has it. */
void (*amb_class_method(const OSMetaClass *meta, uint64_t id))(void);

/* The virtual call: amb_invoke(service, IOService, Start, provider). The first argument is evaluated twice. */
#define amb_invoke(object, Class, Method, ...)                                                                          \
        (((__typeof__(&Class##_##Method))amb_object_method((const OSObject *)(object), Class##_##Method##_ID))(         \
                (void *)(object), ##__VA_ARGS__))

/* OSObject's own implementations (what an override chains to); on the thread that makes, frees or compares the object. */
bool OSObject_init(OSObject *self);                                     /* true */
void OSObject_free(OSObject *self);                                     /* gives the memory back; chain to it last */
bool OSObject_isEqualTo(const OSObject *self, const OSObject *other);   /* identity */
/*
 * Does it stand for an object of another process? False. amb_invoke(service, OSObject, IsRemote) is true for the services of other
 * hosts and of the registry itself, which are only looked at here. Any thread.
 */
bool OSObject_IsRemote(const OSObject *self);

/*
 * Reference counting; any thread. The release of the last reference runs the object's free, once. NULL is allowed.
 * "Create", "Copy" and "with" functions hand one reference to the caller, "Get" functions none.
 */
void OSObject_retain(const void *object);
void OSObject_release(const void *object);
void OSObjectRetain(const void *object);
void OSObjectRelease(const void *object);
/* References held now; for diagnostics and tests only. */
uint32_t OSObject_getRetainCount(const void *object);

/* The object's class and its name, valid as long as the program or bundle that defines it. Any thread. */
const OSMetaClass *OSObject_getMetaClass(const void *object);
const char *OSObject_GetClassName(const void *object);

/* object if it is of class meta or of a subclass, else NULL; NULL stays NULL. */
void *amb_object_cast(const void *object, const OSMetaClass *meta);
#define OSDynamicCast(Class, object) ((struct Class *)amb_object_cast((object), OSTypeID(Class)))
/* The same, but aborts the process when a non-NULL object is of another class. */
void *amb_object_cast_required(const void *object, const OSMetaClass *meta);
#define OSRequiredCast(Class, object) ((struct Class *)amb_object_cast_required((object), OSTypeID(Class)))

/* Releases what the variable holds, if it is not NULL. */
#define OSSafeRelease(pointer) OSObject_release(pointer)
/* And sets it to NULL. */
#define OSSafeReleaseNULL(pointer)                                                                                      \
        do {                                                                                                            \
                if (pointer) {                                                                                          \
                        OSObject_release(pointer);                                                                      \
                        (pointer) = NULL;                                                                               \
                }                                                                                                       \
        } while (0)
#define OSObjectSafeReleaseNULL(pointer) OSSafeReleaseNULL(pointer)

#endif
