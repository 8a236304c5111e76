/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* API_AVAILABLE and its relatives by their other name: empty macros. */
#include <Availability.h>
