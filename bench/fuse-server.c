/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/fuse-server.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ECHO_INODE = 2, FOR_EVER_S = 3600 };

static struct stat about(fuse_ino_t inode)
{
        struct stat status = { .st_ino = inode, .st_nlink = 1, .st_uid = getuid(), .st_gid = getgid() };
        status.st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0700 : S_IFREG | 0600;
        return status;
}

static void echo_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
        struct fuse_entry_param entry = { .ino = ECHO_INODE, .attr = about(ECHO_INODE), .attr_timeout = FOR_EVER_S };
        entry.entry_timeout = FOR_EVER_S;
        if (parent == FUSE_ROOT_ID && strcmp(name, BENCH_FUSE_FILE) == 0)
                fuse_reply_entry(request, &entry);
        else
                fuse_reply_err(request, ENOENT);
}

static void echo_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
        struct stat status = about(inode);
        fuse_reply_attr(request, &status, FOR_EVER_S);
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

struct fuse_session *bench_fuse_mount(const char *directory)
{
        static const struct fuse_lowlevel_ops operations = {
                .lookup = echo_lookup, .getattr = echo_getattr, .open = echo_open, .ioctl = echo_ioctl,
        };
        char *words[] = { (char *)"bench", (char *)"-ofsname=ambidext-bench", NULL };
        struct fuse_args arguments = FUSE_ARGS_INIT(2, words);
        struct fuse_session *session = fuse_session_new(&arguments, &operations, sizeof(operations), NULL);
        return session && fuse_session_mount(session, directory) == 0 ? session : NULL;
}
