/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <inttypes.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/registry.h>

#include "cli/method.h"

static const char help[] =
        "ambidext call [OPTION...] SERVICE\n"
        "ambidext call [OPTION...] SERVICE SELECTOR [SCALAR...]\n"
        "\n"
        "Opens SERVICE (its name in the registry, or its id as 0x...) and calls the driver's method SELECTOR (its number, or its\n"
        "name where the driver describes its methods) with the scalars given. Prints what comes back: scalars in decimal and\n"
        "hexadecimal, the structure as bytes. Without SELECTOR: lists the methods that the driver describes.\n"
        "\n"
        "  --struct HEX|@FILE   the input structure: hexadecimal digits, or the contents of a file\n"
        "  --out-scalars N      room for N output scalars (0 to 16)\n"
        "  --out-struct N       room for N bytes of output structure\n"
        "  --type T             the type of user client to open (default 0)\n"
        "  --async SECONDS      pass a completion, and print what arrives during so many seconds after the call\n"
        "  --json               the result, or the error, as JSON\n"
        "  --                   end of the options (negative scalars follow)\n"
        "\n"
        "Drivers check the room for their outputs exactly. A driver that describes its methods (property ambidext-methods,\n"
        "ambidext(1)) is asked with the right counts. Otherwise, without --out-scalars and --out-struct, room for 16 scalars and no\n"
        "structure is offered.\n";

enum { SCALARS_MAX = 16, OUT_SCALARS_DEFAULT = 16, ASYNC_DEFAULT_SECONDS = 3, ASYNC_SECONDS_MAX = 86400 };
static const size_t STRUCT_MAX = 256 << 20;

static void request_free(struct cli_request *request)
{
        free(request->structure);
        free(request->out_structure);
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "00ff 10:2a": digits in pairs; blanks and colons between pairs. */
static bool parse_hex(const char *text, char **ret_bytes, size_t *ret_size)
{
        AMB_FREE char *bytes = malloc(strlen(text) / 2 + 1);
        size_t size = 0;
        for (const char *c = text; bytes && *c;) {
                if (*c == ' ' || *c == ':') {
                        c++;
                        continue;
                }
                int high = hex_digit(c[0]), low = high < 0 ? -1 : hex_digit(c[1]);
                if (low < 0)
                        return false;
                bytes[size++] = (char)(high << 4 | low);
                c += 2;
        }
        if (!bytes)
                return false;
        *ret_bytes = amb_steal(bytes);
        *ret_size = size;
        return true;
}

static int parse_struct(struct cli_request *request, const char *text)
{
        free(request->structure);
        request->structure = NULL;
        if (text[0] == '@') {
                int r = amb_file_read(AT_FDCWD, text + 1, STRUCT_MAX, &request->structure, &request->structure_size);
                return r < 0 ? cli_say_failure(request->json, "%s: %s", text + 1, strerror(-r)) : CLI_OK;
        }
        if (!parse_hex(text, &request->structure, &request->structure_size))
                return cli_say_usage(&cli_call, "--struct expects pairs of hexadecimal digits, or @FILE");
        return CLI_OK;
}

static int parse_limited(const char *option, const char *text, uint64_t most, uint64_t *ret_number)
{
        uint64_t number;
        if (!cli_parse_number(text, &number) || number > most)
                return cli_say_usage(&cli_call, "%s expects a number from 0 to %" PRIu64 ", not '%s'", option, most, text);
        *ret_number = number;
        return CLI_OK;
}

static int parse_option(struct cli_request *request, int option, char **argv)
{
        uint64_t number = 0;
        int status;
        switch (option) {
        case 's':
                return parse_struct(request, optarg);
        case 'o':
                status = parse_limited("--out-scalars", optarg, SCALARS_MAX, &number);
                request->out_count = (uint32_t)number;
                request->out_given = true;
                return status;
        case 'O':
                status = parse_limited("--out-struct", optarg, STRUCT_MAX, &number);
                request->out_size = (size_t)number;
                request->out_given = true;
                return status;
        case 't':
                status = parse_limited("--type", optarg, UINT32_MAX, &number);
                request->type = (uint32_t)number;
                return status;
        case 'a':
                status = parse_limited("--async", optarg, ASYNC_SECONDS_MAX, &number);
                request->async_seconds = (int)number;
                request->async = true;
                return status;
        case 'j':
                request->json = true;
                return CLI_OK;
        default:
                return cli_say_option(&cli_call, argv, option);
        }
}

static int parse(struct cli_request *request, int argc, char **argv)
{
        static const struct option options[] = {
                { "struct", required_argument, NULL, 's' },     { "out-scalars", required_argument, NULL, 'o' },
                { "out-struct", required_argument, NULL, 'O' }, { "type", required_argument, NULL, 't' },
                { "async", required_argument, NULL, 'a' },      { "json", no_argument, NULL, 'j' },
                { 0 },
        };
        int option, status;
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
                if ((status = parse_option(request, option, argv)) != CLI_OK)
                        return status;
        if (optind == argc)
                return cli_say_usage(&cli_call, "expected a SERVICE");
        request->service = argv[optind++];
        request->method = optind < argc ? argv[optind++] : NULL;
        for (; optind < argc; optind++) {
                if (request->scalar_count == SCALARS_MAX)
                        return cli_say_usage(&cli_call, "a call takes at most %d scalars", SCALARS_MAX);
                if (!cli_parse_number(argv[optind], &request->scalars[request->scalar_count++]))
                        return cli_say_usage(&cli_call, "'%s' is not a number of 64 bits", argv[optind]);
        }
        return CLI_OK;
}

static io_service_t find_service(const char *name)
{
        uint64_t id;
        bool by_id = name[0] == '0' && name[1] == 'x' && cli_parse_number(name, &id);
        return IOServiceGetMatchingService(kIOMainPortDefault,
                                           by_id ? IORegistryEntryIDMatching(id) : IOServiceNameMatching(name));
}

static int say_no_service(const struct cli_request *request)
{
        CFArrayRef entries;
        if (amb_registry_dump(&entries) == kIOReturnSuccess) {
                CFRelease(entries);
                return cli_say_failure(request->json, "there is no service '%s'; `ambidext ls` shows what is there",
                                       request->service);
        }
        AMB_FREE char *why = amb_registry_explain();
        return cli_say_failure(request->json, "%s", why ? why : "out of memory");
}

/* Which selector, and with how much room: what the user said, then what the driver describes, then a guess. */
static int complete(struct cli_request *request, CFTypeRef methods)
{
        struct cli_method described = { .name = NULL };
        uint64_t selector;
        if (cli_parse_number(request->method, &selector)) {
                if (selector > UINT32_MAX)
                        return cli_say_usage(&cli_call, "SELECTOR is a number of 32 bits, not '%s'", request->method);
                request->selector = (uint32_t)selector;
        } else if (!cli_method_find(methods, request->method, &request->selector))
                return cli_say_failure(request->json, "%s describes no method '%s'; `ambidext call %s` lists what it describes",
                                       request->service, request->method, request->service);
        request->described = cli_method_at(methods, request->selector, &described);
        request->method_name = described.name;
        if (!request->out_given) {
                request->out_count = OUT_SCALARS_DEFAULT;
                request->out_size = 0;
                if (request->described) {
                        request->out_count = described.scalars_out == CLI_METHOD_ANY ? SCALARS_MAX
                                                                                     : (uint32_t)described.scalars_out;
                        request->out_size = described.struct_out == CLI_METHOD_ANY ? 4096 : (size_t)described.struct_out;
                }
        }
        if (request->out_count > SCALARS_MAX || request->out_size > STRUCT_MAX)
                return cli_say_failure(request->json, "%s describes method %u with more output than a call can have",
                                       request->service, request->selector);
        if (described.async && !request->async) {
                request->async = true;
                request->async_seconds = ASYNC_DEFAULT_SECONDS;
        }
        request->out_structure = request->out_size ? calloc(1, request->out_size) : NULL;
        if (request->out_size && !request->out_structure)
                return cli_say_failure(request->json, "out of memory");
        return CLI_OK;
}

static int say_open_failed(const struct cli_request *request, kern_return_t code)
{
        AMB_FREE char *remedy = NULL;
        if (code == kIOReturnBadArgument || code == kIOReturnUnsupported)
                remedy = amb_format("the driver gives out no user client of type %u (--type says which); its log may say more",
                                    request->type);
        return cli_say_code(request->json, code, remedy, "opening %s", request->service);
}

static char *count_text(uint64_t count, const char *unit)
{
        return count == CLI_METHOD_ANY ? amb_format("any number of %ss", unit)
                                       : amb_format("%" PRIu64 " %s%s", count, unit, count == 1 ? "" : "s");
}

/* What a described method takes, beside what was tried. */
static char *counts_remedy(const struct cli_request *request, const struct cli_method *described)
{
        AMB_FREE char *scalars = count_text(described->scalars_in, "scalar"), *bytes = count_text(described->struct_in, "byte");
        AMB_FREE char *scalars_out = count_text(described->scalars_out, "scalar"),
                      *bytes_out = count_text(described->struct_out, "byte");
        AMB_FREE char *tried = count_text(request->scalar_count, "scalar"),
                      *tried_bytes = count_text(request->structure_size, "byte");
        AMB_FREE char *room = count_text(request->out_count, "scalar"), *room_bytes = count_text(request->out_size, "byte");
        if (!scalars || !bytes || !scalars_out || !bytes_out || !tried || !tried_bytes || !room || !room_bytes)
                return NULL;
        return amb_format(
                "%s takes %s and %s and gives %s and %s; it got %s and %s, and room for %s and %s. If these agree, it refused "
                "a value",
                described->name, scalars, bytes, scalars_out, bytes_out, tried, tried_bytes, room, room_bytes);
}

static int say_call_failed(const struct cli_request *request, CFTypeRef methods, kern_return_t code)
{
        AMB_FREE char *remedy = NULL;
        struct cli_method described;
        if (code == kIOReturnBadArgument && cli_method_at(methods, request->selector, &described))
                remedy = counts_remedy(request, &described);
        else if (code == kIOReturnBadArgument && !request->out_given)
                remedy = amb_format("the driver refused the number or size of the arguments; %u scalars in and %zu bytes, room for "
                                    "%u scalars and %zu bytes out were tried: --out-scalars, --out-struct and --struct say "
                                    "otherwise",
                                    request->scalar_count, request->structure_size, request->out_count, request->out_size);
        else if (code == kIOReturnUnsupported)
                remedy = amb_format("the driver has no such method; `ambidext call %s` lists its methods, if it describes them",
                                    request->service);
        return cli_say_code(request->json, code, remedy, "calling method %u of %s", request->selector, request->service);
}

static int call_on(struct cli_request *request, CFTypeRef methods, io_service_t service, io_connect_t connection)
{
        struct cli_completions *completions = NULL;
        int status = request->async ? cli_completions_create(&completions, request, service) : CLI_OK;
        if (status != CLI_OK)
                return status;
        uint64_t reference[kOSAsyncRef64Count] = { 0 };
        size_t size = request->out_size;
        uint32_t count = request->out_count;
        kern_return_t code;
        cli_patience_begin("the driver of %s has not answered method %u", request->service, request->selector);
        if (completions)
                code = IOConnectCallAsyncMethod(connection, request->selector, cli_completions_port(completions),
                                                reference, kIOAsyncCalloutCount, request->scalars, request->scalar_count,
                                                request->structure, request->structure_size, request->out_scalars, &count,
                                                request->out_structure, &size);
        else
                code = IOConnectCallMethod(connection, request->selector, request->scalars, request->scalar_count,
                                           request->structure, request->structure_size, request->out_scalars, &count,
                                           request->out_structure, &size);
        cli_patience_end();
        if (code != kIOReturnSuccess)
                status = say_call_failed(request, methods, code);
        else {
                request->out_count = count < SCALARS_MAX ? count : SCALARS_MAX;
                request->out_size = size < request->out_size ? size : request->out_size;
                cli_result_begin(request);
                bool terminated = completions && !cli_completions_wait(completions);
                cli_result_end(request, terminated);
                status = terminated ? CLI_FAILURE : CLI_OK;
        }
        cli_completions_free(completions);
        return status;
}

static int open_and_call(struct cli_request *request, io_service_t service)
{
        CFTypeRef methods = IORegistryEntryCreateCFProperty(service, CFSTR(CLI_METHODS_PROPERTY), kCFAllocatorDefault, 0);
        int status;
        if (!request->method)
                status = cli_methods_print(request, methods);
        else if ((status = complete(request, methods)) == CLI_OK) {
                io_connect_t connection = IO_OBJECT_NULL;
                cli_patience_begin("the driver of %s has not answered that it be opened", request->service);
                kern_return_t code = IOServiceOpen(service, mach_task_self(), request->type, &connection);
                cli_patience_end();
                if (code != kIOReturnSuccess)
                        status = say_open_failed(request, code);
                else {
                        status = call_on(request, methods, service, connection);
                        IOServiceClose(connection);
                }
        }
        if (methods)
                CFRelease(methods);
        return status;
}

static int call_main(int argc, char **argv)
{
        AMB_CLEANUP(request_free) struct cli_request request = { .type = 0 };
        int status = parse(&request, argc, argv);
        if (status != CLI_OK)
                return status;
        io_service_t service = find_service(request.service);
        if (!service)
                return say_no_service(&request);
        status = open_and_call(&request, service);
        IOObjectRelease(service);
        return status;
}

const struct cli_verb cli_call = { "call", "open a service and call one of its methods", help, call_main, true };
