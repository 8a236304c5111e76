/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.1: types and constants, all of section 1. */
#include "contract.h"

#include <IOKit/IOKitServer.h>
#include <IOKit/IOMessage.h>
#include <mach/error.h>
#include <mach/mach.h>

/* A constant, the value it must have, its name. */
struct constant {
        uint32_t is, must_be;
        const char *name;
};
#define C(symbol, value) { (uint32_t)(symbol), (uint32_t)(value), #symbol }
#define SUB(symbol, value) { (uint32_t)iokit_family_err(sub_iokit_##symbol, 0), value, #symbol }

/* call-path 1.8 */
static const struct constant iokit_codes[] = {
        C(kIOReturnSuccess, 0x00000000), C(kIOReturnError, 0xE00002BC), C(kIOReturnNoMemory, 0xE00002BD),
        C(kIOReturnNoResources, 0xE00002BE), C(kIOReturnIPCError, 0xE00002BF), C(kIOReturnNoDevice, 0xE00002C0),
        C(kIOReturnNotPrivileged, 0xE00002C1), C(kIOReturnBadArgument, 0xE00002C2), C(kIOReturnLockedRead, 0xE00002C3),
        C(kIOReturnLockedWrite, 0xE00002C4), C(kIOReturnExclusiveAccess, 0xE00002C5), C(kIOReturnBadMessageID, 0xE00002C6),
        C(kIOReturnUnsupported, 0xE00002C7), C(kIOReturnVMError, 0xE00002C8), C(kIOReturnInternalError, 0xE00002C9),
        C(kIOReturnIOError, 0xE00002CA), C(kIOReturnCannotLock, 0xE00002CC), C(kIOReturnNotOpen, 0xE00002CD),
        C(kIOReturnNotReadable, 0xE00002CE), C(kIOReturnNotWritable, 0xE00002CF), C(kIOReturnNotAligned, 0xE00002D0),
        C(kIOReturnBadMedia, 0xE00002D1), C(kIOReturnStillOpen, 0xE00002D2), C(kIOReturnRLDError, 0xE00002D3),
        C(kIOReturnDMAError, 0xE00002D4), C(kIOReturnBusy, 0xE00002D5), C(kIOReturnTimeout, 0xE00002D6),
        C(kIOReturnOffline, 0xE00002D7), C(kIOReturnNotReady, 0xE00002D8), C(kIOReturnNotAttached, 0xE00002D9),
        C(kIOReturnNoChannels, 0xE00002DA), C(kIOReturnNoSpace, 0xE00002DB), C(kIOReturnPortExists, 0xE00002DD),
        C(kIOReturnCannotWire, 0xE00002DE), C(kIOReturnNoInterrupt, 0xE00002DF), C(kIOReturnNoFrames, 0xE00002E0),
        C(kIOReturnMessageTooLarge, 0xE00002E1), C(kIOReturnNotPermitted, 0xE00002E2), C(kIOReturnNoPower, 0xE00002E3),
        C(kIOReturnNoMedia, 0xE00002E4), C(kIOReturnUnformattedMedia, 0xE00002E5), C(kIOReturnUnsupportedMode, 0xE00002E6),
        C(kIOReturnUnderrun, 0xE00002E7), C(kIOReturnOverrun, 0xE00002E8), C(kIOReturnDeviceError, 0xE00002E9),
        C(kIOReturnNoCompletion, 0xE00002EA), C(kIOReturnAborted, 0xE00002EB), C(kIOReturnNoBandwidth, 0xE00002EC),
        C(kIOReturnNotResponding, 0xE00002ED), C(kIOReturnIsoTooOld, 0xE00002EE), C(kIOReturnIsoTooNew, 0xE00002EF),
        C(kIOReturnNotFound, 0xE00002F0), C(kIOReturnInvalid, 0xE0000001),
};

/* call-path 1.9: the first code of each subsystem */
static const struct constant iokit_subsystems[] = {
        SUB(common, 0xE0000000), SUB(usb, 0xE0004000), SUB(firewire, 0xE0008000), SUB(block_storage, 0xE0010000),
        SUB(graphics, 0xE0014000), SUB(networking, 0xE0018000), SUB(bluetooth, 0xE0020000), SUB(pmu, 0xE0024000),
        SUB(acpi, 0xE0028000), SUB(smbus, 0xE002C000), SUB(ahci, 0xE0030000), SUB(powermanagement, 0xE0034000),
        SUB(hidsystem, 0xE0038000), SUB(scsi, 0xE0040000), SUB(usbaudio, 0xE0044000), SUB(wirelesscharging, 0xE0048000),
        SUB(nvme, 0xE0070000), SUB(thunderbolt, 0xE0074000), SUB(graphics_acceleration, 0xE0078000),
        SUB(keystore, 0xE007C000), SUB(smc, 0xE0080000), SUB(apfs, 0xE0084000), SUB(acpiec, 0xE0088000),
        SUB(timesync_avb, 0xE008C000), SUB(platform, 0xE00A8000), SUB(audio_video, 0xE0114000), SUB(cec, 0xE0118000),
        SUB(arc, 0xE011C000), SUB(baseband, 0xE0200000), SUB(HDA, 0xE03F8000), SUB(hsic, 0xE051C000), SUB(sdio, 0xE05D0000),
        SUB(wlan, 0xE0820000), SUB(appleembeddedsleepwakehandler, 0xE0824000), SUB(appleppm, 0xE0828000),
        SUB(vendor_specific, 0xE3FF8000), SUB(reserved, 0xE3FFC000),
};

/* call-path 1.10 to 1.12 */
static const struct constant mach_codes[] = {
        C(MIG_TYPE_ERROR, 0xFFFFFED4), C(MIG_REPLY_MISMATCH, 0xFFFFFED3), C(MIG_REMOTE_ERROR, 0xFFFFFED2),
        C(MIG_BAD_ID, 0xFFFFFED1), C(MIG_BAD_ARGUMENTS, 0xFFFFFED0), C(MIG_NO_REPLY, 0xFFFFFECF),
        C(MIG_EXCEPTION, 0xFFFFFECE), C(MIG_ARRAY_TOO_LARGE, 0xFFFFFECD), C(MIG_SERVER_DIED, 0xFFFFFECC),
        C(MIG_TRAILER_ERROR, 0xFFFFFECB), C(MACH_SEND_IN_PROGRESS, 0x10000001), C(MACH_SEND_INVALID_DATA, 0x10000002),
        C(MACH_SEND_INVALID_DEST, 0x10000003), C(MACH_SEND_TIMED_OUT, 0x10000004), C(MACH_SEND_INVALID_VOUCHER, 0x10000005),
        C(MACH_SEND_INTERRUPTED, 0x10000007), C(MACH_SEND_MSG_TOO_SMALL, 0x10000008), C(MACH_SEND_INVALID_REPLY, 0x10000009),
        C(MACH_SEND_INVALID_RIGHT, 0x1000000A), C(MACH_SEND_INVALID_NOTIFY, 0x1000000B),
        C(MACH_SEND_INVALID_MEMORY, 0x1000000C), C(MACH_SEND_NO_BUFFER, 0x1000000D), C(MACH_SEND_TOO_LARGE, 0x1000000E),
        C(MACH_SEND_INVALID_TYPE, 0x1000000F), C(MACH_SEND_INVALID_HEADER, 0x10000010),
        C(MACH_SEND_INVALID_TRAILER, 0x10000011), C(MACH_SEND_INVALID_CONTEXT, 0x10000012),
        C(MACH_SEND_INVALID_OPTIONS, 0x10000013), C(MACH_SEND_INVALID_RT_OOL_SIZE, 0x10000015),
        C(MACH_SEND_NO_GRANT_DEST, 0x10000016), C(MACH_SEND_MSG_FILTERED, 0x10000017), C(MACH_SEND_AUX_TOO_SMALL, 0x10000018),
        C(MACH_SEND_AUX_TOO_LARGE, 0x10000019), C(MACH_RCV_IN_PROGRESS, 0x10004001), C(MACH_RCV_INVALID_NAME, 0x10004002),
        C(MACH_RCV_TIMED_OUT, 0x10004003), C(MACH_RCV_TOO_LARGE, 0x10004004), C(MACH_RCV_INTERRUPTED, 0x10004005),
        C(MACH_RCV_PORT_CHANGED, 0x10004006), C(MACH_RCV_INVALID_NOTIFY, 0x10004007), C(MACH_RCV_INVALID_DATA, 0x10004008),
        C(MACH_RCV_PORT_DIED, 0x10004009), C(MACH_RCV_IN_SET, 0x1000400A), C(MACH_RCV_HEADER_ERROR, 0x1000400B),
        C(MACH_RCV_BODY_ERROR, 0x1000400C), C(MACH_RCV_INVALID_TYPE, 0x1000400D), C(MACH_RCV_SCATTER_SMALL, 0x1000400E),
        C(MACH_RCV_INVALID_TRAILER, 0x1000400F), C(MACH_RCV_IN_PROGRESS_TIMED, 0x10004011),
        C(MACH_RCV_INVALID_REPLY, 0x10004012), C(MACH_RCV_INVALID_ARGUMENTS, 0x10004013), C(MACH_MSG_IPC_SPACE, 0x2000),
        C(MACH_MSG_VM_SPACE, 0x1000), C(MACH_MSG_IPC_KERNEL, 0x0800), C(MACH_MSG_VM_KERNEL, 0x0400), C(KERN_SUCCESS, 0),
        C(KERN_INVALID_ADDRESS, 1), C(KERN_PROTECTION_FAILURE, 2), C(KERN_NO_SPACE, 3), C(KERN_INVALID_ARGUMENT, 4),
        C(KERN_FAILURE, 5), C(KERN_RESOURCE_SHORTAGE, 6), C(KERN_NOT_RECEIVER, 7), C(KERN_NO_ACCESS, 8),
        C(KERN_MEMORY_FAILURE, 9), C(KERN_MEMORY_ERROR, 10), C(KERN_ALREADY_IN_SET, 11), C(KERN_NOT_IN_SET, 12),
        C(KERN_NAME_EXISTS, 13), C(KERN_ABORTED, 14), C(KERN_INVALID_NAME, 15), C(KERN_INVALID_TASK, 16),
        C(KERN_INVALID_RIGHT, 17), C(KERN_INVALID_VALUE, 18), C(KERN_UREFS_OVERFLOW, 19), C(KERN_INVALID_CAPABILITY, 20),
        C(KERN_RIGHT_EXISTS, 21), C(KERN_INVALID_HOST, 22), C(KERN_MEMORY_PRESENT, 23), C(KERN_MEMORY_DATA_MOVED, 24),
        C(KERN_MEMORY_RESTART_COPY, 25), C(KERN_INVALID_PROCESSOR_SET, 26), C(KERN_POLICY_LIMIT, 27),
        C(KERN_INVALID_POLICY, 28), C(KERN_INVALID_OBJECT, 29), C(KERN_ALREADY_WAITING, 30), C(KERN_DEFAULT_SET, 31),
        C(KERN_EXCEPTION_PROTECTED, 32), C(KERN_INVALID_LEDGER, 33), C(KERN_INVALID_MEMORY_CONTROL, 34),
        C(KERN_INVALID_SECURITY, 35), C(KERN_NOT_DEPRESSED, 36), C(KERN_TERMINATED, 37), C(KERN_LOCK_SET_DESTROYED, 38),
        C(KERN_LOCK_UNSTABLE, 39), C(KERN_LOCK_OWNED, 40), C(KERN_LOCK_OWNED_SELF, 41), C(KERN_SEMAPHORE_DESTROYED, 42),
        C(KERN_RPC_SERVER_TERMINATED, 43), C(KERN_RPC_TERMINATE_ORPHAN, 44), C(KERN_RPC_CONTINUE_ORPHAN, 45),
        C(KERN_NOT_SUPPORTED, 46), C(KERN_NODE_DOWN, 47), C(KERN_NOT_WAITING, 48), C(KERN_OPERATION_TIMED_OUT, 49),
        C(KERN_CODESIGN_ERROR, 50), C(KERN_POLICY_STATIC, 51), C(KERN_INSUFFICIENT_BUFFER_SIZE, 52), C(KERN_DENIED, 53),
        C(KERN_MISSING_KC, 54), C(KERN_INVALID_KC, 55), C(KERN_NOT_FOUND, 56), C(KERN_RETURN_MAX, 0x100),
};

KEPT_BARE(call_path_001, "IOUserClientMethodArguments: 336 bytes, fields where they belong")
{
        ck_assert_uint_eq(sizeof(IOUserClientMethodArguments), 336);
        ck_assert_uint_eq(_Alignof(IOUserClientMethodArguments), 8);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, version), 0);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, selector), 8);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, completion), 16);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarInput), 24);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarInputCount), 32);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureInput), 40);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureInputDescriptor), 48);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarOutput), 56);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, scalarOutputCount), 64);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureOutput), 72);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureOutputDescriptor), 80);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, structureOutputMaximumSize), 88);
        ck_assert_uint_eq(offsetof(IOUserClientMethodArguments, __reserved), 96);
        ck_assert_uint_eq(sizeof(((IOUserClientMethodArguments *)0)->__reserved), 240);
}

KEPT_BARE(call_path_002, "IOUserClientMethodDispatch: 32 bytes, fields where they belong")
{
        ck_assert_uint_eq(sizeof(IOUserClientMethodDispatch), 32);
        ck_assert_uint_eq(_Alignof(IOUserClientMethodDispatch), 8);
        ck_assert_uint_eq(offsetof(IOUserClientMethodDispatch, function), 0);
        ck_assert_uint_eq(offsetof(IOUserClientMethodDispatch, checkCompletionExists), 8);
        ck_assert_uint_eq(offsetof(IOUserClientMethodDispatch, checkScalarInputCount), 12);
        ck_assert_uint_eq(offsetof(IOUserClientMethodDispatch, checkStructureInputSize), 16);
        ck_assert_uint_eq(offsetof(IOUserClientMethodDispatch, checkScalarOutputCount), 20);
        ck_assert_uint_eq(offsetof(IOUserClientMethodDispatch, checkStructureOutputSize), 24);
}

/* call-path 1.1, but for names of queues (row 11) and sizes of types (row 4) */
static const struct constant limits[] = {
        C(kIOUserClientScalarArrayCountMax, 16), C(kIOUserClientAsyncArgumentsCountMax, 16),
        C(kIOUserClientAsyncReferenceCountMax, 16), C(kIOExternalMethodScalarInputCountMax, 16),
        C(kIOExternalMethodScalarOutputCountMax, 16), C(kMaxAsyncArgs, 16),
        C(kIOUserClientVariableStructureSize, 0xFFFFFFFF), C(kIOUserClientMethodArgumentsCurrentVersion, 2),
        C(kIOExternalMethodArgumentsCurrentVersion, 2), C(kIOUserClientMemoryReadOnly, 1),
        C(kOSNotificationMessageID, 53), C(kOSAsyncCompleteMessageID, 57), C(kIOAsyncCompletionNotificationType, 150),
        C(kIOServicePublishNotificationType, 100), C(kIOServiceMatchedNotificationType, 101),
        C(kIOServiceTerminatedNotificationType, 102), C(kIOServiceMessageNotificationType, 160),
        C(kFirstIOKitNotificationType, 100), C(kLastIOKitNotificationType, 199), C(kIOKitNotificationTypeMask, 0x00000FFF),
        C(kIOKitNotificationTypeSizeAdjShift, 30), C(kIOKitNotificationMsgSizeMask, 3), C(IOKIT_SERVER_VERSION, 20210810),
        C(MACH_PORT_NULL, 0), C(MACH_PORT_DEAD, 0xFFFFFFFF), C(IO_OBJECT_NULL, 0),
};

static void check_constants(const struct constant *table, size_t length)
{
        for (size_t i = 0; i < length; i++)
                ck_assert_msg(table[i].is == table[i].must_be, "%s is 0x%x, not 0x%x", table[i].name, table[i].is,
                              table[i].must_be);
}
#define CHECK_CONSTANTS(table) check_constants(table, sizeof(table) / sizeof((table)[0]))

KEPT_BARE(call_path_003, "limits, versions, message and notification numbers of section 1.1")
{
        CHECK_CONSTANTS(limits);
        ck_assert_uint_eq(sizeof(IOUserClientScalarArray), 128);
        ck_assert_uint_eq(sizeof(IOUserClientAsyncArgumentsArray), 128);
}

KEPT_BARE(call_path_004, "sizes of inline structures, scalar arrays, references, names and handles")
{
        ck_assert_uint_eq(sizeof(io_struct_inband_t), 4096);
        ck_assert_uint_eq(sizeof(io_scalar_inband64_t), 128);
        ck_assert_uint_eq(sizeof(io_async_ref64_t), 64);
        ck_assert_uint_eq(sizeof(io_scalar_inband_t), 128);
        ck_assert_uint_eq(sizeof(io_async_ref_t), 64);
        ck_assert_uint_eq(sizeof(io_name_t), 128);
        ck_assert_uint_eq(sizeof(io_string_t), 512);
        ck_assert_uint_eq(sizeof(io_string_inband_t), 4096);
        ck_assert_uint_eq(sizeof(io_user_scalar_t), 8);
        ck_assert_uint_eq(sizeof(io_user_reference_t), 8);
        ck_assert_uint_eq(sizeof(IODispatchQueueName), 256);
        ck_assert_uint_eq(sizeof(mach_port_t), 4);
        ck_assert_uint_eq(sizeof(io_object_t), 4);
        ck_assert_uint_eq(sizeof(io_connect_t), 4);
        ck_assert_uint_eq(sizeof(io_service_t), 4);
        ck_assert_uint_eq(sizeof(io_registry_entry_t), 4);
        ck_assert_uint_eq(sizeof(io_iterator_t), 4);
        ck_assert_uint_eq(sizeof(io_enumerator_t), 4);
        ck_assert_uint_eq(sizeof(io_notification_t), 4);
}

KEPT_BARE(call_path_005, "indices of the asynchronous reference: reserved 0, callback 1, refcon 2, count 3")
{
        ck_assert_int_eq(kIOAsyncReservedIndex, 0);
        ck_assert_int_eq(kIOAsyncCalloutFuncIndex, 1);
        ck_assert_int_eq(kIOAsyncCalloutRefconIndex, 2);
        ck_assert_int_eq(kIOAsyncReservedCount, 1);
        ck_assert_int_eq(kIOAsyncCalloutCount, 3);
        ck_assert_int_eq(kIOMatchingCalloutFuncIndex, 1);
        ck_assert_int_eq(kIOMatchingCalloutRefconIndex, 2);
        ck_assert_int_eq(kIOMatchingCalloutCount, 3);
        ck_assert_int_eq(kIOInterestCalloutFuncIndex, 1);
        ck_assert_int_eq(kIOInterestCalloutRefconIndex, 2);
        ck_assert_int_eq(kIOInterestCalloutServiceIndex, 3);
        ck_assert_int_eq(kIOInterestCalloutCount, 4);
        ck_assert_int_eq(kOSAsyncRef64Count, 8);
        ck_assert_int_eq(kOSAsyncRef64Size, 64);
        ck_assert_uint_eq(sizeof(OSAsyncReference64), 64);
}

KEPT_BARE(call_path_006, "kIOConnectMethodVarOutputSize as size_t is 0xFFFFFFFFFFFFFFFD")
{
        size_t size = (size_t)kIOConnectMethodVarOutputSize;
        ck_assert_uint_eq(size, 0xFFFFFFFFFFFFFFFDull);
}

KEPT_BARE(call_path_007, "every return code has its number, and its name in mach_error_string")
{
        CHECK_CONSTANTS(iokit_codes);
        CHECK_CONSTANTS(iokit_subsystems);
        CHECK_CONSTANTS(mach_codes);
        for (size_t i = 0; i < sizeof(iokit_codes) / sizeof(iokit_codes[0]); i++)
                ck_assert_str_eq(mach_error_string((kern_return_t)iokit_codes[i].must_be), iokit_codes[i].name);
        ck_assert_uint_eq(sizeof(IOReturn), 4);
        ck_assert_int_lt(kIOReturnError, 0);
        ck_assert_int_eq(MACH_MSG_SUCCESS, 0);
        ck_assert_uint_eq(MACH_MSG_MASK, 0x3E00);
}

KEPT_BARE(call_path_008, "kIOReturnBadArgument taken apart: system 0x38, subsystem 0, code 0x2C2")
{
        kern_return_t code = kIOReturnBadArgument;
        ck_assert_uint_eq(err_get_system(code), 0x38);
        ck_assert_uint_eq(err_get_sub(code), 0);
        ck_assert_uint_eq(err_get_code(code), 0x2C2);
        ck_assert_uint_eq((uint32_t)sys_iokit, 0xE0000000);
        ck_assert_uint_eq((uint32_t)system_emask, 0xFC000000);
        ck_assert_uint_eq((uint32_t)sub_emask, 0x03FFC000);
        ck_assert_uint_eq((uint32_t)code_emask, 0x00003FFF);
        ck_assert_uint_eq(err_max_system, 0x3F);
}

KEPT_BARE(call_path_009, "Mach and MIG codes taken apart: 4, 0, 3 and 0x3F, 0xFFF, 0x3ECC")
{
        kern_return_t dest = MACH_SEND_INVALID_DEST, died = MIG_SERVER_DIED;
        ck_assert_uint_eq(err_get_system(dest), 4);
        ck_assert_uint_eq(err_get_sub(dest), 0);
        ck_assert_uint_eq(err_get_code(dest), 3);
        ck_assert_uint_eq(err_get_system(died), 0x3F);
        ck_assert_uint_eq(err_get_sub(died), 0xFFF);
        ck_assert_uint_eq(err_get_code(died), 0x3ECC);
        ck_assert_uint_eq((uint32_t)err_mach_ipc, 0x10000000);
        ck_assert_uint_eq((uint32_t)err_ipc_compat, 0xFC000000);
        ck_assert_uint_eq((uint32_t)err_local, 0xF8000000);
        ck_assert_int_eq(err_kern, 0);
}

KEPT_BARE(call_path_010, "vendor codes, errno values as Mach errors, message types")
{
        ck_assert_uint_eq((uint32_t)iokit_vendor_specific_err(1), 0xE3FF8001);
        ck_assert_uint_eq((uint32_t)unix_err(22), 0x0000C016);
        ck_assert_uint_eq((uint32_t)iokit_common_err(0x2C2), 0xE00002C2);
        ck_assert_uint_eq((uint32_t)iokit_family_err(sub_iokit_usb, 0x50), 0xE0004050);
        ck_assert_uint_eq((uint32_t)kIOMessageServiceIsTerminated, 0xE0000010);
        ck_assert_str_eq(mach_error_string(unix_err(22)), "errno 22 (Invalid argument)");
}

KEPT_BARE(call_path_011, "names of queues and of the locking properties")
{
        ck_assert_str_eq(kIOUserClientQueueNameExternalMethod, "IOUserClientQueueExternalMethod");
        ck_assert_uint_eq(strlen(kIOUserClientQueueNameExternalMethod), 31);
        ck_assert_str_eq(kIOServiceDefaultQueueName, "Default");
        ck_assert_str_eq(kIOUserClientDefaultLockingKey, "IOUserClientDefaultLocking");
        ck_assert_str_eq(kIOUserClientDefaultLockingSetPropertiesKey, "IOUserClientDefaultLockingSetProperties");
        ck_assert_str_eq(kIOUserClientDefaultLockingSingleThreadExternalMethodKey,
                         "IOUserClientDefaultLockingSingleThreadExternalMethod");
}
