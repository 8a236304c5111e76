/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

#include <darwin/sys/sysctl.h>

#include "base/base.h"

/* A value while it is answered. */
struct value {
        char text[256];                 /* of a string */
        uint64_t number;
        struct timeval time;
        struct xsw_usage swap;
};

enum kind { TEXT, NUMBER32, NUMBER64, TIME, SWAP };

struct known {
        const char *name;
        int first, second;              /* its numbers; second 0: it has a name only */
        enum kind kind;
        void (*ask)(struct value *ret);
};

/* --- where from --- */

/* The first line of a file, or what stands behind a colon in the first line that begins with `key`. */
static bool line_of(const char *path, const char *key, char *ret, size_t size)
{
        FILE *file = fopen(path, "re");
        char line[512];
        bool found = false;

        while (file && !found && fgets(line, sizeof(line), file)) {
                const char *from = key ? strchr(line, ':') : line;

                if ((key && strncmp(line, key, strlen(key)) != 0) || !from)
                        continue;
                from += key ? 1 : 0;
                from += strspn(from, " \t");
                snprintf(ret, size, "%.*s", (int)strcspn(from, "\n"), from);
                found = *ret != '\0';
        }
        if (file)
                fclose(file);
        return found;
}

#define OF_UNAME(function, member)                                                                                      \
        static void function(struct value *ret)                                                                         \
        {                                                                                                               \
                struct utsname names;                                                                                   \
                                                                                                                        \
                if (uname(&names) == 0)                                                                                 \
                        snprintf(ret->text, sizeof(ret->text), "%s", names.member);                                     \
        }
OF_UNAME(ask_type, sysname)
OF_UNAME(ask_release, release)
OF_UNAME(ask_version, version)
OF_UNAME(ask_host, nodename)
OF_UNAME(ask_machine, machine)

static void ask_model(struct value *ret)
{
        if (!line_of("/sys/class/dmi/id/product_name", NULL, ret->text, sizeof(ret->text)) &&
            !line_of("/sys/firmware/devicetree/base/model", NULL, ret->text, sizeof(ret->text)))
                ask_machine(ret);
}

static void ask_brand(struct value *ret)
{
        if (!line_of("/proc/cpuinfo", "model name", ret->text, sizeof(ret->text)))
                ask_machine(ret);
}

static void ask_boot(struct value *ret)
{
        struct timespec wall, up;
        int64_t ns;

        clock_gettime(CLOCK_BOOTTIME, &up);
        clock_gettime(CLOCK_REALTIME, &wall);
        ns = (wall.tv_sec - up.tv_sec) * 1000000000ll + wall.tv_nsec - up.tv_nsec;
        ret->time = (struct timeval){ ns / 1000000000, ns % 1000000000 / 1000 };
}

static void ask_argmax(struct value *ret)
{
        ret->number = (uint64_t)sysconf(_SC_ARG_MAX);
}

static void ask_processors(struct value *ret)
{
        ret->number = (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
}

static void ask_active(struct value *ret)
{
        ret->number = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

/* Each core once: by the first of its threads. Where Linux does not tell, each processor is one. */
static void ask_cores(struct value *ret)
{
        long processors = sysconf(_SC_NPROCESSORS_CONF);
        char path[96], siblings[256];

        for (long i = 0; i < processors; i++) {
                snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%ld/topology/thread_siblings_list", i);
                if (!line_of(path, NULL, siblings, sizeof(siblings)) || strtol(siblings, NULL, 10) == i)
                        ret->number++;
        }
}

static void ask_memory(struct value *ret)
{
        struct sysinfo info;

        if (sysinfo(&info) == 0)
                ret->number = (uint64_t)info.totalram * info.mem_unit;
}

static void ask_swap(struct value *ret)
{
        struct sysinfo info;

        if (sysinfo(&info) < 0)
                return;
        ret->swap.xsu_total = (uint64_t)info.totalswap * info.mem_unit;
        ret->swap.xsu_avail = (uint64_t)info.freeswap * info.mem_unit;
        ret->swap.xsu_used = ret->swap.xsu_total - ret->swap.xsu_avail;
        ret->swap.xsu_pagesize = (uint32_t)sysconf(_SC_PAGESIZE);
}

static void ask_page(struct value *ret)
{
        ret->number = (uint64_t)sysconf(_SC_PAGESIZE);
}

static void ask_order(struct value *ret)
{
        ret->number = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1234 : 4321;
}

static const struct known known[] = {
        { "kern.ostype", CTL_KERN, KERN_OSTYPE, TEXT, ask_type },
        { "kern.osrelease", CTL_KERN, KERN_OSRELEASE, TEXT, ask_release },
        { "kern.osversion", CTL_KERN, KERN_OSVERSION, TEXT, ask_release },
        { "kern.version", CTL_KERN, KERN_VERSION, TEXT, ask_version },
        { "kern.hostname", CTL_KERN, KERN_HOSTNAME, TEXT, ask_host },
        { "kern.boottime", CTL_KERN, KERN_BOOTTIME, TIME, ask_boot },
        { "kern.argmax", CTL_KERN, KERN_ARGMAX, NUMBER32, ask_argmax },
        { "hw.machine", CTL_HW, HW_MACHINE, TEXT, ask_machine },
        { "hw.model", CTL_HW, HW_MODEL, TEXT, ask_model },
        { "hw.ncpu", CTL_HW, HW_NCPU, NUMBER32, ask_processors },
        { "hw.activecpu", CTL_HW, HW_AVAILCPU, NUMBER32, ask_active },
        { "hw.logicalcpu", CTL_HW, 0, NUMBER32, ask_active },
        { "hw.logicalcpu_max", CTL_HW, 0, NUMBER32, ask_processors },
        { "hw.physicalcpu", CTL_HW, 0, NUMBER32, ask_cores },
        { "hw.physicalcpu_max", CTL_HW, 0, NUMBER32, ask_cores },
        { "hw.memsize", CTL_HW, HW_MEMSIZE, NUMBER64, ask_memory },
        { "hw.pagesize", CTL_HW, HW_PAGESIZE, NUMBER64, ask_page },
        { "hw.byteorder", CTL_HW, HW_BYTEORDER, NUMBER32, ask_order },
        { "machdep.cpu.brand_string", CTL_MACHDEP, 0, TEXT, ask_brand },
        { "vm.swapusage", CTL_VM, VM_SWAPUSAGE, SWAP, ask_swap },
};

/* --- answering --- */

static int fail(int error)
{
        errno = error;
        return -1;
}

static int copy_out(const void *value, size_t size, void *old, size_t *old_length)
{
        size_t length = size;

        if (!old_length)
                return 0;
        if (old && *old_length < size)
                length = *old_length;
        if (old)
                memcpy(old, value, length);
        *old_length = length;
        return length < size ? fail(ENOMEM) : 0;
}

/* Into as many bytes as there are, of the two sizes that numbers have. */
static int copy_number(uint64_t number, enum kind kind, void *old, size_t *old_length)
{
        const uint32_t small = (uint32_t)number;
        size_t size = kind == NUMBER32 ? sizeof(small) : sizeof(number);

        if (old && old_length && *old_length != sizeof(small) && *old_length != sizeof(number))
                return fail(EINVAL);
        if (old && old_length)
                size = *old_length;
        if (size == sizeof(small) && number > UINT32_MAX)
                return fail(ENOMEM);
        return copy_out(size == sizeof(small) ? (const void *)&small : &number, size, old, old_length);
}

static int answer(const struct known *which, void *old, size_t *old_length, const void *set)
{
        struct value value = { 0 };

        if (set)
                return fail(EPERM);
        which->ask(&value);
        switch (which->kind) {
        case TEXT:
                return copy_out(value.text, strlen(value.text) + 1, old, old_length);
        case TIME:
                return copy_out(&value.time, sizeof(value.time), old, old_length);
        case SWAP:
                return copy_out(&value.swap, sizeof(value.swap), old, old_length);
        default:
                return copy_number(value.number, which->kind, old, old_length);
        }
}

int sysctlbyname(const char *name, void *old, size_t *old_length, void *set, size_t set_length)
{
        if (!name)
                return fail(EFAULT);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(known); i++)
                if (strcmp(name, known[i].name) == 0)
                        return answer(&known[i], old, old_length, set);
        return fail(ENOENT);
}

int sysctl(int *name, unsigned int name_length, void *old, size_t *old_length, void *set, size_t set_length)
{
        if (!name)
                return fail(EFAULT);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(known) && name_length == 2; i++)
                if (known[i].second && known[i].first == name[0] && known[i].second == name[1])
                        return answer(&known[i], old, old_length, set);
        return fail(ENOENT);
}
