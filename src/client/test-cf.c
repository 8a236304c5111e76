/* SPDX-License-Identifier: Apache-2.0 */
/* CoreFoundation's values and run loops. */
#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/OSCollections.h>
#include <IOKit/IOKitLib.h>

#include <check.h>
#include <pthread.h>

#include "base/test-suite.h"

START_TEST(test_strings)
{
        CFStringRef a = CFStringCreateWithCString(NULL, "Gr\xC3\xBC\xC3\x9F", kCFStringEncodingUTF8), b;
        char buffer[16];

        ck_assert_ptr_eq(CFSTR("same"), CFSTR("same"));
        ck_assert(CFGetTypeID(a) == CFStringGetTypeID());
        ck_assert_int_eq(CFStringGetLength(a), 4);
        ck_assert(CFStringGetCString(a, buffer, sizeof(buffer), kCFStringEncodingUTF8));
        ck_assert_str_eq(buffer, "Gr\xC3\xBC\xC3\x9F");
        ck_assert(!CFStringGetCString(a, buffer, 6, kCFStringEncodingUTF8));
        ck_assert_str_eq(buffer, "");
        ck_assert(CFStringGetCString(a, buffer, 5, kCFStringEncodingISOLatin1));
        ck_assert_str_eq(buffer, "Gr\xFC\xDF");
        ck_assert(!CFStringGetCString(a, buffer, sizeof(buffer), kCFStringEncodingASCII));
        ck_assert_ptr_null(CFStringGetCStringPtr(a, kCFStringEncodingMacRoman));
        ck_assert_str_eq(CFStringGetCStringPtr(CFSTR("x"), kCFStringEncodingMacRoman), "x");
        b = CFStringCreateWithCString(NULL, "Gr\xFC\xDF", kCFStringEncodingISOLatin1);
        ck_assert(CFEqual(a, b));
        CFRelease(b);
        ck_assert_ptr_null(CFStringCreateWithCString(NULL, "\xFF", kCFStringEncodingUTF8));
        ck_assert_ptr_null(CFStringCreateWithCString(NULL, "\xFC", kCFStringEncodingASCII));
        ck_assert_ptr_null(CFStringCreateWithCString(NULL, "x", 12345));
        ck_assert_int_eq(CFStringGetLength(CFSTR("\xF0\x9F\x98\x80")), 2);
        ck_assert_int_eq(CFStringCompare(CFSTR("ab"), CFSTR("abc"), 0), kCFCompareLessThan);
        ck_assert_int_eq(CFStringCompare(CFSTR("AB"), CFSTR("ab"), kCFCompareCaseInsensitive), kCFCompareEqualTo);
        ck_assert_int_eq(CFStringCompare(CFSTR("b"), CFSTR("a"), 0), kCFCompareGreaterThan);
        ck_assert(CFStringHasPrefix(CFSTR("abc"), CFSTR("ab")) && !CFStringHasPrefix(CFSTR("a"), CFSTR("ab")));
        ck_assert(CFStringHasSuffix(CFSTR("abc"), CFSTR("bc")) && !CFStringHasSuffix(CFSTR("abc"), CFSTR("ab")));
        for (int i = 0; i < 100; i++)
                CFRelease(CFSTR("stuck"));
        ck_assert_str_eq(CFStringGetCStringPtr(CFSTR("stuck"), kCFStringEncodingUTF8), "stuck");
        b = CFStringCreateCopy(NULL, a);
        CFRelease(a);
        CFRelease(b);
}
END_TEST

/* As programs have them: constants outside functions, in tables, and inside functions for ever. */
static const CFStringRef outside = CFSTR("Gr\xC3\xBC\xC3\x9F");
static const struct {
        CFStringRef key;
        const void *value;
} table[] = { { CFSTR("one"), CFSTR("1") }, { CFSTR("two"), CFSTR("2") } };

static CFStringRef inside(void)
{
        static CFStringRef name = CFSTR("in" "side");

        return name;
}

START_TEST(test_constants_are_strings)
{
        CFStringRef same = CFStringCreateWithCString(NULL, "Gr\xC3\xBC\xC3\x9F", kCFStringEncodingUTF8), copy;
        CFMutableStringRef text = CFStringCreateMutableCopy(NULL, 0, outside);
        char buffer[16];

        ck_assert_uint_eq(CFGetTypeID(outside), CFStringGetTypeID());
        ck_assert(CFEqual(outside, same) && CFEqual(same, outside) && !CFEqual(outside, inside()));
        ck_assert_uint_eq(CFHash(outside), CFHash(same));
        ck_assert_ptr_eq(CFRetain(outside), outside);
        for (int i = 0; i < 100; i++)
                CFRelease(outside);
        ck_assert_int_gt(CFGetRetainCount(outside), 0);
        ck_assert_int_eq(CFStringGetLength(outside), 4);
        ck_assert(CFStringGetCString(outside, buffer, sizeof(buffer), kCFStringEncodingUTF8));
        ck_assert_str_eq(buffer, "Gr\xC3\xBC\xC3\x9F");
        ck_assert_str_eq(CFStringGetCStringPtr(inside(), kCFStringEncodingASCII), "inside");
        CFStringAppend(text, table[0].key);
        CFStringReplace(text, CFRangeMake(0, 4), table[1].key);
        ck_assert(CFEqual(text, CFSTR("twoone")));
        CFStringAppend((CFMutableStringRef)(uintptr_t)outside, CFSTR("nothing changes"));
        ck_assert_int_eq(CFStringGetLength(outside), 4);
        copy = CFStringCreateCopy(NULL, outside);
        ck_assert(CFEqual(copy, same));
        CFRelease(copy);
        copy = CFStringCreateWithFormat(NULL, NULL, CFSTR("%@ and %@"), outside, same);
        ck_assert(CFStringHasPrefix(copy, outside) && CFStringHasSuffix(copy, same));
        CFRelease(copy);
        ck_assert_int_eq(CFStringGetLength(CFSTR("")), 0);
        CFRelease(text);
        CFRelease(same);
}
END_TEST

START_TEST(test_constants_in_containers)
{
        CFMutableDictionaryRef dictionary = CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks,
                                                                      &kCFTypeDictionaryValueCallBacks);
        CFArrayRef array = CFArrayCreate(NULL, (const void *[]){ outside, table[0].value }, 2, &kCFTypeArrayCallBacks);
        CFMutableSetRef set = CFSetCreateMutable(NULL, 0, &kCFTypeSetCallBacks);
        CFStringRef key = CFStringCreateWithCString(NULL, "two", kCFStringEncodingUTF8);
        CFDataRef data;
        CFTypeRef list;

        for (size_t i = 0; i < 2; i++)
                CFDictionarySetValue(dictionary, table[i].key, table[i].value);
        CFDictionarySetValue(dictionary, outside, array);
        ck_assert(CFEqual(CFDictionaryGetValue(dictionary, key), CFSTR("2")));
        ck_assert(CFDictionaryContainsKey(dictionary, CFSTR("one")) && !CFDictionaryContainsKey(dictionary, CFSTR("three")));
        ck_assert_int_eq(CFArrayGetFirstIndexOfValue(array, CFRangeMake(0, 2), CFSTR("1")), 1);
        CFSetAddValue(set, CFSTR("two"));
        CFSetAddValue(set, key);
        ck_assert_int_eq(CFSetGetCount(set), 1);
        CFSetRemoveValue(set, table[1].key);
        ck_assert_int_eq(CFSetGetCount(set), 0);
        /* All the way out and in: the constants are the strings of a property list, also alone. */
        data = CFPropertyListCreateData(NULL, dictionary, kCFPropertyListXMLFormat_v1_0, 0, NULL);
        list = CFPropertyListCreateWithData(NULL, data, 0, NULL, NULL);
        ck_assert(CFEqual(list, dictionary));
        CFRelease(list);
        CFRelease(data);
        ck_assert(CFPropertyListIsValid(CFSTR("alone"), kCFPropertyListXMLFormat_v1_0));
        CFRelease(key);
        CFRelease(set);
        CFRelease(array);
        CFRelease(dictionary);
}
END_TEST

static void stop(CFRunLoopTimerRef timer, void *info)
{
        (void)timer;
        (void)info;
        CFRunLoopStop(CFRunLoopGetCurrent());
}

START_TEST(test_constants_elsewhere)
{
        static const CFRunLoopMode mode = CFSTR("a mode of its own");
        CFRunLoopTimerRef timer = CFRunLoopTimerCreate(NULL, 0, 0, 0, 0, stop, NULL);
        CFStringRef name = CFStringCreateWithCString(NULL, "a mode of its own", kCFStringEncodingASCII);

        CFRunLoopAddTimer(CFRunLoopGetCurrent(), timer, mode);
        ck_assert(CFRunLoopContainsTimer(CFRunLoopGetCurrent(), timer, name));
        ck_assert_int_eq(CFRunLoopRunInMode(mode, 60, false), kCFRunLoopRunStopped);
        ck_assert_int_eq(IOServiceGetMatchingService(0, (CFDictionaryRef)(const void *)CFSTR("no dictionary")), 0);
        ck_assert_int_eq(IORegistryEntrySetCFProperty(0, CFSTR("key"), CFSTR("value")), (int)MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IORegistryEntrySetCFProperties(0, CFSTR("value")), (int)MACH_SEND_INVALID_DEST);
        CFRelease(timer);
        CFRelease(name);
}
END_TEST

START_TEST(test_numbers)
{
        int32_t minus = -5, i32;
        int64_t large = 0x123456789, i64;
        double half = 2.5, d;
        int16_t i16;
        CFNumberRef a = CFNumberCreate(NULL, kCFNumberSInt32Type, &minus), b = CFNumberCreate(NULL, kCFNumberSInt64Type,
                                                                                              &large);
        CFNumberRef c = CFNumberCreate(NULL, kCFNumberDoubleType, &half), e;
        OSNumber *byte = OSNumberCreate(200, 8);

        ck_assert(CFNumberGetValue(a, kCFNumberSInt64Type, &i64));
        ck_assert_int_eq(i64, -5);
        ck_assert(CFNumberGetValue(a, kCFNumberDoubleType, &d));
        ck_assert_double_eq(d, -5);
        ck_assert(!CFNumberGetValue(b, kCFNumberSInt32Type, &i32));
        ck_assert_int_eq(i32, 0x23456789);
        ck_assert(CFNumberIsFloatType(c) && !CFNumberIsFloatType(a));
        ck_assert(CFGetTypeID(c) == CFNumberGetTypeID() && CFGetTypeID(a) == CFNumberGetTypeID());
        ck_assert(!CFNumberGetValue(c, kCFNumberIntType, &i32));
        ck_assert_int_eq(i32, 2);
        ck_assert(CFNumberGetValue((CFNumberRef)byte, kCFNumberShortType, &i16));
        ck_assert_int_eq(i16, 200);
        e = CFNumberCreate(NULL, kCFNumberSInt8Type, &(int8_t){ -5 });
        ck_assert(CFEqual(a, e));
        ck_assert(!CFEqual(a, b));
        ck_assert_int_eq(CFNumberCompare(a, c, NULL), kCFCompareLessThan);
        ck_assert_ptr_null(CFNumberCreate(NULL, 99, &i32));
        ck_assert(CFBooleanGetValue(kCFBooleanTrue) && !CFBooleanGetValue(kCFBooleanFalse));
        ck_assert(CFGetTypeID(kCFBooleanTrue) == CFBooleanGetTypeID());
        CFRelease(a);
        CFRelease(b);
        CFRelease(c);
        CFRelease(e);
        OSObject_release(byte);
}
END_TEST

START_TEST(test_containers)
{
        CFMutableDictionaryRef d = CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks,
                                                             &kCFTypeDictionaryValueCallBacks);
        CFMutableArrayRef a = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
        CFStringRef key = CFStringCreateWithCString(NULL, "key", kCFStringEncodingUTF8);
        const void *keys[2], *values[2], *value;
        CFDataRef data = CFDataCreate(NULL, (const UInt8 *)"abc", 3);
        UInt8 bytes[2] = { 0 };

        CFDictionarySetValue(d, key, a);
        CFDictionaryAddValue(d, key, key);
        CFDictionarySetValue(d, CFSTR("data"), data);
        CFDictionarySetValue(d, a, key);        /* not a string: not a key */
        ck_assert_int_eq(CFDictionaryGetCount(d), 2);
        ck_assert_ptr_eq(CFDictionaryGetValue(d, CFSTR("key")), a);
        CFDictionaryGetKeysAndValues(d, keys, values);
        ck_assert(CFEqual(keys[0], key) && values[0] == a && CFEqual(keys[1], CFSTR("data")));
        ck_assert(CFDictionaryGetValueIfPresent(d, CFSTR("data"), &value) && value == data);
        ck_assert(!CFDictionaryGetValueIfPresent(d, CFSTR("none"), &value));
        CFDictionaryReplaceValue(d, CFSTR("none"), key);
        CFDictionaryRemoveValue(d, key);
        ck_assert(!CFDictionaryContainsKey(d, CFSTR("key")) && !CFDictionaryContainsKey(d, CFSTR("none")));
        CFArrayAppendValue(a, key);
        CFArrayInsertValueAtIndex(a, 0, data);
        CFArraySetValueAtIndex(a, 2, kCFBooleanTrue);
        ck_assert_int_eq(CFArrayGetCount(a), 3);
        ck_assert_ptr_eq(CFArrayGetValueAtIndex(a, 0), data);
        ck_assert_ptr_null(CFArrayGetValueAtIndex(a, 3));
        ck_assert(CFArrayContainsValue(a, CFRangeMake(0, 3), CFSTR("key")));
        CFArrayRemoveValueAtIndex(a, 1);
        ck_assert_ptr_eq(CFArrayGetValueAtIndex(a, 1), kCFBooleanTrue);
        CFDataGetBytes(data, CFRangeMake(1, 2), bytes);
        ck_assert_mem_eq(bytes, "bc", 2);
        CFDataGetBytes(data, CFRangeMake(2, 2), bytes);
        ck_assert_mem_eq(bytes, "bc", 2);
        CFRelease(key);
        CFRelease(a);
        CFRelease(d);
        ck_assert_int_eq(CFGetRetainCount(data), 1);
        CFRelease(data);
}
END_TEST

/* --- run loops --- */

static int fired;

static void count_fire(CFRunLoopTimerRef timer, void *info)
{
        (void)timer;
        if (++fired == (int)(intptr_t)info)
                CFRunLoopStop(CFRunLoopGetCurrent());
}

START_TEST(test_timers)
{
        CFRunLoopTimerContext context = { .info = (void *)3 };
        CFRunLoopTimerRef timer;

        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, false), kCFRunLoopRunFinished);
        timer = CFRunLoopTimerCreate(NULL, CFAbsoluteTimeGetCurrent(), 0.002, 0, 0, count_fire, &context);
        CFRunLoopAddTimer(CFRunLoopGetCurrent(), timer, kCFRunLoopCommonModes);
        CFRunLoopRun();
        ck_assert_int_eq(fired, 3);
        ck_assert(CFRunLoopTimerIsValid(timer));
        CFRunLoopTimerInvalidate(timer);
        ck_assert(!CFRunLoopTimerIsValid(timer));
        CFRelease(timer);
        /* One shot: fires, ends, and leaves nothing to wait for. */
        context.info = (void *)-1;
        timer = CFRunLoopTimerCreate(NULL, CFAbsoluteTimeGetCurrent() + 0.01, 0, 0, 0, count_fire, &context);
        CFRunLoopAddTimer(CFRunLoopGetCurrent(), timer, kCFRunLoopDefaultMode);
        CFRunLoopRun();
        ck_assert_int_eq(fired, 4);
        ck_assert(!CFRunLoopTimerIsValid(timer));
        ck_assert_int_eq(CFGetRetainCount(timer), 1);
        CFRelease(timer);
        timer = CFRunLoopTimerCreate(NULL, CFAbsoluteTimeGetCurrent() + 1000, 0, 0, 0, count_fire, &context);
        CFRunLoopAddTimer(CFRunLoopGetCurrent(), timer, kCFRunLoopDefaultMode);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.01, false), kCFRunLoopRunTimedOut);
        ck_assert_int_eq(fired, 4);
        CFRunLoopTimerSetNextFireDate(timer, CFAbsoluteTimeGetCurrent());
        CFRunLoopRun();
        ck_assert_int_eq(fired, 5);
        CFRelease(timer);
}
END_TEST

static int performed;

static void perform(void *info)
{
        performed++;
        if (info)
                CFRunLoopSourceInvalidate(*(CFRunLoopSourceRef *)info);
}

static void *signal_it(void *source)
{
        CFRunLoopSourceSignal(source);
        return NULL;
}

static void *stop_it(void *loop)
{
        CFRunLoopStop(loop);
        return NULL;
}

START_TEST(test_sources)
{
        static CFRunLoopSourceRef victim;
        CFRunLoopSourceContext context = { .perform = perform };
        CFRunLoopSourceRef source = CFRunLoopSourceCreate(NULL, 0, &context);
        CFRunLoopRef loop = CFRunLoopGetCurrent();
        pthread_t thread;

        victim = source;
        CFRunLoopAddSource(loop, source, kCFRunLoopDefaultMode);
        ck_assert(CFRunLoopContainsSource(loop, source, kCFRunLoopDefaultMode));
        ck_assert_int_eq(CFRunLoopRunInMode(CFSTR("other"), 0, true), kCFRunLoopRunFinished);
        pthread_create(&thread, NULL, signal_it, source);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, true), kCFRunLoopRunHandledSource);
        pthread_join(thread, NULL);
        ck_assert_int_eq(performed, 1);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, true), kCFRunLoopRunTimedOut);
        pthread_create(&thread, NULL, stop_it, loop);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, true), kCFRunLoopRunStopped);
        pthread_join(thread, NULL);
        CFRunLoopRemoveSource(loop, source, kCFRunLoopDefaultMode);
        CFRunLoopSourceSignal(source);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, true), kCFRunLoopRunFinished);
        CFRelease(source);
        /* A source that ends itself while it is called. */
        context.info = &victim;
        victim = CFRunLoopSourceCreate(NULL, 0, &context);
        CFRunLoopAddSource(loop, victim, kCFRunLoopCommonModes);
        CFRunLoopSourceSignal(victim);
        CFRunLoopRun();
        ck_assert_int_eq(performed, 2);
        ck_assert(!CFRunLoopSourceIsValid(victim));
        ck_assert_int_eq(CFGetRetainCount(victim), 1);
        CFRelease(victim);
}
END_TEST

static void count_one(void *info)
{
        ++*(int *)info;
}

/* As many as a loop may hold, each by itself. */
START_TEST(test_many_sources)
{
        enum { MANY = 20 };
        CFRunLoopSourceRef sources[MANY];
        CFRunLoopRef loop = CFRunLoopGetCurrent();
        int counts[MANY] = { 0 };

        for (int i = 0; i < MANY; i++) {
                CFRunLoopSourceContext context = { .perform = count_one, .info = &counts[i] };

                sources[i] = CFRunLoopSourceCreate(NULL, 0, &context);
                CFRunLoopAddSource(loop, sources[i], kCFRunLoopDefaultMode);
                for (int j = 0; j <= i; j++)
                        CFRunLoopSourceSignal(sources[j]);
                ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, true), kCFRunLoopRunHandledSource);
                for (int j = 0; j <= i; j++)
                        ck_assert_int_eq(counts[j], i - j + 1);
        }
        for (int i = 0; i < MANY; i++) {
                ck_assert_int_eq(CFGetRetainCount(sources[i]), 2);
                CFRunLoopSourceInvalidate(sources[i]);
                ck_assert_int_eq(CFGetRetainCount(sources[i]), 1);
                CFRelease(sources[i]);
        }
}
END_TEST

static void *thread_loop(void *source)
{
        CFRunLoopAddSource(CFRunLoopGetCurrent(), source, kCFRunLoopDefaultMode);
        return NULL;
}

START_TEST(test_thread_end)
{
        CFRunLoopSourceContext context = { .perform = perform };
        CFRunLoopSourceRef source = CFRunLoopSourceCreate(NULL, 0, &context);
        pthread_t thread;

        pthread_create(&thread, NULL, thread_loop, source);
        pthread_join(thread, NULL);
        ck_assert_int_eq(CFGetRetainCount(source), 1);
        CFRunLoopSourceInvalidate(source);
        CFRelease(source);
}
END_TEST

int main(void)
{
        return run_suite("client-cf", test_strings, test_constants_are_strings, test_constants_in_containers,
                         test_constants_elsewhere, test_numbers, test_containers, test_timers, test_sources, test_many_sources,
                         test_thread_end);
}
