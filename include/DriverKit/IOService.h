/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A driver's service: the object that the registry matches, starts, publishes, opens and stops.
 *
 * A C driver defines a class whose structure begins with struct IOService, overrides Start (and usually NewUserClient and
 * Stop), and exports it with OSDefineMetaClass. The runtime makes the instance, calls init, then Start on the instance's
 * default queue:
 *
 *      init -> Start(provider) -> [ NewUserClient for each IOServiceOpen ] -> Stop(provider) -> free
 *
 * Start calls IOService_Start() first; when it returns an error, the service is dropped without Stop. Stop is called at most
 * once; the driver ends its work there and calls IOService_Stop() last, at once or later from any queue: only then is the
 * service stopped.
 *
 * Which functions are for whom: `IOService_X` with an id IOService_X_ID is a method that drivers override (AMB_OVERRIDE) and
 * whose base they call; the others are calls to the runtime. Calls that go to the registry wait for its answer; without a
 * registry (it is being restarted) the change is kept and reported when it is back, and the call returns 0.
 *
 * Contract: lifecycle-registry 1.2 to 1.9; memory-and-queues 9.3 (D11 to D17).
 */
#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSCollections.h>

AMB_CLASS(IOService);
AMB_CLASS(IOUserClient);
/* Interfaces of drivers name these without including theirs. */
AMB_CLASS(IOBufferMemoryDescriptor);
AMB_CLASS(IOInterruptDispatchSource);
AMB_CLASS(IOMemoryDescriptor);
AMB_CLASS(IOMemoryMap);
AMB_CLASS(IOTimerDispatchSource);

#define kIOServiceDefaultQueueName "Default"
#define kIOServiceSearchPropertyParents 1ull

/* Names that methods take; longer ones are refused or cut off, as the method says. */
typedef char IOServiceName[128];
typedef char IOPropertyName[128];
typedef char IORegistryPlaneName[128];

#define IOService_Start_ID 0x494f537600000001ull
#define IOService_Stop_ID 0x494f537600000002ull
#define IOService_NewUserClient_ID 0x494f537600000003ull
#define IOService_SetPowerState_ID 0x494f537600000004ull

/* Power states: SetPowerState, ChangePowerState. */
#define kIOServicePowerCapabilityOff 0x00000000u
#define kIOServicePowerCapabilityOn 0x00000002u
#define kIOServicePowerCapabilityLow 0x00010000u

#if defined(__IIG)
#include <DriverKit/IOService.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOService.iig.h>
#else
struct IOService_ivars;
struct IOService {
        OSObject object;
        struct IOService_ivars *ivars;
};

extern const OSMetaClass gIOServiceMetaClass;

/*
 * --- methods to override ---
 * A driver's init begins with `if (!IOService_init(self)) return false;`, its free ends with IOService_free(self); both
 * override OSObject's methods: AMB_OVERRIDE(OSObject, init, sensors_init).
 */
bool IOService_init(OSObject *self);
void IOService_free(OSObject *self);

/* Base: 0, no effect. provider: what the service was matched on; alive until Stop is finished. Default queue. */
kern_return_t IOService_Start(IOService *self, IOService *provider);

/*
 * Base: reports that the service has stopped; the provider must not be used afterwards. Always 0. The base may be called from
 * any thread.
 */
kern_return_t IOService_Stop(IOService *self, IOService *provider);

/*
 * An application opens the service with this type (any 32-bit value). The override makes the user client, normally
 * by IOService_Create(self, self, "UserClientProperties", &service), and hands its reference over in *userClient; the runtime
 * then calls its Start with this service as provider, unless the driver has done so. The application's right to open has been
 * checked before. The code goes to the application unchanged; on failure *userClient is ignored. Default queue. Base:
 * kIOReturnError.
 */
kern_return_t IOService_NewUserClient(IOService *self, uint32_t type, IOUserClient **userClient);

/*
 * The system goes to another power state; the base acknowledges it. Nothing here does: there is no power management, services are
 * in full power all the time. Base: kIOReturnNotReady, there is nothing to acknowledge.
 */
kern_return_t IOService_SetPowerState(IOService *self, uint32_t powerFlags);

/*
 * --- calls; any thread unless stated ---
 */

/* Asks for a power state of its own. 0, without effect; kIOReturnBadArgument: none of the three. */
kern_return_t IOService_ChangePowerState(IOService *self, uint32_t powerFlags);
/* Asks to be told of power states. 0, without effect; kIOReturnNotReady: the service is not attached yet. */
kern_return_t IOService_JoinPMTree(IOService *self);

/*
 * Publishes the service: matching notifications are sent and drivers may match on it. Inside Start it is carried out when Start
 * has returned 0. Always 0.
 */
kern_return_t IOService_RegisterService(IOService *self);

/*
 * Sets the registry name, which IOServiceNameMatching finds: at most 127 bytes. 0; kIOReturnBadArgument: NULL, empty or longer.
 */
kern_return_t IOService_SetName(IOService *self, const char *name);

/* *name: one reference to the registry name; its first value is the class's name. 0; kIOReturnError: none. */
kern_return_t IOService_CopyName(IOService *self, OSString **name);

/* The number of the registry entry, never used again for another; 0 for an object that was never attached. Returns 0. */
kern_return_t IOService_GetRegistryEntryID(IOService *self, uint64_t *entryID);

/* The object given to Start, without a reference; NULL before Start. */
IOService *IOService_GetProvider(const IOService *self);

/*
 * *name: one reference to the words for a code, its symbol. 0. kIOReturnError: none has this value; *name is not written.
 * kIOReturnNoMemory.
 */
kern_return_t IOService_StringFromReturn(IOService *self, IOReturn code, OSString **name);

/* The symbol of a code, "UNDEFINED" for one that has none: a string that stays, for the log. Needs no object, any thread. */
const char *IOService_StringFromReturn_cString(IOReturn code);

/*
 * Adds copies to the service's run-time properties, which applications see merged over those of its personality. 0.
 * kIOReturnUnsupported: the service is not of this process. kIOReturnBadArgument: NULL, no dictionary, or more than can travel
 * (4 MiB, 16384 values, 32 levels).
 */
kern_return_t IOService_SetProperties(IOService *self, OSDictionary *properties);

/*
 * *properties: one reference to a new dictionary, personality and run-time properties merged; the caller may change it and
 * what is in it. 0; kIOReturnNoMemory.
 */
kern_return_t IOService_CopyProperties(IOService *self, OSDictionary **properties);

/*
 * Removes one run-time property (never one of the personality). 0, also when it is absent; kIOReturnNotFound: there are none at
 * all; kIOReturnUnsupported: NULL, or the service is not of this process.
 */
kern_return_t IOService_RemoveProperty(IOService *self, OSString *propertyName);

/*
 * Looks a property up. First among the personality's of the service; with kIOServiceSearchPropertyParents also, nearest first, of
 * its providers, as far as this process knows them: its own services, and the provider that another host's or the registry's
 * service is for one of them. Then among its run-time ones; those of its providers only with bit 2 of options, which on the
 * original has this effect and no name. plane: "IOService" if options has kIOServiceSearchPropertyParents; in another plane
 * there are no providers. *property: one reference, not to be changed. 0. kIOReturnNotFound: *property is NULL.
 * kIOReturnBadArgument: name or property NULL.
 */
kern_return_t IOService_SearchProperty(IOService *self, const char *name, const char *plane, uint64_t options,
                                       OSContainer **property);

/*
 * Items of the service's state: named dictionaries, for IOServiceStateNotificationDispatchSource. They are no properties, and
 * only this process sees them. Create: the item exists, without a value if it is new; schema is accepted and not looked at. Set:
 * makes it if need be, gives it a copy of the value, all the way down, and tells who waits for a change. 0; kIOReturnBadArgument:
 * NULL (schema may be), or no dictionary; kIOReturnUnsupported: the service is not of this process; kIOReturnNoMemory, also for a
 * value that could not travel (OSCreateSerializationFromObject).
 */
kern_return_t IOService_StateNotificationItemCreate(IOService *self, OSString *itemName, OSDictionary *schema);
kern_return_t IOService_StateNotificationItemSet(IOService *self, OSString *itemName, OSDictionary *value);

/*
 * *value: one reference to a copy of the item's value. 0. kIOReturnNotFound: no such item, or it has no value; *value is not
 * written. kIOReturnBadArgument: NULL. kIOReturnNoMemory.
 */
kern_return_t IOService_StateNotificationItemCopy(IOService *self, OSString *itemName, OSDictionary **value);

/*
 * Makes an object out of a dictionary among this service's personality properties: for user clients ("IOClass" is
 * "IOUserUserClient") inside NewUserClient, and for child services ("IOUserService", "AppleUserHIDDevice"), which are started by
 * themselves. The object's class is the dictionary's "IOUserClass"; its properties are a copy of the dictionary.
 *
 * 0: *result has one reference. kIOReturnUnsupported: provider is not self, the service is not active, the class is not known,
 * or init refused. kIOReturnBadArgument: no such key, no dictionary, no string "IOClass". kIOReturnNoMemory. kIOReturnOffline:
 * a child service, and the registry is being restarted. On failure *result is not written.
 */
kern_return_t IOService_Create(IOService *self, IOService *provider, const char *propertiesKey, IOService **result);

/*
 * Begins the service's or user client's end; Stop follows. 0. kIOReturnUnsupported: options not 0. kIOReturnNotPermitted: the
 * service is not of this process.
 */
kern_return_t IOService_Terminate(IOService *self, uint64_t options);

/*
 * Puts the methods of a queue name onto `queue` (retained; the queue that was set before is let go). name: "Default", which is
 * set from init on, or one that the object's class or a superclass declares for a method of its own (AMB_METHOD_ON); every user
 * client has kIOUserClientQueueNameExternalMethod. A method whose name was never set runs on the default queue. Methods in
 * progress finish where they are. 0. kIOReturnBadArgument: other names, NULL. kIOReturnError: stopped, or not of this process.
 * kIOReturnNoMemory.
 */
kern_return_t IOService_SetDispatchQueue(IOService *self, const char *name, IODispatchQueue *queue);

/*
 * *queue: one reference. A name that the class does not declare is looked for at the provider, and so on. On failure *queue is
 * not written: kIOReturnNotFound: declared and never set, or declared by nobody. kIOReturnError: stopped, or the service is not
 * of this process. kIOReturnBadArgument: NULL.
 */
kern_return_t IOService_CopyDispatchQueue(IOService *self, const char *name, IODispatchQueue **queue);

/*
 * Makes a queue as the runtime makes default queues, named after the class; it is not bound to the object. 0: *queue has one
 * reference. kIOReturnNoMemory.
 */
kern_return_t IOService_CreateDefaultDispatchQueue(IOService *self, IODispatchQueue **queue);
#endif
