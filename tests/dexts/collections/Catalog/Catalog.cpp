//
//  Catalog.cpp: what the driver's own properties are.
//  SPDX-License-Identifier: Apache-2.0
//
#include "Catalog.h"

#include <os/log.h>
#include <stdint.h>
#include <stdio.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/OSCollections.h>

kern_return_t IMPL(Catalog, Start) {
  kern_return_t ret = Start(provider, SUPERDISPATCH);
  if (ret != kIOReturnSuccess) return ret;
  return RegisterService();
}

kern_return_t IMPL(Catalog, NewUserClient) {
  IOService* client = nullptr;
  kern_return_t ret = Create(this /* provider */, "UserClientProperties" /* key */, &client);
  if (ret != kIOReturnSuccess) return ret;
  *userClient = OSRequiredCast(IOUserClient, client);
  return ret;
}

IOReturn Catalog::publish(OSString* text, uint64_t number) {
  OSDictionary* properties = OSDictionary::withCapacity(2);
  OSNumber* value = OSNumber::withNumber(number, 32);
  IOReturn ret = kIOReturnNoMemory;

  if (properties && value && properties->setObject("CatalogText", text) && properties->setObject("CatalogNumber", value) &&
      OSDictionarySetValue(properties, "CatalogOpen", kOSBooleanFalse))
    ret = SetProperties(properties);
  OSSafeReleaseNULL(value);
  OSSafeReleaseNULL(properties);
  return ret;
}

IOReturn Catalog::retract() {
  OSString* name = OSString::withCString("CatalogText");
  IOReturn ret = RemoveProperty(name);
  name->release();
  return ret;
}

IOReturn Catalog::readDefaults(CatalogDefaults* defaults) {
  OSDictionary* properties = nullptr;
  IOReturn ret = CopyProperties(&properties);
  if (ret != kIOReturnSuccess) return ret;

  auto own = OSDynamicCast(OSDictionary, properties->getObject("CatalogDefaults"));
  auto shelves = own ? OSDynamicCast(OSNumber, own->getObject("Shelves")) : nullptr;
  auto names = own ? OSDynamicCast(OSArray, own->getObject("Names")) : nullptr;
  auto stamp = own ? OSDynamicCast(OSData, own->getObject("Stamp")) : nullptr;
  if (shelves && names && stamp && stamp->getLength() == sizeof(defaults->stamp)) {
    defaults->shelves = shelves->unsigned64BitValue();
    defaults->names = names->getCount();
    strlcpy(defaults->first, OSDynamicCast(OSString, names->getObject(0))->getCStringNoCopy(), sizeof(defaults->first));
    strlcpy(defaults->last, OSDynamicCast(OSString, names->getLastObject())->getCStringNoCopy(), sizeof(defaults->last));
    defaults->open = own->getObject("Open") == kOSBooleanTrue;
    memcpy(defaults->stamp, stamp->getBytesNoCopy(), stamp->getLength());
  } else {
    ret = kIOReturnNotFound;
  }
  OSSafeReleaseNULL(properties);
  return ret;
}
