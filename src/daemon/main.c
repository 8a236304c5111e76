/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "base/paths.h"
#include "control/bus.h"
#include "control/protocol.h"
#include "daemon/daemon.h"

static const char usage[] =
        "Usage: ambidextd [OPTION]...\n"
        "Serves the registry of drivers: starts their hosts, decides who may open them.\n"
        "\n"
        "  --socket PATH       listen here; otherwise at $AMBIDEXT_REGISTRY, $XDG_RUNTIME_DIR/ambidext/registry\n"
        "                      or /run/ambidext/registry\n"
        "  --dext BUNDLE       load this driver bundle at the start; more than once for several\n"
        "  --dext-path DIRS    load all bundles of these directories (colon-separated); otherwise of those in\n"
        "                      $AMBIDEXT_DEXT_PATH, or, not in developer mode, of /etc/ambidext/dexts and\n"
        "                      /usr/lib/ambidext/dexts\n"
        "  --policy DIR        read policy files (*.plist) from here too\n"
        "  --developer         apps may vouch for themselves by PROGRAM.entitlements, bundles may be anybody's;\n"
        "                      the socket's directory must be this user's alone\n"
        "  --host PATH         the program that runs drivers\n"
        "  --no-sandbox        do not confine drivers, for debuggers and sanitizers; in developer mode only\n"
        "  --ready-fd N        write READY=1 to this descriptor when connections are accepted, and close it\n"
        "  --lifetime-fd N     end in order when this descriptor is at its end of file\n"
        "  --help, --version\n";

enum { OPTION_SOCKET = 256, OPTION_DEXT, OPTION_DEXT_PATH, OPTION_POLICY, OPTION_DEVELOPER, OPTION_HOST, OPTION_NO_SANDBOX,
       OPTION_READY, OPTION_LIFETIME, OPTION_HELP, OPTION_VERSION };

/* --- options --- */

static int parse_fd(const char *text, int *ret_fd)
{
        char *end;
        long fd = strtol(text, &end, 10);

        if (*end || end == text || fd < 0 || fd > INT32_MAX || fcntl((int)fd, F_GETFD) < 0) {
                fprintf(stderr, "ambidextd: %s is not an open file descriptor\n", text);
                return -EBADF;
        }
        if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
                return amb_errno();
        *ret_fd = (int)fd;
        return 0;
}

static int add_string(char ***strings, size_t *count, char *string)
{
        char **more = realloc(*strings, (*count + 1) * sizeof(char *));

        if (!more)
                return -ENOMEM;
        more[(*count)++] = string;
        *strings = more;
        return 0;
}

static int parse_one(struct amb_options *options, int option)
{
        switch (option) {
        case OPTION_SOCKET:
                options->socket = optarg;
                return 0;
        case OPTION_DEXT:
                return add_string(&options->dexts, &options->dext_count, optarg);
        case OPTION_DEXT_PATH:
                options->dext_path = optarg;
                return 0;
        case OPTION_POLICY:
                return add_string(&options->policies, &options->policy_count, optarg);
        case OPTION_DEVELOPER:
                options->developer = true;
                return 0;
        case OPTION_HOST:
                options->host_program = optarg;
                return 0;
        case OPTION_NO_SANDBOX:
                options->no_sandbox = true;
                return 0;
        case OPTION_READY:
                return parse_fd(optarg, &options->ready_fd);
        case OPTION_LIFETIME:
                return parse_fd(optarg, &options->lifetime_fd);
        default:
                fprintf(stderr, "Try 'ambidextd --help'.\n");
                return -EINVAL;
        }
}

/* 0: go on; 1: all is said. */
static int parse(struct amb_options *options, int count, char **arguments)
{
        static const struct option names[] = {
                { "socket", required_argument, NULL, OPTION_SOCKET },
                { "dext", required_argument, NULL, OPTION_DEXT },
                { "dext-path", required_argument, NULL, OPTION_DEXT_PATH },
                { "policy", required_argument, NULL, OPTION_POLICY },
                { "developer", no_argument, NULL, OPTION_DEVELOPER },
                { "host", required_argument, NULL, OPTION_HOST },
                { "no-sandbox", no_argument, NULL, OPTION_NO_SANDBOX },
                { "ready-fd", required_argument, NULL, OPTION_READY },
                { "lifetime-fd", required_argument, NULL, OPTION_LIFETIME },
                { "help", no_argument, NULL, OPTION_HELP },
                { "version", no_argument, NULL, OPTION_VERSION },
                { NULL, 0, NULL, 0 },
        };
        int option, r;

        while ((option = getopt_long(count, arguments, "", names, NULL)) != -1) {
                if (option == OPTION_HELP || option == OPTION_VERSION) {
                        fputs(option == OPTION_HELP ? usage : "ambidextd " AMB_VERSION "\n", stdout);
                        return 1;
                }
                r = parse_one(options, option);
                if (r < 0)
                        return r;
        }
        if (optind == count)
                return 0;
        fprintf(stderr, "ambidextd: unexpected argument %s\nTry 'ambidextd --help'.\n", arguments[optind]);
        return -EINVAL;
}

/* What was not said on the command line. The strings live as long as the program. */
static int fill_in(struct amb_options *options)
{
        const char *program = options->developer ? getenv("AMBIDEXT_HOST_PROGRAM") : NULL;
        char *found;

        if (options->no_sandbox && !options->developer) {
                amb_log(AMB_LOG_ERROR, "--no-sandbox is for developer mode alone");
                return -EINVAL;
        }
        if (!options->socket)
                options->socket = amb_registry_path();
        if (!options->dext_path)
                options->dext_path = getenv(AMB_DEXT_PATH_VARIABLE);
        if (!options->dext_path && !options->developer)
                options->dext_path = "/etc/ambidext/dexts:/usr/lib/ambidext/dexts";
        found = options->host_program ? realpath(options->host_program, NULL) :
                program               ? realpath(program, NULL) :
                                        amb_program_path("ambidext-host");
        if (!found || access(found, X_OK) < 0) {
                amb_log(AMB_LOG_ERROR, "the program that runs drivers, %s, is not there or not executable; name it with --host",
                        options->host_program ? options->host_program : program ? program : "ambidext-host");
                return -ENOENT;
        }
        options->host_program = found;
        return options->socket ? 0 : -ENOMEM;
}

/* --- the end --- */

void amb_daemon_check_end(struct amb_daemon *daemon)
{
        if (daemon->stopping && amb_list_empty(&daemon->hosts))
                sd_event_exit(daemon->event, 0);
}

static int on_end_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct amb_daemon *daemon = userdata;
        struct amb_process *host;

        amb_list_for(host, &daemon->hosts, link)
                amb_process_give_up(host);
        return 0;
}

void amb_daemon_stop(struct amb_daemon *daemon, const char *reason)
{
        struct amb_process *host, *following;
        int r;

        if (daemon->stopping)
                return;
        daemon->stopping = true;
        amb_log(AMB_LOG_INFO, "ending: %s", reason);
        sd_notify(0, "STOPPING=1");
        sd_event_source_set_enabled(daemon->listener, SD_EVENT_OFF);
        r = sd_event_add_time_relative(daemon->event, &daemon->end_timer, CLOCK_MONOTONIC, AMB_GRACE_SECONDS * 1000000ull, 0,
                                       on_end_timer,
                                       daemon);
        amb_registry_shutdown(daemon->registry, amb_time_now());
        amb_daemon_settle(daemon);
        amb_list_for_safe(host, following, &daemon->hosts, link) {
                if (host->state == AMB_HOST_DELAYED)
                        amb_process_free(host);
                else if (host->state != AMB_HOST_READY || r < 0)
                        amb_process_kill(host);
        }
        amb_daemon_check_end(daemon);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        amb_daemon_stop(userdata, strsignal((int)info->ssi_signo));
        return 0;
}

static int on_lifetime(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        char rest[256];
        ssize_t length = read(fd, rest, sizeof(rest));

        if (length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR)))
                return 0;
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        amb_daemon_stop(userdata, "whoever started it has ended");
        return 0;
}

/* --- the beginning --- */

static int on_reap(sd_event_source *source, void *userdata)
{
        amb_peers_reap(userdata);
        return 0;
}

static int set_up_events(struct amb_daemon *daemon)
{
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
        sigset_t blocked;
        int r;

        sigemptyset(&blocked);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(signals); i++)
                sigaddset(&blocked, signals[i]);
        sigprocmask(SIG_BLOCK, &blocked, NULL);
        signal(SIGPIPE, SIG_IGN);
        r = sd_event_new(&daemon->event);
        for (size_t i = 0; r >= 0 && i < AMB_ARRAY_LENGTH(signals); i++)
                r = sd_event_add_signal(daemon->event, NULL, signals[i], on_signal, daemon);
        if (r >= 0)
                r = sd_event_add_defer(daemon->event, &daemon->reaper, on_reap, daemon);
        if (r >= 0)
                r = sd_event_source_set_enabled(daemon->reaper, SD_EVENT_OFF);
        if (r < 0)
                return amb_trace(r);
        if (daemon->options.lifetime_fd < 0)
                return 0;
        r = sd_event_add_io(daemon->event, NULL, daemon->options.lifetime_fd, EPOLLIN, on_lifetime, daemon);
        if (r < 0)
                amb_log(AMB_LOG_ERROR, "--lifetime-fd %d: %s; it must be a pipe or a socket", daemon->options.lifetime_fd,
                        strerror(-r));
        return r < 0 ? r : 0;
}

static int choose_host_user(struct amb_daemon *daemon)
{
        const struct passwd *user;

        if (daemon->options.developer || geteuid() != 0)
                return 0;
        user = getpwnam("ambidext");
        if (!user)
                user = getpwnam("nobody");
        if (!user || user->pw_uid == 0) {
                amb_log(AMB_LOG_ERROR, "drivers do not run as root: make a system user `ambidext`, or use developer mode");
                return -EPERM;
        }
        daemon->drop_privileges = true;
        daemon->host_uid = user->pw_uid;
        daemon->host_gid = user->pw_gid;
        return 0;
}

/* Milliseconds since 1970, and 12 bits for what comes within one: a later daemon's ids are above all of ours. */
static uint64_t first_id(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) << 12;
}

static void init(struct amb_daemon *daemon)
{
        struct rlimit limit = { .rlim_cur = 1024 };

        amb_fd_limit_raise();
        getrlimit(RLIMIT_NOFILE, &limit);
        daemon->fds_most = (size_t)(limit.rlim_cur > 1u << 20 ? 1u << 20 : limit.rlim_cur) / 10 * 8;
        daemon->lock_fd = daemon->listen_fd = daemon->reserve_fd = -1;
        amb_list_init(&daemon->accounts);
        amb_list_init(&daemon->peers);
        amb_list_init(&daemon->doomed);
        amb_list_init(&daemon->hosts);
        amb_list_init(&daemon->records);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(daemon->connections); i++)
                amb_list_init(&daemon->connections[i]);
}

static int load_named(struct amb_daemon *daemon)
{
        for (size_t i = 0; i < daemon->options.dext_count; i++) {
                AMB_FREE char *path = realpath(daemon->options.dexts[i], NULL), *message = NULL, *id = NULL;
                IOReturn code = amb_bundle_load(daemon, path ? path : daemon->options.dexts[i], &message, &id);

                /* A former daemon had it loaded. */
                if (code == kIOReturnSuccess || code == kIOReturnExclusiveAccess)
                        continue;
                amb_log(AMB_LOG_ERROR, "%s", message ? message : "no memory");
                return -EINVAL;
        }
        return 0;
}

static int start(struct amb_daemon *daemon)
{
        int r;

        r = choose_host_user(daemon);
        if (r >= 0)
                r = set_up_events(daemon);
        if (r >= 0)
                r = amb_listener_open(daemon);
        if (r >= 0)
                r = amb_grants_load(daemon);
        if (r < 0)
                return r;
        daemon->registry = amb_registry_new(first_id(), NULL);
        daemon->bundle_paths = OSArrayCreate();
        if (!daemon->registry || !daemon->bundle_paths)
                return -ENOMEM;
        r = amb_takeover_read(daemon);
        if (r >= 0)
                r = load_named(daemon);
        if (r < 0)
                return r;
        amb_bundle_load_path(daemon);
        r = amb_takeover_begin(daemon);
        if (r >= 0)
                r = amb_listener_start(daemon);
        amb_daemon_settle(daemon);
        return r;
}

static void say_ready(struct amb_daemon *daemon)
{
        static const char ready[] = "READY=1\n";

        amb_log(AMB_LOG_INFO, "serving %s%s", daemon->socket_path, daemon->options.developer ? " in developer mode" : "");
        sd_notify(0, "READY=1");
        if (daemon->options.ready_fd < 0)
                return;
        if (write(daemon->options.ready_fd, ready, strlen(ready)) < 0)
                amb_log(AMB_LOG_WARNING, "cannot write to --ready-fd: %s", strerror(errno));
        daemon->options.ready_fd = amb_fd_close(daemon->options.ready_fd);
}

/*
 * Whatever is there, also after a start that failed half-way. Hosts that are still there do not stay behind, unless a former
 * daemon has left them and this one has never begun to serve: the next one may.
 */
static void clean_up(struct amb_daemon *daemon)
{
        while (!amb_list_empty(&daemon->hosts)) {
                struct amb_process *host = amb_list_first(&daemon->hosts, struct amb_process, link);

                amb_process_kill(host);
                amb_process_free(host);
        }
        while (!amb_list_empty(&daemon->peers))
                amb_peer_drop(amb_list_first(&daemon->peers, struct amb_peer, link), NULL);
        amb_open_free_all(daemon);
        amb_peers_reap(daemon);
        if (daemon->lock_fd >= 0 && (daemon->stopping || amb_list_empty(&daemon->records)))
                amb_takeover_end(daemon);
        amb_takeover_free(daemon);
        amb_listener_close(daemon);
        amb_registry_free(daemon->registry);
        amb_policy_free(daemon->policy);
        amb_accounts_free(daemon);
        sd_event_source_disable_unref(daemon->end_timer);
        sd_event_source_disable_unref(daemon->reaper);
        sd_event_unref(daemon->event);
        free(daemon->directory);
        free(daemon->socket_path);
        free(daemon->lock_path);
        free(daemon->options.dexts);
        free(daemon->options.policies);
}

int main(int count, char **arguments)
{
        static struct amb_daemon daemon = { .options = { .ready_fd = -1, .lifetime_fd = -1 } };
        int r;

        /* What is opened later must not land on the standard streams. */
        do
                r = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (r >= 0 && r <= STDERR_FILENO);
        amb_fd_close(r);
        amb_log_open("ambidextd", AMB_LOG_INFO);
        r = parse(&daemon.options, count, arguments);
        if (r != 0)
                return r < 0 ? 2 : 0;
        init(&daemon);
        r = fill_in(&daemon.options);
        if (r >= 0)
                r = start(&daemon);
        if (r >= 0) {
                say_ready(&daemon);
                r = sd_event_loop(daemon.event);
        }
        clean_up(&daemon);
        return r < 0 ? 1 : daemon.found ? AMB_STATUS_FOUND : 0;
}
