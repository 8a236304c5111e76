// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum KeeperSelector
{
    kKeeperSizes = 0,       // in: struct of any size; out: struct of any size, 5 scalars (below)
    kKeeperHold = 1,        // keeps the output's descriptor, and the input's if there is one
    kKeeperFill = 2,        // in: byte, how (0 mapping, 1 DMA addresses, 2 DMA operation); writes what is kept
    kKeeperSum = 3,         // out: length of the kept input, sum of its bytes
    kKeeperDrop = 4,
    kKeeperReach = 5,       // in: KeeperReach; turns the bytes there around, where the application has them
    kKeeperReverse = 6,     // in: 1 to 4096 bytes; out: the same bytes backwards
    kKeeperTooMuch = 7,     // gives a byte more than asked for
    kKeeperLate = 8,        // asynchronous: fills the output after the call, then completes with the length
    kKeeperSelectors
};

struct KeeperSizes
{
    uint64_t inline_input;      // bytes in structureInput
    uint64_t described_input;   // bytes of structureInputDescriptor
    uint64_t described_output;
    uint64_t maximum_output;
    uint64_t completion;        // 1: there is one
};

struct KeeperReach
{
    struct {
        uint64_t address;
        uint64_t length;
    } piece[2];
    uint64_t share;             // 0: only a copy may be turned around
};

#ifdef __cplusplus
}
#endif
