/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.3: results of synchronous calls. */
#include <pthread.h>
#include <sys/mman.h>

#include <mach/mach.h>

#include "contract.h"

/* --- both halves --- */

enum { PATTERN = 0xaa, INLINE = 64, LARGE = 8192, STORED = 100, STORED_AT = 4050 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=-";
_Static_assert(sizeof(letters) > INLINE + 1, "an object longer than the inline room");

static __attribute__((unused)) uint8_t byte_at(size_t i)
{
        return (uint8_t)(i * 7 + (i >> 8));
}

/* --- the driver's half --- */

/* Stores STORED bytes through the output descriptor, across a page's end. */
static __attribute__((unused)) kern_return_t store_large(IOUserClientMethodArguments *arguments)
{
        uint64_t length = 0;
        IOMemoryMap *map;
        D_EXPECT(arguments->structureOutputDescriptor != NULL);
        D_EXPECT(arguments->structureOutputMaximumSize == LARGE);
        D_EXPECT(IOMemoryDescriptor_GetLength(arguments->structureOutputDescriptor, &length) == kIOReturnSuccess &&
                 length == LARGE);
        D_EXPECT(IOMemoryDescriptor_CreateMapping(arguments->structureOutputDescriptor, 0, 0, 0, 0, 0, &map) == kIOReturnSuccess);
        D_EXPECT(IOMemoryMap_GetLength(map) == LARGE);
        uint8_t *bytes = (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map);
        for (size_t i = STORED_AT; i < STORED_AT + STORED; i++)
                bytes[i] = byte_at(i);
        OSSafeReleaseNULL(map);
        return kIOReturnSuccess;
}

/* Gives an object of these bytes that the driver keeps too: its count says later whether the runtime has consumed its reference. */
static __attribute__((unused)) void give_and_keep(struct ContractUserClient *self, IOUserClientMethodArguments *arguments,
                                                  const void *bytes, size_t length)
{
        OSSafeReleaseNULL(self->mine);
        self->mine = (OSObject *)OSDataCreate(bytes, length);
        OSObject_retain(self->mine);
        arguments->structureOutput = (OSData *)self->mine;
}

/* How often the object that the driver keeps is referenced. */
DRIVER(4000)
{
        arguments->scalarOutput[0] = OSObject_getRetainCount(self->mine);
        return kIOReturnSuccess;
}

/* --- the app's half --- */

static __attribute__((unused)) uint64_t references_of_mine(io_connect_t connection)
{
        uint64_t references = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(connection, 4000, NULL, 0, &references, &count), kIOReturnSuccess);
        ck_assert_uint_eq(count, 1);
        return references;
}

static __attribute__((unused)) void ck_untouched(const void *bytes, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++)
                ck_assert_msg(((const uint8_t *)bytes)[i] == PATTERN, "byte %zu is 0x%x", i, ((const uint8_t *)bytes)[i]);
}

/* One call with room for scalars and for bytes: what came of it. */
struct outcome {
        kern_return_t code;
        uint64_t scalars[20];
        uint32_t count;
        uint8_t bytes[LARGE + 64];
        size_t size;
};

/* Everything is PATTERN before; capacities as given. */
static __attribute__((unused)) struct outcome *outcome_of(io_connect_t connection, uint32_t selector, uint32_t count, size_t size)
{
        static struct outcome outcome;
        memset(&outcome, PATTERN, sizeof(outcome));
        outcome.count = count;
        outcome.size = size;
        outcome.code = IOConnectCallMethod(connection, selector, NULL, 0, NULL, 0, outcome.scalars, &outcome.count, outcome.bytes,
                                           &outcome.size);
        return &outcome;
}

#define ck_outcome(outcome, the_code, the_count, the_size)                                                             \
        do {                                                                                                            \
                ck_code((outcome)->code, the_code);                                                                     \
                ck_assert_uint_eq((outcome)->count, the_count);                                                         \
                ck_assert_uint_eq((outcome)->size, the_size);                                                           \
        } while (0)

/* --- scalars --- */

static __attribute__((unused)) kern_return_t store_scalars(IOUserClientMethodArguments *arguments, uint32_t stored, uint32_t count)
{
        D_EXPECT(arguments->scalarOutputCount == 4);
        for (uint32_t i = 0; i < stored; i++)
                arguments->scalarOutput[i] = 0xf00000000000000aull + i;
        arguments->scalarOutputCount = count;
        return kIOReturnSuccess;
}

static __attribute__((unused)) void ck_scalars(const struct outcome *outcome, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++)
                ck_assert_uint_eq(outcome->scalars[i], 0xf00000000000000aull + i);
        ck_untouched(outcome->scalars, count * sizeof(uint64_t), sizeof(outcome->scalars));
}

DRIVER(40)
{
        return store_scalars(arguments, 4, 4);
}
KEPT(call_path_040, "four scalars stored for a capacity of four come back, no more")
{
        struct outcome *outcome = outcome_of(contract_open(0), 40, 4, 0);
        ck_outcome(outcome, kIOReturnSuccess, 4, 0);
        ck_scalars(outcome, 4);
}

DRIVER(41)
{
        return store_scalars(arguments, 2, 2);
}
KEPT(call_path_041, "a lowered scalar count comes back; elements beyond it are untouched")
{
        struct outcome *outcome = outcome_of(contract_open(0), 41, 4, 0);
        ck_outcome(outcome, kIOReturnSuccess, 2, 0);
        ck_scalars(outcome, 2);
}

DRIVER(42)
{
        return store_scalars(arguments, 9, 9);
}
KEPT(call_path_042, "a scalar count above the capacity is lowered to it without an error")
{
        struct outcome *outcome = outcome_of(contract_open(0), 42, 4, 0);
        ck_outcome(outcome, kIOReturnSuccess, 4, 0);
        ck_scalars(outcome, 4);
}

DRIVER(43)
{
        return store_scalars(arguments, 4, 0);
}
KEPT(call_path_043, "a scalar count of 0 comes back and nothing is written")
{
        struct outcome *outcome = outcome_of(contract_open(0), 43, 4, 0);
        ck_outcome(outcome, kIOReturnSuccess, 0, 0);
        ck_scalars(outcome, 0);
}

DRIVER(44)
{
        kern_return_t code = store_scalars(arguments, 4, 4);
        return code == kIOReturnSuccess ? kIOReturnBusy : code;
}
KEPT(call_path_044, "an error carries no scalars and no count")
{
        struct outcome *outcome = outcome_of(contract_open(0), 44, 4, 0);
        ck_outcome(outcome, kIOReturnBusy, 4, 0);
        ck_scalars(outcome, 0);
        ck_assert_uint_eq(contract_calls(44), 1);
}

DRIVER(58)
{
        D_EXPECT(arguments->scalarOutputCount == 3);
        return kIOReturnSuccess;
}
KEPT(call_path_058, "scalars that the driver does not store are 0, whatever an earlier call stored")
{
        io_connect_t connection = contract_open(0);
        outcome_of(connection, 42, 4, 0);
        struct outcome *outcome = outcome_of(connection, 58, 3, 0);
        ck_outcome(outcome, kIOReturnSuccess, 3, 0);
        for (int i = 0; i < 3; i++)
                ck_assert_uint_eq(outcome->scalars[i], 0);
        ck_untouched(outcome->scalars, 3 * sizeof(uint64_t), sizeof(outcome->scalars));
}

/* --- inline structures --- */

DRIVER(45)
{
        D_EXPECT(arguments->structureOutputMaximumSize == INLINE);
        give_and_keep(self, arguments, letters, 10);
        return kIOReturnSuccess;
}
KEPT(call_path_045, "a shorter object than the capacity: its length and bytes come back, the rest is untouched")
{
        io_connect_t connection = contract_open(0);
        struct outcome *outcome = outcome_of(connection, 45, 0, INLINE);
        ck_outcome(outcome, kIOReturnSuccess, 0, 10);
        ck_assert_mem_eq(outcome->bytes, letters, 10);
        ck_untouched(outcome->bytes, 10, sizeof(outcome->bytes));
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

DRIVER(46)
{
        give_and_keep(self, arguments, letters, INLINE);
        return kIOReturnSuccess;
}
KEPT(call_path_046, "an object as long as the capacity comes back whole")
{
        io_connect_t connection = contract_open(0);
        struct outcome *outcome = outcome_of(connection, 46, 0, INLINE);
        ck_outcome(outcome, kIOReturnSuccess, 0, INLINE);
        ck_assert_mem_eq(outcome->bytes, letters, INLINE);
        ck_untouched(outcome->bytes, INLINE, sizeof(outcome->bytes));
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

DRIVER(47)
{
        kern_return_t code = store_scalars(arguments, 4, 2);
        give_and_keep(self, arguments, letters, INLINE + 1);
        return code;
}
KEPT(call_path_047, "an object longer than the capacity fails the call: buffer, scalars and both counts unchanged")
{
        io_connect_t connection = contract_open(0);
        struct outcome *outcome = outcome_of(connection, 47, 4, INLINE);
        ck_outcome(outcome, kIOReturnBadArgument, 4, INLINE);
        ck_scalars(outcome, 0);
        ck_untouched(outcome->bytes, 0, sizeof(outcome->bytes));
        ck_assert_uint_eq(contract_calls(47), 1);
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

DRIVER(48)
{
        D_EXPECT(arguments->structureOutput == NULL);
        return kIOReturnSuccess;
}
KEPT(call_path_048, "no object: the capacity's bytes are zeros and the count stays")
{
        io_connect_t connection = contract_open(0);
        /* what an earlier call left in the channel must not show */
        outcome_of(connection, 46, 0, INLINE);
        struct outcome *outcome = outcome_of(connection, 48, 0, INLINE);
        ck_outcome(outcome, kIOReturnSuccess, 0, INLINE);
        for (int i = 0; i < INLINE; i++)
                ck_assert_uint_eq(outcome->bytes[i], 0);
        ck_untouched(outcome->bytes, INLINE, sizeof(outcome->bytes));
}

DRIVER(49)
{
        give_and_keep(self, arguments, letters, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_049, "an object of 0 bytes: count 0, buffer untouched")
{
        io_connect_t connection = contract_open(0);
        struct outcome *outcome = outcome_of(connection, 49, 0, INLINE);
        ck_outcome(outcome, kIOReturnSuccess, 0, 0);
        ck_untouched(outcome->bytes, 0, sizeof(outcome->bytes));
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

DRIVER(50)
{
        if (arguments->scalarInput[0] != UINT64_MAX)
                give_and_keep(self, arguments, letters, arguments->scalarInput[0]);
        return kIOReturnIOError;
}
KEPT(call_path_050, "an error carries no structure and no count, object set or not, fitting or not; the object is released")
{
        io_connect_t connection = contract_open(0);
        uint64_t lengths[] = { UINT64_MAX, 0, 10, INLINE, INLINE + 1 };
        for (int i = 0; i < 5; i++) {
                uint8_t bytes[INLINE + 16];
                size_t size = INLINE;
                memset(bytes, PATTERN, sizeof(bytes));
                ck_code(IOConnectCallMethod(connection, 50, &lengths[i], 1, NULL, 0, NULL, NULL, bytes, &size), kIOReturnIOError);
                ck_assert_uint_eq(size, INLINE);
                ck_untouched(bytes, 0, sizeof(bytes));
                ck_assert_uint_eq(references_of_mine(connection), lengths[i] == UINT64_MAX ? 0 : 1);
        }
        ck_assert_uint_eq(contract_calls(50), 5);
}

DRIVER(51)
{
        D_EXPECT(arguments->structureOutputMaximumSize == 0);
        give_and_keep(self, arguments, letters, arguments->scalarInput[0]);
        return kIOReturnSuccess;
}
KEPT(call_path_051, "an object for an app without structure output fails the call")
{
        io_connect_t connection = contract_open(0);
        uint64_t length = 1;
        uint8_t bytes[16];
        size_t size = 0;
        memset(bytes, PATTERN, sizeof(bytes));
        ck_code(IOConnectCallMethod(connection, 51, &length, 1, NULL, 0, NULL, NULL, bytes, NULL), kIOReturnBadArgument);
        ck_assert_uint_eq(references_of_mine(connection), 1);
        ck_code(IOConnectCallMethod(connection, 51, &length, 1, NULL, 0, NULL, NULL, bytes, &size), kIOReturnBadArgument);
        ck_assert_uint_eq(references_of_mine(connection), 1);
        ck_assert_uint_eq(size, 0);
        ck_untouched(bytes, 0, sizeof(bytes));
        ck_assert_uint_eq(contract_calls(51), 2);
}

KEPT(call_path_052, "an empty object for an app without structure output is fine")
{
        io_connect_t connection = contract_open(0);
        uint64_t length = 0;
        uint8_t bytes[16];
        size_t size = 0;
        memset(bytes, PATTERN, sizeof(bytes));
        ck_code(IOConnectCallMethod(connection, 51, &length, 1, NULL, 0, NULL, NULL, bytes, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallMethod(connection, 51, &length, 1, NULL, 0, NULL, NULL, bytes, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 0);
        ck_untouched(bytes, 0, sizeof(bytes));
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

DRIVER(65)
{
        OSSafeReleaseNULL(self->mine);
        self->mine = arguments->scalarInput[0] ? (OSObject *)OSNumberCreate(7, 64) : (OSObject *)OSStringCreate(letters, 10);
        OSObject_retain(self->mine);
        arguments->structureOutput = (OSData *)self->mine;
        return kIOReturnSuccess;
}
KEPT(call_path_065, "an object that is no data fails the call, and is released")
{
        io_connect_t connection = contract_open(0);
        for (uint64_t kind = 0; kind < 2; kind++) {
                uint8_t bytes[INLINE];
                size_t size = INLINE;
                memset(bytes, PATTERN, sizeof(bytes));
                ck_code(IOConnectCallMethod(connection, 65, &kind, 1, NULL, 0, NULL, NULL, bytes, &size), kIOReturnBadArgument);
                ck_assert_uint_eq(size, INLINE);
                ck_untouched(bytes, 0, sizeof(bytes));
                ck_assert_uint_eq(references_of_mine(connection), 1);
        }
        ck_assert_uint_eq(contract_calls(65), 2);
}

/* --- out of line --- */

static __attribute__((unused)) void ck_stored(const struct outcome *outcome)
{
        ck_untouched(outcome->bytes, 0, STORED_AT);
        for (size_t i = STORED_AT; i < STORED_AT + STORED; i++)
                ck_assert_uint_eq(outcome->bytes[i], byte_at(i));
        ck_untouched(outcome->bytes, STORED_AT + STORED, sizeof(outcome->bytes));
}

DRIVER(53)
{
        return store_large(arguments);
}
KEPT(call_path_053, "bytes stored out of line are there, the rest is untouched, and the count stays the capacity")
{
        io_connect_t connection = contract_open(0);
        /* the second call uses the memory of the first again: nothing of the first may show */
        for (int i = 0; i < 2; i++) {
                struct outcome *outcome = outcome_of(connection, 53, 0, LARGE);
                ck_outcome(outcome, kIOReturnSuccess, 0, LARGE);
                ck_stored(outcome);
        }
        struct outcome *outcome = outcome_of(connection, 58, 3, LARGE);
        ck_outcome(outcome, kIOReturnSuccess, 3, LARGE);
        ck_untouched(outcome->bytes, 0, sizeof(outcome->bytes));
}

DRIVER(54)
{
        kern_return_t code = store_large(arguments);
        return code == kIOReturnSuccess ? kIOReturnIOError : code;
}
KEPT(call_path_054, "bytes stored out of line before an error are visible; the count stays")
{
        struct outcome *outcome = outcome_of(contract_open(0), 54, 0, LARGE);
        ck_outcome(outcome, kIOReturnIOError, 0, LARGE);
        ck_stored(outcome);
}

DRIVER(55)
{
        kern_return_t code = store_large(arguments);
        give_and_keep(self, arguments, letters, 1);
        return code;
}
KEPT(call_path_055, "an object besides the output descriptor fails the call; the stored bytes are there, the count stays")
{
        io_connect_t connection = contract_open(0);
        struct outcome *outcome = outcome_of(connection, 55, 0, LARGE);
        ck_outcome(outcome, kIOReturnBadArgument, 0, LARGE);
        ck_stored(outcome);
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

DRIVER(56)
{
        kern_return_t code = store_large(arguments);
        give_and_keep(self, arguments, letters, 0);
        return code;
}
KEPT(call_path_056, "an empty object besides the output descriptor is fine; the count stays the capacity")
{
        io_connect_t connection = contract_open(0);
        struct outcome *outcome = outcome_of(connection, 56, 0, LARGE);
        ck_outcome(outcome, kIOReturnSuccess, 0, LARGE);
        ck_stored(outcome);
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

/* --- codes --- */

DRIVER(57)
{
        return (kern_return_t)arguments->scalarInput[0];
}
DRIVER_MEMORY(57)
{
        if (!self->mine) {
                IOBufferMemoryDescriptor *buffer;
                D_EXPECT(IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, 4096, 0, &buffer) == kIOReturnSuccess);
                self->mine = (OSObject *)buffer;
        }
        OSObject_retain(self->mine);
        *memory = (IOMemoryDescriptor *)self->mine;
        return kIOReturnSuccess;
}
KEPT(call_path_057, "the driver's code comes back as it is, also when the library or the transport use the same one")
{
        static const uint32_t codes[] = {
                0xe3ff8123, 5, 0xffffffff, 0x80000000, 0x7fffffff, (uint32_t)MIG_NO_REPLY, (uint32_t)MIG_SERVER_DIED,
                (uint32_t)MACH_SEND_INVALID_DEST, (uint32_t)kIOReturnUnderrun,
        };
        io_connect_t connection = contract_open(0);
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        for (int mapped = 0; mapped < 2; mapped++) {
                for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
                        uint64_t code = codes[i];
                        ck_code(IOConnectCallScalarMethod(connection, 57, &code, 1, NULL, NULL), (kern_return_t)codes[i]);
                }
                if (!mapped)
                        ck_code(IOConnectMapMemory64(connection, 57, mach_task_self(), &address, &size, kIOMapAnywhere),
                                kIOReturnSuccess);
        }
        ck_assert_uint_eq(contract_calls(57), 2 * sizeof(codes) / sizeof(codes[0]));
}

/* --- output of any length --- */

DRIVER(59)
{
        uint64_t length = arguments->scalarInput[0];
        D_EXPECT(arguments->structureOutputMaximumSize == 0xffffffff && arguments->structureOutputDescriptor == NULL);
        give_and_keep(self, arguments, NULL, length);
        uint8_t *bytes = length ? (uint8_t *)(uintptr_t)OSDataGetBytesPtr((OSData *)self->mine, 0, length) : NULL;
        for (uint64_t i = 0; i < length; i++)
                bytes[i] = byte_at(i);
        return kIOReturnSuccess;
}

/* Room that the library must write whatever happens. */
struct variable {
        void *before, *pages, *after;
        size_t size;
};
static const struct variable untouched = { (void *)1, (void *)2, (void *)3, (size_t)kIOConnectMethodVarOutputSize };

static __attribute__((unused)) bool is_mapped(void *page)
{
        unsigned char there;
        return mincore(page, 1, &there) == 0;
}

KEPT(call_path_059, "output of any length comes in a fresh block, which vm_deallocate frees")
{
        static const uint64_t lengths[] = { 10000, 1, 4095, 4096, 4097, 1 << 20, (16 << 20) - 1 };
        io_connect_t connection = contract_open(0);
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
                uint64_t length = lengths[k];
                struct variable one = untouched, two = untouched;
                ck_code(IOConnectCallMethod(connection, 59, &length, 1, NULL, 0, NULL, NULL, &one.pages, &one.size),
                        kIOReturnSuccess);
                ck_code(IOConnectCallMethod(connection, 59, &length, 1, NULL, 0, NULL, NULL, &two.pages, &two.size),
                        kIOReturnSuccess);
                ck_assert_uint_eq(one.size, length);
                ck_assert_uint_eq(two.size, length);
                ck_assert_ptr_ne(one.pages, two.pages);
                uint64_t right = 0;     /* a ck_assert for each of 16 million bytes would take half a minute */
                while (right < length && ((uint8_t *)one.pages)[right] == byte_at(right))
                        right++;
                ck_assert_uint_eq(right, length);
                ((uint8_t *)one.pages)[0] ^= 0xff;      /* ours alone */
                ck_assert_mem_eq((char *)one.pages + 1, (char *)two.pages + 1, length - 1);
                ck_assert_uint_eq(((uint8_t *)two.pages)[0], byte_at(0));
                ck_code(vm_deallocate(mach_task_self(), (vm_address_t)one.pages, one.size), KERN_SUCCESS);
                ck_assert(!is_mapped(one.pages));
                ck_code(vm_deallocate(mach_task_self(), (vm_address_t)two.pages, two.size), KERN_SUCCESS);
                ck_assert_ptr_eq(one.before, untouched.before);
                ck_assert_ptr_eq(one.after, untouched.after);
                ck_assert_uint_eq(references_of_mine(connection), 1);
        }
}

DRIVER(60)
{
        return kIOReturnSuccess;
}
KEPT(call_path_060, "output of any length without an object: kIOReturnUnderrun, pointer NULL, count 0")
{
        struct variable out = untouched;
        ck_code(IOConnectCallStructMethod(contract_open(0), 60, NULL, 0, &out.pages, &out.size), kIOReturnUnderrun);
        ck_assert_ptr_null(out.pages);
        ck_assert_uint_eq(out.size, 0);
        ck_assert_ptr_eq(out.after, untouched.after);
        ck_assert_uint_eq(contract_calls(60), 1);
}

DRIVER(61)
{
        give_and_keep(self, arguments, NULL, arguments->scalarInput[0]);
        return kIOReturnNoMedia;
}
KEPT(call_path_061, "output of any length with an error: that code, pointer NULL, count 0; the object is released")
{
        io_connect_t connection = contract_open(0);
        uint64_t lengths[] = { 0, 10, 10000 };
        for (int i = 0; i < 3; i++) {
                struct variable out = untouched;
                ck_code(IOConnectCallMethod(connection, 61, &lengths[i], 1, NULL, 0, NULL, NULL, &out.pages, &out.size),
                        kIOReturnNoMedia);
                ck_assert_ptr_null(out.pages);
                ck_assert_uint_eq(out.size, 0);
                ck_assert_uint_eq(references_of_mine(connection), 1);
        }
        ck_assert_uint_eq(contract_calls(61), 3);
}

KEPT(call_path_062, "an empty object as output of any length: success, pointer NULL, count 0")
{
        io_connect_t connection = contract_open(0);
        struct variable out = untouched;
        uint64_t length = 0;
        ck_code(IOConnectCallMethod(connection, 59, &length, 1, NULL, 0, NULL, NULL, &out.pages, &out.size), kIOReturnSuccess);
        ck_assert_ptr_null(out.pages);
        ck_assert_uint_eq(out.size, 0);
        ck_assert_uint_eq(contract_calls(59), 1);
        ck_assert_uint_eq(references_of_mine(connection), 1);
}

DRIVER(63)
{
        uint64_t length = 0;
        IOMemoryMap *map;
        D_EXPECT(arguments->structureInput == NULL && arguments->structureInputDescriptor != NULL);
        D_EXPECT(arguments->structureOutputDescriptor == NULL && arguments->structureOutputMaximumSize == 0xffffffff);
        D_EXPECT(IOMemoryDescriptor_GetLength(arguments->structureInputDescriptor, &length) == kIOReturnSuccess && length == 5000);
        D_EXPECT(IOMemoryDescriptor_CreateMapping(arguments->structureInputDescriptor, 0, 0, 0, 0, 0, &map) == kIOReturnSuccess);
        const void *bytes = (const void *)(uintptr_t)IOMemoryMap_GetAddress(map);
        arguments->structureOutput = OSDataCreate(bytes, length);
        OSDataAppendBytes(arguments->structureOutput, bytes, length);
        OSSafeReleaseNULL(map);
        return kIOReturnSuccess;
}
KEPT(call_path_063, "output of any length goes with input out of line")
{
        uint8_t in[5000];
        struct variable out = untouched;
        for (size_t i = 0; i < sizeof(in); i++)
                in[i] = byte_at(i);
        ck_code(IOConnectCallStructMethod(contract_open(0), 63, in, sizeof(in), &out.pages, &out.size), kIOReturnSuccess);
        ck_assert_uint_eq(out.size, 2 * sizeof(in));
        ck_assert_mem_eq(out.pages, in, sizeof(in));
        ck_assert_mem_eq((char *)out.pages + sizeof(in), in, sizeof(in));
        ck_code(vm_deallocate(mach_task_self(), (vm_address_t)out.pages, out.size), KERN_SUCCESS);
}

DRIVER(64)
{
        return kIOReturnSuccess;
}
KEPT(call_path_064, "an asynchronous call has no output of any length: kIOReturnIPCError, the driver is not called")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t reference[kOSAsyncRef64Count] = { 0, 1, 2 };
        struct variable out = untouched;
        ck_code(IOConnectCallAsyncStructMethod(connection, 64, IONotificationPortGetMachPort(port), reference, 3, NULL, 0,
                                               &out.pages, &out.size),
                kIOReturnIPCError);
        ck_assert_mem_eq(&out, &untouched, sizeof(out));
        ck_assert_uint_eq(contract_calls(64), 0);
        IONotificationPortDestroy(port);
}
