// SPDX-License-Identifier: Apache-2.0
// As found: CFSTR as a constant in C++, with the warnings that careful programs ask for.
// run-client: g++ clang++ -std=c++20 -Wall -Wextra -Wold-style-cast -Wcast-qual -Werror -Wno-unused-command-line-argument
#include <CoreFoundation/CoreFoundation.h>

#include <array>

namespace {
const CFStringRef kName = CFSTR("Name");
const std::array<CFStringRef, 2> kKeys = { CFSTR("One"), CFSTR("Two") };

struct Watcher {
    CFStringRef mode = CFSTR("watching");
    static inline const CFStringRef label = CFSTR("label");
};
}

CFIndex total();
CFIndex total()
{
    CFIndex sum = CFStringGetLength(kName) + CFStringGetLength(Watcher().mode) + CFStringGetLength(Watcher::label);

    for (CFStringRef key : kKeys)
        sum += CFStringGetLength(key);
    return sum;
}
