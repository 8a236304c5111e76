/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iig/text.h"

/* --- the arena --- */

struct piece {
        struct piece *next;
        max_align_t data[];
};
static struct piece *pieces;

void *iig_alloc(size_t size)
{
        struct piece *piece = calloc(1, sizeof(*piece) + size);

        if (!piece) {
                fputs("iig: no memory\n", stderr);
                exit(1);
        }
        piece->next = pieces;
        pieces = piece;
        return piece->data;
}

void iig_text_end(void)
{
        while (pieces) {
                struct piece *next = pieces->next;
                free(pieces);
                pieces = next;
        }
}

const char *iig_copy(const char *text, size_t length)
{
        char *copy = iig_alloc(length + 1);

        memcpy(copy, text, length);
        return copy;
}

static __attribute__((format(printf, 1, 0))) const char *format_list(const char *format, va_list list)
{
        va_list again;
        char *text;
        int length;

        va_copy(again, list);
        length = vsnprintf(NULL, 0, format, again);
        va_end(again);
        text = iig_alloc((size_t)length + 1);
        vsnprintf(text, (size_t)length + 1, format, list);
        return text;
}

const char *iig_format(const char *format, ...)
{
        va_list list;
        const char *text;

        va_start(list, format);
        text = format_list(format, list);
        va_end(list);
        return text;
}

/* --- text that grows --- */

void iig_add_bytes(struct iig_text *text, const char *data, size_t length)
{
        if (text->length + length + 1 > text->capacity) {
                size_t capacity = 2 * (text->length + length + 1);
                char *grown = iig_alloc(capacity);

                if (text->length > 0)
                        memcpy(grown, text->data, text->length);
                text->data = grown;
                text->capacity = capacity;
        }
        memcpy(text->data + text->length, data, length);
        text->length += length;
        text->data[text->length] = '\0';
}

void iig_add(struct iig_text *text, const char *format, ...)
{
        va_list list;
        const char *added;

        va_start(list, format);
        added = format_list(format, list);
        va_end(list);
        iig_add_bytes(text, added, strlen(added));
}

/* --- source text --- */

int iig_source_load(struct iig_source *source, const char *path)
{
        struct iig_text text = { 0 };
        char buffer[65536];
        size_t length;
        FILE *file = fopen(path, "re");

        if (!file)
                return -errno;
        iig_add_bytes(&text, "", 0);
        while ((length = fread(buffer, 1, sizeof(buffer), file)) > 0)
                iig_add_bytes(&text, buffer, length);
        if (ferror(file)) {
                fclose(file);
                return -EIO;
        }
        fclose(file);
        *source = (struct iig_source){ text.data, text.length };
        return 0;
}

unsigned int iig_source_line(const struct iig_source *source, size_t offset)
{
        unsigned int line = 1;

        for (size_t i = 0; i < offset && i < source->length; i++)
                line += source->data[i] == '\n';
        return line;
}

static bool is_word(char c)
{
        return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Behind the end of the line, also over continued lines. */
static size_t line_end(const struct iig_source *s, size_t at, size_t end)
{
        while (at < end && s->data[at] != '\n')
                at += s->data[at] == '\\' && at + 1 < end ? 2 : 1;
        return at;
}

static bool line_begins(const struct iig_source *s, size_t at)
{
        while (at > 0 && (s->data[at - 1] == ' ' || s->data[at - 1] == '\t'))
                at--;
        return at == 0 || s->data[at - 1] == '\n';
}

/* Over white space, comments and preprocessor lines. */
static size_t skip_gap(const struct iig_source *s, size_t at, size_t end)
{
        while (at < end) {
                const char *p = s->data + at;
                if (isspace((unsigned char)*p)) {
                        at++;
                } else if (p[0] == '/' && p[1] == '/') {
                        at = line_end(s, at, end);
                } else if (p[0] == '/' && p[1] == '*') {
                        const char *close = strstr(p + 2, "*/");
                        at = close ? (size_t)(close + 2 - s->data) : end;
                } else if (p[0] == '#' && line_begins(s, at)) {
                        at = line_end(s, at, end);
                } else {
                        break;
                }
        }
        return at < end ? at : end;
}

static size_t quoted_end(const struct iig_source *s, size_t at, size_t end)
{
        char quote = s->data[at++];

        while (at < end && s->data[at] != quote)
                at += s->data[at] == '\\' ? 2 : 1;
        return at < end ? at + 1 : end;
}

bool iig_token_next(const struct iig_source *source, size_t *offset, size_t end, struct iig_token *ret_token)
{
        size_t begin = skip_gap(source, *offset, end), at = begin;

        if (begin >= end)
                return false;
        *ret_token = (struct iig_token){ .begin = begin, .spaced = begin > *offset };
        if (is_word(source->data[at])) {
                ret_token->word = true;
                while (at < end && is_word(source->data[at]))
                        at++;
        } else if (source->data[at] == '"' || source->data[at] == '\'') {
                at = quoted_end(source, at, end);
        } else if (source->data[at] == ':' && source->data[at + 1] == ':') {
                at += 2;
        } else {
                at++;
        }
        ret_token->end = *offset = at;
        return true;
}

bool iig_token_is(const struct iig_source *source, const struct iig_token *token, const char *text)
{
        size_t length = token->end - token->begin;

        return strlen(text) == length && memcmp(source->data + token->begin, text, length) == 0;
}
