/* SPDX-License-Identifier: Apache-2.0 */
#include "dext/settings.h"

#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>

enum { DEPTH_MAX = 32, STEPS_MAX = 20000, INCLUDES_MAX = 16, FILE_BYTES = 1 << 20, VALUE_BYTES = 1 << 20 };

/* Of one expansion: settings that name one another twice each would take for ever. */
static unsigned int steps;

static const char *expand(const struct dext_settings *settings, const char *text, const struct dext_setting *inside,
                          struct dext_list *unknown, int depth);

/* --- setting --- */

/* One "[sdk=driverkit*]". Architectures and variants: the machine is another one anyway, so none is left out for them. */
static bool condition_holds(const struct dext_settings *settings, const char *condition)
{
        if (strncmp(condition, "sdk=", 4) == 0)
                return fnmatch(condition + 4, "driverkit", 0) == 0 || strncmp(condition + 4, "driverkit", 9) == 0;
        if (strncmp(condition, "config=", 7) == 0)
                return settings->configuration && fnmatch(condition + 7, settings->configuration, 0) == 0;
        return true;
}

static bool conditions_hold(const struct dext_settings *settings, const char *conditions)
{
        while (*conditions == '[') {
                size_t length = strcspn(conditions, "]");
                const char *all = dext_copy(conditions + 1, length - 1);
                for (char *rest = (char *)all, *one; (one = strsep(&rest, ","));)
                        if (!condition_holds(settings, one))
                                return false;
                conditions += length + (conditions[length] == ']');
        }
        return true;
}

void dext_settings_set(struct dext_settings *settings, int level, const char *name, const char *value)
{
        size_t length = strcspn(name, "[");
        if (!conditions_hold(settings, name + length))
                return;
        struct dext_setting *setting = dext_allocate(sizeof(*setting)), **place = &settings->first;
        *setting = (struct dext_setting){ .name = dext_copy(name, length), .value = value, .level = level,
                                          .conditional = name[length] != '\0' };
        /* The list is in the order in which they win. */
        while (*place && ((*place)->level > level || ((*place)->level == level && (*place)->conditional && !setting->conditional)))
                place = &(*place)->next;
        setting->next = *place;
        *place = setting;
}

static const struct dext_setting *find(const struct dext_setting *from, const char *name)
{
        for (; from; from = from->next)
                if (strcmp(from->name, name) == 0)
                        return from;
        return NULL;
}

/* --- .xcconfig --- */

static char *trim(char *text)
{
        while (isspace((unsigned char)*text))
                text++;
        size_t length = strlen(text);
        while (length && isspace((unsigned char)text[length - 1]))
                text[--length] = '\0';
        return text;
}

static void read_file(struct dext_settings *settings, int level, const char *path, struct dext_report *report, int depth);

static void read_include(struct dext_settings *settings, int level, const char *line, const char *path, struct dext_report *report,
                         int depth)
{
        bool optional = strncmp(line, "#include?", 9) == 0;
        const char *open = strchr(line, '"'), *close = open ? strchr(open + 1, '"') : NULL;
        if (!close)
                return;
        const char *named = dext_copy(open + 1, (size_t)(close - open - 1));
        const char *file = dext_path_join(dext_path_directory(path), named);
        if (!dext_is_file(file) && optional)
                return;
        read_file(settings, level, file, report, depth + 1);
}

static void read_line(struct dext_settings *settings, int level, char *line, const char *path, unsigned int number,
                      struct dext_report *report)
{
        /* The first '=' that stands in no condition. */
        size_t at = 0;
        for (int brackets = 0; line[at] && (brackets || line[at] != '='); at++)
                brackets += line[at] == '[' ? 1 : line[at] == ']' ? -1 : 0;
        if (!line[at]) {
                dext_note(report, "%s:%u: this is no setting, and left out: %.60s", path, number, line);
                return;
        }
        line[at] = '\0';
        char *name = trim(line), *value = trim(line + at + 1);
        if (dext_text_ends(value, ";"))
                value[strlen(value) - 1] = '\0';
        dext_settings_set(settings, level, name, value);
}

static void read_file(struct dext_settings *settings, int level, const char *path, struct dext_report *report, int depth)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        int r = amb_file_read(AT_FDCWD, path, FILE_BYTES, &bytes, &length);
        if (r < 0 || depth > INCLUDES_MAX) {
                dext_note(report, "%s: %s; its settings are left out", path, r < 0 ? strerror(-r) :
                          "too many files include one another");
                return;
        }
        unsigned int number = 0;
        for (char *rest = dext_copy(bytes, length), *line; (line = strsep(&rest, "\n"));) {
                char *comment = strstr(line, "//");
                number++;
                if (comment)
                        *comment = '\0';
                line = trim(line);
                if (strncmp(line, "#include", 8) == 0)
                        read_include(settings, level, line, path, report, depth);
                else if (*line)
                        read_line(settings, level, line, path, number, report);
        }
}

void dext_settings_read(struct dext_settings *settings, int level, const char *path, struct dext_report *report)
{
        read_file(settings, level, path, report, 0);
}

/* --- modifiers --- */

const char *dext_rfc1034_identifier(const char *text)
{
        char *copy = dext_copy(text, strlen(text));
        for (char *c = copy; *c; c++)
                if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-')
                        *c = '-';
        return copy;
}

const char *dext_c99_identifier(const char *text)
{
        char *copy = dext_format("%s%s", isdigit((unsigned char)text[0]) ? "_" : "", text);
        for (char *c = copy; *c; c++)
                if (!isalnum((unsigned char)*c))
                        *c = '_';
        return copy;
}

static const char *change_case(const char *text, int (*change)(int))
{
        char *copy = dext_copy(text, strlen(text));
        for (char *c = copy; *c; c++)
                *c = (char)change((unsigned char)*c);
        return copy;
}

static const char *lower(const char *text)
{
        return change_case(text, tolower);
}

static const char *upper(const char *text)
{
        return change_case(text, toupper);
}

static const char *suffix(const char *text)
{
        const char *name = dext_path_name(text), *dot = strrchr(name, '.');
        return dot && dot != name ? dot : "";
}

static const char *standard_path(const char *text)
{
        return text[0] == '/' ? dext_path_join("/", text) : text;
}

static const struct modifier {
        const char *name;
        const char *(*apply)(const char *text);
} modifiers[] = {
        { "rfc1034identifier", dext_rfc1034_identifier }, { "RFC1034Identifier", dext_rfc1034_identifier },
        { "c99extidentifier", dext_c99_identifier }, { "C99ExtIdentifier", dext_c99_identifier }, { "identifier",
                                                                                                    dext_c99_identifier },
        { "lower", lower }, { "upper", upper }, { "suffix", suffix }, { "file", dext_path_name }, { "base", dext_path_stem },
        { "dir", dext_path_directory }, { "quote", dext_shell_quote }, { "standardizepath", standard_path },
};

/* "lower", "default=x", ...: one of those behind the colons. Those that are not known change nothing. */
static const char *modify(const char *value, const char *modifier)
{
        if (strncmp(modifier, "default=", 8) == 0)
                return *value ? value : modifier + 8;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(modifiers); i++)
                if (strcmp(modifiers[i].name, modifier) == 0)
                        return modifiers[i].apply(value);
        return value;
}

/* --- expansion --- */

/* The one that closes what `text` begins with, a bracket; NULL: none does. */
static const char *find_close(const char *text)
{
        char open = text[0], close = open == '(' ? ')' : '}';
        int depth = 0;
        for (; *text; text++) {
                depth += *text == open ? 1 : *text == close ? -1 : 0;
                if (depth == 0)
                        return text;
        }
        return NULL;
}

static const char *value_of(const struct dext_settings *settings, const char *name, const struct dext_setting *inside,
                            struct dext_list *unknown, int depth)
{
        /* $(inherited), and a setting that names itself, mean what stands below. */
        bool inherited = inside && (strcmp(name, "inherited") == 0 || strcmp(name, inside->name) == 0);
        const struct dext_setting *setting = inherited ? find(inside->next, inside->name) : find(settings->first, name);
        if (setting)
                return expand(settings, setting->value, setting, unknown, depth + 1);
        if (!inherited && unknown)
                dext_list_add_new(unknown, name);
        return "";
}

/* What stands between the brackets: NAME[:modifier]..., and NAME may have variables in it. */
static const char *reference(const struct dext_settings *settings, const char *text, const struct dext_setting *inside,
                             struct dext_list *unknown, int depth)
{
        char *rest = dext_copy(text, strlen(text));
        char *colon = rest;
        for (int nested = 0; *colon && (nested || *colon != ':'); colon++)
                nested += *colon == '(' || *colon == '{' ? 1 : *colon == ')' || *colon == '}' ? -1 : 0;
        bool modified = *colon == ':', has_default = modified && strstr(colon + 1, "default=");
        *colon = '\0';
        const char *name = expand(settings, rest, inside, unknown, depth + 1);
        const char *value = value_of(settings, name, inside, has_default ? NULL : unknown, depth);
        if (!modified)
                return value;
        rest = (char *)expand(settings, colon + 1, inside, unknown, depth + 1);
        for (char *modifier; (modifier = strsep(&rest, ":"));)
                value = modify(value, modifier);
        return value;
}

static const char *expand(const struct dext_settings *settings, const char *text, const struct dext_setting *inside,
                          struct dext_list *unknown, int depth)
{
        struct dext_text whole = { 0 };
        if (!strchr(text, '$'))
                return text;
        if (depth > DEPTH_MAX || ++steps > STEPS_MAX)
                return "";
        while (*text && whole.length < VALUE_BYTES) {
                bool begins = text[0] == '$' && (text[1] == '(' || text[1] == '{');
                const char *close = begins ? find_close(text + 1) : NULL;
                if (!close) {
                        dext_text_put(&whole, text++, 1);
                        continue;
                }
                const char *value = reference(settings, dext_copy(text + 2, (size_t)(close - text - 2)), inside, unknown, depth);
                dext_text_put(&whole, value, strlen(value));
                text = close + 1;
        }
        return whole.data ? whole.data : "";
}

const char *dext_settings_expand(const struct dext_settings *settings, const char *text, struct dext_list *unknown)
{
        steps = 0;
        return expand(settings, text, NULL, unknown, 0);
}

const char *dext_settings_get(const struct dext_settings *settings, const char *name)
{
        const struct dext_setting *setting = find(settings->first, name);
        steps = 0;
        return setting ? expand(settings, setting->value, setting, NULL, 0) : NULL;
}

const char *dext_settings_text(const struct dext_settings *settings, const char *name)
{
        const char *value = dext_settings_get(settings, name);
        return value ? value : "";
}

bool dext_settings_true(const struct dext_settings *settings, const char *name, bool fallback)
{
        const char *value = dext_settings_get(settings, name);
        if (!value || !*value)
                return fallback;
        return strcasecmp(value, "YES") == 0 || strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;
}
