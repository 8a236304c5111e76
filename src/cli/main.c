/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <poll.h>
#include <signal.h>

static const struct cli_verb *const verbs[] = {
        &cli_run, &cli_ls, &cli_call, &cli_load, &cli_unload, &cli_new, &cli_build, &cli_bench,
};

static void print_help(FILE *out)
{
        fputs("ambidext VERB [OPTION...] [ARGUMENT...]\n"
              "\n"
              "Drivers as ordinary processes, opened with IOKit's calls. The verbs:\n"
              "\n", out);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(verbs); i++)
                fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
        fputs("\n"
              "ambidext VERB --help tells more; so does ambidext(1). ambidext --version prints the version.\n"
              "The registry is $AMBIDEXT_REGISTRY, else $XDG_RUNTIME_DIR/ambidext/registry, else /run/ambidext/registry.\n"
              "Exit status: 0 done, 1 failed, 2 called wrongly; `run` ends with its program's.\n", out);
}

static bool asks_for_json(int argc, char **argv)
{
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--json") == 0)
                        return true;
        return false;
}

static bool asks_for_help(int argc, char **argv)
{
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return true;
        return false;
}

/* What has been printed must have arrived: a full disk is a failure. A reader that has gone away (`| head`) is not. */
static int finish(int status)
{
        struct pollfd reader = { .fd = STDOUT_FILENO, .events = POLLOUT };
        bool failed = ferror(stdout) != 0;
        errno = 0;
        failed |= fflush(stdout) != 0;
        if (!failed || errno == EPIPE || (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR)))
                return status;
        /* A write that failed on the way, long ago, has left no errno to trust. */
        return cli_say_failure(false, "standard output: %s",
                               errno ? strerror(errno) : "not everything could be written; is the disk full?");
}

int main(int argc, char **argv)
{
        signal(SIGPIPE, SIG_IGN);
        if (argc < 2) {
                print_help(stderr);
                return CLI_USAGE;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
                print_help(stdout);
                return finish(CLI_OK);
        }
        if (strcmp(argv[1], "--version") == 0) {
                puts("ambidext " AMB_VERSION);
                return finish(CLI_OK);
        }
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(verbs); i++) {
                if (strcmp(argv[1], verbs[i]->name) != 0)
                        continue;
                if (asks_for_help(argc - 1, argv + 1)) {
                        fputs(verbs[i]->help, stdout);
                        return finish(CLI_OK);
                }
                if (verbs[i]->json && asks_for_json(argc - 1, argv + 1))
                        cli_say_usage_as_json();
                return finish(verbs[i]->main(argc - 1, argv + 1));
        }
        fprintf(stderr, "ambidext: there is no verb '%s'; `ambidext --help` lists them\n", argv[1]);
        return CLI_USAGE;
}
