//
//  MetronomeKeys.h
//
//  Shared with the application.
//
#pragma once

#include <stdint.h>

enum MetronomeSelector {
    kMetronomeSelectorBeats = 0,    // async; beats, nanoseconds between two: a completion for each, the last with status 1
    kMetronomeSelectorRest,         // async; ticks from now: one completion
    kMetronomeSelectorState,        // pulses of the service, beats, rests
    kMetronomeSelectorEnd,          // ends the service itself
    kMetronomeSelectorCount
};

// What travels with the beats.
struct MetronomeBeat {
    uint64_t number;
    uint64_t due;
    uint64_t at;
    uint64_t left;
};
