/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The channel: calls, replies and completions of one connection, in one sealed memfd that app and host share.
 *
 * What it promises
 *      A hot call costs no system call, no allocation and no lock: one cache line travels each way (layout.h). An idle channel
 * wakes
 *      nobody. A call ends when it is answered, when the host dies or takes no more calls, or when the channel is shut down;
 * nothing
 *      else ends it.
 *      Completions keep their order, never block the driver, and are not dropped below AMB_CHANNEL_OVERFLOW_LEAST waiting ones,
 * unless
 *      other apps leave hundreds of megabytes of theirs unread (overflow.h). They go
 *      on after a termination and after the end of the calls, until the app detaches or dies.
 *
 * Who owns what
 *      The daemon creates the memfd and keeps at most a bell (one page) of it. App and host each attach once. Nothing in the memory
 *      belongs to both: every word has one writer, except the wake-up words, which are only hints. There is no lock in it.
 *      A `struct amb_channel` is private to its process; free it when no other thread is in a function of it any more (shut down
 * first).
 *
 * Which thread
 *      App: any number of threads in amb_channel_call() and in the completion functions.
 *      Host: ONE thread in amb_channel_receive(); any number in all the rest, in any order.
 *
 * What the peer may do wrong
 *      Anything, at any time: rewrite a word between two reads, punch holes, send wrong counts, sizes, sequence numbers, wake
 * nobody or
 *      wake for ever. Whatever is read is copied out once with atomic loads, checked, then used; indices of one's own are private.
 *      Violations end the channel: AMB_CHANNEL_BROKEN once (amb_channel_reason() says why), AMB_CHANNEL_CLOSED afterwards.
 *      A peer that stops waking us can only hurt itself: the host's thread then sleeps until amb_channel_shutdown(), an app's
 * caller
 *      looks at the host's pidfd every 100 ms.
 *
 * fork(): the mapping is not inherited. In the child of an app all functions return AMB_CHANNEL_CLOSED and amb_channel_free()
 * frees.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/base.h"

#define AMB_CHANNEL_SCALARS 16u                 /* at most, in each direction and in a completion */
#define AMB_CHANNEL_BYTES 4096u                 /* structure bytes that travel inline, in each direction */
#define AMB_CHANNEL_REFERENCES 8u
#define AMB_CHANNEL_SLOTS 64u                   /* calls in progress on one connection; further callers wait their turn */
#define AMB_CHANNEL_PORTS 64u                   /* notification ports of one connection at a time */
/*
 * A port's name: an index, 0..63, in the low 8 bits; above it a number of the app's choice, which comes back unchanged, so that a
 * late completion for the index's former owner can be told from one for the present owner.
 */
#define AMB_CHANNEL_PORT_INDEX(name) ((name) & 0xFFu)
#define AMB_CHANNEL_VARIABLE 0xFFFFFFFFu        /* call.capacity: output of any length (sync calls) */
#define AMB_CHANNEL_OVERFLOW_BYTES (24u << 20)  /* of completions that the host keeps for an app that does not read */
#define AMB_CHANNEL_OVERFLOW_LEAST 100000u      /* so many of them fit, whatever is in them */

/* The documented "no" of the functions below; each says which it may give. */
enum amb_channel_no {
        AMB_CHANNEL_CLOSED = 1,                 /* shut down, closed by the host, or host dead: nothing was sent */
        AMB_CHANNEL_PEER_DIED,                  /* the call had been sent; it will never be answered (MIG_SERVER_DIED) */
        AMB_CHANNEL_BROKEN,                     /* the peer broke the protocol; said once, then AMB_CHANNEL_CLOSED */
        AMB_CHANNEL_EMPTY,                      /* no completion just now */
        AMB_CHANNEL_NO_MORE,                    /* no completion now or ever */
        AMB_CHANNEL_REFUSED,                    /* this fd is not a channel: seals, size or kind */
        AMB_CHANNEL_DROPPED,                    /* too many completions wait: this one is lost */
        AMB_CHANNEL_TERMINATED,                 /* the user client is terminated: the driver will not see (app) another call */
        AMB_CHANNEL_RESTS,                      /* nothing to do for the thread that receives: it may go */
};

enum amb_channel_role { AMB_CHANNEL_APP, AMB_CHANNEL_HOST };

struct amb_channel;
struct amb_bell;

/* --- daemon --- */

/*
 * A new memfd: 0600, NOEXEC_SEAL where the kernel has it, of the fixed size, sealed SHRINK|GROW|SEAL, CLOEXEC. The caller owns it.
 */
int amb_channel_create(int *ret_fd);

/* The daemon's view: one page; the fd may be closed afterwards. REFUSED. The bell is only a mapping: no memory of its own. */
int amb_bell_map(int fd, struct amb_bell **ret);
struct amb_bell *amb_bell_unmap(struct amb_bell *bell);
AMB_DEFINE_CLEANUP(struct amb_bell, amb_bell_unmap)

/* The host is dead: says so in the memory and wakes every caller of the app. Never blocks; any number of times. */
void amb_bell_ring_dead(struct amb_bell *bell);

/* --- both sides --- */

struct amb_channel_options {
        /* App: the host's pidfd, borrowed until the channel is freed; -1: only the bell and close tell of the host's end. */
        int peer_pidfd;
        /*
         * Host: somebody of the app sleeps on notification port `port` (0..AMB_CHANNEL_PORTS - 1) and a completion for it has been
         * published: write that port's eventfd, non-blocking. Called on any thread that calls complete, flush or receive, with the
         * channel's completion lock held: do not call the channel from it. `port` is the index alone. May be NULL.
         */
        void (*wake)(void *userdata, uint32_t port);
        /*
         * Host: completions are kept from now on: start one thread in amb_channel_flush_all(). Once for each time it has returned;
         * false: no thread could be started, ask again at the next one. Called as `wake` is. May be NULL: then only receive,
         * complete and flush move what is kept.
         */
        bool (*kept)(void *userdata);
        /*
         * A channel at rest, see amb_channel_rest(). App: a request has been published, and nobody over there waits for it: see
         * that somebody calls receive; on the caller's thread. Host: there is something for receive to say. On any thread that
         * ends, terminates or completes; also when a thread is on its way already.
         */
        void (*knock)(void *userdata);
        void (*roused)(void *userdata);
        void *userdata;
};

/*
 * Maps the channel after checking kind (tmpfs), seals and size: REFUSED when one is wrong. The fd stays the caller's and is not
 * needed any more. Each role attaches once in the life of a memfd: positions start at zero.
 */
int amb_channel_attach(int fd, enum amb_channel_role role, const struct amb_channel_options *options, struct amb_channel **ret);

/*
 * The same on memory that the caller has mapped (amb_channel_size() bytes, page-aligned) and unmaps after the free: for tests,
 * where both roles live on ONE mapping so that the thread sanitizer sees what they do to each other.
 */
int amb_channel_attach_mapping(void *memory, enum amb_channel_role role, const struct amb_channel_options *options,
                               struct amb_channel **ret);
size_t amb_channel_size(void);

/*
 * Ends this side's waiting; any thread but the completion `wake` callback, any number of times.
 *      Host: amb_channel_receive() returns CLOSED, now and ever; replies and completions may still be sent.
 *      App: calls that wait return PEER_DIED (sent) or CLOSED (not sent); later ones CLOSED.
 */
void amb_channel_shutdown(struct amb_channel *channel);

/*
 * Host: is every call that the app has sent so far (before what has made the caller ask) taken, and the thread that takes them
 * waiting for the next? Any thread. A call whose receiver has let another thread take its place may still be in progress.
 */
bool amb_channel_idle(struct amb_channel *channel);

/*
 * Host, when receive has ended and every call that it gave out has been answered: says so. Callers whose calls nobody has taken
 * return PEER_DIED, later ones CLOSED; completions go on. Any number of times.
 */
void amb_channel_end_calls(struct amb_channel *channel);

/*
 * --- rest ---
 * Host: nobody needs to wait in amb_channel_receive() for an app that says nothing. A channel at rest has no thread: the app's next
 * request makes its `knock` be called, which gets a thread into receive, by whatever way the two have. receive says RESTS when its
 * thread may go: from then on it has to be called again after a knock and after `roused`, by one thread at a time as ever.
 *
 * rest: from the start, before the app has the channel.
 * rest_next: receive says RESTS as soon as it finds nothing to do, without waiting. For the thread that receives.
 * rest_ask: the same for a thread that waits just now; no other one hears of it. Any thread.
 */
void amb_channel_rest(struct amb_channel *channel);
void amb_channel_rest_next(struct amb_channel *channel);
void amb_channel_rest_ask(struct amb_channel *channel);

/*
 * Host: says that no reply and no completion will come any more, and wakes all callers: they return PEER_DIED, later ones CLOSED.
 */
void amb_channel_close(struct amb_channel *channel);

/*
 * Host: the user client is terminated. Calls that come from now on get TERMINATED without a reply of the driver's; those in
 * progress go on, and so do completions. amb_channel_receive() says TERMINATED once. Any thread, any number of times.
 */
void amb_channel_terminate(struct amb_channel *channel);
/* App: has the host said so? */
bool amb_channel_terminated(const struct amb_channel *channel);

/*
 * Host, before the app has the channel: a close is not to wait for calls in progress (call-path 3.9). The channel only carries it.
 * App: is it so?
 */
void amb_channel_set_unlocked(struct amb_channel *channel);
bool amb_channel_unlocked(const struct amb_channel *channel);

/* The same for: the driver can ask for the app's memory by itself, at any time (loan.h), so there must be somebody to be asked. */
void amb_channel_set_borrows(struct amb_channel *channel);
bool amb_channel_borrows(const struct amb_channel *channel);

/* Host: the app's process is dead. Kept completions are dropped, further ones are CLOSED. Any thread. */
void amb_channel_peer_gone(struct amb_channel *channel);

/*
 * Host: includes close. App: says that no completion will be read any more. No other thread may be inside. NULL is fine; returns
 * NULL.
 */
struct amb_channel *amb_channel_free(struct amb_channel *channel);
AMB_DEFINE_CLEANUP(struct amb_channel, amb_channel_free)

/* Why BROKEN was returned: a constant string, "" while nothing is broken. */
const char *amb_channel_reason(struct amb_channel *channel);

/* For tools; relaxed, each side counts its own. */
struct amb_channel_counters {
        uint64_t calls;                         /* app: sent; host: received */
        uint64_t completions;                   /* app: taken; host: published (in the ring) */
        uint64_t overflowed;                    /* host: completions that had to wait for room */
        uint64_t dropped;                       /* host: lost: too many waited */
        uint64_t sleeps;                        /* times a thread of this side went to sleep for the peer */
        uint64_t wakes;                         /* times it woke the peer */
};
void amb_channel_counters(struct amb_channel *channel, struct amb_channel_counters *ret);

/* --- calls --- */

/*
 * A structure argument of more than 4096 bytes: the app's own memory, to be asked for under the ticket `id` (loan.h); it begins at
 * `offset` inside its first page. Or, `file` not 0: the host has it already, at `offset` of that file. The channel only carries it.
 */
struct amb_range {
        uint32_t id;
        uint64_t offset, length;
        uint32_t file;
};

enum {
        AMB_CALL_ASYNC = 1u << 0,               /* port and reference are meant */
        AMB_CALL_RANGE_IN = 1u << 1,            /* structure input is in range_in; size is 0 */
        AMB_CALL_RANGE_OUT = 1u << 2,           /* structure output goes to range_out; capacity is 0 */
};

enum {
        AMB_REPLY_BYTES = 1u << 0,              /* the driver set a data object: size bytes (0 is possible) */
        /* variable output above 4096 bytes: `length` bytes come over the side socket as out_region */
        AMB_REPLY_LARGE = 1u << 1,
        AMB_REPLY_IN_RETAINED = 1u << 2,        /* the driver keeps range_in: the ticket goes on after the call */
        AMB_REPLY_OUT_RETAINED = 1u << 3,
        /* alone, with status 0: the driver has not seen the call; the app's side says TERMINATED */
        AMB_REPLY_TERMINATED = 1u << 4,
};

/*
 * What the app sends, and where the outputs go. Limits are the caller's to keep (-EINVAL): the face applies the contract's rules.
 */
struct amb_call {
        uint32_t selector;
        uint32_t flags;                         /* AMB_CALL_* */
        uint32_t scalar_count;                  /* 0..16 in `scalars` */
        uint32_t scalar_capacity;               /* 0..16 in `scalars_out` */
        const uint64_t *scalars;
        uint64_t *scalars_out;
        const void *bytes;                      /* structure input, inline */
        void *bytes_out;                        /* room for min(capacity, 4096) bytes */
        uint32_t size;                          /* 0..4096 */
        uint32_t capacity;                      /* 0..4096, or AMB_CHANNEL_VARIABLE */
        struct amb_range range_in, range_out;
        uint32_t port;                          /* async: a port's name */
        uint64_t reference[AMB_CHANNEL_REFERENCES];
};

struct amb_reply {
        /* the driver's code; nothing below is meant unless it is 0, RETAINED flags excepted */
        int32_t status;
        uint32_t flags;                         /* AMB_REPLY_* */
        uint32_t scalar_count;                  /* written to scalars_out; <= scalar_capacity */
        uint32_t size;                          /* written to bytes_out (with AMB_REPLY_BYTES); <= capacity and <= 4096 */
        uint32_t out_region;                    /* AMB_REPLY_LARGE */
        uint64_t length;
};

/*
 * App: one call, start to end. Output buffers are written only when 0 is returned and reply.status is 0, and no further than the
 * reply says. 0, CLOSED, PEER_DIED, BROKEN, TERMINATED; -EINVAL: the call is out of limits, nothing was sent. Any thread; not from
 * a signal handler.
 */
int amb_channel_call(struct amb_channel *channel, const struct amb_call *call, struct amb_reply *ret);

/* The same for scalars alone, the hottest path: everything in registers. */
struct amb_answer {
        int32_t no;                             /* what amb_channel_call returns */
        int32_t status;                         /* the rest: as in struct amb_reply, if `no` is 0 */
        uint32_t flags;
        uint32_t scalar_count;
};
struct amb_answer amb_channel_call_scalars(struct amb_channel *channel, uint32_t selector, const uint64_t *scalars,
                                           uint32_t scalar_count, uint64_t *scalars_out, uint32_t scalar_capacity);

/* A private, checked copy of a call. Fields mean what they mean in struct amb_call. */
struct amb_request {
        uint32_t selector;
        uint32_t flags;
        uint32_t scalar_count;
        uint32_t scalar_capacity;
        uint32_t size;                          /* bytes that receive wrote to `bytes` */
        uint32_t capacity;
        uint32_t port;
        uint32_t slot, tag;                     /* the channel's own: where the answer goes */
        uint32_t cpu;                           /* where the caller was, or anything else */
        uint64_t scalars[AMB_CHANNEL_SCALARS];  /* zeros beyond scalar_count */
        /* Meant with their flag alone, and then any value at all: check before use. */
        struct amb_range range_in, range_out;
        uint64_t reference[AMB_CHANNEL_REFERENCES];
};

/*
 * Host: waits for the next call and takes it. The thread may find itself kept on, or off, a CPU afterwards (pace.h): who gives it
 * away, or lets another one receive, calls amb_place_home(). `bytes` has room for AMB_CHANNEL_BYTES; exactly request.size of them
 * are written. NULL: they stay where they are, for amb_channel_bytes(), once, before the answer. Checked: counts <= 16, size <=
 * 4096, capacity <= 4096 or VARIABLE (sync only), known flags, port, and that no more than AMB_CHANNEL_SLOTS requests of this
 * channel are unanswered at any time. 0, CLOSED, BROKEN, RESTS; TERMINATED, once, after amb_channel_terminate(): calls go on coming
 * and are to be answered with AMB_REPLY_TERMINATED.
 */
int amb_channel_receive(struct amb_channel *channel, struct amb_request *ret, void *bytes);
/*
 * Host: copies the structure input, request->size bytes, of a call that was received without `bytes` and has not been answered.
 * Once: the app can write there, so a second copy may be another one.
 */
void amb_channel_bytes(struct amb_channel *channel, const struct amb_request *request, void *bytes);

struct amb_result {
        int32_t status;                         /* not 0: only status and RETAINED flags travel */
        uint32_t flags;                         /* AMB_REPLY_* */
        uint32_t scalar_count;                  /* <= request.scalar_capacity */
        uint32_t size;                          /* with AMB_REPLY_BYTES: <= 4096 and <= request.capacity */
        const uint64_t *scalars;
        const void *bytes;
        uint32_t out_region;
        uint64_t length;
};

/*
 * Host: answers, once, on any thread, in any order. -EINVAL: the result does not fit the request (nothing sent: answer again);
 * -EALREADY: this request has been answered. Never blocks. A request that is never answered holds one slot, no more.
 */
int amb_channel_reply(struct amb_channel *channel, const struct amb_request *request, const struct amb_result *result);
/* The same: success, and scalars alone. */
int amb_channel_reply_scalars(struct amb_channel *channel, const struct amb_request *request, const uint64_t *scalars,
                              uint32_t count);

/* --- completions --- */

struct amb_completion {
        uint32_t port;                          /* the name that came with the call */
        int32_t status;
        uint32_t count;                         /* 0..16 */
        uint64_t reference[AMB_CHANNEL_REFERENCES];     /* [0] always arrives as 0 */
        uint64_t args[AMB_CHANNEL_SCALARS];     /* zeros beyond count */
};

/*
 * Host: sends one; in order; any thread; never waits for the app. What does not fit is kept and sent when the app has drained: by
 * the thread in receive, by the next complete, by amb_channel_flush() or amb_channel_flush_all(). 0, DROPPED, CLOSED (also when
 * broken: receive says so);
 * -EINVAL: port or count.
 */
int amb_channel_complete(struct amb_channel *channel, const struct amb_completion *completion);

/* Host: moves what was kept into the room there is; any thread; cheap when there is nothing. */
void amb_channel_flush(struct amb_channel *channel);

/*
 * Host: moves what is kept as the app makes room, until nothing is kept or nobody will read it; then returns. One thread at a time:
 * the one that `kept` has asked for. Looks at the app's pidfd (-1: none) every 500 ms while it waits.
 */
void amb_channel_flush_all(struct amb_channel *channel, int app_pidfd);

/* Host: the app has destroyed this port: what is kept for it is forgotten. Any thread. */
void amb_channel_forget(struct amb_channel *channel, uint32_t port);

/* App: takes the oldest, whichever port it is for. 0, EMPTY, NO_MORE, BROKEN. Never waits. */
int amb_channel_completion_next(struct amb_channel *channel, struct amb_completion *ret);

/* App: the same for up to `most` (1 at least) that are there; *ret_count: how many, 0 unless it returns 0. */
int amb_channel_completions_take(struct amb_channel *channel, struct amb_completion *ret, uint32_t most, uint32_t *ret_count);

/* App: is one there just now? A hint for who looks often: one read, no lock; any thread. */
bool amb_channel_completion_waits(struct amb_channel *channel);

/*
 * App: asks for `wake(port)` at the next completion for this port (its index). True: nothing is in the ring, sleep on the port's
 * eventfd. False: something came meanwhile (or NO_MORE must be read): call completion_next first. One arming, one wake-up; spurious
 * ones happen. All ports share one ring: whoever takes a completion of another port hands it to that port's readers.
 */
bool amb_channel_completion_arm(struct amb_channel *channel, uint32_t port);
