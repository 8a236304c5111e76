/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>

#include "client/mapped.h"

static struct amb_link all = AMB_LIST_INIT(all);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t generation = 1;         /* of the list */

/* What this thread asked last. */
static _Thread_local struct {
        uint64_t generation;
        const void *address;
        size_t room;
} known;

static void fork_prepare(void)
{
        pthread_mutex_lock(&lock);
}

static void fork_done(void)
{
        pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void fork_register(void)
{
        pthread_atfork(fork_prepare, fork_done, fork_done);
}

void amb_mapped_add(struct amb_mapped *mapped, const void *address, size_t length)
{
        mapped->start = (uintptr_t)address;
        mapped->length = length;
        pthread_mutex_lock(&lock);
        amb_list_append(&all, &mapped->link);
        atomic_fetch_add(&generation, 1);
        pthread_mutex_unlock(&lock);
}

void amb_mapped_remove(struct amb_mapped *mapped)
{
        pthread_mutex_lock(&lock);
        amb_link_remove(&mapped->link);
        atomic_fetch_add(&generation, 1);
        pthread_mutex_unlock(&lock);
}

size_t amb_mapped_room(const void *address)
{
        struct amb_mapped *mapped;

        if (known.address == address && known.generation == atomic_load(&generation))
                return known.room;
        pthread_mutex_lock(&lock);
        known.generation = atomic_load(&generation);
        known.address = address;
        known.room = SIZE_MAX;
        amb_list_for(mapped, &all, link)
                if ((uintptr_t)address - mapped->start < mapped->length)
                        known.room = mapped->length - ((uintptr_t)address - mapped->start);
        pthread_mutex_unlock(&lock);
        return known.room;
}
