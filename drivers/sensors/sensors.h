/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the sensors driver and its apps agree on: selectors, counts, layouts. Plain C, shared by both sides.
 *
 * Service: IOServiceNameMatching("sensors"), user client type 0. Every number is this machine's own: CPU times, memory, load
 * and network counters from /proc; temperatures, fans, voltages, currents and powers from /sys/class/hwmon and
 * /sys/class/thermal. A machine without such sensors shows none.
 *
 *   selector           scalars in          scalars out     struct out
 *   0 GET_INFO         -                   up to 6         -           enum sensors_info; as many as the app has room for
 *   1 READ_CPU         core                8               -           struct sensors_times in order; core as in "cpuN"
 *   2 SNAPSHOT         -                   -               exactly sizeof(struct sensors_snapshot)
 *   3 READ_ALL         -                   -               exactly sizeof(struct sensors_all), more than 4096 bytes
 *   4 SUBSCRIBE        period in ms        -               -           asynchronous; enum sensors_event in each completion
 *   5 UNSUBSCRIBE      -                   -               -
 *
 * Errors: a count or size that differs, a core that the machine does not list, a period outside 10..60000 ms:
 * kIOReturnBadArgument. SUBSCRIBE while subscribed: kIOReturnBusy. UNSUBSCRIBE while not: kIOReturnNotFound. A selector
 * above 5: kIOReturnUnsupported. No readings could be taken: kIOReturnNotReady.
 *
 * Memory type 0 is a struct sensors_ring, mapped read-only: the driver adds a sample every period, apps read it without a call.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sensors_selector {
        SENSORS_GET_INFO,
        SENSORS_READ_CPU,
        SENSORS_SNAPSHOT,
        SENSORS_READ_ALL,
        SENSORS_SUBSCRIBE,
        SENSORS_UNSUBSCRIBE,
        SENSORS_SELECTORS,
};

/* The scalars of GET_INFO, by position. */
enum sensors_info {
        SENSORS_INFO_CORES,                     /* cores that the machine lists now */
        SENSORS_INFO_SENSORS,                   /* hwmon inputs and thermal zones */
        SENSORS_INFO_INTERFACES,                /* network interfaces */
        SENSORS_INFO_PERIOD,                    /* nanoseconds between two samples of the ring */
        SENSORS_INFO_RING,                      /* samples that the ring holds */
        SENSORS_INFO_TICKS,                     /* CPU time units per second */
        SENSORS_INFO_COUNT,
};

/* The values of a completion, by position; the values of the first cores come last, so a completion has 10..16. */
enum sensors_event {
        SENSORS_EVENT_NUMBER,                   /* completions so far on this subscription, from 1 */
        SENSORS_EVENT_TIME,                     /* CLOCK_MONOTONIC, nanoseconds */
        SENSORS_EVENT_BUSY,                     /* all cores, thousandths of the time since the completion before */
        SENSORS_EVENT_MEMORY_TOTAL,             /* bytes */
        SENSORS_EVENT_MEMORY_AVAILABLE,         /* bytes */
        SENSORS_EVENT_RECEIVED,                 /* bytes since boot, all interfaces but loopback */
        SENSORS_EVENT_SENT,
        SENSORS_EVENT_LOAD,                     /* 1-minute load, thousandths */
        SENSORS_EVENT_HOTTEST,                  /* int64_t: thousandths of a degree Celsius, SENSORS_NO_TEMPERATURE: none */
        SENSORS_EVENT_SENSORS,                  /* sensors present */
        SENSORS_EVENT_CORES,                    /* first of up to 6 cores: busy thousandths */
        SENSORS_EVENT_COUNT_MAX = 16,
};
#define SENSORS_NO_TEMPERATURE INT64_MIN

#define SENSORS_PERIOD_MS_MIN 10
#define SENSORS_PERIOD_MS_MAX 60000

/* CPU time since boot in units of 1/SENSORS_INFO_TICKS second, as in /proc/stat. */
struct sensors_times {
        uint64_t user, nice, system, idle, iowait, irq, softirq, steal;
};
#define SENSORS_TIMES_COUNT 8

struct sensors_snapshot {
        uint64_t time;                          /* CLOCK_MONOTONIC when read, nanoseconds */
        struct sensors_times total;             /* all cores */
        uint64_t memory_total, memory_free, memory_available, swap_total, swap_free;            /* bytes */
        uint64_t load[3];                       /* 1, 5, 15 minutes; thousandths */
        uint64_t received, sent;                /* bytes since boot, all interfaces but loopback */
        int64_t hottest;                        /* thousandths of a degree Celsius, or SENSORS_NO_TEMPERATURE */
        uint32_t cores, interfaces, sensors;    /* of the machine, also those that struct sensors_all has no room for */
        uint32_t running;                       /* threads that run or want to */
};

struct sensors_core {
        uint32_t number;                        /* N of "cpuN" */
        uint32_t filler;
        struct sensors_times times;
};

struct sensors_interface {
        char name[16];
        uint64_t received, received_packets, received_errors, received_drops;
        uint64_t sent, sent_packets, sent_errors, sent_drops;
};

enum sensors_kind {
        SENSORS_TEMPERATURE = 1,                /* thousandths of a degree Celsius */
        SENSORS_FAN,                            /* turns per minute */
        SENSORS_VOLTAGE,                        /* millivolts */
        SENSORS_CURRENT,                        /* milliamperes */
        SENSORS_POWER,                          /* microwatts */
        SENSORS_HUMIDITY,                       /* thousandths of a percent */
};

struct sensors_sensor {
        char name[48];                          /* "CHIP LABEL", NUL-terminated */
        uint32_t kind;                          /* enum sensors_kind */
        uint32_t filler;
        int64_t value;
};

#define SENSORS_CORES_MAX 512
#define SENSORS_INTERFACES_MAX 64
#define SENSORS_SENSORS_MAX 256
#define SENSORS_SNAPSHOT_SIZE 176
#define SENSORS_ALL_SIZE 58544

/* Everything at once. A machine with more than fits lists the first ones; the snapshot's counts say how many there are. */
struct sensors_all {
        struct sensors_snapshot snapshot;
        struct sensors_core cores[SENSORS_CORES_MAX];
        struct sensors_interface interfaces[SENSORS_INTERFACES_MAX];
        struct sensors_sensor sensors[SENSORS_SENSORS_MAX];
};

/* Info.plist tells these sizes to tools. */
#ifdef __cplusplus
static_assert(sizeof(struct sensors_snapshot) == SENSORS_SNAPSHOT_SIZE, "Info.plist");
static_assert(sizeof(struct sensors_all) == SENSORS_ALL_SIZE, "Info.plist");
#else
_Static_assert(sizeof(struct sensors_snapshot) == SENSORS_SNAPSHOT_SIZE, "Info.plist");
_Static_assert(sizeof(struct sensors_all) == SENSORS_ALL_SIZE, "Info.plist");
#endif

/* --- the mapped ring --- */

#define SENSORS_RING_MAGIC 0x53524e47u          /* "SRNG" */
#define SENSORS_RING_SAMPLES 1024u

/* Sample n (from 0) lies in samples[n % capacity]. `mark` is 2n + 1 while it is written, 2n + 2 when it is whole. */
struct sensors_sample {
        uint64_t mark;
        uint64_t time;                          /* CLOCK_MONOTONIC, nanoseconds */
        uint64_t busy;                          /* all cores, thousandths of the time since the sample before */
        uint64_t memory_available;              /* bytes */
        uint64_t received, sent;                /* bytes since boot */
        uint64_t load;                          /* 1 minute, thousandths */
        int64_t hottest;                        /* as in the snapshot */
};

struct sensors_ring {
        uint32_t magic, capacity;               /* set before the memory is given to anybody, then constant */
        uint64_t period;                        /* nanoseconds */
        uint64_t written;                       /* samples so far: the newest is written - 1 */
        uint64_t filler[5];
        struct sensors_sample samples[SENSORS_RING_SAMPLES];
};

/* How many samples were ever written. Any thread. */
static inline uint64_t sensors_ring_written(const struct sensors_ring *ring)
{
        return __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
}

/*
 * Adds the next sample; its mark is made here. One writer. A reader of the same slot at the same time gets the old sample, the
 * new one, or a "no"; never half of each.
 */
static inline void sensors_ring_write(struct sensors_ring *ring, const struct sensors_sample *sample)
{
        uint64_t number = ring->written;
        struct sensors_sample *slot = &ring->samples[number % SENSORS_RING_SAMPLES];

        __atomic_store_n(&slot->mark, 2 * number + 1, __ATOMIC_RELAXED);
        /* The odd mark is seen before any of the new values. */
        __atomic_thread_fence(__ATOMIC_RELEASE);
        __atomic_store_n(&slot->time, sample->time, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->busy, sample->busy, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->memory_available, sample->memory_available, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->received, sample->received, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->sent, sample->sent, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->load, sample->load, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->hottest, sample->hottest, __ATOMIC_RELAXED);
        /* The even mark is seen after all of them. */
        __atomic_store_n(&slot->mark, 2 * number + 2, __ATOMIC_RELEASE);
        __atomic_store_n(&ring->written, number + 1, __ATOMIC_RELEASE);
}

/* Copies sample `number`; false: not yet written, being written, or overwritten since. Any thread. */
static inline bool sensors_ring_read(const struct sensors_ring *ring, uint64_t number, struct sensors_sample *ret_sample)
{
        const struct sensors_sample *slot = &ring->samples[number % SENSORS_RING_SAMPLES];
        struct sensors_sample sample;

        sample.mark = __atomic_load_n(&slot->mark, __ATOMIC_ACQUIRE);
        if (sample.mark != 2 * number + 2)
                return false;
        sample.time = __atomic_load_n(&slot->time, __ATOMIC_RELAXED);
        sample.busy = __atomic_load_n(&slot->busy, __ATOMIC_RELAXED);
        sample.memory_available = __atomic_load_n(&slot->memory_available, __ATOMIC_RELAXED);
        sample.received = __atomic_load_n(&slot->received, __ATOMIC_RELAXED);
        sample.sent = __atomic_load_n(&slot->sent, __ATOMIC_RELAXED);
        sample.load = __atomic_load_n(&slot->load, __ATOMIC_RELAXED);
        sample.hottest = __atomic_load_n(&slot->hottest, __ATOMIC_RELAXED);
        /* The values are read before the mark is looked at again. */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&slot->mark, __ATOMIC_RELAXED) != sample.mark)
                return false;
        *ret_sample = sample;
        return true;
}

/*
 * Thousandths of the time between two readings of the same core (or of all) that were not idle. False, nothing written: the
 * readings are too close for the tick of the kernel's clock to say anything.
 */
static inline bool sensors_busy(const struct sensors_times *before, const struct sensors_times *after, uint64_t *ret_busy)
{
        int64_t idle = (int64_t)(after->idle + after->iowait - before->idle - before->iowait);
        int64_t busy = (int64_t)(after->user + after->nice + after->system + after->irq + after->softirq + after->steal -
                                 before->user - before->nice - before->system - before->irq - before->softirq - before->steal);

        /* The kernel's idle and iowait may step back a little. */
        if (idle < 0 || busy < 0 || idle + busy == 0)
                return false;
        *ret_busy = (uint64_t)busy * 1000 / (uint64_t)(idle + busy);
        return true;
}

#ifdef __cplusplus
}
#endif
