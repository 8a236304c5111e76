/* SPDX-License-Identifier: Apache-2.0 */
#include <os/log.h>
#include <string.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOMemoryMap.h>
#include <DriverKit/OSSharedPtr.h>
#include <HIDDriverKit/IOHIDDeviceKeys.h>
#include <HIDDriverKit/IOHIDEventServiceKeys.h>

#include "GamepadClient.h"
#include "GamepadDevice.h"

#define Log(fmt, ...) os_log(OS_LOG_DEFAULT, "GamepadDevice - " fmt "\n", ##__VA_ARGS__)

static unsigned char gamepad_report_descriptor[] = {
    0x05, 0x01,       // USAGE_PAGE (Generic Desktop)
    0x09, 0x05,       // USAGE (Game Pad)
    0xA1, 0x01,       // COLLECTION (Application)
    0x85, 0x01,       //   REPORT_ID (1)
    0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x02, 0x81, 0x02,   // X, Y
    0x09, 0x39, 0x25, 0x07, 0x75, 0x04, 0x95, 0x01, 0x81, 0x42,                                 // hat switch
    0x05, 0x09, 0x19, 0x01, 0x29, 0x02, 0x25, 0x01, 0x75, 0x01, 0x95, 0x02, 0x81, 0x02,         // two buttons
    0x95, 0x02, 0x81, 0x01,                                                                     // filler
    0x06, 0x00, 0xFF, // USAGE_PAGE (vendor)
    0x85, 0x05,       //   REPORT_ID (5): shake
    0x09, 0x22, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x01, 0x91, 0x02,
    0x85, 0x02,       //   REPORT_ID (2): calibration
    0x09, 0x24, 0x95, 0x06, 0xB1, 0x02,
    0xC0,
};

struct GamepadDevice_IVars {
    OSSharedPtr<IODispatchQueue> slow;      // what takes long
    OSSharedPtr<OSString> serial;
    uint8_t calibration[7];
    bool ready;
};

bool GamepadDevice::init()
{
    if (!super::init()) return false;
    ivars = IONewZero(GamepadDevice_IVars, 1);
    if (ivars == nullptr) return false;
    ivars->calibration[0] = 2;
    memcpy(ivars->calibration + 1, "calib!", 6);
    return true;
}

void GamepadDevice::free()
{
    if (ivars != nullptr) {
        ivars->slow.reset();        // no destructor runs
        ivars->serial.reset();
    }
    IOSafeDeleteNULL(ivars, GamepadDevice_IVars, 1);
    super::free();
}

kern_return_t IMPL(GamepadDevice, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        Log("super::Start failed: 0x%08x", ret);
        return ret;
    }

    // Visible in the registry beside what the description says.
    OSString* key = OSString::withCString("Shakes");
    setProperty(key, kOSBooleanTrue);
    OSSafeReleaseNULL(key);

    ivars->ready = true;
    return RegisterService();
}

kern_return_t IMPL(GamepadDevice, Stop)
{
    this->retain();
    provider->retain();

    // Whatever is on the queue ends first.
    return ivars->slow->Cancel(^{
        Stop(provider, SUPERDISPATCH);
        provider->release();
        this->release();
    });
}

bool GamepadDevice::handleStart(IOService* provider)
{
    IODispatchQueue* queue = nullptr;

    if (!super::handleStart(provider)) return false;
    if (IODispatchQueue::Create("slow", 0, 0, &queue) != kIOReturnSuccess) return false;
    ivars->slow = OSSharedPtr<IODispatchQueue>(queue, OSNoRetain);
    ivars->serial = OSSharedPtr<OSString>(OSString::withCString("pad"), OSNoRetain);
    return ivars->serial.get() != nullptr;
}

OSDictionary* GamepadDevice::newDeviceDescription(void)
{
    GamepadClient* client = OSDynamicCast(GamepadClient, GetProvider());
    struct {
        const char* key;
        OSObject* value;
    } pairs[] = {
        { kIOHIDTransportKey, OSString::withCString(kIOHIDTransportBluetoothValue) },
        { kIOHIDProductKey, OSString::withCString("Pad") },
        { kIOHIDVendorIDKey, OSNumber::withNumber(client ? client->getVendorId() : 0, 32) },
        { kIOHIDProductIDKey, OSNumber::withNumber(client ? client->getProductId() : 0, 32) },
        { kIOHIDVersionNumberKey, OSNumber::withNumber((uint32_t)0x100, 16) },
        { kIOHIDRequestTimeoutKey, OSNumber::withNumber(2000000ULL, 32) },
    };
    OSDictionary* description = OSDictionary::withCapacity(8);

    for (auto& [key, value] : pairs) {
        description->setObject(key, value);
        value->release();
    }
    description->setObject(kIOHIDSerialNumberKey, ivars->serial.get());
    description->setObject(kIOHIDPointerAccelerationSupportKey, kOSBooleanFalse);
    return description;
}

OSData* GamepadDevice::newReportDescriptor(void)
{
    return OSData::withBytes(gamepad_report_descriptor, sizeof(gamepad_report_descriptor));
}

void GamepadDevice::answerLater(OSAction* action, uint32_t count)
{
    action->retain();
    ivars->slow->DispatchAsync(^{
        CompleteReport(action, kIOReturnSuccess, count);
        action->release();
    });
}

kern_return_t GamepadDevice::getReport(IOMemoryDescriptor* report, IOHIDReportType reportType, IOOptionBits options,
                                       uint32_t completionTimeout, OSAction* action)
{
    IOMemoryMap* map = nullptr;
    uint8_t reportId = options & 0xFF;

    if (reportType != kIOHIDReportTypeFeature || reportId != 2) {
        return super::getReport(report, reportType, options, completionTimeout, action);
    }

    kern_return_t ret = report->CreateMapping(0, 0, 0, 0, 0, &map);
    if (ret != kIOReturnSuccess) return ret;
    uint64_t count = map->GetLength() < sizeof(ivars->calibration) ? map->GetLength() : sizeof(ivars->calibration);
    memcpy(reinterpret_cast<void*>(map->GetAddress()), ivars->calibration, count);
    OSSafeReleaseNULL(map);
    answerLater(action, static_cast<uint32_t>(count));
    return kIOReturnSuccess;
}

kern_return_t GamepadDevice::setReport(IOMemoryDescriptor* report, IOHIDReportType reportType, IOOptionBits options,
                                       uint32_t completionTimeout, OSAction* action)
{
    IOMemoryMap* map = nullptr;
    kern_return_t ret = report->CreateMapping(kIOMemoryMapReadOnly, 0, 0, 0, 0, &map);

    if (ret != kIOReturnSuccess || map == nullptr) return ret;
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(map->GetAddress());
    uint64_t length = map->GetLength();

    if (reportType == kIOHIDReportTypeOutput && length == 2 && bytes[0] == 5) {
        GamepadClient* client = OSDynamicCast(GamepadClient, GetProvider());
        if (client) client->rumbled(bytes[1]);
        super::CompleteReport(action, kIOReturnSuccess, static_cast<uint32_t>(length));
    } else if (reportType == kIOHIDReportTypeFeature && length == sizeof(ivars->calibration) && bytes[0] == 2) {
        memcpy(ivars->calibration, bytes, length);
        answerLater(action, static_cast<uint32_t>(length));
    } else {
        ret = super::setReport(report, reportType, options, completionTimeout, action);
    }
    OSSafeReleaseNULL(map);
    return ret;
}

kern_return_t IMPL(GamepadDevice, postReport)
{
    uint64_t length = 0;

    if (!report) return kIOReturnBadArgument;
    report->GetLength(&length);
    return this->handleReport(mach_absolute_time(), report, static_cast<uint32_t>(length));
}

bool IMPL(GamepadDevice, getReady)
{
    return ivars->ready;
}
