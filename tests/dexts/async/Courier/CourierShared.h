#ifndef CourierShared_h
#define CourierShared_h

#include <stdint.h>

#define kCourierSlots 8

// The application's side of the protocol.
enum {
    kCourierBurst,          // async. values for each completion, completions, status: the values count up from 1000 * completion
    kCourierKeep,           // async. slot: keeps the completion, in the connection
    kCourierDeliver,        // slot, values, status: from the courier's own queue, later
    kCourierDrop,           // slot: lets it go
    kCourierPayload,        // async, 64 bytes: they come back, as eight values, each byte plus one
    kCourierCode,           // code: is returned
    kCourierKeepAndFail,    // async. slot, code: keeps the completion and returns the code
    kCourierLeave,          // async. slot: keeps the completion in the service, for other connections
    kCourierCollect,        // slot, value: completes what was left, then lets it go
    kCourierStorm,          // async. completions: from the own queue, each with its number, and the last with kCourierStormOver
    kCourierReturn,         // async. values, status: completes an action of the driver's own first, which passes it on
    kCourierMethods
};

#define kCourierStormOver 0x1234

#endif
