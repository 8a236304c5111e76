#ifndef SwitchboardTypes_h
#define SwitchboardTypes_h

/* Selectors. The checks answer with 0, or with the line of the source at which something was wrong. */
enum {
    kSwitchboardValues,
    kSwitchboardArrays,
    kSwitchboardStrings,
    kSwitchboardStructs,
    kSwitchboardObjects,
    kSwitchboardQueues,
    kSwitchboardOneWay,
    kSwitchboardChecks,
    kSwitchboardSubscribe = kSwitchboardChecks,     /* async: a completion for each call: line, country, length, digits */
    kSwitchboardRing,                               /* line */
    kSwitchboardHeard,                              /* -> calls that the switchboard itself has heard of */
    kSwitchboardLater,                              /* async, nanoseconds: a completion by a timer */
    kSwitchboardSelectors
};

#endif
