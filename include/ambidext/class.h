/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a class is, for C and for C++: constant tables, read by any thread. The objects themselves: <DriverKit/OSObject.h> in C;
 * in C++ they are what iig generates (docs/IIG.md).
 */
#include <stddef.h>
#include <stdint.h>

typedef struct OSMetaClass OSMetaClass;

/* The name of a class whose objects are passed about, in a header of both languages. */
#ifdef __cplusplus
#define AMB_CLASS(Name) class Name
#else
#define AMB_CLASS(Name) typedef struct Name Name
#endif

/*
 * A method of a class: its 64-bit id (unique within a class and its superclasses) and the implementation. Of a service's method
 * also the name of the queue that it runs on (IOService_SetDispatchQueue; NULL: the default queue), and of one that an OSAction
 * calls, the class of that action (OSDefineAction; NULL: any). An override has both from the method that it overrides unless it
 * names its own. Strings live as long as the class.
 */
struct amb_method {
        uint64_t id;
        void (*function)(void);
        const char *queue;
        const char *action;
};

/*
 * A class. Constant, lives as long as the program or bundle that defines it. A driver bundle exports each of its classes as
 * `const OSMetaClass gNAMEMetaClass` (write OSDefineMetaClass below); the host finds it by that symbol.
 */
struct OSMetaClass {
        const char *name;                       /* C identifier, at most 127 bytes */
        const OSMetaClass *super;               /* NULL only for OSObject */
        size_t size;                            /* bytes of an instance, the superclass's instance first */
        const struct amb_method *methods;       /* ends with AMB_METHODS_END */
        void *const *skin;                      /* NULL, or where a C++ skin puts its vtable pointer for instances */
};

#define OSTypeID(Class) (&g##Class##MetaClass)

/* Of a class that is written in C, for `skin`: the place for the vtable pointer, so that C++ can call it and derive from it. */
#ifndef __cplusplus
#define AMB_SKIN_PLACE ((void *[1]){ NULL })
#else
#define AMB_SKIN_PLACE NULL
#endif

#define AMB_METHOD(method_id, implementation) { (method_id), (void (*)(void))(implementation), NULL, NULL }
#define AMB_METHODS_END { 0, NULL, NULL, NULL }
/* An own method on a queue of its own: declares that name for the class and its subclasses. */
#define AMB_METHOD_ON(queue_name, method_id, implementation)                                                            \
        { (method_id), (void (*)(void))(implementation), (queue_name), NULL }
/* Methods that actions call; Class_Method_ID is the id. See OSDefineAction in <DriverKit/OSAction.h>. */
#define AMB_ACTION_METHOD(Class, Method, implementation) AMB_ACTION_METHOD_ON(NULL, Class, Method, implementation)
#define AMB_ACTION_METHOD_ON(queue_name, Class, Method, implementation)                                                 \
        { Class##_##Method##_ID, (void (*)(void))(implementation), (queue_name), "OSAction_" #Class "_" #Method }

/*
 * A type of blocks: AMB_BLOCK_TYPE(Name, result, arguments). A compiler without blocks sees a pointer: what another one made
 * can be handed on.
 */
#ifdef __BLOCKS__
#define AMB_BLOCK_TYPE(name, result, ...) typedef result (^name)(__VA_ARGS__)
#else
#define AMB_BLOCK_TYPE(name, result, ...) typedef void *name
#endif
