/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ioctl into a file system in user space (libfuse3, low level): the file "echo" gives the ioctl's argument back. It is mounted
 * where only the two processes see it, and goes with them. The server is one thread; a flood comes from several threads, because
 * an ioctl blocks who makes it.
 */
#define FUSE_USE_VERSION 312
#include "bench/peers/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mount_point[] = "/tmp/mount", file_path[] = "/tmp/mount/echo";
enum { ECHO_INODE = 2 };
#define ECHO_SMALL _IOWR('A', 1, char[PEER_SMALL])
#define ECHO_BIG _IOWR('A', 1, char[PEER_BIG])

static int file = -1;

/* --- server --- */

static struct stat about(fuse_ino_t inode)
{
        struct stat status = { .st_ino = inode, .st_nlink = 1, .st_uid = getuid(), .st_gid = getgid() };
        status.st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0700 : S_IFREG | 0600;
        return status;
}

static void echo_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
        struct fuse_entry_param entry = { .ino = ECHO_INODE, .attr = about(ECHO_INODE), .attr_timeout = 3600 };
        entry.entry_timeout = 3600;
        if (parent == FUSE_ROOT_ID && strcmp(name, "echo") == 0)
                fuse_reply_entry(request, &entry);
        else
                fuse_reply_err(request, ENOENT);
}

static void echo_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
        struct stat status = about(inode);
        fuse_reply_attr(request, &status, 3600);
}

static void echo_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
        fuse_reply_open(request, info);
}

static void echo_ioctl(fuse_req_t request, fuse_ino_t inode, unsigned command, void *argument, struct fuse_file_info *info,
                       unsigned flags, const void *in, size_t in_size, size_t out_size)
{
        fuse_reply_ioctl(request, 0, in, in_size < out_size ? in_size : out_size);
}

static int fuse_serve(const struct peer_place *place)
{
        static const struct fuse_lowlevel_ops operations = {
                .lookup = echo_lookup, .getattr = echo_getattr, .open = echo_open, .ioctl = echo_ioctl,
        };
        char *words[] = { (char *)"bench", (char *)"-ofsname=ambidext-bench", NULL };
        struct fuse_args arguments = FUSE_ARGS_INIT(2, words);
        int r = peer_private_mounts();
        if (r < 0)
                return r;
        if (mkdir(mount_point, 0700) < 0)
                return peer_fail(-errno, "%s: %s", mount_point, strerror(errno));
        struct fuse_session *session = fuse_session_new(&arguments, &operations, sizeof(operations), NULL);
        if (!session || fuse_session_mount(session, mount_point) != 0)
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
        return ioctl(file, size == PEER_SMALL ? ECHO_SMALL : ECHO_BIG, out) < 0 ? -errno : 0;
}

const struct peer peers[] = {
        { "fuse", PEER_BIG, true, fuse_serve, fuse_connect, fuse_call, NULL },
        { 0 },
};
