// SPDX-License-Identifier: Apache-2.0
// A client in C++ that lives on events: a thread with a run loop hears of completions through lambdas and gives them to the rest of
// the program by queue and condition variable; one sort of report travels in 8 values.
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/hidsystem/IOHIDShared.h>
#include <IOKit/usb/USB.h>

#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <future>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using Report = std::array<std::uint8_t, 64>;

template <typename T> class Channel {
public:
    void put(T value)
    {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            values_.push_back(std::move(value));
        }
        ready_.notify_one();
    }
    T take()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        ready_.wait(lock, [this] { return !values_.empty(); });
        T value = std::move(values_.front());
        values_.pop_front();
        return value;
    }

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<T> values_;
};

class Device {
public:
    Device()
    {
        CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
        CFMutableDictionaryRef properties = CFDictionaryCreateMutable(kCFAllocatorDefault, 1, &kCFTypeDictionaryKeyCallBacks,
                                                                      &kCFTypeDictionaryValueCallBacks);
        CFDictionaryAddValue(properties, CFSTR("IOUserClass"), CFSTR("echo"));
        CFDictionaryAddValue(matching, CFSTR(kIOPropertyMatchKey), properties);
        CFRelease(properties);
        service_ = IOServiceGetMatchingService(kIOMainPortDefault, matching);
        if (!service_ || IOServiceOpen(service_, mach_task_self(), kIOHIDServerConnectType, &connection_) != KERN_SUCCESS)
            throw std::runtime_error("no device");
        port_ = IONotificationPortCreate(kIOMainPortDefault);
        std::promise<CFRunLoopRef> loop;
        auto started = loop.get_future();
        thread_ = std::thread([this, &loop] {
            CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port_), kCFRunLoopCommonModes);
            loop.set_value(CFRunLoopGetCurrent());
            CFRunLoopRun();
        });
        loop_ = started.get();
    }
    ~Device()
    {
        CFRunLoopStop(loop_);
        thread_.join();
        IONotificationPortDestroy(port_);
        IOServiceClose(connection_);
        IOObjectRelease(service_);
    }

    // Asks the driver to complete `times` times with these values.
    kern_return_t subscribe(uint64_t times, const std::vector<uint64_t> &values)
    {
        std::vector<uint64_t> input{times};
        input.insert(input.end(), values.begin(), values.end());
        io_async_ref64_t reference{};
        reference[kIOAsyncCalloutFuncIndex] = reinterpret_cast<io_user_reference_t>(
            values.size() == 2 ? reinterpret_cast<void *>(+[](void *refcon, IOReturn result, void *one, void *two) {
                static_cast<Device *>(refcon)->heard_pair(result, one, two);
            })
                               : reinterpret_cast<void *>(+[](void *refcon, IOReturn result, void **args, uint32_t count) {
                static_cast<Device *>(refcon)->heard(result, args, count);
            }));
        reference[kIOAsyncCalloutRefconIndex] = reinterpret_cast<io_user_reference_t>(this);
        return IOConnectCallAsyncScalarMethod(connection_, 2, IONotificationPortGetMachPort(port_), reference, kIOAsyncCalloutCount,
                                              input.data(), static_cast<uint32_t>(input.size()), nullptr, nullptr);
    }

    Channel<std::vector<uint64_t>> events;

private:
    void heard(IOReturn result, void **args, uint32_t count)
    {
        auto values = reinterpret_cast<uint64_t *>(args);
        if (result == kIOReturnSuccess)
            events.put(std::vector<uint64_t>(values, values + count));
    }
    void heard_pair(IOReturn result, void *one, void *two)
    {
        if (result == kIOReturnSuccess)
            events.put({reinterpret_cast<uint64_t>(one), reinterpret_cast<uint64_t>(two)});
    }

    io_service_t service_ = IO_OBJECT_NULL;
    io_connect_t connection_ = IO_OBJECT_NULL;
    IONotificationPortRef port_ = nullptr;
    CFRunLoopRef loop_ = nullptr;
    std::thread thread_;
};

int main()
{
    Device device;
    Report report;
    for (std::size_t i = 0; i < report.size(); ++i)
        report[i] = static_cast<std::uint8_t>(i ^ 0x55);
    std::vector<uint64_t> values(8);
    std::memcpy(values.data(), report.data(), report.size());

    if (device.subscribe(3, values) != kIOReturnSuccess)
        return 1;
    for (int i = 0; i < 3; ++i) {
        auto event = device.events.take();
        Report back;
        std::memcpy(back.data(), event.data(), back.size());
        std::cout << "report " << i << ": " << event.size() << " values, " << (back == report ? "same" : "different") << std::endl;
    }
    device.subscribe(1, {40, 2});
    auto pair = device.events.take();
    std::cout << "pair: " << pair.at(0) + pair.at(1) << std::endl;
    device.subscribe(1000, {1, 2, 3});
    uint64_t sum = 0;
    for (int i = 0; i < 1000; ++i)
        for (auto value : device.events.take())
            sum += value;
    std::cout << "stream: " << sum << std::endl;
}
