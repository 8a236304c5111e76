/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Bank: the same calls on vaults of C, of C over C, and of C++ over C. */
#include "client.h"
#include "Bank/BankSelectors.h"

static void choose(io_connect_t connect, uint64_t kind, kern_return_t wanted)
{
        CHECK_CODE(IOConnectCallScalarMethod(connect, kBankChoose, &kind, 1, NULL, NULL), wanted);
}

static void check(io_connect_t connect, uint32_t selector, uint64_t amount, uint64_t first, uint64_t second)
{
        uint64_t out[2] = { 0, 0 };
        uint32_t count = 2;

        CHECK_OK(IOConnectCallScalarMethod(connect, selector, &amount, selector == kBankPut, out, &count));
        if (out[0] != first || out[1] != second)
                fprintf(stderr, "selector %u: %llu, %llu\n", selector, (unsigned long long)out[0], (unsigned long long)out[1]);
        CHECK(out[0] == first && out[1] == second);
}

int main(void)
{
        io_connect_t connect = client_open("Bank", 0);
        uint64_t out[2], amount = 1;
        uint32_t count = 2;

        CHECK_CODE(IOConnectCallScalarMethod(connect, kBankPut, &amount, 1, out, &count), kIOReturnNotReady);
        choose(connect, 0, kIOReturnSuccess);
        check(connect, kBankPut, 3, 3, 3);
        check(connect, kBankTry, 0, 8, 10);                     /* 3 + 5; 1 and 1 */
        printf("a vault of C\n");
        choose(connect, 1, kIOReturnSuccess);
        check(connect, kBankPut, 3, 1003, 1003);
        check(connect, kBankTry, 0, 2008, 4010);
        printf("a vault of C over C\n");
        choose(connect, 2, kIOReturnSuccess);
        check(connect, kBankPut, 3, 6, 1000006);
        check(connect, kBankTry, 0, 2000016 + 7, 20);           /* 6 + 10; 2 and 2 */
        printf("a vault of C++ over C\n");
        choose(connect, 3, kIOReturnNotFound);
        check(connect, kBankPut, 0, 20, 5000020);               /* the one before is kept */
        CHECK_OK(IOServiceClose(connect));
        return 0;
}
