/* SPDX-License-Identifier: Apache-2.0 */
#include "dext/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct piece {
        struct piece *next;
        max_align_t data[];
};

static struct piece *pieces;

static _Noreturn void out_of_memory(void)
{
        static const char said[] = "ambidext: out of memory\n";
        ssize_t written = write(STDERR_FILENO, said, sizeof(said) - 1);
        _exit(written < 0 ? 1 : 1);
}

void *dext_must(void *pointer)
{
        if (!pointer)
                out_of_memory();
        return pointer;
}

void *dext_allocate(size_t size)
{
        struct piece *piece = dext_must(calloc(1, sizeof(*piece) + size));
        piece->next = pieces;
        pieces = piece;
        return piece->data;
}

void dext_text_end(void)
{
        while (pieces) {
                struct piece *next = pieces->next;
                free(pieces);
                pieces = next;
        }
}

char *dext_copy(const char *text, size_t length)
{
        char *copy = dext_allocate(length + 1);
        memcpy(copy, text, length);
        return copy;
}

static char *AMB_PRINTF(1, 0) format_list(const char *format, va_list arguments)
{
        char *text = NULL;
        int length = vasprintf(&text, format, arguments);
        if (length < 0)
                out_of_memory();
        char *copy = dext_copy(text, (size_t)length);
        free(text);
        return copy;
}

char *dext_format(const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        char *text = format_list(format, arguments);
        va_end(arguments);
        return text;
}

/* --- texts and lists --- */

void dext_text_put(struct dext_text *text, const char *bytes, size_t length)
{
        if (text->length + length + 1 > text->room) {
                size_t room = 2 * (text->length + length + 1);
                char *data = dext_allocate(room);
                if (text->length)
                        memcpy(data, text->data, text->length);
                text->data = data;
                text->room = room;
        }
        memcpy(text->data + text->length, bytes, length);
        text->length += length;
        text->data[text->length] = '\0';
}

void dext_text_add(struct dext_text *text, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        const char *more = format_list(format, arguments);
        va_end(arguments);
        dext_text_put(text, more, strlen(more));
}

void dext_list_add(struct dext_list *list, const char *item)
{
        if (list->count == list->room) {
                size_t room = 2 * list->room + 8;
                const char **items = dext_allocate(room * sizeof(*items));
                if (list->count)
                        memcpy(items, list->items, list->count * sizeof(*items));
                list->items = items;
                list->room = room;
        }
        list->items[list->count++] = item;
}

bool dext_list_has(const struct dext_list *list, const char *item)
{
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i], item) == 0)
                        return true;
        return false;
}

void dext_list_add_new(struct dext_list *list, const char *item)
{
        if (!dext_list_has(list, item))
                dext_list_add(list, item);
}

static int compare(const void *one, const void *other)
{
        return strcmp(*(const char *const *)one, *(const char *const *)other);
}

void dext_list_sort(struct dext_list *list)
{
        if (list->count > 1)
                qsort(list->items, list->count, sizeof(*list->items), compare);
}

void dext_list_split(struct dext_list *list, const char *text)
{
        while (*text) {
                struct dext_text word = { 0 };
                char quote = '\0';

                while (*text && strchr(" \t\n", *text))
                        text++;
                if (!*text)
                        return;
                for (; *text && (quote || !strchr(" \t\n", *text)); text++) {
                        if (*text == '\\' && quote != '\'' && text[1])
                                dext_text_put(&word, ++text, 1);
                        else if (quote ? *text == quote : *text == '"' || *text == '\'')
                                quote = quote ? '\0' : *text;
                        else
                                dext_text_put(&word, text, 1);
                }
                dext_list_add(list, word.data ? word.data : "");
        }
}

/* --- paths --- */

static void append_component(struct dext_text *path, const char *component, size_t length)
{
        if (length == 0 || (length == 1 && component[0] == '.'))
                return;
        if (length == 2 && memcmp(component, "..", 2) == 0) {
                while (path->length && path->data[--path->length] != '/')
                        ;
                if (path->data)
                        path->data[path->length] = '\0';
                return;
        }
        dext_text_put(path, "/", 1);
        dext_text_put(path, component, length);
}

static void append_path(struct dext_text *whole, const char *path)
{
        while (*path) {
                size_t length = strcspn(path, "/");
                append_component(whole, path, length);
                path += length + (path[length] == '/');
        }
}

const char *dext_path_join(const char *directory, const char *path)
{
        struct dext_text whole = { 0 };
        if (path[0] != '/')
                append_path(&whole, directory);
        append_path(&whole, path);
        return whole.length ? whole.data : "/";
}

const char *dext_path_directory(const char *path)
{
        const char *slash = strrchr(path, '/');
        return !slash ? "." : slash == path ? "/" : dext_copy(path, (size_t)(slash - path));
}

const char *dext_path_name(const char *path)
{
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

const char *dext_path_stem(const char *path)
{
        const char *name = dext_path_name(path), *dot = strrchr(name, '.');
        return dot && dot != name ? dext_copy(name, (size_t)(dot - name)) : name;
}

bool dext_path_below(const char *path, const char *directory)
{
        size_t length = strlen(directory);
        if (strcmp(directory, "/") == 0)
                return path[0] == '/';
        return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

const char *dext_path_seen(const char *path, const char *directory)
{
        if (!dext_path_below(path, directory) || strlen(path) == strlen(directory))
                return path;
        return path + strlen(directory) + (strcmp(directory, "/") != 0);
}

bool dext_text_ends(const char *text, const char *end)
{
        size_t n = strlen(text), m = strlen(end);
        return n >= m && strcmp(text + n - m, end) == 0;
}

bool dext_path_has_extension(const char *path, const char *const *extensions)
{
        const char *dot = strrchr(dext_path_name(path), '.');
        for (; dot && *extensions; extensions++)
                if (strcmp(dot + 1, *extensions) == 0)
                        return true;
        return false;
}

bool dext_is_directory(const char *path)
{
        struct stat status;
        return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool dext_is_file(const char *path)
{
        struct stat status;
        return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

bool dext_is_way_back(const char *path, const char *top)
{
        struct stat status;
        if (lstat(path, &status) < 0 || !S_ISLNK(status.st_mode))
                return false;
        AMB_FREE char *real = realpath(path, NULL), *whole = realpath(top, NULL);
        return real && whole && dext_path_below(real, whole);
}

/* Macs do not look at capitals. */
const char *dext_path_any_case(const char *path)
{
        if (access(path, F_OK) == 0)
                return path;
        if (strcmp(path, "/") == 0 || !strchr(path, '/'))
                return NULL;
        const char *folder = dext_path_any_case(dext_path_directory(path)), *name = dext_path_name(path);
        struct dext_list names = { 0 };
        if (!folder)
                return NULL;
        dext_directory_list(&names, folder);
        for (size_t i = 0; i < names.count; i++)
                if (strcasecmp(names.items[i], name) == 0)
                        return dext_path_join(folder, names.items[i]);
        return NULL;
}

/* --- files --- */

int dext_directory_make(const char *path)
{
        int r = mkdir(path, 0777) == 0 ? 0 : amb_errno();
        if (r == -ENOENT && strcmp(path, "/") != 0 && strchr(path, '/')) {
                r = dext_directory_make(dext_path_directory(path));
                if (r == 0 && mkdir(path, 0777) < 0)
                        r = amb_errno();
        }
        return r < 0 && dext_is_directory(path) ? 0 : r;
}

static bool has_bytes(const char *path, const char *bytes, size_t length)
{
        AMB_FREE char *old = NULL;
        size_t old_length;
        return amb_file_read(AT_FDCWD, path, length, &old, &old_length) == 0 && old_length == length &&
               memcmp(old, bytes, length) == 0;
}

int dext_file_write(const char *path, const char *bytes, size_t length)
{
        if (has_bytes(path, bytes, length))
                return 0;
        const char *beside = dext_format("%s.%ld", path, (long)getpid());
        int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
                return amb_errno();
        int r = amb_file_write(fd, bytes, length);
        if (close(fd) < 0 && r == 0)
                r = amb_errno();
        if (r == 0 && rename(beside, path) < 0)
                r = amb_errno();
        if (r < 0)
                unlink(beside);
        return r;
}

/* A link to a folder that the link lies in: what is below it has been seen, and has no end. */
static bool is_loop(const char *directory, const char *name)
{
        const char *path = dext_path_join(directory, name);
        struct stat what;
        if (lstat(path, &what) < 0 || !S_ISLNK(what.st_mode))
                return false;
        AMB_FREE char *from = realpath(directory, NULL), *to = realpath(path, NULL);
        return from && to && dext_path_below(from, to);
}

/* Whoever reads it might wait for ever. */
static bool is_special(const struct dirent *entry)
{
        return entry->d_type == DT_FIFO || entry->d_type == DT_SOCK || entry->d_type == DT_CHR || entry->d_type == DT_BLK;
}

void dext_directory_list(struct dext_list *names, const char *path)
{
        DIR *directory = opendir(path);
        if (!directory)
                return;
        for (struct dirent *entry; (entry = readdir(directory));)
                if (entry->d_name[0] != '.' && !is_special(entry) && !is_loop(path, entry->d_name))
                        dext_list_add(names, dext_copy(entry->d_name, strlen(entry->d_name)));
        closedir(directory);
        dext_list_sort(names);
}

const char *dext_shell_quote(const char *text)
{
        struct dext_text quoted = { 0 };
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=./,:@%";
        if (*text && text[strspn(text, plain)] == '\0')
                return text;
        dext_text_put(&quoted, "'", 1);
        for (; *text; text++) {
                if (*text == '\'')
                        dext_text_put(&quoted, "'\\''", 4);
                else
                        dext_text_put(&quoted, text, 1);
        }
        dext_text_put(&quoted, "'", 1);
        return quoted.data;
}

/* --- what is told to people --- */

int dext_fail(struct dext_report *report, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        dext_list_add_new(&report->errors, format_list(format, arguments));
        va_end(arguments);
        return DEXT_FAILED;
}

void dext_note(struct dext_report *report, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        dext_list_add_new(&report->notes, format_list(format, arguments));
        va_end(arguments);
}
