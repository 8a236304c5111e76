/* SPDX-License-Identifier: Apache-2.0 */
#include "test-skin.h"

int64_t Shape_area(Shape *self)
{
        return self->side;
}

void Shape_scale(Shape *self, int32_t by)
{
        self->side *= by;
}

int64_t Shape_describe(Shape *self, int64_t base)
{
        return base + amb_invoke(self, Shape, area);
}

static bool shape_is_equal(const OSObject *self, const OSObject *other)
{
        const Shape *shape = OSDynamicCast(Shape, other);
        return shape && shape->side == ((const Shape *)self)->side;
}

static const struct amb_method shape_methods[] = {
        AMB_OVERRIDE(Shape, area, Shape_area),
        AMB_OVERRIDE(Shape, scale, Shape_scale),
        AMB_OVERRIDE(Shape, describe, Shape_describe),
        AMB_OVERRIDE(OSObject, isEqualTo, shape_is_equal),
        AMB_METHODS_END,
};

void *shape_skin;
const OSMetaClass gShapeMetaClass = { "Shape", &gOSObjectMetaClass, sizeof(Shape), shape_methods, &shape_skin };

/* A subclass in C without a skin of its own: it wears Shape's, and C++ still reaches its override. */
static int64_t circle_area(Shape *self)
{
        ((Circle *)self)->areas++;
        return 3 * (int64_t)self->side * self->side;
}

static const struct amb_method circle_methods[] = {
        AMB_OVERRIDE(Shape, area, circle_area),
        AMB_METHODS_END,
};
OSDefineMetaClass(Circle, Shape, circle_methods);

static void check_layout(void)
{
        const size_t in_c[LAYOUT_FACTS] = {
                sizeof(OSObject),
                offsetof(OSObject, skin),
                offsetof(OSObject, references),
                offsetof(OSObject, meta),
                sizeof(Shape),
                offsetof(Shape, colour),
                offsetof(Shape, side),
                _Alignof(Shape),
        };
        size_t in_cxx[LAYOUT_FACTS] = { 0 };
        layout_in_cxx(in_cxx);
        for (size_t i = 0; i < LAYOUT_FACTS; i++) {
                if (in_c[i] != in_cxx[i])
                        fprintf(stderr, "fact %zu: %zu in C, %zu in C++\n", i, in_c[i], in_cxx[i]);
                CHECK(in_c[i] == in_cxx[i]);
        }
        CHECK(sizeof(OSObject) == 24);
}

/* Objects of C classes: C++ calls arrive at the C implementations, overridden ones too. */
static void check_c_objects(void)
{
        Shape *shape = (Shape *)amb_object_new(OSTypeID(Shape));
        Circle *circle = (Circle *)amb_object_new(OSTypeID(Circle));
        CHECK(shape && circle);
        CHECK(shape->object.skin == shape_skin && circle->shape.object.skin == shape_skin);
        shape->side = 5;
        circle->shape.side = 2;
        CHECK(cxx_area(shape) == 5);
        CHECK(cxx_area(circle) == 12);
        CHECK(circle->areas == 1);
        cxx_scale(circle, 2);
        CHECK(circle->shape.side == 4);
        CHECK(amb_invoke(circle, Shape, describe, 100) == 148);
        CHECK(!cxx_is_equal(shape, circle));
        circle->shape.side = 5;
        CHECK(cxx_is_equal(shape, circle));
        OSObject_release(shape);
        OSObject_release(circle);
}

/* Objects of the C++ class: C calls arrive at the C++ overrides, and what these call on super at Shape's functions. */
static void check_cxx_objects(void *square, int32_t side)
{
        CHECK(OSDynamicCast(Shape, square) == square);
        CHECK(OSDynamicCast(Circle, square) == NULL);
        CHECK(OSObject_getRetainCount(square) == 1);
        CHECK(((Shape *)square)->side == side);
        CHECK(amb_invoke(square, Shape, area) == (int64_t)side * side);
        CHECK(Shape_area(square) == side);
        CHECK(cxx_area(square) == (int64_t)side * side);
        /* C base implementation -> virtual call -> C++ override */
        CHECK(amb_invoke(square, Shape, describe, 1000) == 1000 + (int64_t)side * side);
        /* not overridden in C++: the C base implementation, by either way */
        amb_invoke(square, Shape, scale, 3);
        CHECK(((Shape *)square)->side == 3 * side);
        cxx_scale(square, 2);
        CHECK(((Shape *)square)->side == 6 * side);
        CHECK(amb_invoke(square, OSObject, isEqualTo, square));
        int freed = cxx_squares_freed();
        OSObject_retain(square);
        OSObject_release(square);
        CHECK(cxx_squares_freed() == freed);
        OSObject_release(square);
        CHECK(cxx_squares_freed() == freed + 1);
}

int main(void)
{
        check_layout();
        check_c_objects();
        OSObject *made_in_c = amb_object_new(&gCxxSquareMetaClass);
        CHECK(made_in_c);
        CHECK(made_in_c->skin && made_in_c->skin != shape_skin);
        CHECK(((Shape *)made_in_c)->side == 7); /* the C++ init has run */
        check_cxx_objects(made_in_c, 7);
        check_cxx_objects(cxx_square_new(9), 9);
        CHECK(cxx_square_new(-1) == NULL); /* init refused */
        CHECK(cxx_squares_freed() == 3);
        return 0;
}
