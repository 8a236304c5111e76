/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambidext-host: one driver's process. Started by ambidextd, which says in the environment who it is; loads the driver's bundle
 * when it is told to, and serves it until it is told to end.
 */
#include <stdio.h>

#include <DriverKit/IOUserServer.h>
#include <ambidext/hid.h>
#include <mach/mach_error.h>

#include "base/base.h"
#include "base/sanitizer.h"
#include "control/protocol.h"
#include "host/limits.h"
#include "host/sandbox.h"
#include "host/sanitizer.h"

/* The directory of the registry's socket, where the host looks for a new daemon; NULL: no memory. */
static char *registry_directory(void)
{
        const char *socket = getenv(AMB_REGISTRY_VARIABLE);
        char *path = strdup(socket ? socket : "/"), *slash = path ? strrchr(path, '/') : NULL;

        if (slash)
                *(slash == path ? slash + 1 : slash) = '\0';
        return path;
}

/* At the same time. Each is a descriptor of /dev/uhid, opened whether it is used or not. */
#define HID_DEVICES_MOST 16

static int enter_sandbox(bool wanted)
{
        AMB_FREE char *registry = registry_directory();
        const char *bundle = getenv(AMB_HOST_BUNDLE_VARIABLE);
        const char *readable[2];
        size_t count = 0;

        if (!wanted) {
                amb_log(AMB_LOG_NOTICE, "this host runs without a sandbox");
                return 0;
        }
        if (!registry)
                return -ENOMEM;
        readable[count++] = registry;
        if (bundle)
                readable[count++] = bundle;
        return amb_sandbox_enter(readable, count);
}

static int usage(void)
{
        fputs("ambidext-host is started by ambidextd, with its socket in $" AMB_HOST_FD_VARIABLE ".\n"
              "To try a driver: ambidext run --dext NAME.dext -- PROGRAM\n",
              stderr);
        return 2;
}

static int serve(const char *name, const char *bundle_id, uint64_t tag)
{
        OSString *identifier = OSStringCreate(bundle_id, (size_t)-1);
        IOUserServer *server = NULL;
        kern_return_t code;

        code = identifier ? IOUserServer_Create(name, tag, 0, identifier, &server) : kIOReturnNoMemory;
        OSObject_release(identifier);
        if (code == kIOReturnSuccess)
                code = IOUserServer_RegisterService(server);
        if (code != kIOReturnSuccess) {
                amb_log(AMB_LOG_ERROR, "%s: the registry does not take this host: %s (0x%08x)", name, mach_error_string(code),
                        (unsigned int)code);
                return EXIT_FAILURE;
        }
        return amb_server_wait(server);
}

/* On the command line, which the daemon writes, so that no environment can take the sandbox away. */
static bool has_option(int argc, char **argv, const char *option)
{
        return argc == 2 && strcmp(argv[1], option) == 0;
}

/* Sanitizers map terabytes, start helpers and need ptrace-like rights: they are for finding mistakes, not for confinement. */
static int confine(bool unconfined, bool sanitized)
{
        int r = sanitized ? 0 : amb_limits_set();

        if (r < 0) {
                amb_log(AMB_LOG_ERROR, "cannot set the limits: %s", strerror(-r));
                return r;
        }
        /* A preloaded sanitizer has told of itself. */
        r = sanitized && !AMB_SANITIZED ? 0 : enter_sandbox(!sanitized && !unconfined);
        if (r < 0)
                amb_log(AMB_LOG_ERROR, "cannot enter the sandbox: %s", strerror(-r));
        return r;
}

/* In the sandbox nothing is opened for writing, so what HID devices need is opened before. */
static void prepare_hid(void)
{
        if (getenv(AMB_HOST_HID_VARIABLE))
                amb_hid_reserve(HID_DEVICES_MOST);
        else
                amb_hid_deny("the driver's bundle lacks the entitlement com.apple.developer.driverkit.family.hid.device = true");
}

int main(int argc, char **argv)
{
        const char *name = getenv(AMB_HOST_NAME_VARIABLE), *bundle_id = getenv(AMB_HOST_BUNDLE_ID_VARIABLE);
        const char *tag = getenv(AMB_HOST_TAG_VARIABLE);
        bool unconfined = has_option(argc, argv, "--no-sandbox"), sanitized = has_option(argc, argv, "--sanitized");
        int r;

        if (!getenv(AMB_HOST_FD_VARIABLE) || !name || !bundle_id || !tag || (argc > 1 && !unconfined && !sanitized))
                return usage();
        amb_log_open(strdup(name), AMB_LOG_INFO);
        amb_fd_limit_raise();
        if (sanitized)
                amb_host_sanitizer_begin(name);
        prepare_hid();
        if (confine(unconfined, sanitized || AMB_SANITIZED) < 0)
                return EXIT_FAILURE;
        r = serve(name, bundle_id, strtoull(tag, NULL, 0));
        if (sanitized || AMB_SANITIZED)
                amb_host_sanitizer_end();
        /* Not through exit handlers: other threads may be anywhere in driver code. */
        fflush(NULL);
        _exit(r);
}
