/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output and feature reports that a driver hands in by handleReport: what its lamps and settings are now. Linux takes only input
 * reports from a device and asks for the others, so they are kept, and the base's getReport gives them.
 */
#include "hid/device.h"

/* Under the lock. */
static struct amb_hid_state *find(struct IOHIDDevice_ivars *d, IOHIDReportType type, uint8_t id)
{
        struct amb_hid_state *state;

        amb_list_for(state, &d->states, link)
                if (state->type == type && state->id == id)
                        return state;
        return NULL;
}

static void forget(struct amb_hid_state *state)
{
        amb_link_remove(&state->link);
        free(state);
}

kern_return_t amb_hid_state_set(struct IOHIDDevice_ivars *d, IOHIDReportType type, const void *bytes, uint32_t size)
{
        struct amb_hid_state *state = malloc(sizeof(*state) + size), *last;

        if (!state)
                return kIOReturnNoMemory;
        state->type = type;
        state->size = size;
        memcpy(state->bytes, bytes, size);
        pthread_mutex_lock(&d->lock);
        if (!d->started) {
                pthread_mutex_unlock(&d->lock);
                free(state);
                return kIOReturnNotReady;
        }
        state->id = d->layout.numbered[type] ? state->bytes[0] : 0;
        last = find(d, type, state->id);
        if (last)
                forget(last);
        amb_list_append(&d->states, &state->link);
        pthread_mutex_unlock(&d->lock);
        return kIOReturnSuccess;
}

uint32_t amb_hid_state_get(struct IOHIDDevice_ivars *d, IOHIDReportType type, uint8_t id, void *bytes, uint32_t size)
{
        const struct amb_hid_state *state;

        pthread_mutex_lock(&d->lock);
        state = find(d, type, id);
        if (!state)
                size = 0;
        else if (size > state->size)
                size = state->size;
        if (size > 0)
                memcpy(bytes, state->bytes, size);
        pthread_mutex_unlock(&d->lock);
        return size;
}

void amb_hid_states_free(struct IOHIDDevice_ivars *d)
{
        struct amb_hid_state *state;

        while ((state = amb_list_first(&d->states, struct amb_hid_state, link)))
                forget(state);
}
