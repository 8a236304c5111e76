/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes are read or refused with a line; what is read is a tree within the limits.
 *      clang -fsanitize=fuzzer,address,undefined ... fuzz-yml.c      (without fuzz-main.c)
 */
#include <stdio.h>

#include "dext/text.h"
#include "dext/yml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void insist(bool condition, const char *what)
{
        if (!condition) {
                fprintf(stderr, "fuzz-yml: %s\n", what);
                abort();
        }
}

static size_t check(const struct dext_node *node, unsigned int depth)
{
        size_t count = 1;
        insist(depth <= DEXT_YML_DEPTH, "too deep");
        insist((node->kind == DEXT_STRING) == (node->text != NULL), "a string without text, or text without a string");
        for (const struct dext_node *inner = node->first; inner; inner = inner->next) {
                insist((node->kind == DEXT_DICTIONARY) == (inner->key != NULL), "a member without key, or an element with one");
                count += check(inner, depth + 1);
        }
        return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
        const char *why = NULL;
        const struct dext_node *node = dext_yml_parse((const char *)bytes, length, &why);

        insist(!node == (why != NULL), "the answer contradicts itself");
        insist(!why || strncmp(why, "line ", 5) == 0, "no line is said");
        insist(!node || check(node, 0) <= DEXT_YML_NODES, "too many nodes");
        dext_text_end();
        return 0;
}
