#pragma once
/*
 * What the driver and its applications agree on: selectors, and the structures that travel. Members have fixed widths and leave no
 * holes, so that both sides see the same bytes, whatever compiled them.
 */
#include <stdint.h>

enum {
        kNAMEAdd,               /* two numbers in, their sum out */
        kNAMESummarize,         /* struct NAMENumbers in, struct NAMESummary out */
        kNAMECountDown,         /* one number n in, with a completion: it is called n times, with what is left; the last time with 0 */
        kNAMESelectors
};

enum { kNAMENumbersMost = 8, kNAMECountMost = 1000 };

struct NAMENumbers {
        uint32_t count;         /* of the values below */
        uint32_t reserved;
        uint64_t values[kNAMENumbersMost];
};

struct NAMESummary {
        uint64_t sum, least, most;
};
