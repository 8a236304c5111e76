/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver bundles on disk: NAME.dext/{Info.plist, NAME, NAME.entitlements}; another name for the executable may stand in
 * Info.plist as CFBundleExecutable. Outside of developer mode a bundle's ownership
 * plays the part of its signature: everything from / down must be root's and writable by root alone, so only root decides what
 * runs and what it may. Every refusal is a sentence with the path and what to do.
 */
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/daemon.h"
#include "object/plist.h"

#define SUFFIX ".dext"

/* A bundle while it is looked at. */
struct bundle {
        char *path;                             /* real and absolute */
        char *name;                             /* without .dext */
        int directory_fd;
        OSObject *info, *entitlements;
};

static void bundle_cleanup(struct bundle *bundle)
{
        free(bundle->path);
        free(bundle->name);
        amb_fd_close(bundle->directory_fd);
        OSObject_release(bundle->info);
        OSObject_release(bundle->entitlements);
}

static IOReturn refuse(char **ret_message, IOReturn code, const char *format, ...) AMB_PRINTF(3, 4);
static IOReturn refuse(char **ret_message, IOReturn code, const char *format, ...)
{
        char *message = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&message, format, arguments) < 0)
                message = NULL;
        va_end(arguments);
        *ret_message = message;
        return code;
}

static IOReturn bundle_locate(struct bundle *bundle, const char *path, char **ret_message)
{
        const char *base;
        size_t length;

        if (path[0] != '/')
                return refuse(ret_message, kIOReturnBadArgument, "%s: a bundle is named by its absolute path", path);
        if (strchr(path, '\n') || strlen(path) >= 4096)
                return refuse(ret_message, kIOReturnBadArgument, "a bundle's path has less than 4096 bytes and no line break");
        bundle->path = realpath(path, NULL);
        if (!bundle->path)
                return refuse(ret_message, errno == ENOENT ? kIOReturnNotFound : kIOReturnBadArgument,
                              "%s: %s; a driver bundle is a "
                              "directory NAME" SUFFIX " with Info.plist and NAME in it", path, strerror(errno));
        base = strrchr(bundle->path, '/') + 1;
        length = strlen(base);
        if (length <= strlen(SUFFIX) || strcmp(base + length - strlen(SUFFIX), SUFFIX) != 0)
                return refuse(ret_message, kIOReturnBadArgument, "%s: a bundle's name ends in " SUFFIX, bundle->path);
        bundle->name = strndup(base, length - strlen(SUFFIX));
        bundle->directory_fd = open(bundle->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (bundle->directory_fd < 0)
                return refuse(ret_message, kIOReturnBadArgument, "%s: %s; a bundle is a directory", bundle->path,
                              strerror(errno));
        return bundle->name ? kIOReturnSuccess : kIOReturnNoMemory;
}

static IOReturn check_owner(const char *path, char **ret_message)
{
        struct stat status;

        if (lstat(path, &status) < 0)
                return refuse(ret_message, kIOReturnBadArgument, "%s: %s", path, strerror(errno));
        if (status.st_uid == 0 && !(status.st_mode & 022))
                return kIOReturnSuccess;
        return refuse(ret_message, kIOReturnNotPermitted, "%s must belong to root and be writable by root alone, because a "
                                                          "driver in it "
                      "would run for everybody: chown root, chmod go-w; or use developer mode", path);
}

/* From / to the bundle; the path is real, so no component is a link. */
static IOReturn check_chain(const struct bundle *bundle, char **ret_message)
{
        AMB_FREE char *path = strdup(bundle->path);
        IOReturn code;

        if (!path)
                return kIOReturnNoMemory;
        code = check_owner("/", ret_message);
        for (char *slash = strchr(path + 1, '/'); code == kIOReturnSuccess; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = '\0';
                code = check_owner(path, ret_message);
                if (!slash)
                        break;
                *slash = '/';
        }
        return code;
}

/* One file of the bundle. Optional ones may be absent: *ret_there says. */
static IOReturn check_file(const struct amb_daemon *daemon, const struct bundle *bundle, const char *file, const char *what,
                           bool *ret_there, char **ret_message)
{
        AMB_FREE char *path = amb_format("%s/%s", bundle->path, file);
        struct stat status;

        if (!path)
                return kIOReturnNoMemory;
        if (fstatat(bundle->directory_fd, file, &status, daemon->options.developer ? 0 : AT_SYMLINK_NOFOLLOW) < 0) {
                if (ret_there && errno == ENOENT) {
                        *ret_there = false;
                        return kIOReturnSuccess;
                }
                return refuse(ret_message, errno == ENOENT ? kIOReturnNotFound : kIOReturnBadArgument,
                              "%s: %s; it is the bundle's %s", path,
                              strerror(errno), what);
        }
        if (ret_there)
                *ret_there = true;
        if (!S_ISREG(status.st_mode))
                return refuse(ret_message, kIOReturnBadArgument, "%s: the bundle's %s is a regular file", path, what);
        return daemon->options.developer ? kIOReturnSuccess : check_owner(path, ret_message);
}

static IOReturn read_plist(const struct bundle *bundle, const char *file, OSObject **ret, char **ret_message)
{
        AMB_FREE char *why = NULL;
        int r;

        r = amb_plist_read_file(bundle->directory_fd, file, ret, &why);
        if (r < 0)
                return refuse(ret_message, kIOReturnBadArgument, "%s/%s: %s", bundle->path, file, strerror(-r));
        if (r > 0)
                return refuse(ret_message, kIOReturnBadArgument, "%s/%s: %s; it must be an XML or binary property list",
                              bundle->path, file,
                              why ? why : "malformed");
        if (!OSDynamicCast(OSDictionary, *ret))
                return refuse(ret_message, kIOReturnBadArgument, "%s/%s: its outermost value must be a dictionary",
                              bundle->path, file);
        return kIOReturnSuccess;
}

static IOReturn read_entitlements(const struct amb_daemon *daemon, struct bundle *bundle, char **ret_message)
{
        AMB_FREE char *file = amb_format("%s.entitlements", bundle->name);
        OSDictionary *standard;
        bool there = false;
        IOReturn code;

        if (!file)
                return kIOReturnNoMemory;
        code = check_file(daemon, bundle, file, "entitlements", &there, ret_message);
        if (code != kIOReturnSuccess)
                return code;
        if (there)
                return read_plist(bundle, file, &bundle->entitlements, ret_message);
        if (!daemon->options.developer)
                return refuse(ret_message, kIOReturnNotPermitted, "%s/%s is missing: a driver needs at least "
                              AMB_ENTITLEMENT_DRIVERKIT " = true in it", bundle->path, file);
        standard = OSDictionaryCreate();
        if (!standard || !OSDictionarySetBooleanValue(standard, AMB_ENTITLEMENT_DRIVERKIT, true)) {
                OSObject_release(standard);
                return kIOReturnNoMemory;
        }
        bundle->entitlements = (OSObject *)standard;
        return kIOReturnSuccess;
}

/* This program's own ELF header, from the linker: what it says of class, byte order and machine holds for drivers too. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* The loader says "no such file" of an object for another machine: here is the place for a better answer. */
static IOReturn check_object(const struct bundle *bundle, const char *file, char **ret_message)
{
        AMB_FD fd = openat(bundle->directory_fd, file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        const ElfW(Ehdr) *own = &__ehdr_start;
        ElfW(Ehdr) header;
        ssize_t size = fd < 0 ? -1 : pread(fd, &header, sizeof(header), 0);

        if (size < 0)
                return refuse(ret_message, kIOReturnBadArgument, "%s/%s: %s", bundle->path, file, strerror(errno));
        if (size < (ssize_t)sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
                return refuse(ret_message, kIOReturnUnsupported,
                              "%s/%s is no ELF shared object: build the driver with -shared -fPIC", bundle->path, file);
        if (header.e_ident[EI_CLASS] != own->e_ident[EI_CLASS] || header.e_ident[EI_DATA] != own->e_ident[EI_DATA] ||
            header.e_machine != own->e_machine)
                return refuse(ret_message, kIOReturnUnsupported,
                              "%s/%s is for another machine (ELF machine %u, %s-bit; this one is %u, "
                              "%s-bit): build the driver for this one",
                              bundle->path, file, header.e_machine, header.e_ident[EI_CLASS] == ELFCLASS32 ? "32" : "64",
                              own->e_machine, own->e_ident[EI_CLASS] == ELFCLASS32 ? "32" : "64");
        if (header.e_type != ET_DYN)
                return refuse(ret_message, kIOReturnUnsupported,
                              "%s/%s is an ELF file, but no shared object: link the driver with -shared", bundle->path, file);
        return kIOReturnSuccess;
}

/* What the host will load: CFBundleExecutable, and NAME without one. */
static IOReturn check_executable(const struct amb_daemon *daemon, const struct bundle *bundle, char **ret_message)
{
        OSObject *named = OSDictionaryGetValue((OSDictionary *)bundle->info, "CFBundleExecutable");
        const char *file = named ? OSDictionaryGetStringValue((OSDictionary *)bundle->info, "CFBundleExecutable") : bundle->name;
        IOReturn code;

        if (!file || !*file || strchr(file, '/') || file[0] == '.')
                return refuse(ret_message, kIOReturnBadArgument,
                              "%s/Info.plist: CFBundleExecutable must be the name of a file in the "
                              "bundle",
                              bundle->path);
        code = check_file(daemon, bundle, file,
                          "executable (an ELF shared object, named by CFBundleExecutable in Info.plist or like the "
                          "bundle)",
                          NULL, ret_message);
        return code == kIOReturnSuccess ? check_object(bundle, file, ret_message) : code;
}

static IOReturn bundle_read(const struct amb_daemon *daemon, struct bundle *bundle, const char *path, char **ret_message)
{
        const char *runtime;
        IOReturn code;

        code = bundle_locate(bundle, path, ret_message);
        if (code == kIOReturnSuccess && !daemon->options.developer)
                code = check_chain(bundle, ret_message);
        if (code == kIOReturnSuccess)
                code = check_file(daemon, bundle, "Info.plist", "description", NULL, ret_message);
        if (code == kIOReturnSuccess)
                code = read_plist(bundle, "Info.plist", &bundle->info, ret_message);
        if (code == kIOReturnSuccess)
                code = check_executable(daemon, bundle, ret_message);
        if (code == kIOReturnSuccess)
                code = amb_sanitizer_check(daemon, bundle->path, bundle->info, &runtime, ret_message);
        if (code == kIOReturnSuccess)
                code = read_entitlements(daemon, bundle, ret_message);
        return code;
}

IOReturn amb_bundle_load(struct amb_daemon *daemon, const char *path, char **ret_message, char **ret_bundle_id)
{
        AMB_CLEANUP(bundle_cleanup) struct bundle bundle = { .directory_fd = -1 };
        AMB_FREE char *why = NULL;
        const char *id;
        IOReturn code;

        *ret_message = NULL;
        *ret_bundle_id = NULL;
        code = bundle_read(daemon, &bundle, path, ret_message);
        if (code != kIOReturnSuccess)
                return code;
        code = amb_registry_add_bundle(daemon->registry, bundle.path, bundle.info, bundle.entitlements, amb_time_now(), &why);
        if (why)
                *ret_message = amb_format("%s: %s", bundle.path, why);
        if (code != kIOReturnSuccess)
                return code;
        id = OSDictionaryGetStringValue((OSDictionary *)bundle.info, "CFBundleIdentifier");
        *ret_bundle_id = strdup(id ? id : "");
        amb_takeover_note_bundle(daemon, bundle.path, true);
        amb_log(AMB_LOG_INFO, "DK: loaded %s from %s%s%s", *ret_bundle_id ? *ret_bundle_id : "", bundle.path, why ? "; " : "",
                why ? why : "");
        return kIOReturnSuccess;
}

IOReturn amb_bundle_unload(struct amb_daemon *daemon, const char *bundle_id, char **ret_message)
{
        const char *path = amb_registry_bundle_path(daemon->registry, bundle_id);
        AMB_FREE char *copy = path ? strdup(path) : NULL;
        IOReturn code;

        *ret_message = NULL;
        code = amb_registry_remove_bundle(daemon->registry, bundle_id, amb_time_now());
        if (code != kIOReturnSuccess)
                return refuse(ret_message, code, "no bundle %s is loaded", bundle_id);
        if (copy)
                amb_takeover_note_bundle(daemon, copy, false);
        amb_log(AMB_LOG_INFO, "DK: unloaded %s", bundle_id);
        return kIOReturnSuccess;
}

static int is_bundle(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        if (entry->d_name[0] == '.' || length <= strlen(SUFFIX))
                return 0;
        return strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static void load_directory(struct amb_daemon *daemon, const char *directory)
{
        struct dirent **entries = NULL;
        int count = scandir(directory, &entries, is_bundle, alphasort);

        if (count < 0 && errno != ENOENT)
                amb_log(AMB_LOG_WARNING, "cannot look for drivers in %s: %s", directory, strerror(errno));
        for (int i = 0; i < count; i++) {
                AMB_FREE char *path = amb_format("%s/%s", directory, entries[i]->d_name), *message = NULL, *id = NULL;
                IOReturn code = path ? amb_bundle_load(daemon, path, &message, &id) : kIOReturnNoMemory;

                /* Loaded already: the former daemon's list, or a directory before this one, which counts. */
                if (code != kIOReturnSuccess && code != kIOReturnExclusiveAccess)
                        amb_log(AMB_LOG_ERROR, "%s", message ? message : "no memory");
                free(entries[i]);
        }
        free(entries);
}

void amb_bundle_load_path(struct amb_daemon *daemon)
{
        AMB_FREE char *copy = daemon->options.dext_path ? strdup(daemon->options.dext_path) : NULL;
        char *rest = copy, *directory;

        while ((directory = strsep(&rest, ":")))
                if (*directory)
                        load_directory(daemon, directory);
}
