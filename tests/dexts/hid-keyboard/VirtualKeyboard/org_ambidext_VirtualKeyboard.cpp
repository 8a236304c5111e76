/* SPDX-License-Identifier: Apache-2.0 */
#include "org_ambidext_VirtualKeyboard.h"
#include "IOBufferMemoryDescriptorUtility.hpp"
#include "VirtualKeyboardTypes.hpp"
#include "org_ambidext_VirtualKeyboardUserClient.h"
#include <HIDDriverKit/IOHIDDeviceKeys.h>
#include <HIDDriverKit/IOHIDUsageTables.h>
#include <os/log.h>

#define LOG_PREFIX "VirtualKeyboard"

namespace {
const uint8_t reportDescriptor[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, // Generic Desktop, Keyboard, Application
    0x85, 0x01,                         //   Report Id (1)
    0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, //   modifiers
    0x26, 0xff, 0x00, 0x19, 0x00, 0x29, 0xff, 0x75, 0x08, 0x95, 0x06, 0x81, 0x00,                   //   six keys
    0xc0,
    0x05, 0x0c, 0x09, 0x01, 0xa1, 0x01, // Consumer, Consumer Control, Application
    0x85, 0x02,                         //   Report Id (2)
    0x19, 0x00, 0x2a, 0xff, 0x03, 0x26, 0xff, 0x03, 0x75, 0x10, 0x95, 0x01, 0x81, 0x00,
    0xc0,
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, // Generic Desktop, Keyboard, Application
    0x85, 0x05, 0x05, 0x08,             //   Report Id (5), LED
    0x95, 0x02, 0x75, 0x01, 0x25, 0x01, 0x19, 0x01, 0x29, 0x02, 0x91, 0x02, 0x95, 0x01, 0x75, 0x06, 0x91, 0x01,
    0x85, 0x06,                         //   Report Id (6): the lamps' state, back
    0x95, 0x02, 0x75, 0x01, 0x19, 0x01, 0x29, 0x02, 0x81, 0x02, 0x95, 0x01, 0x75, 0x06, 0x81, 0x01,
    0xc0,
};
}

struct org_ambidext_VirtualKeyboard_IVars {
  org_ambidext_VirtualKeyboardUserClient* provider;
  uint8_t lastLedState;
};

bool org_ambidext_VirtualKeyboard::init() {
  os_log(OS_LOG_DEFAULT, LOG_PREFIX " init");

  if (!super::init()) {
    return false;
  }
  ivars = IONewZero(org_ambidext_VirtualKeyboard_IVars, 1);
  if (ivars == nullptr) {
    return false;
  }
  return true;
}

void org_ambidext_VirtualKeyboard::free() {
  os_log(OS_LOG_DEFAULT, LOG_PREFIX " free");

  IOSafeDeleteNULL(ivars, org_ambidext_VirtualKeyboard_IVars, 1);
  super::free();
}

bool org_ambidext_VirtualKeyboard::handleStart(IOService* provider) {
  ivars->provider = OSDynamicCast(org_ambidext_VirtualKeyboardUserClient, provider);
  if (!ivars->provider) {
    os_log(OS_LOG_DEFAULT, LOG_PREFIX " wrong provider");
    return false;
  }
  if (!super::handleStart(provider)) {
    os_log(OS_LOG_DEFAULT, LOG_PREFIX " super::handleStart failed");
    return false;
  }
  ivars->provider->setKeyboardReady(true);
  return true;
}

kern_return_t IMPL(org_ambidext_VirtualKeyboard, Stop) {
  os_log(OS_LOG_DEFAULT, LOG_PREFIX " Stop");

  ivars->provider = nullptr;
  return Stop(provider, SUPERDISPATCH);
}

OSDictionary* org_ambidext_VirtualKeyboard::newDeviceDescription(void) {
  auto dictionary = OSDictionary::withCapacity(12);
  if (!dictionary) {
    return nullptr;
  }

  OSDictionarySetValue(dictionary, "RegisterService", kOSBooleanTrue);
  OSDictionarySetValue(dictionary, "HIDDefaultBehavior", kOSBooleanTrue);

  if (auto manufacturer = OSString::withCString("ambidext.org")) {
    OSDictionarySetValue(dictionary, kIOHIDManufacturerKey, manufacturer);
    manufacturer->release();
  }
  if (auto product = OSString::withCString("virtual keyboard")) {
    OSDictionarySetValue(dictionary, kIOHIDProductKey, product);
    product->release();
  }
  if (auto serialNumber = OSString::withCString("ambidext.org:keyboard")) {
    OSDictionarySetValue(dictionary, kIOHIDSerialNumberKey, serialNumber);
    serialNumber->release();
  }
  if (auto vendorId = OSNumber::withNumber(static_cast<uint32_t>(0x16c0), 32)) {
    OSDictionarySetValue(dictionary, kIOHIDVendorIDKey, vendorId);
    vendorId->release();
  }
  if (auto productId = OSNumber::withNumber(static_cast<uint32_t>(0x27db), 32)) {
    OSDictionarySetValue(dictionary, kIOHIDProductIDKey, productId);
    productId->release();
  }

  uint32_t keyboardCountryCode = 0;
  if (ivars->provider) {
    keyboardCountryCode = ivars->provider->getKeyboardCountryCode();
  }
  if (auto countryCode = OSNumber::withNumber(keyboardCountryCode, 32)) {
    OSDictionarySetValue(dictionary, kIOHIDCountryCodeKey, countryCode);
    countryCode->release();
  }
  if (auto usagePage = OSNumber::withNumber(static_cast<uint32_t>(kHIDPage_GenericDesktop), 32)) {
    OSDictionarySetValue(dictionary, kIOHIDPrimaryUsagePageKey, usagePage);
    usagePage->release();
  }
  if (auto usage = OSNumber::withNumber(static_cast<uint32_t>(kHIDUsage_GD_Keyboard), 32)) {
    OSDictionarySetValue(dictionary, kIOHIDPrimaryUsageKey, usage);
    usage->release();
  }
  return dictionary;
}

OSData* org_ambidext_VirtualKeyboard::newReportDescriptor(void) {
  return OSData::withBytes(reportDescriptor, sizeof(reportDescriptor));
}

kern_return_t org_ambidext_VirtualKeyboard::setReport(IOMemoryDescriptor* report,
                                                      IOHIDReportType reportType,
                                                      IOOptionBits options,
                                                      uint32_t completionTimeout,
                                                      OSAction* action) {
  uint64_t address;
  uint64_t len;
  report->Map(0, 0, 0, 0, &address, &len);
  if (len < 2) {
    return kIOReturnBadArgument;
  }

  auto reportId = reinterpret_cast<uint8_t*>(address)[0];
  auto state = reinterpret_cast<uint8_t*>(address)[1];
  if (reportId != 5) {
    return kIOReturnUnsupported;
  }
  if (ivars->lastLedState == state) {
    return kIOReturnSuccess;
  }
  ivars->lastLedState = state;

  struct __attribute__((packed)) {
    uint8_t reportId;
    uint8_t state;
  } ledReport;

  ledReport.reportId = 6;
  ledReport.state = state;

  IOMemoryDescriptor* memory = nullptr;
  auto kr = IOBufferMemoryDescriptorUtility::createWithBytes(&ledReport, sizeof(ledReport), &memory);
  if (kr != kIOReturnSuccess) {
    return kr;
  }
  postReport(memory);
  OSSafeReleaseNULL(memory);
  return kIOReturnSuccess;
}

kern_return_t IMPL(org_ambidext_VirtualKeyboard, postReport) {
  if (!report) {
    return kIOReturnBadArgument;
  }

  uint64_t reportLength;
  auto kr = report->GetLength(&reportLength);
  if (kr != kIOReturnSuccess) {
    return kr;
  }
  return handleReport(mach_absolute_time(),
                      report,
                      static_cast<uint32_t>(reportLength),
                      kIOHIDReportTypeInput,
                      0);
}

kern_return_t org_ambidext_VirtualKeyboard::reset_Impl() {
  ambidext::keyboard::keyboard_input keyboard_input;
  ambidext::keyboard::consumer_input consumer_input;

  struct input {
    const void* address;
    size_t length;
  } inputs[] = {
      {&keyboard_input, sizeof(keyboard_input)},
      {&consumer_input, sizeof(consumer_input)},
  };

  for (const auto& input : inputs) {
    IOMemoryDescriptor* memory = nullptr;
    auto kr = IOBufferMemoryDescriptorUtility::createWithBytes(input.address, input.length, &memory);
    if (kr != kIOReturnSuccess) {
      return kr;
    }
    postReport(memory);
    OSSafeReleaseNULL(memory);
  }
  return kIOReturnSuccess;
}
