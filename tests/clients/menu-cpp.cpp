// SPDX-License-Identifier: Apache-2.0
// The menu once more as a class: a table of commands, streams, an asynchronous call that carries a structure, one connection per
// command line argument.
#include <IOKit/IOKitLib.h>
#include <CoreFoundation/CoreFoundation.h>
#include <mach/mach_error.h>
#include <IOKit/usb/USB.h>
#include <IOKit/hidsystem/IOHIDShared.h>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <vector>

struct DataStruct {
    uint64_t foo;
    uint64_t bar;
};
struct OversizedDataStruct {
    uint64_t foo;
    uint64_t bar;
    uint8_t largeArray[8192];
};

static std::ostream &operator<<(std::ostream &out, const DataStruct &data)
{
    return out << "{ foo " << data.foo << ", bar " << data.bar << " }";
}

static inline void PrintError(const char *name, kern_return_t ret)
{
    std::cout << name << " failed with error: 0x" << std::hex << std::setw(8) << std::setfill('0') << ret << std::dec << " ("
              << mach_error_string(ret) << "), system " << err_get_system(ret) << ", subsystem " << err_get_sub(ret) << ", code "
              << err_get_code(ret) << std::endl;
}

static void Callback(void *refcon, IOReturn result, void **args, uint32_t numArgs)
{
    auto values = reinterpret_cast<uint64_t *>(args);
    std::cout << "callback " << *static_cast<std::string *>(refcon) << ": result " << result;
    for (uint32_t i = 0; i < numArgs; ++i)
        std::cout << ' ' << values[i];
    std::cout << std::endl;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

class Client {
public:
    Client()
    {
        port = IONotificationPortCreate(kIOMainPortDefault);
        source = IONotificationPortGetRunLoopSource(port);
        CFRunLoopAddSource(CFRunLoopGetCurrent(), source, kCFRunLoopDefaultMode);
        commands = {
            {1, {"Scalar", [this] { return Scalar(); }}},
            {2, {"Struct", [this] { return Struct(DataStruct{300, 70000}); }}},
            {3, {"Struct (oversized)", [this] { return Oversized(); }}},
            {4, {"Async", [this] { return Async(); }}},
            {5, {"Refused", [this] { return Refused(); }}},
        };
    }
    ~Client()
    {
        CFRunLoopRemoveSource(CFRunLoopGetCurrent(), source, kCFRunLoopDefaultMode);
        IONotificationPortDestroy(port);
        if (connection != IO_OBJECT_NULL)
            IOServiceClose(connection);
    }

    bool Open(const char *name)
    {
        io_iterator_t iterator = IO_OBJECT_NULL;
        io_service_t service = IO_OBJECT_NULL;
        kern_return_t ret = IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceNameMatching(name), &iterator);
        if (ret != kIOReturnSuccess) {
            PrintError("IOServiceGetMatchingServices", ret);
            return false;
        }
        while (connection == IO_OBJECT_NULL && (service = IOIteratorNext(iterator)) != IO_OBJECT_NULL) {
            ret = IOServiceOpen(service, mach_task_self_, kIOHIDServerConnectType, &connection);
            if (ret != kIOReturnSuccess)
                PrintError("IOServiceOpen", ret);
            IOObjectRelease(service);
        }
        IOObjectRelease(iterator);
        return connection != IO_OBJECT_NULL;
    }

    void Interact()
    {
        int selection = -1;
        while (Menu() && std::cin >> selection && selection != 0) {
            auto command = commands.find(selection);
            std::cout << std::endl;
            if (command == commands.end())
                std::cout << "There is no " << selection << std::endl;
            else if (kern_return_t ret = command->second.second())
                PrintError(command->second.first.c_str(), ret);
        }
    }

private:
    bool Menu()
    {
        for (const auto &command : commands)
            std::cout << command.first << ". " << command.second.first << ' ';
        std::cout << "0. Exit: " << std::flush;
        return true;
    }
    kern_return_t Scalar()
    {
        uint64_t input[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
        uint64_t output[16] = {};
        uint32_t count = 16;
        kern_return_t ret = IOConnectCallScalarMethod(connection, 0, input, 16, output, &count);
        std::cout << count << " values, the last is " << output[15] << std::endl;
        return ret;
    }
    kern_return_t Struct(const DataStruct &input)
    {
        DataStruct output = {};
        size_t size = sizeof(output);
        kern_return_t ret = IOConnectCallStructMethod(connection, 1, &input, sizeof(input), &output, &size);
        std::cout << output << std::endl;
        return ret;
    }
    kern_return_t Oversized()
    {
        static OversizedDataStruct input, output;
        size_t size = sizeof(output);
        input.foo = 1;
        memset(input.largeArray, 0xab, sizeof(input.largeArray));
        kern_return_t ret = IOConnectCallStructMethod(connection, 1, &input, sizeof(input), &output, &size);
        std::cout << (memcmp(&input, &output, sizeof(input)) ? "different" : "same") << ' ' << size << std::endl;
        return ret;
    }
    kern_return_t Async()
    {
        io_async_ref64_t asyncRef = {};
        const uint64_t input[] = {1, 0x1122334455667788, 2, 3, 4};
        asyncRef[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)Callback;
        asyncRef[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)&name;
        kern_return_t ret = IOConnectCallAsyncMethod(connection, 2, IONotificationPortGetMachPort(port), asyncRef,
                                                     kIOAsyncCalloutCount,
                                                     input, 5, nullptr, 0, nullptr, nullptr, nullptr, nullptr);
        if (ret == kIOReturnSuccess)
            CFRunLoopRun();
        return ret;
    }
    kern_return_t Refused()
    {
        /* The table wants no structure here. */
        DataStruct input = {};
        return IOConnectCallStructMethod(connection, 3, &input, sizeof(input), nullptr, nullptr);
    }

    io_connect_t connection = IO_OBJECT_NULL;
    IONotificationPortRef port = nullptr;
    CFRunLoopSourceRef source = nullptr;
    std::string name = "of the client";
    std::map<int, std::pair<std::string, std::function<kern_return_t()>>> commands;
};

int main(int argc, const char *argv[])
{
    Client client;
    if (!client.Open(argc > 1 ? argv[1] : "echo"))
        return EXIT_FAILURE;
    client.Interact();
    std::cout << "Exiting" << std::endl;
    return EXIT_SUCCESS;
}
