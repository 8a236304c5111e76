/* SPDX-License-Identifier: Apache-2.0 */
/* CFReadStream and CFWriteStream of files, and property lists by way of them. One thread at a time per stream. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf.h"
#include "object/plist.h"

/* Both kinds; the class says which one it is. */
struct stream {
        OSObject object;
        CFURLRef url;                   /* a reference */
        CFStreamStatus status;
        int fd;
};
struct __CFReadStream {
        struct stream stream;
};
struct __CFWriteStream {
        struct stream stream;
};

static void stream_free(OSObject *object)
{
        struct stream *stream = (struct stream *)object;

        if (stream->status != kCFStreamStatusNotOpen)
                amb_fd_close(stream->fd);
        if (stream->url)
                CFRelease(stream->url);
        OSObject_free(object);
}

static const struct amb_method stream_methods[] = { AMB_OVERRIDE(OSObject, free, stream_free), AMB_METHODS_END };
static const OSMetaClass read_class = { "CFReadStream", &gOSObjectMetaClass, sizeof(struct stream), stream_methods, NULL };
static const OSMetaClass write_class = { "CFWriteStream", &gOSObjectMetaClass, sizeof(struct stream), stream_methods, NULL };

static void *stream_new(const OSMetaClass *class, CFURLRef url)
{
        struct stream *stream = url ? (struct stream *)amb_object_new(class) : NULL;

        if (stream)
                stream->url = CFRetain(url);
        return stream;
}

static Boolean stream_open(struct stream *stream, int flags)
{
        UInt8 path[PATH_MAX];

        if (stream->status != kCFStreamStatusNotOpen)
                return false;
        stream->fd = -1;
        errno = ENAMETOOLONG;
        if (CFURLGetFileSystemRepresentation(stream->url, true, path, sizeof(path)))
                stream->fd = open((const char *)path, flags | O_CLOEXEC, 0666);
        stream->status = stream->fd < 0 ? kCFStreamStatusError : kCFStreamStatusOpen;
        return stream->fd >= 0;
}

static void stream_close(struct stream *stream)
{
        if (stream->status != kCFStreamStatusNotOpen)
                stream->fd = amb_fd_close(stream->fd);
        stream->status = kCFStreamStatusClosed;
        stream->fd = -1;
}

CFTypeID CFReadStreamGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&read_class;
}

CFTypeID CFWriteStreamGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&write_class;
}

CFReadStreamRef CFReadStreamCreateWithFile(CFAllocatorRef allocator, CFURLRef url)
{
        (void)allocator;
        return stream_new(&read_class, url);
}

CFWriteStreamRef CFWriteStreamCreateWithFile(CFAllocatorRef allocator, CFURLRef url)
{
        (void)allocator;
        return stream_new(&write_class, url);
}

Boolean CFReadStreamOpen(CFReadStreamRef stream)
{
        return stream_open(&stream->stream, O_RDONLY);
}

Boolean CFWriteStreamOpen(CFWriteStreamRef stream)
{
        return stream_open(&stream->stream, O_WRONLY | O_CREAT | O_TRUNC);
}

void CFReadStreamClose(CFReadStreamRef stream)
{
        stream_close(&stream->stream);
}

void CFWriteStreamClose(CFWriteStreamRef stream)
{
        stream_close(&stream->stream);
}

CFStreamStatus CFReadStreamGetStatus(CFReadStreamRef stream)
{
        return stream->stream.status;
}

CFStreamStatus CFWriteStreamGetStatus(CFWriteStreamRef stream)
{
        return stream->stream.status;
}

Boolean CFReadStreamHasBytesAvailable(CFReadStreamRef stream)
{
        return stream->stream.status == kCFStreamStatusOpen;
}

Boolean CFWriteStreamCanAcceptBytes(CFWriteStreamRef stream)
{
        return stream->stream.status == kCFStreamStatusOpen;
}

CFIndex CFReadStreamRead(CFReadStreamRef stream, UInt8 *buffer, CFIndex length)
{
        struct stream *s = &stream->stream;
        ssize_t n;

        if (s->status == kCFStreamStatusAtEnd)
                return 0;
        errno = EBADF;
        if (s->status != kCFStreamStatusOpen || length < 0)
                return -1;
        do
                n = read(s->fd, buffer, (size_t)length);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                s->status = kCFStreamStatusError;
        else if (n == 0 && length > 0)
                s->status = kCFStreamStatusAtEnd;
        return n;
}

CFIndex CFWriteStreamWrite(CFWriteStreamRef stream, const UInt8 *buffer, CFIndex length)
{
        struct stream *s = &stream->stream;
        CFIndex done = 0;

        errno = EBADF;
        if (s->status != kCFStreamStatusOpen || length < 0)
                return -1;
        while (done < length) {
                ssize_t n = write(s->fd, buffer + done, (size_t)(length - done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        s->status = kCFStreamStatusError;
                        return done > 0 ? done : -1;
                }
                done += n;
        }
        return done;
}

/* --- property lists --- */

/*
 * What is left in the stream, `most` bytes at most (0: all), and no more than a byte too much for a list: some have no end. NULL:
 * no memory, or it cannot be read.
 */
static CFDataRef rest_of(CFReadStreamRef stream, CFIndex most)
{
        CFMutableDataRef data = CFDataCreateMutable(NULL, 0);
        CFIndex n = 1, had, wanted;
        UInt8 part[4096];

        if (most <= 0 || most > AMB_PLIST_MAX_BYTES)
                most = AMB_PLIST_MAX_BYTES + 1;
        while (data && n > 0) {
                had = CFDataGetLength(data);
                wanted = most - had < (CFIndex)sizeof(part) ? most - had : (CFIndex)sizeof(part);
                n = wanted > 0 ? CFReadStreamRead(stream, part, wanted) : 0;
                CFDataAppendBytes(data, part, n);
                if (n < 0 || (n > 0 && CFDataGetLength(data) != had + n)) {
                        CFRelease(data);
                        data = NULL;
                }
        }
        return data;
}

CFPropertyListRef CFPropertyListCreateWithStream(CFAllocatorRef allocator, CFReadStreamRef stream, CFIndex length,
                                                 CFOptionFlags options, CFPropertyListFormat *format, CFErrorRef *error)
{
        CFDataRef data = rest_of(stream, length);
        CFPropertyListRef list;

        if (!data) {
                amb_cf_error(error, kCFPropertyListReadStreamError, "the stream is not open, or it cannot be read");
                return NULL;
        }
        list = CFPropertyListCreateWithData(allocator, data, options, format, error);
        CFRelease(data);
        return list;
}

CFIndex CFPropertyListWrite(CFPropertyListRef list, CFWriteStreamRef stream, CFPropertyListFormat format, CFOptionFlags options,
                            CFErrorRef *error)
{
        CFDataRef data = CFPropertyListCreateData(NULL, list, format, options, error);
        CFIndex written;

        if (!data)
                return 0;
        written = CFWriteStreamWrite(stream, CFDataGetBytePtr(data), CFDataGetLength(data));
        if (written != CFDataGetLength(data)) {
                amb_cf_error(error, kCFPropertyListWriteStreamError, "the stream does not take all of it");
                written = 0;
        }
        CFRelease(data);
        return written;
}
