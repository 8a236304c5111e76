/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/pool.h"
#include "driver/rest.h"

void amb_rest_init(struct amb_rest *rest)
{
        amb_list_init(&rest->handlers);
        rest->running = 0;
}

struct amb_rest_handler *amb_rest_handler_new(void *context, void (*function)(void *), void (*after)(void *), void *object)
{
        struct amb_rest_handler *h = calloc(1, sizeof(*h));

        if (h)
                *h = (struct amb_rest_handler){ .context = context, .function = function, .after = after, .object = object };
        return h;
}

void amb_rest_take(struct amb_rest *rest, struct amb_link *ready)
{
        struct amb_rest_handler *h, *following;

        if (rest->running > 0)
                return;
        amb_list_for_safe(h, following, &rest->handlers, link) {
                amb_link_remove(&h->link);
                amb_list_append(ready, &h->link);
        }
}

static void rest_handler_run(void *context)
{
        struct amb_rest_handler h = *(struct amb_rest_handler *)context;

        free(context);
        if (h.function)
                h.function(h.context);
        if (h.after)
                h.after(h.object);
}

void amb_rest_run(struct amb_link *ready)
{
        struct amb_rest_handler *h, *following;

        amb_list_for_safe(h, following, ready, link) {
                amb_link_remove(&h->link);
                /* What is ours alone wakes nobody up for it. */
                if ((h->function ? amb_pool_run : amb_pool_run_after)(rest_handler_run, h) < 0)
                        rest_handler_run(h);    /* no memory: better on this thread than never */
        }
}
