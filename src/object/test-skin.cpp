/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C++ side of the layout test, written the way a generated skin is:
 *
 *   CxxObject, CxxShape     one class per C class; its virtual methods are the C class's own implementations, which is what a
 *                           subclass reaches by super::method()
 *   ObjectFace, ShapeFace   what an object of a C class wears: every virtual method is the C runtime's virtual call, so that
 *                           overrides in C are reached
 *   CxxSquare               a driver's class: overrides some methods; thunks lead the C runtime's calls to its virtual methods
 *
 * Objects are made by the C runtime, which writes the vtable pointer; no C++ constructor runs on them.
 */
#include <cstddef>
#include <cstring>

#include "test-skin.h"

namespace {

class CxxObject {
public:
        virtual bool init() { return OSObject_init(c()); }
        virtual void free() { OSObject_free(c()); }
        virtual bool isEqualTo(const CxxObject *other) const { return OSObject_isEqualTo(c(), other->c()); }

        OSObject *c() { return reinterpret_cast<OSObject *>(this); }
        const OSObject *c() const { return reinterpret_cast<const OSObject *>(this); }

        /* The rest of the C object; the vtable pointer is its first word. */
        uint32_t references, filler;
        const OSMetaClass *meta;

protected:
        ~CxxObject() = default;
};

class CxxShape : public CxxObject {
public:
        bool isEqualTo(const CxxObject *other) const override
        {
                using function = bool (*)(const OSObject *, const OSObject *);
                return reinterpret_cast<function>(amb_class_method(&gShapeMetaClass, OSObject_isEqualTo_ID))(c(), other->c());
        }
        virtual int64_t area() { return Shape_area(shape()); }
        virtual void scale(int32_t by) { Shape_scale(shape(), by); }

        Shape *shape() { return reinterpret_cast<Shape *>(this); }

        uint64_t colour;
        int32_t side;

protected:
        ~CxxShape() = default;
};

class ShapeFace final : public CxxShape {
public:
        bool init() override { return amb_invoke(c(), OSObject, init); }
        void free() override { amb_invoke(c(), OSObject, free); }
        bool isEqualTo(const CxxObject *other) const override { return amb_invoke(c(), OSObject, isEqualTo, other->c()); }
        int64_t area() override { return amb_invoke(shape(), Shape, area); }
        void scale(int32_t by) override { amb_invoke(shape(), Shape, scale, by); }
};

int squares_freed;
int32_t next_side = 7;

class CxxSquare : public CxxShape {
public:
        bool init() override
        {
                if (!CxxShape::init())
                        return false;
                side = next_side;
                /* A subclass's own fields must not overlap what C knows of the superclass. */
                std::memset(extra, 0x55, sizeof(extra));
                return side >= 0 && side == next_side;
        }
        void free() override
        {
                squares_freed++;
                CxxShape::free();
        }
        int64_t area() override { return CxxShape::area() * side; }

        char extra[40];
};

/* A vtable pointer, found in an instance that C++ made. */
template <typename T> void *vtable_of()
{
        static T instance;
        void *first;
        std::memcpy(&first, static_cast<void *>(&instance), sizeof(first));
        return first;
}

void *square_skin;

/* Before main, as a bundle does when it is loaded. */
struct Skins {
        Skins()
        {
                shape_skin = vtable_of<ShapeFace>();
                square_skin = vtable_of<CxxSquare>();
        }
} skins;

/* The thunks: the C runtime's call to the C++ virtual method of the object's actual class. */
CxxSquare *square(void *object)
{
        return static_cast<CxxSquare *>(object);
}
bool square_init(OSObject *self)
{
        return square(self)->init();
}
void square_free(OSObject *self)
{
        square(self)->free();
}
bool square_is_equal(const OSObject *self, const OSObject *other)
{
        return reinterpret_cast<const CxxSquare *>(self)->isEqualTo(reinterpret_cast<const CxxObject *>(other));
}
int64_t square_area(Shape *self)
{
        return square(self)->area();
}
void square_scale(Shape *self, int32_t by)
{
        square(self)->scale(by);
}

const amb_method square_methods[] = {
        AMB_METHOD(OSObject_init_ID, square_init),
        AMB_METHOD(OSObject_free_ID, square_free),
        AMB_METHOD(OSObject_isEqualTo_ID, square_is_equal),
        AMB_METHOD(Shape_area_ID, square_area),
        AMB_METHOD(Shape_scale_ID, square_scale),
        AMB_METHODS_END,
};

} // namespace

const OSMetaClass gCxxSquareMetaClass = { "CxxSquare", &gShapeMetaClass, sizeof(CxxSquare), square_methods, &square_skin };

#pragma GCC diagnostic ignored "-Winvalid-offsetof"

void layout_in_cxx(size_t facts[LAYOUT_FACTS])
{
        facts[0] = sizeof(CxxObject);
        facts[1] = 0; /* the vtable pointer is the first word: vtable_of() and every call below rely on it */
        facts[2] = offsetof(CxxObject, references);
        facts[3] = offsetof(CxxObject, meta);
        facts[4] = sizeof(CxxShape);
        facts[5] = offsetof(CxxShape, colour);
        facts[6] = offsetof(CxxShape, side);
        facts[7] = alignof(CxxShape);
        static_assert(sizeof(OSObject) == sizeof(CxxObject), "OSObject has one size");
        static_assert(offsetof(CxxSquare, extra) >= offsetof(Shape, side) + sizeof(int32_t), "fields do not overlap");
}

int64_t cxx_area(void *shape)
{
        return static_cast<CxxShape *>(shape)->area();
}

void cxx_scale(void *shape, int32_t by)
{
        static_cast<CxxShape *>(shape)->scale(by);
}

bool cxx_is_equal(void *one, void *other)
{
        return static_cast<CxxShape *>(one)->isEqualTo(static_cast<CxxObject *>(other));
}

int cxx_squares_freed(void)
{
        return squares_freed;
}

void *cxx_square_new(int32_t side)
{
        next_side = side;
        return amb_object_new(&gCxxSquareMetaClass);
}
