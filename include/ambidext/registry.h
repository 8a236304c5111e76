/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What tools need and IOKit has no call for: loading and unloading bundles, the whole registry at once, and why a look-up found
 * nothing. Any thread; each call waits for the daemon's answer.
 *
 * Contract: ours, no contract. The rules of bundles: lifecycle-registry 5.2, 4.7.
 */
#include <IOKit/IOKitLib.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Loads the driver bundle at `path` (a directory NAME.dext; a relative path is taken from the current directory).
 * *message becomes a text for people, or an empty one; free() it. message may be NULL. *bundle_id, likewise, on success.
 * kIOReturnNoDevice: no registry; kIOReturnNotPermitted; kIOReturnBadArgument: not a bundle; others: see the message.
 */
kern_return_t amb_registry_load_bundle(const char *path, char **message, char **bundle_id);

/* Terminates the services of a bundle and forgets it. Codes and message as above; kIOReturnNotFound: not loaded. */
kern_return_t amb_registry_unload_bundle(const char *bundle_id, char **message);

/*
 * Every entry of the registry, parents first: an array of dictionaries with "id", "parent" (numbers; the root's parent is 0),
 * "class", "name" (strings), "state", "busy", "pid" (numbers; pid 0: no host) and "properties" (a dictionary).
 * One reference for the caller. kIOReturnNoDevice: no registry.
 */
kern_return_t amb_registry_dump(CFArrayRef *entries);

/*
 * Which socket this process talks to, whether it can now, and if not, what failed and what to do: one or two sentences without
 * a newline. free() it; NULL only without memory.
 */
char *amb_registry_explain(void);

#ifdef __cplusplus
}
#endif
