/* SPDX-License-Identifier: Apache-2.0 */
/* CoreFoundation's dates, URLs of files, and streams. */
#include <CoreFoundation/CoreFoundation.h>

#include <check.h>
#include <errno.h>
#include <unistd.h>

#include "base/test-suite.h"

static char directory[128];

static void setup(void)
{
        snprintf(directory, sizeof(directory), "%s/amb-cf-file-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(directory));
        ck_assert_int_eq(chdir(directory), 0);
}

static void teardown(void)
{
        ck_assert_int_eq(chdir("/"), 0);
        ck_assert_int_eq(rmdir(directory), 0);
}

static bool says(CFStringRef string, const char *text)
{
        bool same = string && strcmp(CFStringGetCStringPtr(string, kCFStringEncodingUTF8), text) == 0;

        if (string && !same)
                CFShow(string);
        return same;
}

/* Takes the string. */
static void check_text(CFStringRef string, const char *text)
{
        ck_assert(says(string, text));
        CFRelease(string);
}

static CFURLRef url_of(const char *path, bool is_directory)
{
        CFStringRef string = CFStringCreateWithCString(NULL, path, kCFStringEncodingUTF8);
        CFURLRef url = CFURLCreateWithFileSystemPath(NULL, string, kCFURLPOSIXPathStyle, is_directory);

        CFRelease(string);
        return url;
}

START_TEST(test_dates)
{
        CFDateRef zero = CFDateCreate(NULL, 0), later = CFDateCreate(NULL, 86400.5), same = CFDateCreate(NULL, 86400.5);
        CFAbsoluteTime now = CFAbsoluteTimeGetCurrent();

        ck_assert_double_ge(now + kCFAbsoluteTimeIntervalSince1970 + 2, (double)time(NULL));
        ck_assert_double_le(now + kCFAbsoluteTimeIntervalSince1970 - 2, (double)time(NULL));
        ck_assert_uint_eq(CFGetTypeID(zero), CFDateGetTypeID());
        ck_assert(CFEqual(later, same) && !CFEqual(zero, later) && CFHash(later) == CFHash(same));
        ck_assert_int_eq(CFDateCompare(zero, later, NULL), kCFCompareLessThan);
        ck_assert_int_eq(CFDateCompare(later, zero, NULL), kCFCompareGreaterThan);
        ck_assert_int_eq(CFDateCompare(later, same, NULL), kCFCompareEqualTo);
        ck_assert_double_eq(CFDateGetTimeIntervalSinceDate(later, zero), 86400.5);
        ck_assert_double_eq(CFDateGetAbsoluteTime(later), 86400.5);
        check_text(CFCopyDescription(zero), "2001-01-01 00:00:00 +0000");
        check_text(CFCopyDescription(later), "2001-01-02 00:00:00 +0000");
        check_text(CFCopyTypeIDDescription(CFDateGetTypeID()), "CFDate");
        ck_assert(!CFPropertyListIsValid(zero, kCFPropertyListXMLFormat_v1_0));
        CFRelease(zero);
        CFRelease(later);
        CFRelease(same);
}
END_TEST

START_TEST(test_urls)
{
        CFURLRef file = url_of("/a b/\xC3\xBC%.txt", false), folder = url_of("/a b//", true), other, root = url_of("/", false);
        UInt8 path[32];

        ck_assert_uint_eq(CFGetTypeID(file), CFURLGetTypeID());
        ck_assert(says(CFURLGetString(file), "file:///a%20b/%C3%BC%25.txt"));
        ck_assert(says(CFURLGetString(folder), "file:///a%20b/"));
        ck_assert(says(CFURLGetString(root), "file:///"));
        ck_assert(CFURLHasDirectoryPath(folder) && !CFURLHasDirectoryPath(file) && CFURLHasDirectoryPath(root));
        check_text(CFURLCopyFileSystemPath(file, kCFURLPOSIXPathStyle), "/a b/\xC3\xBC%.txt");
        check_text(CFURLCopyFileSystemPath(folder, kCFURLPOSIXPathStyle), "/a b");
        check_text(CFURLCopyPath(folder), "/a%20b/");
        check_text(CFURLCopyLastPathComponent(folder), "a b");
        check_text(CFURLCopyLastPathComponent(root), "/");
        check_text(CFCopyDescription(folder), "file:///a%20b/");
        ck_assert_ptr_null(CFURLCopyFileSystemPath(file, kCFURLHFSPathStyle));
        /* Exactly enough room, and one byte less. */
        ck_assert(CFURLGetFileSystemRepresentation(folder, true, path, 5));
        ck_assert_str_eq((char *)path, "/a b");
        ck_assert(!CFURLGetFileSystemRepresentation(folder, true, path, 4));

        other = CFURLCreateCopyAppendingPathComponent(NULL, folder, CFSTR("\xC3\xBC%.txt"), false);
        ck_assert(CFEqual(file, other) && CFHash(file) == CFHash(other));
        CFRelease(other);
        other = CFURLCreateCopyDeletingLastPathComponent(NULL, file);
        ck_assert(CFEqual(folder, other) && !CFEqual(other, file));
        CFRelease(other);
        other = CFURLCreateCopyDeletingLastPathComponent(NULL, folder);
        ck_assert(CFEqual(root, other));
        CFRelease(other);
        other = CFURLCreateCopyAppendingPathComponent(NULL, root, CFSTR("a b"), true);
        ck_assert(CFEqual(folder, other));
        CFRelease(other);
        other = CFURLCreateWithString(NULL, CFURLGetString(file), NULL);
        ck_assert(CFEqual(file, other));
        CFRelease(other);
        other = CFURLCreateWithString(NULL, CFSTR("file://localhost/a%20b/"), NULL);
        ck_assert(CFEqual(folder, other));
        CFRelease(other);
        CFRelease(file);
        CFRelease(folder);
        CFRelease(root);
}
END_TEST

START_TEST(test_urls_refused)
{
        static const char *const bad[] = { "", "http://a/", "file:relative", "file://host/a", "file:///%", "file:///%4",
                                           "file:///%zz", "file:///%00", "file:///a?b", "file:///a#b" };
        CFURLRef relative = url_of("name", false);
        char expected[160];

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                CFStringRef text = CFStringCreateWithCString(NULL, bad[i], kCFStringEncodingUTF8);

                ck_assert_msg(!CFURLCreateWithString(NULL, text, NULL), "%s", bad[i]);
                CFRelease(text);
        }
        ck_assert_ptr_null(CFURLCreateWithString(NULL, NULL, NULL));
        ck_assert_ptr_null(url_of("", false));
        ck_assert_ptr_null(CFURLCreateWithFileSystemPath(NULL, CFSTR("/a"), kCFURLWindowsPathStyle, false));
        ck_assert_ptr_null(CFURLCreateFromFileSystemRepresentation(NULL, (const UInt8 *)"a\0b", 3, false));
        snprintf(expected, sizeof(expected), "%s/name", directory);
        check_text(CFURLCopyFileSystemPath(relative, kCFURLPOSIXPathStyle), expected);
        CFRelease(relative);
}
END_TEST

START_TEST(test_streams)
{
        CFURLRef url = url_of("bytes", false);
        CFWriteStreamRef out = CFWriteStreamCreateWithFile(NULL, url);
        CFReadStreamRef in = CFReadStreamCreateWithFile(NULL, url);
        UInt8 bytes[8];

        /* There is no file yet. */
        ck_assert(!CFReadStreamOpen(in) && errno == ENOENT);
        ck_assert_int_eq(CFReadStreamGetStatus(in), kCFStreamStatusError);
        CFRelease(in);
        ck_assert_int_eq(CFWriteStreamWrite(out, (const UInt8 *)"x", 1), -1);
        ck_assert(!CFWriteStreamCanAcceptBytes(out) && CFWriteStreamOpen(out) && CFWriteStreamCanAcceptBytes(out));
        ck_assert(!CFWriteStreamOpen(out));
        ck_assert_int_eq(CFWriteStreamWrite(out, (const UInt8 *)"0123456789", 10), 10);
        CFWriteStreamClose(out);
        ck_assert_int_eq(CFWriteStreamGetStatus(out), kCFStreamStatusClosed);
        ck_assert_int_eq(CFWriteStreamWrite(out, (const UInt8 *)"x", 1), -1);
        CFRelease(out);

        in = CFReadStreamCreateWithFile(NULL, url);
        ck_assert_int_eq(CFReadStreamRead(in, bytes, 1), -1);
        ck_assert(CFReadStreamOpen(in) && CFReadStreamHasBytesAvailable(in));
        ck_assert_int_eq(CFReadStreamRead(in, bytes, sizeof(bytes)), 8);
        ck_assert_int_eq(memcmp(bytes, "01234567", 8), 0);
        ck_assert_int_eq(CFReadStreamRead(in, bytes, sizeof(bytes)), 2);
        ck_assert_int_eq(CFReadStreamRead(in, bytes, sizeof(bytes)), 0);
        ck_assert_int_eq(CFReadStreamGetStatus(in), kCFStreamStatusAtEnd);
        ck_assert(!CFReadStreamHasBytesAvailable(in));
        CFRelease(in);
        ck_assert_ptr_null(CFReadStreamCreateWithFile(NULL, NULL));
        ck_assert_int_eq(unlink("bytes"), 0);
        CFRelease(url);
}
END_TEST

START_TEST(test_lists)
{
        CFMutableDictionaryRef list = CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks,
                                                                &kCFTypeDictionaryValueCallBacks);
        CFURLRef url = url_of("list.plist", false);
        CFWriteStreamRef out = CFWriteStreamCreateWithFile(NULL, url);
        CFReadStreamRef in = CFReadStreamCreateWithFile(NULL, url);
        CFPropertyListFormat format = 0;
        CFPropertyListRef back;
        CFErrorRef error = NULL;

        CFDictionarySetValue(list, CFSTR("Device"), CFSTR("echo"));
        ck_assert_int_eq(CFPropertyListWrite(list, out, kCFPropertyListXMLFormat_v1_0, 0, &error), 0);          /* not open */
        ck_assert_int_eq(CFErrorGetCode(error), kCFPropertyListWriteStreamError);
        CFRelease(error);
        ck_assert(CFWriteStreamOpen(out));
        ck_assert_int_gt(CFPropertyListWrite(list, out, kCFPropertyListBinaryFormat_v1_0, 0, NULL), 40);
        CFWriteStreamClose(out);
        ck_assert(CFReadStreamOpen(in));
        back = CFPropertyListCreateWithStream(NULL, in, 0, kCFPropertyListImmutable, &format, &error);
        ck_assert_int_eq(format, kCFPropertyListBinaryFormat_v1_0);
        ck_assert(CFEqual(list, back));
        /* There is no second one. */
        ck_assert_ptr_null(CFPropertyListCreateWithStream(NULL, in, 0, 0, NULL, &error));
        ck_assert_int_eq(CFErrorGetCode(error), kCFPropertyListReadCorruptError);
        CFRelease(error);
        CFReadStreamClose(in);
        CFRelease(in);
        /* A part of it is none. */
        in = CFReadStreamCreateWithFile(NULL, url);
        ck_assert(CFReadStreamOpen(in));
        ck_assert_ptr_null(CFPropertyListCreateWithStream(NULL, in, 20, 0, NULL, NULL));
        CFRelease(in);
        CFRelease(back);
        CFRelease(out);
        CFRelease(list);
        CFRelease(url);
        ck_assert_int_eq(unlink("list.plist"), 0);
}
END_TEST

/* What is no file of a list, in both ways: the first cannot be read, the second has no end. */
START_TEST(test_lists_from_elsewhere)
{
        static const struct {
                const char *path;
                CFIndex code;
                bool open;
        } places[] = {
                { "/", kCFPropertyListReadStreamError, true },
                { "/dev/null", kCFPropertyListReadStreamError, false },
                { "/dev/null", kCFPropertyListReadCorruptError, true },
                { "/dev/zero", kCFPropertyListReadCorruptError, true },
        };

        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                CFURLRef url = url_of(places[i].path, false);
                CFReadStreamRef in = CFReadStreamCreateWithFile(NULL, url);
                CFErrorRef error = NULL;

                ck_assert(!places[i].open || CFReadStreamOpen(in));
                ck_assert_ptr_null(CFPropertyListCreateWithStream(NULL, in, 0, 0, NULL, &error));
                ck_assert_int_eq(CFErrorGetCode(error), places[i].code);
                CFRelease(error);
                CFRelease(in);
                CFRelease(url);
        }
}
END_TEST

int main(void)
{
        TCase *files = test_case("files", test_dates, test_urls, test_urls_refused, test_streams, test_lists,
                                 test_lists_from_elsewhere);

        tcase_add_checked_fixture(files, setup, teardown);
        return run_cases("client-cf-file", files);
}
