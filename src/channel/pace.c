/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/pace.h"

static void learn(uint8_t *counter, bool yes)
{
        if (yes && *counter < 3)
                ++*counter;
        else if (!yes && *counter > 0)
                --*counter;
}

static void burst_end(struct amb_pace *pace)
{
        if (pace->burst > 0)
                learn(&pace->bursts_long, pace->burst > AMB_PACE_SHORT);
        pace->burst = pace->burst_asleep = 0;
        pace->same = 0;
}

static void follow(struct amb_pace *pace, uint32_t caller)
{
        if (caller != pace->caller && (caller == pace->moved_to || !pace->called))
                pace->caller = caller;
        pace->moved_to = caller;
        pace->called = true;
}

void amb_pace_call_slow(struct amb_pace *pace, uint32_t caller, uint32_t own, bool late)
{
        follow(pace, caller);
        /* Somebody gave up spinning, or did not spin: that says little if there are several. The clock knows. */
        pace->timing = pace->calls_long > 0 || (late && pace->where == AMB_PACE_FAR);
        if (pace->where != AMB_PACE_FAR) {
                if (pace->confined > 0)
                        pace->confined--;
                else if (pace->burst > AMB_PACE_SHORT && pace->calls_long < 2)
                        pace->where = AMB_PACE_FAR;
                return;
        }
        pace->same = caller == own ? pace->same + 1 : 0;
        if (pace->same < AMB_PACE_SAME)
                return;
        burst_end(pace);
        pace->bursts_long = 0;
        pace->where = AMB_PACE_NEAR;
}

void amb_pace_served(struct amb_pace *pace, uint64_t ns)
{
        learn(&pace->calls_long, ns > AMB_PACE_LONG_NS);
        if (pace->calls_long < 2 || pace->where != AMB_PACE_FAR)
                return;
        burst_end(pace);
        pace->where = AMB_PACE_FREE;
}

void amb_pace_sleep(struct amb_pace *pace, uint64_t awake_ns)
{
        uint32_t calls = pace->burst - pace->burst_asleep;

        if (!pace->called)
                return;
        if (pace->where == AMB_PACE_FAR)
                burst_end(pace);                /* it has spun in vain */
        else if (pace->where == AMB_PACE_NEAR && calls > 0)
                learn(&pace->calls_long, awake_ns / calls > AMB_PACE_LONG_NS);
        if (pace->calls_long >= 2)
                pace->where = AMB_PACE_FREE;
        else
                pace->where = pace->bursts_long >= 2 && pace->confined == 0 ? AMB_PACE_FAR : AMB_PACE_NEAR;
}

void amb_pace_wake(struct amb_pace *pace, uint64_t slept_ns)
{
        if (slept_ns > AMB_PACE_GAP_NS)
                burst_end(pace);
        pace->burst_asleep = pace->burst;
}

void amb_pace_confine(struct amb_pace *pace)
{
        pace->where = AMB_PACE_NEAR;
        pace->confined = AMB_PACE_CONFINED;
}
