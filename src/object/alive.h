/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For lists that know objects without holding them: a member's free takes it off its list, under the list's lock, before anything
 * else. Who finds the object there, with that lock held, asks here whether it still lives, and then has a reference.
 */
#include <stdbool.h>

/* True: the caller has a reference. False: the last one is gone, free runs or is about to. Any thread; object is not NULL. */
bool amb_object_retain_alive(const void *object);
