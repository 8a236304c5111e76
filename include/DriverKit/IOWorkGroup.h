/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A work group: threads of the driver and of a user client's application that work towards one deadline, under a name.
 *
 * On this system a group has a name and nobody can join it: IOConnectTrap3() tells the application whether the name exists, and
 * is kIOReturnUnsupported if it does. Join and Leave are kIOReturnUnsupported, too; GetTokenSize is not declared: without
 * members there is no token.
 *
 * Contract: memory-and-queues 10.5 (N8 to N10).
 */
#include <DriverKit/IOUserClient.h>

#if defined(__IIG)
#include <DriverKit/IOWorkGroup.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOWorkGroup.iig.h>
#else
struct IOWorkGroup_ivars;
typedef struct IOWorkGroup {
        OSObject object;
        struct IOWorkGroup_ivars *ivars;
} IOWorkGroup;

extern const OSMetaClass gIOWorkGroupMetaClass;

/*
 * Puts up a group for the application of userClient: under this name it is found until the group is invalidated or freed, or
 * another of the user client's takes the name. name: 1 to 64 bytes; retained. userClient: not retained. 0: *workGroup has one
 * reference. kIOReturnBadArgument: NULL, a name of another length, or no user client. kIOReturnNoMemory. Any thread.
 */
kern_return_t IOWorkGroup_Create(OSString *name, IOUserClient *userClient, IOWorkGroup **workGroup);

/*
 * Takes the name back. 0; kIOReturnBadArgument: the group is not put up for this user client, or not any more. Any thread.
 */
kern_return_t IOWorkGroup_Invalidate(IOWorkGroup *self, IOUserClient *client);

/* Both: kIOReturnUnsupported, see above; token is not looked at. Any thread. */
kern_return_t IOWorkGroup_Join(IOWorkGroup *self, void *token);
kern_return_t IOWorkGroup_Leave(IOWorkGroup *self, void *token);
#endif
