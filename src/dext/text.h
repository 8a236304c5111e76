/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strings, lists of strings and files for who makes bundles out of sources.
 *
 * Everything allocated here lives until dext_text_end(): a build makes thousands of small strings, knows nothing of when each was
 * last used, and ends. Where there is no memory the process says so and ends; nobody waits for it. One thread.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

void *dext_allocate(size_t size);                       /* zeroed */
void *dext_must(void *pointer);                         /* the pointer; NULL: there was no memory for what it should point at */
char *dext_format(const char *format, ...) AMB_PRINTF(1, 2);
char *dext_copy(const char *text, size_t length);
void dext_text_end(void);

/* --- a string that grows --- */
struct dext_text {
        char *data;                     /* NUL-terminated; NULL while empty */
        size_t length, room;
};
void dext_text_add(struct dext_text *text, const char *format, ...) AMB_PRINTF(2, 3);
void dext_text_put(struct dext_text *text, const char *bytes, size_t length);

/* --- a list of strings, in order; the strings are the arena's or live longer --- */
struct dext_list {
        const char **items;
        size_t count, room;
};
void dext_list_add(struct dext_list *list, const char *item);
bool dext_list_has(const struct dext_list *list, const char *item);
void dext_list_add_new(struct dext_list *list, const char *item);       /* unless it is there */
void dext_list_sort(struct dext_list *list);
/* As a build setting writes a list: words apart by blanks, with quotes and backslashes as in a shell. */
void dext_list_split(struct dext_list *list, const char *text);

/* --- paths; all results without "." and "..", without a slash at the end; nothing is looked up --- */
const char *dext_path_join(const char *directory, const char *path);    /* path alone if it is absolute */
const char *dext_path_directory(const char *path);
const char *dext_path_name(const char *path);                           /* behind the last slash */
const char *dext_path_stem(const char *path);                           /* that without its extension */
bool dext_path_below(const char *path, const char *directory);          /* or the same */
/* As seen from `directory` where that is shorter to read: "Driver/A.cpp"; else the path itself. */
const char *dext_path_seen(const char *path, const char *directory);
bool dext_text_ends(const char *text, const char *end);
bool dext_path_has_extension(const char *path, const char *const *extensions);      /* NULL ends them; without a dot */
/* The path, or, if nothing is there, one that differs in capitals alone and is there; NULL: nothing. */
const char *dext_path_any_case(const char *path);
bool dext_is_directory(const char *path);
bool dext_is_file(const char *path);
/* A link to a folder in `top`: who looks through `top` meets its files without it. (dext_directory_list leaves out loops.) */
bool dext_is_way_back(const char *path, const char *top);

/* --- files --- */
/* Makes it and those above it. 0 or -errno. */
int dext_directory_make(const char *path);
/* Not touched if it has these bytes already; never seen half written. 0 or -errno. */
int dext_file_write(const char *path, const char *bytes, size_t length);
/* The names in a directory, sorted, without those that begin with a dot. Empty if it cannot be read. */
void dext_directory_list(struct dext_list *names, const char *path);

/* For a command line that a shell reads. */
const char *dext_shell_quote(const char *text);

/* --- what is told to people --- */
enum { DEXT_FAILED = 1 };

/* What went wrong, in the order in which it was found: sentences without full stop. */
struct dext_report {
        struct dext_list errors;
        struct dext_list notes;         /* what was decided for the user, and what may not be meant */
};
/* Returns DEXT_FAILED. The same sentence is told once. */
int dext_fail(struct dext_report *report, const char *format, ...) AMB_PRINTF(2, 3);
void dext_note(struct dext_report *report, const char *format, ...) AMB_PRINTF(2, 3);
