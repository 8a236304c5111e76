/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include <IOKit/IOReturn.h>

#include "client/handle.h"

/* A handle: index in the upper 18 bits (never 0), generation in the lower 14 (never 0). */
#define GENERATION_BITS 14
#define GENERATION_MASK ((1u << GENERATION_BITS) - 1)
#define SLOTS_MAX ((1u << (32 - GENERATION_BITS)) - 1)
#define CHUNK_SLOTS 1024u
#define CHUNKS ((SLOTS_MAX + CHUNK_SLOTS) / CHUNK_SLOTS)
#define BUCKETS 4096u

/*
 * A slot's word: the handle in the upper half while it can be pinned, else 0; then the closing flag, one that says that the closer
 * does not wait, and the number of pins.
 */
#define WORD_CLOSING (1ull << 31)
#define WORD_UNATTENDED (1ull << 30)
#define WORD_PINS (WORD_UNATTENDED - 1)
_Static_assert(((1ull << (32 - GENERATION_BITS)) - 1) / CHUNK_SLOTS < CHUNKS, "slot_of_pin");

struct slot {
        _Atomic uint64_t word;
        struct amb_target *target;      /* written under the lock, and only while the word is 0 */
        uint32_t handle;                /* 0: free */
        uint32_t user_references;
        uint32_t holders;               /* threads in IOServiceClose: the slot stays theirs without user references */
        uint32_t generation;
        uint32_t next;                  /* of the free list, or of the bucket: index, 0 ends */
        bool dead;
        bool hashed;
} __attribute__((aligned(64)));

static struct {
        pthread_mutex_t lock;
        _Atomic(struct slot *) chunks[CHUNKS];
        uint32_t used;                  /* indices handed out so far */
        uint32_t free_first, free_last; /* oldest first, so that a number comes back late */
        uint32_t buckets[BUCKETS];
        struct amb_target *inherited;   /* our parents' targets, never freed */
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

void amb_target_init(struct amb_target *target, const struct amb_target_class *class)
{
        target->class = class;
        atomic_init(&target->references, 1);
        target->handle = MACH_PORT_NULL;
        target->inherited = NULL;
}

void *amb_target_ref(void *pointer)
{
        struct amb_target *target = pointer;

        atomic_fetch_add_explicit(&target->references, 1, memory_order_relaxed);
        return target;
}

void *amb_target_unref(void *pointer)
{
        struct amb_target *target = pointer;

        if (target && atomic_fetch_sub_explicit(&target->references, 1, memory_order_acq_rel) == 1)
                target->class->free(target);
        return NULL;
}

static struct slot *slot_at(uint32_t index)
{
        struct slot *chunk;

        if (index == 0 || index > SLOTS_MAX)
                return NULL;
        chunk = atomic_load_explicit(&table.chunks[index / CHUNK_SLOTS], memory_order_acquire);
        return chunk ? &chunk[index % CHUNK_SLOTS] : NULL;
}

/* Under the lock: the slot of a handle that is live or dead, else NULL. */
static struct slot *slot_of(mach_port_t handle)
{
        struct slot *slot = handle ? slot_at(handle >> GENERATION_BITS) : NULL;

        return slot && slot->handle == handle && slot->user_references > 0 ? slot : NULL;
}

static uint32_t *bucket_of(uint64_t id)
{
        return &table.buckets[(uint32_t)((id * 0x9E3779B97F4A7C15ull) >> 52) % BUCKETS];
}

static uint64_t entry_id(const struct slot *slot)
{
        return amb_container_of(slot->target, struct amb_known_entry, target)->id;
}

static void unhash(struct slot *slot)
{
        if (!slot->hashed)
                return;
        for (uint32_t *link = bucket_of(entry_id(slot)); *link; link = &slot_at(*link)->next) {
                if (slot_at(*link) != slot)
                        continue;
                *link = slot->next;
                slot->next = 0;
                slot->hashed = false;
                return;
        }
}

static int slot_take(uint32_t *ret_index)
{
        uint32_t index = table.free_first;
        struct slot *chunk;

        if (index) {
                table.free_first = slot_at(index)->next;
                if (!table.free_first)
                        table.free_last = 0;
                slot_at(index)->next = 0;
                *ret_index = index;
                return 0;
        }
        if (table.used == SLOTS_MAX)
                return -EMFILE;
        index = table.used + 1;
        if (!slot_at(index)) {
                chunk = aligned_alloc(64, CHUNK_SLOTS * sizeof(*chunk));
                if (!chunk)
                        return -ENOMEM;
                memset(chunk, 0, CHUNK_SLOTS * sizeof(*chunk));
                atomic_store_explicit(&table.chunks[index / CHUNK_SLOTS], chunk, memory_order_release);
        }
        *ret_index = table.used = index;
        return 0;
}

static int slot_fill(struct amb_target *target, struct slot **ret)
{
        struct slot *slot;
        uint32_t index;
        int r;

        r = slot_take(&index);
        if (r)
                return r;
        slot = slot_at(index);
        slot->generation = slot->generation % GENERATION_MASK + 1;
        slot->handle = index << GENERATION_BITS | slot->generation;
        slot->user_references = 1;
        slot->dead = false;
        slot->target = target;
        target->handle = slot->handle;
        *ret = slot;
        return 0;
}

static struct amb_target *slot_give_back(struct slot *slot)
{
        struct amb_target *target = slot->target;
        uint32_t index = slot->handle >> GENERATION_BITS;

        unhash(slot);
        atomic_store_explicit(&slot->word, 0, memory_order_relaxed);
        slot->handle = 0;
        slot->target = NULL;
        slot->next = 0;
        if (table.free_last)
                slot_at(table.free_last)->next = index;
        else
                table.free_first = index;
        table.free_last = index;
        return target;
}

int amb_handle_new(struct amb_target *target, mach_port_t *ret)
{
        struct slot *slot;
        int r;

        pthread_mutex_lock(&table.lock);
        r = slot_fill(target, &slot);
        if (r == 0) {
                *ret = slot->handle;
                if (target->class->kind == AMB_HANDLE_CONNECTION)
                        atomic_store_explicit(&slot->word, (uint64_t)slot->handle << 32, memory_order_release);
        }
        pthread_mutex_unlock(&table.lock);
        return amb_trace(r);
}

kern_return_t amb_handle_get_any(mach_port_t handle, struct amb_target **ret_target)
{
        kern_return_t code = MACH_SEND_INVALID_DEST;
        struct slot *slot;

        pthread_mutex_lock(&table.lock);
        slot = slot_of(handle);
        if (slot && !slot->dead) {
                *ret_target = amb_target_ref(slot->target);
                code = KERN_SUCCESS;
        }
        pthread_mutex_unlock(&table.lock);
        return code;
}

kern_return_t amb_handle_get(mach_port_t handle, enum amb_handle_kind kind, void *ret_target)
{
        struct amb_target *target;
        kern_return_t code;

        code = amb_handle_get_any(handle, &target);
        if (code)
                return code;
        if (target->class->kind != kind) {
                amb_target_unref(target);
                return kIOReturnBadArgument;
        }
        memcpy(ret_target, &target, sizeof(target));
        return KERN_SUCCESS;
}

static void entry_free(struct amb_target *target)
{
        free(amb_container_of(target, struct amb_known_entry, target));
}

static const struct amb_target_class entry_class = { .kind = AMB_HANDLE_ENTRY, .free = entry_free };

mach_port_t amb_handle_of_entry(uint64_t id)
{
        struct amb_known_entry *entry = NULL;
        mach_port_t handle = MACH_PORT_NULL;
        struct slot *slot = NULL;
        uint32_t *bucket = bucket_of(id), index;

        pthread_mutex_lock(&table.lock);
        for (index = *bucket; index; index = slot_at(index)->next)
                if (entry_id(slot_at(index)) == id)
                        break;
        if (index) {
                slot = slot_at(index);
                slot->user_references++;
                handle = slot->handle;
        } else {
                entry = calloc(1, sizeof(*entry));
                if (entry) {
                        amb_target_init(&entry->target, &entry_class);
                        entry->id = id;
                }
                if (entry && slot_fill(&entry->target, &slot) == 0) {
                        slot->hashed = true;
                        slot->next = *bucket;
                        *bucket = slot->handle >> GENERATION_BITS;
                        handle = slot->handle;
                        entry = NULL;
                }
        }
        pthread_mutex_unlock(&table.lock);
        free(entry);
        return handle;
}

kern_return_t amb_handle_retain(mach_port_t handle, bool live_only)
{
        kern_return_t code = KERN_SUCCESS;
        struct slot *slot;

        pthread_mutex_lock(&table.lock);
        slot = slot_of(handle);
        if (!slot)
                code = KERN_INVALID_NAME;
        else if (slot->dead && live_only)
                code = KERN_INVALID_RIGHT;
        else if (slot->user_references == UINT32_MAX)
                code = KERN_UREFS_OVERFLOW;
        else
                slot->user_references++;
        pthread_mutex_unlock(&table.lock);
        return code;
}

/* No user reference and no holder is left: the target is told, then the slot is free. */
static void slot_end(struct slot *slot)
{
        struct amb_target *target = slot->target;

        if (target->class->abandoned)
                target->class->abandoned(target);
        pthread_mutex_lock(&table.lock);
        target = slot_give_back(slot);
        pthread_mutex_unlock(&table.lock);
        amb_target_unref(target);
}

kern_return_t amb_handle_release(mach_port_t handle, bool live_only)
{
        kern_return_t code = KERN_SUCCESS;
        struct slot *slot;
        bool last = false;

        pthread_mutex_lock(&table.lock);
        slot = slot_of(handle);
        if (!slot) {
                code = KERN_INVALID_NAME;
        } else if (slot->dead && live_only) {
                code = KERN_INVALID_RIGHT;
        } else if (--slot->user_references == 0) {
                /* Nobody finds it any more, and it is not given out again before `abandoned` has run. */
                unhash(slot);
                last = slot->holders == 0;
        }
        pthread_mutex_unlock(&table.lock);
        if (last)
                slot_end(slot);
        return code;
}

kern_return_t amb_handle_hold(mach_port_t handle)
{
        kern_return_t code = MACH_SEND_INVALID_DEST;
        struct slot *slot;

        pthread_mutex_lock(&table.lock);
        slot = slot_of(handle);
        if (slot) {
                slot->holders++;
                code = KERN_SUCCESS;
        }
        pthread_mutex_unlock(&table.lock);
        return code;
}

void amb_handle_let_go(mach_port_t handle)
{
        struct slot *slot = slot_at(handle >> GENERATION_BITS);
        bool last;

        pthread_mutex_lock(&table.lock);
        last = --slot->holders == 0 && slot->user_references == 0;
        pthread_mutex_unlock(&table.lock);
        if (last)
                slot_end(slot);
}

uint32_t amb_handle_user_references(mach_port_t handle)
{
        struct slot *slot;
        uint32_t count;

        pthread_mutex_lock(&table.lock);
        slot = slot_of(handle);
        count = slot ? slot->user_references : 0;
        pthread_mutex_unlock(&table.lock);
        return count;
}

void amb_handle_kill(mach_port_t handle)
{
        struct slot *slot;

        pthread_mutex_lock(&table.lock);
        slot = slot_of(handle);
        if (slot) {
                unhash(slot);
                slot->dead = true;
        }
        pthread_mutex_unlock(&table.lock);
}

/* Where a handle would be if it is one: every index that its bits can name has a place in `chunks`. */
static inline struct slot *slot_of_pin(mach_port_t handle)
{
        struct slot *chunk = atomic_load_explicit(&table.chunks[(handle >> GENERATION_BITS) / CHUNK_SLOTS], memory_order_acquire);

        return chunk ? &chunk[(handle >> GENERATION_BITS) % CHUNK_SLOTS] : NULL;
}

void *amb_handle_pin(mach_port_t handle)
{
        struct slot *slot = handle ? slot_of_pin(handle) : NULL;
        uint64_t word;

        if (amb_unlikely(!slot))
                return NULL;
        word = atomic_load_explicit(&slot->word, memory_order_relaxed);
        do {
                /* The handle, and the closing flag below it is not set. */
                if (amb_unlikely(word / WORD_CLOSING != (uint64_t)handle << 1))
                        return NULL;
        } while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word + 1, memory_order_acquire,
                                                        memory_order_relaxed));
        return slot->target;
}

/* Where the kernel sleeps: the half of the word that has flag and pins. */
static uint32_t *futex_of(struct slot *slot)
{
        return (uint32_t *)&slot->word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* The closer did not wait for the pins, and has left us its hold on the slot. */
static void last_left(mach_port_t handle, struct slot *slot)
{
        /* Acquire: what those before us did inside happened before. */
        (void)atomic_load_explicit(&slot->word, memory_order_acquire);
        if (slot->target->class->left)
                slot->target->class->left(slot->target);
        amb_handle_let_go(handle);
}

AMB_APART static void unpin_closing(mach_port_t handle, struct slot *slot, uint64_t word)
{
        if ((word & WORD_PINS) != 1)
                return;
        if (word & WORD_UNATTENDED)
                last_left(handle, slot);
        else
                /* The slot may be somebody else's already; a spurious wake-up does no harm, and chunks are never freed. */
                syscall(SYS_futex, futex_of(slot), FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void amb_handle_unpin(mach_port_t handle)
{
        struct slot *slot = slot_of_pin(handle);
        uint64_t word = atomic_fetch_sub_explicit(&slot->word, 1, memory_order_release);

        if (amb_unlikely(word & WORD_CLOSING))
                unpin_closing(handle, slot, word);
}

/* Sets the flags; *ret_word: the word before. */
static int door_shut(mach_port_t handle, struct slot *slot, uint64_t flags, uint64_t *ret_word)
{
        uint64_t word;

        if (!slot)
                return AMB_HANDLE_TAKEN;
        word = atomic_load_explicit(&slot->word, memory_order_relaxed);
        do {
                if (word >> 32 != handle || (word & WORD_CLOSING))
                        return AMB_HANDLE_TAKEN;
        } while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word | flags, memory_order_acquire,
                                                        memory_order_relaxed));
        *ret_word = word;
        return 0;
}

int amb_handle_shut_now(mach_port_t handle)
{
        struct slot *slot = handle ? slot_at(handle >> GENERATION_BITS) : NULL;
        uint64_t word = 0;
        int r;

        /* For whoever leaves last. */
        if (amb_handle_hold(handle))
                return AMB_HANDLE_TAKEN;
        r = door_shut(handle, slot, WORD_CLOSING | WORD_UNATTENDED, &word);
        if (r == 0 && (word & WORD_PINS) > 0)
                return AMB_HANDLE_INSIDE;
        amb_handle_let_go(handle);
        return r;
}

int amb_handle_shut(mach_port_t handle)
{
        struct slot *slot = handle ? slot_at(handle >> GENERATION_BITS) : NULL;
        uint64_t word;

        if (door_shut(handle, slot, WORD_CLOSING, &word))
                return AMB_HANDLE_TAKEN;
        for (;;) {
                word = atomic_load_explicit(&slot->word, memory_order_acquire);
                if ((word & WORD_PINS) == 0)
                        return 0;
                syscall(SYS_futex, futex_of(slot), FUTEX_WAIT_PRIVATE, (uint32_t)word, NULL, NULL, 0);
        }
}

/* --- fork --- */

static void fork_prepare(void)
{
        pthread_mutex_lock(&table.lock);
}

static void fork_parent(void)
{
        pthread_mutex_unlock(&table.lock);
}

/* The child keeps the targets: other threads of the parent may have been inside them. */
static void inherit(struct amb_target *target)
{
        if (target->class->forked)
                target->class->forked(target);
        target->inherited = table.inherited;
        table.inherited = target;
}

static void fork_child(void)
{
        for (uint32_t index = 1; index <= table.used; index++) {
                struct slot *slot = slot_at(index);

                if (!slot->handle)
                        continue;
                slot->user_references = 0;
                inherit(slot_give_back(slot));
        }
        pthread_mutex_unlock(&table.lock);
}

__attribute__((constructor)) static void handle_start(void)
{
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}
