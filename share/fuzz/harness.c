/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer of a driver: `ambidext build --fuzz` compiles this file and links it with libFuzzer, the driver's own code (instrumented),
 * libambidext-driver and libambidext, and with a file that has the text of the driver's Info.plist (below). Link with -rdynamic: classes
 * are found by their symbols, and two functions of the runtime are stood in front of.
 *
 * Driver and application are one process without a registry (ambidext/embed.h). The service of the first personality is started once.
 * For each input a user client is opened, called as the input says, and closed, so that every input meets a new one; what the service
 * itself remembers stays. Calls run the driver's ExternalMethod and the runtime's checks on the method's queue, by the fuzzer's own
 * thread: quick, and the same each time, unless the driver brings other threads into play. With AMBIDEXT_FUZZ_CHANNEL=1 in the
 * environment they go all the way, at about a tenth of the speed: IOConnectCallMethod, the channel, a connection's thread, and
 * completions that a run loop delivers. The inputs are the same.
 *
 * What a call must look like is learnt before the first input: every selector is asked for, and the dispatch table's line that the
 * driver gives to IOUserClient::ExternalMethod is noted, which this file stands in front of. Most calls of an input have the right
 * counts then, and get past the checks; some are as wrong as the input wants.
 *
 * An input is a sequence of operations: a byte that chooses, then what the operation takes, zeros where it ends. It needs no structure
 * to be kept, so every mutation of an input is one. A corpus directory that is empty gets one input for each selector.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/DriverKit.h>
#include <IOKit/IOKitLib.h>
#include <ambidext/embed.h>
#include <mach/mach.h>
#include <mach/mach_error.h>

/* The driver's Info.plist, as it was when this was built. */
extern const unsigned char amb_fuzz_info[];
extern const unsigned long amb_fuzz_info_length;

enum {
        SELECTORS_MOST = 256,   /* asked for; an input may name others */
        OPERATIONS_MOST = 64,   /* of one input */
        MAPPINGS_MOST = 8,
        SIZE_MOST = 12288,      /* of a structure whose size the driver leaves open: beyond 4096 it travels as a descriptor */
        ANY = -1,
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- what the driver's tables say --- */

static struct shape {
        bool known;
        bool async;
        int64_t scalars_in, bytes_in, scalars_out, bytes_out;   /* ANY */
        uint64_t selector;
} shapes[SELECTORS_MOST];
static uint32_t learnt[SELECTORS_MOST], learnt_count;
static _Atomic bool learning;

static int64_t count_of(uint32_t checked)
{
        return checked == kIOUserClientVariableStructureSize ? ANY : (int64_t)checked;
}

/* In front of the runtime's: found first, because it is the program's. While we learn, no method runs. */
__attribute__((visibility("default"))) kern_return_t IOUserClient_ExternalMethod(IOUserClient *self, uint64_t selector,
                                                                                 IOUserClientMethodArguments *arguments,
                                                                                 const IOUserClientMethodDispatch *dispatch,
                                                                                 OSObject *target, void *reference)
{
        static __typeof__(IOUserClient_ExternalMethod) *runtimes;

        if (learning) {
                if (dispatch && selector < SELECTORS_MOST)
                        shapes[selector] = (struct shape){
                                .known = true, .selector = selector,
                                .async = dispatch->checkCompletionExists != 0 &&
                                         dispatch->checkCompletionExists != kIOUserClientVariableStructureSize,
                                .scalars_in = count_of(dispatch->checkScalarInputCount),
                                .bytes_in = count_of(dispatch->checkStructureInputSize),
                                .scalars_out = count_of(dispatch->checkScalarOutputCount),
                                .bytes_out = count_of(dispatch->checkStructureOutputSize),
                        };
                return kIOReturnBadArgument;
        }
        if (!runtimes)
                runtimes = (__typeof__(runtimes))dlsym(RTLD_NEXT, "IOUserClient_ExternalMethod");
        return runtimes(self, selector, arguments, dispatch, target, reference);
}

/* --- the driver and its application --- */

static IOService *service;

static _Noreturn void give_up(const char *what, const char *why)
{
        fprintf(stderr, "fuzz: %s: %s\n", what, why);
        exit(1);
}

static bool through_channel;

struct application {
        IOUserClient *client;           /* the quick way */
        io_connect_t connect;           /* through the channel */
        IONotificationPortRef port;
        uint32_t types[MAPPINGS_MOST];
        mach_vm_address_t addresses[MAPPINGS_MOST];
        IOMemoryMap *maps[MAPPINGS_MOST];       /* the quick way */
        uint32_t mappings, completions;
};

static kern_return_t application_open(struct application *application, uint32_t type)
{
        int ends[2];
        kern_return_t code;

        if (!through_channel)
                return amb_embed_client(service, type, &application->client);
        code = amb_embed_open(service, type, ends);
        return code == kIOReturnSuccess ? amb_embed_connect(ends, &application->connect) : code;
}

static void completed(void *context, IOReturn result, void **values, uint32_t count)
{
        struct application *application = context;
        uintptr_t sum = 0;

        for (uint32_t i = 0; i < count; i++)
                sum += (uintptr_t)values[i];
        application->completions += result == kIOReturnSuccess || sum != 0;
}

static void deliver_completions(struct application *application)
{
        while (application->port && CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, true) == kCFRunLoopRunHandledSource)
                ;
}

/* In front of the runtime's: what comes with a completion is looked at, whoever hears of it. */
__attribute__((visibility("default"))) void IOUserClient_AsyncCompletion(IOUserClient *self, OSAction *action, IOReturn status,
                                                                         const uint64_t *data, uint32_t count)
{
        static __typeof__(IOUserClient_AsyncCompletion) *runtimes;

        for (uint32_t i = 0; data && i < count && i < kIOUserClientAsyncArgumentsCountMax; i++)
                (void)*(const volatile uint64_t *)&data[i];
        if (!runtimes)
                runtimes = (__typeof__(runtimes))dlsym(RTLD_NEXT, "IOUserClient_AsyncCompletion");
        runtimes(self, action, status, data, count);
}

static void application_close(struct application *application)
{
        for (uint32_t i = 0; i < application->mappings; i++)
                OSSafeReleaseNULL(application->maps[i]);
        amb_embed_end(application->client);
        application->client = NULL;
        if (application->connect)
                IOServiceClose(application->connect);
        application->connect = IO_OBJECT_NULL;
        application->mappings = 0;              /* gone with the connection */
        amb_embed_wait();
}

static mach_port_t port_of(struct application *application)
{
        if (!application->port) {
                application->port = IONotificationPortCreate(kIOMainPortDefault);
                if (!application->port)
                        give_up("a notification port", "no memory");
                CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(application->port), kCFRunLoopDefaultMode);
        }
        return IONotificationPortGetMachPort(application->port);
}

/* --- reading an input --- */

struct input {
        const uint8_t *next, *end;
};

static uint8_t take8(struct input *input)
{
        return input->next < input->end ? *input->next++ : 0;
}

static uint64_t take(struct input *input, unsigned int bytes)
{
        uint64_t value = 0;

        for (unsigned int i = 0; i < bytes; i++)
                value |= (uint64_t)take8(input) << (8 * i);
        return value;
}

/* Small ones mostly; the first bytes that are none say how the number goes on. */
static uint64_t take_number(struct input *input)
{
        uint8_t first = take8(input);

        switch (first) {
        case 0xff: return take(input, 8);
        case 0xfe: return take(input, 4);
        case 0xfd: return take(input, 2);
        case 0xfc: return UINT64_MAX - take8(input);            /* -1, -2 ... */
        case 0xfb: return 1ull << (take8(input) & 63);
        default: return first;
        }
}

static size_t take_size(struct input *input, int64_t wanted)
{
        return wanted != ANY ? (size_t)wanted : take(input, 2) % (SIZE_MOST + 1);
}

/* --- operations --- */

/* From the heap, so that nobody reads beyond it unseen. */
static void *take_bytes(struct input *input, size_t size)
{
        uint8_t *bytes = size ? malloc(size) : NULL;
        size_t there = (size_t)(input->end - input->next);

        if (!bytes)
                return NULL;
        if (there > size)
                there = size;
        memcpy(bytes, input->next, there);
        memset(bytes + there, 0, size - there);
        input->next += there;
        return bytes;
}

static struct shape any_shape(struct input *input)
{
        return (struct shape){
                .selector = take_number(input), .async = take8(input) & 1, .scalars_in = take8(input) % 18, .bytes_in = ANY,
                .scalars_out = take8(input) % 18, .bytes_out = ANY,
        };
}

/* One that a table has, if there is any. */
static struct shape known_shape(struct input *input)
{
        uint8_t which = take8(input);

        return learnt_count ? shapes[learnt[which % learnt_count]] : any_shape(input);
}

static void call(struct application *application, struct input *input, const struct shape *shape)
{
        uint64_t in[18], out[18] = { 0 }, reference[kIOAsyncCalloutCount] = { 0 };
        uint32_t in_count = (uint32_t)(shape->scalars_in == ANY ? take8(input) % 17 : shape->scalars_in);
        uint32_t out_count = (uint32_t)(shape->scalars_out == ANY ? take8(input) % 17 : shape->scalars_out);
        size_t in_size = take_size(input, shape->bytes_in), out_size = take_size(input, shape->bytes_out);
        void *output = out_size ? malloc(out_size) : NULL, *bytes;

        if (in_count > 18 || out_count > 18 || in_size > (1 << 20) || out_size > (1 << 20)) {
                free(output);           /* a table that no application can satisfy */
                return;
        }
        for (uint32_t i = 0; i < in_count; i++)
                in[i] = take_number(input);
        bytes = take_bytes(input, in_size);
        if (!through_channel) {
                struct amb_embed_call quick = {
                        .selector = shape->selector, .scalars = in, .scalar_count = in_count, .scalars_out = out,
                        .scalar_out_count = out_count, .bytes = bytes, .size = in_size, .bytes_out = output, .size_out = out_size,
                        .completes = shape->async,
                };
                amb_embed_call(application->client, &quick);
        } else if (shape->async) {
                reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)completed;
                reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)application;
                IOConnectCallAsyncMethod(application->connect, (uint32_t)shape->selector, port_of(application), reference,
                                         kIOAsyncCalloutCount, in, in_count, bytes, in_size, out, &out_count, output, &out_size);
                deliver_completions(application);
        } else {
                IOConnectCallMethod(application->connect, (uint32_t)shape->selector, in, in_count, bytes, in_size, out, &out_count,
                                    output, &out_size);
        }
        free(bytes);
        free(output);
}

/* Asks the kernel, instead of trying. */
static bool is_writable(mach_vm_address_t address)
{
        return madvise((void *)(uintptr_t)address, 1, MADV_POPULATE_WRITE) == 0;
}

struct question {
        IOUserClient *client;
        uint64_t type, options;
        IOMemoryDescriptor *memory;
        kern_return_t code;
};

/* On the client's queue. */
static void ask_memory(void *context)
{
        struct question *question = context;

        question->code = amb_invoke(question->client, IOUserClient, CopyClientMemoryForType, question->type, &question->options,
                                    &question->memory);
}

/* As the runtime does it for an application that maps. */
static kern_return_t map_quickly(struct application *application, uint32_t type, mach_vm_address_t *address, mach_vm_size_t *size)
{
        struct question question = { .client = application->client, .type = type, .code = kIOReturnNotReady };
        IOMemoryMap **map = &application->maps[application->mappings];
        IODispatchQueue *queue = NULL;

        *map = NULL;
        if (IOService_CopyDispatchQueue((IOService *)application->client, kIOServiceDefaultQueueName, &queue) == kIOReturnSuccess)
                IODispatchQueue_DispatchSync_f(queue, &question, ask_memory);
        OSObjectRelease(queue);
        if (question.code == kIOReturnSuccess && question.memory)
                question.code = IOMemoryDescriptor_CreateMapping(question.memory, question.options & kIOUserClientMemoryReadOnly ?
                                                                 kIOMemoryMapReadOnly : 0, 0, 0, 0, 0, map);
        OSObjectRelease(question.memory);
        if (question.code != kIOReturnSuccess || !*map)
                return kIOReturnError;
        *address = IOMemoryMap_GetAddress(*map);
        *size = IOMemoryMap_GetLength(*map);
        return kIOReturnSuccess;
}

static void map(struct application *application, struct input *input)
{
        uint32_t type = (uint32_t)take_number(input);
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        volatile uint8_t *bytes;
        kern_return_t code;

        if (application->mappings == MAPPINGS_MOST)
                return;
        code = through_channel ? IOConnectMapMemory64(application->connect, type, mach_task_self(), &address, &size, kIOMapAnywhere) :
                                 map_quickly(application, type, &address, &size);
        if (code != kIOReturnSuccess)
                return;
        /* What an application may do with it: anything; some it may only read. */
        bytes = (volatile uint8_t *)(uintptr_t)address;
        for (uint8_t count = is_writable(address) ? take8(input) : 0; count > 0 && size > 0; count--) {
                uint64_t offset = take(input, 2) % size;
                bytes[offset] = take8(input);
        }
        application->types[application->mappings] = type;
        application->addresses[application->mappings++] = address;
}

static void unmap(struct application *application, struct input *input)
{
        uint32_t which = take8(input), last;

        if (application->mappings == 0)
                return;
        which %= application->mappings;
        last = --application->mappings;
        if (through_channel)
                IOConnectUnmapMemory64(application->connect, application->types[which], mach_task_self(), application->addresses[which]);
        OSObjectRelease(application->maps[which]);
        application->maps[which] = application->maps[last];
        application->maps[last] = NULL;
        application->types[which] = application->types[last];
        application->addresses[which] = application->addresses[last];
}

enum operation { CALL = 0, CALL_ANY = 10, MAP, UNMAP, DELIVER, REOPEN, OPERATIONS };    /* CALL: all below CALL_ANY */

/* False: nothing is open any more. */
static bool perform(struct application *application, struct input *input)
{
        struct shape shape;

        switch (take8(input) % OPERATIONS) {
        case CALL_ANY:
                shape = any_shape(input);
                call(application, input, &shape);
                return true;
        case MAP:
                map(application, input);
                return true;
        case UNMAP:
                unmap(application, input);
                return true;
        case DELIVER:
                deliver_completions(application);
                return true;
        case REOPEN:
                application_close(application);
                return application_open(application, (uint32_t)take_number(input)) == kIOReturnSuccess;
        default:
                shape = known_shape(input);
                call(application, input, &shape);
                return true;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, data + size };
        struct application application = { .connect = IO_OBJECT_NULL };

        if (application_open(&application, 0) == kIOReturnSuccess)
                for (int i = 0; i < OPERATIONS_MOST && input.next < input.end; i++)
                        if (!perform(&application, &input))
                                break;
        deliver_completions(&application);
        application_close(&application);
        deliver_completions(&application);
        if (application.port)
                IONotificationPortDestroy(application.port);
        return 0;
}

/* --- the beginning --- */

static void learn(void)
{
        struct application application = { .connect = IO_OBJECT_NULL };
        kern_return_t code = application_open(&application, 0);

        if (code != kIOReturnSuccess)
                give_up("the driver's user client (type 0) cannot be opened", mach_error_string(code));
        learning = true;
        for (uint32_t selector = 0; selector < SELECTORS_MOST; selector++) {
                struct shape none = { .selector = selector };
                struct input nothing = { NULL, NULL };

                call(&application, &nothing, &none);
        }
        application_close(&application);
        learning = false;
        for (uint32_t selector = 0; selector < SELECTORS_MOST; selector++)
                if (shapes[selector].known)
                        learnt[learnt_count++] = selector;
        fprintf(stderr, "fuzz: the dispatch table has %u selectors%s\n", learnt_count,
                learnt_count ? "" : ": calls are made at random (the driver checks by itself, or has none)");
}

static bool is_empty(const char *path)
{
        DIR *directory = opendir(path);
        bool empty = directory != NULL;

        for (struct dirent *entry; directory && (entry = readdir(directory));)
                empty = empty && entry->d_name[0] == '.';
        if (directory)
                closedir(directory);
        return empty;
}

/* Two calls of each selector that the table has: with zeros, and with numbers that differ. */
static void write_seed(const char *directory, uint32_t index)
{
        const struct shape *shape = &shapes[learnt[index]];
        int64_t scalars = shape->scalars_in == ANY ? 1 : shape->scalars_in, bytes = shape->bytes_in == ANY ? 16 : shape->bytes_in;
        char path[4096];
        FILE *file;

        snprintf(path, sizeof(path), "%s/selector-%u", directory, (unsigned int)shape->selector);
        file = fopen(path, "wxe");
        if (!file)
                give_up(path, strerror(errno));
        for (int round = 0; round < 2; round++) {
                fputc(CALL, file);
                fputc((int)index, file);
                if (shape->scalars_in == ANY)
                        fputc((int)scalars, file);
                if (shape->scalars_out == ANY)
                        fputc(1, file);
                if (shape->bytes_in == ANY) {
                        fputc((int)bytes, file);
                        fputc(0, file);
                }
                if (shape->bytes_out == ANY) {
                        fputc(16, file);
                        fputc(0, file);
                }
                for (int64_t i = 0; i < scalars + bytes && i < 4096; i++)
                        fputc(round == 0 ? 0 : (int)(i % 200) + 1, file);
        }
        if (fclose(file) != 0)
                give_up(path, strerror(errno));
}

static void write_seeds(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                if (argv[i][0] == '-')
                        continue;
                if (is_empty(argv[i]))
                        for (uint32_t index = 0; index < learnt_count; index++)
                                write_seed(argv[i], index);
                return;         /* new inputs go to the first one */
        }
}

/* Comparisons count by how near they come: without it, a number behind two conditions takes many times as long to find. */
static void choose_options(int *argc, char ***argv)
{
        char **longer;

        for (int i = 1; i < *argc; i++)
                if (strncmp((*argv)[i], "-use_value_profile=", 19) == 0)
                        return;
        longer = calloc((size_t)*argc + 2, sizeof(*longer));
        if (!longer)
                return;
        memcpy(longer, *argv, (size_t)*argc * sizeof(*longer));
        longer[(*argc)++] = (char *)"-use_value_profile=1";
        *argv = longer;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        const char *channel = getenv("AMBIDEXT_FUZZ_CHANNEL");
        char *message = NULL;
        kern_return_t code = amb_embed_start(amb_fuzz_info, amb_fuzz_info_length, getenv("AMBIDEXT_FUZZ_PERSONALITY"), &service, &message);

        if (code != kIOReturnSuccess)
                give_up("the driver does not start", message ? message : mach_error_string(code));
        free(message);
        through_channel = channel && strcmp(channel, "1") == 0;
        learn();
        write_seeds(*argc, *argv);
        choose_options(argc, argv);
        return 0;
}

/* As in a host: the runtime handles files that are cut short; leaks need ptrace, which containers forbid. The user's options count more. */
const char *amb_symbolizer_option(const char *options, const char *variable);
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return amb_symbolizer_option("handle_sigbus=0:detect_leaks=0:allow_addr2line=1", "ASAN_SYMBOLIZER_PATH");
}
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
        return "print_stacktrace=1:halt_on_error=1";
}
