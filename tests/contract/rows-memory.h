/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the rows about the driver's own memory share. */
#include "contract.h"
#include "driver/test-memory.h"

/* A map anywhere; it must succeed. */
static inline IOMemoryMap *mapped(void *memory, uint64_t options, uint64_t offset, uint64_t length)
{
        IOMemoryMap *m = NULL;

        ck_code(map(memory, options, 0, offset, length, &m), 0);
        ck_assert_ptr_nonnull(m);
        return m;
}
