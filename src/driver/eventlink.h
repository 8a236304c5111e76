/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of IOEventLink and IOWorkGroup: what a driver has put up for a user client's application under a name.
 *
 * Neither keeps the other: the user client's end forgets its names, a freed or invalidated object takes its name back. One lock.
 */
#include <DriverKit/IOUserClient.h>

#include "base/base.h"

enum amb_named_kind { AMB_NAMED_EVENT_LINK, AMB_NAMED_WORK_GROUP };

/* name: length bytes. Any thread. */
bool amb_named_exists(IOUserClient *client, enum amb_named_kind kind, const char *name, size_t length);
/* The user client is being freed. */
void amb_named_forget(IOUserClient *client);
