/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include "client/copied.h"
#include "client/exchange.h"

void amb_copied_free(struct amb_copied *copied)
{
        amb_link_remove(&copied->link);
        if (copied->view)
                munmap(copied->view, copied->view_size);
        free(copied->agreed);
        free(copied);
}

/* [from, to) of the app is from now on like the bytes at `at`. */
int amb_copied_add(struct amb_link *list, uintptr_t from, uintptr_t to, uint8_t *at, bool from_host, struct amb_copied **ret)
{
        AMB_FREE struct amb_copied *copied = calloc(1, sizeof(*copied));
        AMB_FREE uint8_t *agreed = malloc(to - from);
        int r;

        if (!copied || !agreed)
                return -ENOMEM;
        r = amb_exchange_read(agreed, from, to - from);
        if (r < 0)
                return r;
        memcpy(at, agreed, to - from);
        *copied = (struct amb_copied){ .address = from, .length = to - from, .at = at, .from_host = from_host };
        copied->agreed = amb_steal(agreed);
        amb_list_append(list, &copied->link);
        if (ret)
                *ret = copied;
        amb_steal(copied);
        return 0;
}

/*
 * Bytes of one piece: the app's changes go to the file, the host's to the app. -EFAULT: the app does not have the memory any more.
 */
static int merge(struct amb_copied *c, size_t at, size_t length)
{
        uint8_t app[4096], file[4096];
        int r = amb_exchange_read(app, c->address + at, length);

        if (r < 0)
                return r;
        memcpy(file, c->at + at, length);       /* once: the host may be writing */
        if (memcmp(app, c->agreed + at, length) == 0 && (!c->from_host || memcmp(file, app, length) == 0))
                return 0;
        for (size_t i = 0, from = length; i <= length && r == 0; i++) {
                bool theirs = i < length && app[i] == c->agreed[at + i] && c->from_host && file[i] != app[i];

                if (i < length && app[i] != c->agreed[at + i])
                        c->agreed[at + i] = c->at[at + i] = app[i];
                if (theirs && from == length)
                        from = i;
                if (!theirs && from < length) {
                        r = amb_exchange_write(c->address + at + from, file + from, i - from);
                        memcpy(c->agreed + at + from, file + from, i - from);
                        from = length;
                }
        }
        return r;
}

void amb_copied_sync(struct amb_link *list)
{
        struct amb_copied *copied, *next;

        amb_list_for_safe(copied, next, list, link) {
                size_t at = 0, piece;

                for (; at < copied->length; at += piece) {
                        piece = copied->length - at < 4096 ? copied->length - at : 4096;
                        if (merge(copied, at, piece) < 0)
                                break;
                }
                if (at < copied->length)
                        amb_copied_free(copied);
        }
}
