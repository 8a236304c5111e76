// SPDX-License-Identifier: Apache-2.0
// A client in C++ that shares memory with its driver: std::atomic over a mapping, a read-only mapping, a small lock, completions on
// a dispatch queue that a semaphore waits for.
#include <IOKit/IOKitLib.h>
#include <dispatch/dispatch.h>
#include <libkern/OSAtomic.h>
#include <mach/mach.h>
#include <mach/mach_time.h>
#include <os/lock.h>
#include <os/log.h>

#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>

namespace {

class Lock {
public:
    void lock() { os_unfair_lock_lock(&lock_); }
    void unlock() { os_unfair_lock_unlock(&lock_); }

private:
    os_unfair_lock lock_ = OS_UNFAIR_LOCK_INIT;
};

template <typename T> class Mapping {
public:
    Mapping(io_connect_t connection, uint32_t type, IOOptionBits options = kIOMapAnywhere) : connection_(connection), type_(type)
    {
        status_ = IOConnectMapMemory64(connection, type, mach_task_self(), &address_, &size_, options);
    }
    ~Mapping()
    {
        if (status_ == KERN_SUCCESS)
            IOConnectUnmapMemory64(connection_, type_, mach_task_self(), address_);
    }
    kern_return_t status() const { return status_; }
    mach_vm_size_t size() const { return size_; }
    T *operator->() const { return reinterpret_cast<T *>(address_); }

private:
    io_connect_t connection_;
    uint32_t type_;
    mach_vm_address_t address_ = 0;
    mach_vm_size_t size_ = 0;
    kern_return_t status_;
};

struct Words {
    std::atomic<uint64_t> word[512];
};

Lock lock;
std::map<uint64_t, unsigned> seen;
volatile int32_t callbacks;

void completed(void *refcon, IOReturn result, void **args, uint32_t count)
{
    {
        std::lock_guard<Lock> held(lock);
        seen[reinterpret_cast<uint64_t *>(args)[count - 1]]++;
    }
    if (OSAtomicIncrement32(&callbacks) == 5 && result == kIOReturnSuccess)
        dispatch_semaphore_signal(static_cast<dispatch_semaphore_t>(refcon));
}

} // namespace

int main(void)
{
    io_service_t service = IOServiceGetMatchingService(MACH_PORT_NULL, IOServiceNameMatching("echo"));
    io_connect_t connection = IO_OBJECT_NULL;
    if (IOServiceOpen(service, mach_task_self(), 0, &connection) != KERN_SUCCESS)
        return 1;
    {
        Mapping<Words> both(connection, 2), missing(connection, 77);
        const uint64_t ask[] = {2, 9, 1000};
        uint64_t was = 0;
        uint32_t count = 1;
        std::printf("mapped: %x, %llu bytes; unknown type: %x\n", both.status(), (unsigned long long)both.size(), missing.status());
        both->word[9].store(17, std::memory_order_release);
        IOConnectCallScalarMethod(connection, 10, ask, 3, &was, &count);
        std::printf("driver saw %llu and left %llu\n", (unsigned long long)was, (unsigned long long)both->word[9].load());
    }
    dispatch_semaphore_t done = dispatch_semaphore_create(0);
    dispatch_queue_t queue = dispatch_queue_create("org.example.events", DISPATCH_QUEUE_SERIAL);
    IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
    IONotificationPortSetDispatchQueue(port, queue);
    uint64_t reference[3] = {0, (uint64_t)completed, (uint64_t)done};
    const uint64_t input[] = {5, 1, 2, 3};
    kern_return_t code = IOConnectCallAsyncScalarMethod(connection, 2, IONotificationPortGetMachPort(port), reference, 3, input, 4,
                                                        nullptr, nullptr);
    if (code != KERN_SUCCESS || dispatch_semaphore_wait(done, dispatch_time(DISPATCH_TIME_NOW, 60 * NSEC_PER_SEC)) != 0)
        return 2;
    {
        std::lock_guard<Lock> held(lock);
        std::printf("completions with 3 as the last value: %u\n", seen[3]);
    }
    IONotificationPortDestroy(port);
    dispatch_release(queue);
    dispatch_release(done);

    mach_timebase_info_data_t base;
    mach_timebase_info(&base);
    uint64_t begin = mach_absolute_time();
    for (int i = 0; i < 100; ++i)
        IOConnectCallScalarMethod(connection, 0, nullptr, 0, nullptr, nullptr);
    uint64_t nanoseconds = (mach_absolute_time() - begin) * base.numer / base.denom;
    std::printf("100 calls took %s\n", nanoseconds > 0 && nanoseconds < 60 * NSEC_PER_SEC ? "some time" : "no time or too long");
    os_log_error(OS_LOG_DEFAULT, "closing %{public}s", "echo");
    IOServiceClose(connection);
    IOObjectRelease(service);
}
