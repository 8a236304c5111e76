/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the HID devices of this process's drivers appear: as devices of Linux, by /dev/uhid (one descriptor each). For programs
 * that host drivers; drivers need none of it. Without a call, each device opens /dev/uhid when it starts.
 *
 * $AMBIDEXT_HID_RECORDER, the path of a SOCK_SEQPACKET socket, takes the place of /dev/uhid: each device connects to it, and who
 * listens there plays the kernel, one struct uhid_event (linux/uhid.h) per message, zeros at its end left out.
 * Manual: ambidext-hid(7).
 */
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Opens /dev/uhid `count` times (at most 64) for devices that start later, when the process may open files no more; from then on
 * devices use these alone, and one that ends gives its descriptor back. 0. -errno of the opening: as if amb_hid_deny had been
 * called with words for it. Call once, before the first device.
 */
int amb_hid_reserve(unsigned int count);

/* Devices of this process appear nowhere. reason: the rest of the sentence "reports go nowhere: ..." in the log; lives for ever. */
void amb_hid_deny(const char *reason);

#ifdef __cplusplus
}
#endif
