/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The ground floor: what every module may lean on, and nothing that knows of drivers.
 *
 * Error convention of all internal functions that return int:
 *      0          done
 *      negative   -errno: something is broken; the caller passes it up (amb_trace) and does not inspect it
 *      positive   a documented "no" of this very function, an enum that the direct caller handles by name
 * Out-parameters (ret_x) are written only on 0. Destructors take NULL and half-built objects and return NULL.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AMB_UNUSED __attribute__((unused))
#define AMB_PRINTF(string, first) __attribute__((format(printf, string, first)))
#define AMB_CLEANUP(function) __attribute__((cleanup(function)))
/* Compiled into each caller, for what that one knows. */
#define AMB_INLINE static inline __attribute__((always_inline))
/* Apart, so that the path beside it stays short. */
#define AMB_APART __attribute__((noinline))
/* A door to waiting for another process: what runs behind it is no part of a hot call's cost (tests/system/count-instructions). */
#define AMB_WAITING AMB_APART
/* What does not happen in a hot call: out of its way. */
#define AMB_COLD __attribute__((noinline, cold))
#define amb_likely(condition) __builtin_expect(!!(condition), 1)
#define amb_unlikely(condition) __builtin_expect(!!(condition), 0)
/* A variable of which only what is meant is written: else the compiler clears all of it first (-ftrivial-auto-var-init). */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define AMB_UNINITIALIZED __attribute__((uninitialized))
#else
#define AMB_UNINITIALIZED
#endif

#define AMB_ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define amb_container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

/* Hands over what a variable holds and leaves NULL (or -1) behind: the last line of a constructor. */
#define amb_steal(pointer)                                                                                              \
        ({                                                                                                              \
                __typeof__(pointer) *amb_steal_p = &(pointer);                                                          \
                __typeof__(pointer) amb_steal_v = *amb_steal_p;                                                         \
                *amb_steal_p = NULL;                                                                                    \
                amb_steal_v;                                                                                            \
        })
static inline int amb_fd_steal(int *fd)
{
        int stolen = *fd;
        *fd = -1;
        return stolen;
}

/* Closes and returns -1; keeps errno; -1 is allowed. */
int amb_fd_close(int fd);
static inline void amb_fd_cleanup(int *fd)
{
        *fd = amb_fd_close(*fd);
}
#define AMB_FD AMB_CLEANUP(amb_fd_cleanup) int

static inline void amb_free_cleanup(void *pointer)
{
        free(*(void **)pointer);
}
#define AMB_FREE AMB_CLEANUP(amb_free_cleanup)

/* A destructor's cleanup helper: AMB_DEFINE_CLEANUP(struct amb_entry, amb_entry_free) makes amb_entry_freep. */
#define AMB_DEFINE_CLEANUP(type, function)                                                                              \
        static inline AMB_UNUSED void function##p(type **pointer)                                                       \
        {                                                                                                               \
                if (*pointer)                                                                                           \
                        function(*pointer);                                                                             \
        }

/*
 * Passes an error up and, with AMBIDEXT_TRACE set in the environment, says on stderr where it went:
 *      return amb_trace(r);
 */
#define amb_trace(error) amb_trace_at((error), __FILE__, __LINE__, __func__)
int amb_trace_at(int error, const char *file, int line, const char *function);

/* -errno, never 0. */
static inline int amb_errno(void)
{
        return errno > 0 ? -errno : -EIO;
}

/*
 * One line to standard error (what systemd and `ambidext run` collect): "NAME: text". Any thread.
 * Levels are syslog's; a line starts with "<N>" when JOURNAL_STREAM says that the journal reads it.
 */
enum amb_log_level { AMB_LOG_ERROR = 3, AMB_LOG_WARNING = 4, AMB_LOG_NOTICE = 5, AMB_LOG_INFO = 6, AMB_LOG_DEBUG = 7 };
void amb_log_open(const char *name, enum amb_log_level most);   /* name: a string that lives for ever */
void amb_log(enum amb_log_level level, const char *format, ...) AMB_PRINTF(2, 3);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t amb_time_now(void);

/* Raises RLIMIT_NOFILE's soft limit to the hard one; programs do it once at their start. */
void amb_fd_limit_raise(void);

/* Reads a whole file of at most `most` bytes; *ret_bytes is NUL-terminated beyond its length. -EFBIG when longer. */
int amb_file_read(int directory_fd, const char *path, size_t most, char **ret_bytes, size_t *ret_length);
/* All of it, whatever interrupts. 0 or -errno: then nobody knows how much has been written. */
int amb_file_write(int fd, const char *bytes, size_t length);

/* asprintf that returns NULL or the string. */
char *amb_format(const char *format, ...) AMB_PRINTF(1, 2);

/* --- doubly linked list, the link inside the member --- */
struct amb_link {
        struct amb_link *next, *previous;
};
#define AMB_LIST_INIT(list) { &(list), &(list) }
static inline void amb_list_init(struct amb_link *list)
{
        list->next = list->previous = list;
}
static inline bool amb_list_empty(const struct amb_link *list)
{
        return list->next == list;
}
static inline bool amb_link_linked(const struct amb_link *link)
{
        return link->next && link->next != link;
}
static inline void amb_list_append(struct amb_link *list, struct amb_link *link)
{
        link->previous = list->previous;
        link->next = list;
        list->previous->next = link;
        list->previous = link;
}
static inline void amb_link_remove(struct amb_link *link)
{
        if (!link->next)
                return;
        link->previous->next = link->next;
        link->next->previous = link->previous;
        link->next = link->previous = link;
}
#define amb_list_first(list, type, member)                                                                              \
        (amb_list_empty(list) ? NULL : amb_container_of((list)->next, type, member))
#define amb_list_for(entry, list, member)                                                                               \
        for (entry = amb_container_of((list)->next, __typeof__(*entry), member); &entry->member != (list);              \
             entry = amb_container_of(entry->member.next, __typeof__(*entry), member))
#define amb_list_for_safe(entry, following, list, member)                                                               \
        for (entry = amb_container_of((list)->next, __typeof__(*entry), member),                                        \
            following = amb_container_of(entry->member.next, __typeof__(*entry), member);                               \
             &entry->member != (list);                                                                                  \
             entry = following, following = amb_container_of(entry->member.next, __typeof__(*entry), member))
