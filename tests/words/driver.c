/* SPDX-License-Identifier: Apache-2.0 */
/* A driver with one class for each mistake whose words test-words.sh reads; Info.plist, of which the test makes a variant for each,
 * names the class that is started. */
#include <DriverKit/DriverKit.h>

struct Words {
        IOService service;
};

struct WordsUserClient {
        IOUserClient client;
};

static kern_return_t never(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                           const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        while (self)
                IOSleep(1000);
        return kIOReturnSuccess;
}
static const struct amb_method client_methods[] = { AMB_OVERRIDE(IOUserClient, ExternalMethod, never), AMB_METHODS_END };
OSDefineMetaClass(WordsUserClient, IOUserClient, client_methods);

static kern_return_t start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);
        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t create(IOService *self, uint32_t type, IOUserClient **client)
{
        static const char *const keys[] = { "UserClientProperties", "Absent", "Odd" };
        return type < 3 ? IOService_Create(self, self, keys[type], (IOService **)client) : kIOReturnBadArgument;
}
static const struct amb_method words_methods[] = { AMB_OVERRIDE(IOService, Start, start),
                                                   AMB_OVERRIDE(IOService, NewUserClient, create), AMB_METHODS_END };
OSDefineMetaClass(Words, IOService, words_methods);

static kern_return_t start_crash(IOService *self, IOService *provider)
{
        kern_return_t *volatile nowhere = NULL;
        return *nowhere;
}
static const struct amb_method crash_methods[] = { AMB_OVERRIDE(IOService, Start, start_crash), AMB_METHODS_END };
struct WordsCrash {
        IOService service;
};
OSDefineMetaClass(WordsCrash, IOService, crash_methods);

static kern_return_t start_fail(IOService *self, IOService *provider)
{
        return kIOReturnNoResources;
}
static const struct amb_method fail_methods[] = { AMB_OVERRIDE(IOService, Start, start_fail), AMB_METHODS_END };
struct WordsFail {
        IOService service;
};
OSDefineMetaClass(WordsFail, IOService, fail_methods);

/* Starts, and forgets to register. */
static const struct amb_method silent_methods[] = { AMB_METHODS_END };
struct WordsSilent {
        IOService service;
};
OSDefineMetaClass(WordsSilent, IOService, silent_methods);
