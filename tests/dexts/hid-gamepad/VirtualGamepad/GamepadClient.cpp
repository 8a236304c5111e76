/* SPDX-License-Identifier: Apache-2.0 */
#include <os/log.h>

#include <algorithm>
#include <array>
#include <string>

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOMemoryMap.h>
#include <DriverKit/OSCollections.h>
#include <DriverKit/OSData.h>
#include <DriverKit/OSString.h>
#include <HIDDriverKit/HIDDriverKit.h>

#include "GamepadDevice.h"

#include "GamepadClient.h"

#define Log(fmt, ...) os_log(OS_LOG_DEFAULT, "Gamepad - " fmt "\n", ##__VA_ARGS__)

namespace {
typedef enum
{
    Method_Create = 0,
    Method_Ready = 1,
    Method_Update = 2,
    Method_Rumbles = 3,
    NumberOfMethods
} Method;

#define BTN_A (1 << 0)
#define BTN_B (1 << 1)
#define BTN_UP (1 << 2)

struct gamepad_report_t {
    uint8_t reportId;
    uint8_t x;
    uint8_t y;
    uint8_t hat : 4;
    uint8_t button1 : 1;
    uint8_t button2 : 1;
    uint8_t filler : 2;
};

std::string joinName(std::string baseName, uint64_t id)
{
    return baseName + " " + std::to_string(id);
}

template<typename T> std::array<unsigned char, sizeof(T)> to_bytes(const T& object)
{
    std::array<unsigned char, sizeof(T)> bytes;

    const unsigned char* begin = reinterpret_cast<const unsigned char*>(std::addressof(object));
    std::copy(begin, begin + sizeof(T), std::begin(bytes));
    return bytes;
}
} // namespace

struct GamepadClient_IVars {
    uint32_t vendorId;
    uint32_t productId;
    uint64_t rumbles;
    OSDictionary* devices;
    GamepadDevice* newDevice;
    bool begins;
    bool spoilt;
    std::string baseName = "Pad";
};

bool GamepadClient::init(void)
{
    if (!super::init()) return false;

    ivars = IONewZero(GamepadClient_IVars, 1);
    if (ivars == nullptr) return false;

    ivars->devices = OSDictionary::withCapacity(4);
    return ivars->devices != nullptr;
}

void GamepadClient::free(void)
{
    OSSafeReleaseNULL(ivars->devices);
    OSSafeReleaseNULL(ivars->newDevice);
    IOSafeDeleteNULL(ivars, GamepadClient_IVars, 1);
    super::free();
}

void GamepadClient::beginWithPad(bool spoilt)
{
    ivars->begins = true;
    ivars->spoilt = spoilt;
}

kern_return_t IMPL(GamepadClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);

    if (ret != kIOReturnSuccess || !ivars->begins) return ret;
    ret = makePad(0, 0x0e6f, 0x0180);
    if (ret == kIOReturnSuccess && ivars->spoilt) ret = kIOReturnNoDevice;
    if (ret != kIOReturnSuccess) Stop(provider, SUPERDISPATCH);
    return ret;
}

kern_return_t IMPL(GamepadClient, Stop)
{
    ivars->devices->flushCollection();
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t GamepadClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments* arguments,
                                            const IOUserClientMethodDispatch* dispatch, OSObject* target, void* reference)
{
    switch (selector)
    {
        case Method_Create: {
            return CreateDevice(arguments);
        }
        case Method_Ready: {
            return DeviceReadyCheck(arguments);
        }
        case Method_Update: {
            return UpdateDeviceInputs(arguments);
        }
        case Method_Rumbles: {
            if (arguments->scalarOutputCount < 1) return kIOReturnBadArgument;
            arguments->scalarOutput[0] = ivars->rumbles;
            return kIOReturnSuccess;
        }
        default:
            break;
    }
    return kIOReturnBadArgument;
}

kern_return_t GamepadClient::CreateDevice(IOUserClientMethodArguments* arguments)
{
    if (arguments->scalarInputCount < 3) return kIOReturnBadArgument;
    return makePad(arguments->scalarInput[0], static_cast<uint32_t>(arguments->scalarInput[1]),
                   static_cast<uint32_t>(arguments->scalarInput[2]));
}

kern_return_t GamepadClient::makePad(uint64_t id, uint32_t vendorId, uint32_t productId)
{
    OSString* key = OSString::withCString(joinName(ivars->baseName, id).c_str());
    GamepadDevice* device = (GamepadDevice*)ivars->devices->getObject(key);

    if (!device) {
        IOService* client;

        ivars->vendorId = vendorId;
        ivars->productId = productId;

        auto kr = Create(this, "GamepadDeviceProperties", &client);
        if (kr != kIOReturnSuccess) {
            OSSafeReleaseNULL(key);
            Log("IOService::Create failed: 0x%x", kr);
            return kr;
        }
        OSSafeReleaseNULL(ivars->newDevice);
        ivars->newDevice = OSDynamicCast(GamepadDevice, client);
        if (!ivars->newDevice) {
            OSSafeReleaseNULL(client);
            OSSafeReleaseNULL(key);
            return kIOReturnError;
        }
        ivars->devices->setObject(key, ivars->newDevice);
    }
    OSSafeReleaseNULL(key);
    return kIOReturnSuccess;
}

kern_return_t GamepadClient::DeviceReadyCheck(IOUserClientMethodArguments* arguments)
{
    OSString* key = OSString::withCString(joinName(ivars->baseName, arguments->scalarInput[0]).c_str());
    GamepadDevice* device = (GamepadDevice*)ivars->devices->getObject(key);

    OSSafeReleaseNULL(key);
    if (arguments->scalarOutput && arguments->scalarOutputCount > 0) {
        arguments->scalarOutput[0] = (device && device->getReady());
        return kIOReturnSuccess;
    }
    return kIOReturnError;
}

kern_return_t GamepadClient::UpdateDeviceInputs(IOUserClientMethodArguments* arguments)
{
    if (arguments->scalarInputCount < 4) return kIOReturnBadArgument;

    OSString* key = OSString::withCString(joinName(ivars->baseName, arguments->scalarInput[0]).c_str());
    GamepadDevice* device = (GamepadDevice*)ivars->devices->getObject(key);
    kern_return_t kr = kIOReturnError;

    if (device) {
        IOBufferMemoryDescriptor* memory = nullptr;
        IOMemoryMap* map = nullptr;
        struct gamepad_report_t gamepad = {};
        int buttons = int(arguments->scalarInput[1]);

        gamepad.reportId = 0x01;
        gamepad.x = uint8_t(arguments->scalarInput[2]);
        gamepad.y = uint8_t(arguments->scalarInput[3]);
        gamepad.button1 = (buttons & BTN_A) ? 1 : 0;
        gamepad.button2 = (buttons & BTN_B) ? 1 : 0;
        gamepad.hat = (buttons & BTN_UP) ? 0 : 0x0F;

        auto bytes = to_bytes(gamepad);
        OSData* data = OSData::withBytes(bytes.data(), bytes.size());
        kr = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionIn, data->getLength(), 0, &memory);
        if (kr == kIOReturnSuccess) {
            kr = memory->CreateMapping(0, 0, 0, 0, 0, &map);
        }
        if (kr == kIOReturnSuccess) {
            memcpy((void*)map->GetAddress(), data->getBytesNoCopy(0, data->getLength()), data->getLength());
            kr = device->postReport(memory);
        }
        OSSafeReleaseNULL(map);
        OSSafeReleaseNULL(memory);
        OSSafeReleaseNULL(data);
    }
    OSSafeReleaseNULL(key);
    return kr;
}

uint32_t IMPL(GamepadClient, getVendorId)
{
    return ivars->vendorId;
}

uint32_t IMPL(GamepadClient, getProductId)
{
    return ivars->productId;
}

void IMPL(GamepadClient, rumbled)
{
    ivars->rumbles = ivars->rumbles * 256 + strength;
}
