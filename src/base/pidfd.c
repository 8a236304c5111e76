/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/base.h"
#include "base/pidfd.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif
#define BUCKETS 256u

struct shared {
        struct shared *next;
        dev_t device;
        ino_t inode;
        int fd;
        unsigned int count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;       /* innermost */
static struct shared *buckets[BUCKETS];

/* Who it is, in a form that can be compared. */
static bool identify(int fd, struct stat *ret)
{
        struct statfs fs;

        return fstatfs(fd, &fs) == 0 && fs.f_type == PID_FS_MAGIC && fstat(fd, ret) == 0;
}

/* Under the lock: where its entry hangs, or would. */
static struct shared **find(const struct stat *process)
{
        struct shared **link = &buckets[process->st_ino % BUCKETS];

        while (*link && ((*link)->inode != process->st_ino || (*link)->device != process->st_dev))
                link = &(*link)->next;
        return link;
}

/* Under the lock; no memory: it is not shared. */
static void insert(struct shared **link, const struct stat *process, int fd)
{
        struct shared *entry = calloc(1, sizeof(*entry));

        if (!entry)
                return;
        *entry = (struct shared){ .device = process->st_dev, .inode = process->st_ino, .fd = fd, .count = 1 };
        *link = entry;
}

int amb_pidfd_share(int fd)
{
        struct shared **link;
        struct stat process;

        if (fd < 0 || !identify(fd, &process))
                return fd;
        pthread_mutex_lock(&lock);
        link = find(&process);
        if (*link) {
                (*link)->count++;
                amb_fd_close(fd);
                fd = (*link)->fd;
        } else {
                insert(link, &process, fd);
        }
        pthread_mutex_unlock(&lock);
        return fd;
}

int amb_pidfd_unshare(int fd)
{
        struct shared **link, *entry;
        struct stat process;

        if (fd < 0 || !identify(fd, &process))
                return amb_fd_close(fd);
        pthread_mutex_lock(&lock);
        link = find(&process);
        entry = *link;
        if (entry && entry->fd == fd && --entry->count > 0) {
                fd = -1;
        } else if (entry && entry->fd == fd) {
                *link = entry->next;
                free(entry);
        }
        pthread_mutex_unlock(&lock);
        return amb_fd_close(fd);
}

static void fork_prepare(void)
{
        pthread_mutex_lock(&lock);
}

static void fork_done(void)
{
        pthread_mutex_unlock(&lock);
}

/* Registered before those of who may hold his own lock when he calls us: so ours is taken last. */
__attribute__((constructor(101))) static void pidfd_start(void)
{
        pthread_atfork(fork_prepare, fork_done, fork_done);
}
