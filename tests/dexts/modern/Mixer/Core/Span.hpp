#pragma once
// Bytes of OSData as what they are.

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include <DriverKit/OSData.h>

namespace mixer::core {

template <typename T>
[[nodiscard]] std::span<const T> spanOf(const OSData *data) noexcept
{
    static_assert(std::is_trivially_copyable_v<T>);
    if (data == nullptr || data->getLength() % sizeof(T) != 0) {
        return {};
    }
    return { static_cast<const T *>(data->getBytesNoCopy()), data->getLength() / sizeof(T) };
}

template <typename Range>
[[nodiscard]] OSData *dataOf(const Range &range) noexcept
{
    return OSData::withBytes(std::data(range), std::size(range) * sizeof(*std::data(range)));
}

} // namespace mixer::core
