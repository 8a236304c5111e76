/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's <pthread.h>, and Darwin's ways to name a thread (its own: one argument; Linux keeps 15 bytes of a name) and to
 * ask whether it is the main one. Any thread. Contract: real-code 1.10.
 */
#pragma GCC system_header
#include_next <pthread.h>
#ifndef AMB_DARWIN_PTHREAD
#define AMB_DARWIN_PTHREAD
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The calling thread's name, cut off at 15 bytes. Always 0. */
static inline __attribute__((__unused__)) int amb_thread_set_name(const char *name)
{
        prctl(PR_SET_NAME, name, 0, 0, 0);
        return 0;
}
#define AMB_SETNAME_1(name) amb_thread_set_name(name)
#define AMB_SETNAME_2(thread, name) (pthread_setname_np)(thread, name)
#define AMB_SETNAME_OF(one, two, chosen, ...) chosen
#define pthread_setname_np(...) AMB_SETNAME_OF(__VA_ARGS__, AMB_SETNAME_2, AMB_SETNAME_1, )(__VA_ARGS__)

/* 1 on the main thread, else 0. */
static inline __attribute__((__unused__)) int pthread_main_np(void)
{
        return syscall(SYS_gettid) == getpid();
}
#endif
