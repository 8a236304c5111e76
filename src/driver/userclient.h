/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of IOUserClient: what the daemon says about the application, before Start runs. */
#include <DriverKit/IOUserClient.h>

void amb_client_set_entitlements(IOUserClient *client, OSDictionary *entitlements);
