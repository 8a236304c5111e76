/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DialShared_h
#define DialShared_h

#include <stdint.h>

typedef struct {
    uint64_t foo;
    uint64_t bar;
} DialStruct;

typedef struct {
    DialStruct many[300];       /* more than travels inside a message */
} DialLargeStruct;

/* Eight 64-bit values. */
typedef struct {
    uint32_t version;
    uint32_t position;
    char     message[56];
} DialPayload;

enum {
    kDialScalar = 0,    /* in: how far; out: the position */
    kDialStruct,        /* in, out: DialStruct; adds the position */
    kDialLarge,         /* in, out: DialLargeStruct; the same for each */
    kDialRegister,      /* asynchronous: completes when the bell rings, with a DialPayload */
    kDialLater,         /* in: milliseconds until the bell */
    kDialError          /* in: the code that comes back */
};

#endif
