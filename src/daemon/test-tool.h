/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the daemon's tests share: the real ambidextd in a private directory, spoken to over its socket; its hosts are model
 * hosts. Everything asserts (Check). Nothing sleeps: every wait is for a message, for the end of a process or for a pipe.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/sanitizer.h"
#include "base/test-process.h"
#include "base/test-suite.h"
#include "channel/channel.h"
#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"
#include "registry/registry.h"

#define PATIENCE 20000000ull                    /* us: when nothing has come until then, something is broken */

/* A sanitizer keeps what has been freed for a while, and writes an eighth of what is allocated. */
#define RESIDENT_MOST ((AMB_SANITIZED_ADDRESS ? 512 : 128) * 1024)      /* KiB, of a good daemon */

extern const char *daemon_program, *host_program, test_info[];
extern char directory[64], *socket_path, *log_path;
extern pid_t daemon_pid;
extern bool production;
extern rlim_t descriptors;                      /* not 0: the daemon gets no more */

/* --- files --- */
char *in_directory(const char *name);           /* malloc */
void put(const char *name, const char *text);
void put_object(const char *name, uint16_t machine);   /* the head of an ELF shared object; 0: for this machine */
void put_bundle(const char *manner);            /* Test.dext, with a file `manner` for the model host */
void put_policy(void);                          /* everybody may use the test driver */
char *log_text(void);
unsigned log_count(const char *what);

/* --- the daemon --- */
int daemon_start(char *const *more);            /* -1, or the exit status of one that has ended before it was ready */
void daemon_signal(int number);                 /* and waits for its end */
void start_with_driver(bool allowed, const char *manner);
void is_alive(void);                            /* it serves a newcomer */
static inline int daemon_fds(void)
{
        return process_descriptors(daemon_pid);
}
static inline long daemon_resident_kib(void)
{
        return process_resident_kib(daemon_pid);
}
void set_up(void);
void tear_down(void);                           /* an orderly end leaves nothing of the daemon's behind */

/* --- speaking --- */
sd_bus *bus_new(void);
int raw_connect(void);
sd_bus_message *call_new(sd_bus *bus, const char *member, const char *types, ...);
sd_bus_message *reply_to(sd_bus *bus, sd_bus_message *call);    /* consumes the call */
int code_of(sd_bus_message *reply);

struct news {
        uint32_t subscription, message;
        uint64_t entry;
        unsigned count;
};
void hear_news(sd_bus *bus, struct news *news);
void wait_news(sd_bus *bus, struct news *news, unsigned count); /* until `count` pieces of news have come in all */
uint64_t find_driver(sd_bus *bus, struct news *news);           /* subscribes, and waits until the test driver is there */
sd_bus *start_and_find(bool allowed, struct news *news, uint64_t *ret_entry);   /* a daemon with the test driver, and a bus */
uint64_t wait_driver(sd_bus *bus);               /* the same by its bundle: its name is what is tested */
OSDictionary *dump_row(sd_bus *bus, uint64_t entry, size_t *ret_count);        /* the row of the entry, NULL: there is none */
pid_t host_pid(sd_bus *bus, uint64_t entry);
/* The fds come into `ends`. */
int open_service(sd_bus *bus, uint64_t entry, uint32_t type, uint64_t *ret_connection);
extern struct amb_named_fd ends[3];
void close_ends(void);
void wait_end(pid_t pid);

/* --- running --- */
/*
 * The arguments of main(): ambidextd, test-host. Each test has a directory of its own, and runs alone with CK_RUN_CASE=its name.
 * Gives the exit status of main().
 */
#define run_daemon_suite(name, arguments, ...) daemon_suite(name, arguments, (const TTest *const[]){ __VA_ARGS__, NULL })
int daemon_suite(const char *name, char **arguments, const TTest *const *tests);
