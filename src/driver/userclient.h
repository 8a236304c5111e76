/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of IOUserClient: what the runtime knows of the application. */
#include <DriverKit/IOUserClient.h>

struct amb_connection;
/* From the open on the client can name the application's memory; NULL: no more. */
void amb_client_set_connection(IOUserClient *client, struct amb_connection *connection);
void amb_client_set_entitlements(IOUserClient *client, OSDictionary *entitlements);
