/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The layout test of the C++ skin: a class Shape made in C, its C++ face CxxShape with virtual methods, a C++ subclass
 * CxxSquare whose objects the C runtime makes, and a C subclass Circle that C++ sees through the same face.
 *
 *      test-skin.c    Shape, Circle, main
 *      test-skin.cpp  CxxObject, CxxShape, CxxSquare
 */
#include "base/test-check.h"

#ifndef __cplusplus
#include <DriverKit/OSObject.h>
#else
#include <ambidext/class.h>

/* In C++ <DriverKit/OSObject.h> is what iig makes of it; here C++ sees the C object as C does. */
extern "C" {
struct OSObject {
        void *skin;
        uint32_t references;
        uint32_t filler;
        const OSMetaClass *meta;
};
#define OSObject_init_ID 0x4f534f626a000001ull
#define OSObject_free_ID 0x4f534f626a000002ull
#define OSObject_isEqualTo_ID 0x4f534f626a000003ull
bool OSObject_init(OSObject *self);
void OSObject_free(OSObject *self);
bool OSObject_isEqualTo(const OSObject *self, const OSObject *other);
OSObject *amb_object_new(const OSMetaClass *meta);
void (*amb_object_method(const OSObject *object, uint64_t id))(void);
void (*amb_class_method(const OSMetaClass *meta, uint64_t id))(void);
#define amb_invoke(object, Class, Method, ...)                                                                          \
        (((__typeof__(&Class##_##Method))amb_object_method((const OSObject *)(object), Class##_##Method##_ID))(         \
                (struct Class *)(object), ##__VA_ARGS__))
#endif

/* The C class. The odd int at the end leaves padding, which a C++ subclass may use and a C subclass does not. */
typedef struct Shape {
        OSObject object;
        uint64_t colour;
        int32_t side;
} Shape;

typedef struct Circle {
        Shape shape;
        int32_t areas;
} Circle;

extern const OSMetaClass gShapeMetaClass, gCircleMetaClass, gCxxSquareMetaClass;

/* Where the C++ side puts its vtable pointer for Shape's instances. */
extern void *shape_skin;

#define Shape_area_ID 0x5368617065000001ull
#define Shape_scale_ID 0x5368617065000002ull
#define Shape_describe_ID 0x5368617065000003ull

/* Shape's own implementations. */
int64_t Shape_area(Shape *self);                        /* side */
void Shape_scale(Shape *self, int32_t by);              /* side *= by */
int64_t Shape_describe(Shape *self, int64_t base);      /* base + the virtual area() */

/* What each language sees: sizeof(OSObject), the offsets of references and meta, sizeof(Shape) and the offsets in it. */
enum { LAYOUT_FACTS = 8 };
void layout_in_cxx(size_t facts[LAYOUT_FACTS]);

/* C++: calls the virtual methods of an object that it knows as CxxShape only. */
int64_t cxx_area(void *shape);
void cxx_scale(void *shape, int32_t by);
bool cxx_is_equal(void *one, void *other);
int cxx_squares_freed(void);
/* C++: makes a square through the C runtime, with one reference. */
void *cxx_square_new(int32_t side);

#ifdef __cplusplus
}
#endif
