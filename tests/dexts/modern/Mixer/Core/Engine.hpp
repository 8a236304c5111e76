#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "../Shared/MixerCommands.h"

namespace mixer {

struct Levels {
    std::array<uint32_t, kChannels> gain{ kUnity, kUnity, kUnity, kUnity };

    [[nodiscard]] constexpr uint32_t sum() const noexcept
    {
        uint32_t total = 0;
        for (auto value : gain) {
            total += value;
        }
        return total;
    }
};

// One change of the levels.
struct Change {
    uint32_t channel;
    uint32_t gain;
};

class Engine {
public:
    using Listener = std::function<void(const Change &)>;

    [[nodiscard]] std::optional<uint32_t> set(Change change);
    [[nodiscard]] std::vector<int16_t> mix(std::span<const int16_t> samples, uint64_t &clipped) const;
    [[nodiscard]] std::optional<uint32_t> execute(std::string_view command);
    void listen(Listener listener) { listeners_.push_back(std::move(listener)); }
    [[nodiscard]] const Levels &levels() const noexcept { return levels_; }

private:
    Levels levels_;
    std::vector<Listener> listeners_;
};

} // namespace mixer
