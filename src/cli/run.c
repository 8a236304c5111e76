/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/private.h"

static const char help[] =
        "ambidext run [--dext BUNDLE.dext]... [--policy DIR]... [-- PROGRAM [ARG...]]\n"
        "\n"
        "Starts a private registry in a temporary directory, loads the bundles, waits until their services are there, runs PROGRAM\n"
        "(or a shell) against it, takes everything down again, and ends with PROGRAM's status (128 + N when signal N killed it).\n"
        "\n"
        "  --dext BUNDLE.dext   load this driver bundle (may be given again)\n"
        "  --policy DIR         read entitlement policies from DIR too (ambidext-entitlements(5); may be given again)\n"
        "  --no-sandbox         run the drivers' processes without their sandbox, for debuggers and sanitizers\n"
        "\n"
        "A driver that was built with a sanitizer is run with it, without a sandbox. What the sanitizer finds ends the driver's process with\n"
        "a report, and then the status is not 0: 66, if PROGRAM's was.\n"
        "\n"
        "PROGRAM finds the registry by $AMBIDEXT_REGISTRY. The registry is in developer mode: the entitlements in PROGRAM.entitlements\n"
        "beside PROGRAM count.\n";

enum { ANYTHING_MAX = 64, EXEC_NOT_FOUND = 127, EXEC_FAILED = 126, FOUND = 66 };

struct run_request {
        char *bundles[ANYTHING_MAX + 1], *policies[ANYTHING_MAX + 1];
        size_t bundle_count, policy_count;
        bool no_sandbox;
        char **program;         /* NULL: a shell */
};

static void request_free(struct run_request *request)
{
        for (size_t i = 0; i < request->bundle_count; i++)
                free(request->bundles[i]);
        for (size_t i = 0; i < request->policy_count; i++)
                free(request->policies[i]);
}

/* --- the command line --- */

/* The daemon would refuse it too, but says so in its log: a wrong path is the commonest mistake and deserves an answer here. */
static int add_bundle(struct run_request *request, const char *path)
{
        struct stat status;
        if (request->bundle_count == ANYTHING_MAX)
                return cli_say_usage(&cli_run, "at most %d bundles", ANYTHING_MAX);
        if (stat(path, &status) < 0)
                return cli_say_failure(false, "%s: %s; --dext wants the path of a driver bundle, a directory NAME.dext", path,
                                       strerror(errno));
        AMB_FREE char *list = amb_format("%s/Info.plist", path);
        if (!list || !S_ISDIR(status.st_mode) || access(list, R_OK) < 0)
                return cli_say_failure(false, "%s is not a driver bundle: that is a directory NAME.dext with an Info.plist and the "
                                              "driver's shared object NAME", path);
        char *whole = realpath(path, NULL);
        if (!whole)
                return cli_say_failure(false, "%s: %s", path, strerror(errno));
        request->bundles[request->bundle_count++] = whole;
        return CLI_OK;
}

static int add_policy(struct run_request *request, const char *path)
{
        struct stat status;
        if (request->policy_count == ANYTHING_MAX)
                return cli_say_usage(&cli_run, "at most %d policy directories", ANYTHING_MAX);
        char *whole = realpath(path, NULL);
        if (!whole || stat(whole, &status) < 0 || !S_ISDIR(status.st_mode)) {
                free(whole);
                return cli_say_failure(false, "%s is not a directory of policy files", path);
        }
        request->policies[request->policy_count++] = whole;
        return CLI_OK;
}

static int parse(struct run_request *request, int argc, char **argv)
{
        static const struct option options[] = {
                { "dext", required_argument, NULL, 'd' },
                { "policy", required_argument, NULL, 'p' },
                { "no-sandbox", no_argument, NULL, 'n' },
                { 0 },
        };
        int option, status = CLI_OK;
        opterr = 0;
        while ((option = getopt_long(argc, argv, "+:", options, NULL)) >= 0) {
                switch (option) {
                case 'd': status = add_bundle(request, optarg); break;
                case 'p': status = add_policy(request, optarg); break;
                case 'n': request->no_sandbox = true; break;
                default: status = cli_say_option(&cli_run, argv, option); break;
                }
                if (status != CLI_OK)
                        return status;
        }
        request->program = optind < argc ? argv + optind : NULL;
        return CLI_OK;
}

/* --- the program --- */

/* `-- ambidext ls` means this very tool: its directory goes in front of $PATH, unless $PATH has it already. */
static int put_ourselves_in_path(void)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash = n > 0 ? memrchr(self, '/', (size_t)n) : NULL;
        if (!slash)
                return 0;
        *slash = 0;
        const char *path = getenv("PATH");
        if (!path)
                path = "/usr/local/bin:/usr/bin:/bin";
        AMB_FREE char *padded = amb_format(":%s:", path), *wanted = amb_format(":%s:", self);
        AMB_FREE char *longer = amb_format("%s:%s", self, path);
        if (!padded || !wanted || !longer)
                return -ENOMEM;
        if (!strstr(padded, wanted) && setenv("PATH", longer, 1) < 0)
                return -ENOMEM;
        return 0;
}

/* Returns the pid, its pidfd in *ret_fd; or -errno when there is no such program: then nothing has been started. */
static pid_t program_start(const struct cli_private *private, char **arguments, int *ret_fd)
{
        int failure[2];
        if (pipe2(failure, O_CLOEXEC) < 0)
                return amb_errno();
        AMB_FD failure_read = failure[0], failure_write = failure[1];
        pid_t pid = fork();
        if (pid < 0)
                return amb_errno();
        if (pid == 0) {
                cli_private_child(private);
                execvp(arguments[0], arguments);
                int error = errno;
                ssize_t written = write(failure_write, &error, sizeof(error));
                _exit(written == sizeof(error) ? EXEC_FAILED : EXEC_NOT_FOUND);
        }
        failure_write = amb_fd_close(failure_write);
        int error;
        ssize_t n;
        while ((n = read(failure_read, &error, sizeof(error))) < 0 && errno == EINTR)
                ;
        if (n == sizeof(error)) {
                waitpid(pid, NULL, 0);
                return -error;
        }
        *ret_fd = pidfd_open(pid, 0);
        return *ret_fd < 0 ? amb_errno() : pid;
}

/* The terminal's own signals reach the whole foreground group; those sent to us alone are passed on. */
static void pass_on(const struct signalfd_siginfo *signal, int program_fd)
{
        if (signal->ssi_signo != SIGCHLD && signal->ssi_code != SI_KERNEL)
                pidfd_send_signal(program_fd, (int)signal->ssi_signo, NULL, 0);
}

static int program_wait(struct cli_private *private, pid_t pid, int program_fd)
{
        for (;;) {
                struct pollfd polled[] = { { .fd = program_fd, .events = POLLIN },
                                           { .fd = private->daemon_fd, .events = POLLIN },
                                           { .fd = private->signal_fd, .events = POLLIN } };
                if (poll(polled, AMB_ARRAY_LENGTH(polled), -1) < 0 && errno != EINTR)
                        return cli_say_failure(false, "poll: %s", strerror(errno));
                if (polled[0].revents)
                        break;
                if (polled[1].revents)
                        cli_private_daemon_again(private);
                struct signalfd_siginfo signal;
                while (polled[2].revents && cli_private_signal(private, &signal))
                        pass_on(&signal, program_fd);
                cli_private_reap(private, pid);
        }
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_program(struct cli_private *private, char **program)
{
        char *shell[] = { getenv("SHELL"), NULL };
        if (!shell[0] || !shell[0][0])
                shell[0] = (char *)"/bin/sh";
        char **arguments = program ? program : shell;
        if (put_ourselves_in_path() < 0)
                return cli_say_failure(false, "out of memory");
        if (private->caught)
                return 128 + private->caught;
        AMB_FD program_fd = -1;
        pid_t pid = program_start(private, arguments, &program_fd);
        if (pid < 0) {
                cli_say_failure(false, "%s: %s", arguments[0], strerror(-pid));
                return pid == -ENOENT ? EXEC_NOT_FOUND : EXEC_FAILED;
        }
        return program_wait(private, pid, program_fd);
}

static int run_main(int argc, char **argv)
{
        AMB_CLEANUP(request_free) struct run_request request = { .program = NULL };
        int status = parse(&request, argc, argv);
        if (status != CLI_OK)
                return status;
        struct cli_private *private;
        const struct cli_private_options options = {
                .bundles = request.bundles, .policies = request.policies, .no_sandbox = request.no_sandbox,
        };
        status = cli_private_create(&private, &options);
        if (status != CLI_OK)
                return status;
        status = run_program(private, request.program);
        cli_private_end(private);
        /* Not a success, even if the program did not mind. */
        if (private->found) {
                fprintf(stderr, "ambidext: a sanitizer has found a mistake in a driver; its report is above\n");
                status = status ? status : FOUND;
        }
        cli_private_free(private);
        return status;
}

const struct cli_verb cli_run = { "run", "run a program against a private registry with drivers of your choice", help, run_main,
                                  false };
