/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Parts of the app's memory that cannot be shared and are kept alike by copying, at the borders of calls and completions.
 *
 * Merged byte by byte against what both sides last agreed on: what one side has changed goes to the other; if both have, the
 * app's store stays. The host may be writing at any time: its bytes are copied out once. Under the lock of loan.c.
 */
#include "base/base.h"

/* A part that is kept like the app's memory by copying. */
struct amb_copied {
        struct amb_link link;
        uintptr_t address;              /* in the app */
        size_t length;
        uint8_t *at, *agreed;           /* the file's bytes; what both sides last had */
        void *view;
        size_t view_size;
        bool from_host;                 /* the host may write it */
};

/* [from, to) of the app is from now on like the bytes at `at`, and a member of the list. -EFAULT: the app does not have it. */
int amb_copied_add(struct amb_link *list, uintptr_t from, uintptr_t to, uint8_t *at, bool from_host, struct amb_copied **ret);
void amb_copied_free(struct amb_copied *copied);
/* Brings both sides of all of them together; those that the app has no more are freed. */
void amb_copied_sync(struct amb_link *list);
