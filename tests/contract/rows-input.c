/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.2: what the client may pass, and what the driver then sees. */
#include "contract.h"

DRIVER(12)
{
        D_EXPECT(arguments->scalarInputCount == 16);
        for (uint64_t i = 0; i < 16; i++)
                D_EXPECT(arguments->scalarInput[i] == i * 0x0101010101010101ull);
        return kIOReturnSuccess;
}
KEPT(call_path_012, "16 scalars arrive as 16 scalars")
{
        uint64_t in[16];
        for (uint64_t i = 0; i < 16; i++)
                in[i] = i * 0x0101010101010101ull;
        ck_code(IOConnectCallMethod(contract_open(0), 12, in, 16, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(12), 1);
}
