/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at #include lines before anything is compiled, because what a compiler says of a missing family is a maze. Follows the
 * project's own headers. Knows comments and #if 0, and no other condition.
 */
#include <ctype.h>
#include <fcntl.h>

#include "dext/dext.h"
#include "dext/target.h"

enum { FILE_BYTES = 16 << 20, FILES_MAX = 20000 };

static const struct family {
        const char *framework, *name;
} families[] = {
        { "USBDriverKit", "USB" }, { "PCIDriverKit", "PCI" }, { "AudioDriverKit", "audio" },
        { "NetworkingDriverKit", "networking" },
        { "SCSIControllerDriverKit", "SCSI controller" }, { "SCSIPeripheralsDriverKit", "SCSI peripherals" },
        { "BlockStorageDeviceDriverKit", "block storage" }, { "SerialDriverKit", "serial" }, { "USBSerialDriverKit", "USB serial" },
        { "MIDIDriverKit", "MIDI" }, { "VideoDriverKit", "video" }, { "HIDDriverKit", "HID" }, { "CameraDriverKit", "camera" },
};

struct scan {
        const struct dext_target *target;
        const char *made;
        const struct dext_tools *tools;
        const struct dext_list *searched;
        struct dext_list visited;               /* also what is yet to be visited, in order */
        struct dext_list told;                  /* families and headers */
        struct dext_list missing;               /* <names> that are nowhere, in whatever capitals */
        struct dext_report *report;
        int status;
};

static const char *find_in(const struct dext_list *directories, const char *name)
{
        for (size_t i = 0; i < directories->count; i++) {
                const char *path = dext_path_join(directories->items[i], name);
                if (dext_is_file(path))
                        return path;
        }
        return NULL;
}

static const struct family *family_of(const char *name)
{
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(families); i++) {
                size_t length = strlen(families[i].framework);
                if (strncmp(name, families[i].framework, length) == 0 && name[length] == '/')
                        return &families[i];
        }
        return NULL;
}

/* X.h is there where X.iig is: it is made of it. */
static bool is_here(const struct scan *scan, const char *name)
{
        return find_in(&scan->tools->headers, name) || find_in(scan->searched, name);
}

static void judge(struct scan *scan, const char *file, unsigned int line, const char *name)
{
        const struct family *family = family_of(name);
        const char *what = family ? family->framework : name;

        if (!family && strncmp(name, "DriverKit/", 10) != 0)
                return;
        if (is_here(scan, name) || dext_list_has(&scan->told, what))
                return;
        dext_list_add(&scan->told, what);
        scan->status = DEXT_FAILED;
        if (family && find_in(&scan->tools->headers, dext_format("%s/%s.h", family->framework, family->framework)))
                dext_fail(scan->report, "%s:%u: <%s> is a part of the %s family that Ambidext does not have", file, line, name,
                          family->name);
        else if (family)
                dext_fail(scan->report, "%s:%u: <%s> is of the %s family, which Ambidext does not have: drivers of such hardware "
                          "cannot be "
                                        "built here", file, line, name, family->name);
        else
                dext_fail(scan->report, "%s:%u: Ambidext has no <%s>", file, line, name);
}

/* The file that is included, or NULL. */
static const char *find_included(const struct scan *scan, const char *file, const char *name, bool quoted)
{
        const char *path = quoted ? dext_path_join(dext_path_directory(file), name) : NULL;
        return path && dext_is_file(path) ? path : find_in(scan->searched, name);
}

static const char *make_of_template(struct scan *scan, const char *file, const char *name, bool quoted)
{
        const char *template = find_included(scan, file, dext_format("%s.in", name), quoted);
        const char *path = dext_path_join(scan->made, name);
        if (!template || !dext_path_below(path, scan->made))
                return NULL;
        const char *text = dext_template_fill(scan->target, template, scan->report);
        int r = text ? dext_directory_make(dext_path_directory(path)) : 0;
        if (text && r == 0)
                r = dext_file_write(path, text, strlen(text));
        if (r < 0)
                dext_fail(scan->report, "%s: %s", path, strerror(-r));
        if (!text || r < 0)
                scan->status = DEXT_FAILED;
        return text ? path : NULL;
}

/* A name in other capitals: of a header that is there, or of one that iig will make. */
static const char *find_any_case(const struct scan *scan, const char *file, const char *name, bool quoted)
{
        const struct dext_list *interfaces = &scan->target->interfaces;
        const char *path = quoted ? dext_path_any_case(dext_path_join(dext_path_directory(file), name)) : NULL;
        for (size_t i = 0; !path && i < interfaces->count; i++) {
                const char *header = dext_format("%s.h", dext_path_stem(interfaces->items[i]));
                if (strcmp(header, name) == 0)
                        return NULL;
                if (strcasecmp(header, name) == 0)
                        return dext_format("%s/%s/%s", dext_path_directory(scan->made), scan->target->product, header);
        }
        for (size_t i = 0; !path && i < scan->searched->count; i++)
                path = dext_path_any_case(dext_path_join(scan->searched->items[i], name));
        return path;
}

/* Under the name that is written: a link to it. Names of the system's headers and ours are let alone. */
static const char *link_any_case(struct scan *scan, const char *file, const char *name, bool quoted)
{
        const char *link = dext_path_join(scan->made, name), *path;
        /* <vector> and its like are looked for a thousand times. */
        if (!quoted && (!strchr(name, '.') || dext_list_has(&scan->missing, name)))
                return NULL;
        if (find_in(&scan->tools->headers, name) || access(dext_format("/usr/include/%s", name), F_OK) == 0 ||
            !dext_path_below(link, scan->made))
                return NULL;
        path = find_any_case(scan, file, name, quoted);
        if (!path) {
                if (!quoted)
                        dext_list_add(&scan->missing, name);
                return NULL;
        }
        unlink(link);
        int r = dext_directory_make(dext_path_directory(link));
        if (r == 0 && symlink(path, link) < 0)
                r = amb_errno();
        if (r < 0)
                return NULL;
        dext_note(scan->report, "%s includes %s, which is called %s: capitals matter here", file, name, dext_path_name(path));
        return link;
}

static void follow(struct scan *scan, const char *file, const char *name, bool quoted)
{
        const char *path = find_included(scan, file, name, quoted);
        if (!path)
                path = make_of_template(scan, file, name, quoted);
        if (!path)
                path = link_any_case(scan, file, name, quoted);
        if (path && scan->visited.count < FILES_MAX)
                dext_list_add_new(&scan->visited, path);
}

/* Behind the '#' of a line: the included name in *ret_name, or NULL. */
static const char *included_name(const char *text, bool *ret_quoted)
{
        while (isblank((unsigned char)*text))
                text++;
        if (strncmp(text, "include", 7) == 0)
                text += 7;
        else if (strncmp(text, "import", 6) == 0)
                text += 6;
        else
                return NULL;
        while (isblank((unsigned char)*text))
                text++;
        if (*text != '"' && *text != '<')
                return NULL;
        *ret_quoted = *text == '"';
        size_t length = strcspn(text + 1, *ret_quoted ? "\"" : ">");
        return text[1 + length] ? dext_copy(text + 1, length) : NULL;
}

struct place {
        bool comment;                   /* inside one, at the line's beginning */
        unsigned int off;               /* how many #if deep, since an #if 0 */
};

/* Blanks comments of a line; a string that looks like one is none of an #include line's troubles. */
static void blank_comments(struct place *place, char *line)
{
        for (char *c = line; *c; c++) {
                if (place->comment) {
                        if (c[0] == '*' && c[1] == '/') {
                                place->comment = false;
                                *c++ = ' ';
                        }
                        *c = ' ';
                } else if (c[0] == '/' && c[1] == '*') {
                        place->comment = true;
                        *c++ = ' ';
                        *c = ' ';
                } else if (c[0] == '/' && c[1] == '/') {
                        *c = '\0';
                        return;
                }
        }
}

static bool is_word(const char *text, const char *word)
{
        size_t length = strlen(word);
        return strncmp(text, word, length) == 0 && !isalnum((unsigned char)text[length]) && text[length] != '_';
}

/* A directive's text behind '#': does it leave us outside of what is compiled? */
static bool is_off(struct place *place, const char *text)
{
        while (isblank((unsigned char)*text))
                text++;
        if (place->off) {
                if (strncmp(text, "if", 2) == 0)
                        place->off++;
                else if (is_word(text, "endif") || (place->off == 1 && (is_word(text, "else") || is_word(text, "elif"))))
                        place->off--;
                return true;
        }
        if (!is_word(text, "if"))
                return false;
        text += 2;
        while (isblank((unsigned char)*text))
                text++;
        place->off = is_word(text, "0");
        return place->off;
}

static void scan_file(struct scan *scan, const char *file)
{
        AMB_FREE char *bytes = NULL;
        size_t length;
        struct place place = { 0 };
        unsigned int number = 0;

        if (amb_file_read(AT_FDCWD, file, FILE_BYTES, &bytes, &length) < 0)
                return;
        for (char *rest = bytes, *line; (line = strsep(&rest, "\n"));) {
                bool quoted;
                number++;
                blank_comments(&place, line);
                while (isblank((unsigned char)*line))
                        line++;
                if (*line != '#' || is_off(&place, line + 1))
                        continue;
                const char *name = included_name(line + 1, &quoted);
                if (!name)
                        continue;
                judge(scan, file, number, name);
                follow(scan, file, name, quoted);
        }
}

int dext_scan(const struct dext_target *target, const struct dext_tools *tools, const struct dext_list *searched, const char *made,
              struct dext_report *report)
{
        struct scan scan = { .target = target, .tools = tools, .searched = searched, .made = made, .report = report };
        const struct dext_list *lists[] = { &target->interfaces, &target->sources };

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lists); i++)
                for (size_t k = 0; k < lists[i]->count; k++)
                        dext_list_add_new(&scan.visited, lists[i]->items[k]);
        for (size_t i = 0; i < scan.visited.count; i++)
                scan_file(&scan, scan.visited.items[i]);
        return scan.status;
}
