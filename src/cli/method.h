/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What `ambidext call` needs besides the call itself: the methods that a driver describes, results, completions.
 *
 * A driver may describe its methods by the property "ambidext-methods" of its service: an array with a dictionary for each
 * selector from 0 on: "name" (a string), "scalars-in", "struct-in", "scalars-out", "struct-out" (numbers; -1 or 4294967295: any),
 * "async" (true: it takes a completion). Only this tool reads it; what a driver accepts is decided by its dispatch table.
 * The description is another process's: it is read as such, and nothing in it is believed beyond what a call may have.
 */
#include "cli/cli.h"

#include <fcntl.h>

#define CLI_METHODS_PROPERTY "ambidext-methods"
#define CLI_METHOD_ANY UINT32_MAX

struct cli_method {
        const char *name;       /* lives as long as the property */
        uint64_t scalars_in, struct_in, scalars_out, struct_out;
        bool async;
};

struct cli_request {
        const char *service, *method, *method_name;
        uint32_t selector, type;
        bool json, async, out_given, described;
        int async_seconds;
        uint64_t scalars[16];
        uint32_t scalar_count;
        char *structure;
        size_t structure_size;
        /* room before the call, results after it */
        uint64_t out_scalars[16];
        uint32_t out_count;
        char *out_structure;
        size_t out_size;
};

/* methods: the property's value, whatever it is, or NULL. False: not described. */
bool cli_method_at(CFTypeRef methods, uint32_t selector, struct cli_method *ret_method);
bool cli_method_find(CFTypeRef methods, const char *name, uint32_t *ret_selector);
/* Prints all of them; a failure when none are described. */
int cli_methods_print(const struct cli_request *request, CFTypeRef methods);

/* Prints what a call returned; completions may come between the two. */
void cli_result_begin(const struct cli_request *request);
void cli_result_end(const struct cli_request *request, bool terminated);

/* Receives completions and prints them. */
struct cli_completions;
int cli_completions_create(struct cli_completions **ret_completions, const struct cli_request *request, io_service_t service);
void cli_completions_free(struct cli_completions *completions);
mach_port_t cli_completions_port(struct cli_completions *completions);  /* the wake port */
/* Prints completions until the time that the request gives is over; false: the service was terminated before. */
bool cli_completions_wait(struct cli_completions *completions);
