/* SPDX-License-Identifier: Apache-2.0 */
#include "base/place.h"

/* What we have done to the calling thread. Processors beyond CPU_SETSIZE: sched_getaffinity fails, and nothing is ever placed. */
static _Thread_local struct {
        bool placed;
        unsigned wanted;                /* what was asked for last, so that asking again costs nothing */
        unsigned refused;               /* how often it will be refused again without a look */
        cpu_set_t home;                 /* while placed */
        cpu_set_t ours;
} place;

#define ON(cpu) ((cpu) * 2u)
#define OFF(cpu) ((cpu) * 2u + 1u)

enum { REFUSALS = 64 };                 /* somebody may have given the thread more processors since */

/* The thread's home, looked up while it is there or somebody else has moved it. False: not known. */
static bool find_home(cpu_set_t *ret)
{
        cpu_set_t now;

        if (sched_getaffinity(0, sizeof(now), &now) < 0)
                return false;
        if (place.placed && CPU_EQUAL(&now, &place.ours)) {
                *ret = place.home;
                return true;
        }
        place.placed = false;
        *ret = place.home = now;
        return true;
}

/* Has it been asked for just now? Then *ret is the answer. */
static bool known(unsigned wanted, bool *ret)
{
        if (wanted != place.wanted)
                return false;
        *ret = place.placed;
        return place.placed || (place.refused > 0 && place.refused-- > 0);
}

static bool go(const cpu_set_t *home, const cpu_set_t *ours, unsigned wanted)
{
        bool possible = CPU_COUNT(ours) > 0 && CPU_COUNT(home) > 1;

        place.wanted = wanted;
        if (!possible || sched_setaffinity(0, sizeof(*ours), ours) < 0) {
                amb_place_home();
                place.refused = REFUSALS;
                return false;
        }
        place.ours = *ours;
        place.placed = true;
        return true;
}

bool amb_place_on(unsigned cpu)
{
        cpu_set_t home, ours;
        bool done;

        if (known(ON(cpu), &done))
                return done;
        if (!find_home(&home))
                return false;
        CPU_ZERO(&ours);
        if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &home))
                CPU_SET(cpu, &ours);
        return go(&home, &ours, ON(cpu));
}

bool amb_place_off(unsigned cpu)
{
        cpu_set_t home, ours;
        bool done;

        if (known(OFF(cpu), &done))
                return done;
        if (!find_home(&home))
                return false;
        ours = home;
        if (cpu < CPU_SETSIZE)
                CPU_CLR(cpu, &ours);
        return go(&home, &ours, OFF(cpu));
}

bool amb_place_has_other(unsigned cpu)
{
        cpu_set_t home;

        if (!find_home(&home))
                return false;
        return CPU_COUNT(&home) > (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &home) ? 1 : 0);
}

void amb_place_home(void)
{
        cpu_set_t home;

        place.refused = 0;
        if (!place.placed || !find_home(&home))
                return;
        /* Unless they are somebody else's by now. */
        if (place.placed)
                sched_setaffinity(0, sizeof(home), &home);
        place.placed = false;
}
