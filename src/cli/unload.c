/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>

#include <ambidext/registry.h>

static const char help[] =
        "ambidext unload [--json] BUNDLE-ID\n"
        "\n"
        "Terminates the services of a driver bundle, ends its processes and forgets it. BUNDLE-ID is its CFBundleIdentifier, which\n"
        "`ambidext load` prints and `ambidext ls -l` shows.\n";

static int unload_main(int argc, char **argv)
{
        static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
        bool json = false;
        int option;
        opterr = 0;
        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option != 'j')
                        return cli_say_option(&cli_unload, argv, option);
                json = true;
        }
        if (argc - optind != 1)
                return cli_say_usage(&cli_unload, "expected one BUNDLE-ID");

        AMB_FREE char *message = NULL;
        kern_return_t code = amb_registry_unload_bundle(argv[optind], &message);
        if (code != kIOReturnSuccess)
                return cli_say_code(json, code, message && *message ? message : NULL, "unloading %s", argv[optind]);
        if (json) {
                printf("{\"bundle\": ");
                cli_json_string(stdout, argv[optind]);
                printf("}\n");
        }
        return CLI_OK;
}

const struct cli_verb cli_unload = { "unload", "end the drivers of a bundle and forget it", help, unload_main, true };
