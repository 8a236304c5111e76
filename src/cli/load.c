/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <unistd.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/registry.h>

static const char help[] =
        "ambidext load [--json] PATH\n"
        "\n"
        "Loads the driver bundle PATH (a directory NAME.dext) into the registry, which starts it when what it drives is there.\n"
        "Waits until that has happened, ten seconds at most.\n"
        "Prints the bundle's identifier: `ambidext unload` takes it.\n";

enum { START_SECONDS = 10 };

bool cli_bundle_has_service(CFArrayRef entries, const char *bundle_id)
{
        for (CFIndex i = 0; i < CFArrayGetCount(entries); i++) {
                CFDictionaryRef entry = CFArrayGetValueAtIndex(entries, i);
                CFTypeRef properties = cli_get_value(entry, "properties");
                if (properties && CFGetTypeID(properties) == CFDictionaryGetTypeID() &&
                    strcmp(cli_get_string(properties, "CFBundleIdentifier", ""), bundle_id) == 0 &&
                    (cli_get_number(entry, "state", 0) & kIOServiceRegisteredState))
                        return true;
        }
        return false;
}

/*
 * So that `ambidext load X && ambidext call ...` works. A driver that takes longer, or that matches nothing which is there yet, is
 * no failure of loading it; but whoever waits for its service should not have to guess.
 */
static void wait_for_service(const char *bundle_id)
{
        mach_timespec_t patience = { .tv_sec = START_SECONDS, .tv_nsec = 0 };
        CFArrayRef entries;
        IOKitWaitQuiet(kIOMainPortDefault, &patience);
        if (amb_registry_dump(&entries) != kIOReturnSuccess)
                return;
        if (!cli_bundle_has_service(entries, bundle_id))
                fprintf(stderr,
                        "ambidext: note: %s is loaded, but has no service yet: the daemon's log says whether its driver failed; "
                        "otherwise nothing that is there matches its personalities (Info.plist)\n",
                        bundle_id);
        CFRelease(entries);
}

static int load_main(int argc, char **argv)
{
        static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
        bool json = false;
        int option;
        opterr = 0;
        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option != 'j')
                        return cli_say_option(&cli_load, argv, option);
                json = true;
        }
        if (argc - optind != 1)
                return cli_say_usage(&cli_load, "expected one PATH");

        /* The daemon would answer with a path that it has made of it, or that it wants an absolute one. */
        if (access(argv[optind], F_OK) < 0)
                return cli_say_failure(json, "%s: %s; load wants the path of a driver bundle, a directory NAME.dext", argv[optind],
                                       strerror(errno));

        AMB_FREE char *message = NULL, *bundle = NULL;
        kern_return_t code = amb_registry_load_bundle(argv[optind], &message, &bundle);
        if (code != kIOReturnSuccess)
                return cli_say_code(json, code, message && *message ? message : NULL, "loading %s", argv[optind]);
        if (bundle)
                wait_for_service(bundle);
        if (json) {
                printf("{\"bundle\": ");
                cli_json_string(stdout, bundle ? bundle : "");
                printf("}\n");
        } else
                puts(bundle ? bundle : "");
        return CLI_OK;
}

const struct cli_verb cli_load = { "load", "load a driver bundle", help, load_main, true };
