/* SPDX-License-Identifier: Apache-2.0 */
/* The user client, in C: its provider is in C++, what the provider hands out is in either. */
#include <DriverKit/DriverKit.h>

#include "BankSelectors.h"
#include "VaultTypes.h"

uint64_t BankTry(OSObject *vault);

typedef struct BankUserClient {
        IOUserClient client;
        Vault *vault;
} BankUserClient;

static kern_return_t bank_choose(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        BankUserClient *self = (BankUserClient *)target;
        IOService *bank = IOService_GetProvider(&self->client.service);
        Vault *vault = NULL;
        kern_return_t code = amb_invoke(bank, Desk, CopyVault, (uint32_t)arguments->scalarInput[0], &vault);

        if (code != kIOReturnSuccess)
                return code;
        OSSafeReleaseNULL(self->vault);
        self->vault = vault;
        return kIOReturnSuccess;
}

static kern_return_t bank_put(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        Vault *vault = ((BankUserClient *)target)->vault;

        if (!vault)
                return kIOReturnNotReady;
        arguments->scalarOutput[0] = amb_invoke(vault, Vault, put, arguments->scalarInput[0]);
        arguments->scalarOutput[1] = amb_invoke(vault, Vault, total);
        return kIOReturnSuccess;
}

static kern_return_t bank_try(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        Vault *vault = ((BankUserClient *)target)->vault;

        if (!vault)
                return kIOReturnNotReady;
        arguments->scalarOutput[0] = BankTry(&vault->object);
        arguments->scalarOutput[1] = Vault_twice(vault, 1);
        return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch bank_table[kBankSelectors] = {
        [kBankChoose] = { bank_choose, 0, 1, 0, 0, 0 },
        [kBankPut] = { bank_put, 0, 1, 0, 2, 0 },
        [kBankTry] = { bank_try, 0, 0, 0, 2, 0 },
};

static kern_return_t bank_external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                          const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector >= kBankSelectors)
                return kIOReturnBadArgument;
        return IOUserClient_ExternalMethod(self, selector, arguments, &bank_table[selector], &self->service.object, NULL);
}

static void bank_client_free(OSObject *object)
{
        OSSafeReleaseNULL(((BankUserClient *)object)->vault);
        IOUserClient_free(object);
}

static const struct amb_method bank_client_methods[] = {
        AMB_OVERRIDE(OSObject, free, bank_client_free),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, bank_external_method),
        AMB_METHODS_END,
};
OSDefineMetaClass(BankUserClient, IOUserClient, bank_client_methods);
