/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ourselves: the driver that `make bench` calls, in a private registry. 16 bytes are two scalars in and out, more is a structure. A
 * flood comes from several threads on one connection, because a call blocks who makes it.
 *
 * The server's process becomes `ambidext run`, which starts this program once more inside, to say where the registry is.
 */
#include "bench/peers/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

#include "base/base.h"
#include "base/paths.h"
#include "bench/driver/bench-driver.h"

static const char inside[] = "AMBIDEXT_BENCH_INSIDE", registry[] = "AMBIDEXT_REGISTRY";
static io_connect_t connection;

/* --- server --- */

/* `ambidext run` sets the variables that tell us where we are, and ends us by a signal. */
static int stay_inside(const struct peer_place *place)
{
        const char *socket = getenv(registry);
        if (!socket || symlink(socket, peer_path(place, "registry")) < 0)
                return peer_fail(-errno, "no registry: %s", strerror(errno));
        peer_ready();
        for (;;)
                pause();
}

/* This process's own arguments, behind those of `ambidext run`. */
static int run_registry(void)
{
        char self[PATH_MAX] = "", *words[32];
        size_t length, count = 0;
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        int directory = n > 0 ? (int)(strrchr(self, '/') - self) : 0;
        AMB_FREE char *ambidext = amb_program_path("ambidext"), *text = NULL;
        AMB_FREE char *bundle = amb_format("%.*s/../bench.dext", directory, self);
        if (!ambidext || !bundle || n < 0 || amb_file_read(AT_FDCWD, "/proc/self/cmdline", 8192, &text, &length) < 0)
                return peer_fail(-ENOENT, "the program ambidext is not there");
        words[count++] = ambidext;
        words[count++] = (char *)"run";
        if (getenv("AMBIDEXT_TEST_NO_SANDBOX"))
                words[count++] = (char *)"--no-sandbox";
        words[count++] = (char *)"--dext";
        words[count++] = bundle;
        words[count++] = (char *)"--";
        words[count++] = self;
        for (char *word = text; count < AMB_ARRAY_LENGTH(words) - 1 && (word += strlen(word) + 1) < text + length;)
                words[count++] = word;
        words[count] = NULL;
        setenv(inside, "1", 1);
        prctl(PR_SET_PDEATHSIG, SIGTERM);       /* it must have time to take its registry down */
        execv(ambidext, words);
        return peer_fail(-errno, "%s: %s", ambidext, strerror(errno));
}

static int ambidext_serve(const struct peer_place *place)
{
        return getenv(inside) ? stay_inside(place) : run_registry();
}

/* --- client --- */

static int ambidext_connect(const struct peer_place *place)
{
        char socket[PATH_MAX];
        ssize_t n = readlink(peer_path(place, "registry"), socket, sizeof(socket) - 1);
        if (n < 0)
                return peer_fail(-errno, "no registry: %s", strerror(errno));
        socket[n] = 0;
        setenv(registry, socket, 1);
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("bench"));
        kern_return_t code = service ? IOServiceOpen(service, mach_task_self(), kBenchDirect, &connection) : kIOReturnNotFound;
        if (service)
                IOObjectRelease(service);
        return code == kIOReturnSuccess ? 0 : peer_fail(-EIO, "opening bench.dext: 0x%x", (unsigned)code);
}

static int ambidext_call(const void *in, void *out, size_t size)
{
        kern_return_t code;
        if (size == PEER_SMALL) {
                uint64_t scalars_in[2], scalars_out[2];
                uint32_t count = 2;
                memcpy(scalars_in, in, sizeof(scalars_in));
                code = IOConnectCallScalarMethod(connection, kBenchScalar, scalars_in, 2, scalars_out, &count);
                memcpy(out, scalars_out, sizeof(scalars_out));
        } else {
                size_t length = size;
                code = IOConnectCallStructMethod(connection, kBenchStruct, in, size, out, &length);
        }
        return code == kIOReturnSuccess ? 0 : -EIO;
}

const struct peer peers[] = {
        { "ambidext", PEER_BIG, true, ambidext_serve, ambidext_connect, ambidext_call, NULL },
        { 0 },
};
