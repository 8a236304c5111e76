/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/resource.h>

#include "base/base.h"
#include "host/limits.h"

static int limit(__rlimit_resource_t resource, rlim_t most)
{
        struct rlimit now;

        if (getrlimit(resource, &now) < 0)
                return amb_trace(amb_errno());
        if (now.rlim_max > most)
                now.rlim_max = most;
        if (now.rlim_cur > now.rlim_max)
                now.rlim_cur = now.rlim_max;
        return setrlimit(resource, &now) < 0 ? amb_trace(amb_errno()) : 0;
}

int amb_limits_set(void)
{
        int r;

        /* Otherwise the kernel kills who writes too much, instead of refusing. */
        if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
                return amb_trace(amb_errno());
        r = limit(RLIMIT_DATA, AMB_LIMIT_DATA);
        if (r == 0)
                r = limit(RLIMIT_FSIZE, AMB_LIMIT_FILE);
        return r == 0 ? limit(RLIMIT_CORE, 0) : r;
}
