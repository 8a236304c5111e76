/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: whatever is read can be written, and reads back the same; what is refused says a line.
 *      clang -fsanitize=fuzzer,address,undefined ... fuzz-pbxproj.c      (without fuzz-main.c)
 */
#include <stdio.h>

#include "dext/pbxproj.h"
#include "dext/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void insist(bool condition, const char *what)
{
        if (!condition) {
                fprintf(stderr, "fuzz-pbxproj: %s\n", what);
                abort();
        }
}

static void write_string(struct dext_text *out, const char *text)
{
        dext_text_put(out, "\"", 1);
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        dext_text_put(out, "\\", 1);
                dext_text_put(out, text, 1);
        }
        dext_text_put(out, "\"", 1);
}

static void write_node(struct dext_text *out, const struct dext_node *node)
{
        bool dictionary = node->kind == DEXT_DICTIONARY;
        if (node->kind == DEXT_STRING) {
                write_string(out, node->text);
                return;
        }
        dext_text_put(out, dictionary ? "{" : "(", 1);
        for (const struct dext_node *inner = node->first; inner; inner = inner->next) {
                if (dictionary) {
                        write_string(out, inner->key);
                        dext_text_put(out, "=", 1);
                }
                write_node(out, inner);
                dext_text_put(out, dictionary ? ";" : ",", 1);
        }
        dext_text_put(out, dictionary ? "}" : ")", 1);
}

static bool alike(const struct dext_node *one, const struct dext_node *other)
{
        if (one->kind != other->kind || !one->key != !other->key || (one->key && strcmp(one->key, other->key) != 0))
                return false;
        if (one->kind == DEXT_STRING)
                return strcmp(one->text, other->text) == 0;
        for (one = one->first, other = other->first; one && other; one = one->next, other = other->next)
                if (!alike(one, other))
                        return false;
        return !one && !other;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
        const char *why = NULL, *again_why = NULL;
        struct dext_text out = { 0 };
        struct dext_node *node = dext_pbxproj_parse((const char *)bytes, length, &why);

        insist(!node == (why != NULL), "the answer contradicts itself");
        insist(!why || strncmp(why, "line ", 5) == 0, "no line is said");
        if (node) {
                write_node(&out, node);
                struct dext_node *again = dext_pbxproj_parse(out.data, out.length, &again_why);
                insist(again && alike(node, again), "a list reads back as another");
        }
        dext_text_end();
        return 0;
}
