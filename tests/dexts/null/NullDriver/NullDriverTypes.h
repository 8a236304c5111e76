//
//  NullDriverTypes.h
//  What driver and application say to each other; C and C++.
//

#pragma once

#include <stdint.h>

typedef enum {
    kNullScalar = 0,            /* three values in; their sum and product out */
    kNullScalarUnchecked = 1,   /* the same, but the driver checks by itself */
    kNullStruct = 2,            /* NullSample in and out */
    kNullLargeStruct = 3,       /* any number of bytes above 4096; each comes back complemented. The driver's own */
    kNullOwn = 4,               /* no entry; one value in, one out, handled by ExternalMethod */
    kNullRegister = 6,          /* async: keeps the completion; 5 has no entry and no method */
    kNullAsyncStruct = 7,       /* async: a NullPayload; it comes back by the completion that was kept */
    kNullEither = 8,            /* sync or async: 1 out if a completion came along */
    kNullUnregister = 9,        /* lets the completion go; the driver's own */
    kNullMethodCount
} NullSelector;

typedef struct {
    uint64_t foo;
    uint64_t bar;
} NullSample;

/* Travels as eight values. */
typedef struct {
    uint32_t words[16];
} NullPayload;

enum { kNullPayloadValues = sizeof(NullPayload) / sizeof(uint64_t) };
