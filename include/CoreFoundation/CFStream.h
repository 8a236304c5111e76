/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Streams of bytes from and to files. They are read and written at once, by whoever calls; there are no streams of sockets and of
 * memory, and none that a run loop serves. One thread at a time per stream. The last reference closes it.
 * Contract: real-code 3 'CoreFoundation functions'.
 */
#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFURL.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct __CFReadStream *CFReadStreamRef;
typedef struct __CFWriteStream *CFWriteStreamRef;
typedef CFIndex CFStreamStatus;
enum {
        kCFStreamStatusNotOpen = 0,
        kCFStreamStatusOpening,
        kCFStreamStatusOpen,
        kCFStreamStatusReading,
        kCFStreamStatusWriting,
        kCFStreamStatusAtEnd,
        kCFStreamStatusClosed,
        kCFStreamStatusError
};

CFTypeID CFReadStreamGetTypeID(void);
CFTypeID CFWriteStreamGetTypeID(void);
/* One reference for the caller; NULL: no memory or no URL. The file is opened by ...Open. */
CFReadStreamRef CFReadStreamCreateWithFile(CFAllocatorRef allocator, CFURLRef url);
CFWriteStreamRef CFWriteStreamCreateWithFile(CFAllocatorRef allocator, CFURLRef url);
/* Once; true: it is open. The file to write is made or emptied. False: the status is ...Error, errno says why. */
Boolean CFReadStreamOpen(CFReadStreamRef stream);
Boolean CFWriteStreamOpen(CFWriteStreamRef stream);
void CFReadStreamClose(CFReadStreamRef stream);
void CFWriteStreamClose(CFWriteStreamRef stream);
CFStreamStatus CFReadStreamGetStatus(CFReadStreamRef stream);
CFStreamStatus CFWriteStreamGetStatus(CFWriteStreamRef stream);
Boolean CFReadStreamHasBytesAvailable(CFReadStreamRef stream);          /* it is open, and no Read has met the end */
Boolean CFWriteStreamCanAcceptBytes(CFWriteStreamRef stream);           /* it is open */
/* Bytes read, `length` at most; 0: the end; -1: not open, or an error (errno). */
CFIndex CFReadStreamRead(CFReadStreamRef stream, UInt8 *buffer, CFIndex length);
/* Bytes written, all of them but for a full disk; -1: not open, or an error (errno). */
CFIndex CFWriteStreamWrite(CFWriteStreamRef stream, const UInt8 *buffer, CFIndex length);

#ifdef __cplusplus
}
#endif
