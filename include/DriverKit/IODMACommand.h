/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory made ready for a device. There is no bus here: the addresses are this process's own, and what plays the device reads and
 * writes there. They stay valid until the preparation ends, whatever becomes of mappings and of the caller's reference to the
 * memory.
 *
 * An application's memory (a structure argument of more than 4096 bytes, IOUserClient's CreateMemoryDescriptorFromClient) is
 * prepared as *the application's memory itself*, also where mappings of the same descriptor are snapshots: what the application
 * stores later the device sees, and the other way round where the direction lets the device write; also after the call has
 * returned, as long as the command or anybody else keeps the descriptor. In pages that the argument does not fill, and in memory
 * that cannot be shared, when a call begins or returns (ambidext-memory(7)). A structure input can be read; written too, if the
 * application can and lets the driver name its memory (entitlement org.ambidext.client-memory, or developer mode): existing drivers
 * have devices write it.
 *
 * One command has one preparation at a time. Any thread; calls for one command wait for each other. The first preparation of an
 * application's memory waits for the application.
 *
 * Contract: memory-and-queues 1.4, 2.9; real-code 1.1.
 */
#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/IOService.h>

AMB_CLASS(IODMACommand);

#define kIODMACommandCreateNoOptions 0ull
#define kIODMACommandSpecificationNoOptions 0ull
#define kIODMACommandPrepareForDMANoOptions 0ull
#define kIODMACommandCompleteDMANoOptions 0ull
#define kIODMACommandPerformOperationOptionRead 1ull    /* from the prepared memory into `data` */
#define kIODMACommandPerformOperationOptionWrite 2ull   /* from `data` into the prepared memory */
#define kIODMACommandPerformOperationOptionZero 4ull    /* zeros into the prepared memory */

/* maxAddressBits: addresses are below 2 to that power; 0, 64: any. */
typedef struct IODMACommandSpecification {
        uint64_t options;
        uint64_t maxAddressBits;
        uint64_t _resv[16];
} IODMACommandSpecification;

#if defined(__IIG)
#include <DriverKit/IODMACommand.iig>
#elif defined(__cplusplus)
#include <DriverKit/IODMACommand.iig.h>
#else
struct IODMACommand_ivars;
struct IODMACommand {
        OSObject object;
        struct IODMACommand_ivars *ivars;
};

extern const OSMetaClass gIODMACommandMetaClass;

/*
 * device: the service that the memory is prepared for; makes no difference here, and may be NULL.
 * 0: *command has one reference. kIOReturnBadArgument: options that are not 0, no specification, maxAddressBits beyond 255, NULL.
 * kIOReturnNoMemory. On failure *command is not written.
 */
kern_return_t IODMACommand_Create(IOService *device, uint64_t options, const IODMACommandSpecification *specification,
                                  IODMACommand **command);

/*
 * Prepares [offset, offset + length) of the memory; length 0: from the offset to its end. *segmentsCount: how many segments there
 * is room for, 1 to 32; then how many were filled, end to end. Nearly all memory is one segment; joined memory whose pieces do not
 * meet at borders of pages is one for each piece. What found no room is prepared, but has no segment: the lengths say so. *flags:
 * the memory's direction, kIOMemoryDirection...
 *
 * What the command has prepared of the same memory is completed first.
 *
 * 0. kIOReturnOverrun: more than 32 segments. kIOReturnBadArgument: options that are not 0, NULL, room for no segment, nothing or
 * more than there is to prepare. kIOReturnBusy: another memory is prepared. kIOReturnNoSpace: no addresses below maxAddressBits are
 * free. kIOReturnError: an application's memory is not there, or may not be written as the direction says. kIOReturnNoMemory. On
 * failure nothing is written, and nothing is prepared but what kIOReturnBusy speaks of.
 */
kern_return_t IODMACommand_PrepareForDMA(IODMACommand *self, uint64_t options, IOMemoryDescriptor *memory, uint64_t offset,
                                         uint64_t length, uint64_t *flags, uint32_t *segmentsCount, IOAddressSegment *segments);

/*
 * Ends the preparation: the segments are not to be touched any more.
 * 0; kIOReturnBadArgument: options; kIOReturnNotReady: there is none.
 */
kern_return_t IODMACommand_CompleteDMA(IODMACommand *self, uint64_t options);

/* What is prepared; *memory gets a reference. Each may be NULL. 0; kIOReturnNotReady, and nothing is written. */
kern_return_t IODMACommand_GetPreparation(IODMACommand *self, uint64_t *offset, uint64_t *length, IOMemoryDescriptor **memory);

/*
 * Copies `length` bytes between the prepared memory, from dmaOffset behind its beginning, and `data`, from dataOffset; zeros take
 * no data. 0. kIOReturnNotReady: nothing is prepared. kIOReturnBadArgument: not exactly one of the operations, ranges that do not
 * fit, no data. kIOReturnUnderrun: what would be written is read-only. kIOReturnError: the data cannot be mapped.
 */
kern_return_t IODMACommand_PerformOperation(IODMACommand *self, uint64_t options, uint64_t dmaOffset, uint64_t length,
                                            uint64_t dataOffset, IOMemoryDescriptor *data);
#endif
