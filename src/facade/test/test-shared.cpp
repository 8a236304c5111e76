/* SPDX-License-Identifier: Apache-2.0 */
/* OSSharedPtr: every member, by counting references. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <DriverKit/DriverKit.h>
#include <DriverKit/OSSharedPtr.h>

#include "base/test-check.h"

namespace {

int freed;

void counted_free(OSObject *object)
{
        freed++;
        OSObject_free(object); /* the root's own, as a C class calls it */
}

const amb_method counted_methods[] = { AMB_METHOD(OSObject_free_ID, counted_free), AMB_METHODS_END };

} // namespace

/* A class, and one below it. */
struct Base : OSObject {
        using super = OSObject;
        static const OSMetaClass *sGetMetaClass();
        int number;
};
struct Derived : Base {
        using super = Base;
        static const OSMetaClass *sGetMetaClass();
};
extern const OSMetaClass gBaseMetaClass, gDerivedMetaClass;
static void *base_skin, *derived_skin;
const OSMetaClass gBaseMetaClass = { "Base", &gOSObjectMetaClass, sizeof(Base), counted_methods, &base_skin };
const OSMetaClass gDerivedMetaClass = { "Derived", &gBaseMetaClass, sizeof(Derived), counted_methods, &derived_skin };
const OSMetaClass *Base::sGetMetaClass()
{
        return &gBaseMetaClass;
}
const OSMetaClass *Derived::sGetMetaClass()
{
        return &gDerivedMetaClass;
}
static const amb_skin_class<Base> base_made;
static const amb_skin_class<Derived> derived_made;

namespace {

Derived *make()
{
        return static_cast<Derived *>(OSTypeAlloc(Derived));
}

uint32_t references(const OSObject *object)
{
        return object->getRetainCount();
}

/* Create-style functions, of both kinds. */
void create(Derived **out)
{
        CHECK(*out == nullptr);
        *out = make();
}
void create_shared(OSSharedPtr<Derived> *out)
{
        *out = OSSharedPtr(make(), OSNoRetain);
}

/* What the compiler must refuse, and what it must find by itself. */
using Shared = OSSharedPtr<Derived>;
static_assert(sizeof(Shared) == sizeof(void *));
static_assert(!std::is_constructible_v<Shared, Derived *>, "a bare pointer does not say whose reference it is");
static_assert(!std::is_convertible_v<Derived *, Shared>);
static_assert(!std::is_constructible_v<Shared, Base *, OSNoRetainType>);
static_assert(!std::is_constructible_v<Shared, OSSharedPtr<Base>>);
static_assert(std::is_convertible_v<Shared, OSSharedPtr<Base>> && std::is_convertible_v<std::nullptr_t, Shared>);
static_assert(!std::is_convertible_v<Shared, bool> && std::is_constructible_v<bool, Shared>);
static_assert(std::is_nothrow_move_constructible_v<Shared> && std::is_nothrow_default_constructible_v<Shared>);
static_assert(std::is_same_v<decltype(OSSharedPtr(OSString::withCString("x"), OSNoRetain)), OSSharedPtr<OSString>>);
static_assert(std::is_empty_v<OSRetainType> && std::is_empty_v<OSNoRetainType>);

template <typename P, typename = void> struct temporary_gets : std::false_type {
};
template <typename P> struct temporary_gets<P, std::void_t<decltype(std::declval<P>().get())>> : std::true_type {
};
static_assert(temporary_gets<Shared &>::value && !temporary_gets<Shared>::value);

void construct()
{
        Derived *object = make();
        Shared none, null = nullptr, adopted(object, OSNoRetain);
        CHECK(!none && !null && adopted && references(object) == 1);
        {
                Shared own(object, OSRetain), copy = own, other(none);
                OSSharedPtr<Base> base = own;
                CHECK(references(object) == 4 && base.get() == object && !other);
                Shared moved = std::move(copy);
                OSSharedPtr<Base> moved_base = std::move(own);
                CHECK(references(object) == 4 && !copy && !own && moved == object && moved_base == object);
                Shared tagged(std::move(moved), OSNoRetain);
                OSSharedPtr<Base> tagged_base(std::move(tagged), OSNoRetain);
                CHECK(references(object) == 4 && !moved && !tagged && tagged_base);
                auto deduced = OSSharedPtr(object, OSRetain);
                CHECK(references(object) == 5 && deduced->number == 0 && &*deduced == object);
        }
        CHECK(references(object) == 1 && freed == 0);
}

void assign()
{
        Derived *object = make(), *another = make();
        Shared p(object, OSNoRetain), q(another, OSNoRetain), r;
        OSSharedPtr<Base> base;
        r = p;
        base = r;
        CHECK(references(object) == 3);
        r = *&r;
        base = std::move(r);
        CHECK(references(object) == 2 && !r);
        q = p;
        CHECK(references(object) == 3 && freed == 1);
        Shared &same = q;
        q = std::move(same);
        CHECK(q == p && references(object) == 3);
        q = nullptr;
        base = Shared();
        CHECK(!q && !base && references(object) == 1 && freed == 1);
        p = Shared(make(), OSNoRetain);
        CHECK(freed == 2 && p);
}

void change()
{
        Derived *object = make(), *another = make();
        Shared p(object, OSNoRetain), q;
        p.reset(object, OSRetain); /* retained before it is released */
        CHECK(references(object) == 1 && freed == 0);
        q.reset(another, OSNoRetain);
        swap(p, q);
        CHECK(p.get() == another && q.get() == object && references(object) == 1 && references(another) == 1);
        using std::swap;
        swap(p, q);
        Derived *out = p.detach();
        CHECK(out == object && !p && references(object) == 1 && freed == 0);
        OSObject_release(out);
        q.reset();
        q.reset();
        CHECK(freed == 2 && !q);
}

void attach()
{
        Shared p(make(), OSNoRetain);
        create(p.attach()); /* R7 */
        CHECK(freed == 1 && p && references(p.get()) == 1);
        create_shared(p.attach());
        CHECK(freed == 2 && p && references(p.get()) == 1);
        (void)p.attach();
        CHECK(freed == 3 && !p);
}

/* R8: no constructor, no destructor. */
struct IVars {
        int before;
        OSSharedPtr<Derived> member;
};

void zeroed()
{
        IVars *ivars = static_cast<IVars *>(calloc(1, sizeof(IVars)));
        CHECK(ivars && !ivars->member && ivars->member == nullptr);
        ivars->member = Shared(make(), OSNoRetain);
        create(ivars->member.attach());
        CHECK(freed == 1 && references(ivars->member.get()) == 1);
        ivars->member.reset();
        CHECK(freed == 2 && !ivars->member);
        free(ivars);
}

void compare()
{
        Shared p(make(), OSNoRetain), q(make(), OSNoRetain), same = p, none;
        OSSharedPtr<Base> base = p;
        CHECK(p == same && p != q && p == base && none == nullptr && p != nullptr && p == p.get() && p != q.get());
}

void cast()
{
        OSSharedPtr<Base> base(make(), OSNoRetain), plain = OSMakeShared<Base>();
        Derived *object = static_cast<Derived *>(base.get());
        CHECK(plain && references(plain.get()) == 1 && OSObject_getMetaClass(plain.get()) == OSTypeID(Base));
        Shared derived = OSStaticPtrCast<Derived>(base), dynamic = OSDynamicPtrCast<Derived>(base);
        CHECK(derived == object && dynamic == object && references(object) == 3);
        CHECK(!OSDynamicPtrCast<Derived>(plain) && !OSDynamicPtrCast<Derived>(OSSharedPtr<Base>()));
        CHECK(!OSDynamicPtrCast<Derived>(std::move(plain)) && plain); /* not what it is: it stays where it was */
        CHECK(OSDynamicPtrCast<Base>(std::move(dynamic)) == object && !dynamic);
        CHECK(OSStaticPtrCast<Base>(std::move(derived)) == object && !derived);
        CHECK(references(object) == 1);
        OSSharedPtr<const Derived> constant = OSStaticPtrCast<Derived>(base);
        CHECK(OSConstPtrCast<Derived>(constant) == object && references(object) == 3);
        CHECK(OSConstPtrCast<Derived>(std::move(constant)) == object && !constant);
        CHECK(references(object) == 1);
        auto array = OSMakeShared<OSArray>();
        auto text = OSSharedPtr(OSString::withCString("x"), OSNoRetain);
        CHECK(array->setObject(text.get()) && references(text.get()) == 2);
}

} // namespace

int main()
{
        void (*const tests[])() = { construct, assign, change, attach, zeroed, compare, cast };
        for (auto test : tests) {
                freed = 0;
                test();
        }
        return 0;
}
