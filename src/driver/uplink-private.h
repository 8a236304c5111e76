/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The part of uplink.c that the server uses on its own thread. */
#include "driver/server.h"

void amb_uplink_send_closed(struct amb_server *server, uint64_t connection);
