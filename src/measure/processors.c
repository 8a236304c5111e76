/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/processors.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "base/base.h"

bool amb_processors_two(int *ret_one, int *ret_other)
{
        cpu_set_t set;
        int first = -1, last = -1;
        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return false;
        for (int i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &set)) {
                        first = first < 0 ? i : first;
                        last = i;
                }
        if (first == last)
                return false;
        *ret_one = first;
        *ret_other = last;
        return true;
}

/* What we could use before anything was kept anywhere: somebody may have kept all of us on one. */
static cpu_set_t allowed;
static pthread_once_t allowed_once = PTHREAD_ONCE_INIT;
static void allowed_read(void)
{
        if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
                memset(&allowed, 0xff, sizeof(allowed));
}

void amb_thread_stay_on(pid_t thread, int processor)
{
        cpu_set_t set;
        pthread_once(&allowed_once, allowed_read);
        CPU_ZERO(&set);
        if (processor == AMB_PROCESSOR_ANY)
                set = allowed;
        else
                CPU_SET((size_t)processor, &set);
        sched_setaffinity(thread, sizeof(set), &set);
}

void amb_process_stay_on(pid_t process, int processor)
{
        AMB_FREE char *path = amb_format("/proc/%d/task", (int)process);
        DIR *threads = path ? opendir(path) : NULL;
        if (!threads)
                return;
        for (struct dirent *entry; (entry = readdir(threads));) {
                pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
                if (thread > 0)
                        amb_thread_stay_on(thread, processor);
        }
        closedir(threads);
}

uint64_t amb_process_time(pid_t process)
{
        clockid_t clock;
        struct timespec time;
        if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) < 0)
                return 0;
        return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
