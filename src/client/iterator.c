/* SPDX-License-Identifier: Apache-2.0 */
#include <IOKit/IOKitLib.h>

#include "client/iterator.h"

struct snapshot_iterator {
        struct amb_iterator iterator;
        pthread_mutex_t lock;
        struct amb_ids ids;
        size_t position;
        bool walk;                      /* made by amb_walk(root, options) */
        uint64_t root;
        uint32_t options;
};

static struct snapshot_iterator *snapshot_of(struct amb_iterator *iterator)
{
        return amb_container_of(iterator, struct snapshot_iterator, iterator);
}

static uint64_t snapshot_next(struct amb_iterator *iterator)
{
        struct snapshot_iterator *snapshot = snapshot_of(iterator);
        uint64_t id = 0;

        pthread_mutex_lock(&snapshot->lock);
        if (snapshot->position < snapshot->ids.count)
                id = snapshot->ids.list[snapshot->position++];
        pthread_mutex_unlock(&snapshot->lock);
        return id;
}

static void snapshot_reset(struct amb_iterator *iterator)
{
        struct snapshot_iterator *snapshot = snapshot_of(iterator);
        struct amb_ids ids = { 0 };
        bool fresh = snapshot->walk && amb_walk(snapshot->root, snapshot->options, &ids) == 0;

        pthread_mutex_lock(&snapshot->lock);
        snapshot->position = 0;
        if (fresh) {
                amb_ids_clear(&snapshot->ids);
                snapshot->ids = ids;
        }
        pthread_mutex_unlock(&snapshot->lock);
}

static bool snapshot_valid(struct amb_iterator *iterator)
{
        struct snapshot_iterator *snapshot = snapshot_of(iterator);
        AMB_IDS ids = { 0 };
        bool valid;

        if (!snapshot->walk)
                return true;
        if (amb_walk(snapshot->root, snapshot->options, &ids) < 0)
                return false;
        pthread_mutex_lock(&snapshot->lock);
        valid = ids.count == snapshot->ids.count &&
                (ids.count == 0 || memcmp(ids.list, snapshot->ids.list, ids.count * sizeof(*ids.list)) == 0);
        pthread_mutex_unlock(&snapshot->lock);
        return valid;
}

static void snapshot_free(struct amb_target *target)
{
        struct snapshot_iterator *snapshot = amb_container_of(target, struct snapshot_iterator, iterator.target);

        amb_ids_clear(&snapshot->ids);
        pthread_mutex_destroy(&snapshot->lock);
        free(snapshot);
}

static const struct amb_target_class snapshot_class = { .kind = AMB_HANDLE_ITERATOR, .free = snapshot_free };

static struct snapshot_iterator *snapshot_new(struct amb_ids *ids)
{
        struct snapshot_iterator *snapshot;

        snapshot = calloc(1, sizeof(*snapshot));
        if (!snapshot) {
                amb_ids_clear(ids);
                return NULL;
        }
        amb_target_init(&snapshot->iterator.target, &snapshot_class);
        pthread_mutex_init(&snapshot->lock, NULL);
        snapshot->iterator.next = snapshot_next;
        snapshot->iterator.reset = snapshot_reset;
        snapshot->iterator.valid = snapshot_valid;
        snapshot->ids = *ids;
        *ids = (struct amb_ids){ 0 };
        return snapshot;
}

static mach_port_t snapshot_publish(struct snapshot_iterator *snapshot)
{
        mach_port_t handle;

        if (snapshot && amb_handle_new(&snapshot->iterator.target, &handle) == 0)
                return handle;
        if (snapshot)
                amb_target_unref(snapshot);
        return MACH_PORT_NULL;
}

mach_port_t amb_iterator_of_ids(struct amb_ids *ids)
{
        return snapshot_publish(snapshot_new(ids));
}

int amb_iterator_of_walk(uint64_t entry, uint32_t options, mach_port_t *ret)
{
        struct snapshot_iterator *snapshot;
        struct amb_ids ids = { 0 };
        mach_port_t handle;
        int r;

        r = amb_walk(entry, options, &ids);
        if (r < 0)
                return r;
        snapshot = snapshot_new(&ids);
        if (snapshot) {
                snapshot->walk = true;
                snapshot->root = entry;
                snapshot->options = options;
        }
        handle = snapshot_publish(snapshot);
        if (!handle)
                return -ENOMEM;
        *ret = handle;
        return 0;
}

/* --- walking --- */

static int ids_add(struct amb_ids *ids, uint64_t id)
{
        uint64_t *list = ids->list;

        if ((ids->count & (ids->count - 1)) == 0) {
                list = realloc(list, (ids->count ? ids->count * 2 : 1) * sizeof(*list));
                if (!list)
                        return -ENOMEM;
                ids->list = list;
        }
        list[ids->count++] = id;
        return 0;
}

static bool ids_have(const struct amb_ids *ids, uint64_t id)
{
        for (size_t i = 0; i < ids->count; i++)
                if (ids->list[i] == id)
                        return true;
        return false;
}

/*
 * Pre-order with a stack of our own: the registry's depth is not ours to trust. An entry that has gone meanwhile has nothing
 * below it. An entry met twice is listed twice, and entered once.
 */
int amb_walk(uint64_t entry, uint32_t options, struct amb_ids *ret)
{
        AMB_IDS found = { 0 }, entered = { 0 }, stack = { 0 };
        uint64_t id = entry;
        int r;

        for (;;) {
                AMB_SNAPSHOT snapshot = { 0 };
                kern_return_t code = KERN_SUCCESS;

                if ((id == entry || (options & kIORegistryIterateRecursively)) && !ids_have(&entered, id)) {
                        const struct amb_ids *next;

                        r = ids_add(&entered, id);
                        if (r == 0)
                                r = amb_remote_entry(id, &code, &snapshot);
                        next = options & kIORegistryIterateParents ? &snapshot.parents : &snapshot.children;
                        for (size_t i = next->count; r == 0 && i > 0; i--)
                                r = ids_add(&stack, next->list[i - 1]);
                        if (r < 0)
                                return r;
                }
                if (stack.count == 0)
                        break;
                id = stack.list[--stack.count];
                r = ids_add(&found, id);
                if (r < 0)
                        return r;
        }
        *ret = found;
        found = (struct amb_ids){ 0 };
        return 0;
}

/* --- the calls --- */

io_object_t IOIteratorNext(io_iterator_t handle)
{
        struct amb_iterator *iterator;
        mach_port_t object = IO_OBJECT_NULL;
        uint64_t id;

        if (amb_handle_get(handle, AMB_HANDLE_ITERATOR, &iterator))
                return IO_OBJECT_NULL;
        id = iterator->next(iterator);
        if (id)
                object = amb_handle_of_entry(id);
        amb_target_unref(iterator);
        return object;
}

void IOIteratorReset(io_iterator_t handle)
{
        struct amb_iterator *iterator;

        if (amb_handle_get(handle, AMB_HANDLE_ITERATOR, &iterator))
                return;
        iterator->reset(iterator);
        amb_target_unref(iterator);
}

boolean_t IOIteratorIsValid(io_iterator_t handle)
{
        struct amb_iterator *iterator;
        bool valid;

        if (amb_handle_get(handle, AMB_HANDLE_ITERATOR, &iterator))
                return FALSE;
        valid = iterator->valid(iterator);
        amb_target_unref(iterator);
        return valid;
}
