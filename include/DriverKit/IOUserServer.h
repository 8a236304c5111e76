/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The driver host: connects this process to the registry daemon, loads driver bundles and serves them.
 *
 * ambidext-host is a small program around this object, started by the daemon, which hands it a socket and a token in its
 * environment ($AMBIDEXT_HOST_FD, $AMBIDEXT_HOST_TAG, $AMBIDEXT_HOST_TOKEN). At most one exists in a process. It runs one
 * control thread, one thread per open connection and a pool for queues.
 *
 * Any other program can be a host too, for a driver and its client in one process (unit tests, sanitizers, debuggers):
 *
 *      IOUserServer_Create("org.example.driver", 0, 0, bundleID, &server);
 *      IOUserServer_LoadModule(server, "Example.dext");
 *      IOUserServer_RegisterService(server);           returns when the registry has matched the bundle and taken this host
 *
 * It must run as the registry's user and hold com.apple.developer.driverkit = true in PROGRAM.entitlements. Its bundle is
 * loaded for it alone, serves one instance, and goes when the process ends, calls IOUserServer_Exit, or the daemon dies: only
 * launched hosts are taken over.
 *
 * When the daemon dies, everything goes on without it: open connections need it for nothing. The host watches the directory of
 * the registry's socket, connects to the new daemon when one appears there, and reports all its services and connections. It
 * ends (amb_server_wait returns) when that directory is gone, when the daemon that answers there refuses it, or when it has
 * neither services nor connections left while no daemon is there.
 *
 * One thread makes the host: Create, LoadModule and RegisterService in this order. The other calls: any thread.
 *
 * Contract: lifecycle-registry 4.1 to 4.4, 4.9.
 */
#include <DriverKit/IOService.h>

AMB_CLASS(IOUserServer);

#if defined(__IIG)
#include <DriverKit/IOUserServer.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOUserServer.iig.h>
#else
struct IOUserServer_ivars;
struct IOUserServer {
        IOService service;
        struct IOUserServer_ivars *ivars;
};

extern const OSMetaClass gIOUserServerMetaClass;

/*
 * Takes the daemon's socket from the environment (which is cleaned of it), or, in a program that nobody launched as a host,
 * connects to the registry, and starts the control thread. name: at most 127 bytes; tag: the daemon's number for this launch,
 * or 0; options: 0; bundleID: of the driver to be hosted. 0: *server has one reference. kIOReturnNotReady: the environment is
 * incomplete. kIOReturnExclusiveAccess: there is one already. kIOReturnNoResources: no registry (said on standard error).
 * kIOReturnBadArgument, kIOReturnNoMemory.
 */
kern_return_t IOUserServer_Create(const char *name, uint64_t tag, uint64_t options, OSString *bundleID, IOUserServer **server);

/*
 * Loads the executable of the bundle directory `path`: NAME.dext with Info.plist and the shared object that it names. Says on
 * standard error what is wrong. 0. kIOReturnNotFound: no bundle, no executable. kIOReturnUnsupported: it cannot be loaded. One
 * bundle each may be loaded once; again: 0 without effect. The daemon does it by itself for launched hosts.
 */
kern_return_t IOUserServer_LoadModule(IOUserServer *self, const char *path);

/*
 * Checks in with the daemon: from now on it may start services here. 0, or the daemon's code. Not launched: offers this process
 * as the host of the bundle that LoadModule was given (kIOReturnNotReady: none) and returns when it is taken;
 * kIOReturnNotPermitted: see above.
 */
kern_return_t IOUserServer_RegisterService(IOUserServer *self);

/* Ends the host: amb_server_wait returns, with 0 unless it had to end before. reason: for the log, may be NULL. Returns 0. */
kern_return_t IOUserServer_Exit(IOUserServer *self, const char *reason);
#endif

#ifdef __cplusplus
extern "C" {
#endif
/* Waits until the host has to end; the exit status for the process. */
int amb_server_wait(IOUserServer *server);
#ifdef __cplusplus
}
#endif
