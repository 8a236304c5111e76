/* SPDX-License-Identifier: Apache-2.0 */
/* CFURL of files: a path and its form as a URL. Immutable. */
#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "client/cf.h"

struct __CFURL {
        OSObject object;
        char *path;                     /* absolute, without '/' at the end, but for the root's */
        bool directory;
        OSString *text;                 /* file://... */
};

static void url_free(OSObject *object)
{
        struct __CFURL *url = (struct __CFURL *)object;

        free(url->path);
        OSObject_release(url->text);
        OSObject_free(object);
}

static bool url_is_equal(const OSObject *one, const OSObject *other);

static const struct amb_method url_methods[] = {
        AMB_OVERRIDE(OSObject, free, url_free),
        AMB_OVERRIDE(OSObject, isEqualTo, url_is_equal),
        AMB_METHODS_END,
};
static const OSMetaClass url_class = { "CFURL", &gOSObjectMetaClass, sizeof(struct __CFURL), url_methods, NULL };

static bool url_is_equal(const OSObject *one, const OSObject *other)
{
        return OSObject_getMetaClass(other) == &url_class &&
               OSObjectIsEqual((const OSObject *)((const struct __CFURL *)one)->text,
                               (const OSObject *)((const struct __CFURL *)other)->text);
}

CFTypeID CFURLGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&url_class;
}

/* --- how a path looks in a URL --- */

static bool stays(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("/-_.~!$&'()*+,=:@", c);
}

/* Malloc'ed: prefix, then the path, %XX for what does not stay, then a '/' for directories. */
static char *escaped(const char *prefix, const struct __CFURL *url)
{
        char *text = malloc(strlen(prefix) + 3 * strlen(url->path) + 2), *to;

        if (!text)
                return NULL;
        to = stpcpy(text, prefix);
        for (const char *c = url->path; *c; c++)
                if (stays(*c))
                        *to++ = *c;
                else
                        to += sprintf(to, "%%%02X", (unsigned char)*c);
        if (url->directory && to[-1] != '/')
                *to++ = '/';
        *to = 0;
        return text;
}

static int digit(char c)
{
        const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

        return at ? (int)(at - digits) : -1;
}

/* In place. False: a '%' without two digits, or a NUL. */
static bool unescape(char *text)
{
        char *to = text;

        for (; *text; text++) {
                int high, low = -1;

                if (*text != '%') {
                        *to++ = *text;
                        continue;
                }
                high = digit(text[1]);
                if (high >= 0)
                        low = digit(text[2]);
                if (low < 0 || high * 16 + low == 0)
                        return false;
                *to++ = (char)(high * 16 + low);
                text += 2;
        }
        *to = 0;
        return true;
}

/* --- making them --- */

/* Takes over the path. */
static CFURLRef url_new(char *path, bool directory)
{
        struct __CFURL *url = path ? (struct __CFURL *)amb_object_new(&url_class) : NULL;
        AMB_FREE char *text = NULL;
        size_t length;

        if (!url) {
                free(path);
                return NULL;
        }
        length = strlen(path);
        while (length > 1 && path[length - 1] == '/')
                path[--length] = 0;
        url->path = path;
        url->directory = directory || length == 1;
        text = escaped("file://", url);
        url->text = text ? OSStringCreate(text, SIZE_MAX) : NULL;
        if (url->text)
                return url;
        OSObject_release(url);
        return NULL;
}

CFURLRef CFURLCreateFromFileSystemRepresentation(CFAllocatorRef allocator, const UInt8 *path, CFIndex length, Boolean is_directory)
{
        AMB_FREE char *here = NULL;

        (void)allocator;
        if (length <= 0 || memchr(path, 0, (size_t)length))
                return NULL;
        if (path[0] == '/')
                return url_new(strndup((const char *)path, (size_t)length), is_directory);
        here = getcwd(NULL, 0);
        return here ? url_new(amb_format("%s/%.*s", here, (int)length, (const char *)path), is_directory) : NULL;
}

CFURLRef CFURLCreateWithFileSystemPath(CFAllocatorRef allocator, CFStringRef path, CFURLPathStyle style, Boolean is_directory)
{
        if (!path || style != kCFURLPOSIXPathStyle)
                return NULL;
        return CFURLCreateFromFileSystemRepresentation(allocator, (const UInt8 *)amb_text_of(path), (CFIndex)amb_text_bytes(path),
                                                       is_directory);
}

CFURLRef CFURLCreateWithString(CFAllocatorRef allocator, CFStringRef text, CFURLRef base)
{
        static const char prefix[] = "file://", host[] = "localhost/";
        const char *path = text ? amb_text_of(text) : "";
        AMB_FREE char *plain = NULL;
        size_t length;

        (void)base;
        if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
                return NULL;
        path += sizeof(prefix) - 1;
        if (strncmp(path, host, sizeof(host) - 1) == 0)
                path += sizeof(host) - 2;
        plain = strdup(path);
        if (!plain || plain[0] != '/' || strpbrk(plain, "?#") || !unescape(plain))
                return NULL;
        length = strlen(plain);
        return CFURLCreateFromFileSystemRepresentation(allocator, (const UInt8 *)plain, (CFIndex)length, plain[length - 1] == '/');
}

CFURLRef CFURLCreateCopyAppendingPathComponent(CFAllocatorRef allocator, CFURLRef url, CFStringRef name, Boolean is_directory)
{
        (void)allocator;
        return url_new(amb_format("%s/%s", url->path[1] ? url->path : "", amb_text_of(name)), is_directory);
}

CFURLRef CFURLCreateCopyDeletingLastPathComponent(CFAllocatorRef allocator, CFURLRef url)
{
        size_t length = (size_t)(strrchr(url->path, '/') - url->path);

        (void)allocator;
        return url_new(strndup(url->path, length > 0 ? length : 1), true);
}

/* --- looking at them --- */

Boolean CFURLGetFileSystemRepresentation(CFURLRef url, Boolean absolute, UInt8 *buffer, CFIndex size)
{
        size_t length = strlen(url->path);

        (void)absolute;
        if (size <= 0 || length >= (size_t)size)
                return false;
        memcpy(buffer, url->path, length + 1);
        return true;
}

CFStringRef CFURLCopyFileSystemPath(CFURLRef url, CFURLPathStyle style)
{
        return style == kCFURLPOSIXPathStyle ? CFStringCreateWithCString(NULL, url->path, kCFStringEncodingUTF8) : NULL;
}

CFStringRef CFURLCopyPath(CFURLRef url)
{
        AMB_FREE char *text = escaped("", url);

        return text ? CFStringCreateWithCString(NULL, text, kCFStringEncodingUTF8) : NULL;
}

CFStringRef CFURLCopyLastPathComponent(CFURLRef url)
{
        const char *name = strrchr(url->path, '/');

        return CFStringCreateWithCString(NULL, name[1] ? name + 1 : name, kCFStringEncodingUTF8);
}

CFStringRef CFURLGetString(CFURLRef url)
{
        return (CFStringRef)url->text;
}

Boolean CFURLHasDirectoryPath(CFURLRef url)
{
        return url->directory;
}
