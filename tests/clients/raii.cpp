// SPDX-License-Identifier: Apache-2.0
// A client in C++ with handles that release themselves, exceptions that carry the code, vectors as buffers, and several threads
// that share one connection.
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <mach/mach_error.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

class IOKitError : public std::runtime_error {
public:
    IOKitError(const std::string &what, kern_return_t code) : std::runtime_error(describe(what, code)), code_(code) {}
    kern_return_t code() const noexcept { return code_; }

private:
    static std::string describe(const std::string &what, kern_return_t code)
    {
        std::ostringstream text;
        text << what << ": " << mach_error_string(code) << " (system 0x" << std::hex << err_get_system(code) << ", subsystem 0x"
             << err_get_sub(code) << ", code 0x" << err_get_code(code) << ")";
        return text.str();
    }
    kern_return_t code_;
};

class IOObject {
public:
    IOObject() = default;
    explicit IOObject(io_object_t object) : object_(object) {}
    IOObject(IOObject &&other) noexcept : object_(std::exchange(other.object_, IO_OBJECT_NULL)) {}
    IOObject &operator=(IOObject &&other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }
    IOObject(const IOObject &) = delete;
    IOObject &operator=(const IOObject &) = delete;
    ~IOObject()
    {
        if (object_ != IO_OBJECT_NULL)
            IOObjectRelease(object_);
    }
    io_object_t get() const noexcept { return object_; }
    io_object_t *out() noexcept { return &object_; }
    explicit operator bool() const noexcept { return object_ != IO_OBJECT_NULL; }

private:
    io_object_t object_ = IO_OBJECT_NULL;
};

template <typename T> struct CFDeleter {
    void operator()(T object) const { CFRelease(object); }
    using pointer = T;
};
template <typename T> using CFPtr = std::unique_ptr<std::remove_pointer_t<T>, CFDeleter<T>>;

class Connection {
public:
    explicit Connection(const IOObject &service, uint32_t type = 0)
    {
        kern_return_t ret = IOServiceOpen(service.get(), mach_task_self(), type, &connection_);
        if (ret != kIOReturnSuccess)
            throw IOKitError("IOServiceOpen", ret);
    }
    ~Connection() { IOServiceClose(connection_); }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    std::vector<uint64_t> scalar(uint32_t selector, const std::vector<uint64_t> &input, uint32_t outputs = 16) const
    {
        std::vector<uint64_t> output(outputs);
        kern_return_t ret = IOConnectCallScalarMethod(connection_, selector, input.data(), static_cast<uint32_t>(input.size()),
                                                      output.data(), &outputs);
        if (ret != kIOReturnSuccess)
            throw IOKitError("selector " + std::to_string(selector), ret);
        output.resize(outputs);
        return output;
    }

    template <typename T> T structure(uint32_t selector, const T &input) const
    {
        static_assert(std::is_trivially_copyable<T>::value, "travels as bytes");
        T output{};
        size_t size = sizeof(T);
        kern_return_t ret = IOConnectCallStructMethod(connection_, selector, &input, sizeof(T), &output, &size);
        if (ret != kIOReturnSuccess)
            throw IOKitError("selector " + std::to_string(selector), ret);
        return output;
    }

    std::vector<uint8_t> bytes(uint32_t selector, const std::vector<uint8_t> &input) const
    {
        std::vector<uint8_t> output(input.size());
        size_t size = output.size();
        kern_return_t ret = IOConnectCallStructMethod(connection_, selector, input.data(), input.size(), output.data(), &size);
        if (ret != kIOReturnSuccess)
            throw IOKitError("selector " + std::to_string(selector), ret);
        output.resize(size);
        return output;
    }

private:
    io_connect_t connection_ = IO_OBJECT_NULL;
};

static std::vector<IOObject> find(const std::string &name)
{
    std::vector<IOObject> found;
    IOObject iterator;
    kern_return_t ret = IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceNameMatching(name.c_str()), iterator.out());
    if (ret != kIOReturnSuccess)
        throw IOKitError("IOServiceGetMatchingServices", ret);
    for (IOObject service{IOIteratorNext(iterator.get())}; service; service = IOObject{IOIteratorNext(iterator.get())})
        found.push_back(std::move(service));
    return found;
}

static std::string property(const IOObject &entry, CFStringRef key)
{
    CFPtr<CFTypeRef> value{IORegistryEntryCreateCFProperty(entry.get(), key, kCFAllocatorDefault, 0)};
    if (!value || CFGetTypeID(value.get()) != CFStringGetTypeID())
        return {};
    auto string = static_cast<CFStringRef>(value.get());
    std::vector<char> text(CFStringGetMaximumSizeForEncoding(CFStringGetLength(string), kCFStringEncodingUTF8) + 1);
    return CFStringGetCString(string, text.data(), text.size(), kCFStringEncodingUTF8) ? text.data() : "";
}

struct Sample {
    uint32_t sequence;
    double value;
    char name[24];
};

int main()
{
    try {
        auto services = find("echo");
        std::cout << services.size() << " service, class " << property(services.at(0), CFSTR("IOUserClass")) << ", bundle "
                  << property(services.at(0), CFSTR("CFBundleIdentifier")) << std::endl;
        if (find("no such driver").empty())
            std::cout << "nothing of another name" << std::endl;

        Connection connection(services.at(0));
        auto echoed = connection.scalar(0, {3, 1, 4, 1, 5});
        std::cout << "scalars:";
        for (auto value : echoed)
            std::cout << ' ' << value;
        std::cout << std::endl;

        Sample sample{7, 2.5, "sample"};
        auto same = connection.structure(1, sample);
        std::cout << "structure: " << same.sequence << ' ' << same.value << ' ' << same.name << std::endl;

        std::vector<uint8_t> big(100000);
        std::iota(big.begin(), big.end(), 0);
        std::cout << "vector: " << (connection.bytes(1, big) == big ? "same" : "different") << std::endl;

        std::atomic<int> wrong{0};
        std::vector<std::thread> threads;
        for (uint64_t thread = 0; thread < 4; ++thread)
            threads.emplace_back([&connection, &wrong, thread] {
                for (uint64_t i = 0; i < 500; ++i)
                    if (connection.scalar(0, {thread, i}, 2) != std::vector<uint64_t>{thread, i})
                        ++wrong;
            });
        std::for_each(threads.begin(), threads.end(), [](std::thread &thread) { thread.join(); });
        std::cout << "threads: " << wrong << " wrong answers" << std::endl;

        connection.scalar(3, {0xe00002d5}, 0);
    } catch (const IOKitError &error) {
        std::cout << error.what() << std::endl;
        return error.code() == kIOReturnBusy ? 0 : 1;
    }
    return 1;
}
