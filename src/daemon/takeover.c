/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must outlive the daemon, in SOCKET.state (0700): `bundles`, an array of paths, and hosts/TAG for every launched host:
 * its token, process and bundle. A daemon that ends in order removes all of it. One that finds it follows one that did not: it
 * loads the same bundles, holds matching back until every recorded host has reported (Adopt, with the token of its launch) or
 * is dead, ends those that have not within 5 s, and only then lets new hosts be launched: no driver runs twice.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemon/daemon.h"
#include "object/plist.h"

static void release_cleanup(void *pointer)
{
        OSObject_release(*(void **)pointer);
}
#define RELEASE AMB_CLEANUP(release_cleanup)

struct record {
        struct amb_link link;
        struct amb_daemon *daemon;
        OSDictionary *facts;
        uint64_t tag;
        pid_t pid;
        int pidfd;
        sd_event_source *source;
};

/* --- files --- */

static char *state_path(const struct amb_daemon *daemon, const char *file)
{
        return amb_format("%s.state%s%s", daemon->socket_path, *file ? "/" : "", file);
}

static char *host_path(const struct amb_daemon *daemon, uint64_t tag)
{
        return amb_format("%s.state/hosts/%llu", daemon->socket_path, (unsigned long long)tag);
}

static int make_directories(const struct amb_daemon *daemon)
{
        AMB_FREE char *state = state_path(daemon, ""), *hosts = state_path(daemon, "hosts");

        if (!state || !hosts)
                return -ENOMEM;
        if ((mkdir(state, 0700) < 0 && errno != EEXIST) || (mkdir(hosts, 0700) < 0 && errno != EEXIST))
                return amb_errno();
        return 0;
}

static int write_all(const char *path, const char *bytes, size_t length)
{
        AMB_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
                return amb_errno();
        while (length > 0) {
                ssize_t written = write(fd, bytes, length);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written <= 0)
                        return amb_errno();
                bytes += written;
                length -= (size_t)written;
        }
        return 0;
}

/* Whole or not at all: a reader after a crash sees the old file or the new one. */
static void write_value(const struct amb_daemon *daemon, const char *path, const void *value)
{
        AMB_FREE char *draft = path ? amb_format("%s.new", path) : NULL, *bytes = NULL;
        size_t length;
        int r;

        r = draft ? make_directories(daemon) : -ENOMEM;
        if (r >= 0)
                r = amb_plist_write(value, false, &bytes, &length);
        if (r == 0)
                r = write_all(draft, bytes, length);
        if (r == 0 && rename(draft, path) < 0)
                r = amb_errno();
        if (r != 0)
                amb_log(AMB_LOG_ERROR, "cannot write %s, a later ambidextd will not know of it: %s", path ? path : "the state",
                        strerror(r < 0 ? -r : EINVAL));
}

/* Field 22 of /proc/PID/stat: with the pid it names a process for as long as the machine runs. 0: there is none. */
static uint64_t process_start(pid_t pid)
{
        AMB_FREE char *bytes = NULL, *path = amb_format("/proc/%d/stat", pid);
        size_t length;
        char *field;

        if (!path || amb_file_read(AT_FDCWD, path, 4096, &bytes, &length) < 0)
                return 0;
        /* The name may hold anything, also brackets: fields are counted from behind the last one. */
        field = strrchr(bytes, ')');
        for (int i = 2; field && i < 22; i++)
                field = strchr(field + 1, ' ');
        return field ? strtoull(field, NULL, 10) : 0;
}

void amb_takeover_note_host(const struct amb_process *host)
{
        AMB_FREE char *path = host_path(host->daemon, host->tag);
        const struct amb_daemon *daemon = host->daemon;
        RELEASE OSDictionary *facts = OSDictionaryCreate();

        if (!facts || !OSDictionarySetStringValue(facts, "token", host->token) ||
            !OSDictionarySetStringValue(facts, "bundle", host->path) ||
            !OSDictionarySetStringValue(facts, "identifier", host->bundle_id) ||
            !OSDictionarySetStringValue(facts, "server", host->server_name) ||
            !OSDictionarySetUInt64Value(facts, "pid", (uint64_t)host->pid) ||
            !OSDictionarySetUInt64Value(facts, "start", process_start(host->pid)) ||
            !OSDictionarySetUInt64Value(facts, "user", daemon->drop_privileges ? daemon->host_uid : geteuid()))
                return;
        write_value(daemon, path, facts);
}

void amb_takeover_forget_host(struct amb_daemon *daemon, uint64_t tag)
{
        AMB_FREE char *path = host_path(daemon, tag);

        if (path)
                unlink(path);
}

void amb_takeover_note_bundle(struct amb_daemon *daemon, const char *path, bool loaded)
{
        AMB_FREE char *file = state_path(daemon, "bundles");
        OSArray *paths = daemon->bundle_paths;

        for (size_t i = OSArrayGetCount(paths); i-- > 0;)
                if (strcmp(OSArrayGetStringValue(paths, i), path) == 0)
                        OSArrayRemoveValue(paths, i);
        if (loaded)
                OSArrayAppendStringValue(paths, path);
        write_value(daemon, file, paths);
}

/* --- hosts of a former daemon --- */

static void record_free(struct record *record)
{
        amb_link_remove(&record->link);
        sd_event_source_disable_unref(record->source);
        amb_fd_close(record->pidfd);
        OSObject_release(record->facts);
        free(record);
}

static void start_matching(struct amb_daemon *daemon)
{
        daemon->takeover_timer = sd_event_source_disable_unref(daemon->takeover_timer);
        amb_registry_set_matching(daemon->registry, true, amb_time_now());
        amb_daemon_settle(daemon);
}

static void record_done(struct record *record)
{
        struct amb_daemon *daemon = record->daemon;

        record_free(record);
        if (amb_list_empty(&daemon->records) && !daemon->stopping)
                start_matching(daemon);
}

static int on_record_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct record *record = userdata;

        amb_log(AMB_LOG_INFO, "DK: %s: host %d ended before it reported",
                OSDictionaryGetStringValue(record->facts, "identifier"), record->pid);
        amb_takeover_forget_host(record->daemon, record->tag);
        record_done(record);
        return 0;
}

static bool facts_complete(const OSDictionary *facts)
{
        return OSDictionaryGetStringValue(facts, "token") && OSDictionaryGetStringValue(facts, "bundle") &&
               OSDictionaryGetStringValue(facts, "identifier") && OSDictionaryGetStringValue(facts, "server") &&
               OSDictionaryGetUInt64Value(facts, "pid") > 1 && OSDictionaryGetUInt64Value(facts, "pid") <= INT32_MAX;
}

/* 0: a host that lives; 1: the file tells of none. */
static int record_open(struct record *record, const char *path)
{
        RELEASE OSObject *value = NULL;
        int r;

        r = amb_plist_read_file(AT_FDCWD, path, &value, NULL);
        if (r != 0 || !OSDynamicCast(OSDictionary, value) || !facts_complete((OSDictionary *)value))
                return 1;
        record->facts = (OSDictionary *)amb_steal(value);
        record->pid = (pid_t)OSDictionaryGetUInt64Value(record->facts, "pid");
        record->pidfd = (int)syscall(SYS_pidfd_open, record->pid, 0);
        if (record->pidfd < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? amb_errno() : 1;
        /* Opened first, looked at then: if it is the same process now, the descriptor is of the same one. */
        if (process_start(record->pid) != OSDictionaryGetUInt64Value(record->facts, "start"))
                return 1;
        r = sd_event_add_io(record->daemon->event, &record->source, record->pidfd, EPOLLIN, on_record_end, record);
        return r < 0 ? r : 0;
}

static int read_record(struct amb_daemon *daemon, const char *name)
{
        struct record *record;
        char *end;
        int r;

        record = calloc(1, sizeof(*record));
        if (!record)
                return -ENOMEM;
        AMB_FREE char *path = amb_format("%s.state/hosts/%s", daemon->socket_path, name);
        record->daemon = daemon;
        record->pidfd = -1;
        record->tag = strtoull(name, &end, 10);
        r = !path ? -ENOMEM : *end || record->tag == 0 ? 1 : record_open(record, path);
        if (r == 0) {
                amb_list_append(&daemon->records, &record->link);
                return 0;
        }
        if (r == 1)
                unlink(path);
        record_free(record);
        return r < 0 ? r : 0;
}

static int on_takeover_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct amb_daemon *daemon = userdata;
        struct record *record;

        amb_list_for(record, &daemon->records, link) {
                amb_log(AMB_LOG_WARNING, "DK: %s: host %d has not reported for %d s, killing it",
                        OSDictionaryGetStringValue(record->facts, "identifier"), record->pid, AMB_GRACE_SECONDS);
                syscall(SYS_pidfd_send_signal, record->pidfd, SIGKILL, NULL, 0);
        }
        return 0;
}

static int is_record(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

static void load_bundles(struct amb_daemon *daemon)
{
        AMB_FREE char *file = state_path(daemon, "bundles"), *why = NULL;
        RELEASE OSObject *value = NULL;
        OSArray *paths;
        int r;

        r = file ? amb_plist_read_file(AT_FDCWD, file, &value, &why) : -ENOMEM;
        paths = r == 0 ? OSDynamicCast(OSArray, value) : NULL;
        if (!paths && r != -ENOENT)
                amb_log(AMB_LOG_ERROR, "%s: %s; its bundles are not loaded again", file ? file : "state",
                        why ? why : r < 0 ? strerror(-r) : "not an array");
        for (size_t i = 0; paths && i < OSArrayGetCount(paths); i++) {
                AMB_FREE char *message = NULL, *id = NULL;
                const char *path = OSArrayGetStringValue(paths, i);

                if (path && amb_bundle_load(daemon, path, &message, &id) != kIOReturnSuccess)
                        amb_log(AMB_LOG_ERROR, "was loaded before: %s", message ? message : path);
        }
}

int amb_takeover_read(struct amb_daemon *daemon)
{
        AMB_FREE char *hosts = state_path(daemon, "hosts");
        struct dirent **entries = NULL;
        int count, r = 0;

        if (!hosts)
                return amb_trace(-ENOMEM);
        count = scandir(hosts, &entries, is_record, NULL);
        for (int i = 0; i < count; i++) {
                if (r >= 0)
                        r = read_record(daemon, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        if (r < 0)
                return amb_trace(r);
        load_bundles(daemon);
        return 0;
}

int amb_takeover_begin(struct amb_daemon *daemon)
{
        int r;

        if (amb_list_empty(&daemon->records)) {
                start_matching(daemon);
                return 0;
        }
        amb_registry_set_matching(daemon->registry, false, amb_time_now());
        amb_log(AMB_LOG_NOTICE, "a former ambidextd has left hosts: waiting for them to report before drivers are matched");
        r = sd_event_add_time_relative(daemon->event, &daemon->takeover_timer, CLOCK_MONOTONIC, AMB_GRACE_SECONDS * 1000000ull,
                                       0,
                                       on_takeover_timeout, daemon);
        return r < 0 ? amb_trace(r) : 0;
}

static struct record *record_find(const struct amb_peer *peer, uint64_t tag, const char *token)
{
        struct record *record;

        amb_list_for(record, &peer->daemon->records, link)
                if (record->tag == tag && record->pid == peer->pid &&
                    OSDictionaryGetUInt64Value(record->facts, "user") == peer->uid &&
                    amb_token_equal(token, OSDictionaryGetStringValue(record->facts, "token")))
                        return record;
        return NULL;
}

/* A launch's tag is the entry that it was for: no other host can have it. */
static bool claims_another(const struct record *own, const OSArray *rows)
{
        const struct record *record;

        for (size_t i = 0; i < OSArrayGetCount(rows); i++) {
                uint64_t id = OSDictionaryGetUInt64Value(OSDynamicCast(OSDictionary, OSArrayGetValue(rows, i)), "id");

                amb_list_for(record, &own->daemon->records, link)
                        if (record != own && record->tag == id)
                                return true;
        }
        return false;
}

IOReturn amb_takeover_adopt(struct amb_peer *peer, const char *server_name, uint64_t tag, const char *token,
                            const char *bundle_id,
                            const OSArray *rows)
{
        struct amb_daemon *daemon = peer->daemon;
        struct record *record = peer->host ? NULL : record_find(peer, tag, token);
        AMB_FREE char *why = NULL;
        uint64_t number;
        IOReturn code;
        int r;

        if (!record || strcmp(bundle_id, OSDictionaryGetStringValue(record->facts, "identifier")) != 0 ||
            strcmp(server_name, OSDictionaryGetStringValue(record->facts, "server")) != 0) {
                if (!peer->account || amb_account_may_log(peer->account))
                        amb_log(AMB_LOG_WARNING, "process %d of user %u reported as host of %s, with no launch that this "
                                                 "ambidextd knows of: refused", peer->pid, peer->uid, bundle_id);
                return kIOReturnNotPermitted;
        }
        if (claims_another(record, rows)) {
                amb_log(AMB_LOG_ERROR, "DK: %s: host %d cannot be taken over: it reports what another host was launched for",
                        bundle_id, peer->pid);
                return kIOReturnNotPermitted;
        }
        number = ++daemon->numbers;
        code = amb_registry_adopt(daemon->registry, number, server_name, tag, bundle_id, rows, amb_time_now(), &why);
        if (code != kIOReturnSuccess) {
                amb_log(AMB_LOG_ERROR, "DK: %s: host %d cannot be taken over: %s", bundle_id, peer->pid, why ? why : "refused");
                return code;
        }
        record->source = sd_event_source_disable_unref(record->source);
        r = amb_process_adopt(peer, number, tag, token, OSDictionaryGetStringValue(record->facts, "bundle"), bundle_id,
                              server_name,
                           amb_fd_steal(&record->pidfd));
        if (r < 0) {
                amb_log(AMB_LOG_ERROR, "DK: %s: host %d cannot be taken over: %s", bundle_id, peer->pid, strerror(-r));
                amb_registry_host_lost(daemon->registry, number, false, amb_time_now());
                code = kIOReturnNoResources;
        } else {
                amb_log(AMB_LOG_INFO, "DK: %s: took over host %d with %zu entries", bundle_id, peer->pid,
                        OSArrayGetCount(rows));
        }
        record_done(record);
        return code;
}

/* --- the orderly end --- */

void amb_takeover_end(struct amb_daemon *daemon)
{
        AMB_FREE char *hosts = state_path(daemon, "hosts"), *bundles = state_path(daemon, "bundles"),
                *state = state_path(daemon, "");
        struct dirent **entries = NULL;
        struct record *record;
        int count;

        if (!hosts || !bundles || !state)
                return;
        amb_list_for(record, &daemon->records, link)
                syscall(SYS_pidfd_send_signal, record->pidfd, SIGKILL, NULL, 0);
        count = scandir(hosts, &entries, is_record, NULL);
        for (int i = 0; i < count; i++) {
                AMB_FREE char *path = amb_format("%s/%s", hosts, entries[i]->d_name);

                if (path)
                        unlink(path);
                free(entries[i]);
        }
        free(entries);
        unlink(bundles);
        rmdir(hosts);
        rmdir(state);
}

void amb_takeover_free(struct amb_daemon *daemon)
{
        while (!amb_list_empty(&daemon->records))
                record_free(amb_list_first(&daemon->records, struct record, link));
        daemon->takeover_timer = sd_event_source_disable_unref(daemon->takeover_timer);
        OSObject_release(daemon->bundle_paths);
        daemon->bundle_paths = NULL;
}
