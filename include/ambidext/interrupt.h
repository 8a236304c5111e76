/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where a driver's interrupts come from on Linux: file descriptors that become readable. VFIO gives an eventfd for each
 * interrupt, UIO the device file itself, and a virtual device writes to an eventfd of its own.
 *
 *      Start:  fd = open("/dev/uio0", O_RDWR | O_CLOEXEC);
 *              amb_service_attach_interrupt(provider, 0, fd, fd, kIOInterruptTypeLevel);
 *              IOInterruptDispatchSource_Create(provider, 0, queue, &source);
 *
 * Contract: ours. What happens to the interrupt then: memory-and-queues 10.2.
 */
#include <DriverKit/IOInterruptDispatchSource.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Gives `provider` an interrupt number `index` (0 to 0xFFFF), once. type: kIOInterruptTypeEdge or kIOInterruptTypeLevel.
 *
 * fd: readable when the interrupt has happened. A read of 8 bytes gives how often since the last read (eventfd, timerfd); where
 * the kernel wants 4 bytes, they are a running total (UIO; what came before the first read counts as one). Nobody else
 * may read it; it is switched to non-blocking, which holds for all descriptors of the same open file.
 *
 * unmask_fd: -1, or where a 1 is written when a source on the interrupt is switched on and each time its handler has run, 8
 * bytes or, where the kernel wants it so, 4: the UIO device file itself, or the eventfd of VFIO_IRQ_SET_ACTION_UNMASK.
 *
 * Both descriptors stay the caller's, which may close them at once: copies are kept as long as the provider lives. 0.
 * kIOReturnBadArgument: no provider, a number or a type beyond these, no such descriptor. kIOReturnUnsupported: nothing that
 * can be waited for (a regular file). kIOReturnExclusiveAccess: the provider has this interrupt. kIOReturnNoMemory,
 * kIOReturnNoResources (no more descriptors). Any thread.
 */
kern_return_t amb_service_attach_interrupt(IOService *provider, uint32_t index, int fd, int unmask_fd, uint64_t type);

#ifdef __cplusplus
}
#endif
