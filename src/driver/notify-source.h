/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of IOServiceNotificationDispatchSource: the services of this host tell all sources of their coming and going.
 *
 * One lock guards the list of sources and which services are announced, so that a new source finds each service either in the table
 * or by its announcement, never twice. What waits to be taken is under the source's own lock; a service that has ended is not put
 * there any more, and taken away if it was. Driver code never runs under either.
 */
#include <DriverKit/IOServiceNotificationDispatchSource.h>

/* The service, one of this process, has registered; again each time. It may have ended meanwhile. Without a lock held. */
void amb_notify_published(IOService *service);
/* Its end begins, or it will never be stopped. Again: no effect. */
void amb_notify_ended(IOService *service);

/* Is the service what the matching dictionary asks for? */
bool amb_notify_matches(IOService *service, const OSDictionary *matching);
