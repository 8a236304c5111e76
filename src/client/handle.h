/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Handles: the 32-bit numbers that stand for everything this process holds of the registry.
 *
 * What it promises
 *      A handle names a slot and the slot's generation, so that an old number meets a new object only after 16383 rounds
 *      through all free slots. A slot counts user references (what IOObjectRetain counts); the same registry entry always has
 *      the same handle while one is held. A handle is live, dead (its object is gone, references remain) or unknown.
 *      amb_handle_pin(), the door of every call on a connection, takes no lock: one compare-and-swap on the slot's word, which
 *      holds handle, number of pins and the closing flag. A connection is closed by whoever sets that flag, once; nobody gets
 *      in afterwards, and the closer waits until those inside have left.
 *
 * Who owns what
 *      A slot holds one reference of its target from amb_handle_new() until its last user reference and its last pin are gone.
 *      Targets are counted; amb_handle_get() gives the caller a reference of its own.
 *
 * Which thread
 *      Any. One lock for everything but pins, held for a few instructions; no target's function is called under it.
 *
 * fork(): a child has none of its parent's handles. The handler walks the table and lets every target close what must not be
 * shared. The targets' memory stays, because other threads of the parent may have been inside them, and in sight of leak checkers.
 */
#include <stdatomic.h>

#include <mach/mach_types.h>

#include "base/base.h"

enum amb_handle_kind {
        AMB_HANDLE_MAIN = 1,            /* IOMainPort */
        AMB_HANDLE_ENTRY,               /* a registry entry: struct amb_known_entry */
        AMB_HANDLE_ITERATOR,
        AMB_HANDLE_CONNECTION,
        AMB_HANDLE_PORT,                /* a notification port's receive right */
        AMB_HANDLE_NOTIFICATION,        /* an interest notification */
};

struct amb_target;
struct amb_target_class {
        enum amb_handle_kind kind;
        /* The last user reference is gone; runs once, before the slot lets go. May be NULL. May wait. */
        void (*abandoned)(struct amb_target *target);
        /* The last pin has left that amb_handle_shut_now() had found inside; runs once, before the slot lets go. May be NULL. */
        void (*left)(struct amb_target *target);
        /* We are in a forked child: close descriptors, never free or lock. May be NULL. */
        void (*forked)(struct amb_target *target);
        void (*free)(struct amb_target *target);
};

/* What every target begins with. */
struct amb_target {
        const struct amb_target_class *class;
        _Atomic uint32_t references;
        mach_port_t handle;             /* its own, once it has one; never changes then */
        struct amb_target *inherited;   /* in a forked child: the next one of the parent's */
};
void amb_target_init(struct amb_target *target, const struct amb_target_class *class);          /* one reference */
void *amb_target_ref(void *target);
void *amb_target_unref(void *target);   /* NULL is fine; returns NULL */
static inline void amb_target_unrefp(void *pointer)
{
        amb_target_unref(*(void **)pointer);
}

/*
 * Gives target its handle, with one user reference. Takes over the caller's reference of target on success. -ENOMEM, -EMFILE.
 */
int amb_handle_new(struct amb_target *target, mach_port_t *ret);

/*
 * A reference of the target behind a live handle of this kind. MACH_SEND_INVALID_DEST: 0, unknown or dead;
 * kIOReturnBadArgument: of another kind. amb_handle_get_any() takes all kinds.
 */
kern_return_t amb_handle_get(mach_port_t handle, enum amb_handle_kind kind, void *ret_target);
kern_return_t amb_handle_get_any(mach_port_t handle, struct amb_target **ret_target);

/* The handle of registry entry `id`, with one user reference more; 0 without memory. */
mach_port_t amb_handle_of_entry(uint64_t id);
struct amb_known_entry {
        struct amb_target target;
        uint64_t id;                    /* constant */
};

/* User references. KERN_INVALID_NAME: unknown. KERN_INVALID_RIGHT: dead, where `live_only` asks for a live one. */
kern_return_t amb_handle_retain(mach_port_t handle, bool live_only);
kern_return_t amb_handle_release(mach_port_t handle, bool live_only);
uint32_t amb_handle_user_references(mach_port_t handle);        /* 0: unknown */

/* The object is gone: the handle is dead from now on. The slot keeps the target until the last reference is dropped. */
void amb_handle_kill(mach_port_t handle);

/* --- connections --- */

/*
 * Lock-free. NULL: no live connection, or it is being closed; amb_handle_get() then tells the code. Until unpin the target
 * stays.
 */
void *amb_handle_pin(mach_port_t handle);
void amb_handle_unpin(mach_port_t handle);

enum {
        AMB_HANDLE_TAKEN = 1,           /* another thread is closing it, or has closed it */
        AMB_HANDLE_INSIDE,              /* this thread is the closer, and there are pins */
};
/*
 * A closer keeps the slot until it lets go, even if another thread drops the last user reference meanwhile.
 * MACH_SEND_INVALID_DEST: unknown.
 */
kern_return_t amb_handle_hold(mach_port_t handle);
void amb_handle_let_go(mach_port_t handle);
/*
 * Shuts the door; for who holds the handle, or is its target's `abandoned`. 0: this thread is the closer, and after the return
 * no pin exists. AMB_HANDLE_TAKEN.
 */
int amb_handle_shut(mach_port_t handle);
/*
 * The same without a wait, for who holds the handle. AMB_HANDLE_INSIDE: the last pin calls `left`, and has the slot kept until
 * then.
 */
int amb_handle_shut_now(mach_port_t handle);
