/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Return codes: constants. The numbers are Apple's. Zero is the only success; positive and negative values are errors.
 *
 * A code is 32 bits: system (6), subsystem (12), code (14). Contract: call-path 1.7 to 1.12.
 */
#include <mach/kern_return.h>

typedef kern_return_t IOReturn;

#define sys_iokit err_system(0x38)
#define sub_iokit_common err_sub(0x000)
#define sub_iokit_usb err_sub(0x001)
#define sub_iokit_firewire err_sub(0x002)
#define sub_iokit_block_storage err_sub(0x004)
#define sub_iokit_graphics err_sub(0x005)
#define sub_iokit_networking err_sub(0x006)
#define sub_iokit_bluetooth err_sub(0x008)
#define sub_iokit_pmu err_sub(0x009)
#define sub_iokit_acpi err_sub(0x00A)
#define sub_iokit_smbus err_sub(0x00B)
#define sub_iokit_ahci err_sub(0x00C)
#define sub_iokit_powermanagement err_sub(0x00D)
#define sub_iokit_hidsystem err_sub(0x00E)
#define sub_iokit_scsi err_sub(0x010)
#define sub_iokit_usbaudio err_sub(0x011)
#define sub_iokit_wirelesscharging err_sub(0x012)
#define sub_iokit_nvme err_sub(0x01C)
#define sub_iokit_thunderbolt err_sub(0x01D)
#define sub_iokit_graphics_acceleration err_sub(0x01E)
#define sub_iokit_keystore err_sub(0x01F)
#define sub_iokit_smc err_sub(0x020)
#define sub_iokit_apfs err_sub(0x021)
#define sub_iokit_acpiec err_sub(0x022)
#define sub_iokit_timesync_avb err_sub(0x023)
#define sub_iokit_platform err_sub(0x02A)
#define sub_iokit_audio_video err_sub(0x045)
#define sub_iokit_cec err_sub(0x046)
#define sub_iokit_arc err_sub(0x047)
#define sub_iokit_baseband err_sub(0x080)
#define sub_iokit_HDA err_sub(0x0FE)
#define sub_iokit_hsic err_sub(0x147)
#define sub_iokit_sdio err_sub(0x174)
#define sub_iokit_wlan err_sub(0x208)
#define sub_iokit_appleembeddedsleepwakehandler err_sub(0x209)
#define sub_iokit_appleppm err_sub(0x20A)
#define sub_iokit_vendor_specific err_sub(0xFFE)
#define sub_iokit_reserved err_sub(0xFFF)

#define iokit_common_err(code) ((IOReturn)(sys_iokit | sub_iokit_common | (code)))
#define iokit_family_err(sub, code) ((IOReturn)(sys_iokit | (sub) | (code)))
#define iokit_vendor_specific_err(code) ((IOReturn)(sys_iokit | sub_iokit_vendor_specific | (code)))
#define iokit_common_msg(message) ((uint32_t)(sys_iokit | sub_iokit_common | (message)))

#define kIOReturnSuccess KERN_SUCCESS
#define kIOReturnError            ((IOReturn)0xE00002BC) /* unspecific failure */
#define kIOReturnNoMemory         ((IOReturn)0xE00002BD) /* an allocation failed */
#define kIOReturnNoResources      ((IOReturn)0xE00002BE) /* some limited resource ran out */
#define kIOReturnIPCError         ((IOReturn)0xE00002BF) /* the message transport or message shape was wrong */
#define kIOReturnNoDevice         ((IOReturn)0xE00002C0) /* the device does not exist */
#define kIOReturnNotPrivileged    ((IOReturn)0xE00002C1) /* caller lacks a required privilege */
#define kIOReturnBadArgument      ((IOReturn)0xE00002C2) /* a parameter, count, size or handle type is wrong */
#define kIOReturnLockedRead       ((IOReturn)0xE00002C3) /* locked against reading */
#define kIOReturnLockedWrite      ((IOReturn)0xE00002C4) /* locked against writing */
#define kIOReturnExclusiveAccess  ((IOReturn)0xE00002C5) /* someone else holds it exclusively */
#define kIOReturnBadMessageID     ((IOReturn)0xE00002C6) /* a message carried an unexpected id */
#define kIOReturnUnsupported      ((IOReturn)0xE00002C7) /* operation not implemented by this object */
#define kIOReturnVMError          ((IOReturn)0xE00002C8) /* a virtual memory operation failed */
#define kIOReturnInternalError    ((IOReturn)0xE00002C9) /* inconsistency inside the implementation */
#define kIOReturnIOError          ((IOReturn)0xE00002CA) /* generic input/output failure */
#define kIOReturnCannotLock       ((IOReturn)0xE00002CC) /* a lock could not be taken */
#define kIOReturnNotOpen          ((IOReturn)0xE00002CD) /* used without having been opened */
#define kIOReturnNotReadable      ((IOReturn)0xE00002CE) /* reading is not possible */
#define kIOReturnNotWritable      ((IOReturn)0xE00002CF) /* writing is not possible */
#define kIOReturnNotAligned       ((IOReturn)0xE00002D0) /* address or length alignment is wrong */
#define kIOReturnBadMedia         ((IOReturn)0xE00002D1) /* defective medium */
#define kIOReturnStillOpen        ((IOReturn)0xE00002D2) /* something still holds it open */
#define kIOReturnRLDError         ((IOReturn)0xE00002D3) /* run-time link/load failure */
#define kIOReturnDMAError         ((IOReturn)0xE00002D4) /* DMA failed */
#define kIOReturnBusy             ((IOReturn)0xE00002D5) /* busy now */
#define kIOReturnTimeout          ((IOReturn)0xE00002D6) /* a deadline passed */
#define kIOReturnOffline          ((IOReturn)0xE00002D7) /* not online (RPC layer: the driver host is gone) */
#define kIOReturnNotReady         ((IOReturn)0xE00002D8) /* not ready (RPC layer: no queue port to send to) */
#define kIOReturnNotAttached      ((IOReturn)0xE00002D9) /* not attached */
#define kIOReturnNoChannels       ((IOReturn)0xE00002DA) /* no free DMA channel */
#define kIOReturnNoSpace          ((IOReturn)0xE00002DB) /* no room for the data */
#define kIOReturnPortExists       ((IOReturn)0xE00002DD) /* the port is there already */
#define kIOReturnCannotWire       ((IOReturn)0xE00002DE) /* physical memory could not be pinned */
#define kIOReturnNoInterrupt      ((IOReturn)0xE00002DF) /* no interrupt is attached */
#define kIOReturnNoFrames         ((IOReturn)0xE00002E0) /* no DMA frame is queued */
#define kIOReturnMessageTooLarge  ((IOReturn)0xE00002E1) /* a message or argument list exceeds its limit */
#define kIOReturnNotPermitted     ((IOReturn)0xE00002E2) /* policy forbids it (entitlement, sandbox, ownership) */
#define kIOReturnNoPower          ((IOReturn)0xE00002E3) /* device has no power */
#define kIOReturnNoMedia          ((IOReturn)0xE00002E4) /* no medium inserted */
#define kIOReturnUnformattedMedia ((IOReturn)0xE00002E5) /* medium carries no format */
#define kIOReturnUnsupportedMode  ((IOReturn)0xE00002E6) /* the requested mode does not exist */
#define kIOReturnUnderrun         ((IOReturn)0xE00002E7) /* less data than required */
#define kIOReturnOverrun          ((IOReturn)0xE00002E8) /* more data than fits */
#define kIOReturnDeviceError      ((IOReturn)0xE00002E9) /* the device misbehaves */
#define kIOReturnNoCompletion     ((IOReturn)0xE00002EA) /* nothing runs the request (a dispatch entry without function) */
#define kIOReturnAborted          ((IOReturn)0xE00002EB) /* cancelled before completion */
#define kIOReturnNoBandwidth      ((IOReturn)0xE00002EC) /* bus bandwidth would not suffice */
#define kIOReturnNotResponding    ((IOReturn)0xE00002ED) /* device gives no answer */
#define kIOReturnIsoTooOld        ((IOReturn)0xE00002EE) /* isochronous start time lies too far back */
#define kIOReturnIsoTooNew        ((IOReturn)0xE00002EF) /* isochronous start time lies too far ahead */
#define kIOReturnNotFound         ((IOReturn)0xE00002F0) /* the thing searched for does not exist */
#define kIOReturnInvalid          ((IOReturn)0xE0000001) /* poison value; correct software never returns it */
