/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers that were compiled with a sanitizer (`ambidext build --sanitize`). Their Info.plist names the sanitizer's run-time
 * library (AmbidextSanitizerRuntime), which must be in the process before everything else: it is preloaded into their host, which
 * then runs without a sandbox and without limits. So this is for developer mode alone. A daemon that is itself built with a
 * sanitizer preloads nothing: its hosts have the library already.
 *
 * The last line of a sanitizer's report comes back through a file in memory, one for each such host, which is read when it has
 * ended.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/sanitizer.h"
#include "daemon/daemon.h"
#include "object/plist.h"

#define KEY "AmbidextSanitizerRuntime"
#define WORDS_MOST 1024

/* Whether others than root and we could put another file there, or another folder above it. (Sticky ones let nobody touch ours.) */
static bool others_may_replace(const char *path)
{
        AMB_FREE char *folder = strdup(path);
        struct stat status;

        for (char *slash; folder && (slash = strrchr(folder, '/'));) {
                slash[slash == folder] = '\0';          /* "/" itself comes last */
                if (stat(folder, &status) < 0 || (status.st_uid != 0 && status.st_uid != geteuid()) ||
                    (status.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
                        return true;
                if (slash == folder)
                        return false;
        }
        return true;
}

/* NULL: it may be preloaded; otherwise why not. */
static const char *find_fault(const char *path)
{
        struct stat status;

        if (path[0] != '/')
                return "is no absolute path";
        if (strpbrk(path, " :\n"))
                return "has a blank, a colon or a line break in its path, which the loader cannot take; install it elsewhere";
        if (stat(path, &status) < 0)
                return errno != ENOENT ? strerror(errno) :
                       "is not there; is the package with the compiler's run-time libraries installed (libclang-rt-14-dev)?";
        if (!S_ISREG(status.st_mode))
                return "is no regular file";
        if (status.st_uid != 0 && status.st_uid != geteuid())
                return "belongs neither to root nor to you, so it is not loaded into a process of yours";
        AMB_FREE char *real = realpath(path, NULL);
        if (status.st_mode & S_IWOTH || others_may_replace(path) || !real || others_may_replace(real))
                return "can be replaced by others (it, or a folder above it, belongs to others or is writable for all), so it is "
                       "not loaded into a process of yours";
        return NULL;
}

IOReturn amb_sanitizer_check(const struct amb_daemon *daemon, const char *bundle, const OSObject *info, const char **ret_runtime,
                             char **ret_message)
{
        const OSDictionary *dictionary = OSDynamicCast(OSDictionary, (OSObject *)info);
        const char *runtime, *fault;

        *ret_runtime = NULL;
        if (!dictionary || !OSDictionaryGetValue(dictionary, KEY))
                return kIOReturnSuccess;
        runtime = OSDictionaryGetStringValue(dictionary, KEY);
        if (!daemon->options.developer) {
                *ret_message = amb_format("%s/Info.plist: " KEY ": this driver was built with a sanitizer, which runs only in "
                                          "developer mode (ambidext run, ambidextd --developer): such a process has no sandbox. "
                                          "Build it without --sanitize", bundle);
                return kIOReturnNotPermitted;
        }
        fault = !runtime ? "is no string" : find_fault(runtime);
        if (fault) {
                *ret_message = amb_format("%s/Info.plist: " KEY ": %s%s%s; it names the run-time library of the sanitizer that the "
                                          "driver was built with, as `clang -print-file-name=libclang_rt.asan-x86_64.so` prints it",
                                          bundle, runtime ? runtime : "", runtime ? " " : "", fault);
                return kIOReturnBadArgument;
        }
        if (!AMB_SANITIZED)
                *ret_runtime = runtime;
        return kIOReturnSuccess;
}

/* Read and checked again: it was loaded some time ago, and it is the present file that will run. */
int amb_sanitizer_prepare(struct amb_process *host)
{
        AMB_FREE char *path = amb_format("%s/Info.plist", host->path), *why = NULL, *message = NULL;
        const char *runtime = NULL;
        OSObject *info = NULL;
        int r;

        if (!host->daemon->options.developer)
                return 0;
        r = path ? amb_plist_read_file(AT_FDCWD, path, &info, &why) : -ENOMEM;
        /* The host reads it too, and says what is wrong with it. */
        if (r != 0)
                return 0;
        if (amb_sanitizer_check(host->daemon, host->path, info, &runtime, &message) != kIOReturnSuccess) {
                amb_log(AMB_LOG_ERROR, "%s", message ? message : "no memory");
                r = -EINVAL;
        } else if (runtime) {
                host->sanitizer = strdup(runtime);
                host->words_fd = memfd_create("ambidext-words", MFD_CLOEXEC);
                r = !host->sanitizer ? -ENOMEM : host->words_fd < 0 ? amb_errno() : 0;
        }
        OSObject_release(info);
        return r;
}

/* What follows "SUMMARY: " in what the host has left us, as one line that can be printed. */
char *amb_sanitizer_words(const struct amb_process *host)
{
        static const char begin[] = "SUMMARY: ";
        char words[WORDS_MOST];
        ssize_t length = host->words_fd < 0 ? 0 : pread(host->words_fd, words, sizeof(words) - 1, 0);

        if (length <= 0)
                return NULL;
        for (ssize_t i = 0; i < length; i++)
                if ((unsigned char)words[i] < ' ' || words[i] == 0x7f)
                        words[i] = words[i] == '\n' ? '\0' : '?';
        words[length] = '\0';
        /* "... in FUNCTION", where the function is known. */
        if (strlen(words) > 4 && strcmp(words + strlen(words) - 4, " in ") == 0)
                words[strlen(words) - 4] = '\0';
        while (*words && words[strlen(words) - 1] == ' ')
                words[strlen(words) - 1] = '\0';
        return strdup(strncmp(words, begin, strlen(begin)) == 0 ? words + strlen(begin) : words);
}
