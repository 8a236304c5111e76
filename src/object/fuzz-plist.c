/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: whatever is accepted can be written in both forms, read again and is equal; JSON can be made of it.
 *      clang -fsanitize=fuzzer,address,undefined ... fuzz-plist.c      (without fuzz-main.c)
 */
#include <stdio.h>

#include "base/base.h"
#include "object/match.h"
#include "object/plist.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void insist(bool condition, const char *what)
{
        if (!condition) {
                fprintf(stderr, "fuzz-plist: %s\n", what);
                abort();
        }
}

/* Strings with control characters can be read from binary lists but not be written as XML; sizes grow when XML is written. */
static void write_and_read(const OSObject *value, bool binary)
{
        AMB_FREE char *written = NULL;
        size_t written_length = 0;
        int r = amb_plist_write(value, binary, &written, &written_length);
        if (!binary && r == AMB_PLIST_UNSUPPORTED)
                return;
        insist(r == 0, "an accepted list cannot be written");
        OSObject *again = NULL;
        r = amb_plist_parse(written, written_length, &again, NULL);
        insist(r == 0 || r == AMB_PLIST_TOO_BIG, "a written list is refused");
        if (r == 0)
                insist(OSObjectIsEqual(value, again) && amb_value_matches(value, again), "a list reads back as another");
        OSObject_release(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
        OSObject *value = NULL;
        AMB_FREE char *why = NULL;
        int r = amb_plist_parse((const char *)bytes, length, &value, &why);
        insist(r >= 0 && (r == 0) == (value != NULL) && (r > 0) == (why != NULL), "the answer contradicts itself");
        if (r)
                return 0;
        write_and_read(value, false);
        write_and_read(value, true);
        AMB_FREE char *json = amb_value_json(value);
        insist(json != NULL, "no JSON");
        OSObject_release(value);
        return 0;
}
