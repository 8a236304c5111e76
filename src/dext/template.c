/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a project makes of templates before it is built, by a script of its own: NAME of NAME.in, in which @VERSION@ and the
 * like stand for something. Where NAME is not there and NAME.in is, we do what such scripts do. A value is that of a setting; of a
 * key of version.json, above; the text of a file called version; or, for names that end in VERSION, MARKETING_VERSION.
 * FOO_NUMBER without a value is the number that FOO is, two digits for each part: 1.2.3 is 10203.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>

#include "dext/target.h"

enum { TEMPLATE_BYTES = 1 << 20, VERSION_BYTES = 1 << 16, LEVELS = 5 };

/* A string of this key, whatever it lies in: such files are flat. */
static const char *json_text(const char *json, const char *key)
{
        const char *quoted = dext_format("\"%s\"", key), *at = strstr(json, quoted);
        if (!at)
                return NULL;
        at += strlen(quoted);
        at += strspn(at, " \t\n:");
        if (*at != '"')
                return NULL;
        size_t length = strcspn(at + 1, "\"");
        return dext_copy(at + 1, length);
}

static const char *lower(const char *name)
{
        char *copy = dext_copy(name, strlen(name));
        for (char *c = copy; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return copy;
}

static const char *version_in(const char *folder, const char *name)
{
        static const char *const plain[] = { "version", "VERSION", "version.txt" };
        AMB_FREE char *bytes = NULL;
        size_t length;
        bool whole = strcmp(name, "VERSION") == 0;

        if (amb_file_read(AT_FDCWD, dext_format("%s/version.json", folder), VERSION_BYTES, &bytes, &length) == 0) {
                const char *found = json_text(bytes, lower(name));
                if (!found && whole)
                        found = json_text(bytes, "package_version");
                if (found)
                        return found;
        }
        for (size_t i = 0; whole && i < AMB_ARRAY_LENGTH(plain); i++) {
                AMB_FREE char *text = NULL;
                if (amb_file_read(AT_FDCWD, dext_format("%s/%s", folder, plain[i]), VERSION_BYTES, &text, &length) == 0)
                        return dext_copy(text, strcspn(text, " \t\r\n"));
        }
        return NULL;
}

static const char *plain_value(const struct dext_target *target, const char *name)
{
        const char *value = dext_settings_get(&target->settings, name), *folder = target->root;
        for (int i = 0; !value && i < LEVELS && strcmp(folder, "/") != 0; i++, folder = dext_path_directory(folder))
                value = version_in(folder, name);
        return !value && dext_text_ends(name, "VERSION") ? dext_settings_get(&target->settings, "MARKETING_VERSION") : value;
}

static const char *number_of(const char *version)
{
        unsigned long number = 0;
        for (char *rest = dext_copy(version, strlen(version)), *part; (part = strsep(&rest, "."));)
                number = number * 100 + strtoul(part, NULL, 10) % 100;
        return dext_format("%lu", number);
}

static const char *value_of(const struct dext_target *target, const char *name)
{
        const char *value = plain_value(target, name);
        if (value || !dext_text_ends(name, "_NUMBER"))
                return value;
        value = plain_value(target, dext_copy(name, strlen(name) - strlen("_NUMBER")));
        return value ? number_of(value) : NULL;
}

/* "@NAME@": the length, else 0. */
static size_t mark_length(const char *text)
{
        size_t length = strspn(text + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
        return length && text[1 + length] == '@' ? length + 2 : 0;
}

const char *dext_template_fill(const struct dext_target *target, const char *path, struct dext_report *report)
{
        AMB_FREE char *bytes = NULL;
        struct dext_text text = { 0 }, said = { 0 };
        size_t length;
        int r = amb_file_read(AT_FDCWD, path, TEMPLATE_BYTES, &bytes, &length);

        if (r < 0)
                return dext_fail(report, "%s: %s", path, strerror(-r)), NULL;
        for (const char *at = bytes; *at;) {
                size_t mark = *at == '@' ? mark_length(at) : 0;
                if (!mark) {
                        dext_text_put(&text, at++, 1);
                        continue;
                }
                const char *name = dext_copy(at + 1, mark - 2), *value = value_of(target, name);
                if (!value)
                        dext_note(report, "%s: nothing says what @%s@ is, so it is empty; --set %s=VALUE says it", path, name,
                                  name);
                else if (!said.length || !strstr(said.data, dext_format("%s = ", name)))
                        dext_text_add(&said, "%s%s = %s", said.length ? ", " : ", with ", name, value);
                dext_text_add(&text, "%s", value ? value : "");
                at += mark;
        }
        dext_note(report, "%.*s is not there, so it is made of its template%s", (int)(strlen(path) - strlen(".in")), path,
                  said.length ? said.data : "");
        return text.data ? text.data : "";
}
