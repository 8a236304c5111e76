/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of what src/dext does. */
#include "cli/cli.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <sys/stat.h>

#include "dext/dext.h"

static const char help[] =
        "ambidext build [OPTION...] [DIR]\n"
        "\n"
        "Builds the driver whose DriverKit sources lie in DIR (default: here), unchanged: interfaces (.iig), C++ or C, "
                "Info.plist,\n"
        "entitlements. An Xcode project in DIR, below or above it says what belongs to the driver, or XcodeGen's project.yml;\n"
        "without one it is what lies beside Info.plist. DIR may be the project itself. Prints the bundle's path.\n"
        "\n"
        "  -o, --output DIR         where NAME.dext, compile_commands.json and what lies between go; default: DIR/build\n"
        "      --target NAME        of several driver extensions this one\n"
        "      --configuration NAME of an Xcode project, such as Debug; default: the project's\n"
        "      --set NAME=VALUE     a build setting, such as PRODUCT_BUNDLE_IDENTIFIER; above what the project says\n"
        "      --std STANDARD       of C++ (gnu++17, c++20, ...) or C (gnu11, ...); default: the project's, or gnu++20 and gnu17\n"
        "  -O LEVEL                 optimization: 0, 1, 2, 3, s; default: 2, with sanitizers 1\n"
        "  -D NAME[=VALUE]          a macro\n"
        "  -I DIR                   a folder of headers\n"
        "      --sanitize LIST      with address, undefined, address,undefined or thread\n"
        "      --fuzz               a program NAME-fuzz instead of the bundle, which calls the driver with what libFuzzer thinks "
                "of\n"
        "  -j, --jobs N             so many compilers at once\n"
        "  -v, --verbose            show the commands\n"
        "      --json               results and failures as JSON\n";

struct build_options {
        struct dext_request request;
        bool json;
};

static const char *absolute(const char *path)
{
        char here[PATH_MAX];
        if (path[0] == '/' || !getcwd(here, sizeof(here)))
                return dext_path_join("/", path);
        return dext_path_join(here, path);
}

/* --- the command line --- */

static int add_sanitizers(struct dext_request *request, const char *list)
{
        char *rest = dext_copy(list, strlen(list));
        for (char *one; (one = strsep(&rest, ","));) {
                if (strcmp(one, "address") != 0 && strcmp(one, "undefined") != 0 && strcmp(one, "thread") != 0)
                        return cli_say_usage(&cli_build, "there is no sanitizer '%s': address, undefined and thread are", one);
                dext_list_add_new(&request->sanitizers, one);
        }
        if (dext_list_has(&request->sanitizers, "thread") && dext_list_has(&request->sanitizers, "address"))
                return cli_say_usage(&cli_build, "the sanitizers thread and address exclude one another");
        return CLI_OK;
}

static int set_standard(struct dext_request *request, const char *standard)
{
        const char *family = standard + (strncmp(standard, "gnu", 3) == 0 ? 3 : strncmp(standard, "c", 1) == 0 ? 1 : 0);
        bool cxx = strncmp(family, "++", 2) == 0;
        const char *year = family + (cxx ? 2 : 0);

        /* Two characters: 11, 1z, 20, 2b. */
        if (family == standard || !isdigit((unsigned char)year[0]) || !isalnum((unsigned char)year[1]) || year[2])
                return cli_say_usage(&cli_build, "'%s' is no standard: gnu++17, c++20, gnu11 are", standard);
        if (cxx && (strcmp(year, "98") == 0 || strcmp(year, "03") == 0))
                return cli_say_usage(&cli_build, "'%s' is too old: DriverKit's headers are C++11 and later", standard);
        if (cxx)
                request->cxx_standard = standard;
        else
                request->c_standard = standard;
        return CLI_OK;
}

static int add_setting(struct dext_request *request, const char *setting)
{
        const char *equals = strchr(setting, '=');
        if (!equals || equals == setting)
                return cli_say_usage(&cli_build, "--set wants NAME=VALUE, not '%s'", setting);
        dext_list_add(&request->settings, setting);
        return CLI_OK;
}

static int set_jobs(struct dext_request *request, const char *text)
{
        uint64_t number;
        if (!cli_parse_number(text, &number) || number == 0 || number > 1024)
                return cli_say_usage(&cli_build, "-j wants a number from 1 to 1024, not '%s'", text);
        request->jobs = text;
        return CLI_OK;
}

static int take(struct build_options *options, int option, char **argv)
{
        struct dext_request *request = &options->request;
        switch (option) {
        case 'o': request->output = absolute(optarg); return CLI_OK;
        case 't': request->target = optarg; return CLI_OK;
        case 'c': request->configuration = optarg; return CLI_OK;
        case 'e': return add_setting(request, optarg);
        case 's': return set_standard(request, optarg);
        case 'O': request->optimization = optarg; return CLI_OK;
        case 'D': dext_list_add(&request->defines, optarg); return CLI_OK;
        case 'I': dext_list_add(&request->includes, absolute(optarg)); return CLI_OK;
        case 'z': return add_sanitizers(request, optarg);
        case 'f': request->fuzz = true; return CLI_OK;
        case 'j': return set_jobs(request, optarg);
        case 'v': request->verbose = true; return CLI_OK;
        case 'J': options->json = true; return CLI_OK;
        default: return cli_say_option(&cli_build, argv, option);
        }
}

static int parse(struct build_options *options, int argc, char **argv)
{
        static const struct option known[] = {
                { "output", required_argument, NULL, 'o' }, { "target", required_argument, NULL, 't' },
                { "configuration", required_argument, NULL, 'c' }, { "set", required_argument, NULL, 'e' },
                { "std", required_argument, NULL, 's' }, { "sanitize", required_argument, NULL, 'z' },
                { "fuzz", no_argument, NULL, 'f' }, { "jobs", required_argument, NULL, 'j' }, { "verbose", no_argument, NULL,
                                                                                                'v' }, { "json", no_argument, NULL,
                                                                                                         'J' },
                { 0 },
        };
        int option, status;
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":o:O:D:I:j:v", known, NULL)) >= 0) {
                status = take(options, option, argv);
                if (status != CLI_OK)
                        return status;
        }
        if (options->request.fuzz && options->request.sanitizers.count)
                return cli_say_usage(&cli_build, "--fuzz has the sanitizers address and undefined, and no others");
        if (options->request.fuzz) {
                dext_list_add(&options->request.sanitizers, "address");
                dext_list_add(&options->request.sanitizers, "undefined");
        }
        if (argc - optind > 1)
                return cli_say_usage(&cli_build, "expected one DIR");
        const char *directory = absolute(optind < argc ? argv[optind] : ".");
        AMB_FREE char *real = realpath(directory, NULL);
        if (!real)
                return cli_say_failure(options->json, "%s: %s; build wants the folder of a driver's sources", directory,
                                       strerror(errno));
        bool specification = dext_text_ends(real, ".yml") || dext_text_ends(real, ".yaml");
        if (!dext_is_directory(real) && !specification)
                return cli_say_failure(options->json, "%s is no folder; build wants the folder of a driver's sources", directory);
        options->request.directory = dext_copy(real, strlen(real));
        return CLI_OK;
}

/* --- what is said --- */

static void print_list(const char *name, const struct dext_list *list)
{
        printf("\"%s\": [", name);
        for (size_t i = 0; i < list->count; i++) {
                fputs(i ? ", " : "", stdout);
                cli_json_string(stdout, list->items[i]);
        }
        fputs("]", stdout);
}

static void print_member(const char *before, const char *name, const char *text)
{
        printf("%s\"%s\": ", before, name);
        cli_json_string(stdout, text);
}

static void print_json(const struct dext_result *result, const struct dext_report *report, bool fuzz)
{
        printf("{\"%s\": [", fuzz ? "fuzzers" : "bundles");
        for (size_t i = 0; i < result->count; i++) {
                print_member(i ? ", {" : "{", fuzz ? "fuzzer" : "bundle", result->built[i].path);
                print_member(", ", "identifier", result->built[i].identifier);
                print_member(", ", "target", result->built[i].target);
                fputs("}", stdout);
        }
        fputs("]", stdout);
        if (result->compile_commands)
                print_member(", ", "compileCommands", result->compile_commands);
        fputs(", ", stdout);
        print_list("notes", &report->notes);
        fputs("}\n", stdout);
}

static int say_failures(bool json, const struct dext_report *report)
{
        struct dext_text all = { 0 };
        for (size_t i = 0; i < report->errors.count && !json; i++)
                cli_say_failure(false, "%s", report->errors.items[i]);
        for (size_t i = 0; i < report->errors.count && json; i++)
                dext_text_add(&all, "%s%s", i ? "\n" : "", report->errors.items[i]);
        return json ? cli_say_failure(true, "%s", all.data ? all.data : "it failed") : CLI_FAILURE;
}

static int build(const struct build_options *options)
{
        struct dext_result result = { 0 };
        struct dext_report report = { 0 };
        int status = dext_build(&options->request, &result, &report);

        for (size_t i = 0; i < report.notes.count && (status != 0 || !options->json); i++)
                fprintf(stderr, "ambidext: note: %s\n", report.notes.items[i]);
        if (status != 0)
                return say_failures(options->json, &report);
        if (options->json)
                print_json(&result, &report, options->request.fuzz);
        else
                for (size_t i = 0; i < result.count; i++)
                        puts(result.built[i].path);
        return CLI_OK;
}

static int build_main(int argc, char **argv)
{
        struct build_options options = { .json = false };
        int status = parse(&options, argc, argv);
        if (status == CLI_OK)
                status = build(&options);
        dext_text_end();
        return status;
}

const struct cli_verb cli_build = { "build", "build a driver bundle of DriverKit sources", help, build_main, true };
