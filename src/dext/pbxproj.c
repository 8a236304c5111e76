/* SPDX-License-Identifier: Apache-2.0 */
#include "dext/pbxproj.h"

#include "dext/text.h"

struct reader {
        const char *at, *end;
        unsigned int line;
        const char *why;                /* set once: what is wrong */
};

static struct dext_node *read_value(struct reader *reader, unsigned int depth);

static struct dext_node *refuse(struct reader *reader, unsigned int line, const char *what)
{
        if (!reader->why)
                reader->why = dext_format("line %u: %s", line, what);
        return NULL;
}

/* --- blanks and comments --- */

static bool skip_comment(struct reader *reader)
{
        unsigned int line = reader->line;
        if (reader->end - reader->at < 2 || reader->at[0] != '/')
                return false;
        if (reader->at[1] == '/') {
                while (reader->at < reader->end && *reader->at != '\n')
                        reader->at++;
                return true;
        }
        if (reader->at[1] != '*')
                return false;
        for (reader->at += 2; reader->end - reader->at >= 2; reader->at++) {
                if (reader->at[0] == '*' && reader->at[1] == '/') {
                        reader->at += 2;
                        return true;
                }
                reader->line += reader->at[0] == '\n';
        }
        refuse(reader, line, "a comment has no end");
        reader->at = reader->end;
        return false;
}

static void skip(struct reader *reader)
{
        while (reader->at < reader->end) {
                if (strchr(" \t\r\n\f\v", *reader->at) && *reader->at) {
                        reader->line += *reader->at == '\n';
                        reader->at++;
                } else if (!skip_comment(reader))
                        return;
        }
}

static bool take(struct reader *reader, char wanted)
{
        skip(reader);
        if (reader->at == reader->end || *reader->at != wanted)
                return false;
        reader->at++;
        return true;
}

/* --- strings --- */

static bool is_plain(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_$/:.-+@%~", c)) ||
                (c & 0x80);
}

static int digit_of(char c, int base)
{
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
        return value < base ? value : -1;
}

/* At most `most` digits; how many there were. */
static unsigned int read_digits(struct reader *reader, int base, unsigned int most, unsigned int *ret_value)
{
        unsigned int count = 0, value = 0;
        while (count < most && reader->at < reader->end && digit_of(*reader->at, base) >= 0) {
                value = value * (unsigned int)base + (unsigned int)digit_of(*reader->at++, base);
                count++;
        }
        *ret_value = value;
        return count;
}

/* No NUL: the text ends at one. Halves of surrogate pairs become the replacement character. */
static void put_character(struct dext_text *text, unsigned int code)
{
        if (code == 0 || (code >= 0xd800 && code <= 0xdfff))
                code = 0xfffd;
        char bytes[3] = { (char)code };
        size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
        if (length == 2) {
                bytes[0] = (char)(0xc0 | code >> 6);
                bytes[1] = (char)(0x80 | (code & 0x3f));
        } else if (length == 3) {
                bytes[0] = (char)(0xe0 | code >> 12);
                bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
                bytes[2] = (char)(0x80 | (code & 0x3f));
        }
        dext_text_put(text, bytes, length);
}

/* Behind the backslash. */
static void read_escape(struct reader *reader, struct dext_text *text)
{
        static const char letters[] = "abfnrtv", meanings[] = "\a\b\f\n\r\t\v";
        unsigned int code;
        char c = *reader->at;
        const char *found = c ? strchr(letters, c) : NULL;

        if (c >= '0' && c <= '7') {
                read_digits(reader, 8, 3, &code);
                put_character(text, code);
                return;
        }
        reader->at++;
        if (c == 'U' && read_digits(reader, 16, 4, &code) > 0)
                put_character(text, code);
        else if (found)
                dext_text_put(text, &meanings[found - letters], 1);
        else {
                reader->line += c == '\n';
                put_character(text, (unsigned char)c < 0x80 ? (unsigned char)c : 0xfffd);
        }
}

static const char *read_quoted(struct reader *reader)
{
        struct dext_text text = { 0 };
        unsigned int line = reader->line;
        char quote = *reader->at++;

        while (reader->at < reader->end && *reader->at != quote) {
                if (*reader->at == '\0')
                        return refuse(reader, reader->line, "a NUL byte"), NULL;
                if (*reader->at == '\\' && reader->end - reader->at > 1) {
                        reader->at++;
                        read_escape(reader, &text);
                        continue;
                }
                reader->line += *reader->at == '\n';
                dext_text_put(&text, reader->at++, 1);
        }
        if (reader->at == reader->end)
                return refuse(reader, line, "a string has no end"), NULL;
        reader->at++;
        return text.data ? text.data : "";
}

/* NULL: no string here. */
static const char *read_string(struct reader *reader)
{
        const char *begin;

        skip(reader);
        begin = reader->at;
        if (begin == reader->end)
                return NULL;
        if (*begin == '"' || *begin == '\'')
                return read_quoted(reader);
        while (reader->at < reader->end && is_plain(*reader->at) &&
               !(*reader->at == '/' && reader->end - reader->at > 1 && reader->at[1] == '*'))
                reader->at++;
        return reader->at > begin ? dext_copy(begin, (size_t)(reader->at - begin)) : NULL;
}

/* --- values --- */

static struct dext_node *read_dictionary(struct reader *reader, unsigned int depth)
{
        struct dext_node *dictionary = dext_node_new(DEXT_DICTIONARY, reader->line), **place = &dictionary->first;

        while (!take(reader, '}')) {
                const char *key = read_string(reader);
                if (!key)
                        return refuse(reader, reader->line, reader->at == reader->end ? "a dictionary has no end"
                                                                                      : "a key is expected here, or the "
                                                                                              "dictionary's '}'");
                if (!take(reader, '='))
                        return refuse(reader, reader->line, dext_format("'=' is expected behind the key \"%.60s\"", key));
                *place = read_value(reader, depth + 1);
                if (!*place)
                        return NULL;
                (*place)->key = key;
                place = &(*place)->next;
                if (!take(reader, ';'))
                        return refuse(reader, reader->line, dext_format("';' is expected behind the value of \"%.60s\"", key));
        }
        return dictionary;
}

static struct dext_node *read_array(struct reader *reader, unsigned int depth)
{
        struct dext_node *array = dext_node_new(DEXT_ARRAY, reader->line), **place = &array->first;

        while (!take(reader, ')')) {
                *place = read_value(reader, depth + 1);
                if (!*place)
                        return NULL;
                place = &(*place)->next;
                if (!take(reader, ',') && (reader->at == reader->end || *reader->at != ')'))
                        return refuse(reader, reader->line, reader->at == reader->end ? "an array has no end"
                                                                                      : "',' or ')' is expected behind an array's "
                                                                                              "element");
        }
        return array;
}

static struct dext_node *read_data(struct reader *reader)
{
        struct dext_node *data = dext_node_new(DEXT_STRING, reader->line);
        struct dext_text digits = { 0 };

        while (!take(reader, '>')) {
                if (reader->at == reader->end || digit_of(*reader->at, 16) < 0)
                        return refuse(reader, reader->line, "data has something else than hexadecimal digits, or no '>'");
                dext_text_put(&digits, reader->at++, 1);
        }
        data->text = digits.data ? digits.data : "";
        return data;
}

static struct dext_node *read_value(struct reader *reader, unsigned int depth)
{
        if (depth > DEXT_PBXPROJ_DEPTH)
                return refuse(reader, reader->line, "too many values inside one another");
        if (take(reader, '{'))
                return read_dictionary(reader, depth);
        if (take(reader, '('))
                return read_array(reader, depth);
        if (take(reader, '<'))
                return read_data(reader);
        struct dext_node *node = dext_node_new(DEXT_STRING, reader->line);
        node->text = read_string(reader);
        return node->text ? node : refuse(reader, reader->line, reader->at == reader->end ?
                                          "the text ends where a value is expected"
                                                                                          : "a value is expected here");
}

struct dext_node *dext_pbxproj_parse(const char *bytes, size_t length, const char **ret_why)
{
        struct reader reader = { .at = bytes, .end = bytes + length, .line = 1 };

        if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
                reader.at += 3;
        struct dext_node *node = read_value(&reader, 0);
        skip(&reader);
        if (node && reader.at < reader.end)
                node = refuse(&reader, reader.line, "something follows behind the list");
        if (reader.why)
                *ret_why = reader.why;
        return reader.why ? NULL : node;
}
