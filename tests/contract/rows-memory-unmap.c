/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.4, second part: the app unmaps, what else is going on meanwhile, and everybody's end. */
#include "gate.h"
#include "mapping.h"

DRIVER(10071)
{
        return exchange_byte(self, arguments, false);
}
DRIVER(110071)
{
        return exchange_byte(self, arguments, true);
}
/* Sets what some rows' CopyClientMemoryForType does from now on. */
DRIVER(210071)
{
        D_EXPECT(arguments->scalarInputCount == 1);
        self->number = arguments->scalarInput[0];
        return kIOReturnSuccess;
}
static void driver_does(io_connect_t connection, uint64_t number)
{
        ck_code(IOConnectCallScalarMethod(connection, 210071, &number, 1, NULL, NULL), kIOReturnSuccess);
}
static kern_return_t call(io_connect_t connection, uint32_t selector)
{
        return IOConnectCallScalarMethod(connection, selector, NULL, 0, NULL, NULL);
}

DRIVER_MEMORY(10071)
{
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M071, "unmap with a wrong address: 0, unmapped, and nothing happens at that address")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10071, 4096);
        uint8_t *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(other, MAP_FAILED);
        memset(other, 0x71, 4096);
        ck_code(unmap(connection, 10071, other), kIOReturnSuccess);
        ck_assert(gone(memory));
        for (int i = 0; i < 4096; i++)
                ck_assert_uint_eq(other[i], 0x71);
        munmap(other, 4096);
}

DRIVER_MEMORY(10072)
{
        return self->number ? kIOReturnNotReady : give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M072, "the driver now answers kIOReturnNotReady: unmap gives that, and the mapping stays")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10072, 4096);
        driver_does(connection, 1);
        ck_code(unmap(connection, 10072, memory), kIOReturnNotReady);
        ck_assert(writable(memory));
        driver_does(connection, 0);
        ck_code(unmap(connection, 10072, memory), kIOReturnSuccess);
        ck_assert(gone(memory));
}

DRIVER_MEMORY(10073)
{
        return self->number ? kIOReturnSuccess : give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M073, "the driver now answers 0 without memory: unmap gives 0, and the mapping stays")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10073, 4096);
        driver_does(connection, 1);
        ck_code(unmap(connection, 10073, memory), kIOReturnSuccess);
        ck_assert(writable(memory));
        driver_does(connection, 0);
        ck_assert(map_anywhere(connection, 10073, 4096) == memory);
}

KEPT(memory_and_queues_M074, "never mapped, but the driver has a descriptor: unmap gives kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0), other = contract_open(0);
        volatile uint8_t *memory = map_anywhere(other, 10071, 4096);
        ck_code(unmap(connection, 10071, memory), kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10071), 2);
        ck_assert(readable(memory));
}

DRIVER_MEMORY(10075)
{
        if (self->number == 0)
                *options |= kIOUserClientMemoryReadOnly;
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M075, "mapped read-only, the driver now says writable: unmap gives kIOReturnBadArgument, the mapping stays")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10075, 4096);
        driver_does(connection, 1);
        ck_code(unmap(connection, 10075, memory), kIOReturnBadArgument);
        ck_assert(readable(memory) && !writable(memory));
        driver_does(connection, 0);
        ck_code(unmap(connection, 10075, memory), kIOReturnSuccess);
        ck_assert(gone(memory));
        /* The same the other way round. */
        connection = contract_open(0);
        driver_does(connection, 1);
        memory = map_anywhere(connection, 10075, 4096);
        driver_does(connection, 0);
        ck_code(unmap(connection, 10075, memory), kIOReturnBadArgument);
        ck_assert(writable(memory));
}

KEPT(memory_and_queues_M076, "unmap from no task: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10071, 4096);
        ck_code(IOConnectUnmapMemory64(connection, 10071, 0, (uintptr_t)memory), kIOReturnBadArgument);
        ck_code(IOConnectUnmapMemory(connection, 10071, 0, (uintptr_t)memory), kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10071), 1);
        ck_assert(writable(memory));
}

/* How many references the buffer has, of which the user client holds one. */
DRIVER(10077)
{
        D_EXPECT(self->mine && arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = OSObject_getRetainCount(self->mine);
        return kIOReturnSuccess;
}
static uint64_t references(io_connect_t connection)
{
        uint64_t out = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(connection, 10077, NULL, 0, &out, &count), kIOReturnSuccess);
        return out;
}
KEPT(memory_and_queues_M077, "map and unmap each consume exactly the reference that they were given")
{
        io_connect_t connection = contract_open(0);
        ck_code(unmap(connection, 10071, NULL), kIOReturnBadArgument);
        uint64_t before = references(connection);
        ck_assert_uint_eq(before, 1);
        for (int i = 0; i < 50; i++) {
                volatile uint8_t *memory = map_anywhere(connection, 10071, 4096);
                ck_assert_uint_eq(references(connection), before);
                ck_code(unmap(connection, 10071, memory), kIOReturnSuccess);
                ck_assert_uint_eq(references(connection), before);
        }
        /* So do those that fail later on. */
        ck_code(map_fails(connection, 10071, 0x1008, 0), kIOReturnBadArgument);
        ck_code(unmap(connection, 10071, NULL), kIOReturnBadArgument);
        ck_assert_uint_eq(references(connection), before);
}

/* --- one after the other --- */

/* With a queue for its methods, so that the order cannot come from everything's being on one queue. */
DRIVER_START(10080)
{
        IODispatchQueue *queue;
        kern_return_t code = IODispatchQueue_Create("row-M80", 0, 0, &queue);
        if (code != kIOReturnSuccess)
                return code;
        code = IOService_SetDispatchQueue((IOService *)self, kIOUserClientQueueNameExternalMethod, queue);
        OSObjectRelease(queue);
        return code;
}

DRIVER(10078)
{
        gate_wait();
        __atomic_store_n(&self->number, 78, __ATOMIC_SEQ_CST);
        return kIOReturnSuccess;
}
DRIVER_MEMORY(10078)
{
        D_EXPECT(__atomic_load_n(&self->number, __ATOMIC_SEQ_CST) == 78);
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
DRIVER(110078)
{
        gate_open();
        return kIOReturnSuccess;
}
/* Maps the memory type `selector`. */
static void *map_run(void *argument)
{
        struct thread_call *map = argument;
        mach_vm_address_t address = 0;
        atomic_store(&map->id, gettid());
        map->code = IOConnectMapMemory64(map->connection, map->selector, mach_task_self(), &address, &map->out[0], kIOMapAnywhere);
        map->out[1] = address;
        atomic_store(&map->done, true);
        return NULL;
}
static void map_start(struct thread_call *map)
{
        ck_assert_int_eq(pthread_create(&map->thread, NULL, map_run, map), 0);
}
/* What a host that kept no order has time for: the request is on its way, and others that came after it have been served. */
static void others_are_served(io_connect_t other)
{
        for (int i = 0; i < 20; i++) {
                volatile uint8_t *memory = map_anywhere(other, 10071, 4096);
                ck_code(unmap(other, 10071, memory), kIOReturnSuccess);
        }
}
KEPT(memory_and_queues_M078, "a call is in progress: a map on another thread returns only after it, the driver is not asked before")
{
        io_connect_t connection = contract_open(10080), other = contract_open(0);
        struct thread_call blocked = { .connection = connection, .selector = 10078 };
        struct thread_call map = { .connection = connection, .selector = 10078 };
        thread_call_start(&blocked);
        contract_calls_wait(CONTRACT_METHOD, 10078, 1);
        map_start(&map);
        thread_call_waits(&map);
        others_are_served(other);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10078), 0);
        ck_assert(!atomic_load(&map.done) && !atomic_load(&blocked.done));
        ck_code(call(other, 110078), kIOReturnSuccess);
        thread_call_join(&blocked);
        thread_call_join(&map);
        ck_code(blocked.code, kIOReturnSuccess);
        ck_code(map.code, kIOReturnSuccess);
        ck_assert_uint_eq(map.out[0], 4096);
}

DRIVER_MEMORY(10079)
{
        gate_wait();
        __atomic_store_n(&self->number, 79, __ATOMIC_SEQ_CST);
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
DRIVER(10079)
{
        D_EXPECT(__atomic_load_n(&self->number, __ATOMIC_SEQ_CST) == 79);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M079, "CopyClientMemoryForType takes its time: a call of another thread waits for it")
{
        io_connect_t connection = contract_open(10080), other = contract_open(0);
        struct thread_call map = { .connection = connection, .selector = 10079 };
        struct thread_call method = { .connection = connection, .selector = 10079 };
        map_start(&map);
        contract_calls_wait(CONTRACT_MEMORY, 10079, 1);
        thread_call_start(&method);
        thread_call_waits(&method);
        others_are_served(other);
        ck_assert_uint_eq(contract_calls(10079), 0);
        ck_assert(!atomic_load(&map.done) && !atomic_load(&method.done));
        ck_code(call(other, 110078), kIOReturnSuccess);
        thread_call_join(&map);
        thread_call_join(&method);
        ck_code(map.code, kIOReturnSuccess);
        ck_code(method.code, kIOReturnSuccess);
}

static __attribute__((unused)) kern_return_t expect_queues(struct ContractUserClient *self, bool on_default)
{
        IODispatchQueue *methods, *normal;
        IOService *service = (IOService *)self;
        D_EXPECT(IOService_CopyDispatchQueue(service, kIOUserClientQueueNameExternalMethod, &methods) == kIOReturnSuccess);
        D_EXPECT(IOService_CopyDispatchQueue(service, kIOServiceDefaultQueueName, &normal) == kIOReturnSuccess);
        D_EXPECT(methods != normal);
        D_EXPECT(IODispatchQueue_OnQueue(methods) == !on_default);
        D_EXPECT(IODispatchQueue_OnQueue(normal) == on_default);
        OSObjectRelease(methods);
        OSObjectRelease(normal);
        return kIOReturnSuccess;
}
DRIVER(10080)
{
        return expect_queues(self, false);
}
DRIVER_MEMORY(10080)
{
        kern_return_t code = expect_queues(self, true);
        return code ? code : give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M080, "methods have a queue of their own: CopyClientMemoryForType runs on the default one")
{
        io_connect_t connection = contract_open(10080);
        ck_code(call(connection, 10080), kIOReturnSuccess);
        volatile uint8_t *memory = map_anywhere(connection, 10080, 4096);
        /* The driver's own code, if it did not like where it was asked. */
        ck_code(unmap(connection, 10080, memory), kIOReturnSuccess);
        ck_code(call(connection, 10080), kIOReturnSuccess);
}

DRIVER_MEMORY(0xffffffff)
{
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M081, "type 0xffffffff: the driver sees 0x00000000ffffffff")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 0xffffffff, 4096);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 0xffffffff), 1);
        ck_code(unmap(connection, 0xffffffff, memory), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 0xffffffff), 2);
}

/* --- ends --- */

DRIVER_FREE(10082)
{
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M082, "the connection is closed: 0, unmapped, and the driver is not asked")
{
        io_connect_t connection = contract_open(10082);
        volatile uint8_t *memory = map_anywhere(connection, 10071, 4096);
        memory[0] = 1;
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert(gone(memory));
        contract_calls_wait(CONTRACT_FREE, 10082, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10071), 1);
}

DRIVER(10083)
{
        return IOService_Terminate((IOService *)self, 0);
}
KEPT(memory_and_queues_M083, "the driver terminates the client: memory stays readable and writable until the close; calls fail")
{
        io_connect_t connection = contract_open(10082);
        volatile uint8_t *memory = map_anywhere(connection, 10071, 4096);
        ck_code(call(connection, 10083), kIOReturnSuccess);
        ck_code(call(connection, 10083), kIOReturnBadArgument);
        ck_code(map_fails(connection, 10071, 0, kIOMapAnywhere), kIOReturnBadArgument);
        ck_code(unmap(connection, 10071, memory), kIOReturnBadArgument);
        /* Also when the driver's side of it, its buffer included, has gone. */
        contract_calls_wait(CONTRACT_FREE, 10082, 1);
        for (uint32_t i = 0; i < 4096; i++)
                ck_assert_uint_eq(memory[i], (uint8_t)(i * 7));
        ck_assert(writable(memory) && writable(memory + 4095));
        memory[9] = 83;
        ck_assert_uint_eq(memory[9], 83);
        ck_code(call(connection, 10083), kIOReturnBadArgument);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert(gone(memory));
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10071), 1);
}

KEPT(memory_and_queues_M084, "the driver is killed: reads go on without a fault, with the last contents")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10071, 4096);
        driver_store(connection, 110071, 4095, 0x84);
        contract_host_kill();
        for (uint32_t i = 0; i < 4095; i++)
                ck_assert_uint_eq(memory[i], (uint8_t)(i * 7));
        ck_assert_uint_eq(memory[4095], 0x84);
        ck_assert(writable(memory));
        memory[1] = 0x48;
        ck_assert_uint_eq(memory[1], 0x48);
        ck_code(map_fails(connection, 10071, 0, kIOMapAnywhere), kIOReturnBadArgument);
        ck_assert(readable(memory));
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert(gone(memory));
}

/* A buffer of the driver's own, which each user client of this type holds once, in `mine`. */
static __attribute__((unused)) IOBufferMemoryDescriptor *common;
DRIVER_START(10085)
{
        if (!common)
                D_EXPECT(IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, 4096, 0, &common) == kIOReturnSuccess);
        OSObjectRetain(common);
        self->mine = (OSObject *)common;
        return kIOReturnSuccess;
}
DRIVER_MEMORY(10085)
{
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
DRIVER_STOP(10085)
{
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(10085)
{
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M085, "the client is killed: the driver is stopped, its buffer is intact, the references are given back")
{
        io_connect_t observer = contract_open(10085);
        int ready[2], status;
        char byte;
        ck_assert_uint_eq(references(observer), 2);
        ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
        pid_t app = fork();
        ck_assert_int_ge(app, 0);
        if (app == 0) {
                volatile uint8_t *memory = map_anywhere(contract_open(10085), 10085, 4096);
                for (int i = 0; i < 4096; i++)
                        memory[i] = (uint8_t)(i * 3);
                if (write(ready[1], "x", 1) == 1)
                        pause();
                _exit(1);
        }
        close(ready[1]);
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        ck_assert_uint_eq(references(observer), 3);
        ck_assert_int_eq(kill(app, SIGKILL), 0);
        ck_assert_int_eq(waitpid(app, &status, 0), app);
        ck_assert(WIFSIGNALED(status));
        contract_calls_wait(CONTRACT_FREE, 10085, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 10085), 1);
        ck_assert_uint_eq(references(observer), 2);
        for (uint32_t i = 0; i < 4096; i += 5)
                ck_assert_uint_eq(driver_byte(observer, 10071, i), (uint8_t)(i * 3));
        volatile uint8_t *memory = map_anywhere(observer, 10085, 4096);
        ck_assert_uint_eq(memory[4095], (uint8_t)(4095 * 3));
}

/* Lets go of the buffer. */
DRIVER(10086)
{
        D_EXPECT(self->mine && OSObject_getRetainCount(self->mine) == 1);
        OSSafeReleaseNULL(self->mine);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M086, "the driver frees its buffer while the client has it mapped: the contents are intact")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10071, 4096), *next;
        ck_code(call(connection, 10086), kIOReturnSuccess);
        for (uint32_t i = 0; i < 4096; i++)
                ck_assert_uint_eq(memory[i], (uint8_t)(i * 7));
        /* The next buffer is another one. */
        next = map_anywhere(connection, 10071, 4096);
        ck_assert(next != memory);
        next[0] = 1;
        memory[0] = 2;
        ck_assert_uint_eq(next[0], 1);
        ck_assert_uint_eq(driver_byte(connection, 10071, 0), 1);
}

DRIVER(10087)
{
        D_EXPECT(self->mine && arguments->scalarInputCount == 1);
        return IOBufferMemoryDescriptor_SetLength((IOBufferMemoryDescriptor *)self->mine, arguments->scalarInput[0]);
}
KEPT(memory_and_queues_M087, "SetLength(100) after 4096 were mapped: mapped again it is 100 bytes at the same address")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10071, 4096);
        uint64_t length = 100;
        ck_code(IOConnectCallScalarMethod(connection, 10087, &length, 1, NULL, NULL), kIOReturnSuccess);
        ck_assert(map_anywhere(connection, 10071, 100) == memory);
        /* Who has mapped all of it still has. */
        ck_assert_uint_eq(memory[4095], (uint8_t)(4095 * 7));
        length = 0;
        ck_code(IOConnectCallScalarMethod(connection, 10087, &length, 1, NULL, NULL), kIOReturnSuccess);
        ck_code(map_fails(connection, 10071, 0, kIOMapAnywhere), kIOReturnBadArgument);
        ck_assert(writable(memory));
}

KEPT(memory_and_queues_M088, "IOConnectSetNotificationPort: kIOReturnUnsupported")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(0);
        ck_code(IOConnectSetNotificationPort(connection, 0, IONotificationPortGetMachPort(port), 0), kIOReturnUnsupported);
        ck_code(IOConnectSetNotificationPort(connection, 0, 0, 0), kIOReturnUnsupported);
        map_anywhere(connection, 10071, 4096);
        ck_code(IOConnectSetNotificationPort(connection, 10071, IONotificationPortGetMachPort(port), 1), kIOReturnUnsupported);
        IONotificationPortDestroy(port);
}
