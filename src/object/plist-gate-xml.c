/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate for XML property lists: one pass over the bytes with an explicit stack. See plist-gate.h.
 *
 * Stricter than XML: one <?xml?> at the very start, one DOCTYPE without a subset, comments between elements and inside
 * strings, attributes on <plist> only.
 */
#include <stdarg.h>
#include <stdio.h>

#include "object/plist-gate.h"
#include "object/value.h"

struct gate {
        const char *begin, *at, *end;
        size_t nodes, entries, references;
        unsigned depth;
        struct container {
                OSDictionary *keys;     /* the keys so far; NULL: an array */
                bool key_waits;         /* a key has been read, its value not yet */
        } stack[AMB_PLIST_MAX_DEPTH];
        bool root_done;
        char *text;                     /* the string or key being read: MAX_STRING bytes, one character and a NUL */
        char **ret_why;
};

enum element {
        PLIST = 1, /* 0 is no element */
        DICT,
        ARRAY,
        KEY,
        STRING,
        DATA,
        INTEGER,
        TRUE,
        FALSE,
        REAL,
        DATE,
};

static const char *const element_names[] = {
        [PLIST] = "plist", [DICT] = "dict",       [ARRAY] = "array", [KEY] = "key",     [STRING] = "string", [DATA] = "data",
        [INTEGER] = "integer", [TRUE] = "true", [FALSE] = "false", [REAL] = "real", [DATE] = "date",
};

struct tag {
        enum element element;
        bool closing, empty;
};

static AMB_PRINTF(3, 4) int refuse(struct gate *g, int no, const char *format, ...)
{
        size_t line = 1;
        for (const char *c = g->begin; c < g->at && c < g->end; c++)
                line += *c == '\n';
        char text[256];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        free(*g->ret_why);
        *g->ret_why = amb_format("line %zu: %s", line, text);
        return no;
}

static bool next_is(const struct gate *g, const char *what)
{
        size_t length = strlen(what);
        return (size_t)(g->end - g->at) >= length && memcmp(g->at, what, length) == 0;
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct gate *g)
{
        while (g->at < g->end && is_space(*g->at))
                g->at++;
}

/* Behind the next `what` at or after `from`. */
static int skip_past(struct gate *g, const char *from, const char *what)
{
        const char *found = from <= g->end ? memmem(from, (size_t)(g->end - from), what, strlen(what)) : NULL;
        if (!found)
                return refuse(g, AMB_PLIST_MALFORMED, "the end is missing (\"%s\")", what);
        g->at = found + strlen(what);
        return 0;
}

/* White space and comments. */
static int skip_misc(struct gate *g)
{
        for (;;) {
                skip_space(g);
                if (!next_is(g, "<!--"))
                        return 0;
                int r = skip_past(g, g->at + 4, "-->");
                if (r)
                        return r;
        }
}

/* Only UTF-8, and of the control characters only white space: then no later step has to think of the others. */
static int check_characters(struct gate *g)
{
        for (size_t n; g->at < g->end; g->at += n) {
                n = amb_utf8_character(g->at, (size_t)(g->end - g->at));
                if (!n)
                        return refuse(g, AMB_PLIST_MALFORMED, "not a property list: neither binary nor UTF-8 text");
                if (n == 1 && (unsigned char)*g->at < ' ' && !is_space(*g->at))
                        return refuse(g, AMB_PLIST_MALFORMED, "control character %#x", *g->at);
        }
        g->at = g->begin;
        return 0;
}

/* --- what stands before the list --- */

static int read_declaration(struct gate *g)
{
        if (!next_is(g, "<?xml"))
                return 0;
        const char *from = g->at + 5;
        int r = skip_past(g, from, "?>");
        if (r)
                return r;
        size_t length = (size_t)(g->at - 2 - from), quotes = 0;
        for (size_t i = 0; i < length; i++) {
                quotes += from[i] == '"';
                if (from[i] == '<' || from[i] == '>')
                        return refuse(g, AMB_PLIST_MALFORMED, "broken XML declaration");
        }
        if (quotes % 2)
                return refuse(g, AMB_PLIST_MALFORMED, "broken XML declaration");
        const char *encoding = memmem(from, length, "encoding", 8);
        if (!encoding)
                return 0;
        for (encoding += 8; is_space(*encoding) || *encoding == '='; encoding++)
                ;
        if (strncasecmp(encoding + 1, "utf-8", 5) && strncasecmp(encoding + 1, "us-ascii", 8))
                return refuse(g, AMB_PLIST_UNSUPPORTED, "an encoding other than UTF-8");
        return 0;
}

static int read_doctype(struct gate *g)
{
        if (!next_is(g, "<!DOCTYPE"))
                return 0;
        bool quoted = false;
        for (g->at += 9; g->at < g->end; g->at++) {
                if (*g->at == '"') {
                        quoted = !quoted;
                } else if (*g->at == '<' || (*g->at == '\'' && !quoted)) {
                        break;
                } else if (*g->at == '[' && !quoted) {
                        return refuse(g, AMB_PLIST_UNSUPPORTED, "a DOCTYPE with definitions of its own");
                } else if (*g->at == '>' && !quoted) {
                        g->at++;
                        return 0;
                }
        }
        return refuse(g, AMB_PLIST_MALFORMED, "broken DOCTYPE");
}

/* --- tags --- */

static bool is_name(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_-.:", c);
}

/* NAME="VALUE" of <plist>; nobody reads them. */
static int skip_attributes(struct gate *g)
{
        for (;;) {
                skip_space(g);
                if (g->at == g->end || !is_name(*g->at))
                        return 0;
                while (g->at < g->end && is_name(*g->at))
                        g->at++;
                if (!next_is(g, "=\"") && !next_is(g, "='"))
                        return refuse(g, AMB_PLIST_MALFORMED, "broken attribute");
                char quote = g->at[1];
                for (g->at += 2; g->at < g->end && !strchr("\"'<>&", *g->at); g->at++)
                        ;
                if (g->at == g->end || *g->at++ != quote)
                        return refuse(g, AMB_PLIST_MALFORMED, "broken attribute");
        }
}

static int refuse_end(struct gate *g)
{
        return refuse(g, AMB_PLIST_MALFORMED, "the property list ends too early: is the file whole?");
}

static int read_tag(struct gate *g, struct tag *ret)
{
        struct tag tag = {};
        if (g->at == g->end)
                return refuse_end(g);
        if (*g->at != '<')
                return refuse(g, AMB_PLIST_MALFORMED, "text where an element is expected");
        g->at++;
        if (next_is(g, "/")) {
                tag.closing = true;
                g->at++;
        }
        const char *name = g->at;
        while (g->at < g->end && is_name(*g->at))
                g->at++;
        if (g->at == g->end)
                return refuse_end(g);
        size_t length = (size_t)(g->at - name);
        for (enum element e = PLIST; e < AMB_ARRAY_LENGTH(element_names); e++)
                if (strlen(element_names[e]) == length && memcmp(element_names[e], name, length) == 0)
                        tag.element = e;
        if (!tag.element)
                return refuse(g, AMB_PLIST_MALFORMED, "<%.*s> is not part of a property list", length > 40 ? 40 : (int)length,
                              name);
        if (tag.element == PLIST && !tag.closing) {
                int r = skip_attributes(g);
                if (r)
                        return r;
        }
        skip_space(g);
        if (!tag.closing && next_is(g, "/")) {
                tag.empty = true;
                g->at++;
        }
        if (!next_is(g, ">"))
                return refuse(g, AMB_PLIST_MALFORMED, "broken tag <%s>", element_names[tag.element]);
        g->at++;
        *ret = tag;
        return 0;
}

static int read_closing(struct gate *g, enum element element)
{
        struct tag tag;
        int r = read_tag(g, &tag);
        if (r)
                return r;
        if (!tag.closing || tag.element != element)
                return refuse(g, AMB_PLIST_MALFORMED, "<%s> is not closed", element_names[element]);
        return 0;
}

/* --- text --- */

static size_t encode_character(char *to, uint32_t c)
{
        if (c < 0x80) {
                to[0] = (char)c;
                return 1;
        }
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--, c >>= 6)
                to[i] = (char)(0x80 | (c & 0x3f));
        to[0] = (char)((0xf0u << (4 - n)) | c);
        return n;
}

static int digit_value(char c, bool hex)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20; /* lower case */
        return hex && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* &#1234; or &#x12ab;, `text` being what stands between # and ; */
static bool parse_character(const char *text, size_t length, uint32_t *ret)
{
        bool hex = length && text[0] == 'x';
        uint32_t c = 0;
        if (length == (hex ? 1u : 0u) || length > 7)
                return false;
        for (size_t i = hex; i < length; i++) {
                int digit = digit_value(text[i], hex);
                if (digit < 0)
                        return false;
                c = c * (hex ? 16 : 10) + (uint32_t)digit;
        }
        char bytes[5] = "";
        if (c > 0x10ffff || (c < ' ' && !is_space((char)c)) || !amb_utf8_valid(bytes, encode_character(bytes, c)))
                return false;
        *ret = c;
        return true;
}

/* At '&'. Appends what it stands for, at most 4 bytes. */
static int read_reference(struct gate *g, size_t *length)
{
        static const struct {
                const char *name;
                char character;
        } names[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' } };
        const char *name = g->at + 1;
        size_t left = (size_t)(g->end - name);
        const char *end = memchr(name, ';', left < 9 ? left : 9);
        if (++g->references > AMB_PLIST_MAX_REFERENCES)
                return refuse(g, AMB_PLIST_TOO_BIG, "more than %d references like &amp;", AMB_PLIST_MAX_REFERENCES);
        if (!end && left < 9)
                return refuse_end(g);
        if (!end)
                return refuse(g, AMB_PLIST_UNSUPPORTED, "an & that is not one of the five predefined entities");
        size_t size = (size_t)(end - name);
        uint32_t character = 0;
        if (*name == '#') {
                if (!parse_character(name + 1, size - 1, &character))
                        return refuse(g, AMB_PLIST_MALFORMED, "broken character reference");
        } else {
                for (size_t i = 0; i < AMB_ARRAY_LENGTH(names); i++)
                        if (strlen(names[i].name) == size && memcmp(names[i].name, name, size) == 0)
                                character = (uint32_t)names[i].character;
                if (!character)
                        return refuse(g, AMB_PLIST_UNSUPPORTED, "the entity &%.*s;", (int)size, name);
        }
        *length += encode_character(g->text + *length, character);
        g->at = end + 1;
        return 0;
}

static int read_cdata(struct gate *g, size_t *length)
{
        const char *from = g->at + 9;
        int r = skip_past(g, from, "]]>");
        if (r)
                return r;
        size_t n = (size_t)(g->at - 3 - from);
        if (n > AMB_PLIST_MAX_STRING - *length)
                return refuse(g, AMB_PLIST_TOO_BIG, "a string of more than %d bytes", AMB_PLIST_MAX_STRING);
        memcpy(g->text + *length, from, n);
        *length += n;
        return 0;
}

/* The contents of a string or key and its closing tag; decoded into g->text. */
static int read_text(struct gate *g, struct tag tag)
{
        size_t length = 0;
        int r = 0;
        while (!tag.empty && !next_is(g, "</")) {
                if (g->at == g->end)
                        return refuse(g, AMB_PLIST_MALFORMED, "<%s> is not closed", element_names[tag.element]);
                if (next_is(g, "<!--"))
                        r = skip_past(g, g->at + 4, "-->");
                else if (next_is(g, "<![CDATA["))
                        r = read_cdata(g, &length);
                else if (*g->at == '<')
                        r = refuse(g, AMB_PLIST_MALFORMED, "an element inside <%s>", element_names[tag.element]);
                else if (*g->at == '&')
                        r = read_reference(g, &length);
                else
                        g->text[length++] = *g->at++;
                if (r)
                        return r;
                if (length > AMB_PLIST_MAX_STRING)
                        return refuse(g, AMB_PLIST_TOO_BIG, "a string of more than %d bytes", AMB_PLIST_MAX_STRING);
        }
        g->text[length] = 0;
        return tag.empty ? 0 : read_closing(g, tag.element);
}

/* Decimal or 0x hexadecimal, of 64 bits. A leading 0 is refused: some read it as octal. */
static int read_integer(struct gate *g, struct tag tag)
{
        skip_space(g);
        bool negative = next_is(g, "-");
        if (negative || next_is(g, "+"))
                g->at++;
        bool hex = next_is(g, "0x");
        if (hex)
                g->at += 2;
        const char *digits = g->at;
        uint64_t value = 0;
        for (; g->at < g->end; g->at++) {
                int digit = digit_value(*g->at, hex);
                if (digit < 0)
                        break;
                if (__builtin_mul_overflow(value, (uint64_t)(hex ? 16 : 10), &value) ||
                    __builtin_add_overflow(value, (uint64_t)digit, &value))
                        return refuse(g, AMB_PLIST_UNSUPPORTED, "an integer of more than 64 bits");
        }
        if (g->at == digits || tag.empty)
                return refuse(g, AMB_PLIST_MALFORMED, "an <integer> without digits");
        if (!hex && *digits == '0' && g->at - digits > 1)
                return refuse(g, AMB_PLIST_UNSUPPORTED, "an integer that begins with 0");
        if (negative && value > (uint64_t)INT64_MAX + 1)
                return refuse(g, AMB_PLIST_UNSUPPORTED, "an integer of more than 64 bits");
        skip_space(g);
        return read_closing(g, INTEGER);
}

static int read_data(struct gate *g, struct tag tag)
{
        size_t digits = 0, padding = 0;
        for (; !tag.empty && g->at < g->end && *g->at != '<'; g->at++) {
                char c = *g->at;
                if (is_space(c))
                        continue;
                padding += c == '=';
                bool digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
                if (c != '=' && (!digit || padding))
                        return refuse(g, AMB_PLIST_MALFORMED, "<data> is not base64");
                digits++;
        }
        if (digits % 4 || padding > 2)
                return refuse(g, AMB_PLIST_MALFORMED, "<data> is not base64");
        return tag.empty ? 0 : read_closing(g, DATA);
}

/* --- structure --- */

static int read_key(struct gate *g, struct tag tag)
{
        struct container *inside = g->depth ? &g->stack[g->depth - 1] : NULL;
        if (!inside || !inside->keys || inside->key_waits)
                return refuse(g, AMB_PLIST_MALFORMED, "a <key> where a value is expected");
        int r = read_text(g, tag);
        if (r)
                return r;
        r = amb_dictionary_claim(inside->keys, g->text);
        if (r > 0)
                return refuse(g, AMB_PLIST_MALFORMED, "the key \"%.100s\" occurs twice", g->text);
        inside->key_waits = true;
        g->entries++;
        return r;
}

static int open_container(struct gate *g, struct tag tag)
{
        if (g->depth == AMB_PLIST_MAX_DEPTH)
                return refuse(g, AMB_PLIST_TOO_BIG, "more than %d containers inside one another", AMB_PLIST_MAX_DEPTH);
        if (tag.empty)
                return 0;
        struct container *inside = &g->stack[g->depth];
        *inside = (struct container){};
        if (tag.element == DICT) {
                inside->keys = OSDictionaryCreate();
                if (!inside->keys)
                        return -ENOMEM;
        }
        g->depth++;
        return 0;
}

static int close_container(struct gate *g, struct tag tag)
{
        struct container *inside = g->depth ? &g->stack[g->depth - 1] : NULL;
        if (!inside || tag.element != (inside->keys ? DICT : ARRAY))
                return refuse(g, AMB_PLIST_MALFORMED, "</%s> closes nothing", element_names[tag.element]);
        if (inside->key_waits)
                return refuse(g, AMB_PLIST_MALFORMED, "a key without a value");
        OSSafeReleaseNULL(inside->keys);
        g->depth--;
        return 0;
}

static int read_value(struct gate *g, struct tag tag)
{
        struct container *inside = g->depth ? &g->stack[g->depth - 1] : NULL;
        if (inside && inside->keys && !inside->key_waits)
                return refuse(g, AMB_PLIST_MALFORMED, "a value without a key");
        if (inside)
                inside->key_waits = false;
        else if (g->root_done)
                return refuse(g, AMB_PLIST_MALFORMED, "more than one value in <plist>");
        g->root_done = true;
        switch (tag.element) {
        case DICT:
        case ARRAY:
                return open_container(g, tag);
        case STRING:
                return read_text(g, tag);
        case DATA:
                return read_data(g, tag);
        case INTEGER:
                return read_integer(g, tag);
        case TRUE:
        case FALSE:
                return tag.empty ? 0 : read_closing(g, tag.element);
        case REAL:
        case DATE:
                return refuse(g, AMB_PLIST_UNSUPPORTED, "<%s> values have no place here", element_names[tag.element]);
        case PLIST:
        case KEY:
                break;
        }
        return refuse(g, AMB_PLIST_MALFORMED, "<%s> inside the list", element_names[tag.element]);
}

/* Everything between <plist> and </plist>, that included. */
static int read_list(struct gate *g)
{
        for (;;) {
                struct tag tag;
                int r = skip_misc(g);
                if (!r)
                        r = read_tag(g, &tag);
                if (r)
                        return r;
                if (tag.closing && tag.element == PLIST && !g->depth && g->root_done)
                        return 0;
                if (!tag.closing && ++g->nodes > AMB_PLIST_MAX_NODES)
                        return refuse(g, AMB_PLIST_TOO_BIG, "more than %d values", AMB_PLIST_MAX_NODES);
                if (tag.closing)
                        r = close_container(g, tag);
                else if (tag.element == KEY)
                        r = read_key(g, tag);
                else
                        r = read_value(g, tag);
                if (r)
                        return r;
        }
}

static int read_document(struct gate *g)
{
        struct tag tag;
        int r = check_characters(g);
        if (!r)
                r = read_declaration(g);
        if (!r)
                r = skip_misc(g);
        if (!r)
                r = read_doctype(g);
        if (!r)
                r = skip_misc(g);
        if (!r)
                r = read_tag(g, &tag);
        if (r)
                return r;
        if (tag.element != PLIST || tag.closing || tag.empty)
                return refuse(g, AMB_PLIST_MALFORMED, "a property list begins with <plist>");
        r = read_list(g);
        if (!r)
                r = skip_misc(g);
        if (!r && g->at != g->end)
                r = refuse(g, AMB_PLIST_MALFORMED, "something follows </plist>");
        return r;
}

int amb_plist_gate_xml(const char *bytes, size_t length, size_t *ret_entries, char **ret_why)
{
        struct gate g = { .begin = bytes, .at = bytes, .end = bytes + length, .ret_why = ret_why };
        g.text = malloc(AMB_PLIST_MAX_STRING + 5);
        if (!g.text)
                return -ENOMEM;
        int r = read_document(&g);
        while (g.depth)
                OSObject_release(g.stack[--g.depth].keys);
        free(g.text);
        if (r)
                return r;
        *ret_entries = g.entries;
        return 0;
}
