/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files about strings share: places in them, encodings, and strings that grow.
 *
 * Inside a string is UTF-8; CF counts UTF-16 units. A byte that begins a character counts 1, or 2 from 0xF0 on; others 0, also in
 * text that is no UTF-8 (drivers can send that). Any thread, as long as no thread changes the string.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CoreFoundation/CFString.h>
#include <DriverKit/OSCollections.h>

const char *amb_text_of(CFStringRef string);
size_t amb_text_bytes(CFStringRef string);

/* UTF-16 units of `length` bytes. */
CFIndex amb_text_units(const char *text, size_t length);
/* Where unit `unit` begins, in bytes; the end, when there is none. Inside a pair: behind it. */
size_t amb_text_place(CFStringRef string, CFIndex unit);
/* The bytes of a range of units, cut off at the string's ends. */
struct amb_text_part {
        size_t at, length;
};
struct amb_text_part amb_text_part(CFStringRef string, CFRange range);

/* --- encodings (cf-encoding.c) --- */

bool amb_encoding_known(CFStringEncoding encoding);
/* The character at *at, which moves behind it; U+FFFD for a byte that is no UTF-8. *at is below length. */
uint32_t amb_text_next(const char *text, size_t length, size_t *at);
/* Writes a character in an encoding; bytes written, 0: it has no such character. */
size_t amb_encoding_put(CFStringEncoding encoding, uint32_t character, uint8_t to[4]);
/* A new string of bytes in an encoding; NULL: no memory, a NUL, or not of this encoding. */
CFStringRef amb_encoding_decode(CFStringEncoding encoding, const uint8_t *bytes, size_t length);

/* --- strings that grow (cf-string-mutable.c) --- */

extern const OSMetaClass amb_mutable_string_class;
/* Puts `length` bytes of UTF-8 in the place of a part. False: no memory, or no mutable string; it stays as it was. */
bool amb_string_replace(CFMutableStringRef string, struct amb_text_part part, const char *text, size_t length);

/* --- words for values (cf-format.c) --- */

/* A value for people, in memory of malloc; NULL: no memory. A string is its text. */
char *amb_value_text(CFTypeRef value);
