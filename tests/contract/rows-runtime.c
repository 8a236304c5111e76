/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.9: casts and counts, collections, IOLib. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/test-process.h"
#include "contract.h"
#include "shared-pointer.h"

#define ROW_UNUSED __attribute__((unused))

/* Does it end the process by abort()? Its last words go nowhere. */
static ROW_UNUSED bool aborts(void (*function)(void))
{
        int status = 0;
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
                dup2(null, STDERR_FILENO);
                function();
                _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* --- casts, counts --- */

KEPT_BARE(memory_and_queues_R001, "OSDynamicCast of NULL is NULL")
{
        ck_assert_ptr_null(OSDynamicCast(OSString, NULL));
}

KEPT_BARE(memory_and_queues_R002, "OSDynamicCast of an OSString to OSData is NULL")
{
        OSString *string = OSString_withCString("s");
        ck_assert_ptr_null(OSDynamicCast(OSData, string));
        ck_assert_ptr_eq(OSDynamicCast(OSString, string), string);
        OSSafeReleaseNULL(string);
}

static ROW_UNUSED void cast_wrongly(void)
{
        (void)OSRequiredCast(OSData, OSString_withCString("s"));
}

static ROW_UNUSED void cast_rightly(void)
{
        (void)OSRequiredCast(OSString, OSString_withCString("s"));
}

KEPT_BARE(memory_and_queues_R003, "OSRequiredCast of an OSString to OSData ends the process")
{
        ck_assert(aborts(cast_wrongly));
        ck_assert(!aborts(cast_rightly));
}

KEPT_BARE(memory_and_queues_R004, "OSRequiredCast of NULL is NULL")
{
        ck_assert_ptr_null(OSRequiredCast(OSData, NULL));
}

struct RuntimeObject {
        OSObject object;
};
static int objects_freed;

static ROW_UNUSED void object_free(OSObject *self)
{
        objects_freed++;
        OSObject_free(self);
}

static const struct amb_method object_methods[] = { AMB_OVERRIDE(OSObject, free, object_free), AMB_METHODS_END };
OSDefineMetaClass(RuntimeObject, OSObject, object_methods);

KEPT_BARE(memory_and_queues_R005, "an object with two references is freed once, by the second release")
{
        struct RuntimeObject *object = OSTypeAlloc(RuntimeObject);
        OSObject_retain(object);
        OSObject_release(object);
        ck_assert_int_eq(objects_freed, 0);
        ck_assert_uint_eq(OSObject_getRetainCount(object), 1);
        OSObject_release(object);
        ck_assert_int_eq(objects_freed, 1);
}

/* A driver's class whose init fails: before or after its superclass's, and never with anything in its ivars. */
struct refusing_ivars {
        uint64_t number;
};
struct RefusingUserClient {
        IOUserClient client;
        struct refusing_ivars *ivars;
};
static bool refuse_at_once, refused_with_ivars;
static int refused_frees;

static ROW_UNUSED bool refusing_init(OSObject *object)
{
        return !refuse_at_once && IOUserClient_init(object) && false;
}

static ROW_UNUSED void refusing_free(OSObject *object)
{
        struct RefusingUserClient *self = (struct RefusingUserClient *)object;
        refused_with_ivars |= self->ivars != NULL;
        refused_frees++;
        IOSafeDeleteNULL(self->ivars, struct refusing_ivars, 1);
        IOUserClient_free(object);
}

static const struct amb_method refusing_methods[] = {
        AMB_OVERRIDE(OSObject, init, refusing_init),
        AMB_OVERRIDE(OSObject, free, refusing_free),
        AMB_METHODS_END,
};
OSDefineMetaClass(RefusingUserClient, IOUserClient, refusing_methods);

DRIVER_OPEN(35006)
{
        IOService *made = (IOService *)self;
        for (int i = 0; i < 2; i++) {
                refuse_at_once = i == 1;
                D_EXPECT(IOService_Create(self, self, "RefusingProperties", &made) == kIOReturnUnsupported);
                D_EXPECT(made == self && refused_frees == i + 1 && !refused_with_ivars);
        }
        return contract_new_client(self, type, client);
}
KEPT(memory_and_queues_R006, "a service whose init fails is released; its free finds no ivars, and does no harm")
{
        io_connect_t connection = IO_OBJECT_NULL;
        ck_code(IOServiceOpen(contract_service(), mach_task_self(), 35006, &connection), kIOReturnSuccess);
        ck_assert_uint_ne(connection, IO_OBJECT_NULL);
}

KEPT_BARE(memory_and_queues_R007, "OSSharedPtr::attach: what it held is released, what Create writes is held with one reference")
{
        ck_assert(shared_pointer_attach());
}

KEPT_BARE(memory_and_queues_R008, "an OSSharedPtr in zeroed ivars is null and needs no destructor")
{
        ck_assert(shared_pointer_zeroed());
}

/* --- values --- */

KEPT_BARE(memory_and_queues_R009, "OSNumber::withNumber(300, 8) is 44")
{
        OSNumber *number = OSNumber_withNumber(300, 8);
        ck_assert_uint_eq(OSNumber_unsigned64BitValue(number), 44);
        OSObject_release(number);
}

KEPT_BARE(memory_and_queues_R010, "numbers are equal by value, whatever their width")
{
        OSNumber *narrow = OSNumber_withNumber(5, 8), *wide = OSNumber_withNumber(5, 64), *other = OSNumber_withNumber(6, 8);
        ck_assert(OSNumber_isEqualTo(narrow, wide) && OSNumber_isEqualTo(wide, narrow) && !OSNumber_isEqualTo(narrow, other));
        OSObject_release(narrow);
        OSObject_release(wide);
        OSObject_release(other);
}

KEPT_BARE(memory_and_queues_R011, "OSNumber::withNumber(\"0x20\", 32) is 32")
{
        OSNumber *number = OSNumber_withNumber_cString("0x20", 32);
        ck_assert_uint_eq(OSNumber_unsigned32BitValue(number), 32);
        OSObject_release(number);
}

KEPT_BARE(memory_and_queues_R012, "OSString::withCString(\"abc\", 2) is \"ab\"")
{
        OSString *string = OSString_withCString_length("abc", 2);
        ck_assert_uint_eq(OSString_getLength(string), 2);
        ck_assert_str_eq(OSString_getCStringNoCopy(string), "ab");
        OSObject_release(string);
}

KEPT_BARE(memory_and_queues_R013, "OSData::getBytesNoCopy of a range that ends outside is NULL")
{
        OSData *data = OSData_withBytes("abc", 3);
        ck_assert_ptr_null(OSData_getBytesNoCopy_range(data, 2, 2));
        ck_assert_mem_eq(OSData_getBytesNoCopy_range(data, 1, 2), "bc", 2);
        OSObject_release(data);
}

KEPT_BARE(memory_and_queues_R014,
          "setObject for a key that is there: the old value is released, the new one retained, the count stays")
{
        OSDictionary *dictionary = OSDictionary_withCapacity(1);
        OSNumber *x = OSNumber_withNumber(1, 64), *y = OSNumber_withNumber(2, 64);
        ck_assert(OSDictionary_setObject_cString(dictionary, "a", x));
        ck_assert(OSDictionary_setObject_cString(dictionary, "a", y));
        ck_assert_uint_eq(OSDictionary_getCount(dictionary), 1);
        ck_assert_uint_eq(OSObject_getRetainCount(x), 1);
        ck_assert_uint_eq(OSObject_getRetainCount(y), 2);
        ck_assert_ptr_eq(OSDictionary_getObject_cString(dictionary, "a"), y);
        OSObject_release(dictionary);
        OSObject_release(x);
        OSObject_release(y);
}

KEPT_BARE(memory_and_queues_R015, "getObject for a key that is not there is NULL")
{
        OSDictionary *dictionary = OSDictionary_withCapacity(1);
        OSString *key = OSString_withCString("none");
        ck_assert(OSDictionary_setObject_cString(dictionary, "a", kOSBooleanTrue));
        ck_assert_ptr_null(OSDictionary_getObject_cString(dictionary, "none"));
        ck_assert_ptr_null(OSDictionary_getObject(dictionary, key));
        OSObject_release(dictionary);
        OSObject_release(key);
}

KEPT_BARE(memory_and_queues_R016, "getObject(2) of an array of two is NULL")
{
        OSArray *array = OSArray_withCapacity(8);
        ck_assert(OSArray_setObject(array, kOSBooleanTrue) && OSArray_setObject(array, kOSBooleanFalse));
        ck_assert_ptr_eq(OSArray_getObject(array, 1), kOSBooleanFalse);
        ck_assert_ptr_null(OSArray_getObject(array, 2));
        OSObject_release(array);
}

static ROW_UNUSED bool stop_at_second(void *context, OSObject *key, OSObject *value)
{
        return ++*(int *)context == 2;
}

KEPT_BARE(memory_and_queues_R017, "iterateObjects ends when a call returns true: at the second of three, after two calls")
{
        OSDictionary *dictionary = OSDictionary_withCapacity(3);
        int calls = 0;
        for (const char *key = "a\0b\0c\0"; *key; key += 2)
                ck_assert(OSDictionary_setObject_cString(dictionary, key, kOSBooleanTrue));
        ck_assert(OSDictionary_iterateObjects_f(dictionary, &calls, stop_at_second));
        ck_assert_int_eq(calls, 2);
        OSObject_release(dictionary);
}

/* What a dictionary that travels has inside: "inner" with "n", and "data". */
static ROW_UNUSED bool inside_is(OSDictionary *dictionary, uint64_t n, size_t length)
{
        return OSDictionaryGetUInt64Value(OSDictionaryGetDictionaryValue(dictionary, "inner"), "n") == n &&
               OSData_getLength(OSDynamicCast(OSData, OSDictionaryGetValue(dictionary, "data"))) == length;
}

static ROW_UNUSED bool inside_change(OSDictionary *dictionary, uint64_t n)
{
        return OSDictionarySetUInt64Value(OSDictionaryGetDictionaryValue(dictionary, "inner"), "n", n) &&
               OSData_appendBytes(OSDynamicCast(OSData, OSDictionaryGetValue(dictionary, "data")), "x", 1);
}

DRIVER(35018)
{
        IOService *service = IOService_GetProvider((IOService *)self);
        OSDictionary *sent = OSDictionaryCreate(), *inner = OSDictionaryCreate(), *received = NULL, *again = NULL;
        OSData *data = OSData_withBytes("12", 2);
        D_EXPECT(OSDictionarySetUInt64Value(inner, "n", 1));
        D_EXPECT(OSDictionarySetValue(sent, "inner", inner) && OSDictionarySetValue(sent, "data", data));
        D_EXPECT(IOService_SetProperties(service, sent) == kIOReturnSuccess);
        D_EXPECT(IOService_CopyProperties(service, &received) == kIOReturnSuccess && inside_is(received, 1, 2));
        D_EXPECT(inside_change(received, 2) && inside_is(received, 2, 3) && inside_is(sent, 1, 2));
        D_EXPECT(inside_change(sent, 3) && inside_change(sent, 3));
        D_EXPECT(IOService_CopyProperties(service, &again) == kIOReturnSuccess);
        D_EXPECT(inside_is(again, 1, 2) && inside_is(received, 2, 3) && inside_is(sent, 3, 4));
        OSObject_release(sent);
        OSObject_release(inner);
        OSObject_release(data);
        OSObject_release(received);
        OSObject_release(again);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_R018,
     "a dictionary that was sent (SetProperties, CopyProperties) is a copy: what one side changes, the other does not see")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 35018, NULL, 0, NULL, NULL), kIOReturnSuccess);
        CFStringRef key = CFSTR("inner");
        CFDictionaryRef inner = IORegistryEntryCreateCFProperty(contract_service(), key, NULL, 0);
        int64_t n = 0;
        ck_assert_ptr_nonnull(inner);
        ck_assert(CFNumberGetValue(CFDictionaryGetValue(inner, CFSTR("n")), kCFNumberSInt64Type, &n));
        ck_assert_int_eq(n, 1);
        CFRelease(inner);
}

KEPT_BARE(memory_and_queues_R019, "OSDictionaryGetUInt64Value for a key that is not there is 0")
{
        OSDictionary *dictionary = OSDictionaryCreate();
        ck_assert(OSDictionarySetUInt64Value(dictionary, "there", 7));
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(dictionary, "there"), 7);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(dictionary, "missing"), 0);
        OSObject_release(dictionary);
}

KEPT_BARE(memory_and_queues_R020, "kOSBooleanTrue stays usable however often it is released")
{
        OSArray *array = OSArrayCreate();
        for (int i = 0; i < 1000; i++)
                OSObject_release(kOSBooleanTrue);
        ck_assert(OSArray_setObject(array, kOSBooleanTrue));
        ck_assert_ptr_eq(OSDynamicCast(OSBoolean, OSArray_getObject(array, 0)), kOSBooleanTrue);
        ck_assert_ptr_ne(kOSBooleanTrue, kOSBooleanFalse);
        OSObject_release(array);
}

/* --- IOLib --- */

KEPT_BARE(memory_and_queues_R021, "IONewZero of 2^62 elements is NULL")
{
        ck_assert_ptr_null(IONewZero(uint64_t, 1ull << 62));
        ck_assert_ptr_null(IONew(uint64_t, 1ull << 62));
}

KEPT_BARE(memory_and_queues_R022, "IOSafeDeleteNULL of a NULL pointer does nothing")
{
        uint64_t *pointer = NULL;
        IOSafeDeleteNULL(pointer, uint64_t, 1);
        ck_assert_ptr_null(pointer);
        pointer = IONewZero(uint64_t, 1);
        ck_assert(pointer && *pointer == 0);
        IOSafeDeleteNULL(pointer, uint64_t, 1);
        ck_assert_ptr_null(pointer);
}

KEPT_BARE(memory_and_queues_R023, "IOSleep(20) takes at least 20 ms")
{
        uint64_t before = mach_absolute_time();
        IOSleep(20);
        ck_assert_uint_ge(mach_absolute_time() - before, 20 * kMillisecondScale);
}

static ROW_UNUSED void *try_lock(void *lock)
{
        return IOLockTryLock(lock) ? lock : NULL;
}

KEPT_BARE(memory_and_queues_R024, "IOLockTryLock is false while another thread holds the lock")
{
        IOLock *lock = IOLockAlloc();
        pthread_t thread;
        void *got = lock;
        IOLockLock(lock);
        ck_assert_int_eq(pthread_create(&thread, NULL, try_lock, lock), 0);
        ck_assert_int_eq(pthread_join(thread, &got), 0);
        ck_assert_ptr_null(got);
        IOLockUnlock(lock);
        ck_assert(IOLockTryLock(lock));
        IOLockUnlock(lock);
        IOLockFree(lock);
}

KEPT_BARE(memory_and_queues_R025, "a recursive lock that I hold: TryLock and HaveLock are true")
{
        IORecursiveLock *lock = IORecursiveLockAlloc();
        ck_assert(!IORecursiveLockHaveLock(lock));
        IORecursiveLockLock(lock);
        ck_assert(IORecursiveLockTryLock(lock));
        ck_assert(IORecursiveLockHaveLock(lock));
        IORecursiveLockUnlock(lock);
        ck_assert(IORecursiveLockHaveLock(lock));
        IORecursiveLockUnlock(lock);
        ck_assert(!IORecursiveLockHaveLock(lock));
        IORecursiveLockFree(lock);
}

static ROW_UNUSED void assert_wrongly(void)
{
        IOLockAssert(IOLockAlloc(), kIOLockAssertOwned);
}

static ROW_UNUSED void assert_rightly(void)
{
        IOLock *lock = IOLockAlloc();
        IOLockAssert(lock, kIOLockAssertNotOwned);
        IOLockLock(lock);
        IOLockAssert(lock, kIOLockAssertOwned);
}

KEPT_BARE(memory_and_queues_R026, "IOLockAssert(Owned) of a lock that nobody holds ends the process")
{
        ck_assert(aborts(assert_wrongly));
        ck_assert(!aborts(assert_rightly));
}

/* One who wants a readers' and writers' lock. */
struct taker {
        pthread_t thread;
        IORWLock *lock;
        _Atomic pid_t id;
        _Atomic bool has;
};

static ROW_UNUSED void *take_for_reading(void *context)
{
        struct taker *t = context;
        IORWLockRead(t->lock);
        atomic_store(&t->has, true);
        IORWLockUnlock(t->lock);
        return NULL;
}

static ROW_UNUSED void *take_for_writing(void *context)
{
        struct taker *t = context;
        atomic_store(&t->id, gettid());
        IORWLockWrite(t->lock);
        atomic_store(&t->has, true);
        IORWLockUnlock(t->lock);
        return NULL;
}

/* The kernel's word for it: nothing else makes the writer sleep. */
static ROW_UNUSED bool taker_sleeps(struct taker *t)
{
        pid_t id = atomic_load(&t->id);
        return id != 0 && thread_sleeps(id);
}

KEPT_BARE(memory_and_queues_R027, "a lock that A has for reading: B reads at once, B writes only after A has let go")
{
        IORWLock *lock = IORWLockAlloc();
        struct taker reader = { .lock = lock }, writer = { .lock = lock };
        IORWLockRead(lock);
        ck_assert_int_eq(pthread_create(&reader.thread, NULL, take_for_reading, &reader), 0);
        ck_assert_int_eq(pthread_join(reader.thread, NULL), 0);
        ck_assert(atomic_load(&reader.has));
        ck_assert_int_eq(pthread_create(&writer.thread, NULL, take_for_writing, &writer), 0);
        for (time_t end = time(NULL) + 20; !taker_sleeps(&writer); sched_yield())
                ck_assert(!atomic_load(&writer.has) && time(NULL) < end);
        ck_assert(!atomic_load(&writer.has));
        IORWLockUnlock(lock);
        ck_assert_int_eq(pthread_join(writer.thread, NULL), 0);
        ck_assert(atomic_load(&writer.has));
        IORWLockFree(lock);
}

KEPT_BARE(memory_and_queues_R028, "IOParseBootArgNumber for an argument that is not there: false, and the number stays")
{
        uint32_t number = 7;
        ck_assert(!IOParseBootArgNumber("ambidext.not-there", &number, 4));
        ck_assert_uint_eq(number, 7);
        setenv("AMBIDEXT_BOOT_ARGS", "x=0x10", 1);
        ck_assert(IOParseBootArgNumber("x", &number, 4));
        ck_assert_uint_eq(number, 16);
}

KEPT_BARE(memory_and_queues_R029, "mach_timebase_info: 0, and a denominator")
{
        mach_timebase_info_data_t info = { 0, 0 };
        ck_code(mach_timebase_info(&info), 0);
        ck_assert_uint_ne(info.denom, 0);
        ck_assert_uint_ne(info.numer, 0);
}
