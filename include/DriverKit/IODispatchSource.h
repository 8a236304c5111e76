/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all sources of events have in common: they can be switched off and on, and cancelled.
 *
 * Contract: memory-and-queues 10, 10.1 (T5).
 */
#include <DriverKit/IODispatchQueue.h>

typedef IODispatchBlock IODispatchSourceCancelHandler;

#if defined(__IIG)
#include <DriverKit/IODispatchSource.iig>
#elif defined(__cplusplus)
#include <DriverKit/IODispatchSource.iig.h>
#else
struct IODispatchSource_ivars;
typedef struct IODispatchSource {
        OSObject object;
        struct IODispatchSource_ivars *ivars;
} IODispatchSource;

extern const OSMetaClass gIODispatchSourceMetaClass;

/*
 * Ends the source: no further events. After a callback in progress, handler(context) runs once, asynchronously (it may be
 * NULL); then the source lets go of its action. 0; kIOReturnNoMemory. A second Cancel runs its handler too. Any thread, also
 * from inside the callback. kIOReturnUnsupported, without any effect: a kind of source that ends with its last reference only
 * (its header says so).
 */
kern_return_t IODispatchSource_Cancel_f(IODispatchSource *self, void *context, IODispatchFunction handler);
kern_return_t IODispatchSource_Cancel(IODispatchSource *self, IODispatchSourceCancelHandler handler);

/*
 * Switches delivery off and on; sources are made switched on unless their header says otherwise. An event that happened
 * meanwhile is delivered once when the source is switched on again. 0; kIOReturnNotReady: cancelled; kIOReturnNoMemory (of the
 * form below). Any thread.
 */
kern_return_t IODispatchSource_SetEnable(IODispatchSource *self, bool enable);

/* The same; handler(context) runs once, asynchronously, when the change is in force and no callback of before it is running. */
kern_return_t IODispatchSource_SetEnableWithCompletion_f(IODispatchSource *self, bool enable, void *context,
                                                         IODispatchFunction handler);
kern_return_t IODispatchSource_SetEnableWithCompletion(IODispatchSource *self, bool enable, IODispatchSourceCancelHandler handler);
#endif
