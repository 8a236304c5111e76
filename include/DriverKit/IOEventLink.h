/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An event link: a meeting point, under a name, for a thread of the driver and one of a user client's application.
 *
 * On this system a link has a name and nobody can join it: IOConnectTrap3() tells the application whether the name exists, and
 * is kIOReturnUnsupported if it does. The calls for threads that have joined are kIOReturnUnsupported, too, whatever their
 * arguments, and write nothing. Shared memory and OSAction serve in its place.
 *
 * Contract: memory-and-queues 10.5 (N8 to N10).
 */
#include <DriverKit/IOUserClient.h>

#define kIOEventLinkClockMachAbsoluteTime 0ull          /* of timeout: mach_absolute_time() */
#define kIOEventLinkAssociateCurrentThread 0ull
#define kIOEventLinkAssociateOnWait 1ull

#if defined(__IIG)
#include <DriverKit/IOEventLink.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOEventLink.iig.h>
#else
struct IOEventLink_ivars;
typedef struct IOEventLink {
        OSObject object;
        struct IOEventLink_ivars *ivars;
} IOEventLink;

extern const OSMetaClass gIOEventLinkMetaClass;

/*
 * Puts up a link for the application of userClient: under this name it is found until the link is invalidated or freed, or
 * another of the user client's takes the name. name: 1 to 64 bytes; retained. userClient: not retained. 0: *eventLink has one
 * reference. kIOReturnBadArgument: NULL, a name of another length, or no user client. kIOReturnNoMemory. Any thread.
 */
kern_return_t IOEventLink_Create(OSString *name, IOUserClient *userClient, IOEventLink **eventLink);

/*
 * Takes the name back. 0; kIOReturnBadArgument: the link is not put up for this user client, or not any more. Any thread.
 */
kern_return_t IOEventLink_Invalidate(IOEventLink *self, IOUserClient *client);

/* All: kIOReturnUnsupported, see above. Any thread. */
kern_return_t IOEventLink_Signal(IOEventLink *self);
kern_return_t IOEventLink_Wait(IOEventLink *self, uint64_t *consumed);
kern_return_t IOEventLink_SignalAndWait(IOEventLink *self, uint64_t *consumed);
kern_return_t IOEventLink_WaitUntil(IOEventLink *self, uint64_t clock, uint64_t timeout, uint64_t *consumed);
kern_return_t IOEventLink_SignalAndWaitUntil(IOEventLink *self, uint64_t clock, uint64_t timeout, uint64_t *consumed);
kern_return_t IOEventLink_Cancel(IOEventLink *self);
kern_return_t IOEventLink_Activate(IOEventLink *self);
kern_return_t IOEventLink_Associate(IOEventLink *self, uint64_t options);
kern_return_t IOEventLink_Disassociate(IOEventLink *self);
#endif
