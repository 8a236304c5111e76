/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <mach/mach_error.h>
#include <stdarg.h>

/* What usually helps. The verbs give a better remedy where they know one. */
static const struct remedy {
        kern_return_t code;
        const char *text;
} remedies[] = {
        { kIOReturnNotPermitted, "the registry daemon's log names the entitlement that is missing and the grant that would give it "
                                 "(ambidext-entitlements(5))" },
        { kIOReturnNotPrivileged, "this program lacks an entitlement that the driver's user client asks for" },
        { kIOReturnBadArgument, "the driver refused the number or size of the arguments; `ambidext call SERVICE` lists its "
                                "methods, if it describes them" },
        { kIOReturnUnsupported, "the driver has no such method, or the service cannot be opened" },
        { kIOReturnNoDevice, "is the registry daemon running? `ambidext run` starts a private one" },
        { kIOReturnNotFound, "`ambidext ls` shows what is there" },
        { kIOReturnTimeout, "the registry did not become quiet in time; `ambidext ls` shows what is busy" },
        { MACH_SEND_INVALID_DEST, "the service or its driver is gone; `ambidext ls` shows what is there now" },
        { MIG_SERVER_DIED, "the driver's process died; the daemon's log says how, and starts it again" },
        { MIG_ARRAY_TOO_LARGE, "a call takes at most 16 scalars in each direction" },
        { kIOReturnNoMemory, "memory ran out here or in the driver" },
};

static const char *remedy_of(kern_return_t code)
{
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(remedies); i++)
                if (remedies[i].code == code)
                        return remedies[i].text;
        return NULL;
}

/* A script that asked for JSON has asked for it also where the mistake stands before its --json. */
static bool usage_json;

void cli_say_usage_as_json(void)
{
        usage_json = true;
}

/* NULL: no memory. */
static char *AMB_PRINTF(1, 0) format_text(const char *format, va_list arguments)
{
        char *text = NULL;
        return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

int cli_say_usage(const struct cli_verb *verb, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        AMB_FREE char *text = format_text(format, arguments);
        va_end(arguments);
        const char *said = text ? text : "out of memory";
        if (usage_json) {
                fputs("{\"error\": {\"message\": ", stdout);
                cli_json_string(stdout, said);
                printf(", \"remedy\": \"see `ambidext %s --help`\"}}\n", verb->name);
        } else
                fprintf(stderr, "ambidext %s: %s; see `ambidext %s --help`\n", verb->name, said, verb->name);
        return CLI_USAGE;
}

int cli_say_option(const struct cli_verb *verb, char **argv, int option)
{
        return option == ':' ? cli_say_usage(verb, "option %s needs a value", argv[optind - 1])
                             : cli_say_usage(verb, "there is no option %s", argv[optind - 1]);
}

int cli_say_failure(bool json, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        AMB_FREE char *text = format_text(format, arguments);
        va_end(arguments);
        const char *said = text ? text : "out of memory";
        if (json) {
                fputs("{\"error\": {\"message\": ", stdout);
                cli_json_string(stdout, said);
                fputs("}}\n", stdout);
        } else
                fprintf(stderr, "ambidext: %s\n", said);
        return CLI_FAILURE;
}

int cli_say_code(bool json, kern_return_t code, const char *remedy, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        AMB_FREE char *text = format_text(format, arguments);
        va_end(arguments);
        const char *tried = text ? text : "out of memory", *name = mach_error_string(code);
        if (!remedy)
                remedy = remedy_of(code);
        if (json) {
                fputs("{\"error\": {\"message\": ", stdout);
                cli_json_string(stdout, tried);
                printf(", \"code\": %d, \"hex\": \"0x%08x\", \"name\": ", code, (unsigned)code);
                cli_json_string(stdout, name);
                fputs(", \"remedy\": ", stdout);
                cli_json_string(stdout, remedy ? remedy : "");
                fputs("}}\n", stdout);
        } else
                fprintf(stderr, "ambidext: %s: %s (0x%08x)%s%s\n", tried, name, (unsigned)code, remedy ? ": " : "",
                        remedy ? remedy : "");
        return CLI_FAILURE;
}
