/* SPDX-License-Identifier: Apache-2.0 */
/* A driver and its application in one process, without a registry (ambidext/embed.h). The classes are this program's. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <DriverKit/DriverKit.h>
#include <IOKit/IOKitLib.h>
#include <ambidext/embed.h>
#include <mach/mach.h>

#include "base/test-suite.h"

typedef struct Alone { IOService service; } Alone;
typedef struct AloneUserClient { IOUserClient client; uint64_t calls; } AloneUserClient;

static _Atomic int starts, clients_stopped, clients_freed, children;

/* Scalars: the sum of those in, and the number of the call. A structure comes back as it is, inline or not. */
static kern_return_t external_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *a,
                                     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        AloneUserClient *self = (AloneUserClient *)client;
        IOMemoryMap *in = NULL, *out = NULL;

        if (selector != 0)
                return kIOReturnUnsupported;
        self->calls++;
        for (uint32_t i = 0; i < a->scalarInputCount && a->scalarOutputCount > 0; i++)
                a->scalarOutput[0] += a->scalarInput[i];
        if (a->scalarOutputCount > 1)
                a->scalarOutput[1] = self->calls;
        if (a->structureInput && a->structureOutputMaximumSize > 0) {
                OSObjectRetain(a->structureInput);
                a->structureOutput = a->structureInput;
        }
        if (a->structureInputDescriptor && a->structureOutputDescriptor &&
            IOMemoryDescriptor_CreateMapping(a->structureInputDescriptor, 0, 0, 0, 0, 0, &in) == kIOReturnSuccess &&
            IOMemoryDescriptor_CreateMapping(a->structureOutputDescriptor, 0, 0, 0, 0, 0, &out) == kIOReturnSuccess)
                memcpy((void *)(uintptr_t)IOMemoryMap_GetAddress(out), (void *)(uintptr_t)IOMemoryMap_GetAddress(in),
                       IOMemoryMap_GetLength(in));
        OSObjectRelease(in);
        OSObjectRelease(out);
        if (a->completion)
                IOUserClient_AsyncCompletion(client, a->completion, kIOReturnSuccess, &self->calls, 1);
        return kIOReturnSuccess;
}

static kern_return_t client_stop(IOService *self, IOService *provider)
{
        clients_stopped++;
        return IOService_Stop(self, provider);
}

static void client_free(OSObject *self)
{
        clients_freed++;
        IOUserClient_free(self);
}
static const struct amb_method client_methods[] = { AMB_OVERRIDE(IOUserClient, ExternalMethod, external_method),
                                                    AMB_OVERRIDE(IOService, Stop, client_stop),
                                                    AMB_OVERRIDE(OSObject, free, client_free), AMB_METHODS_END };
OSDefineMetaClass(AloneUserClient, IOUserClient, client_methods);

static kern_return_t start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);
        IOService *child = NULL;

        starts++;
        if (code == kIOReturnSuccess && IOService_Create(self, self, "Child", &child) == kIOReturnSuccess)
                children++;
        OSObjectRelease(child);
        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        return type == 0 ? IOService_Create(self, self, "UserClientProperties", (IOService **)client) : kIOReturnNoSpace;
}
static const struct amb_method service_methods[] = { AMB_OVERRIDE(IOService, Start, start),
                                                     AMB_OVERRIDE(IOService, NewUserClient, new_user_client), AMB_METHODS_END };
OSDefineMetaClass(Alone, IOService, service_methods);

static const struct amb_method child_methods[] = { AMB_METHODS_END };
typedef struct AloneChild { IOService service; } AloneChild;
OSDefineMetaClass(AloneChild, IOService, child_methods);

static const char info[] =
        "<plist version=\"1.0\"><dict><key>IOKitPersonalities</key><dict>"
        "<key>Kernel</key><dict><key>IOClass</key><string>Nothing</string></dict>"
        "<key>Missing</key><dict><key>IOUserClass</key><string>NoSuchClass</string></dict>"
        "<key>Usual</key><dict><key>IOUserClass</key><string>Alone</string>"
        "<key>IOProviderClass</key><string>IOUserResources</string>"
        "<key>UserClientProperties</key><dict><key>IOClass</key><string>IOUserUserClient</string>"
        "<key>IOUserClass</key><string>AloneUserClient</string></dict>"
        "<key>Child</key><dict><key>IOClass</key><string>IOUserService</string>"
        "<key>IOUserClass</key><string>AloneChild</string></dict></dict></dict></dict></plist>";

static IOService *begin(void)
{
        IOService *service = NULL;
        char *message = NULL;

        ck_assert_msg(amb_embed_start(info, sizeof(info) - 1, "Usual", &service, &message) == 0, "%s", message);
        ck_assert_ptr_null(message);
        ck_assert_int_eq(starts, 1);
        ck_assert_int_eq(children, 1);
        return service;
}

START_TEST(wrong_lists)
{
        static const struct { const char *text, *personality, *words; kern_return_t code; } lists[] = {
                { "no list", NULL, "Info.plist", kIOReturnBadArgument },
                { "<plist><dict/></plist>", NULL, "none with an IOUserClass", kIOReturnBadArgument },
                { info, "Kernel", "no \"Kernel\" with an IOUserClass", kIOReturnBadArgument },
                { info, "Other", "no \"Other\"", kIOReturnBadArgument },
                { info, "Missing", "gNoSuchClassMetaClass", kIOReturnUnsupportedMode },
        };

        for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
                IOService *service = NULL;
                char *message = NULL;
                ck_assert_int_eq(amb_embed_start(lists[i].text, strlen(lists[i].text), lists[i].personality, &service, &message),
                                 lists[i].code);
                ck_assert_ptr_null(service);
                ck_assert_msg(message && strstr(message, lists[i].words), "%s", message);
                free(message);
        }
}
END_TEST

/* All the way: an application's calls. */
START_TEST(with_application)
{
        IOService *service = begin();
        uint64_t in[3] = { 1, 2, 39 }, out[2];
        io_connect_t connects[2];
        uint8_t bytes[10000], back[sizeof(bytes)];
        int ends[2] = { -1, -1 };

        ck_assert_int_eq(amb_embed_open(service, 7, ends), kIOReturnNoSpace);
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(amb_embed_open(service, 0, ends), 0);
                ck_assert_int_eq(amb_embed_connect(ends, &connects[i]), 0);
        }
        for (uint64_t call = 1; call <= 3; call++) {
                uint32_t count = 2;
                ck_assert_int_eq(IOConnectCallScalarMethod(connects[0], 0, in, 3, out, &count), 0);
                ck_assert_uint_eq(out[0], 42);
                ck_assert_uint_eq(out[1], call);
        }
        for (size_t size = 16; size <= sizeof(bytes); size += sizeof(bytes) - 16) {
                size_t room = size;
                memset(bytes, (int)size, size);
                memset(back, 0, size);
                ck_assert_int_eq(IOConnectCallStructMethod(connects[1], 0, bytes, size, back, &room), 0);
                ck_assert_mem_eq(back, bytes, size);
        }
        ck_assert_int_eq(IOConnectCallScalarMethod(connects[1], 5, NULL, 0, NULL, NULL), kIOReturnUnsupported);
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(IOServiceClose(connects[i]), 0);
        amb_embed_wait();
        ck_assert_int_eq(clients_stopped, 2);
        OSObjectRelease(service);
}
END_TEST

/* The quick way. */
START_TEST(without_application)
{
        IOService *service = begin();
        IOUserClient *client = NULL;
        uint64_t in[17] = { 40, 2 }, out[2] = { 0 };
        uint8_t bytes[5000], back[sizeof(bytes)];
        struct amb_embed_call call = {
                .scalars = in, .scalar_count = 2, .scalars_out = out, .scalar_out_count = 2, .completes = 1
        };

        ck_assert_int_eq(amb_embed_client(service, 7, &client), kIOReturnNoSpace);
        ck_assert_ptr_null(client);
        ck_assert_int_eq(amb_embed_client(service, 0, &client), 0);
        ck_assert_int_eq(amb_embed_call(client, &call), 0);
        ck_assert_uint_eq(call.scalar_out_count, 2);
        ck_assert_uint_eq(out[0], 42);
        ck_assert_uint_eq(out[1], 1);
        memset(bytes, 'b', sizeof(bytes));
        call = (struct amb_embed_call){ .bytes = bytes, .size = 20, .bytes_out = back, .size_out = 30 };
        ck_assert_int_eq(amb_embed_call(client, &call), 0);
        ck_assert_uint_eq(call.size_out, 20);
        ck_assert_mem_eq(back, bytes, 20);
        /* More than there is room for, as an application would be told. */
        call = (struct amb_embed_call){ .bytes = bytes, .size = 20, .bytes_out = back, .size_out = 10 };
        ck_assert_int_eq(amb_embed_call(client, &call), kIOReturnBadArgument);
        call = (struct amb_embed_call){ .bytes = bytes, .size = sizeof(bytes), .bytes_out = back, .size_out = sizeof(back) };
        ck_assert_int_eq(amb_embed_call(client, &call), 0);
        ck_assert_mem_eq(back, bytes, sizeof(bytes));
        call = (struct amb_embed_call){ .scalars = in, .scalar_count = 17 };
        ck_assert_int_eq(amb_embed_call(client, &call), kIOReturnBadArgument);
        call = (struct amb_embed_call){ .selector = 5 };
        ck_assert_int_eq(amb_embed_call(client, &call), kIOReturnUnsupported);
        amb_embed_end(client);
        ck_assert_int_eq(clients_stopped, 1);
        ck_assert_int_eq(clients_freed, 1);
        amb_embed_end(NULL);
        OSObjectRelease(service);
}
END_TEST

int main(void)
{
        return run_suite("alone", wrong_lists, with_application, without_application);
}
