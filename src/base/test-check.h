/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests that are programs of one run, in C and in C++: the first thing that is not true is said, and ends it. */
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                                \
        do {                                                                                                            \
                if (!(condition)) {                                                                                     \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
                        exit(1);                                                                                        \
                }                                                                                                       \
        } while (0)
