/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <DriverKit/IOUserClient.h>
#include <DriverKit/IOTimerDispatchSource.h>
