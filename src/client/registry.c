/* SPDX-License-Identifier: Apache-2.0 */
#include <ambidext/registry.h>

#include "client/remote.h"

static void hand_over(char **to, char **from)
{
        if (to)
                *to = amb_steal(*from);
}

kern_return_t amb_registry_load_bundle(const char *path, char **message, char **bundle_id)
{
        AMB_FREE char *absolute = NULL, *text = NULL, *bundle = NULL;
        kern_return_t code;
        int r;

        if (!path)
                return kIOReturnBadArgument;
        /* A path that does not exist is the daemon's to complain about; it must only not depend on our directory. */
        absolute = realpath(path, NULL);
        r = amb_remote_load(absolute ? absolute : path, &code, &text, &bundle);
        if (r < 0) {
                text = amb_registry_explain();
                code = amb_remote_code(r) == kIOReturnOffline ? kIOReturnNoDevice : amb_remote_code(r);
        }
        hand_over(message, &text);
        if (code == KERN_SUCCESS)
                hand_over(bundle_id, &bundle);
        return code;
}

kern_return_t amb_registry_unload_bundle(const char *bundle_id, char **message)
{
        AMB_FREE char *text = NULL;
        kern_return_t code;
        int r;

        if (!bundle_id)
                return kIOReturnBadArgument;
        r = amb_remote_unload(bundle_id, &code, &text);
        if (r < 0) {
                text = amb_registry_explain();
                code = amb_remote_code(r) == kIOReturnOffline ? kIOReturnNoDevice : amb_remote_code(r);
        }
        hand_over(message, &text);
        return code;
}

kern_return_t amb_registry_dump(CFArrayRef *entries)
{
        OSArray *array;
        int r;

        r = amb_remote_dump(&array);
        if (r < 0)
                return amb_remote_code(r) == kIOReturnOffline ? kIOReturnNoDevice : amb_remote_code(r);
        *entries = (CFArrayRef)array;
        return KERN_SUCCESS;
}

char *amb_registry_explain(void)
{
        AMB_CLEANUP(amb_bus_closep) sd_bus *bus = NULL;
        AMB_SNAPSHOT root = { 0 };
        AMB_FREE char *path = NULL, *text = NULL;
        kern_return_t code;
        int r;

        r = amb_bus_connect_registry(&bus, &text);
        if (r < 0)
                return amb_steal(text);
        path = amb_registry_path();
        if (!path)
                return NULL;
        r = amb_remote_entry(AMB_REMOTE_ROOT, &code, &root);
        if (r < 0)
                return amb_format("Something listens at %s, but does not answer as a registry (%s). "
                                  "Is another program's socket named by AMBIDEXT_REGISTRY?", path, strerror(-r));
        return amb_format("The registry at %s answers.", path);
}
