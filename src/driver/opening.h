/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the registry asks for, without the registry: an instance of a class, and a user client of it. Shared by hosting.c, where the
 * daemon asks, and embed.c, where the program does. Driver code runs here: not on the control thread.
 */
#include <DriverKit/IOUserClient.h>

struct amb_opening {
        uint64_t entry;                 /* the user client's number */
        uint32_t type;
        OSDictionary *entitlements;     /* the application's; NULL: none */
};

/* An instance of the class that the personality names. *ret_message (malloc, or NULL) says what is missing. */
kern_return_t amb_opening_make(const char *user_class, IOService **ret_service, char **ret_message);
/* The driver's NewUserClient on the service's default queue. The client has its number, and is not started. */
kern_return_t amb_opening_ask(IOService *service, const struct amb_opening *opening, IOUserClient **ret_client);
/* Into the table, and Start; what does not start is let go of. */
kern_return_t amb_opening_start(IOService *service, IOService *provider);
