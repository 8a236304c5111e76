/* SPDX-License-Identifier: Apache-2.0 */
/* Making, checking, mapping and ending a channel: what both sides share. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "channel/private.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

size_t amb_channel_size(void)
{
        return sizeof(struct amb_layout);
}

int amb_channel_create(int *ret_fd)
{
        AMB_FD fd = -1;

        fd = memfd_create("ambidext-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL)          /* before Linux 6.3 */
                fd = memfd_create("ambidext-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return amb_trace(amb_errno());
        /* A memfd is born 0777: another user could open it anew through /proc. */
        if (fchmod(fd, 0600) < 0 || ftruncate(fd, sizeof(struct amb_layout)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return amb_trace(amb_errno());
        *ret_fd = amb_fd_steal(&fd);
        return 0;
}

/* Only memory that can neither shrink (SIGBUS) nor wait for a third party (a file on FUSE) is mapped. */
static int channel_fd_check(int fd)
{
        struct statfs fs;
        struct stat st;
        int seals;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & SEALS) != SEALS)
                return AMB_CHANNEL_REFUSED;
        if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
                return AMB_CHANNEL_REFUSED;
        if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
                return AMB_CHANNEL_REFUSED;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(struct amb_layout))
                return AMB_CHANNEL_REFUSED;
        return 0;
}

static int channel_fd_map(int fd, size_t size, void **ret)
{
        void *memory;
        int r;

        r = channel_fd_check(fd);
        if (r != 0)
                return r;
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
                return errno == EACCES ? AMB_CHANNEL_REFUSED : amb_trace(amb_errno());  /* opened for reading only */
        if (madvise(memory, size, MADV_DONTFORK) < 0) {
                r = amb_errno();
                munmap(memory, size);
                return amb_trace(r);
        }
        *ret = memory;
        return 0;
}

int amb_bell_map(int fd, struct amb_bell **ret)
{
        void *memory;
        int r;

        r = channel_fd_map(fd, AMB_LAYOUT_PAGE, &memory);
        if (r != 0)
                return r;
        *ret = memory;
        return 0;
}

struct amb_bell *amb_bell_unmap(struct amb_bell *bell)
{
        if (bell)
                munmap(bell, AMB_LAYOUT_PAGE);
        return NULL;
}

static void layout_wake_callers(struct amb_layout_header *header)
{
        for (unsigned i = 0; i < AMB_CHANNEL_SLOTS; ++i)
                amb_futex_wake_always(&header->caller_asleep[i]);
}

void amb_bell_ring_dead(struct amb_bell *bell)
{
        struct amb_layout_header *header = (struct amb_layout_header *)bell;

        amb_exchange(&header->host_gone, 1);
        layout_wake_callers(header);
}

static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
uint64_t *amb_channel_process;
static uint64_t process_tokens;

static int process_token(uint64_t *ret)
{
        int r = 0;

        pthread_mutex_lock(&process_lock);
        if (!amb_channel_process) {
                void *page = mmap(NULL, AMB_LAYOUT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                if (page == MAP_FAILED || madvise(page, AMB_LAYOUT_PAGE, MADV_WIPEONFORK) < 0) {
                        r = amb_errno();
                        if (page != MAP_FAILED)
                                munmap(page, AMB_LAYOUT_PAGE);
                } else
                        amb_channel_process = page;
        }
        if (r == 0) {
                if (amb_load(amb_channel_process) == 0)
                        amb_store(amb_channel_process, ++process_tokens);
                *ret = amb_load(amb_channel_process);
        }
        pthread_mutex_unlock(&process_lock);
        return r < 0 ? amb_trace(r) : 0;
}

int amb_channel_attach_mapping(void *memory, enum amb_channel_role role, const struct amb_channel_options *options,
                               struct amb_channel **ret)
{
        struct amb_channel *channel;
        uint64_t process = 0;
        int r;

        r = process_token(&process);
        if (r < 0)
                return amb_trace(r);
        channel = aligned_alloc(64, sizeof(*channel));
        if (!channel)
                return amb_trace(-ENOMEM);
        memset(channel, 0, sizeof(*channel));
        channel->memory = memory;
        channel->role = role;
        channel->process = process;
        channel->peer_pidfd = options ? options->peer_pidfd : -1;
        channel->wake = options ? options->wake : NULL;
        channel->kept_start = options ? options->kept : NULL;
        channel->knock = options ? options->knock : NULL;
        channel->roused = options ? options->roused : NULL;
        channel->userdata = options ? options->userdata : NULL;
        channel->free_slots = UINT64_MAX;
        pthread_mutex_init(&channel->slot_lock, NULL);
        pthread_cond_init(&channel->slot_freed, NULL);
        amb_turn_init(&channel->turn);
        pthread_mutex_init(&channel->completion_lock, NULL);
        *ret = channel;
        return 0;
}

int amb_channel_attach(int fd, enum amb_channel_role role, const struct amb_channel_options *options, struct amb_channel **ret)
{
        void *memory;
        int r;

        r = channel_fd_map(fd, sizeof(struct amb_layout), &memory);
        if (r != 0)
                return r;
        r = amb_channel_attach_mapping(memory, role, options, ret);
        if (r < 0) {
                munmap(memory, sizeof(struct amb_layout));
                return amb_trace(r);
        }
        (*ret)->mapped_by_us = true;
        return 0;
}

void amb_channel_break(struct amb_channel *channel, const char *reason)
{
        const char *none = NULL;

        /* The reason first: who sees `broken` finds it. */
        if (__atomic_compare_exchange_n(&channel->reason, &none, reason, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                amb_exchange(&channel->broken, 1);
}

int amb_channel_broken(struct amb_channel *channel)
{
        uint32_t unreported = 1;

        return __atomic_compare_exchange_n(&channel->broken, &unreported, 2, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
                       ? AMB_CHANNEL_BROKEN : AMB_CHANNEL_CLOSED;
}

const char *amb_channel_reason(struct amb_channel *channel)
{
        const char *reason = amb_load_ordered(&channel->reason);

        return reason ? reason : "";
}

void amb_channel_end(struct amb_channel *channel, bool gone)
{
        if (gone)
                amb_exchange(&channel->gone, 1);
        amb_exchange(&channel->ended, 1);
        pthread_mutex_lock(&channel->slot_lock);
        pthread_cond_broadcast(&channel->slot_freed);
        pthread_mutex_unlock(&channel->slot_lock);
        amb_turn_end(&channel->turn);
}

bool amb_channel_over(struct amb_channel *channel)
{
        struct amb_layout_header *header = &channel->memory->header;

        if (amb_load_ordered(&channel->ended))
                return true;
        if (!amb_load_ordered(&header->host_gone) && !amb_load_ordered(&header->closed))
                return false;
        amb_channel_end(channel, amb_channel_said_gone(header));
        return true;
}

/* Wakes our own thread, but leaves it to the app to find that we rest: only who has taken that word away may, and must, knock. */
static void host_prod(struct amb_channel *channel)
{
        uint32_t *word = &channel->memory->header.host_asleep, asleep = 1;

        __atomic_compare_exchange_n(word, &asleep, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        amb_futex_wake_all(word);
}

/* After what the thread in receive is to see: there may be no such thread. */
static void host_call_back(struct amb_channel *channel)
{
        if (amb_load_ordered(&channel->rest) == AMB_REST_RESTS && channel->roused)
                channel->roused(channel->userdata);
}

/*
 * The app may write the futex word at any time, also between our 0 and the host thread's futex_wait: the private `waiting` says
 * whether that thread could still be asleep. It passes the place once, so this ends as soon as it has been scheduled.
 */
void amb_channel_rouse(struct amb_channel *channel)
{
        while (amb_load_ordered(&channel->waiting)) {
                host_prod(channel);
                sched_yield();
        }
        host_call_back(channel);
}

void amb_channel_rest(struct amb_channel *channel)
{
        amb_exchange(&channel->rest, AMB_REST_RESTS);
        amb_exchange(&channel->memory->header.host_asleep, AMB_HOST_RESTS);
}

void amb_channel_rest_next(struct amb_channel *channel)
{
        amb_exchange(&channel->rest, AMB_REST_ASKED);
}

void amb_channel_rest_ask(struct amb_channel *channel)
{
        uint32_t awake = AMB_REST_AWAKE;

        if (!amb_load_ordered(&channel->waiting))
                return;
        __atomic_compare_exchange_n(&channel->rest, &awake, AMB_REST_ASKED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        /* Once: who is not reached by it is asked again. */
        host_prod(channel);
}

void amb_channel_shutdown(struct amb_channel *channel)
{
        if (amb_channel_foreign(channel))
                return;
        if (channel->role == AMB_CHANNEL_HOST) {
                amb_exchange(&channel->ended, 1);
                amb_channel_rouse(channel);
                return;
        }
        amb_channel_end(channel, false);
        layout_wake_callers(&channel->memory->header);
}

void amb_channel_terminate(struct amb_channel *channel)
{
        uint32_t live = 0;

        if (channel->role != AMB_CHANNEL_HOST || amb_channel_foreign(channel))
                return;
        if (!__atomic_compare_exchange_n(&channel->terminated, &live, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                return;
        amb_exchange(&channel->memory->header.terminated, 1);
        /* As amb_channel_rouse(), but until it is said: the thread may wait again afterwards. */
        while (amb_load_ordered(&channel->terminated) == 1 && amb_load_ordered(&channel->waiting)) {
                host_prod(channel);
                sched_yield();
        }
        host_call_back(channel);
}

bool amb_channel_terminated(const struct amb_channel *channel)
{
        return !amb_channel_foreign(channel) && amb_load_ordered(&channel->memory->header.terminated) != 0;
}

void amb_channel_set_unlocked(struct amb_channel *channel)
{
        amb_store(&channel->memory->header.unlocked, 1);
}

bool amb_channel_unlocked(const struct amb_channel *channel)
{
        return !amb_channel_foreign(channel) && amb_load(&channel->memory->header.unlocked) != 0;
}

void amb_channel_set_borrows(struct amb_channel *channel)
{
        amb_store(&channel->memory->header.borrows, 1);
}

bool amb_channel_borrows(const struct amb_channel *channel)
{
        return !amb_channel_foreign(channel) && amb_load(&channel->memory->header.borrows) != 0;
}

/* By the word: a thread of ours that has taken it will make its system call. */
static void callers_wake(struct amb_channel *channel)
{
        for (unsigned i = 0; i < AMB_CHANNEL_SLOTS; ++i)
                amb_futex_wake(&channel->memory->header.caller_asleep[i]);
}

void amb_channel_end_calls(struct amb_channel *channel)
{
        uint32_t open = 0;

        if (channel->role != AMB_CHANNEL_HOST || amb_channel_foreign(channel))
                return;
        /* Never over a close. The app may have written anything: then it does not want to know. */
        __atomic_compare_exchange_n(&channel->memory->header.closed, &open, AMB_LAYOUT_CALLS_OVER, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        callers_wake(channel);
}

void amb_channel_close(struct amb_channel *channel)
{
        if (channel->role != AMB_CHANNEL_HOST || amb_channel_foreign(channel))
                return;
        amb_exchange(&channel->ended, 1);
        amb_channel_rouse(channel);
        /* Under the lock: no completion is published after the word. */
        pthread_mutex_lock(&channel->completion_lock);
        amb_exchange(&channel->gone, 1);
        amb_exchange(&channel->memory->header.closed, AMB_LAYOUT_CLOSED);
        pthread_mutex_unlock(&channel->completion_lock);
        amb_futex_wake(&channel->memory->header.flusher_asleep);
        callers_wake(channel);
}

struct amb_channel *amb_channel_free(struct amb_channel *channel)
{
        bool foreign;

        if (!channel)
                return NULL;
        foreign = amb_channel_foreign(channel);
        if (!foreign) {
                amb_channel_close(channel);
                if (channel->role == AMB_CHANNEL_APP)
                        amb_completion_detach(channel);
                pthread_mutex_destroy(&channel->slot_lock);
                pthread_cond_destroy(&channel->slot_freed);
                pthread_mutex_destroy(&channel->completion_lock);
                amb_turn_destroy(&channel->turn);
                if (channel->mapped_by_us)
                        munmap(channel->memory, sizeof(struct amb_layout));
        }
        amb_overflow_clear(&channel->overflow);
        free(channel);
        return NULL;
}

void amb_channel_counters(struct amb_channel *channel, struct amb_channel_counters *ret)
{
        struct amb_channel_counters counters = {
                .calls = channel->role == AMB_CHANNEL_APP ? amb_load(&channel->next_position) : amb_load(&channel->position),
                .sleeps = amb_load(&channel->sleeps),
                .wakes = amb_load(&channel->wakes),
        };

        if (!amb_channel_foreign(channel)) {
                pthread_mutex_lock(&channel->completion_lock);
                counters.completions = channel->completion_count;
                counters.overflowed = channel->overflow.total;
                counters.dropped = channel->overflow.dropped;
                pthread_mutex_unlock(&channel->completion_lock);
        }
        *ret = counters;
}
