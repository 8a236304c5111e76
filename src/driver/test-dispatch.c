/* SPDX-License-Identifier: Apache-2.0 */
/* The base ExternalMethod, call-path 3.8; rows 78 to 97 of its table. */
#include <DriverKit/DriverKit.h>

#include "driver/test.h"

#define ANY kIOUserClientVariableStructureSize

static int called;
static OSObject *seen_target;
static void *seen_reference;
static IOUserClientMethodArguments *seen_arguments;

static kern_return_t method(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        called++;
        seen_target = target;
        seen_reference = reference;
        seen_arguments = arguments;
        return 0x4242;
}

/* What a call brings along. */
struct call {
        bool completion;
        uint32_t scalars_in, scalars_out;
        size_t inline_in;                       /* or */
        uint64_t descriptor_in;
        uint64_t maximum_out;
};

static const struct {
        const char *row;
        IOUserClientMethodDispatch entry;
        struct call call;
        kern_return_t code;                     /* 0x4242: the function ran */
} cases[] = {
        { "79: fewer", { method, 0, 2, 0, 0, 0 }, { .scalars_in = 1 }, kIOReturnBadArgument },
        { "79: more", { method, 0, 2, 0, 0, 0 }, { .scalars_in = 3 }, kIOReturnBadArgument },
        { "79: exact", { method, 0, 2, 0, 0, 0 }, { .scalars_in = 2 }, 0x4242 },
        { "80: none", { method, 0, ANY, 0, 0, 0 }, { .scalars_in = 0 }, 0x4242 },
        { "80: sixteen", { method, 0, ANY, 0, 0, 0 }, { .scalars_in = 16 }, 0x4242 },
        { "81: short", { method, 0, 0, 16, 0, 0 }, { .inline_in = 15 }, kIOReturnBadArgument },
        { "81: long", { method, 0, 0, 16, 0, 0 }, { .inline_in = 17 }, kIOReturnBadArgument },
        { "81: exact", { method, 0, 0, 16, 0, 0 }, { .inline_in = 16 }, 0x4242 },
        { "82", { method, 0, 0, 5000, 0, 0 }, { .descriptor_in = 5000 }, 0x4242 },
        { "82: other length", { method, 0, 0, 5000, 0, 0 }, { .descriptor_in = 5001 }, kIOReturnBadArgument },
        { "83", { method, 0, 0, 0, 0, 0 }, { 0 }, 0x4242 },
        { "83: some", { method, 0, 0, 0, 0, 0 }, { .inline_in = 1 }, kIOReturnBadArgument },
        { "any structure", { method, 0, 0, ANY, 0, 0 }, { .descriptor_in = 70000 }, 0x4242 },
        { "84", { method, 0, 0, 0, 4, 0 }, { .scalars_out = 5 }, kIOReturnBadArgument },
        { "84: exact", { method, 0, 0, 0, 4, 0 }, { .scalars_out = 4 }, 0x4242 },
        { "85", { method, 0, 0, 0, 16, 0 }, { .scalars_out = 16 }, 0x4242 },
        { "86", { method, 0, 0, 0, 0, 16 }, { .maximum_out = 32 }, kIOReturnBadArgument },
        { "87", { method, 0, 0, 0, 0, 0 }, { .maximum_out = 1 }, kIOReturnBadArgument },
        { "88", { method, 0, 0, 0, 0, 8192 }, { .maximum_out = 8192 }, 0x4242 },
        { "89", { method, 0, 0, 0, 0, 16 }, { .maximum_out = 0xffffffff }, kIOReturnBadArgument },
        { "any output", { method, 0, 0, 0, 0, ANY }, { .maximum_out = 0xffffffff }, 0x4242 },
        { "90, 91", { method, 1, 0, 0, 0, 0 }, { 0 }, kIOReturnBadArgument },
        { "true as 7", { method, 7, 0, 0, 0, 0 }, { .completion = true }, 0x4242 },
        { "92", { method, 0, 0, 0, 0, 0 }, { .completion = true }, kIOReturnBadArgument },
        { "93: without", { method, ANY, 0, 0, 0, 0 }, { 0 }, 0x4242 },
        { "93: with", { method, ANY, 0, 0, 0, 0 }, { .completion = true }, 0x4242 },
        { "94", { NULL, 0, 0, 0, 0, 0 }, { 0 }, kIOReturnNoCompletion },
        { "95", { NULL, 0, 1, 0, 0, 0 }, { 0 }, kIOReturnBadArgument },
        { "never", { method, 0, 17, 0, 0, 0 }, { .scalars_in = 16 }, kIOReturnBadArgument },
};

START_TEST(checks)
{
        IOUserClient *client = (IOUserClient *)amb_object_new(OSTypeID(IOUserClient));
        OSObject *completion = amb_object_new(OSTypeID(OSAction));
        uint64_t scalars[16] = { 0 };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                const struct call *c = &cases[i].call;
                IOBufferMemoryDescriptor *memory = NULL;
                IOUserClientMethodArguments arguments = {
                        .version = 2,
                        .completion = c->completion ? (OSAction *)completion : NULL,
                        .scalarInput = scalars,
                        .scalarInputCount = c->scalars_in,
                        .structureInput = c->inline_in ? OSDataCreate(NULL, c->inline_in) : NULL,
                        .scalarOutput = scalars,
                        .scalarOutputCount = c->scalars_out,
                        .structureOutputMaximumSize = c->maximum_out,
                };

                if (c->descriptor_in) {
                        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, c->descriptor_in, 0, &memory), 0);
                        arguments.structureInputDescriptor = &memory->descriptor;
                }
                called = 0;
                ck_assert_msg(IOUserClient_ExternalMethod(client, i, &arguments, &cases[i].entry, completion, scalars) ==
                                      cases[i].code,
                              "row %s", cases[i].row);
                ck_assert_msg(called == (cases[i].code == 0x4242), "row %s: called %d", cases[i].row, called);
                if (called) {
                        ck_assert_ptr_eq(seen_target, completion);
                        ck_assert_ptr_eq(seen_reference, scalars);
                        ck_assert_ptr_eq(seen_arguments, &arguments);
                }
                OSObject_release(arguments.structureInput);
                OSObject_release(memory);
        }
        OSObject_release(completion);
        OSObject_release(client);
}
END_TEST

START_TEST(no_entry)
{
        IOUserClient *client = (IOUserClient *)amb_object_new(OSTypeID(IOUserClient));
        IOUserClientMethodArguments arguments = { .version = 2 };

        ck_assert_int_eq(IOUserClient_ExternalMethod(client, 0, &arguments, NULL, NULL, NULL), kIOReturnUnsupported);
        ck_assert_int_eq(IOUserClient_CopyClientMemoryForType(client, 0, NULL, NULL), kIOReturnUnsupported);
        OSObject_release(client);
}
END_TEST

/* memory-and-queues 15.8: D11 to D16. */
START_TEST(named_queues)
{
        IOUserClient *client = (IOUserClient *)amb_object_new(OSTypeID(IOUserClient));
        IODispatchQueue *queue, *found = NULL;

        ck_assert_int_eq(IODispatchQueue_Create("q", 0, 0, &queue), 0);
        ck_assert_int_eq(IOService_CopyDispatchQueue(&client->service, "Default", &found), 0);
        ck_assert_str_eq(IODispatchQueue_GetName(found), "IOUserClient-Default");
        OSObject_release(found);
        found = NULL;
        ck_assert_int_eq(IOService_CopyDispatchQueue(&client->service, kIOUserClientQueueNameExternalMethod, &found),
                         kIOReturnNotFound);
        ck_assert_int_eq(IOService_CopyDispatchQueue(&client->service, "nope", &found), kIOReturnNotFound);
        ck_assert_ptr_null(found);
        ck_assert_int_eq(IOService_SetDispatchQueue(&client->service, "nope", queue), kIOReturnBadArgument);
        ck_assert_int_eq(IOService_SetDispatchQueue(&client->service, kIOUserClientQueueNameExternalMethod, queue), 0);
        ck_assert_int_eq(IOService_CopyDispatchQueue(&client->service, kIOUserClientQueueNameExternalMethod, &found), 0);
        ck_assert_ptr_eq(found, queue);
        OSObject_release(found);
        OSObject_release(client);
        ck_assert_uint_eq(OSObject_getRetainCount(queue), 1);
        OSObject_release(queue);
}
END_TEST

int main(void)
{
        return run_suite("dispatch", checks, no_entry, named_queues);
}
