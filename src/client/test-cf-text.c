/* SPDX-License-Identifier: Apache-2.0 */
/* CoreFoundation's strings that are searched, cut, converted, formatted and changed; UUIDs, sets, property lists, copies. */
#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/OSCollections.h>

#include <check.h>
#include <pthread.h>

#include "base/test-suite.h"

/* "a", a letter of two bytes, one of three, one of two units and four bytes. */
#define MIXED "a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80z"

static const char *text_of(CFStringRef string)
{
        return CFStringGetCStringPtr(string, kCFStringEncodingUTF8);
}

#define assert_text(string, text)                                                                                       \
        do {                                                                                                            \
                CFStringRef assert_string = (string);                                                                   \
                ck_assert_ptr_nonnull(assert_string);                                                                   \
                ck_assert_str_eq(text_of(assert_string), text);                                                         \
                CFRelease(assert_string);                                                                               \
        } while (0)

static bool range_is(CFRange range, CFIndex location, CFIndex length)
{
        return range.location == location && range.length == length;
}

/* --- looking --- */

START_TEST(test_find)
{
        CFStringRef s = CFSTR(MIXED "abcABC" MIXED);
        CFRange found = { 7, 7 };

        ck_assert(range_is(CFStringFind(s, CFSTR("z"), 0), 5, 1));
        ck_assert(range_is(CFStringFind(s, CFSTR("z"), kCFCompareBackwards), 17, 1));
        ck_assert(range_is(CFStringFind(s, CFSTR("bc"), 0), 7, 2));
        ck_assert(range_is(CFStringFind(s, CFSTR("BC"), 0), 10, 2));
        ck_assert(range_is(CFStringFind(s, CFSTR("BCa"), kCFCompareCaseInsensitive), 7, 3));
        ck_assert(range_is(CFStringFind(s, CFSTR("\xF0\x9F\x98\x80"), kCFCompareBackwards), 15, 2));
        ck_assert(range_is(CFStringFind(s, CFSTR("q"), 0), kCFNotFound, 0));
        ck_assert(range_is(CFStringFind(s, CFSTR(""), 0), kCFNotFound, 0));
        ck_assert(range_is(CFStringFind(s, CFSTR("z"), kCFCompareAnchored), kCFNotFound, 0));
        ck_assert(range_is(CFStringFind(s, CFSTR("a"), kCFCompareAnchored), 0, 1));
        ck_assert(range_is(CFStringFind(s, CFSTR("z"), kCFCompareAnchored | kCFCompareBackwards), 17, 1));
        ck_assert(!CFStringFindWithOptions(s, CFSTR("z"), CFRangeMake(6, 11), 0, &found) && range_is(found, 7, 7));
        ck_assert(CFStringFindWithOptions(s, CFSTR("z"), CFRangeMake(6, 100), 0, &found) && range_is(found, 17, 1));
        ck_assert(!CFStringFindWithOptions(s, CFSTR("a"), CFRangeMake(100, 3), 0, NULL));
        ck_assert(!CFStringFindWithOptions(s, CFSTR("a"), CFRangeMake(1, -3), 0, NULL));
        ck_assert(CFStringFindWithOptions(s, CFSTR("a"), CFRangeMake(0, INTPTR_MAX), 0, NULL));
        ck_assert_int_eq(CFStringCompareWithOptions(s, CFSTR("bc"), CFRangeMake(7, 2), 0), kCFCompareEqualTo);
}
END_TEST

START_TEST(test_parts)
{
        static const UniChar units[] = { 'a', 0xFC, 0x20AC, 0xD83D, 0xDE00, 'z' };
        UniChar got[6] = { 0 };
        CFArrayRef words;

        assert_text(CFStringCreateWithSubstring(NULL, CFSTR(MIXED), CFRangeMake(1, 2)), "\xC3\xBC\xE2\x82\xAC");
        assert_text(CFStringCreateWithSubstring(NULL, CFSTR(MIXED), CFRangeMake(3, 2)), "\xF0\x9F\x98\x80");
        assert_text(CFStringCreateWithSubstring(NULL, CFSTR(MIXED), CFRangeMake(5, 100)), "z");
        assert_text(CFStringCreateWithSubstring(NULL, CFSTR(MIXED), CFRangeMake(50, 1)), "");
        CFStringGetCharacters(CFSTR(MIXED), CFRangeMake(0, 6), got);
        ck_assert_mem_eq(got, units, sizeof(units));
        for (int i = 0; i < 6; i++)
                ck_assert_uint_eq(CFStringGetCharacterAtIndex(CFSTR(MIXED), i), units[i]);
        ck_assert_uint_eq(CFStringGetCharacterAtIndex(CFSTR(MIXED), 6), 0);
        assert_text(CFStringCreateWithCharacters(NULL, units, 6), MIXED);
        ck_assert_ptr_null(CFStringCreateWithCharacters(NULL, units, 4));       /* half a pair */
        words = CFStringCreateArrayBySeparatingStrings(NULL, CFSTR("a, b,, c"), CFSTR(", "));
        ck_assert_int_eq(CFArrayGetCount(words), 3);
        ck_assert_str_eq(text_of(CFArrayGetValueAtIndex(words, 1)), "b,");
        assert_text(CFStringCreateByCombiningStrings(NULL, words, CFSTR("+")), "a+b,+c");
        CFRelease(words);
        words = CFStringCreateArrayBySeparatingStrings(NULL, CFSTR(""), CFSTR(","));
        ck_assert_int_eq(CFArrayGetCount(words), 1);
        CFRelease(words);
        ck_assert_int_eq(CFStringGetIntValue(CFSTR("-12 apples")), -12);
        ck_assert_int_eq(CFStringGetIntValue(CFSTR("99999999999")), INT32_MAX);
        ck_assert_double_eq(CFStringGetDoubleValue(CFSTR("2.5e1")), 25);
}
END_TEST

static void check_bytes(CFStringEncoding encoding, const char *bytes, CFIndex length)
{
        UInt8 buffer[32];
        CFIndex used = 0;

        ck_assert_int_eq(CFStringGetBytes(CFSTR(MIXED), CFRangeMake(0, 6), encoding, 0, false, NULL, 0, &used), 6);
        ck_assert_int_eq(used, length);
        ck_assert_int_eq(CFStringGetBytes(CFSTR(MIXED), CFRangeMake(0, 6), encoding, 0, false, buffer, length, &used), 6);
        ck_assert_mem_eq(buffer, bytes, (size_t)length);
        assert_text(CFStringCreateWithBytes(NULL, (const UInt8 *)bytes, length, encoding, false), MIXED);
        /* A character does not go in by halves. */
        ck_assert_int_eq(CFStringGetBytes(CFSTR(MIXED), CFRangeMake(0, 6), encoding, 0, false, buffer, length - 1, &used), 5);
}

START_TEST(test_encodings)
{
        UInt8 buffer[8];
        CFIndex used;

        check_bytes(kCFStringEncodingUTF8, MIXED, 11);
        check_bytes(kCFStringEncodingUTF16LE, "a\0\xFC\0\xAC\x20\x3D\xD8\x00\xDEz\0", 12);
        check_bytes(kCFStringEncodingUTF16BE, "\0a\0\xFC\x20\xAC\xD8\x3D\xDE\x00\0z", 12);
        check_bytes(kCFStringEncodingUTF32LE, "a\0\0\0\xFC\0\0\0\xAC\x20\0\0\x00\xF6\x01\0z\0\0\0", 20);
        check_bytes(kCFStringEncodingUTF32BE, "\0\0\0a\0\0\0\xFC\0\0\x20\xAC\0\x01\xF6\x00\0\0\0z", 20);
        assert_text(CFStringCreateWithBytes(NULL, (const UInt8 *)"\xFE\xFF\0a", 4, kCFStringEncodingUTF16, true), "a");
        assert_text(CFStringCreateWithBytes(NULL, (const UInt8 *)"\xFF\xFE" "a\0", 4, kCFStringEncodingUTF16, true), "a");
        assert_text(CFStringCreateWithBytes(NULL, (const UInt8 *)"Gr\xFC\xDF", 4, kCFStringEncodingISOLatin1, false),
                    "Gr\xC3\xBC\xC3\x9F");
        assert_text(CFStringCreateWithBytes(NULL, NULL, 0, kCFStringEncodingUTF16LE, false), "");
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"\xFC", 1, kCFStringEncodingASCII, false));
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"\0\xD8", 2, kCFStringEncodingUTF16LE, false));
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"\0\xDC" "a\0", 4, kCFStringEncodingUTF16LE, false));
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"\0\0\x11\0", 4, kCFStringEncodingUTF32LE, false));
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"a\0b", 3, kCFStringEncodingUTF16LE, false));
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"a\0b", 3, kCFStringEncodingISOLatin1, false));
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"\xC3", 1, kCFStringEncodingUTF8, false));
        ck_assert_ptr_null(CFStringCreateWithBytes(NULL, (const UInt8 *)"a", 1, 12345, false));
        /* Ends at what ASCII does not have, or goes on with something else in its place. */
        ck_assert_int_eq(CFStringGetBytes(CFSTR(MIXED), CFRangeMake(0, 6), kCFStringEncodingASCII, 0, false, buffer, 8, &used), 1);
        ck_assert_int_eq(used, 1);
        ck_assert_int_eq(CFStringGetBytes(CFSTR(MIXED), CFRangeMake(0, 6), kCFStringEncodingASCII, '?', false, buffer, 8, &used),
                         6);
        ck_assert_int_eq(used, 5);
        ck_assert_mem_eq(buffer, "a???z", 5);
        ck_assert_int_eq(CFStringGetBytes(CFSTR("a"), CFRangeMake(0, 1), 12345, '?', false, buffer, 8, &used), 0);
        ck_assert_int_eq(CFStringGetMaximumSizeForEncoding(3, kCFStringEncodingUTF16LE), 6);
        ck_assert_int_eq(CFStringGetMaximumSizeForEncoding(3, kCFStringEncodingUTF32), 12);
        ck_assert_ptr_null(CFStringGetCStringPtr(CFSTR("a"), kCFStringEncodingUTF16));
}
END_TEST

/* --- formats --- */

START_TEST(test_formats)
{
        static const UniChar units[] = { 0x20AC, '!', 0 };
        int forty_two = 42;
        CFNumberRef number = CFNumberCreate(NULL, kCFNumberIntType, &forty_two);

        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("plain 100%%")), "plain 100%");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%@ is %@, %@, %@"), CFSTR("x"), number, kCFBooleanTrue, NULL),
                    "x is 42, true, (null)");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%d %u %x %X %o %i"), -1, 1u, 0xABCDu, 0xABCDu, 8u, INT32_MIN),
                    "-1 1 abcd ABCD 10 -2147483648");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%ld %lu %lld %llu %qx %zu %jd %td"), -1l, ~0ul, -2ll, ~0ull, 255ull,
                                             sizeof(int), (intmax_t)3, (ptrdiff_t)4),
                    "-1 18446744073709551615 -2 18446744073709551615 ff 4 3 4");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%hhd %hd %hhu %hx"), 300, 70000, 300, 70000), "44 4464 44 1170");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("[%5d] [%-5d] [%05d] [%+d] [%*d] [%.3d]"), 1, 2, 3, 4, 4, 5, 6),
                    "[    1] [2    ] [00003] [+4] [   5] [006]");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%.2f %g %e %Lg"), 1.005, 0.5, 100.0, 2.5l),
                    "1.00 0.5 1.000000e+02 2.5");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%s|%.2s|%6s|%-6@|%s"), "abc", "abc", "abc", CFSTR("abc"), NULL),
                    "abc|ab|   abc|abc   |(null)");
        /* Sizes that mean nothing there. */
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%l@ %ls %4h@"), CFSTR("abc"), "abc", CFSTR("abc")), "abc abc  abc");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%c%C%S"), 'a', 0xFC, units), "a\xC3\xBC\xE2\x82\xAC!");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%p"), (void *)0x1234), "0x1234");
        /* An end in the middle of a directive, and directives that are not there. */
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("a%")), "a");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("a%5")), "a");
        assert_text(CFStringCreateWithFormat(NULL, NULL, CFSTR("%y%0000000000000000000000000000000000000000000000000000000001d|"),
                                             7), "y|");
        CFRelease(number);
}
END_TEST

START_TEST(test_descriptions)
{
        double half = 0.5;
        CFNumberRef number = CFNumberCreate(NULL, kCFNumberDoubleType, &half), same = CFNumberCreate(NULL, kCFNumberDoubleType,
                                                                                                     &half);
        CFStringRef a = CFStringCreateWithCString(NULL, "x", kCFStringEncodingUTF8);

        assert_text(CFCopyDescription(number), "0.5");
        assert_text(CFCopyDescription(NULL), "(null)");
        assert_text(CFCopyTypeIDDescription(CFStringGetTypeID()), "CFString");
        assert_text(CFCopyTypeIDDescription(CFUUIDGetTypeID()), "CFUUID");
        assert_text(CFCopyTypeIDDescription(CFGetTypeID(number)), "CFNumber");
        ck_assert_uint_eq(CFHash(number), CFHash(same));
        ck_assert_uint_eq(CFHash(a), CFHash(CFSTR("x")));
        ck_assert_uint_ne(CFHash(a), CFHash(CFSTR("y")));
        CFRelease(number);
        CFRelease(same);
        CFRelease(a);
}
END_TEST

/* --- changes --- */

START_TEST(test_mutable_strings)
{
        CFMutableStringRef s = CFStringCreateMutable(NULL, 0), other;
        CFStringRef copy;

        ck_assert_int_eq(CFStringGetLength(s), 0);
        ck_assert_str_eq(text_of(s), "");
        ck_assert(CFGetTypeID(s) == CFStringGetTypeID());
        CFStringAppend(s, CFSTR("one"));
        CFStringAppendCString(s, ",\xFC", kCFStringEncodingISOLatin1);
        CFStringAppendCString(s, "\xFF", kCFStringEncodingUTF8);                /* not UTF-8: nothing */
        CFStringAppendFormat(s, NULL, CFSTR(" %d%@"), 2, CFSTR("!"));
        ck_assert_str_eq(text_of(s), "one,\xC3\xBC 2!");
        copy = CFStringCreateCopy(NULL, s);
        CFStringInsert(s, 5, CFSTR("<" MIXED ">"));
        ck_assert_str_eq(text_of(s), "one,\xC3\xBC<" MIXED "> 2!");
        CFStringDelete(s, CFRangeMake(5, 8));
        ck_assert(CFEqual(s, copy) && CFEqual(copy, s));
        CFStringReplace(s, CFRangeMake(0, 3), CFSTR("three"));
        ck_assert_str_eq(text_of(s), "three,\xC3\xBC 2!");
        ck_assert_str_eq(text_of(copy), "one,\xC3\xBC 2!");
        CFRelease(copy);
        other = CFStringCreateMutableCopy(NULL, 0, s);
        CFStringAppend(other, other);
        CFStringAppend(other, other);
        ck_assert_int_eq(CFStringGetLength(other), 4 * CFStringGetLength(s));
        ck_assert_int_eq(CFStringFindAndReplace(other, CFSTR("e"), CFSTR("ee"), CFRangeMake(0, CFStringGetLength(other)), 0), 8);
        ck_assert_int_eq(CFStringGetLength(other), 4 * CFStringGetLength(s) + 8);
        ck_assert_int_eq(CFStringFindAndReplace(other, CFSTR("EE"), CFSTR(""), CFRangeMake(4, 8), kCFCompareCaseInsensitive), 1);
        CFStringReplaceAll(other, CFSTR(" \t x y\n"));
        CFStringTrimWhitespace(other);
        ck_assert_str_eq(text_of(other), "x y");
        CFStringReplaceAll(other, CFSTR("   "));
        CFStringTrimWhitespace(other);
        ck_assert_str_eq(text_of(other), "");
        CFRelease(other);
        /* Many small additions, and a string that is none of these. */
        for (int i = 0; i < 10000; i++)
                CFStringAppend(s, CFSTR("0123456789"));
        ck_assert_int_eq(CFStringGetLength(s), 100000 + 10);
        CFStringAppend((CFMutableStringRef)(uintptr_t)CFSTR("constant"), CFSTR("x"));
        ck_assert_str_eq(text_of(CFSTR("constant")), "constant");
        CFRelease(s);
}
END_TEST

static CFComparisonResult by_text(const void *one, const void *other, void *context)
{
        ++*(int *)context;
        return CFStringCompare(one, other, kCFCompareCaseInsensitive);
}

START_TEST(test_arrays)
{
        static const char *const words[] = { "pear", "fig", "Apple", "date", "FIG", "banana" };
        static const char *const sorted[] = { "pear", "Apple", "banana", "date", "fig", "FIG" };
        CFMutableArrayRef a = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks), b;
        const void *values[3] = { NULL, NULL, NULL };
        CFArrayRef copy;
        int compared = 0;

        for (size_t i = 0; i < 6; i++) {
                CFStringRef word = CFStringCreateWithCString(NULL, words[i], kCFStringEncodingUTF8);

                CFArrayAppendValue(a, word);
                CFRelease(word);
        }
        CFArraySortValues(a, CFRangeMake(1, 100), by_text, &compared);
        for (CFIndex i = 0; i < 6; i++)
                ck_assert_str_eq(text_of(CFArrayGetValueAtIndex(a, i)), sorted[i]);
        ck_assert_int_gt(compared, 0);
        ck_assert_int_eq(CFArrayGetFirstIndexOfValue(a, CFRangeMake(0, 6), CFSTR("date")), 3);
        ck_assert_int_eq(CFArrayGetFirstIndexOfValue(a, CFRangeMake(4, 2), CFSTR("date")), kCFNotFound);
        CFArrayGetValues(a, CFRangeMake(4, 3), values);
        ck_assert_ptr_eq(values[1], CFArrayGetValueAtIndex(a, 5));
        ck_assert_ptr_null(values[2]);
        b = CFArrayCreateMutableCopy(NULL, 0, a);
        copy = CFArrayCreateCopy(NULL, a);
        CFArrayAppendArray(b, a, CFRangeMake(4, 2));
        ck_assert_int_eq(CFArrayGetCount(b), 8);
        CFArrayAppendArray(b, b, CFRangeMake(0, 8));
        ck_assert_int_eq(CFArrayGetCount(b), 16);
        CFArrayRemoveAllValues(b);
        ck_assert_int_eq(CFArrayGetCount(b), 0);
        ck_assert(CFEqual(copy, a));
        CFRelease(a);
        CFRelease(b);
        CFRelease(copy);
}
END_TEST

static void add_up(const void *value, void *context)
{
        *(CFIndex *)context += CFStringGetLength(value);
}

START_TEST(test_sets)
{
        CFMutableSetRef set = CFSetCreateMutable(NULL, 0, &kCFTypeSetCallBacks);
        CFStringRef same = CFStringCreateWithCString(NULL, "one", kCFStringEncodingUTF8);
        const void *values[2];
        CFIndex sum = 0;

        CFSetAddValue(set, CFSTR("one"));
        CFSetAddValue(set, same);
        CFSetAddValue(set, CFSTR("three"));
        ck_assert_int_eq(CFSetGetCount(set), 2);
        ck_assert(CFSetContainsValue(set, same) && !CFSetContainsValue(set, CFSTR("two")));
        ck_assert(CFEqual(CFSetGetValue(set, same), CFSTR("one")));
        ck_assert(CFGetTypeID(set) == CFSetGetTypeID());
        CFSetGetValues(set, values);
        ck_assert_ptr_ne(values[0], values[1]);
        CFSetApplyFunction(set, add_up, &sum);
        ck_assert_int_eq(sum, 8);
        CFSetRemoveValue(set, same);
        CFSetRemoveValue(set, same);
        ck_assert_int_eq(CFSetGetCount(set), 1);
        CFRelease(same);
        CFRelease(set);
}
END_TEST

START_TEST(test_data)
{
        static UInt8 bytes[] = "0123456789";
        CFDataRef shown = CFDataCreateWithBytesNoCopy(NULL, bytes, 10, kCFAllocatorNull);
        CFDataRef taken = CFDataCreateWithBytesNoCopy(NULL, (UInt8 *)strdup("heap"), 4, kCFAllocatorMalloc);
        CFMutableDataRef data = CFDataCreateMutableCopy(NULL, 0, shown);

        ck_assert_ptr_eq(CFDataGetBytePtr(shown), bytes);
        ck_assert_mem_eq(CFDataGetBytePtr(taken), "heap", 4);
        CFDataReplaceBytes(data, CFRangeMake(2, 3), (const UInt8 *)"abcde", 5);
        ck_assert_int_eq(CFDataGetLength(data), 12);
        ck_assert_mem_eq(CFDataGetBytePtr(data), "01abcde56789", 12);
        CFDataReplaceBytes(data, CFRangeMake(2, 5), (const UInt8 *)"-", 1);
        ck_assert_mem_eq(CFDataGetBytePtr(data), "01-56789", 8);
        CFDataDeleteBytes(data, CFRangeMake(7, 2));             /* not inside */
        CFDataDeleteBytes(data, CFRangeMake(6, 2));
        ck_assert_int_eq(CFDataGetLength(data), 6);
        CFDataGetMutableBytePtr(data)[0] = 'x';
        CFDataSetLength(data, 3);
        CFDataIncreaseLength(data, 2);
        CFDataSetLength(data, 6);
        CFDataSetLength(data, -1);
        ck_assert_int_eq(CFDataGetLength(data), 6);
        ck_assert_mem_eq(CFDataGetBytePtr(data), "x1-\0\0\0", 6);
        ck_assert_mem_eq(bytes, "0123456789", 10);
        CFRelease(shown);
        CFRelease(taken);
        CFRelease(data);
}
END_TEST

/* --- UUIDs --- */

START_TEST(test_uuids)
{
        CFUUIDRef a = CFUUIDCreate(NULL), b = CFUUIDCreate(NULL), again;
        CFStringRef text = CFUUIDCreateString(NULL, a);

        ck_assert(!CFEqual(a, b));
        ck_assert_int_eq(CFUUIDGetUUIDBytes(a).byte6 >> 4, 4);
        again = CFUUIDCreateFromString(NULL, text);
        ck_assert(CFEqual(a, again) && CFHash(a) == CFHash(again));
        CFRelease(again);
        again = CFUUIDCreateFromUUIDBytes(NULL, CFUUIDGetUUIDBytes(a));
        ck_assert(CFEqual(a, again) && !CFEqual(a, text));
        CFRelease(again);
        again = CFUUIDCreateWithBytes(NULL, 0xC2, 0x44, 0xE8, 0x58, 0x10, 0x9C, 0x11, 0xD4, 0x91, 0xD4, 0x00, 0x50, 0xE4, 0xC6,
                                      0x42,
                                      0x6F);
        assert_text(CFUUIDCreateString(NULL, again), "C244E858-109C-11D4-91D4-0050E4C6426F");
        assert_text(CFCopyDescription(again), "C244E858-109C-11D4-91D4-0050E4C6426F");
        ck_assert_ptr_null(CFUUIDCreateFromString(NULL, CFSTR("C244E858-109C-11D4-91D4-0050E4C6426")));
        ck_assert_ptr_null(CFUUIDCreateFromString(NULL, CFSTR("C244E858+109C-11D4-91D4-0050E4C6426F")));
        ck_assert_ptr_null(CFUUIDCreateFromString(NULL, CFSTR("C244E858-109C-11D4-91D4-0050E4C6 26F")));
        CFRelease(again);
        CFRelease(a);
        CFRelease(b);
        CFRelease(text);
}
END_TEST

/* --- property lists --- */

static void round_trip(CFPropertyListRef list, CFPropertyListFormat format)
{
        CFDataRef data = CFPropertyListCreateData(NULL, list, format, 0, NULL);
        CFPropertyListFormat read = 0;
        CFPropertyListRef again = CFPropertyListCreateWithData(NULL, data, kCFPropertyListImmutable, &read, NULL);

        ck_assert_int_eq(read, format);
        ck_assert(CFEqual(list, again));
        ck_assert(CFPropertyListIsValid(list, format));
        CFRelease(data);
        CFRelease(again);
}

START_TEST(test_property_lists)
{
        CFMutableDictionaryRef list = CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks,
                                                                &kCFTypeDictionaryValueCallBacks);
        CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
        CFUUIDRef uuid = CFUUIDCreate(NULL);
        CFErrorRef error = NULL;
        CFStringRef why = NULL;
        CFDataRef data;

        CFDictionarySetValue(list, CFSTR("array"), array);
        CFArrayAppendValue(array, kCFBooleanTrue);
        CFArrayAppendValue(array, CFSTR(MIXED));
        round_trip(list, kCFPropertyListXMLFormat_v1_0);
        round_trip(list, kCFPropertyListBinaryFormat_v1_0);
        data = CFPropertyListCreateXMLData(NULL, list);
        ck_assert_mem_eq(CFDataGetBytePtr(data), "<?xml", 5);
        CFRelease(data);
        CFArrayAppendValue(array, uuid);
        ck_assert(!CFPropertyListIsValid(list, kCFPropertyListXMLFormat_v1_0));
        ck_assert_ptr_null(CFPropertyListCreateData(NULL, list, kCFPropertyListXMLFormat_v1_0, 0, &error));
        ck_assert_int_eq(CFErrorGetCode(error), kCFPropertyListWriteStreamError);
        ck_assert(CFGetTypeID(error) == CFErrorGetTypeID());
        CFRelease(error);
        ck_assert_ptr_null(CFPropertyListCreateData(NULL, list, 1, 0, NULL));
        data = CFDataCreate(NULL, (const UInt8 *)"<plist><dict>", 13);
        error = NULL;
        ck_assert_ptr_null(CFPropertyListCreateWithData(NULL, data, 0, NULL, &error));
        ck_assert_int_eq(CFErrorGetCode(error), kCFPropertyListReadCorruptError);
        why = CFErrorCopyDescription(error);
        ck_assert_int_gt(CFStringGetLength(why), 0);
        CFRelease(why);
        CFRelease(error);
        ck_assert_ptr_null(CFPropertyListCreateFromXMLData(NULL, data, 0, &why));
        ck_assert_int_gt(CFStringGetLength(why), 0);
        CFRelease(why);
        CFRelease(data);
        CFRelease(uuid);
        CFRelease(array);
        CFRelease(list);
}
END_TEST

/* --- run loops of other threads --- */

static int retained, called;

static const void *count_retain(const void *info)
{
        retained++;
        return info;
}

static void count_release(const void *info)
{
        (void)info;
        retained--;
}

static void stop_main(void *info)
{
        CFStringRef mode = CFRunLoopCopyCurrentMode(CFRunLoopGetMain());

        called++;
        ck_assert(CFEqual(mode, kCFRunLoopDefaultMode));
        CFRelease(mode);
        CFRunLoopStop(info);
}

/* Waits until the main thread sleeps, then adds a source to its loop that is ready. */
static void *add_there(void *source)
{
        CFRunLoopRef loop = CFRunLoopGetMain();

        ck_assert_ptr_ne(loop, CFRunLoopGetCurrent());
        while (!CFRunLoopIsWaiting(loop))
                sched_yield();
        CFRunLoopSourceSignal(source);
        CFRunLoopAddSource(loop, source, kCFRunLoopDefaultMode);
        return NULL;
}

static void late(CFRunLoopTimerRef timer, void *info)
{
        (void)timer;
        (void)info;
        ck_abort();
}

START_TEST(test_loop_of_another)
{
        CFRunLoopSourceContext context = { .info = CFRunLoopGetMain(), .retain = count_retain, .release = count_release,
                                           .perform = stop_main };
        CFRunLoopSourceRef source = CFRunLoopSourceCreate(NULL, 0, &context);
        CFRunLoopTimerContext timer_context = { .retain = count_retain, .release = count_release };
        CFRunLoopTimerRef timer = CFRunLoopTimerCreate(NULL, CFAbsoluteTimeGetCurrent() + 1000, 3, 0, 0, late, &timer_context);
        pthread_t thread;

        ck_assert_ptr_eq(CFRunLoopGetMain(), CFRunLoopGetCurrent());
        ck_assert_ptr_null(CFRunLoopCopyCurrentMode(CFRunLoopGetCurrent()));
        ck_assert_int_eq(retained, 2);
        ck_assert(CFRunLoopTimerDoesRepeat(timer));
        ck_assert_double_eq(CFRunLoopTimerGetInterval(timer), 3);
        ck_assert_double_eq_tol(CFRunLoopTimerGetNextFireDate(timer), CFAbsoluteTimeGetCurrent() + 1000, 30);
        CFRunLoopAddTimer(CFRunLoopGetCurrent(), timer, kCFRunLoopDefaultMode);
        ck_assert(CFRunLoopContainsTimer(CFRunLoopGetCurrent(), timer, kCFRunLoopDefaultMode));
        pthread_create(&thread, NULL, add_there, source);
        CFRunLoopRun();
        pthread_join(thread, NULL);
        ck_assert_int_eq(called, 1);
        CFRunLoopTimerInvalidate(timer);
        CFRelease(timer);
        CFRunLoopSourceInvalidate(source);
        CFRelease(source);
        ck_assert_int_eq(retained, 0);
}
END_TEST

int main(void)
{
        return run_suite("client-cf-text", test_find, test_parts, test_encodings, test_formats, test_descriptions,
                         test_mutable_strings, test_arrays, test_sets, test_data, test_uuids, test_property_lists,
                         test_loop_of_another);
}
