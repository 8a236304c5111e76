/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Apple's log calls: one line to standard error. Formats are printf's; privacy and type remarks in braces ("%{public}s") are
 * accepted and ignored. Any thread.
 *
 * Contract: real-code 3 'Functions and macros' of drivers, lifecycle-registry 4.10.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct os_log_s *os_log_t;
typedef uint8_t os_log_type_t;

#define OS_LOG_TYPE_DEFAULT ((os_log_type_t)0x00)
#define OS_LOG_TYPE_INFO ((os_log_type_t)0x01)
#define OS_LOG_TYPE_DEBUG ((os_log_type_t)0x02)
#define OS_LOG_TYPE_ERROR ((os_log_type_t)0x10)
#define OS_LOG_TYPE_FAULT ((os_log_type_t)0x11)

#define OS_LOG_DEFAULT ((os_log_t)0)

/*
 * A log whose lines carry "subsystem:category"; lives as long as the process. The same names give the same log. NULL: no
 * memory.
 */
os_log_t os_log_create(const char *subsystem, const char *category);

/*
 * Lines of type DEBUG are written only with AMBIDEXT_DEBUG in the environment (false without it, whatever the log).
 * os_log_with_type: log: of os_log_create(), or OS_LOG_DEFAULT; format: printf's, copied out before the call returns; new lines
 * at its end are left out, others become blanks. A line for which there is no memory is lost; nothing is reported.
 *
 * The compiler does not check formats: they say "%llx" for an uint64_t, and remarks that it does not know.
 */
bool os_log_type_enabled(os_log_t log, os_log_type_t type);
void os_log_with_type(os_log_t log, os_log_type_t type, const char *format, ...);

#define os_log_info_enabled(log) os_log_type_enabled((log), OS_LOG_TYPE_INFO)
#define os_log_debug_enabled(log) os_log_type_enabled((log), OS_LOG_TYPE_DEBUG)

#define os_log(log, ...) os_log_with_type((log), OS_LOG_TYPE_DEFAULT, __VA_ARGS__)
#define os_log_info(log, ...) os_log_with_type((log), OS_LOG_TYPE_INFO, __VA_ARGS__)
#define os_log_debug(log, ...) os_log_with_type((log), OS_LOG_TYPE_DEBUG, __VA_ARGS__)
#define os_log_error(log, ...) os_log_with_type((log), OS_LOG_TYPE_ERROR, __VA_ARGS__)
#define os_log_fault(log, ...) os_log_with_type((log), OS_LOG_TYPE_FAULT, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
