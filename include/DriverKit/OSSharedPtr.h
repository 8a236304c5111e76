/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * OSSharedPtr<T>: a pointer that holds one reference of its object and gives it back when it goes. C++17; C sees nothing here.
 *
 *      auto name = OSSharedPtr(OSString::withCString("x"), OSNoRetain);    adopts the reference that withCString has returned
 *      OSSharedPtr<IODispatchQueue> queue;
 *      IODispatchQueue::Create("q", 0, 0, queue.attach());                 takes the reference that Create writes
 *
 * There is no constructor from a bare pointer alone: whoever writes one says whose reference it is. One pointer in size; all
 * zero bytes are null, so memory of IONewZero holds a null one without a constructor, and reset() before IODelete is all the
 * destructor there is. Like a bare pointer it has no lock; the objects' counts may be changed by any thread.
 *
 * T is a class of objects: it has retain() and release(), and for OSMakeShared and OSDynamicPtrCast sGetMetaClass().
 *
 * Contract: memory-and-queues 11.3, rows R7, R8.
 */
#ifdef __cplusplus
#if __cplusplus < 201703L
#error "OSSharedPtr needs C++17"
#endif
#include <cstddef>
#include <type_traits>
#include <utility>

#include <DriverKit/OSCollections.h>

struct OSRetainType {
};
struct OSNoRetainType {
};
inline constexpr OSRetainType OSRetain{};       /* the pointer takes a reference of its own */
inline constexpr OSNoRetainType OSNoRetain{};   /* the pointer takes over the caller's reference */

template <typename T> struct OSSharedPtr;

/* What attach() gives: where a function may write an object with one reference. Lives until the end of the call. */
template <typename T> struct amb_attached {
        explicit amb_attached(OSSharedPtr<T> &target, T **place) noexcept : target(target), place(place) {}
        operator T **() const noexcept { return place; }
        operator OSSharedPtr<T> *() const noexcept { return &target; }

private:
        OSSharedPtr<T> &target;
        T **place;
};

template <typename T> struct OSSharedPtr {
private:
        template <typename U> using from = std::enable_if_t<std::is_convertible_v<U *, T *>>;
        template <typename U> friend struct OSSharedPtr;

        T *pointer;

public:
        constexpr OSSharedPtr() noexcept : pointer(nullptr) {}
        constexpr OSSharedPtr(std::nullptr_t) noexcept : pointer(nullptr) {}
        explicit OSSharedPtr(T *object, OSNoRetainType) noexcept : pointer(object) {}
        explicit OSSharedPtr(T *object, OSRetainType) noexcept : pointer(object) { retain(object); }

        OSSharedPtr(const OSSharedPtr &other) noexcept : pointer(other.pointer) { retain(pointer); }
        template <typename U, typename = from<U>> OSSharedPtr(const OSSharedPtr<U> &other) noexcept : pointer(other.pointer)
        {
                retain(pointer);
        }
        OSSharedPtr(OSSharedPtr &&other) noexcept : pointer(other.detach()) {}
        template <typename U, typename = from<U>> OSSharedPtr(OSSharedPtr<U> &&other) noexcept : pointer(other.detach()) {}
        OSSharedPtr(OSSharedPtr &&other, OSNoRetainType) noexcept : pointer(other.detach()) {}
        template <typename U, typename = from<U>> OSSharedPtr(OSSharedPtr<U> &&other, OSNoRetainType) noexcept
            : pointer(other.detach())
        {
        }
        ~OSSharedPtr() { reset(); }

        OSSharedPtr &operator=(const OSSharedPtr &other) noexcept
        {
                reset(other.pointer, OSRetain);
                return *this;
        }
        template <typename U, typename = from<U>> OSSharedPtr &operator=(const OSSharedPtr<U> &other) noexcept
        {
                reset(other.pointer, OSRetain);
                return *this;
        }
        /* Also from itself, which then stays as it is. */
        OSSharedPtr &operator=(OSSharedPtr &&other) noexcept
        {
                reset(other.detach(), OSNoRetain);
                return *this;
        }
        template <typename U, typename = from<U>> OSSharedPtr &operator=(OSSharedPtr<U> &&other) noexcept
        {
                reset(other.detach(), OSNoRetain);
                return *this;
        }
        OSSharedPtr &operator=(std::nullptr_t) noexcept
        {
                reset();
                return *this;
        }

        /* The object, no reference. Not of a temporary: its reference would be gone with the statement. */
        T *get() const &noexcept { return pointer; }
        T *get() const && = delete;
        T *operator->() const noexcept { return pointer; }
        T &operator*() const noexcept { return *pointer; }
        explicit operator bool() const noexcept { return pointer != nullptr; }

        /* What it held is released last, when it holds the new one: the release may come back here. */
        void reset() noexcept { replace(nullptr); }
        void reset(T *object, OSNoRetainType) noexcept { replace(object); }
        void reset(T *object, OSRetainType) noexcept
        {
                retain(object);
                replace(object);
        }
        /* The object with its reference, which is now the caller's. */
        [[nodiscard]] T *detach() noexcept { return std::exchange(pointer, nullptr); }
        /* Empties it, for a function that writes an object with a reference: of type T ** or OSSharedPtr<T> *. */
        [[nodiscard]] amb_attached<T> attach() &noexcept
        {
                reset();
                return amb_attached<T>(*this, &pointer);
        }

        friend void swap(OSSharedPtr &one, OSSharedPtr &other) noexcept { std::swap(one.pointer, other.pointer); }

private:
        static void retain(T *object) noexcept
        {
                if (object)
                        object->retain();
        }
        void replace(T *object) noexcept
        {
                T *old = std::exchange(pointer, object);
                if (old)
                        old->release();
        }
};

template <typename T, typename U> bool operator==(const OSSharedPtr<T> &one, const OSSharedPtr<U> &other) noexcept
{
        return one.get() == other.get();
}
template <typename T, typename U> bool operator==(const OSSharedPtr<T> &one, U *other) noexcept
{
        return one.get() == other;
}
template <typename T> bool operator==(const OSSharedPtr<T> &one, std::nullptr_t) noexcept
{
        return !one;
}
template <typename T, typename U> bool operator!=(const OSSharedPtr<T> &one, const OSSharedPtr<U> &other) noexcept
{
        return !(one == other);
}
template <typename T, typename U> bool operator!=(const OSSharedPtr<T> &one, U *other) noexcept
{
        return !(one == other);
}
template <typename T> bool operator!=(const OSSharedPtr<T> &one, std::nullptr_t) noexcept
{
        return !!one;
}

/* The same object as another type; a temporary gives its reference, else a new one is taken. */
template <typename T, typename U> OSSharedPtr<T> OSStaticPtrCast(const OSSharedPtr<U> &from) noexcept
{
        return OSSharedPtr<T>(static_cast<T *>(from.get()), OSRetain);
}
template <typename T, typename U> OSSharedPtr<T> OSStaticPtrCast(OSSharedPtr<U> &&from) noexcept
{
        return OSSharedPtr<T>(static_cast<T *>(from.detach()), OSNoRetain);
}
template <typename T, typename U> OSSharedPtr<T> OSConstPtrCast(const OSSharedPtr<U> &from) noexcept
{
        return OSSharedPtr<T>(const_cast<T *>(from.get()), OSRetain);
}
template <typename T, typename U> OSSharedPtr<T> OSConstPtrCast(OSSharedPtr<U> &&from) noexcept
{
        return OSSharedPtr<T>(const_cast<T *>(from.detach()), OSNoRetain);
}

/* If it is of that class or a subclass, else null; a temporary that is of another class keeps its reference. */
template <typename T, typename U> OSSharedPtr<T> OSDynamicPtrCast(const OSSharedPtr<U> &from) noexcept
{
        return OSSharedPtr<T>(static_cast<T *>(amb_object_cast(from.get(), T::sGetMetaClass())), OSRetain);
}
template <typename T, typename U> OSSharedPtr<T> OSDynamicPtrCast(OSSharedPtr<U> &&from) noexcept
{
        T *cast = static_cast<T *>(amb_object_cast(from.operator->(), T::sGetMetaClass()));
        if (cast)
                (void)from.detach();
        return OSSharedPtr<T>(cast, OSNoRetain);
}

/* OSTypeAlloc: allocated, init not called; null without memory. */
template <typename T> OSSharedPtr<T> OSMakeShared() noexcept
{
        return OSSharedPtr<T>(reinterpret_cast<T *>(amb_object_alloc(T::sGetMetaClass())), OSNoRetain);
}
#endif
