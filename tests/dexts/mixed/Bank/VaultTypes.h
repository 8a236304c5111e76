/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Vaults and the desk that gives them out, in C. C++ has the same classes by Vault.iig; the C functions are Class_Method(self, ...).
 *
 * A vault keeps a sum. Its put and total can be overridden, in either language; twice cannot.
 */
#include <DriverKit/IOService.h>

#define Vault_put_ID 0x5661756c74000001ull
#define Vault_total_ID 0x5661756c74000002ull
#define Desk_CopyVault_ID 0x4465736b00000001ull

enum { kVaultPlain, kVaultTall, kVaultSafe, kVaultNone };

#ifndef __cplusplus
struct Vault_State;
typedef struct Vault {
        OSObject object;
        struct Vault_State *ivars;      /* the pointer that C++ has in its place */
} Vault;

typedef struct TallVault {
        Vault vault;
        struct TallVault_State *ivars;
} TallVault;

struct Desk_State;
typedef struct Desk {
        IOService service;
        struct Desk_State *ivars;
} Desk;

extern const OSMetaClass gVaultMetaClass, gTallVaultMetaClass, gDeskMetaClass;

bool Vault_init(OSObject *self);
void Vault_free(OSObject *self);
uint64_t Vault_put(Vault *self, uint64_t amount);               /* the sum after it */
uint64_t Vault_total(const Vault *self);
uint64_t Vault_twice(Vault *self, uint64_t amount);             /* puts it twice, by what the object's class has for put */

/* *vault: one reference. kIOReturnNotFound: no such kind. */
kern_return_t Desk_CopyVault(Desk *self, uint32_t kind, Vault **vault);
#endif
