/* SPDX-License-Identifier: Apache-2.0 */
#include "org_ambidext_VirtualKeyboardRoot.h"
#include <DriverKit/DriverKit.h>
#include <DriverKit/IOUserClient.h>
#include <os/log.h>

#define LOG_PREFIX "VirtualKeyboardRoot"

bool org_ambidext_VirtualKeyboardRoot::init() {
  os_log(OS_LOG_DEFAULT, LOG_PREFIX " init");
  return super::init();
}

void org_ambidext_VirtualKeyboardRoot::free() {
  os_log(OS_LOG_DEFAULT, LOG_PREFIX " free");
  super::free();
}

kern_return_t IMPL(org_ambidext_VirtualKeyboardRoot, Start) {
  auto kr = Start(provider, SUPERDISPATCH);
  if (kr != kIOReturnSuccess) {
    return kr;
  }
  return RegisterService();
}

kern_return_t IMPL(org_ambidext_VirtualKeyboardRoot, Stop) {
  return Stop(provider, SUPERDISPATCH);
}

kern_return_t IMPL(org_ambidext_VirtualKeyboardRoot, NewUserClient) {
  IOService* client;

  auto kr = Create(this, "UserClientProperties", &client);
  if (kr != kIOReturnSuccess) {
    os_log(OS_LOG_DEFAULT, LOG_PREFIX " Create failed: 0x%x", kr);
    return kr;
  }

  *userClient = OSDynamicCast(IOUserClient, client);
  if (!*userClient) {
    client->release();
    return kIOReturnError;
  }
  return kIOReturnSuccess;
}
