/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Mach's return codes that programs of this kind meet, and how a code is composed. Any thread.
 * Contract: call-path 1.7, 1.10 to 1.12; mach_error_string: real-code 3 'Mach functions and macros'.
 */
#include <stdint.h>

typedef int kern_return_t;
typedef kern_return_t mach_error_t;
typedef kern_return_t mach_msg_return_t;

/* A code is system (6 bits), subsystem (12), code (14); <mach/error.h> is the same by its other name. */
#define err_system(x) ((int)((((unsigned)(x)) & 0x3f) << 26))
#define err_sub(x) ((int)(((x) & 0xfff) << 14))
#define err_get_system(error) ((((unsigned)(error)) >> 26) & 0x3f)
#define err_get_sub(error) ((((unsigned)(error)) >> 14) & 0xfff)
#define err_get_code(error) (((unsigned)(error)) & 0x3fff)

#define err_kern err_system(0x00)
#define err_us err_system(0x01)                 /* user library */
#define err_server err_system(0x02)             /* user servers */
#define err_ipc err_system(0x03)                /* old IPC */
#define err_mach_ipc err_system(0x04)
#define err_dipc err_system(0x07)               /* distributed IPC */
#define err_vm err_system(0x08)
#define err_local err_system(0x3e)
#define err_ipc_compat err_system(0x3f)
#define err_max_system 0x3f
/* errno values travel as system 0, subsystem 3. */
#define unix_err(error) (err_kern | err_sub(3) | (error))

#define system_emask err_system(err_max_system)
#define sub_emask err_sub(0xfff)
#define code_emask 0x3fff
#define err_none 0
#define ERR_SUCCESS 0

#define KERN_SUCCESS 0
#define KERN_INVALID_ADDRESS 1
#define KERN_PROTECTION_FAILURE 2
#define KERN_NO_SPACE 3
#define KERN_INVALID_ARGUMENT 4
#define KERN_FAILURE 5
#define KERN_RESOURCE_SHORTAGE 6
#define KERN_NOT_RECEIVER 7
#define KERN_NO_ACCESS 8
#define KERN_MEMORY_FAILURE 9
#define KERN_MEMORY_ERROR 10
#define KERN_ALREADY_IN_SET 11
#define KERN_NOT_IN_SET 12
#define KERN_NAME_EXISTS 13
#define KERN_ABORTED 14
#define KERN_INVALID_NAME 15
#define KERN_INVALID_TASK 16
#define KERN_INVALID_RIGHT 17
#define KERN_INVALID_VALUE 18
#define KERN_UREFS_OVERFLOW 19
#define KERN_INVALID_CAPABILITY 20
#define KERN_RIGHT_EXISTS 21
#define KERN_INVALID_HOST 22
#define KERN_MEMORY_PRESENT 23
#define KERN_MEMORY_DATA_MOVED 24
#define KERN_MEMORY_RESTART_COPY 25
#define KERN_INVALID_PROCESSOR_SET 26
#define KERN_POLICY_LIMIT 27
#define KERN_INVALID_POLICY 28
#define KERN_INVALID_OBJECT 29
#define KERN_ALREADY_WAITING 30
#define KERN_DEFAULT_SET 31
#define KERN_EXCEPTION_PROTECTED 32
#define KERN_INVALID_LEDGER 33
#define KERN_INVALID_MEMORY_CONTROL 34
#define KERN_INVALID_SECURITY 35
#define KERN_NOT_DEPRESSED 36
#define KERN_TERMINATED 37
#define KERN_LOCK_SET_DESTROYED 38
#define KERN_LOCK_UNSTABLE 39
#define KERN_LOCK_OWNED 40
#define KERN_LOCK_OWNED_SELF 41
#define KERN_SEMAPHORE_DESTROYED 42
#define KERN_RPC_SERVER_TERMINATED 43
#define KERN_RPC_TERMINATE_ORPHAN 44
#define KERN_RPC_CONTINUE_ORPHAN 45
#define KERN_NOT_SUPPORTED 46
#define KERN_NODE_DOWN 47
#define KERN_NOT_WAITING 48
#define KERN_OPERATION_TIMED_OUT 49
#define KERN_CODESIGN_ERROR 50
#define KERN_POLICY_STATIC 51
#define KERN_INSUFFICIENT_BUFFER_SIZE 52
#define KERN_DENIED 53
#define KERN_MISSING_KC 54
#define KERN_INVALID_KC 55
#define KERN_NOT_FOUND 56
#define KERN_RETURN_MAX 0x100

#define MACH_MSG_SUCCESS 0
/* Bits that may be set besides in MACH_SEND_... and MACH_RCV_... codes: where room or memory ran out. */
#define MACH_MSG_MASK 0x00003E00
#define MACH_MSG_IPC_SPACE 0x00002000
#define MACH_MSG_VM_SPACE 0x00001000
#define MACH_MSG_IPC_KERNEL 0x00000800
#define MACH_MSG_VM_KERNEL 0x00000400
#define MACH_SEND_IN_PROGRESS ((kern_return_t)0x10000001)
#define MACH_SEND_INVALID_DATA ((kern_return_t)0x10000002)
#define MACH_SEND_INVALID_DEST ((kern_return_t)0x10000003)
#define MACH_SEND_TIMED_OUT ((kern_return_t)0x10000004)
#define MACH_SEND_INVALID_VOUCHER ((kern_return_t)0x10000005)
#define MACH_SEND_INTERRUPTED ((kern_return_t)0x10000007)
#define MACH_SEND_MSG_TOO_SMALL ((kern_return_t)0x10000008)
#define MACH_SEND_INVALID_REPLY ((kern_return_t)0x10000009)
#define MACH_SEND_INVALID_RIGHT ((kern_return_t)0x1000000A)
#define MACH_SEND_INVALID_NOTIFY ((kern_return_t)0x1000000B)
#define MACH_SEND_INVALID_MEMORY ((kern_return_t)0x1000000C)
#define MACH_SEND_NO_BUFFER ((kern_return_t)0x1000000D)
#define MACH_SEND_TOO_LARGE ((kern_return_t)0x1000000E)
#define MACH_SEND_INVALID_TYPE ((kern_return_t)0x1000000F)
#define MACH_SEND_INVALID_HEADER ((kern_return_t)0x10000010)
#define MACH_SEND_INVALID_TRAILER ((kern_return_t)0x10000011)
#define MACH_SEND_INVALID_CONTEXT ((kern_return_t)0x10000012)
#define MACH_SEND_INVALID_OPTIONS ((kern_return_t)0x10000013)
#define MACH_SEND_INVALID_RT_OOL_SIZE ((kern_return_t)0x10000015)
#define MACH_SEND_NO_GRANT_DEST ((kern_return_t)0x10000016)
#define MACH_SEND_MSG_FILTERED ((kern_return_t)0x10000017)
#define MACH_SEND_AUX_TOO_SMALL ((kern_return_t)0x10000018)
#define MACH_SEND_AUX_TOO_LARGE ((kern_return_t)0x10000019)
#define MACH_RCV_IN_PROGRESS ((kern_return_t)0x10004001)
#define MACH_RCV_INVALID_NAME ((kern_return_t)0x10004002)
#define MACH_RCV_TIMED_OUT ((kern_return_t)0x10004003)
#define MACH_RCV_TOO_LARGE ((kern_return_t)0x10004004)
#define MACH_RCV_INTERRUPTED ((kern_return_t)0x10004005)
#define MACH_RCV_PORT_CHANGED ((kern_return_t)0x10004006)
#define MACH_RCV_INVALID_NOTIFY ((kern_return_t)0x10004007)
#define MACH_RCV_INVALID_DATA ((kern_return_t)0x10004008)
#define MACH_RCV_PORT_DIED ((kern_return_t)0x10004009)
#define MACH_RCV_IN_SET ((kern_return_t)0x1000400A)
#define MACH_RCV_HEADER_ERROR ((kern_return_t)0x1000400B)
#define MACH_RCV_BODY_ERROR ((kern_return_t)0x1000400C)
#define MACH_RCV_INVALID_TYPE ((kern_return_t)0x1000400D)
#define MACH_RCV_SCATTER_SMALL ((kern_return_t)0x1000400E)
#define MACH_RCV_INVALID_TRAILER ((kern_return_t)0x1000400F)
#define MACH_RCV_IN_PROGRESS_TIMED ((kern_return_t)0x10004011)
#define MACH_RCV_INVALID_REPLY ((kern_return_t)0x10004012)
#define MACH_RCV_INVALID_ARGUMENTS ((kern_return_t)0x10004013)

#define MIG_TYPE_ERROR ((kern_return_t)-300) /* reply had a wrong shape (client stub) */
#define MIG_REPLY_MISMATCH ((kern_return_t)-301) /* reply carried another message id */
#define MIG_REMOTE_ERROR ((kern_return_t)-302) /* server side reported a failure */
#define MIG_BAD_ID ((kern_return_t)-303) /* server knows no routine with this id */
#define MIG_BAD_ARGUMENTS ((kern_return_t)-304) /* request had a wrong shape or count (server stub) */
#define MIG_NO_REPLY ((kern_return_t)-305) /* marker: server must not answer (see 3.7) */
#define MIG_EXCEPTION ((kern_return_t)-306) /* server raised an exception */
#define MIG_ARRAY_TOO_LARGE ((kern_return_t)-307) /* variable array exceeds its declared maximum */
#define MIG_SERVER_DIED ((kern_return_t)-308) /* the reply right was destroyed without an answer */
#define MIG_TRAILER_ERROR ((kern_return_t)-309) /* unknown trailer layout */

/*
 * The name of a code, for people: "kIOReturnNotPermitted", "MIG_SERVER_DIED", "errno 13 (Permission denied)", or "unknown".
 * Never NULL; a constant string, or one of the calling thread's own that the next call on that thread overwrites.
 */
#ifdef __cplusplus
extern "C" {
#endif
const char *mach_error_string(mach_error_t error);
/* Prints to standard error: text, a space, the name, and the code in parentheses. Applications only. */
void mach_error(const char *text, mach_error_t error);
#ifdef __cplusplus
}
#endif
