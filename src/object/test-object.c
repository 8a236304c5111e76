/* SPDX-License-Identifier: Apache-2.0 */
/* Birth, counting, classes. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "object/value.h"

/* Two classes of a driver: a shape, and a square that overrides one of its two methods and free. */
struct Shape {
        OSObject object;
        int side;
};
struct Square {
        struct Shape shape;
        int *freed;
};
typedef struct Shape Shape;

#define Shape_area_ID 0x5368617065000001ull
#define Shape_corners_ID 0x5368617065000002ull
static int Shape_area(Shape *self)
{
        return self->side;
}
static int Shape_corners(Shape *self, int extra)
{
        return extra;
}
static const struct amb_method shape_methods[] = {
        AMB_METHOD(Shape_area_ID, Shape_area),
        AMB_METHOD(Shape_corners_ID, Shape_corners),
        AMB_METHODS_END,
};
OSDefineMetaClass(Shape, OSObject, shape_methods);

static int square_area(Shape *self)
{
        return self->side * Shape_area(self);
}
static void square_free(OSObject *object)
{
        struct Square *square = (struct Square *)object;
        if (square->freed)
                ++*square->freed;
        /* As drivers do: something that free calls holds the object for a moment. */
        OSObject_retain(object);
        OSObject_release(object);
        OSObject_free(object);
}
static const struct amb_method square_methods[] = {
        AMB_OVERRIDE(Shape, area, square_area),
        AMB_OVERRIDE(OSObject, free, square_free),
        AMB_METHODS_END,
};
OSDefineMetaClass(Square, Shape, square_methods);

static struct Square *square_new(int side, int *freed)
{
        struct Square *square = (struct Square *)amb_object_new(OSTypeID(Square));
        ck_assert_ptr_nonnull(square);
        square->shape.side = side;
        square->freed = freed;
        return square;
}

START_TEST(allocated_zeroed_with_one_reference)
{
        struct Square *square = OSTypeAlloc(Square);
        ck_assert_uint_eq(OSObject_getRetainCount(square), 1);
        ck_assert_ptr_null(square->freed);
        ck_assert_int_eq(square->shape.side, 0);
        ck_assert_ptr_eq(OSObject_getMetaClass(square), OSTypeID(Square));
        ck_assert_str_eq(OSObject_GetClassName(square), "Square");
        OSObject_release(square);
        ck_assert_ptr_null(amb_object_alloc(NULL));
        ck_assert_ptr_null(amb_object_alloc_extra(OSTypeID(Square), SIZE_MAX - 8));
        static const OSMetaClass small = { "Small", &gOSObjectMetaClass, sizeof(OSObject) - 1, NULL, NULL };
        ck_assert_ptr_null(amb_object_alloc(&small));
}
END_TEST

START_TEST(freed_once_after_the_last_release)
{
        int freed = 0;
        struct Square *square = square_new(2, &freed);
        OSObject_retain(square);
        ck_assert_uint_eq(OSObject_getRetainCount(square), 2);
        OSObjectRelease(square);
        ck_assert_int_eq(freed, 0);
        OSSafeReleaseNULL(square);
        ck_assert_int_eq(freed, 1);
        ck_assert_ptr_null(square);
        OSObject_retain(NULL);
        OSObject_release(NULL);
}
END_TEST

START_TEST(methods_follow_the_superclasses)
{
        Shape *square = (Shape *)square_new(3, NULL);
        ck_assert_int_eq(amb_invoke(square, Shape, area), 9);
        ck_assert_int_eq(amb_invoke(square, Shape, corners, 4), 4);
        ck_assert_int_eq(Shape_area(square), 3);
        ck_assert(amb_invoke(square, OSObject, isEqualTo, &square->object));
        ck_assert(!amb_invoke(square, OSObject, isEqualTo, NULL));
        ck_assert_ptr_null(amb_class_method(OSTypeID(Square), 1));
        ck_assert_ptr_null(amb_class_method(OSTypeID(OSObject), Shape_area_ID));
        OSObject_release(square);
}
END_TEST

START_TEST(unknown_method_aborts)
{
        amb_object_method(&kOSBooleanTrue->object, Shape_area_ID);
}
END_TEST

START_TEST(casts)
{
        struct Square *square = square_new(1, NULL);
        OSString *string = OSStringCreate("x", 1);
        ck_assert_ptr_eq(OSDynamicCast(Shape, square), square);
        ck_assert_ptr_eq(OSRequiredCast(OSObject, square), square);
        ck_assert_ptr_null(OSDynamicCast(Square, string));
        ck_assert_ptr_null(OSDynamicCast(OSData, string)); /* R2 */
        ck_assert_ptr_null(OSDynamicCast(Shape, NULL));    /* R1 */
        ck_assert_ptr_null(OSRequiredCast(OSData, NULL));  /* R4 */
        OSObject_release(square);
        OSObject_release(string);
}
END_TEST

START_TEST(required_cast_aborts) /* R3 */
{
        OSRequiredCast(OSData, kOSBooleanTrue);
}
END_TEST

static bool refuse_init(OSObject *self)
{
        return false;
}
static const struct amb_method refusing_methods[] = {
        AMB_OVERRIDE(OSObject, init, refuse_init),
        AMB_METHODS_END,
};
static const OSMetaClass refusing = { "Refusing", &gSquareMetaClass, sizeof(struct Square), refusing_methods, NULL };

START_TEST(refused_init_frees) /* R6; a leak would fail under the leak sanitizer, a double free everywhere */
{
        ck_assert_ptr_null(amb_object_new(&refusing));
}
END_TEST

START_TEST(count_sticks_at_2_31) /* B23 */
{
        int freed = 0;
        struct Square *square = square_new(1, &freed);
        square->shape.object.references = 0x7fffffff;
        OSObject_release(square);
        OSObject_retain(square);
        ck_assert_uint_eq(OSObject_getRetainCount(square), 0x7fffffff);
        OSObject_retain(square);
        ck_assert_uint_eq(OSObject_getRetainCount(square), AMB_REFERENCES_STUCK);
        for (int i = 0; i < 1000; i++)
                OSObject_release(square);
        ck_assert_uint_eq(OSObject_getRetainCount(square), AMB_REFERENCES_STUCK);
        /* Threads that were between the look and the addition when it stuck. */
        square->shape.object.references = 0xfffffffe;
        OSObject_retain(square);
        ck_assert_uint_eq(OSObject_getRetainCount(square), AMB_REFERENCES_STUCK);
        square->shape.object.references = 0x80000001;
        OSObject_release(square);
        ck_assert_uint_eq(OSObject_getRetainCount(square), AMB_REFERENCES_STUCK);
        ck_assert_int_eq(freed, 0);
        square->shape.object.references = 1;
        OSObject_release(square);
        ck_assert_int_eq(freed, 1);
}
END_TEST

START_TEST(booleans_are_for_ever) /* R20 */
{
        for (int i = 0; i < 10; i++)
                OSObject_release(kOSBooleanTrue);
        OSObject_retain(kOSBooleanFalse);
        ck_assert_uint_eq(OSObject_getRetainCount(kOSBooleanTrue), AMB_REFERENCES_STUCK);
        ck_assert_ptr_eq(OSDynamicCast(OSBoolean, kOSBooleanTrue), kOSBooleanTrue);
        ck_assert(!OSObjectIsEqual(kOSBooleanTrue, kOSBooleanFalse));
}
END_TEST

static void *retain_and_release(void *object)
{
        for (int i = 0; i < 20000; i++) {
                OSObject_retain(object);
                OSObject_retain(object);
                OSObject_release(object);
                OSObject_release(object);
        }
        OSObject_release(object);
        return NULL;
}

START_TEST(threads_count_together)
{
        int freed = 0;
        pthread_t threads[4];
        struct Square *square = square_new(1, &freed);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(threads); i++) {
                OSObject_retain(square);
                ck_assert_int_eq(pthread_create(&threads[i], NULL, retain_and_release, square), 0);
        }
        OSObject_release(square);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(threads); i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(freed, 1);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("object", allocated_zeroed_with_one_reference, freed_once_after_the_last_release,
                                 methods_follow_the_superclasses, casts, refused_init_frees, count_sticks_at_2_31,
                                 booleans_are_for_ever, threads_count_together);

        tcase_add_test_raise_signal(tests, unknown_method_aborts, SIGABRT);
        tcase_add_test_raise_signal(tests, required_cast_aborts, SIGABRT);
        return run_cases("object", tests);
}
