/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What tests with the echo driver share: a world for each test, and a call. */
#include <stdatomic.h>

#include "base/test-suite.h"
#include "drivers/echo/echo.h"
#include "world.h"

static struct world world;
static const char *const bundles[] = { "drivers/echo.dext", NULL };

static inline void setup(void)
{
        world_start(&world, bundles);
}

static inline void teardown(void)
{
        world_stop(&world);
}

/* A call that gives back what it was given: 0, its error, or -1, something else has come back. */
static inline kern_return_t nop(io_connect_t connection)
{
        static _Atomic uint64_t turn;
        uint64_t value = ++turn, in[2] = { value, ~value }, out[2] = { 0, 0 };
        uint32_t count = 2;
        kern_return_t code = IOConnectCallScalarMethod(connection, kEchoNop, in, 2, out, &count);

        return code ? code : count == 2 && out[0] == value && out[1] == ~value ? 0 : -1;
}
