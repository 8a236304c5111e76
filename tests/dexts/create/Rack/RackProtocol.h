// RackProtocol.h - also for applications
#ifndef RackProtocol_h
#define RackProtocol_h

#include <stdint.h>

enum RackClientType : uint32_t {
    kRackClientTypeControl = 0,         // one at a time
    kRackClientTypeMonitor = 'moni',    // any number
    kRackClientTypeBroken  = 'brok',    // names a class that the driver does not have
    kRackClientTypeMissing = 'miss',    // names a dictionary that is not there
};

enum RackSelector : uint32_t {
    kRackAddSlot,           // -> number of the new slot
    kRackRemoveSlot,        // number
    kRackSlots,             // -> slots there are, slots that live, monitors opened
    kRackSetLabel,          // string in the structure: becomes the property "RackLabel"
    kRackCheckProperties,   // looks its own properties up; 0 if all is as it should be
    kRackHangUp,            // terminates this very connection
    kRackSelectorCount
};

enum RackSlotSelector : uint32_t {
    kSlotNumber,            // -> number, depth
    kSlotStore,             // value: shown as the property "SlotValue"
    kSlotVendor,            // -> structure: what the rack's vendor is, found from the slot
    kSlotSelectorCount
};

#endif
