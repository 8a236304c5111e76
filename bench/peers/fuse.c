/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ioctl into a file system in user space (../fuse-server.h). It is mounted where only the two processes see it, and goes with
 * them. A flood comes from several threads, because an ioctl blocks who makes it.
 */
#include "bench/fuse-server.h"
#include "bench/peers/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the empty /tmp of peer_private_mounts(), not the machine's. */
static const char mount_point[] = "/tmp/mount", file_path[] = "/tmp/mount/" BENCH_FUSE_FILE;

static int file = -1;

/* --- server --- */

static int fuse_serve(const struct peer_place *place)
{
        int r = peer_private_mounts();
        if (r < 0)
                return r;
        if (mkdir(mount_point, 0700) < 0)
                return peer_fail(-errno, "%s: %s", mount_point, strerror(errno));
        struct fuse_session *session = bench_fuse_mount(mount_point);
        if (!session)
                return peer_fail(-ENODEV, "FUSE cannot be mounted here");
        peer_ready();
        return fuse_session_loop(session);
}

/* --- client --- */

static int fuse_connect(const struct peer_place *place)
{
        int r = peer_join_mounts(place->server);
        if (r < 0)
                return r;
        file = open(file_path, O_RDWR | O_CLOEXEC);
        return file < 0 ? peer_fail(-errno, "%s: %s", file_path, strerror(errno)) : 0;
}

static int fuse_call(const void *in, void *out, size_t size)
{
        memcpy(out, in, size);
        return ioctl(file, size == PEER_SMALL ? BENCH_FUSE_ECHO(PEER_SMALL) : BENCH_FUSE_ECHO(PEER_BIG), out) < 0 ? -errno : 0;
}

const struct peer peers[] = {
        { "fuse", PEER_BIG, true, fuse_serve, fuse_connect, fuse_call, NULL },
        { 0 },
};
