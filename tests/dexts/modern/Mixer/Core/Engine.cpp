// No DriverKit in here.
#include "Engine.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace mixer {
namespace {

constexpr std::string_view kBlanks = " \t\n";

std::optional<std::string_view> nextWord(std::string_view &rest)
{
    const auto begin = rest.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) {
        return std::nullopt;
    }
    rest.remove_prefix(begin);
    const auto word = rest.substr(0, rest.find_first_of(kBlanks));
    rest.remove_prefix(word.size());
    return word;
}

std::optional<uint32_t> nextNumber(std::string_view &rest)
{
    const auto word = nextWord(rest);
    uint32_t number = 0;
    if (!word) {
        return std::nullopt;
    }
    const auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), number);
    return error == std::errc{} && end == word->data() + word->size() ? std::optional(number) : std::nullopt;
}

} // namespace

std::optional<uint32_t> Engine::set(Change change)
{
    if (change.channel >= levels_.gain.size()) {
        return std::nullopt;
    }
    const auto before = std::exchange(levels_.gain[change.channel], change.gain);
    std::for_each(listeners_.begin(), listeners_.end(), [&](const Listener &listener) { listener(change); });
    return before;
}

std::vector<int16_t> Engine::mix(std::span<const int16_t> samples, uint64_t &clipped) const
{
    using limits = std::numeric_limits<int16_t>;
    const size_t frames = samples.size() / kChannels;
    std::vector<int64_t> sums(frames);

    for (uint32_t channel = 0; channel < kChannels; channel++) {
        const auto from = samples.subspan(channel * frames, frames);
        std::transform(from.begin(), from.end(), sums.begin(), sums.begin(),
                       [gain = levels_.gain[channel]](int64_t sample, int64_t sum) { return sum + sample * gain; });
    }
    std::vector<int16_t> mixed;
    mixed.reserve(frames);
    for (auto sum : sums) {
        const int64_t sample = sum / kUnity, kept = std::clamp<int64_t>(sample, limits::min(), limits::max());
        clipped += kept != sample;
        mixed.push_back(static_cast<int16_t>(kept));
    }
    return mixed;
}

std::optional<uint32_t> Engine::execute(std::string_view command)
{
    const auto verb = nextWord(command);
    if (verb == "reset") {
        for (uint32_t channel = 0; channel < kChannels; channel++) {
            (void)set({ channel, kUnity });
        }
        return kChannels;
    }
    const auto channel = nextNumber(command);
    const auto gain = verb == "mute" ? std::optional<uint32_t>(0) : verb == "gain" ? nextNumber(command) : std::nullopt;
    if (!channel || !gain || nextWord(command)) {
        return std::nullopt;
    }
    return set({ *channel, *gain }).has_value() ? std::optional<uint32_t>(1) : std::nullopt;
}

} // namespace mixer
