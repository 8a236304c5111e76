/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command line tool: `ambidext VERB`. One file and one row of a table per verb.
 *
 * What every verb promises: results on standard output and nothing else there; everything said to people on standard error, one
 * line that begins with "ambidext"; exit status 0 (done), 1 (it failed, and the line says why and what to do), 2 (called wrongly).
 * With --json, results and failures are one JSON value on standard output.
 *
 * The tool talks to the registry as any program does: through libambidext's public headers alone.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <IOKit/IOKitLib.h>

#include "base/base.h"

enum { CLI_OK = 0, CLI_FAILURE = 1, CLI_USAGE = 2 };

struct cli_verb {
        const char *name;
        const char *summary;
        const char *help;       /* what --help prints; begins with the usage line */
        int (*main)(int argc, char **argv); /* argv[0] is the verb */
        bool json;              /* has the option --json: everything that it says is JSON then */
};

extern const struct cli_verb cli_run, cli_ls, cli_call, cli_load, cli_unload, cli_bench, cli_build, cli_new;

/* --- saying (say.c) --- */

/* "ambidext VERB: text", and how to get help. Returns CLI_USAGE. */
int cli_say_usage(const struct cli_verb *verb, const char *format, ...) AMB_PRINTF(2, 3);
/* From now on as {"error": {"message": text, "remedy": how to get help}} on standard output. */
void cli_say_usage_as_json(void);
/* "ambidext: text". Returns CLI_FAILURE. json: as {"error": {"message": text}} on standard output instead. */
int cli_say_failure(bool json, const char *format, ...) AMB_PRINTF(2, 3);
/*
 * A call that gave a code: says what was tried, the code's symbol and number, and what to do. remedy: NULL for what is usually
 * meant by this code. Returns CLI_FAILURE.
 */
int cli_say_code(bool json, kern_return_t code, const char *remedy, const char *format, ...) AMB_PRINTF(4, 5);

/* getopt_long met something it does not know: returns CLI_USAGE after saying so. '?' and ':' are handled alike. */
int cli_say_option(const struct cli_verb *verb, char **argv, int option);

/* --- waiting (patience.c) --- */

/*
 * From begin to end we wait for a driver: "ambidext: note: TEXT for 5 seconds now..." on standard error, if it takes that long.
 * TEXT says who has not done what. Uses SIGALRM; one at a time; main thread.
 */
void cli_patience_begin(const char *format, ...) AMB_PRINTF(1, 2);
void cli_patience_end(void);

/* --- values (value.c) --- */

/* A property value as JSON: data as {"data": "hex"}. No newline at the end. */
void cli_json_value(FILE *out, CFTypeRef value);
void cli_json_string(FILE *out, const char *text);
/* A property value on one line, as plists are usually written for people: {a = 1, b = (x, y), c = <00ff>}. */
void cli_print_value(FILE *out, CFTypeRef value);

/* A dictionary's member as C, or the fallback when it is absent or of another type. Strings live as long as the dictionary. */
const char *cli_get_string(CFDictionaryRef dictionary, const char *key, const char *fallback);
uint64_t cli_get_number(CFDictionaryRef dictionary, const char *key, uint64_t fallback);
CFTypeRef cli_get_value(CFDictionaryRef dictionary, const char *key);  /* NULL: absent */

/* --- the registry's entries, as amb_registry_dump() gives them --- */

/* Is there a service of the bundle that a program can find? (load.c) */
bool cli_bundle_has_service(CFArrayRef entries, const char *bundle_id);

/* --- numbers --- */

/* Decimal or 0x hexadecimal, with a minus sign the two's complement; the whole text. False: not a number, or above 64 bits. */
bool cli_parse_number(const char *text, uint64_t *ret_number);
