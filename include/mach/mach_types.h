/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Mach's names for sizes, addresses and handles. A handle ("port name") is a 32-bit number of this process; 0 is none. Types
 * only.
 * Contract: call-path 1.1, 2.2, real-code 3 'Mach functions and macros'.
 */
#include <stdint.h>

#include <mach/clock_types.h>
#include <mach/kern_return.h>

typedef uint32_t natural_t;
typedef int32_t integer_t;
typedef int boolean_t;

typedef natural_t mach_port_name_t;
typedef mach_port_name_t mach_port_t;
typedef mach_port_t task_t;
typedef mach_port_t task_port_t;
typedef mach_port_t host_t;

typedef uintptr_t vm_address_t;
typedef uintptr_t vm_offset_t;
typedef uintptr_t vm_size_t;
typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_size_t;

#define MACH_PORT_NULL ((mach_port_t)0)
#define MACH_PORT_DEAD ((mach_port_t)~0u)
#define MACH_PORT_VALID(name) (((name) != MACH_PORT_NULL) && ((name) != MACH_PORT_DEAD))
#define TASK_NULL ((task_t)0)

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
