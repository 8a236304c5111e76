// SPDX-License-Identifier: Apache-2.0
#include "LampBulb.hpp"

uint64_t LampBulb::set(bool wanted)
{
    changes += wanted != on;
    on = wanted;
    return changes;
}
