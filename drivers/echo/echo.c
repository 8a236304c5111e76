/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo: a driver without a device, for tests and measurements. Its selectors and memory types: echo.h.
 *
 * ExternalMethod runs on a queue of its own, so that a blocked call keeps neither Stop nor the timer waiting.
 */
#include <DriverKit/DriverKit.h>
#include <pthread.h>
#include <unistd.h>

#include "echo.h"

#define ECHO_MEMORY_TYPES 2     /* of a user client's own, and as many that all share */
#define ECHO_MEMORY_SIZE 4096

typedef struct echo {
        IOService service;
} echo;

typedef struct EchoUserClient {
        IOUserClient client;
        IODispatchQueue *queue;
        IOBufferMemoryDescriptor *memory[ECHO_MEMORY_TYPES];    /* default queue; made when first asked for */
        IOTimerDispatchSource *timer;
        OSAction *timer_action, *late;          /* default queue; late: the completion that selector 7 keeps */
} EchoUserClient;

/* Selectors 4 and 5 meet here. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opened = PTHREAD_COND_INITIALIZER;
static uint64_t gate_waiting, gate_turn;

/* Made when first asked for, and kept. */
static pthread_mutex_t common_lock = PTHREAD_MUTEX_INITIALIZER;
static IOBufferMemoryDescriptor *common[ECHO_MEMORY_TYPES];

/* What kEchoStatistics tells; atomic. */
static uint64_t clients_alive, clients_started, clients_stopped;

/* --- selectors --- */

static kern_return_t echo_nop(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        uint32_t count = arguments->scalarInputCount;

        if (count < arguments->scalarOutputCount)
                arguments->scalarOutputCount = count;
        for (uint32_t i = 0; i < arguments->scalarOutputCount; i++)
                arguments->scalarOutput[i] = arguments->scalarInput[i];
        return kIOReturnSuccess;
}

/* The bytes that came in, wherever they are. The mapping, if there is one, is the caller's to release. */
static kern_return_t echo_input(IOUserClientMethodArguments *arguments, IOMemoryMap **map, const void **bytes, size_t *length)
{
        kern_return_t code;

        if (arguments->structureInput) {
                *length = OSDataGetLength(arguments->structureInput);
                *bytes = OSDataGetBytesPtr(arguments->structureInput, 0, *length);
                return kIOReturnSuccess;
        }
        if (!arguments->structureInputDescriptor)
                return kIOReturnSuccess;
        code = IOMemoryDescriptor_CreateMapping(arguments->structureInputDescriptor, 0, 0, 0, 0, 0, map);
        if (code != kIOReturnSuccess)
                return code;
        *length = IOMemoryMap_GetLength(*map);
        *bytes = (const void *)IOMemoryMap_GetAddress(*map);
        return kIOReturnSuccess;
}

static kern_return_t echo_output(IOUserClientMethodArguments *arguments, const void *bytes, size_t length)
{
        IOMemoryMap *map;
        kern_return_t code;

        if (!arguments->structureOutputDescriptor) {
                if (length > arguments->structureOutputMaximumSize)
                        length = arguments->structureOutputMaximumSize;
                if (arguments->structureOutputMaximumSize == 0)
                        return kIOReturnSuccess;
                if (arguments->structureInput && length == OSDataGetLength(arguments->structureInput)) {
                        /* The very object that came in: nothing to copy, nothing to allocate. */
                        OSObject_retain(arguments->structureInput);
                        arguments->structureOutput = arguments->structureInput;
                } else {
                        arguments->structureOutput = OSDataCreate(bytes, length);
                }
                return kIOReturnSuccess;
        }
        code = IOMemoryDescriptor_CreateMapping(arguments->structureOutputDescriptor, 0, 0, 0, 0, 0, &map);
        if (code != kIOReturnSuccess)
                return code;
        if (length > IOMemoryMap_GetLength(map))
                length = IOMemoryMap_GetLength(map);
        if (length > 0)
                memcpy((void *)IOMemoryMap_GetAddress(map), bytes, length);
        OSObject_release(map);
        return kIOReturnSuccess;
}

static kern_return_t echo_struct(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        IOMemoryMap *map = NULL;
        const void *bytes = NULL;
        size_t length = 0;
        kern_return_t code = echo_input(arguments, &map, &bytes, &length);

        if (code == kIOReturnSuccess)
                code = echo_output(arguments, bytes, length);
        OSObject_release(map);
        return code;
}

static kern_return_t echo_async(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        if (arguments->scalarInputCount == 0)
                return kIOReturnBadArgument;
        for (uint64_t i = 0; i < arguments->scalarInput[0]; i++)
                IOUserClient_AsyncCompletion((IOUserClient *)target, arguments->completion, kIOReturnSuccess,
                                             arguments->scalarInput + 1, arguments->scalarInputCount - 1);
        return kIOReturnSuccess;
}

static kern_return_t echo_code(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        return (kern_return_t)arguments->scalarInput[0];
}

static kern_return_t echo_block(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        uint64_t turn;

        pthread_mutex_lock(&gate_lock);
        gate_waiting++;
        turn = gate_turn;
        while (turn == gate_turn)
                pthread_cond_wait(&gate_opened, &gate_lock);
        pthread_mutex_unlock(&gate_lock);
        return kIOReturnSuccess;
}

static kern_return_t echo_unblock(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        pthread_mutex_lock(&gate_lock);
        if (arguments->scalarOutputCount > 0)
                arguments->scalarOutput[0] = gate_waiting;
        gate_waiting = 0;
        gate_turn++;
        pthread_cond_broadcast(&gate_opened);
        pthread_mutex_unlock(&gate_lock);
        return kIOReturnSuccess;
}

static kern_return_t echo_blocked(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        pthread_mutex_lock(&gate_lock);
        arguments->scalarOutput[0] = gate_waiting;
        pthread_mutex_unlock(&gate_lock);
        return kIOReturnSuccess;
}

static kern_return_t echo_statistics(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        arguments->scalarOutput[0] = __atomic_load_n(&clients_alive, __ATOMIC_SEQ_CST);
        arguments->scalarOutput[1] = __atomic_load_n(&clients_started, __ATOMIC_SEQ_CST);
        arguments->scalarOutput[2] = __atomic_load_n(&clients_stopped, __ATOMIC_SEQ_CST);
        return kIOReturnSuccess;
}

static kern_return_t echo_buffer(IOBufferMemoryDescriptor **buffer)
{
        return *buffer ? kIOReturnSuccess : IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, ECHO_MEMORY_SIZE, 0, buffer);
}

static kern_return_t echo_common_buffer(uint64_t type, IOBufferMemoryDescriptor **ret_buffer)
{
        kern_return_t code;

        if (type < ECHO_MEMORY_TYPES || type >= 2 * ECHO_MEMORY_TYPES)
                return kIOReturnUnsupported;
        pthread_mutex_lock(&common_lock);
        code = echo_buffer(&common[type - ECHO_MEMORY_TYPES]);
        *ret_buffer = common[type - ECHO_MEMORY_TYPES];
        pthread_mutex_unlock(&common_lock);
        return code;
}

static kern_return_t echo_memory(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        IOBufferMemoryDescriptor *buffer;
        IOAddressSegment range;
        uint64_t *word;
        kern_return_t code;

        if (arguments->scalarInputCount < 2 || arguments->scalarInput[1] >= ECHO_MEMORY_SIZE / sizeof(*word))
                return kIOReturnBadArgument;
        code = echo_common_buffer(arguments->scalarInput[0], &buffer);
        if (code == kIOReturnSuccess)
                code = IOBufferMemoryDescriptor_GetAddressRange(buffer, &range);
        if (code != kIOReturnSuccess)
                return code;
        word = (uint64_t *)(uintptr_t)range.address + arguments->scalarInput[1];
        arguments->scalarOutput[0] = __atomic_load_n(word, __ATOMIC_SEQ_CST);
        if (arguments->scalarInputCount > 2)
                __atomic_store_n(word, arguments->scalarInput[2], __ATOMIC_SEQ_CST);
        return kIOReturnSuccess;
}

static kern_return_t echo_end(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        if (arguments->scalarInput[0] == 0)
                _exit(0);
        abort();
}

struct echo_late {
        EchoUserClient *client;
        OSAction *completion;
        uint64_t deadline;
};

/* On the default queue, which the timer's method is on too. */
static void echo_keep(void *context)
{
        struct echo_late *late = context;

        OSObject_release(late->client->late);
        late->client->late = late->completion;
        OSObject_retain(late->completion);
        IOTimerDispatchSource_WakeAtTime(late->client->timer, kIOTimerClockMachAbsoluteTime, late->deadline, 0);
}

static kern_return_t echo_later(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct echo_late late = {
                .client = (EchoUserClient *)target,
                .completion = arguments->completion,
                .deadline = mach_absolute_time() + arguments->scalarInput[0] * kMillisecondScale,
        };
        IODispatchQueue *queue;
        kern_return_t code = IOService_CopyDispatchQueue((IOService *)target, kIOServiceDefaultQueueName, &queue);

        if (code != kIOReturnSuccess)
                return code;
        IODispatchQueue_DispatchSync_f(queue, &late, echo_keep);
        OSObject_release(queue);
        return kIOReturnSuccess;
}

/* --- memory that is kept --- */

static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
        IOMemoryDescriptor *memory;
        IOMemoryMap *map;
} slots[kEchoSlots];

static void slot_fill(uint64_t slot, IOMemoryDescriptor *memory)
{
        IOMemoryDescriptor *before;
        IOMemoryMap *map;

        pthread_mutex_lock(&slots_lock);
        before = slots[slot].memory;
        map = slots[slot].map;
        slots[slot].memory = memory;
        slots[slot].map = NULL;
        pthread_mutex_unlock(&slots_lock);
        OSObject_release(map);
        OSObject_release(before);
}

static kern_return_t echo_keep_memory(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        IOMemoryDescriptor *memory = arguments->structureOutputDescriptor;
        const uint64_t *in = arguments->scalarInput;
        kern_return_t code = kIOReturnSuccess;

        if (arguments->scalarInputCount != (memory ? 1 : 4) || in[0] >= kEchoSlots)
                return kIOReturnBadArgument;
        if (memory) {
                OSObject_retain(memory);
        } else {
                IOAddressSegment segment = { in[2], in[3] };

                code = IOUserClient_CreateMemoryDescriptorFromClient((IOUserClient *)target, in[1], 1, &segment, &memory);
        }
        if (code == kIOReturnSuccess)
                slot_fill(in[0], memory);
        return code;
}

/* The slot's map, retained; nobody waits for the memory of another slot meanwhile. */
static kern_return_t slot_map(uint64_t slot, IOMemoryMap **map)
{
        IOMemoryDescriptor *memory;
        kern_return_t code = kIOReturnSuccess;

        pthread_mutex_lock(&slots_lock);
        memory = slots[slot].memory;
        *map = slots[slot].map;
        if (*map)
                OSObject_retain(*map);
        else if (memory)
                OSObject_retain(memory);
        pthread_mutex_unlock(&slots_lock);
        if (*map)
                return kIOReturnSuccess;
        if (!memory)
                return kIOReturnNotReady;
        code = IOMemoryDescriptor_CreateMapping(memory, 0, 0, 0, 0, 0, map);
        pthread_mutex_lock(&slots_lock);
        if (code == kIOReturnSuccess && slots[slot].memory == memory && !slots[slot].map) {
                slots[slot].map = *map;
                OSObject_retain(*map);
        }
        pthread_mutex_unlock(&slots_lock);
        OSObject_release(memory);
        return code;
}

static kern_return_t echo_exchange(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        const uint64_t *in = arguments->scalarInput;
        IOMemoryMap *map = NULL;
        uint64_t *words, count, below = 0;
        kern_return_t code = in[0] < kEchoSlots ? slot_map(in[0], &map) : kIOReturnBadArgument;

        if (code != kIOReturnSuccess)
                return code;
        words = (uint64_t *)IOMemoryMap_GetAddress(map);
        count = IOMemoryMap_GetLength(map) / 4096;
        for (uint64_t i = 0; i < count; i++, words += 512) {
                below += __atomic_load_n(&words[0], __ATOMIC_RELAXED) < in[1] ||
                         __atomic_load_n(&words[255], __ATOMIC_RELAXED) < in[1];
                __atomic_store_n(&words[256], in[2], __ATOMIC_RELAXED);
                __atomic_store_n(&words[511], in[2], __ATOMIC_RELAXED);
        }
        OSObject_release(map);
        arguments->scalarOutput[0] = count;
        arguments->scalarOutput[1] = below;
        return kIOReturnSuccess;
}

static kern_return_t echo_drop(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        if (arguments->scalarInput[0] >= kEchoSlots)
                return kIOReturnBadArgument;
        slot_fill(arguments->scalarInput[0], NULL);
        return kIOReturnSuccess;
}

/* --- what memory costs (tests/system/bench-memory.c) --- */

static kern_return_t echo_read(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        uint64_t began = mach_absolute_time(), sum = 0;
        const uint64_t *words = NULL;
        IOMemoryMap *map = NULL;
        size_t length = 0;
        kern_return_t code = echo_input(arguments, &map, (const void **)&words, &length);

        if (code != kIOReturnSuccess)
                return code;
        for (size_t i = 0; i < length / sizeof(*words); i++)
                sum += words[i];
        OSObject_release(map);
        arguments->scalarOutput[0] = sum;
        arguments->scalarOutput[1] = mach_absolute_time() - began;
        return kIOReturnSuccess;
}

static void fill(uint64_t *words, size_t length, uint64_t word)
{
        for (size_t i = 0; i < length / sizeof(*words); i++)
                words[i] = word;
}

static kern_return_t echo_fill(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        uint64_t began = mach_absolute_time();
        IOMemoryMap *map;
        kern_return_t code = kIOReturnBadArgument;

        if (arguments->structureOutputDescriptor)
                code = IOMemoryDescriptor_CreateMapping(arguments->structureOutputDescriptor, 0, 0, 0, 0, 0, &map);
        if (code != kIOReturnSuccess)
                return code;
        fill((uint64_t *)IOMemoryMap_GetAddress(map), IOMemoryMap_GetLength(map), arguments->scalarInput[0]);
        OSObject_release(map);
        arguments->scalarOutput[0] = mach_absolute_time() - began;
        return kIOReturnSuccess;
}

static kern_return_t echo_fill_own(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        static uint64_t *words;
        static size_t length;
        uint64_t began;

        if (length != arguments->scalarInput[1]) {
                free(words);
                length = arguments->scalarInput[1];
                words = calloc(1, length);
                if (!words) {
                        length = 0;
                        return kIOReturnNoMemory;
                }
        }
        began = mach_absolute_time();
        fill(words, length, arguments->scalarInput[0]);
        arguments->scalarOutput[0] = mach_absolute_time() - began;
        return kIOReturnSuccess;
}

#define ANY kIOUserClientVariableStructureSize
static const IOUserClientMethodDispatch echo_methods_table[] = {
        /* function, completion, scalars in, bytes in, scalars out, bytes out */
        [kEchoNop] = { echo_nop, 0, ANY, 0, ANY, 0 },
        [kEchoStruct] = { echo_struct, 0, 0, ANY, 0, ANY },
        [kEchoAsync] = { echo_async, 1, ANY, 0, 0, 0 },
        [kEchoCode] = { echo_code, 0, 1, 0, 0, 0 },
        [kEchoBlock] = { echo_block, 0, 0, 0, 0, 0 },
        [kEchoUnblock] = { echo_unblock, 0, 0, 0, ANY, 0 },
        [kEchoEnd] = { echo_end, 0, 1, 0, 0, 0 },
        [kEchoLater] = { echo_later, 1, 1, 0, 0, 0 },
        [kEchoStatistics] = { echo_statistics, 0, 0, 0, 3, 0 },
        [kEchoBlocked] = { echo_blocked, 0, 0, 0, 1, 0 },
        [kEchoMemory] = { echo_memory, 0, ANY, 0, 1, 0 },
        [kEchoKeep] = { echo_keep_memory, 0, ANY, 0, 0, ANY },
        [kEchoExchange] = { echo_exchange, 0, 3, 0, 2, 0 },
        [kEchoDrop] = { echo_drop, 0, 1, 0, 0, 0 },
        [kEchoRead] = { echo_read, 0, 0, ANY, 2, 0 },
        [kEchoFill] = { echo_fill, 0, 1, 0, 1, ANY },
        [kEchoFillOwn] = { echo_fill_own, 0, 2, 0, 1, 0 },
};

static kern_return_t echo_external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                          const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector >= sizeof(echo_methods_table) / sizeof(*echo_methods_table))
                return kIOReturnBadArgument;
        return IOUserClient_ExternalMethod(self, selector, arguments, &echo_methods_table[selector], &self->service.object, NULL);
}

/* --- the user client --- */

#define EchoUserClient_TimerFired_ID 0x6563686f00000001ull

static void echo_timer_fired(EchoUserClient *self, OSAction *action, uint64_t time)
{
        OSAction *late = self->late;

        self->late = NULL;
        IOUserClient_AsyncCompletion(&self->client, late, kIOReturnSuccess, &time, 1);
        OSObject_release(late);
}

OSDefineAction(EchoUserClient, TimerFired, IOTimerDispatchSource_TimerOccurred_ID);

static bool echo_client_init(OSObject *object)
{
        if (!IOUserClient_init(object))
                return false;
        __atomic_fetch_add(&clients_alive, 1, __ATOMIC_SEQ_CST);
        return true;
}

static kern_return_t echo_client_start(IOService *service, IOService *provider)
{
        EchoUserClient *self = (EchoUserClient *)service;
        IODispatchQueue *queue = NULL;
        kern_return_t code = IOService_Start(service, provider);

        if (code == kIOReturnSuccess)
                code = IODispatchQueue_Create("echo calls", 0, 0, &self->queue);
        if (code == kIOReturnSuccess)
                code = IOService_SetDispatchQueue(service, kIOUserClientQueueNameExternalMethod, self->queue);
        if (code == kIOReturnSuccess)
                code = IOService_CopyDispatchQueue(service, kIOServiceDefaultQueueName, &queue);
        if (code == kIOReturnSuccess)
                code = IOTimerDispatchSource_Create(queue, &self->timer);
        if (code == kIOReturnSuccess)
                code = EchoUserClient_CreateActionTimerFired(self, 0, &self->timer_action);
        if (code == kIOReturnSuccess)
                code = IOTimerDispatchSource_SetHandler(self->timer, self->timer_action);
        OSObject_release(queue);
        if (code == kIOReturnSuccess)
                __atomic_fetch_add(&clients_started, 1, __ATOMIC_SEQ_CST);
        return code;
}

/* The timer first; when its last callback is over, the base Stop: the service has stopped. */
static void echo_client_quiet(void *context)
{
        EchoUserClient *self = context;

        OSAction_Cancel_f(self->timer_action, NULL, NULL);
        __atomic_fetch_add(&clients_stopped, 1, __ATOMIC_SEQ_CST);
        IOService_Stop(&self->client.service, IOService_GetProvider(&self->client.service));
        OSObject_release(self);
}

static kern_return_t echo_client_stop(IOService *service, IOService *provider)
{
        EchoUserClient *self = (EchoUserClient *)service;

        OSObject_retain(self);
        return IODispatchSource_Cancel_f(&self->timer->source, self, echo_client_quiet);
}

static void echo_client_free(OSObject *object)
{
        EchoUserClient *self = (EchoUserClient *)object;

        OSSafeReleaseNULL(self->queue);
        for (int i = 0; i < ECHO_MEMORY_TYPES; i++)
                OSSafeReleaseNULL(self->memory[i]);
        OSSafeReleaseNULL(self->timer);
        OSSafeReleaseNULL(self->timer_action);
        OSSafeReleaseNULL(self->late);
        __atomic_fetch_sub(&clients_alive, 1, __ATOMIC_SEQ_CST);
        IOUserClient_free(object);
}

static kern_return_t echo_client_memory(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
        EchoUserClient *self = (EchoUserClient *)client;
        IOBufferMemoryDescriptor *buffer;
        kern_return_t code;

        if (type < ECHO_MEMORY_TYPES) {
                code = echo_buffer(&self->memory[type]);
                buffer = self->memory[type];
        } else {
                code = echo_common_buffer(type, &buffer);
        }
        if (code != kIOReturnSuccess)
                return code;
        if (type & 1)
                *options = kIOUserClientMemoryReadOnly;
        OSObject_retain(buffer);
        *memory = &buffer->descriptor;
        return kIOReturnSuccess;
}

static const struct amb_method echo_client_methods[] = {
        AMB_OVERRIDE(OSObject, init, echo_client_init),
        AMB_OVERRIDE(OSObject, free, echo_client_free),
        AMB_OVERRIDE(IOService, Start, echo_client_start),
        AMB_OVERRIDE(IOService, Stop, echo_client_stop),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, echo_external_method),
        AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, echo_client_memory),
        AMB_ACTION_METHOD(EchoUserClient, TimerFired, echo_timer_fired),
        AMB_METHODS_END,
};
OSDefineMetaClass(EchoUserClient, IOUserClient, echo_client_methods);

/* --- the service --- */

static kern_return_t echo_start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);

        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t echo_new_user_client(IOService *self, uint32_t type, IOUserClient **userClient)
{
        IOService *made;
        kern_return_t code = IOService_Create(self, self, "UserClientProperties", &made);

        if (code == kIOReturnSuccess)
                *userClient = (IOUserClient *)made;
        return code;
}

static const struct amb_method echo_methods[] = {
        AMB_OVERRIDE(IOService, Start, echo_start),
        AMB_OVERRIDE(IOService, NewUserClient, echo_new_user_client),
        AMB_METHODS_END,
};
OSDefineMetaClass(echo, IOService, echo_methods);
