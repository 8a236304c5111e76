/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An application's connection to a service, in the driver: it gets the application's calls (ExternalMethod), sends completions
 * (AsyncCompletion) and gives memory (CopyClientMemoryForType).
 *
 * A class whose structure begins with struct IOUserClient overrides ExternalMethod, looks its dispatch table up and calls the
 * base, which compares the call with the table's entry before the driver's function runs. See examples/tutorial1.c.
 *
 * Contract: call-path 1.1 to 1.6, 3.2 to 3.9, 4.1, 4.2; memory-and-queues 3.
 */
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSAction.h>

AMB_CLASS(IOMemoryDescriptor);

#define kIOUserClientQueueNameExternalMethod "IOUserClientQueueExternalMethod"

#define kIOUserClientScalarArrayCountMax 16
#define kIOUserClientAsyncArgumentsCountMax 16
#define kIOUserClientAsyncReferenceCountMax 16
#define kIOUserClientVariableStructureSize 0xffffffffu          /* "not checked" in a dispatch entry */
#define kIOUserClientMethodArgumentsCurrentVersion 2
/* The same limits under the names that code from kernel extensions uses; that code's own argument block never appears here. */
#define kIOExternalMethodScalarInputCountMax 16
#define kIOExternalMethodScalarOutputCountMax 16
#define kIOExternalMethodArgumentsCurrentVersion 2
#define kIOUserClientMemoryReadOnly 0x00000001ull

typedef uint64_t IOUserClientScalarArray[kIOUserClientScalarArrayCountMax];
typedef uint64_t IOUserClientAsyncArgumentsArray[kIOUserClientAsyncArgumentsCountMax];

/*
 * One call. The block, the scalar arrays and (unless retained) the objects are valid while ExternalMethod runs.
 *
 * scalarInput, scalarOutput are never NULL; test the counts. scalarOutput is zeroed; scalarOutputCount is the application's
 * capacity, which the driver may lower. A structure of 1 to 4096 bytes comes as structureInput, a larger one as
 * structureInputDescriptor, none as neither. structureOutputMaximumSize is the application's capacity in bytes: up to 4096 the
 * driver may set structureOutput to an OSData with one reference, which the runtime consumes (longer than the capacity: the
 * call fails with kIOReturnBadArgument; left NULL: the application gets zeros); above, it writes through
 * structureOutputDescriptor. 0xffffffff without a descriptor: variable, structureOutput of any size must be set. completion is
 * NULL in a call without one; retain it to use it later.
 */
typedef struct IOUserClientMethodArguments {
        uint64_t version;
        uint64_t selector;
        OSAction *completion;
        const uint64_t *scalarInput;
        uint32_t scalarInputCount;
        OSData *structureInput;
        IOMemoryDescriptor *structureInputDescriptor;
        uint64_t *scalarOutput;
        uint32_t scalarOutputCount;
        OSData *structureOutput;
        IOMemoryDescriptor *structureOutputDescriptor;
        uint64_t structureOutputMaximumSize;
        uint64_t __reserved[30];
} IOUserClientMethodArguments;

typedef kern_return_t (*IOUserClientMethodFunction)(OSObject *target, void *reference, IOUserClientMethodArguments *arguments);

/*
 * What a call must look like. Each check is an exact comparison, 0xffffffff means no check: checkCompletionExists 0 wants none,
 * other values want one; sizes in bytes, of the inline structure or of the descriptor.
 */
typedef struct IOUserClientMethodDispatch {
        IOUserClientMethodFunction function;
        uint32_t checkCompletionExists;
        uint32_t checkScalarInputCount;
        uint32_t checkStructureInputSize;
        uint32_t checkScalarOutputCount;
        uint32_t checkStructureOutputSize;
} IOUserClientMethodDispatch;

#ifdef __cplusplus
#define AMB_LAYOUT(type, member, at) static_assert(offsetof(type, member) == (at), #type "." #member)
#define AMB_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type)
#else
#define AMB_LAYOUT(type, member, at) _Static_assert(offsetof(type, member) == (at), #type "." #member)
#define AMB_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#endif
AMB_LAYOUT(IOUserClientMethodArguments, version, 0);
AMB_LAYOUT(IOUserClientMethodArguments, selector, 8);
AMB_LAYOUT(IOUserClientMethodArguments, completion, 16);
AMB_LAYOUT(IOUserClientMethodArguments, scalarInput, 24);
AMB_LAYOUT(IOUserClientMethodArguments, scalarInputCount, 32);
AMB_LAYOUT(IOUserClientMethodArguments, structureInput, 40);
AMB_LAYOUT(IOUserClientMethodArguments, structureInputDescriptor, 48);
AMB_LAYOUT(IOUserClientMethodArguments, scalarOutput, 56);
AMB_LAYOUT(IOUserClientMethodArguments, scalarOutputCount, 64);
AMB_LAYOUT(IOUserClientMethodArguments, structureOutput, 72);
AMB_LAYOUT(IOUserClientMethodArguments, structureOutputDescriptor, 80);
AMB_LAYOUT(IOUserClientMethodArguments, structureOutputMaximumSize, 88);
AMB_LAYOUT(IOUserClientMethodArguments, __reserved, 96);
AMB_SIZE(IOUserClientMethodArguments, 336);
AMB_LAYOUT(IOUserClientMethodDispatch, function, 0);
AMB_LAYOUT(IOUserClientMethodDispatch, checkCompletionExists, 8);
AMB_LAYOUT(IOUserClientMethodDispatch, checkScalarInputCount, 12);
AMB_LAYOUT(IOUserClientMethodDispatch, checkStructureInputSize, 16);
AMB_LAYOUT(IOUserClientMethodDispatch, checkScalarOutputCount, 20);
AMB_LAYOUT(IOUserClientMethodDispatch, checkStructureOutputSize, 24);
AMB_SIZE(IOUserClientMethodDispatch, 32);
#undef AMB_LAYOUT
#undef AMB_SIZE

#define IOUserClient_ExternalMethod_ID 0x494f556300000001ull
#define IOUserClient_CopyClientMemoryForType_ID 0x494f556300000002ull
/* Kinds of callbacks: void method(void *self, OSAction *action, IOReturn status, const uint64_t *asyncData, uint32_t count) */
#define IOUserClient_AsyncCompletion_ID 0x494f556300000003ull
#define IOUserClient_KernelCompletion_ID 0x494f556300000004ull

#if defined(__IIG)
#include <DriverKit/IOUserClient.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOUserClient.iig.h>
#else
struct IOUserClient_ivars;
struct IOUserClient {
        IOService service;
        struct IOUserClient_ivars *ivars;
};

extern const OSMetaClass gIOUserClientMetaClass;

/* As IOService_init and IOService_free, for user clients: what an override of init begins with, and one of free ends with. */
bool IOUserClient_init(OSObject *self);
void IOUserClient_free(OSObject *self);

/*
 * --- methods to override ---
 * A call of the application. The runtime passes dispatch, target and reference NULL; selector is the application's 32-bit
 * value, which nobody has checked. The override finds its entry and calls the base with it, with target and reference for the
 * entry's function. 0 or the code that the application gets, unchanged. One call of a connection at a time, on the queue named
 * kIOUserClientQueueNameExternalMethod if the driver has set one, else on the default queue.
 *
 * Base: dispatch NULL: kIOReturnUnsupported. A check of the entry fails: kIOReturnBadArgument. No function in the entry:
 * kIOReturnNoCompletion, and the override may go on by itself. Else the function's result.
 */
kern_return_t IOUserClient_ExternalMethod(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                          const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference);

/*
 * The application maps (or unmaps) memory `type`, its 32-bit value. Set *memory to a descriptor with one reference, which the
 * runtime releases. Give the same descriptor each time: it is what an unmap is recognised by, and the same memory with the same
 * options has one mapping in the application, however many types name it. The application gets the descriptor's present length.
 *
 * *options is 0 before. kIOUserClientMemoryReadOnly (other bits are ignored): the kernel keeps the application from writing, for
 * ever; the driver's own mappings stay writable. Without it the application may write, whatever the descriptor's direction. A
 * buffer that an application has mapped writable cannot be given read-only later, nor the other way round; that counts for every
 * buffer of which the descriptor has a part.
 *
 * The descriptor is a buffer, a part of one, or several joined (IOMemoryDescriptor.h). It cannot be mapped when its length is 0,
 * when one of its pieces begins or ends inside a page where it meets another, when it has more than 1024 pieces, or when any of
 * them is an application's memory.
 *
 * An application that gets a part of a buffer gets a file descriptor of the *whole* buffer. Its library maps the part, but the
 * application can map the rest, with the same rights: what it must not see belongs into another buffer.
 *
 * 0: *memory is mapped, or unmapped; with *memory NULL an unmap succeeds without doing anything. What is wrong with a map the
 * application is told as kIOReturnBadArgument, whatever code was returned; the code of an unmap it gets unchanged, and keeps the
 * mapping. On the default queue, no call of the connection in progress. Base: kIOReturnUnsupported.
 *
 * Contract: memory-and-queues 3.1 to 3.5 (M53 to M88, M110).
 */
kern_return_t IOUserClient_CopyClientMemoryForType(IOUserClient *self, uint64_t type, uint64_t *options,
                                                   IOMemoryDescriptor **memory);

/*
 * --- calls; any thread ---
 */

/*
 * Sends a completion: the application's callback gets status and asyncData[0 .. asyncDataCount - 1]. Any number of times for
 * one action, from any thread, also after the connection was closed, as long as the driver holds the action. Returns when the
 * completion is on its way; never blocks; reports nothing. More than 16 values: nothing is sent. asyncData may be NULL with a
 * count of 0. An action that the driver has made itself, of the kind IOUserClient_AsyncCompletion_ID, calls its method, later,
 * on the method's queue.
 */
void IOUserClient_AsyncCompletion(IOUserClient *self, OSAction *action, IOReturn status, const uint64_t *asyncData,
                                  uint32_t asyncDataCount);

/*
 * The receiving end, and the type of every completion that a driver gets: sends the application the message for `action`.
 * AsyncCompletion invokes it; on the original it lives in the kernel, here in the runtime. The same arguments and rules.
 */
void IOUserClient_KernelCompletion(IOUserClient *self, OSAction *action, IOReturn status, const uint64_t *asyncData,
                                   uint32_t asyncDataCount);

/*
 * Describes memory of the application's: segments[0 .. count - 1], at most 32, addresses in the application and lengths in
 * bytes, end to end; neighbours are one. Nothing is looked at before the first mapping: that is where memory that the
 * application does not have, or may not write, gives kIOReturnError, and so do segments that do not meet at the borders of
 * pages.
 *
 * options: kIOMemoryDirectionIn (the driver may store), Out (it reads; alone: mappings are read-only), or both; other bits but
 * the next are ignored. Without kIOMemoryDisableCopyOnWrite a mapping shows a snapshot taken at the first one: later stores of
 * the application are not seen, stores of the driver stay here. With it both see each other's stores, from the first mapping to
 * the last release, also after the call; of pages that are not described as a whole only at the beginning and end of the
 * application's calls and when it takes a completion (ambidext-memory(7)). Once mapped, the memory stays readable when the
 * application unmaps it or dies; never mapped, it cannot be mapped after that.
 *
 * 0: *memory has one reference. kIOReturnOverrun: more than 32 segments. kIOReturnBadArgument: self is no user client.
 * kIOReturnNotReady: before the open is complete (in Start), or after Stop of the base class. kIOReturnNoMemory: no bytes, more
 * than 16 GiB, an address that wraps around, or no memory. On failure *memory is not written. Any thread. A mapping waits for
 * the application's library, which answers from a thread of its own (5 seconds at most). Contract: memory-and-queues 4.1 (M89
 * to M104).
 */
kern_return_t IOUserClient_CreateMemoryDescriptorFromClient(IOUserClient *self, uint64_t options, uint32_t count,
                                                            const IOAddressSegment *segments, IOMemoryDescriptor **memory);

/*
 * *entitlements: one reference to a dictionary of what the application may do, as the registry saw it at the open. 0;
 * kIOReturnNotReady.
 */
kern_return_t IOUserClient_CopyClientEntitlements(IOUserClient *self, OSDictionary **entitlements);
#endif
