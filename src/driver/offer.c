/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory on its way to the app: MAP's answer and the extents behind it (channel/side.h). The first ones go with the answer, others
 * when the app asks for them: so nobody here waits for the app, and the socket never has to hold many. What the app has not got yet
 * holds the memory; of that there is one per connection at most.
 */
#include <fcntl.h>

#include "driver/connection-private.h"

static void offer_clear(struct amb_offer *offer)
{
        OSObject_release(offer->memory);
        free(offer->extents);
        *offer = (struct amb_offer){ 0 };
}

/*
 * Under the lock. The file of the last extent goes out when the memory has been let go of: the app has its mapping then, and may
 * ask the driver at once how many references there are.
 */
static int last_send(struct amb_connection *c, const struct amb_side_message *message, int fd)
{
        AMB_FD copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

        if (copy >= 0) {
                OSObject_release(c->offer.memory);
                c->offer.memory = NULL;
        }
        return amb_side_send(c->side, message, copy >= 0 ? copy : fd, false);
}

/* Under the lock: the answer and the next extents. Leaves in *done what is not needed any more. Returns as amb_side_send. */
static int offer_send(struct amb_connection *c, struct amb_side_message *answer, struct amb_offer *done)
{
        struct amb_offer *offer = &c->offer;
        int r = AMB_SIDE_GONE;

        c->pending--;
        answer->id = offer->count - offer->next;
        if (c->side >= 0)
                r = amb_side_send(c->side, answer, -1, false);
        for (uint32_t i = 0; i < AMB_SIDE_EXTENTS_AT_ONCE && offer->next < offer->count && r == 0; i++) {
                const struct amb_memory_extent *extent = &offer->extents[offer->next++];
                struct amb_side_message message = {
                        .kind = AMB_SIDE_EXTENT, .serial = answer->serial, .size = extent->length, .offset = extent->offset,
                };

                r = offer->next < offer->count ? amb_side_send(c->side, &message, extent->fd, false) :
                                                 last_send(c, &message, extent->fd);
        }
        if (r != 0 || offer->next == offer->count) {
                *done = *offer;
                *offer = (struct amb_offer){ 0 };
        }
        return r;
}

void amb_connection_offer(struct amb_connection *c, struct amb_side_message *answer, IOMemoryDescriptor *memory,
                          struct amb_memory_extent *extents, uint32_t count)
{
        struct amb_offer done = { 0 };
        int r;

        pthread_mutex_lock(&c->lock);
        offer_clear(&c->offer);
        c->offer = (struct amb_offer){ .memory = memory, .extents = extents, .count = count };
        r = offer_send(c, answer, &done);
        pthread_mutex_unlock(&c->lock);
        offer_clear(&done);
        amb_connection_sent(c, r);
}

void amb_connection_offer_more(struct amb_connection *c, uint32_t serial)
{
        struct amb_side_message answer = { .kind = AMB_SIDE_ANSWER, .serial = serial };
        struct amb_offer done = { 0 };
        bool none;
        int r = 0;

        pthread_mutex_lock(&c->lock);
        none = !c->offer.extents;
        if (!none)
                r = offer_send(c, &answer, &done);
        pthread_mutex_unlock(&c->lock);
        if (none) {
                answer.code = kIOReturnBadArgument;
                amb_connection_answer(c, &answer, -1);
                return;
        }
        offer_clear(&done);
        amb_connection_sent(c, r);
}

void amb_connection_offer_end(struct amb_connection *c)
{
        struct amb_offer offer;

        pthread_mutex_lock(&c->lock);
        offer = c->offer;
        c->offer = (struct amb_offer){ 0 };
        pthread_mutex_unlock(&c->lock);
        offer_clear(&offer);
}
