// SPDX-License-Identifier: Apache-2.0
// As found: C headers inside extern "C", and everything in one source. run-client: g++ clang++ -std=c++20
extern "C" {
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <stdlib.h>
}
#include <AssertMacros.h>
#undef check
#undef verify
#undef require
#include <IOKit/IODataQueueClient.h>
#include <IOKit/IOMessage.h>
#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <libkern/OSAtomic.h>
#include <os/lock.h>
#include <os/log.h>

#include <array>
#include <atomic>
#include <functional>
#include <iostream>
#include <regex>
#include <string>
#include <thread>
#include <vector>

template <typename Function> kern_return_t each(const char *name, Function &&function)
{
    io_iterator_t iterator{};
    auto code = IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceNameMatching(name), &iterator);
    for (io_service_t service; code == KERN_SUCCESS && (service = IOIteratorNext(iterator)) != IO_OBJECT_NULL;
         IOObjectRelease(service))
        function(service);
    return code;
}

int main()
{
    std::vector<std::string> names;
    each("echo", [&names](io_service_t service) {
        io_name_t name;
        if (IORegistryEntryGetName(service, name) == KERN_SUCCESS)
            names.emplace_back(name);
    });
    const uint64_t input[] = {1};
    std::array<uint64_t, 16> output;
    auto count = static_cast<uint32_t>(output.size());
    return IOConnectCallScalarMethod(0, 0, input, 1, output.data(), &count) == MACH_SEND_INVALID_DEST;
}
