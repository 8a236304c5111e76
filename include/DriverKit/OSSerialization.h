/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The class of serializations; its functions are in OSCollections.h. Contract: memory-and-queues 12.6. */
#include <DriverKit/OSContainer.h>

#if defined(__IIG)
#include <DriverKit/OSSerialization.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSSerialization.iig.h>
#else
extern const OSMetaClass gOSSerializationMetaClass;
#endif
