/* SPDX-License-Identifier: Apache-2.0 */
#include "VaultTypes.h"

#include <DriverKit/IOLib.h>

struct Vault_State {
        uint64_t sum;
};

bool Vault_init(OSObject *self)
{
        Vault *vault = (Vault *)self;

        if (!OSObject_init(self))
                return false;
        vault->ivars = IONewZero(struct Vault_State, 1);
        return vault->ivars != NULL;
}

void Vault_free(OSObject *self)
{
        Vault *vault = (Vault *)self;

        IOSafeDeleteNULL(vault->ivars, struct Vault_State, 1);
        OSObject_free(self);
}

uint64_t Vault_put(Vault *self, uint64_t amount)
{
        return self->ivars->sum += amount;
}

uint64_t Vault_total(const Vault *self)
{
        return self->ivars->sum;
}

uint64_t Vault_twice(Vault *self, uint64_t amount)
{
        amb_invoke(self, Vault, put, amount);
        return amb_invoke(self, Vault, put, amount);
}

static const struct amb_method vault_methods[] = {
        AMB_OVERRIDE(OSObject, init, Vault_init),
        AMB_OVERRIDE(OSObject, free, Vault_free),
        AMB_OVERRIDE(Vault, put, Vault_put),
        AMB_OVERRIDE(Vault, total, Vault_total),
        AMB_METHODS_END,
};
OSDefineMetaClass(Vault, OSObject, vault_methods);

/* --- a subclass in C of the class in C: what goes in is counted as a thousand more --- */

struct TallVault_State {
        uint64_t puts;
};

static bool tall_init(OSObject *self)
{
        TallVault *tall = (TallVault *)self;

        return Vault_init(self) && (tall->ivars = IONewZero(struct TallVault_State, 1));
}

static void tall_free(OSObject *self)
{
        IOSafeDeleteNULL(((TallVault *)self)->ivars, struct TallVault_State, 1);
        Vault_free(self);
}

static uint64_t tall_put(Vault *self, uint64_t amount)
{
        ((TallVault *)self)->ivars->puts++;
        return Vault_put(self, amount + 1000);
}

static const struct amb_method tall_methods[] = {
        AMB_OVERRIDE(OSObject, init, tall_init),
        AMB_OVERRIDE(OSObject, free, tall_free),
        AMB_OVERRIDE(Vault, put, tall_put),
        AMB_METHODS_END,
};
OSDefineMetaClass(TallVault, Vault, tall_methods);

/* --- the desk --- */

kern_return_t Desk_CopyVault(Desk *self, uint32_t kind, Vault **vault)
{
        const OSMetaClass *meta = kind == kVaultPlain ? OSTypeID(Vault) : OSTypeID(TallVault);

        if (kind > kVaultTall)
                return kIOReturnNotFound;
        *vault = (Vault *)amb_object_new(meta);
        return *vault ? kIOReturnSuccess : kIOReturnNoMemory;
}

static const struct amb_method desk_methods[] = {
        AMB_OVERRIDE(Desk, CopyVault, Desk_CopyVault),
        AMB_METHODS_END,
};
OSDefineMetaClass(Desk, IOService, desk_methods);
