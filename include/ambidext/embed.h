/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A driver and an application of it in one process, without a registry: for fuzzers and unit tests. The driver's code is part of
 * the program (link it with -rdynamic: its classes are found by their symbols). Calls, completions, memory and the close go the
 * way they always go, through a channel to a thread of the driver's runtime. What the registry does is not there: no matching, no
 * permissions, no termination from outside; IOServiceGetMatchingService finds nothing; a service that the driver itself
 * terminates stays.
 *
 *      amb_embed_start(plist, length, NULL, &service, &message);      driver: libambidext-driver
 *      amb_embed_open(service, 0, ends);                               driver: NewUserClient, Start
 *      amb_embed_connect(ends, &connect);                              application: libambidext
 *      IOConnectCallMethod(connect, ...); IOServiceClose(connect);
 *      amb_embed_wait();
 *
 * amb_embed_client() and amb_embed_call() leave the channel and the application out, too, for fuzzers, which want speed.
 *
 * Not together with IOUserServer_Create. Contract: ours, no contract.
 */
#include <stddef.h>
#include <stdint.h>

#include <ambidext/class.h>
#include <mach/kern_return.h>

AMB_CLASS(IOService);
AMB_CLASS(IOUserClient);

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes and starts the service of a personality: `info` is the text of an Info.plist, XML or binary; `personality` is a key of
 * its IOKitPersonalities, NULL: the first that names an IOUserClass. Returns when Start has. *service is one reference for the
 * caller, as long as it lives the service does. *message (may be NULL) becomes a sentence for people, or NULL; free() it.
 * kIOReturnBadArgument: the list; kIOReturnUnsupportedMode: the class is not in the program; else what Start returned. Any
 * thread.
 */
kern_return_t amb_embed_start(const void *info, size_t length, const char *personality, IOService **service, char **message);

/*
 * What an application's IOServiceOpen has the driver do: NewUserClient with `type`, and the user client's Start. ends[0] and
 * ends[1] become descriptors, which amb_embed_connect takes over. Else the driver's code, and nothing is open. Any thread but the
 * driver's.
 */
kern_return_t amb_embed_open(IOService *service, uint32_t type, int ends[2]);

/*
 * The same without an application: *client is open and started, one reference for the caller, and amb_embed_call is how it is
 * called. amb_embed_end delivers Stop, as the end of a connection does, and takes the reference; NULL is fine. What the driver
 * does on other threads may go on behind that.
 */
kern_return_t amb_embed_client(IOService *service, uint32_t type, IOUserClient **client);
void amb_embed_end(IOUserClient *client);

/*
 * One call of ExternalMethod, on its queue, by the calling thread, which waits: the quick way, some hundred nanoseconds. The
 * block of arguments is made as for an application: structures above 4096 bytes are descriptors (of copies), outputs begin as
 * zeros. Counts and sizes of outputs are room before, and what came back after. Completions lead nowhere: who wants to see them
 * stands in front of IOUserClient_AsyncCompletion.
 */
struct amb_embed_call {
        uint64_t selector;
        const uint64_t *scalars;
        uint32_t scalar_count;          /* more than 16: kIOReturnBadArgument */
        uint32_t scalar_out_count;
        uint64_t *scalars_out;
        const void *bytes;
        size_t size;
        void *bytes_out;
        size_t size_out;
        int completes;                  /* with a completion */
};
kern_return_t amb_embed_call(IOUserClient *client, struct amb_embed_call *call);

/* Waits until every connection has ended: closed by the application, Stop delivered, nothing more to come. */
void amb_embed_wait(void);

/*
 * The application's end: *connect is what IOServiceOpen gives. Consumes the descriptors, also on failure.
 * kIOReturnNoResources, kIOReturnIPCError. Any thread.
 */
kern_return_t amb_embed_connect(const int ends[2], uint32_t *connect);

#ifdef __cplusplus
}
#endif
