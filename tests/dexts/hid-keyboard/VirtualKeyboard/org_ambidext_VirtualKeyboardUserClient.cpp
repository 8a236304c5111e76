/* SPDX-License-Identifier: Apache-2.0 */
#include "org_ambidext_VirtualKeyboardUserClient.h"
#include "IOBufferMemoryDescriptorUtility.hpp"
#include "VirtualKeyboardTypes.hpp"
#include "org_ambidext_VirtualKeyboard.h"
#include <os/log.h>

#define LOG_PREFIX "VirtualKeyboardUserClient"

namespace {
kern_return_t createIOMemoryDescriptor(IOUserClientMethodArguments* arguments, IOMemoryDescriptor** memory) {
  if (!memory) {
    return kIOReturnBadArgument;
  }
  *memory = nullptr;

  if (arguments->structureInput) {
    return IOBufferMemoryDescriptorUtility::createWithBytes(arguments->structureInput->getBytesNoCopy(),
                                                            arguments->structureInput->getLength(),
                                                            memory);
  } else if (arguments->structureInputDescriptor) {
    *memory = arguments->structureInputDescriptor;
    (*memory)->retain();
  }
  return kIOReturnSuccess;
}
} // namespace

struct org_ambidext_VirtualKeyboardUserClient_IVars {
  uint32_t countryCode;
  org_ambidext_VirtualKeyboard* keyboard;
  bool keyboardReady;
};

bool org_ambidext_VirtualKeyboardUserClient::init() {
  if (!super::init()) {
    return false;
  }
  ivars = IONewZero(org_ambidext_VirtualKeyboardUserClient_IVars, 1);
  return ivars != nullptr;
}

void org_ambidext_VirtualKeyboardUserClient::free() {
  OSSafeReleaseNULL(ivars->keyboard);
  IOSafeDeleteNULL(ivars, org_ambidext_VirtualKeyboardUserClient_IVars, 1);
  super::free();
}

kern_return_t IMPL(org_ambidext_VirtualKeyboardUserClient, Start) {
  {
    auto kr = Start(provider, SUPERDISPATCH);
    if (kr != kIOReturnSuccess) {
      os_log(OS_LOG_DEFAULT, LOG_PREFIX " Start failed");
      return kr;
    }
  }
  return kIOReturnSuccess;
}

kern_return_t IMPL(org_ambidext_VirtualKeyboardUserClient, Stop) {
  return Stop(provider, SUPERDISPATCH);
}

kern_return_t org_ambidext_VirtualKeyboardUserClient::ExternalMethod(uint64_t selector,
                                                                     IOUserClientMethodArguments* arguments,
                                                                     const IOUserClientMethodDispatch* dispatch,
                                                                     OSObject* target,
                                                                     void* reference) {
  switch (ambidext::keyboard::user_client_method(selector)) {
    case ambidext::keyboard::user_client_method::initialize:
      if (!ivars->keyboard) {
        ivars->keyboardReady = false;
        if (arguments->scalarInputCount > 0) {
          ivars->countryCode = static_cast<uint32_t>(arguments->scalarInput[0]);
        }

        IOService* client;

        auto kr = Create(this, "VirtualKeyboardProperties", &client);
        if (kr != kIOReturnSuccess) {
          os_log(OS_LOG_DEFAULT, LOG_PREFIX " IOService::Create failed: 0x%x", kr);
          return kr;
        }

        ivars->keyboard = OSDynamicCast(org_ambidext_VirtualKeyboard, client);
        if (!ivars->keyboard) {
          client->release();
          return kIOReturnError;
        }
        return kIOReturnSuccess;
      }
      return kIOReturnError;

    case ambidext::keyboard::user_client_method::terminate:
      ivars->keyboardReady = false;
      if (ivars->keyboard) {
        ivars->keyboard->Terminate(0);
      }
      OSSafeReleaseNULL(ivars->keyboard);
      return kIOReturnSuccess;

    case ambidext::keyboard::user_client_method::ready:
      if (arguments->scalarOutput && arguments->scalarOutputCount > 0) {
        arguments->scalarOutput[0] = ivars->keyboardReady;
        return kIOReturnSuccess;
      }
      return kIOReturnError;

    case ambidext::keyboard::user_client_method::post_report:
      if (ivars->keyboard) {
        IOMemoryDescriptor* memory = nullptr;

        auto kr = createIOMemoryDescriptor(arguments, &memory);
        if (kr == kIOReturnSuccess) {
          kr = ivars->keyboard->postReport(memory);
          OSSafeReleaseNULL(memory);
        }
        return kr;
      }
      return kIOReturnError;

    case ambidext::keyboard::user_client_method::reset:
      if (ivars->keyboard) {
        return ivars->keyboard->reset();
      }
      return kIOReturnError;

    default:
      break;
  }
  return kIOReturnBadArgument;
}

void IMPL(org_ambidext_VirtualKeyboardUserClient, setKeyboardReady) {
  ivars->keyboardReady = value;
}

uint32_t IMPL(org_ambidext_VirtualKeyboardUserClient, getKeyboardCountryCode) {
  return ivars->countryCode;
}
