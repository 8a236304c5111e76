/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of return codes: the one table behind mach_error_string(), the tools' messages and the logs. Apple's own phrases are
 * its text; ours are the symbols' names, which is what people search for, and what to do where we know it.
 */
#include "base/return.h"

#include <stdio.h>

#include <IOKit/IOReturn.h>

#include "base/base.h"

static const struct {
        kern_return_t code;
        const char *name;
} names[] = {
        { 0, "kIOReturnSuccess" },
        { kIOReturnError, "kIOReturnError" },
        { kIOReturnNoMemory, "kIOReturnNoMemory" },
        { kIOReturnNoResources, "kIOReturnNoResources" },
        { kIOReturnIPCError, "kIOReturnIPCError" },
        { kIOReturnNoDevice, "kIOReturnNoDevice" },
        { kIOReturnNotPrivileged, "kIOReturnNotPrivileged" },
        { kIOReturnBadArgument, "kIOReturnBadArgument" },
        { kIOReturnLockedRead, "kIOReturnLockedRead" },
        { kIOReturnLockedWrite, "kIOReturnLockedWrite" },
        { kIOReturnExclusiveAccess, "kIOReturnExclusiveAccess" },
        { kIOReturnBadMessageID, "kIOReturnBadMessageID" },
        { kIOReturnUnsupported, "kIOReturnUnsupported" },
        { kIOReturnVMError, "kIOReturnVMError" },
        { kIOReturnInternalError, "kIOReturnInternalError" },
        { kIOReturnIOError, "kIOReturnIOError" },
        { kIOReturnCannotLock, "kIOReturnCannotLock" },
        { kIOReturnNotOpen, "kIOReturnNotOpen" },
        { kIOReturnNotReadable, "kIOReturnNotReadable" },
        { kIOReturnNotWritable, "kIOReturnNotWritable" },
        { kIOReturnNotAligned, "kIOReturnNotAligned" },
        { kIOReturnBadMedia, "kIOReturnBadMedia" },
        { kIOReturnStillOpen, "kIOReturnStillOpen" },
        { kIOReturnRLDError, "kIOReturnRLDError" },
        { kIOReturnDMAError, "kIOReturnDMAError" },
        { kIOReturnBusy, "kIOReturnBusy" },
        { kIOReturnTimeout, "kIOReturnTimeout" },
        { kIOReturnOffline, "kIOReturnOffline" },
        { kIOReturnNotReady, "kIOReturnNotReady" },
        { kIOReturnNotAttached, "kIOReturnNotAttached" },
        { kIOReturnNoChannels, "kIOReturnNoChannels" },
        { kIOReturnNoSpace, "kIOReturnNoSpace" },
        { kIOReturnPortExists, "kIOReturnPortExists" },
        { kIOReturnCannotWire, "kIOReturnCannotWire" },
        { kIOReturnNoInterrupt, "kIOReturnNoInterrupt" },
        { kIOReturnNoFrames, "kIOReturnNoFrames" },
        { kIOReturnMessageTooLarge, "kIOReturnMessageTooLarge" },
        { kIOReturnNotPermitted, "kIOReturnNotPermitted" },
        { kIOReturnNoPower, "kIOReturnNoPower" },
        { kIOReturnNoMedia, "kIOReturnNoMedia" },
        { kIOReturnUnformattedMedia, "kIOReturnUnformattedMedia" },
        { kIOReturnUnsupportedMode, "kIOReturnUnsupportedMode" },
        { kIOReturnUnderrun, "kIOReturnUnderrun" },
        { kIOReturnOverrun, "kIOReturnOverrun" },
        { kIOReturnDeviceError, "kIOReturnDeviceError" },
        { kIOReturnNoCompletion, "kIOReturnNoCompletion" },
        { kIOReturnAborted, "kIOReturnAborted" },
        { kIOReturnNoBandwidth, "kIOReturnNoBandwidth" },
        { kIOReturnNotResponding, "kIOReturnNotResponding" },
        { kIOReturnIsoTooOld, "kIOReturnIsoTooOld" },
        { kIOReturnIsoTooNew, "kIOReturnIsoTooNew" },
        { kIOReturnNotFound, "kIOReturnNotFound" },
        { kIOReturnInvalid, "kIOReturnInvalid" },
        { MIG_TYPE_ERROR, "MIG_TYPE_ERROR" },
        { MIG_REPLY_MISMATCH, "MIG_REPLY_MISMATCH" },
        { MIG_REMOTE_ERROR, "MIG_REMOTE_ERROR" },
        { MIG_BAD_ID, "MIG_BAD_ID" },
        { MIG_BAD_ARGUMENTS, "MIG_BAD_ARGUMENTS" },
        { MIG_NO_REPLY, "MIG_NO_REPLY" },
        { MIG_EXCEPTION, "MIG_EXCEPTION" },
        { MIG_ARRAY_TOO_LARGE, "MIG_ARRAY_TOO_LARGE" },
        { MIG_SERVER_DIED, "MIG_SERVER_DIED" },
        { MIG_TRAILER_ERROR, "MIG_TRAILER_ERROR" },
        { MACH_SEND_IN_PROGRESS, "MACH_SEND_IN_PROGRESS" },
        { MACH_SEND_INVALID_DATA, "MACH_SEND_INVALID_DATA" },
        { MACH_SEND_INVALID_DEST, "MACH_SEND_INVALID_DEST" },
        { MACH_SEND_TIMED_OUT, "MACH_SEND_TIMED_OUT" },
        { MACH_SEND_INVALID_VOUCHER, "MACH_SEND_INVALID_VOUCHER" },
        { MACH_SEND_INTERRUPTED, "MACH_SEND_INTERRUPTED" },
        { MACH_SEND_MSG_TOO_SMALL, "MACH_SEND_MSG_TOO_SMALL" },
        { MACH_SEND_INVALID_REPLY, "MACH_SEND_INVALID_REPLY" },
        { MACH_SEND_INVALID_RIGHT, "MACH_SEND_INVALID_RIGHT" },
        { MACH_SEND_INVALID_NOTIFY, "MACH_SEND_INVALID_NOTIFY" },
        { MACH_SEND_INVALID_MEMORY, "MACH_SEND_INVALID_MEMORY" },
        { MACH_SEND_NO_BUFFER, "MACH_SEND_NO_BUFFER" },
        { MACH_SEND_TOO_LARGE, "MACH_SEND_TOO_LARGE" },
        { MACH_SEND_INVALID_TYPE, "MACH_SEND_INVALID_TYPE" },
        { MACH_SEND_INVALID_HEADER, "MACH_SEND_INVALID_HEADER" },
        { MACH_SEND_INVALID_TRAILER, "MACH_SEND_INVALID_TRAILER" },
        { MACH_SEND_INVALID_CONTEXT, "MACH_SEND_INVALID_CONTEXT" },
        { MACH_SEND_INVALID_OPTIONS, "MACH_SEND_INVALID_OPTIONS" },
        { MACH_SEND_INVALID_RT_OOL_SIZE, "MACH_SEND_INVALID_RT_OOL_SIZE" },
        { MACH_SEND_NO_GRANT_DEST, "MACH_SEND_NO_GRANT_DEST" },
        { MACH_SEND_MSG_FILTERED, "MACH_SEND_MSG_FILTERED" },
        { MACH_SEND_AUX_TOO_SMALL, "MACH_SEND_AUX_TOO_SMALL" },
        { MACH_SEND_AUX_TOO_LARGE, "MACH_SEND_AUX_TOO_LARGE" },
        { MACH_RCV_IN_PROGRESS, "MACH_RCV_IN_PROGRESS" },
        { MACH_RCV_INVALID_NAME, "MACH_RCV_INVALID_NAME" },
        { MACH_RCV_TIMED_OUT, "MACH_RCV_TIMED_OUT" },
        { MACH_RCV_TOO_LARGE, "MACH_RCV_TOO_LARGE" },
        { MACH_RCV_INTERRUPTED, "MACH_RCV_INTERRUPTED" },
        { MACH_RCV_PORT_CHANGED, "MACH_RCV_PORT_CHANGED" },
        { MACH_RCV_INVALID_NOTIFY, "MACH_RCV_INVALID_NOTIFY" },
        { MACH_RCV_INVALID_DATA, "MACH_RCV_INVALID_DATA" },
        { MACH_RCV_PORT_DIED, "MACH_RCV_PORT_DIED" },
        { MACH_RCV_IN_SET, "MACH_RCV_IN_SET" },
        { MACH_RCV_HEADER_ERROR, "MACH_RCV_HEADER_ERROR" },
        { MACH_RCV_BODY_ERROR, "MACH_RCV_BODY_ERROR" },
        { MACH_RCV_INVALID_TYPE, "MACH_RCV_INVALID_TYPE" },
        { MACH_RCV_SCATTER_SMALL, "MACH_RCV_SCATTER_SMALL" },
        { MACH_RCV_INVALID_TRAILER, "MACH_RCV_INVALID_TRAILER" },
        { MACH_RCV_IN_PROGRESS_TIMED, "MACH_RCV_IN_PROGRESS_TIMED" },
        { MACH_RCV_INVALID_REPLY, "MACH_RCV_INVALID_REPLY" },
        { MACH_RCV_INVALID_ARGUMENTS, "MACH_RCV_INVALID_ARGUMENTS" },
        { KERN_INVALID_ADDRESS, "KERN_INVALID_ADDRESS" },
        { KERN_PROTECTION_FAILURE, "KERN_PROTECTION_FAILURE" },
        { KERN_NO_SPACE, "KERN_NO_SPACE" },
        { KERN_INVALID_ARGUMENT, "KERN_INVALID_ARGUMENT" },
        { KERN_FAILURE, "KERN_FAILURE" },
        { KERN_RESOURCE_SHORTAGE, "KERN_RESOURCE_SHORTAGE" },
        { KERN_NOT_RECEIVER, "KERN_NOT_RECEIVER" },
        { KERN_NO_ACCESS, "KERN_NO_ACCESS" },
        { KERN_MEMORY_FAILURE, "KERN_MEMORY_FAILURE" },
        { KERN_MEMORY_ERROR, "KERN_MEMORY_ERROR" },
        { KERN_ALREADY_IN_SET, "KERN_ALREADY_IN_SET" },
        { KERN_NOT_IN_SET, "KERN_NOT_IN_SET" },
        { KERN_NAME_EXISTS, "KERN_NAME_EXISTS" },
        { KERN_ABORTED, "KERN_ABORTED" },
        { KERN_INVALID_NAME, "KERN_INVALID_NAME" },
        { KERN_INVALID_TASK, "KERN_INVALID_TASK" },
        { KERN_INVALID_RIGHT, "KERN_INVALID_RIGHT" },
        { KERN_INVALID_VALUE, "KERN_INVALID_VALUE" },
        { KERN_UREFS_OVERFLOW, "KERN_UREFS_OVERFLOW" },
        { KERN_INVALID_CAPABILITY, "KERN_INVALID_CAPABILITY" },
        { KERN_RIGHT_EXISTS, "KERN_RIGHT_EXISTS" },
        { KERN_INVALID_HOST, "KERN_INVALID_HOST" },
        { KERN_MEMORY_PRESENT, "KERN_MEMORY_PRESENT" },
        { KERN_MEMORY_DATA_MOVED, "KERN_MEMORY_DATA_MOVED" },
        { KERN_MEMORY_RESTART_COPY, "KERN_MEMORY_RESTART_COPY" },
        { KERN_INVALID_PROCESSOR_SET, "KERN_INVALID_PROCESSOR_SET" },
        { KERN_POLICY_LIMIT, "KERN_POLICY_LIMIT" },
        { KERN_INVALID_POLICY, "KERN_INVALID_POLICY" },
        { KERN_INVALID_OBJECT, "KERN_INVALID_OBJECT" },
        { KERN_ALREADY_WAITING, "KERN_ALREADY_WAITING" },
        { KERN_DEFAULT_SET, "KERN_DEFAULT_SET" },
        { KERN_EXCEPTION_PROTECTED, "KERN_EXCEPTION_PROTECTED" },
        { KERN_INVALID_LEDGER, "KERN_INVALID_LEDGER" },
        { KERN_INVALID_MEMORY_CONTROL, "KERN_INVALID_MEMORY_CONTROL" },
        { KERN_INVALID_SECURITY, "KERN_INVALID_SECURITY" },
        { KERN_NOT_DEPRESSED, "KERN_NOT_DEPRESSED" },
        { KERN_TERMINATED, "KERN_TERMINATED" },
        { KERN_LOCK_SET_DESTROYED, "KERN_LOCK_SET_DESTROYED" },
        { KERN_LOCK_UNSTABLE, "KERN_LOCK_UNSTABLE" },
        { KERN_LOCK_OWNED, "KERN_LOCK_OWNED" },
        { KERN_LOCK_OWNED_SELF, "KERN_LOCK_OWNED_SELF" },
        { KERN_SEMAPHORE_DESTROYED, "KERN_SEMAPHORE_DESTROYED" },
        { KERN_RPC_SERVER_TERMINATED, "KERN_RPC_SERVER_TERMINATED" },
        { KERN_RPC_TERMINATE_ORPHAN, "KERN_RPC_TERMINATE_ORPHAN" },
        { KERN_RPC_CONTINUE_ORPHAN, "KERN_RPC_CONTINUE_ORPHAN" },
        { KERN_NOT_SUPPORTED, "KERN_NOT_SUPPORTED" },
        { KERN_NODE_DOWN, "KERN_NODE_DOWN" },
        { KERN_NOT_WAITING, "KERN_NOT_WAITING" },
        { KERN_OPERATION_TIMED_OUT, "KERN_OPERATION_TIMED_OUT" },
        { KERN_CODESIGN_ERROR, "KERN_CODESIGN_ERROR" },
        { KERN_POLICY_STATIC, "KERN_POLICY_STATIC" },
        { KERN_INSUFFICIENT_BUFFER_SIZE, "KERN_INSUFFICIENT_BUFFER_SIZE" },
        { KERN_DENIED, "KERN_DENIED" },
        { KERN_MISSING_KC, "KERN_MISSING_KC" },
        { KERN_INVALID_KC, "KERN_INVALID_KC" },
        { KERN_NOT_FOUND, "KERN_NOT_FOUND" },
};

const char *amb_return_name(int32_t code)
{
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(names); i++)
                if (names[i].code == code)
                        return names[i].name;
        return NULL;
}

/* Public: the libraries' symbol files name it. */
__attribute__((visibility("default"))) const char *mach_error_string(mach_error_t error)
{
        const char *name = amb_return_name(error);
        if (name)
                return name;
        static _Thread_local char text[96];
        if (err_get_system(error) == 0 && err_get_sub(error) == 3)
                snprintf(text, sizeof(text), "errno %u (%s)", err_get_code(error), strerror((int)err_get_code(error)));
        else
                snprintf(text, sizeof(text), "unknown (system 0x%x, subsystem 0x%x, code 0x%x)", err_get_system(error),
                         err_get_sub(error), err_get_code(error));
        return text;
}
