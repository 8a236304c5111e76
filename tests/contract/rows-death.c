/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.9, last part: user clients and services that are terminated, and drivers that die. */
#include <sys/mman.h>

#include <IOKit/IOMessage.h>

#include "gate.h"

DRIVER_ALIVE(178)
static kern_return_t nop(io_connect_t connection)
{
        return ask_alive(connection, 178);
}
static kern_return_t call(io_connect_t connection, uint32_t selector)
{
        return IOConnectCallScalarMethod(connection, selector, NULL, 0, NULL, NULL);
}

/* Every user client of this file is of type 178, or says why not. */
DRIVER_STOP(178)
{
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(178)
{
        return kIOReturnSuccess;
}

/* --- terminated by the driver --- */

DRIVER(1178)
{
        D_EXPECT(IOService_Terminate((IOService *)self, 0) == kIOReturnSuccess);
        return 7;
}
KEPT(call_path_178, "the driver terminates the user client in a call: the call gets its result, the next MACH_SEND_INVALID_DEST")
{
        for (uint64_t i = 1; i <= 20; i++) {
                io_connect_t connection = contract_open(178);
                ck_code(nop(connection), kIOReturnSuccess);
                ck_code(call(connection, 1178), 7);
                ck_code(nop(connection), MACH_SEND_INVALID_DEST);
                contract_calls_wait(CONTRACT_FREE, 178, i);
                ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 178), i);
                ck_assert_uint_eq(contract_calls(178), i);
        }
}

DRIVER(179)
{
        D_EXPECT(IOService_Terminate((IOService *)self, 1) == kIOReturnUnsupported);
        D_EXPECT(IOService_Terminate(IOService_GetProvider((IOService *)self), 0x8000000000000000) == kIOReturnUnsupported);
        return kIOReturnSuccess;
}
KEPT(call_path_179, "Terminate with options: kIOReturnUnsupported, nothing ends")
{
        io_connect_t connection = contract_open(178);
        ck_code(call(connection, 179), kIOReturnSuccess);
        ck_code(nop(connection), kIOReturnSuccess);
        ck_code(IOServiceClose(contract_open(178)), kIOReturnSuccess);
}

DRIVER(180)
{
        IOService *service = IOService_GetProvider((IOService *)self);
        D_EXPECT(service && IOService_GetProvider(service));
        return IOService_Terminate(IOService_GetProvider(service), 0);
}
KEPT(call_path_180, "Terminate of an object that another process has: kIOReturnNotPermitted, nothing ends")
{
        io_connect_t connection = contract_open(178);
        ck_code(call(connection, 180), kIOReturnNotPermitted);
        ck_code(nop(connection), kIOReturnSuccess);
        ck_code(IOServiceClose(contract_open(178)), kIOReturnSuccess);
}

/* 1181 ends the user client of type 181 from another connection, so that its app does not hear of it by a call. */
static struct ContractUserClient *victim;
DRIVER_START(181)
{
        victim = self;
        return kIOReturnSuccess;
}
DRIVER(1181)
{
        return IOService_Terminate((IOService *)victim, 0);
}
KEPT(call_path_181, "the driver has terminated the user client: close gives MACH_SEND_INVALID_DEST and drops its reference")
{
        io_connect_t connection = contract_open(181), other = contract_open(178);
        ck_code(call(other, 1181), kIOReturnSuccess);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(connection), 1);
        ck_code(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(connection), 0);
        /* The same after a call that has found out. */
        connection = contract_open(178);
        ck_code(call(connection, 1178), 7);
        ck_code(nop(connection), MACH_SEND_INVALID_DEST);
        ck_code(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(connection), 0);
        ck_code(nop(other), kIOReturnSuccess);
}

/* --- what the driver leaves in memory that the app has mapped: the app sees it whatever has become of the connection --- */

struct record {
        _Atomic uint32_t count;         /* of events */
        _Atomic uint32_t go;            /* the app has seen what it wanted to see before them */
        uint32_t events[64];
};
enum { SERVICE_STOPPED = 1, CLIENT_STOPPED = 2 };
static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
static IOBufferMemoryDescriptor *record_memory;
static struct record *record;

static __attribute__((unused)) void record_event(uint32_t event)
{
        pthread_mutex_lock(&record_lock);
        uint32_t count = record ? atomic_load(&record->count) : 64;
        if (count < 64) {
                record->events[count] = event;
                atomic_store(&record->count, count + 1);
        }
        pthread_mutex_unlock(&record_lock);
}
DRIVER_MEMORY(182)
{
        pthread_mutex_lock(&record_lock);
        kern_return_t code = record ? kIOReturnSuccess
                                    : IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, 4096, 0, &record_memory);
        if (code == kIOReturnSuccess && !record) {
                IOAddressSegment range;
                IOBufferMemoryDescriptor_GetAddressRange(record_memory, &range);
                record = (struct record *)(uintptr_t)range.address;
                record->events[63] = 182;
        }
        if (code == kIOReturnSuccess) {
                OSObjectRetain(record_memory);
                *memory = (IOMemoryDescriptor *)record_memory;
        }
        pthread_mutex_unlock(&record_lock);
        return code;
}
static struct record *map_record(io_connect_t connection)
{
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        ck_code(IOConnectMapMemory64(connection, 182, mach_task_self(), &address, &size, kIOMapAnywhere), kIOReturnSuccess);
        ck_assert_uint_eq(size, 4096);
        return (struct record *)(uintptr_t)address;
}
static bool mapped(const void *page)
{
        unsigned char there;
        return mincore((void *)(uintptr_t)page, 4096, &there) == 0;
}

KEPT(call_path_182,
     "terminated by the driver while memory is mapped: calls kIOReturnBadArgument, the memory stays until the close, which is 0")
{
        io_connect_t connection = contract_open(178);
        struct record *page = map_record(connection);
        atomic_store(&page->go, 1);
        ck_assert_uint_eq(page->events[63], 182);
        ck_code(call(connection, 1178), 7);
        ck_code(nop(connection), kIOReturnBadArgument);
        contract_calls_wait(CONTRACT_FREE, 178, 1);
        ck_assert_uint_eq(page->events[63], 182);
        ck_code(nop(connection), kIOReturnBadArgument);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert(!mapped(page));
        ck_code(nop(connection), MACH_SEND_INVALID_DEST);
}

/* Takes its time, so that a host that did not wait for it would be gone. */
DRIVER_STOP(183)
{
        for (int i = 0; i < 1000; i++)
                sched_yield();
        record_event(CLIENT_STOPPED);
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_SERVICE_STOP(183)
{
        while (record && !atomic_load(&record->go))
                sched_yield();
        record_event(SERVICE_STOPPED);
        return kIOReturnSuccess;
}
/* The service itself ends. */
DRIVER(183)
{
        return IOService_Terminate(IOService_GetProvider((IOService *)self), 0);
}
KEPT(call_path_183, "a service is terminated: all its connections are dead at once; then its Stop, then its user clients' Stop")
{
        io_connect_t observer = contract_open(183), a = contract_open(183), b = contract_open(183);
        struct record *page = map_record(observer);
        ck_code(nop(a), kIOReturnSuccess);
        ck_code(nop(b), kIOReturnSuccess);
        ck_code(call(observer, 183), kIOReturnSuccess);
        ck_code(nop(a), MACH_SEND_INVALID_DEST);
        ck_code(nop(b), MACH_SEND_INVALID_DEST);
        ck_code(nop(observer), kIOReturnBadArgument);
        uint32_t early = atomic_load(&page->count);
        ck_assert_uint_eq(early, 0);
        atomic_store(&page->go, 1);
        for (time_t end = time(NULL) + 20; atomic_load(&page->count) < 4; sched_yield())
                ck_assert_msg(time(NULL) < end, "%u of 4 have been stopped", atomic_load(&page->count));
        ck_assert_uint_eq(page->events[0], SERVICE_STOPPED);
        for (int i = 1; i < 4; i++)
                ck_assert_uint_eq(page->events[i], CLIENT_STOPPED);
        ck_code(IOServiceClose(a), MACH_SEND_INVALID_DEST);
        ck_code(IOServiceClose(b), MACH_SEND_INVALID_DEST);
        ck_code(IOServiceClose(observer), kIOReturnSuccess);
}

/* --- hearing of it --- */

struct interest {
        uint32_t count, type;
        io_service_t service;
};
static void on_interest(void *context, io_service_t service, uint32_t type, void *argument)
{
        struct interest *interest = context;
        interest->count++;
        interest->type = type;
        interest->service = service;
}
/* Terminates the service by a call on the connection and waits for the message that it is gone. */
static void terminate_service(io_connect_t connection)
{
        struct interest interest = { 0 };
        io_service_t service = contract_service();
        io_object_t notification = 0;
        IONotificationPortRef port = IONotificationPortCreate(0);
        ck_code(IOServiceAddInterestNotification(port, service, kIOGeneralInterest, on_interest, &interest, &notification),
                kIOReturnSuccess);
        ck_code(call(connection, 183), kIOReturnSuccess);
        while (interest.count == 0)
                ck_assert(contract_port_wait(port, 20000));
        ck_assert_uint_eq(interest.count, 1);
        ck_assert_uint_eq(interest.type, kIOMessageServiceIsTerminated);
        ck_assert_uint_eq(interest.type, 0xE0000010);
        ck_assert_uint_eq(interest.service, service);
        ck_code(IOServiceOpen(service, mach_task_self(), 0, &connection), MACH_SEND_INVALID_DEST);
        IOObjectRelease(notification);
        IOObjectRelease(service);
        IONotificationPortDestroy(port);
}

DRIVER_STOP(184)
{
        return kIOReturnNotPermitted;
}
DRIVER_FREE(184)
{
        return kIOReturnSuccess;
}
KEPT(call_path_184, "Stop returns an error: the termination goes on as if it had not")
{
        ck_code(IOServiceClose(contract_open(184)), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_FREE, 184, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 184), 1);
        /* The service is gone only when its user clients are. */
        terminate_service(contract_open(184));
}

KEPT(call_path_192, "a service is terminated: who registered for general interest gets message 0xE0000010, once")
{
        terminate_service(contract_open(178));
}

/* --- the driver is killed --- */

static uint64_t id_of_service(void)
{
        uint64_t id = 0;
        io_service_t service = contract_service();
        ck_code(IORegistryEntryGetRegistryEntryID(service, &id), kIOReturnSuccess);
        IOObjectRelease(service);
        return id;
}
/* Returns when everything of the old host has been taken down: there is a new one. */
static void kill_and_settle(void)
{
        uint64_t old = id_of_service();
        contract_host_kill();
        IOObjectRelease(contract_service_again(old));
}

KEPT(call_path_187, "the driver was killed, steady state: a call gives MACH_SEND_INVALID_DEST")
{
        io_connect_t used = contract_open(178), idle = contract_open(178);
        ck_code(nop(used), kIOReturnSuccess);
        kill_and_settle();
        ck_code(nop(idle), MACH_SEND_INVALID_DEST);
        ck_code(nop(used), MACH_SEND_INVALID_DEST);
        ck_code(nop(used), MACH_SEND_INVALID_DEST);
        /* The old connection never revives; the new driver has seen none of it. */
        ck_assert_uint_eq(contract_calls(178), 0);
}

KEPT(call_path_188,
     "right after the driver's death: MIG_SERVER_DIED, MACH_SEND_INVALID_DEST, kIOReturnOffline or kIOReturnNotReady")
{
        for (int round = 0; round < 3; round++) {
                uint64_t old = id_of_service();
                io_connect_t connection = contract_open(178);
                kern_return_t code;
                ck_code(nop(connection), kIOReturnSuccess);
                contract_host_kill();
                do {
                        code = nop(connection);
                        ck_assert_msg(code == MIG_SERVER_DIED || code == MACH_SEND_INVALID_DEST || code == kIOReturnOffline ||
                                      code == kIOReturnNotReady, "%s", mach_error_string(code));
                } while (code != MACH_SEND_INVALID_DEST);
                ck_code(nop(connection), MACH_SEND_INVALID_DEST);
                IOObjectRelease(contract_service_again(old));
        }
}

KEPT(call_path_189, "the driver was killed while memory is mapped, steady state: kIOReturnBadArgument, the memory stays")
{
        io_connect_t connection = contract_open(178);
        struct record *page = map_record(connection);
        kill_and_settle();
        ck_code(nop(connection), kIOReturnBadArgument);
        ck_code(nop(connection), kIOReturnBadArgument);
        ck_assert_uint_eq(page->events[63], 182);
}

KEPT(call_path_190, "the driver was killed: close gives MACH_SEND_INVALID_DEST, or 0 with mappings, and does not hang")
{
        io_connect_t plain = contract_open(178), noticed = contract_open(178), owner = contract_open(178);
        struct record *page = map_record(owner);
        kill_and_settle();
        ck_code(IOServiceClose(plain), MACH_SEND_INVALID_DEST);
        ck_code(nop(noticed), MACH_SEND_INVALID_DEST);
        ck_code(IOServiceClose(noticed), MACH_SEND_INVALID_DEST);
        ck_assert(mapped(page));
        ck_code(IOServiceClose(owner), kIOReturnSuccess);
        ck_assert(!mapped(page));
        ck_assert_uint_eq(IOObjectGetUserRetainCount(plain), 0);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(noticed), 0);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(owner), 0);
}

DIFFERS(call_path_191, "the driver was killed: no Stop, neither there nor in the next one",
        "ClientCrashed is not delivered to providers: the provider of these drivers is the registry itself, which logs the end")
{
        char text[64];
        io_connect_t observer = contract_open(183), idle = contract_open(183);
        struct record *page = map_record(observer);
        atomic_store(&page->go, 1);
        ck_code(nop(idle), kIOReturnSuccess);
        snprintf(text, sizeof(text), "host %d was ended by signal 9", (int)contract_host());
        kill_and_settle();
        contract_log_wait(text);
        uint32_t events = atomic_load(&page->count);
        ck_assert_uint_eq(events, 0);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 183), 0);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_SERVICE_STOP, 183), 0);
}

/* --- a way to the driver that is no more --- */

/* The calls of this user client go to a queue of its own; 1193 tears that down while another call waits for it. */
DRIVER(193)
{
        IODispatchQueue *queue;
        kern_return_t code = IODispatchQueue_Create("row-193", 0, 0, &queue);
        if (code == kIOReturnSuccess) {
                code = IOService_SetDispatchQueue((IOService *)self, kIOUserClientQueueNameExternalMethod, queue);
                OSObjectRelease(queue);
        }
        return code;
}
DRIVER(1193)
{
        IODispatchQueue *queue;
        gate_wait();
        kern_return_t code = IOService_CopyDispatchQueue((IOService *)self, kIOUserClientQueueNameExternalMethod, &queue);
        D_EXPECT(code == kIOReturnSuccess);
        code = IODispatchQueue_Cancel_f(queue, NULL, NULL);
        OSObjectRelease(queue);
        return code;
}
DRIVER(2193)
{
        gate_open();
        return kIOReturnSuccess;
}
KEPT(call_path_193, "the queue that an object's calls go to is torn down: the call that waits for it gets kIOReturnNotReady")
{
        io_connect_t connection = contract_open(178), other = contract_open(178);
        struct thread_call first = { .connection = connection, .selector = 1193 };
        struct thread_call second = { .connection = connection, .selector = 178 };
        ck_code(call(connection, 193), kIOReturnSuccess);
        thread_call_start(&first);
        contract_calls_wait(CONTRACT_METHOD, 1193, 1);
        thread_call_start(&second);
        thread_call_waits(&second);
        ck_code(call(other, 2193), kIOReturnSuccess);
        thread_call_join(&first);
        thread_call_join(&second);
        ck_code(first.code, kIOReturnSuccess);
        ck_code(second.code, kIOReturnNotReady);
        ck_assert_uint_eq(contract_calls(178), 0);
        /* Only this object's. */
        ck_code(nop(other), kIOReturnSuccess);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_FREE, 178, 1);
}

/* Calls until it is refused. A call that is on its way when the host goes is not answered any more: the next one's code counts. */
static kern_return_t first_refusal(io_connect_t connection)
{
        kern_return_t code;
        do
                code = nop(connection);
        while (code == kIOReturnSuccess);
        return code == MIG_SERVER_DIED ? nop(connection) : code;
}
DIFFERS(call_path_194, "a call to a host that is about to end: kIOReturnOffline",
        "a host has no state in which it is there and cannot be reached: its connections are cut off before it is told to end. "
        "Calls then give MACH_SEND_INVALID_DEST, as after its death (kIOReturnBadArgument with mappings)")
{
        io_connect_t plain = contract_open(178), owner = contract_open(178);
        char *message = NULL;
        ck_code(nop(plain), kIOReturnSuccess);
        map_record(owner)->go = 1;
        ck_code(amb_registry_unload_bundle("org.ambidext.test.contract", &message), kIOReturnSuccess);
        free(message);
        ck_code(first_refusal(plain), MACH_SEND_INVALID_DEST);
        ck_code(nop(plain), MACH_SEND_INVALID_DEST);
        ck_code(first_refusal(owner), kIOReturnBadArgument);
        ck_code(IOServiceClose(plain), MACH_SEND_INVALID_DEST);
        ck_code(IOServiceClose(owner), kIOReturnSuccess);
}
