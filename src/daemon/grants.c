/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an app is entitled to: the grants of the policy files for who the kernel says it is; in developer mode also what it says
 * of itself in PROGRAM.entitlements. A file that cannot be trusted or understood grants nothing, and is named in the log.
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include <mach/mach_error.h>

#include "daemon/daemon.h"
#include "object/plist.h"

static void release_cleanup(void *pointer)
{
        OSObject_release(*(void **)pointer);
}
#define RELEASE AMB_CLEANUP(release_cleanup)

static const char *const standard_directories[] = { "/usr/lib/ambidext/entitlements.d", "/etc/ambidext/entitlements.d" };

/* --- policy files --- */

static bool resolve_user(void *context, const char *name, uid_t *ret_uid)
{
        const struct passwd *user = getpwnam(name);

        if (user)
                *ret_uid = user->pw_uid;
        return user != NULL;
}

static bool resolve_group(void *context, const char *name, gid_t *ret_gid)
{
        const struct group *group = getgrnam(name);

        if (group)
                *ret_gid = group->gr_gid;
        return group != NULL;
}

static bool trustworthy(int directory_fd, const char *name, mode_t kind)
{
        struct stat status;

        if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH)) < 0)
                return false;
        if ((status.st_mode & S_IFMT) != kind || (status.st_mode & 022))
                return false;
        return status.st_uid == 0 || status.st_uid == geteuid();
}

static int is_policy(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        return entry->d_name[0] != '.' && length > 6 && strcmp(entry->d_name + length - 6, ".plist") == 0;
}

static void load_file(struct amb_daemon *daemon, int directory_fd, const char *directory, const char *name)
{
        AMB_FREE char *path = amb_format("%s/%s", directory, name), *why = NULL;
        RELEASE OSObject *plist = NULL;
        int r;

        if (!path)
                return;
        if (!trustworthy(directory_fd, name, S_IFREG)) {
                amb_log(AMB_LOG_ERROR, "%s grants nothing: a policy file is a regular file of root's or this user's that only "
                                       "its owner can "
                        "write (no link; chmod go-w)", path);
                return;
        }
        r = amb_plist_read_file(directory_fd, name, &plist, &why);
        if (r == 0)
                r = amb_policy_add(daemon->policy, plist, path, &why);
        if (r != 0)
                amb_log(AMB_LOG_ERROR, "%s grants nothing: %s", path, why ? why : strerror(r < 0 ? -r : EINVAL));
}

/* A file of the same name in a later directory takes the place of an earlier one. */
static bool masked(const char *const *directories, size_t count, size_t index, const char *name)
{
        for (size_t i = index + 1; i < count; i++) {
                AMB_FREE char *path = amb_format("%s/%s", directories[i], name);

                if (path && access(path, F_OK) == 0)
                        return true;
        }
        return false;
}

static int load_directory(struct amb_daemon *daemon, const char *const *directories, size_t count, size_t index, bool required)
{
        const char *directory = directories[index];
        AMB_FD fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent **entries = NULL;
        int found;

        if (fd < 0) {
                if (!required && errno == ENOENT)
                        return 0;
                amb_log(AMB_LOG_ERROR, "cannot read the policy directory %s: %s", directory, strerror(errno));
                return required ? amb_errno() : 0;
        }
        if (!trustworthy(fd, "", S_IFDIR)) {
                amb_log(AMB_LOG_ERROR, "%s grants nothing: a policy directory belongs to root or this user and only its owner "
                                       "can write it",
                        directory);
                return required ? -EPERM : 0;
        }
        found = scandirat(fd, ".", &entries, is_policy, alphasort);
        for (int i = 0; i < found; i++) {
                if (!masked(directories, count, index, entries[i]->d_name))
                        load_file(daemon, fd, directory, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return 0;
}

int amb_grants_load(struct amb_daemon *daemon)
{
        const struct amb_policy_resolver resolver = { resolve_user, resolve_group, NULL };
        size_t standard = daemon->options.developer ? 0 : AMB_ARRAY_LENGTH(standard_directories), count = 0;
        AMB_FREE const char **directories = calloc(standard + daemon->options.policy_count + 1, sizeof(char *));
        int r = 0;

        if (!directories)
                return amb_trace(-ENOMEM);
        for (size_t i = 0; i < standard; i++)
                directories[count++] = standard_directories[i];
        for (size_t i = 0; i < daemon->options.policy_count; i++)
                directories[count++] = daemon->options.policies[i];
        daemon->policy = amb_policy_new(&resolver);
        for (size_t i = 0; i < count && r >= 0; i++)
                r = load_directory(daemon, directories, count, i, i >= standard);
        return r;
}

/* --- one app --- */

/*
 * The program that the app's process runs now. It may exec another one: this only narrows a grant, or is self-asserted.
 * *ret_there: that path leads us to that very file. It does not when the file has been deleted or replaced, or when the process
 * sees other mounts than we do, where anything can be put at any path: then the path is for people alone.
 */
static char *find_executable(const struct amb_peer *peer, bool *ret_there)
{
        struct pollfd alive = { .fd = peer->pidfd, .events = POLLIN };
        struct stat running, named;
        char link[64], path[4096];
        ssize_t length;

        snprintf(link, sizeof(link), "/proc/%d/exe", peer->pid);
        length = readlink(link, path, sizeof(path) - 1);
        if (length <= 0 || (size_t)length >= sizeof(path) - 1)
                return NULL;
        path[length] = '\0';
        *ret_there = stat(link, &running) == 0 && stat(path, &named) == 0 && running.st_dev == named.st_dev &&
                     running.st_ino == named.st_ino;
        /* Still alive: then the number is its own, and so was the link. */
        return poll(&alive, 1, 0) == 0 ? strdup(path) : NULL;
}

/* The last file that was read, as it was then: a program that opens again and again does not have it parsed each time. */
static struct {
        char *path;
        struct stat status;
        OSDictionary *says;
} last;

static bool unchanged(const char *path, const struct stat *status)
{
        const struct stat *then = &last.status;

        return last.path && strcmp(last.path, path) == 0 && status->st_dev == then->st_dev && status->st_ino == then->st_ino &&
               status->st_size == then->st_size && memcmp(&status->st_mtim, &then->st_mtim, sizeof(status->st_mtim)) == 0 &&
               memcmp(&status->st_ctim, &then->st_ctim, sizeof(status->st_ctim)) == 0;
}

/* One reference to what the file says, or NULL. */
static OSDictionary *read_declared(const char *path)
{
        AMB_FREE char *why = NULL;
        RELEASE OSObject *plist = NULL;
        int r = amb_plist_read_file(AT_FDCWD, path, &plist, &why);

        if (r == 0 && OSDynamicCast(OSDictionary, plist))
                return (OSDictionary *)amb_steal(plist);
        if (r == 0)
                amb_log(AMB_LOG_WARNING, "%s grants nothing: its outermost value must be a dictionary", path);
        else if (r != -ENOENT)
                amb_log(AMB_LOG_WARNING, "%s grants nothing: %s", path, why ? why : strerror(r < 0 ? -r : EINVAL));
        return NULL;
}

/* A dictionary of the caller's own. */
static OSDictionary *declared(const char *executable)
{
        AMB_FREE char *path = amb_format("%s.entitlements", executable);
        struct stat status;

        if (!path)
                return NULL;
        if (stat(path, &status) < 0)
                return errno == ENOENT ? NULL : read_declared(path);    /* says what is wrong */
        if (!unchanged(path, &status)) {
                free(last.path);
                OSObject_release(last.says);
                /* The status from before the reading: what is written meanwhile has another one. */
                last.status = status;
                last.says = read_declared(path);
                last.path = last.says ? amb_steal(path) : NULL;
        }
        return last.says ? OSDictionary_withDictionary(last.says, 0) : NULL;
}

OSDictionary *amb_grants_of(struct amb_peer *peer, char **ret_executable)
{
        bool there = false;
        AMB_FREE char *executable = find_executable(peer, &there);
        RELEASE OSDictionary *granted = NULL, *own = NULL;
        const struct amb_principal principal = {
                .uid = peer->uid,
                .gid = peer->gid,
                .groups = peer->groups,
                .group_count = peer->group_count,
                .label = peer->label,
                .executable = there ? executable : NULL,
        };

        granted = amb_policy_entitlements(peer->daemon->policy, &principal);
        if (peer->daemon->options.developer && executable && there)
                own = declared(executable);
        if (own && !OSDictionaryMerge(own, granted))
                return NULL;
        *ret_executable = amb_steal(executable);
        return own ? amb_steal(own) : amb_steal(granted);
}

static char *remedy(const struct amb_peer *peer, const char *executable, const char *bundle_id)
{
        const struct passwd *user;
        bool there = false;
        AMB_FREE char *now = find_executable(peer, &there);

        if (now && !there)
                return amb_format("; its program is no longer the file at that path: start it again");
        if (peer->daemon->options.developer)
                return amb_format("; to allow it, put "
                                  "<dict><key>" AMB_ENTITLEMENT_USERCLIENT_ACCESS "</key><array><string>%s</string>"
                                  "</array></dict> into %s.entitlements", bundle_id, executable ? executable : "PROGRAM");
        user = getpwuid(peer->uid);
        if (user)
                return amb_format("; to allow it, put a grant into /etc/ambidext/entitlements.d/NAME.plist: Subject = { User "
                                  "= %s }, "
                                  "Entitlements = { " AMB_ENTITLEMENT_USERCLIENT_ACCESS " = ( %s ) }", user->pw_name,
                                          bundle_id);
        return amb_format("; to allow it, put a grant into /etc/ambidext/entitlements.d/NAME.plist: Subject = { User = %u }, "
                          "Entitlements = { " AMB_ENTITLEMENT_USERCLIENT_ACCESS " = ( %s ) }", peer->uid, bundle_id);
}

void amb_grants_log_refusal(struct amb_peer *peer, uint64_t entry, const char *executable)
{
        struct amb_entry_view view = { .bundle_id = NULL };
        AMB_FREE char *grant = NULL;
        char name[AMB_ENTRY_NAME];
        const char *bundle_id;

        if (peer->account && !amb_account_may_log(peer->account))
                return;
        amb_registry_view(peer->daemon->registry, entry, &view);
        bundle_id = view.bundle_id ? view.bundle_id : "unknown bundle";
        amb_daemon_entry_name(peer->daemon, entry, name);
        grant = remedy(peer, executable, bundle_id);
        amb_log(AMB_LOG_WARNING, "DK: refused: process %d (%s) of user %u may not open %s of %s: it is not granted "
                                 AMB_ENTITLEMENT_USERCLIENT_ACCESS " for this driver%s",
                peer->pid, executable ? executable : "executable unknown", peer->uid, name, bundle_id, grant ? grant : "");
}

void amb_grants_log_failure(struct amb_peer *peer, uint64_t entry, IOReturn code, const char *why)
{
        bool there = false;
        AMB_FREE char *executable = find_executable(peer, &there);
        bool refused = why && (code == kIOReturnNotPermitted || code == kIOReturnNotPrivileged);
        char name[AMB_ENTRY_NAME];

        if (peer->account && !amb_account_may_log(peer->account))
                return;
        amb_daemon_entry_name(peer->daemon, entry, name);
        amb_log(refused ? AMB_LOG_WARNING : AMB_LOG_NOTICE, "DK: %s: process %d (%s) of user %u %s %s: %s (0x%08x)%s%s",
                refused ? "refused" : "open failed", peer->pid, executable ? executable : "executable unknown", peer->uid,
                refused ? "may not open" : "has not opened", name, mach_error_string(code), (unsigned)code, why ? ": " : "",
                why ? why : ", which the driver's NewUserClient or its user client's Start returned");
}
