/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the C++ that iig generates stands on (docs/IIG.md): the root of C++ objects, messages, and what passes arguments. C++11 and
 * later; no exceptions, no run-time type information. Programs use the names in capitals and CamelCase; amb_... is for generated
 * code.
 *
 * A C++ object is the C object, its vtable pointer in the first word. No constructor runs on it: C makes it, zeroed, and puts the
 * vtable pointer there that amb_skin_class or amb_skin_face has left in the class's table when the program was loaded. C sees
 * nothing here: it has these objects in <DriverKit/OSObject.h>.
 */
#ifdef __cplusplus
#include <new>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <DriverKit/IOReturn.h>
#include <DriverKit/IOTypes.h>
#include <ambidext/class.h>
#include <ambidext/remote.h>

/* --- what sources write --- */

#define APPLE_KEXT_OVERRIDE override
#define IMPL(Class, Method) Class::Method##_Impl(Class##_##Method##_Args)
#define SUPERDISPATCH ((OSDispatchMethod)&super::_Dispatch)
#define OSMTypeID(Class) (&g##Class##MetaClass)
#define OSDynamicCast(Class, object) ((Class *)amb_object_cast((object), OSTypeID(Class)))
#define OSRequiredCast(Class, object) ((Class *)amb_object_cast_required((object), OSTypeID(Class)))
/* Zeroed, with one reference; follow with init. */
#define OSTypeAlloc(Class) ((Class *)amb_object_alloc(OSTypeID(Class)))
#define OSSafeRelease(pointer) ((pointer) ? (pointer)->release() : (void)0)
#define OSSafeReleaseNULL(pointer)                                                                                      \
        do {                                                                                                            \
                if (pointer) {                                                                                          \
                        (pointer)->release();                                                                           \
                        (pointer) = nullptr;                                                                            \
                }                                                                                                       \
        } while (0)

#define OSObjectSafeReleaseNULL(pointer) OSSafeReleaseNULL(pointer)

/* What a kernel extension says of a class beside its declaration; here the interface says it. */
#define OSDeclareDefaultStructors(Class)
#define OSDeclareAbstractStructors(Class)
#define OSDeclareFinalStructors(Class)
#define OSDefineMetaClassAndStructors(Class, Super)
#define OSDefineMetaClassAndAbstractStructors(Class, Super)
#define OSDefineMetaClassAndFinalStructors(Class, Super)

/* Attributes of interfaces mean nothing to a compiler. */
#ifndef __IIG
#define NATIVE
#define LOCAL
#define LOCALONLY
#define LOCALHOST
#define REMOTE
#define REPLY
#define INVOKEREPLY
#define TARGET
#define PORTMAKESEND
#define PORTCOPYSEND
#define IIG_SERIALIZABLE
#define IIG_CONCRETE
#define TYPE(...)
#define QUEUENAME(...)
#define EXTENDS(...)
#define AMB_CNAME(...)
#endif

class OSMetaClassBase;
class OSObject;
class OSAction;

extern "C" {
OSObject *amb_object_alloc(const OSMetaClass *meta);
OSObject *amb_object_new(const OSMetaClass *meta);
void (*amb_object_method(const OSObject *object, uint64_t id))(void);
void (*amb_class_method(const OSMetaClass *meta, uint64_t id))(void);
void *amb_object_cast(const void *object, const OSMetaClass *meta);
void *amb_object_cast_required(const void *object, const OSMetaClass *meta);
}

/* --- messages --- */

/*
 * A call of a method that may be anywhere: its id, and what calls the function that some class has for the id. It lives as long as
 * the call; what goes to another queue without an answer owns copies of its arguments.
 */
struct amb_message {
        uint64_t id;
        void (*call)(amb_message *message, void (*function)(void), OSMetaClassBase *target);
};

struct IORPC {
        amb_message *message;
};
typedef kern_return_t (*OSDispatchMethod)(OSMetaClassBase *self, const IORPC rpc);

/* Runs what class `meta` or the nearest of its bases has for the message. kIOReturnUnsupported: nothing. */
inline kern_return_t amb_dispatch(const OSMetaClass *meta, OSMetaClassBase *self, const IORPC rpc)
{
        void (*function)(void) = amb_class_method(meta, rpc.message->id);
        if (!function)
                return kIOReturnUnsupported;
        rpc.message->call(rpc.message, function, self);
        return kIOReturnSuccess;
}

/* The handler of a generated M_Invoke. */
inline kern_return_t amb_answer(const IORPC rpc, OSMetaClassBase *target, void (*handler)(void))
{
        rpc.message->call(rpc.message, handler, target);
        return kIOReturnSuccess;
}

/* --- the root of all objects: struct OSObject of C --- */

class OSMetaClassBase
{
public:
        /* The implementation of the object's own class, on the calling thread. */
        virtual kern_return_t Dispatch(const IORPC rpc) { return amb_dispatch(amb_meta, this, rpc); }

        uint32_t amb_references, amb_filler;
        const OSMetaClass *amb_meta;

protected:
        ~OSMetaClassBase() = default;
};

inline OSObject *amb_object_of(const OSMetaClassBase *object)
{
        return reinterpret_cast<OSObject *>(const_cast<OSMetaClassBase *>(object));
}

inline void (*amb_method_of(const OSMetaClassBase *object, uint64_t id))(void)
{
        return amb_object_method(amb_object_of(object), id);
}

/* NULL is of every class. */
inline bool amb_is_a(const void *object, const OSMetaClass *meta)
{
        return !object || amb_object_cast(object, meta);
}

/* --- sending --- */

/* A message whose body is a function object: void body(function, target). */
template <typename F> struct amb_closure : amb_message {
        F *body;
        OSMetaClassBase *self;
        kern_return_t status;

        amb_closure(uint64_t method, OSMetaClassBase *object, F *function)
        {
                id = method;
                call = run;
                body = function;
                self = object;
                status = kIOReturnSuccess;
        }
        static void run(amb_message *message, void (*function)(void), OSMetaClassBase *target)
        {
                (*static_cast<amb_closure *>(message)->body)(function, target);
        }
        static void enter(void *context)
        {
                amb_closure *closure = static_cast<amb_closure *>(context);
                closure->status = closure->self->Dispatch(IORPC{ closure });
        }
};

/* Runs the method on its queue, or the superclass's at once, and returns after it. */
template <typename F>
kern_return_t amb_send(const OSMetaClassBase *object, uint64_t id, OSDispatchMethod supermethod, F &body)
{
        OSMetaClassBase *self = const_cast<OSMetaClassBase *>(object);
        amb_closure<F> closure(id, self, &body);
        if (supermethod)
                return supermethod(self, IORPC{ &closure });
        kern_return_t code = amb_method_run(amb_object_of(self), id, &closure, closure.enter);
        return code == kIOReturnSuccess ? closure.status : code;
}

/* A message that goes later, with all that it carries. */
template <typename F> struct amb_letter {
        F body;
        amb_closure<F> closure;

        amb_letter(uint64_t id, OSMetaClassBase *self, const F &function) : body(function), closure(id, self, &body) {}
        static void enter(void *context)
        {
                amb_letter *letter = static_cast<amb_letter *>(context);
                letter->closure.enter(&letter->closure);
        }
        static void invoke(void *context, void (*function)(void), OSObject *target)
        {
                static_cast<amb_letter *>(context)->body(function, reinterpret_cast<OSMetaClassBase *>(target));
        }
        static void end(void *context)
        {
                static_cast<amb_letter *>(context)->~amb_letter();
                free(context);
        }
        static amb_letter *make(uint64_t id, OSMetaClassBase *self, const F &function)
        {
                void *memory = malloc(sizeof(amb_letter));
                return memory ? new (memory) amb_letter(id, self, function) : nullptr;
        }
};

/* One way: at once where that is possible without waiting, otherwise later. Failures are not told. */
template <typename F> void amb_post(OSMetaClassBase *self, uint64_t id, OSDispatchMethod supermethod, F &body)
{
        if (supermethod || amb_method_here(amb_object_of(self), id)) {
                amb_send(self, id, supermethod, body);
                return;
        }
        if (amb_letter<F> *letter = amb_letter<F>::make(id, self, body))
                amb_method_post(amb_object_of(self), id, letter, letter->enter, letter->end);
}

/* To the target of an action. */
template <typename F>
void amb_post_action(OSAction *action, uint64_t id, OSMetaClassBase *self, OSDispatchMethod supermethod, F &body)
{
        if (supermethod) {
                amb_send(self, id, supermethod, body);
                return;
        }
        if (amb_letter<F> *letter = amb_letter<F>::make(id, self, body))
                amb_action_post(action, id, letter, letter->invoke, letter->end);
}

/* --- arguments --- */

/* An object that a message keeps until it has arrived. */
extern "C" void OSObjectRetain(const void *object);
extern "C" void OSObjectRelease(const void *object);
struct amb_kept {
        const void *object;

        explicit amb_kept(const void *kept) : object(kept) { OSObjectRetain(object); }
        amb_kept(const amb_kept &other) : object(other.object) { OSObjectRetain(object); }
        amb_kept &operator=(const amb_kept &) = delete;
        ~amb_kept() { OSObjectRelease(object); }
};

/* A string of at most N - 1 bytes; longer ones are cut off, none is an empty one. */
template <size_t N> struct amb_string {
        char text[N];

        explicit amb_string(const char *from)
        {
                size_t length = from ? strnlen(from, N - 1) : 0;
                memcpy(text, from ? from : "", length);
                memset(text + length, 0, N - length);
        }
        const char *pass() const { return text; }
};

/* An array of which the caller has said how many elements count; the message owns them. NULL stays NULL. */
template <typename T, size_t N> struct amb_array {
        T items[N];
        bool given;

        amb_array(const T *from, size_t count) : items(), given(from)
        {
                if (from && count > 0)
                        memcpy(items, from, (count < N ? count : N) * sizeof(T));
        }
        const T *pass() const { return given ? items : nullptr; }
};

/* The same while the caller waits: nothing is copied. */
template <typename T, size_t N> struct amb_array_in {
        const T *items;

        amb_array_in(const T *from, size_t) : items(from) {}
        const T *pass() const { return items; }
};

/*
 * What the method writes; the caller's variables change when it has succeeded. Never more elements than the caller has said that
 * there is room for.
 */
template <typename T, size_t N> struct amb_array_out {
        T items[N];
        T *to;
        size_t room;

        amb_array_out(T *target, size_t count) : items(), to(target), room(target ? (count < N ? count : N) : 0)
        {
                if (room > 0)
                        memcpy(items, to, room * sizeof(T));
        }
        T *pass() { return items; }
        void deliver(size_t count)
        {
                if (room > 0 && count > 0)
                        memcpy(to, items, (count < room ? count : room) * sizeof(T));
        }
};

template <typename T> struct amb_out {
        T item;
        T *to;

        explicit amb_out(T *target) : item(target ? *target : T()), to(target) {}
        T *pass() { return &item; }
        void deliver()
        {
                if (to)
                        *to = item;
        }
};

/* An object with a reference for the caller. */
template <typename T> struct amb_out_object {
        T *item;
        T **to;
        const OSMetaClass *meta;

        amb_out_object(T **target, const OSMetaClass *wanted) : item(nullptr), to(target), meta(wanted) {}
        T **pass() { return &item; }
        bool fits()
        {
                if (amb_is_a(item, meta))
                        return true;
                OSObjectRelease(item);
                return false;
        }
        void deliver()
        {
                if (to)
                        *to = item;
                else
                        OSObjectRelease(item);
        }
};

/* --- actions --- */

class OSString;
extern "C" {
OSString *OSStringCreate(const char *cString, size_t length);
kern_return_t OSAction_CreateWithTypeName(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
                                          OSString *typeName, OSAction **action);
}

inline kern_return_t amb_action_create(OSMetaClassBase *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
                                       const char *type, OSAction **action)
{
        OSString *name = OSStringCreate(type, strlen(type));
        if (!name)
                return kIOReturnNoMemory;
        kern_return_t code = OSAction_CreateWithTypeName(amb_object_of(target), targetmsgid, msgid, referenceSize, name, action);
        OSObjectRelease(name);
        return code;
}

/* --- when the program is loaded --- */

/* The vtable pointer of T, as it stands in an object that C++ made. */
template <typename T> void *amb_vtable()
{
        static_assert(alignof(T) <= alignof(max_align_t), "objects come from malloc");
        alignas(T) unsigned char memory[sizeof(T)] = {};
        T *object = new (memory) T;
        void *first;
        memcpy(&first, static_cast<void *>(object), sizeof(first));
        return first;
}

inline void amb_skin_refuse(const OSMetaClass *meta, const char *why)
{
        fprintf(stderr, "ambidext: class %s: %s\n", meta->name, why);
        abort();
}

/* Of a class that is written in C++. */
template <typename T> struct amb_skin_class {
        amb_skin_class()
        {
                const OSMetaClass *meta = T::sGetMetaClass();
                if (meta->super->size > sizeof(typename T::super))
                        amb_skin_refuse(meta, "its base is larger in C than its interface says");
                *const_cast<void **>(meta->skin) = amb_vtable<T>();
        }
};

/* Of one that is written in C: what its objects wear. */
template <typename Face, typename T> struct amb_skin_face {
        amb_skin_face()
        {
                const OSMetaClass *meta = T::sGetMetaClass();
                if (!meta->skin)
                        amb_skin_refuse(meta, "written in C without a place for a C++ skin (AMB_SKIN_PLACE)");
                *const_cast<void **>(meta->skin) = amb_vtable<Face>();
        }
};
#endif
