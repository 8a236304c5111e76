// SPDX-License-Identifier: Apache-2.0
#include <os/log.h>
#include <DriverKit/IOLib.h>

#include "Bank.h"

extern "C" uint64_t BankTry(OSObject * vault);

kern_return_t IMPL(Bank, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    Vault * tall = nullptr;

    if (ret == kIOReturnSuccess)
        ret = CopyVault(kVaultTall, &tall);     // C++ here, C below
    // C++ reaches what C overrides, and C what C++ overrides.
    if (ret == kIOReturnSuccess && (tall->put(1) != 1001 || tall->twice(1) != 3003 || tall->total() != 3003))
        ret = kIOReturnInternalError;
    OSSafeReleaseNULL(tall);
    return ret == kIOReturnSuccess ? RegisterService() : ret;
}

kern_return_t Bank::NewUserClient_Impl(uint32_t type, IOUserClient ** userClient)
{
    IOService * client = nullptr;
    kern_return_t ret = Create(this, "UserClientProperties", &client);

    if (ret == kIOReturnSuccess)
        *userClient = OSDynamicCast(IOUserClient, client);
    return ret;
}

kern_return_t Bank::CopyVault_Impl(uint32_t kind, Vault ** vault)
{
    if (kind != kVaultSafe)
        return CopyVault(kind, vault, SUPERDISPATCH);
    Safe * safe = OSTypeAlloc(Safe);
    if (!safe || !safe->init()) {
        OSSafeReleaseNULL(safe);
        return kIOReturnNoMemory;
    }
    *vault = safe;
    return kIOReturnSuccess;
}

struct Safe_IVars {
    uint64_t puts;
};

bool Safe::init()
{
    return super::init() && (ivars = IONewZero(Safe_IVars, 1)) != nullptr;
}

void Safe::free()
{
    IOSafeDeleteNULL(ivars, Safe_IVars, 1);
    super::free();
}

uint64_t Safe::put(uint64_t amount)
{
    ivars->puts++;
    return super::put(2 * amount);
}

uint64_t Safe::total() const
{
    return super::total() + 1000000 * ivars->puts;
}

// For the user client, which is written in C: an object goes through C++ and back.
extern "C" uint64_t BankTry(OSObject * object)
{
    Vault * vault = OSDynamicCast(Vault, object);

    if (!vault)
        return 0;
    vault->put(5);
    return vault->total() + (OSDynamicCast(Safe, vault) ? 7 : 0);
}
