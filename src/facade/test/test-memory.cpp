/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory, DMA, IOLib.h and what Darwin's C headers bring, in C++ as drivers write it: without including what is not DriverKit's.
 * What the functions do is tested in C (src/driver); here each is reached, with its arguments in place. Compiled as `ambidext
 * build` does, as C++11, 14, 17 and 20, by test-memory.sh.
 */
struct Before {
        uint32_t number;                /* before any #include */
        bool flag;
        size_t size;
        u_int8_t byte;
};

#include <Availability.h>
#include <AvailabilityMacros.h>
#include <Block.h>
#include <DriverKit/DriverKit.h>
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IODMACommand.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/IOMemoryMap.h>
#include <TargetConditionals.h>
#include <assert.h>
#include <libkern/OSAtomic.h>
#include <libkern/OSByteOrder.h>
#include <libkern/OSTypes.h>
#include <mach/kern_return.h>
#include <mach/mach_time.h>
#include <math.h>
#include <net/ethernet.h>
#include <os/lock.h>
#include <os/overflow.h>
#include <sys/cdefs.h>
#include <sys/queue.h>
#include <time.h>

#include "base/test-check.h"

#if __cplusplus >= 201703L
#include <DriverKit/OSSharedPtr.h>
#include <algorithm>
#endif

#if !TARGET_OS_DRIVERKIT || TARGET_OS_OSX || TARGET_OS_IPHONE
#error "a driver is compiled"
#endif
#if defined(KERNEL) || defined(DRIVERKIT_PRIVATE)
#error "and no kernel extension"
#endif
#if __DRIVERKIT_VERSION_MAX_ALLOWED < __DRIVERKIT_20_0 || MAC_OS_X_VERSION_MAX_ALLOWED < 101500
#error "versions"
#endif

/* --- memory --- */

static uint8_t *bytes_at(uint64_t address)
{
        return reinterpret_cast<uint8_t *>(address);
}

static void buffers()
{
        IOBufferMemoryDescriptor *buffer = nullptr;
        IOAddressSegment range = {};
        IOMemoryMap *map = nullptr;
        uint64_t length = 0, address = 0;

        CHECK(IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, 2 * IOVMPageSize, 0, &buffer) == kIOReturnSuccess);
        CHECK(buffer->GetLength(&length) == kIOReturnSuccess && length == 2 * IOVMPageSize);
        CHECK(buffer->GetAddressRange(&range) == kIOReturnSuccess && range.length == length);
        bytes_at(range.address)[IOVMPageSize] = 7;
        CHECK(buffer->SetLength(IOVMPageSize + 100) == kIOReturnSuccess);
        CHECK(buffer->CreateMapping(kIOMemoryMapCacheModeDefault, 0, IOVMPageSize, 100, 0, &map) == kIOReturnSuccess);
        CHECK(map->GetOffset() == IOVMPageSize && map->GetLength() == 100 && bytes_at(map->GetAddress())[0] == 7);
        IOMemoryDescriptor *memory = buffer;
        CHECK(memory->Map(0, 0, 0, 0, &address, &length) == kIOReturnSuccess && length == IOVMPageSize + 100);
        CHECK(bytes_at(address)[IOVMPageSize] == 7);
        CHECK(OSDynamicCast(IOBufferMemoryDescriptor, memory) == buffer && OSDynamicCast(IOMemoryMap, memory) == nullptr);
        OSSafeReleaseNULL(map);
        OSSafeReleaseNULL(buffer);
}

static void joined()
{
        IOBufferMemoryDescriptor *buffers[2] = {};
        IOMemoryDescriptor *parts[2], *whole = nullptr, *part = nullptr, *marker = nullptr;
        uint64_t length = 0;

        for (int i = 0; i < 2; i++) {
                CHECK(IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, IOVMPageSize, 0, &buffers[i]) == kIOReturnSuccess);
                parts[i] = buffers[i];
        }
        /* As it is inherited, too. */
        CHECK(IOBufferMemoryDescriptor::CreateWithMemoryDescriptors(kIOMemoryDirectionInOut, 2, parts, &whole) == kIOReturnSuccess);
        CHECK(whole->GetLength(&length) == kIOReturnSuccess && length == 2 * IOVMPageSize);
        CHECK(IOMemoryDescriptor::CreateSubMemoryDescriptor(kIOMemoryDirectionInOut, IOVMPageSize, 10, whole,
                                                            &part) == kIOReturnSuccess);
        CHECK(IOMemoryDescriptor::CreateWithMemoryDescriptors(kIOMemoryDirectionInOut, 33, parts, &marker) == kIOReturnOverrun);
        CHECK(IOMemoryDescriptor::CreateSubMemoryDescriptor(0x10, 0, 1, whole, &marker) == kIOReturnBadArgument &&
              marker == nullptr);
        OSSafeReleaseNULL(part);
        OSSafeReleaseNULL(whole);
        OSSafeReleaseNULL(buffers[0]);
        OSSafeReleaseNULL(buffers[1]);
}

static void dma()
{
        IODMACommandSpecification specification = {};
        IOBufferMemoryDescriptor *buffer = nullptr;
        IODMACommand *command = nullptr;
        IOMemoryDescriptor *found = nullptr;
        IOAddressSegment segments[32] = {};
        uint64_t flags = 0, offset = 1, length = 0;
        uint32_t count = 32;

        specification.options = kIODMACommandSpecificationNoOptions;
        specification.maxAddressBits = 64;
        CHECK(IODMACommand::Create(nullptr, kIODMACommandCreateNoOptions, &specification, &command) == kIOReturnSuccess);
        CHECK(IOBufferMemoryDescriptor::Create(kIOMemoryDirectionOut, 5000, IOVMPageSize, &buffer) == kIOReturnSuccess);
        CHECK(command->CompleteDMA(kIODMACommandCompleteDMANoOptions) == kIOReturnNotReady);
        CHECK(command->PrepareForDMA(kIODMACommandPrepareForDMANoOptions, buffer, 0, 0, &flags, &count,
                                     segments) == kIOReturnSuccess);
        CHECK(count == 1 && segments[0].length == 5000 && flags == kIOMemoryDirectionOut);
        CHECK(command->GetPreparation(&offset, &length, &found) == kIOReturnSuccess && offset == 0 && length == 5000 &&
              found == buffer);
        bytes_at(segments[0].address)[9] = 9;
        CHECK(command->PerformOperation(kIODMACommandPerformOperationOptionZero, 9, 1, 0, nullptr) == kIOReturnSuccess);
        CHECK(bytes_at(segments[0].address)[9] == 0);
        CHECK(command->CompleteDMA(kIODMACommandCompleteDMANoOptions) == kIOReturnSuccess);
        OSSafeReleaseNULL(found);
        OSSafeReleaseNULL(buffer);
        OSSafeReleaseNULL(command);
}

#if __cplusplus >= 201703L
/* Out-parameters of shared pointers. */
static void shared_pointers()
{
        OSSharedPtr<IOBufferMemoryDescriptor> buffer;
        OSSharedPtr<IOMemoryDescriptor> part;
        OSSharedPtr<IODMACommand> command;
        OSSharedPtr<IOMemoryMap> map;
        IODMACommandSpecification specification{ kIODMACommandSpecificationNoOptions, 0, {} };
        IOAddressSegment segment{};
        uint64_t flags = 0;
        uint32_t count = 1;

        CHECK(IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, 100, 0, buffer.attach()) == kIOReturnSuccess);
        CHECK(IOMemoryDescriptor::CreateSubMemoryDescriptor(kIOMemoryDirectionInOut, 50, 50, buffer.get(),
                                                            part.attach()) == kIOReturnSuccess);
        CHECK(buffer->CreateMapping(0, 0, 0, 0, 0, map.attach()) == kIOReturnSuccess && map->GetLength() == 100);
        CHECK(IODMACommand::Create(nullptr, 0, &specification, command.attach()) == kIOReturnSuccess);
        CHECK(command->PrepareForDMA(0, part.get(), 0, 0, &flags, &count, &segment) == kIOReturnSuccess && segment.length == 50);
        bytes_at(segment.address)[0] = 8;
        CHECK(bytes_at(map->GetAddress())[50] == 8);
        CHECK(std::min(uint64_t(5), NSEC_PER_SEC) == 5 && std::max(kSecondScale, uint64_t(5)) == NSEC_PER_SEC);
}
#endif

/* --- IOLib.h --- */

struct Thing_IVars {
        uint64_t number;
        OSString *name;
        struct {
                int a, b;
        } pair;
};

static void allocations()
{
        Thing_IVars *ivars = IONewZero(Thing_IVars, 1);
        uint8_t *bytes = IONew(uint8_t, 100), *zeros = static_cast<uint8_t *>(IOMallocZero(10));
        Thing_IVars *one = IOMallocType(Thing_IVars);
        void *plain = IOMalloc(5), *typed = IOMallocTyped(5, 1);

        CHECK(ivars && !ivars->number && !ivars->name && bytes && zeros[9] == 0 && one->pair.b == 0 && plain && typed);
        bytes[99] = 1;
        IODelete(bytes, uint8_t, 100);
        IOFree(zeros, 10);
        IOFree(plain, 5);
        IOFree(typed, 5);
        IOFreeType(one, Thing_IVars);
        IOSafeDeleteNULL(ivars, Thing_IVars, 1);
        CHECK(ivars == nullptr);
        IOSafeDeleteNULL(ivars, Thing_IVars, 1);
        CHECK(IONewZero(Thing_IVars, SIZE_MAX / 2) == nullptr);
}

static void locks()
{
        IOLock *lock = IOLockAlloc();
        IORecursiveLock *recursive = IORecursiveLockAlloc();
        IORWLock *many = IORWLockAlloc();
        os_unfair_lock small = OS_UNFAIR_LOCK_INIT;

        IOLockLock(lock);
        IOLockAssert(lock, kIOLockAssertOwned);
        CHECK(!IOLockTryLock(lock));
        IOLockUnlock(lock);
        IOLockAssert(lock, kIOLockAssertNotOwned);
        IORecursiveLockLock(recursive);
        CHECK(IORecursiveLockTryLock(recursive) && IORecursiveLockHaveLock(recursive));
        IORecursiveLockUnlock(recursive);
        IORecursiveLockUnlock(recursive);
        IORWLockRead(many);
        IORWLockUnlock(many);
        IORWLockWrite(many);
        IORWLockUnlock(many);
        os_unfair_lock_lock(&small);
        CHECK(!os_unfair_lock_trylock(&small));
        os_unfair_lock_unlock(&small);
        IOLockFreeZero(lock)
        IORecursiveLockFreeZero(recursive)
        IORWLockFreeZero(many)
        CHECK(!lock && !recursive && !many);
}

static int calls;

static void count(void *context)
{
        calls += *static_cast<int *>(context);
}

static void once_and_keys()
{
        static IOCallOnceFlag flag, other;
        uint64_t key = 0;
        int step = 2;

        IOCallOnce_f(&flag, &step, count);
        IOCallOnce_f(&flag, &step, count);
        IOCallOnce(&other, ^{ calls += 5; });
        CHECK(calls == 7);
        CHECK(IOThreadLocalStorageKeyCreate(&key) == kIOReturnSuccess);
        CHECK(IOThreadLocalStorageSet(key, &step) == kIOReturnSuccess && IOThreadLocalStorageGet(key) == &step);
        CHECK(IOThreadLocalStorageKeyDelete(key) == kIOReturnSuccess);
}

static void clocks()
{
        mach_timebase_info_data_t base = {};
        uint64_t begin = mach_absolute_time(), slept;

        CHECK(mach_timebase_info(&base) == KERN_SUCCESS && base.denom != 0);
        IOSleep(2);
        IODelay(500);
        slept = (mach_absolute_time() - begin) * base.numer / base.denom;
        CHECK(slept >= 2 * kMillisecondScale + 500 * kMicrosecondScale && slept < 60 * NSEC_PER_SEC);
        CHECK(mach_continuous_time() >= mach_absolute_time() - kSecondScale);
        /* What timers take as clocks is what these read. */
        begin = mach_absolute_time();
        uint64_t uptime = clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
        CHECK(begin <= uptime && uptime <= mach_absolute_time());
        begin = mach_continuous_time();
        uint64_t monotonic = clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW);
        CHECK(begin <= monotonic && monotonic <= mach_continuous_time());
        CHECK(clock_gettime_nsec_np(CLOCK_REALTIME) > 1600000000ull * NSEC_PER_SEC);
}

static void arguments_and_numbers()
{
        uint32_t number = 3;
        char text[8] = "kept";
        unsigned char small = 0;
        size_t sum = 0;
        IOFixed half = 0x8000;

        setenv("AMBIDEXT_BOOT_ARGS", "one=0x10 name=abc", 1);
        CHECK(IOParseBootArgNumber("one", &number, sizeof(number)) && number == 16);
        CHECK(!IOParseBootArgNumber("two", &number, sizeof(number)) && number == 16);
        CHECK(IOParseBootArgString("name", text, sizeof(text)) && strcmp(text, "abc") == 0);
        CHECK(IOFixedMultiply(half, half) == 0x4000 && IOFixedDivide(half, 0x10000) == half);
        CHECK(os_add_overflow(200, 100, &small) && !os_mul_overflow(3u, 7, &sum) && sum == 21);
        CHECK(os_add3_overflow(SIZE_MAX, 0, 1, &sum) && !os_mul_and_add_overflow(2, 3, 4, &sum) && sum == 10);
        CHECK(crc32(0, "123456789", 9) == 0xcbf43926);
        read_random(text, sizeof(text));
        OSSynchronizeIO();
}

static void byte_orders()
{
        const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
        uint8_t written[8] = {};

        CHECK(OSSwapInt16(0x0102) == 0x0201 && OSSwapInt32(0x01020304) == 0x04030201 && OSSwapInt64(1) == 1ull << 56);
        CHECK(OSSwapLittleToHostInt16(0x102) == 0x102 && OSSwapHostToLittleInt32(5) == 5 && OSSwapHostToLittleInt64(5) == 5);
        CHECK(OSSwapBigToHostInt32(0x01020304) == 0x04030201 && OSSwapHostToBigInt64(1) == 1ull << 56);
        CHECK(OSReadLittleInt16(bytes, 1) == 0x0302 && OSReadBigInt32(bytes, 2) == 0x03040506);
        CHECK(OSReadLittleInt64(bytes, 0) == 0x0807060504030201ull);
        OSWriteBigInt32(written, 1, 0x01020304);
        OSWriteLittleInt16(written, 5, 0x0605);
        CHECK(memcmp(written + 1, bytes, 6) == 0);
        CHECK(htons(ETHERTYPE_IP) == OSSwapHostToBigInt16(0x0800));
}

/* --- what no header is included for --- */

#include <netinet/in.h>                 /* declares htons as it is known already */

static int attributes(int used, int ignored __unused) __deprecated;
static int attributes(int used, int ignored __unused)
{
        return used;
}

static int formatted(char *to, size_t size, const char *format, ...) __printflike(3, 4);
static int formatted(char *to, size_t size, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        int length = vsnprintf(to, size, format, arguments);
        va_end(arguments);
        return length;
}

static void taken_for_granted()
{
        char text[8];
        UInt32 four = kNilOptions;
        SInt64 eight = -1;
        int32_t counter = 0;

        CHECK(strlcpy(text, "driverkit", sizeof(text)) == 9 && strlcat(text, "x", sizeof(text)) == 8 &&
              strcmp(text, "driverk") == 0);
        CHECK(strnstr(text, "ver", sizeof(text)) == text + 3);
        bcopy("ab", text, 2);
        bzero(text + 2, 2);
        CHECK(memcmp(text, "ab\0\0er", 6) == 0 && four == 0 && eight < 0);
        CHECK(formatted(text, sizeof(text), "%d", 42) == 2 && OSAtomicIncrement32(&counter) == 1);
        if (__builtin_available(driverkit 20.0, *))
                counter++;
        if (__builtin_available(macOS 11.0, iOS 14.0, *))
                counter++;
        CHECK(counter == 3 && fabs(-1.0) == 1.0);
        CHECK(strcmp(IOService::StringFromReturn(kIOReturnBusy), "kIOReturnBusy") == 0);
        void (^block)(void) = Block_copy(^{ calls++; });
        calls = 0;
        block();
        Block_release(block);
        CHECK(calls == 1);
        assert(err_get_system(kIOReturnBadArgument) == 0x38 && err_get_sub(kIOReturnBadArgument) == 0 &&
               err_get_code(kIOReturnBadArgument) == 0x2c2);
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
        CHECK(attributes(1, 2) == 1 && sizeof(Before) > 8);
}

struct Element {
        int number;
        TAILQ_ENTRY(Element) link;
};

static void queues()
{
        TAILQ_HEAD(Elements, Element) head;
        Element elements[3] = {}, *element, *next;
        int sum = 0;

        TAILQ_INIT(&head);
        for (int i = 0; i < 3; i++) {
                elements[i].number = i + 1;
                TAILQ_INSERT_TAIL(&head, &elements[i], link);
        }
        TAILQ_FOREACH_SAFE(element, &head, link, next) {
                sum = 10 * sum + element->number;
                TAILQ_REMOVE(&head, element, link);
                memset(element, 0xff, sizeof(*element));
        }
        CHECK(sum == 123 && TAILQ_EMPTY(&head));
}

static void lines()
{
        IOLog("a line of %s\n", "IOLog");
        os_log(OS_LOG_DEFAULT, "a line of %{public}s", "os_log");
        IOLogBuffer("bytes", "abc", 3);
}

int main()
{
        buffers();
        joined();
        dma();
#if __cplusplus >= 201703L
        shared_pointers();
#endif
        allocations();
        locks();
        once_and_keys();
        clocks();
        arguments_and_numbers();
        byte_orders();
        taken_for_granted();
        queues();
        lines();
        return 0;
}
