// What application and driver both know. C++17 and later.
#pragma once

#include <cstdint>

namespace mixer {

// The first character is the most significant byte.
constexpr uint32_t fourCC(const char (&text)[5])
{
    return uint32_t(uint8_t(text[0])) << 24 | uint32_t(uint8_t(text[1])) << 16 | uint32_t(uint8_t(text[2])) << 8 | uint8_t(text[3]);
}

// Selectors.
enum class Command : uint32_t {
    gain = fourCC("gain"),      // channel, thousandths -> thousandths before
    mix = fourCC("mixb"),       // int16 samples, channel after channel -> as many as one channel has, mixed
    text = fourCC("text"),      // "gain 2 500", "mute 1", "reset" -> number of changes
    list = fourCC("list"),      // -> variable: ChannelInfo, loudest first
    statistics = fourCC("stat"),   // -> blocks, clipped samples, channels that live, ticks
    ticks = fourCC("tick"),     // async; how many, nanoseconds between two: one completion with their number
    lookup = fourCC("look"),    // channel -> whether channels from that number on equal the mixer's, all of them and the last
};

constexpr uint32_t kChannels = 4;
constexpr uint32_t kUnity = 1000;

struct ChannelInfo {
    uint32_t id;
    uint32_t gain;
    char name[8];
};

} // namespace mixer
