/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/method.h"

#include <inttypes.h>

#include <CoreFoundation/CoreFoundation.h>

/* --- the methods that a driver describes --- */

static CFDictionaryRef dictionary_at(CFTypeRef methods, CFIndex i)
{
        if (!methods || CFGetTypeID(methods) != CFArrayGetTypeID() || i >= CFArrayGetCount(methods))
                return NULL;
        CFTypeRef method = CFArrayGetValueAtIndex(methods, i);
        return method && CFGetTypeID(method) == CFDictionaryGetTypeID() ? method : NULL;
}

static uint64_t count_of(CFDictionaryRef method, const char *key)
{
        uint64_t count = cli_get_number(method, key, 0);
        return count >= CLI_METHOD_ANY ? CLI_METHOD_ANY : count; /* -1 in any width, and what no call could have */
}

bool cli_method_at(CFTypeRef methods, uint32_t selector, struct cli_method *ret_method)
{
        CFDictionaryRef method = dictionary_at(methods, (CFIndex)selector);
        if (!method)
                return false;
        CFTypeRef async = cli_get_value(method, "async");
        *ret_method = (struct cli_method){
                .name = cli_get_string(method, "name", ""),
                .scalars_in = count_of(method, "scalars-in"),
                .struct_in = count_of(method, "struct-in"),
                .scalars_out = count_of(method, "scalars-out"),
                .struct_out = count_of(method, "struct-out"),
                .async = async && CFGetTypeID(async) == CFBooleanGetTypeID() && CFBooleanGetValue(async),
        };
        return true;
}

bool cli_method_find(CFTypeRef methods, const char *name, uint32_t *ret_selector)
{
        struct cli_method method;
        for (uint32_t i = 0; cli_method_at(methods, i, &method); i++)
                if (strcmp(method.name, name) == 0) {
                        *ret_selector = i;
                        return true;
                }
        return false;
}

static void print_count(uint64_t count)
{
        if (count == CLI_METHOD_ANY)
                printf("  %10s", "any");
        else
                printf("  %10" PRIu64, count);
}

static void print_json_count(const char *key, uint64_t count)
{
        printf(", \"%s\": %" PRId64, key, count == CLI_METHOD_ANY ? (int64_t)-1 : (int64_t)count);
}

static void print_json_method(uint32_t selector, const struct cli_method *method)
{
        printf("%s{\"selector\": %u, \"name\": ", selector ? ",\n " : "", selector);
        cli_json_string(stdout, method->name);
        print_json_count("scalars-in", method->scalars_in);
        print_json_count("struct-in", method->struct_in);
        print_json_count("scalars-out", method->scalars_out);
        print_json_count("struct-out", method->struct_out);
        printf(", \"async\": %s}", method->async ? "true" : "false");
}

static void print_text(const char *text)
{
        for (const char *c = text; *c; c++)
                putchar((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
}

int cli_methods_print(const struct cli_request *request, CFTypeRef methods)
{
        struct cli_method method;
        if (!cli_method_at(methods, 0, &method))
                return cli_say_failure(request->json, "%s does not describe its methods (no property " CLI_METHODS_PROPERTY
                                       "); name a selector", request->service);
        if (request->json)
                printf("[");
        else
                printf("selector  scalars in    bytes in scalars out   bytes out  name\n");
        for (uint32_t i = 0; cli_method_at(methods, i, &method); i++) {
                if (request->json) {
                        print_json_method(i, &method);
                        continue;
                }
                printf("%8u", i);
                print_count(method.scalars_in);
                print_count(method.struct_in);
                print_count(method.scalars_out);
                print_count(method.struct_out);
                printf("  ");
                print_text(method.name);
                puts(method.async ? " (completions)" : "");
        }
        fputs(request->json ? "]\n" : "", stdout);
        return CLI_OK;
}

/* --- results --- */

static void print_bytes(const char *bytes, size_t size)
{
        for (size_t row = 0; row < size; row += 16) {
                size_t width = size - row < 16 ? size - row : 16;
                printf("%08zx ", row);
                for (size_t i = 0; i < 16; i++)
                        i < width ? printf(" %02x", (unsigned char)bytes[row + i]) : printf("   ");
                printf("  |");
                for (size_t i = 0; i < width; i++) {
                        unsigned char c = (unsigned char)bytes[row + i];
                        putchar(c >= ' ' && c < 0x7f ? c : '.');
                }
                puts("|");
        }
}

void cli_result_begin(const struct cli_request *request)
{
        if (!request->json) {
                for (uint32_t i = 0; i < request->out_count; i++)
                        printf("%2u  %20" PRIu64 "  0x%016" PRIx64 "\n", i, request->out_scalars[i], request->out_scalars[i]);
                print_bytes(request->out_structure, request->out_size);
                fflush(stdout); /* completions may take their time */
                return;
        }
        printf("{\"service\": ");
        cli_json_string(stdout, request->service);
        printf(", \"selector\": %u, \"method\": ", request->selector);
        cli_json_string(stdout, request->method_name ? request->method_name : "");
        printf(", \"scalars\": [");
        for (uint32_t i = 0; i < request->out_count; i++)
                printf("%s%" PRIu64, i ? ", " : "", request->out_scalars[i]);
        printf("], \"struct\": \"");
        for (size_t i = 0; i < request->out_size; i++)
                printf("%02x", (unsigned char)request->out_structure[i]);
        printf("\", \"completions\": [");
}

void cli_result_end(const struct cli_request *request, bool terminated)
{
        if (request->json)
                printf("], \"terminated\": %s}\n", terminated ? "true" : "false");
        else if (terminated)
                cli_say_failure(false,
                                "%s was terminated: no more completions will come (`ambidext ls` shows whether its driver is back, "
                                "the daemon's log what happened)",
                                request->service);
}
