// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

class LampBulb {
public:
    uint64_t set(bool on);
private:
    uint64_t changes;
    bool on;
};
