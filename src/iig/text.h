/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strings of one run. All memory comes from one arena, which iig_text_end() gives back; without memory the program ends. One
 * thread.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Zeroed. */
void *iig_alloc(size_t size);
const char *iig_copy(const char *text, size_t length);
const char *iig_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void iig_text_end(void);

/* Text that grows. */
struct iig_text {
        char *data;             /* always ends with a NUL, once something was added */
        size_t length, capacity;
};
void iig_add(struct iig_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void iig_add_bytes(struct iig_text *text, const char *data, size_t length);

/* A source file, whole, with a NUL behind it. */
struct iig_source {
        const char *data;
        size_t length;
};
/* 0, or a negative errno. */
int iig_source_load(struct iig_source *source, const char *path);
unsigned int iig_source_line(const struct iig_source *source, size_t offset);

/* A piece of C++ as its compiler sees it: no comments, no white space, no preprocessor lines. */
struct iig_token {
        size_t begin, end;
        bool word;              /* a name, keyword or number */
        bool spaced;            /* white space before it */
};
/* The next token at or after *offset, which moves behind it; false: none before `end`. */
bool iig_token_next(const struct iig_source *source, size_t *offset, size_t end, struct iig_token *ret_token);
bool iig_token_is(const struct iig_source *source, const struct iig_token *token, const char *text);
