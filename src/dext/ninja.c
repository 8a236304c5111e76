/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.ninja. All paths are absolute. iig leaves a header alone that would not change (restat), so a change of an interface that
 * changes no class compiles little.
 */
#include <stdio.h>

#include "dext/dext.h"
#include "dext/target.h"

/* A path in a build line. */
static const char *path_text(const char *path)
{
        struct dext_text text = { 0 };
        for (; *path; path++) {
                if (strchr("$ :", *path))
                        dext_text_put(&text, "$", 1);
                dext_text_put(&text, path, 1);
        }
        return text.data ? text.data : "";
}

/* Arguments in a command: for the shell, and within ninja's file. */
static const char *arguments_text(const struct dext_list *list)
{
        struct dext_text text = { 0 };
        for (size_t i = 0; i < list->count; i++) {
                dext_text_put(&text, " ", i != 0);
                for (const char *c = dext_shell_quote(list->items[i]); *c; c++) {
                        dext_text_put(&text, "$", *c == '$');
                        dext_text_put(&text, c, 1);
                }
        }
        return text.data ? text.data : "";
}

static const char *argument_text(const char *argument)
{
        struct dext_list one = { &argument, 1, 1 };
        return arguments_text(&one);
}

static void write_rules(struct dext_text *out, const struct dext_tools *tools)
{
        const char *color = isatty(STDERR_FILENO) ? " -fcolor-diagnostics" : "";
        dext_text_add(out, "# Made by `ambidext build`, anew each time.\nninja_required_version = 1.5\n\n");
        /* A class that leaves out "public" is built elsewhere; iig refuses it unless it is told. */
        dext_text_add(out, "rule iig\n  command = %s --def $in --header $header --impl $impl --framework-name $framework -- "
                           "-fno-access-control $flags\n"
                           "  description = iig $in\n  restat = 1\n\n", argument_text(tools->iig));
        dext_text_add(out, "rule cxx\n  command = %s%s -MD -MF $out.d $flags -c $in -o $out\n  description = c++ $in\n"
                           "  depfile = $out.d\n  deps = gcc\n\n", argument_text(tools->clangxx), color);
        dext_text_add(out, "rule cc\n  command = %s%s -MD -MF $out.d $flags -c $in -o $out\n  description = cc $in\n"
                           "  depfile = $out.d\n  deps = gcc\n\n", argument_text(tools->clang), color);
        dext_text_add(out, "rule link\n  command = %s%s -o $out $in $flags\n  description = link $out\n\n",
                      argument_text(tools->clangxx), color);
}

/* Where X.iig becomes DERIVED/NAME/X.h and DERIVED/NAME/X.iig.cpp. */
static const char *derived_path(const struct dext_job *job, const char *interface, const char *end)
{
        return dext_format("%s/%s/%s%s", job->derived, job->target->product, dext_path_stem(interface), end);
}

static void write_interfaces(struct dext_text *out, const struct dext_job *job, const struct dext_tools *tools)
{
        const struct dext_list *interfaces = &job->target->interfaces;
        struct dext_list flags = { 0 };

        dext_list_add(&flags, job->flags.cxx.items[0]);         /* the standard */
        dext_list_add(&flags, dext_format("-I%s/interfaces/%s", job->derived, job->target->product));
        dext_list_add(&flags, dext_format("-I%s/interfaces", job->derived));
        for (size_t i = 0; i < job->flags.common.count; i++)
                dext_list_add(&flags, job->flags.common.items[i]);
        for (size_t i = 0; i < interfaces->count; i++) {
                const char *header = derived_path(job, interfaces->items[i], ".h");
                const char *body = derived_path(job, interfaces->items[i], ".iig.cpp");
                dext_text_add(out, "build %s", path_text(header));
                dext_text_add(out, " %s: iig %s | %s", path_text(body), path_text(interfaces->items[i]), path_text(tools->iig));
                for (size_t k = 0; k < interfaces->count; k++)
                        if (k != i)
                                dext_text_add(out, " %s", path_text(interfaces->items[k]));
                dext_text_add(out, "\n  header = %s\n", argument_text(header));
                dext_text_add(out, "  impl = %s\n", argument_text(body));
                dext_text_add(out, "  framework = %s\n  flags = %s\n", argument_text(job->target->product), arguments_text(&flags));
        }
        dext_text_add(out, "build %s: phony", path_text(dext_format("%s/headers", job->objects)));
        for (size_t i = 0; i < interfaces->count; i++)
                dext_text_add(out, " %s", path_text(derived_path(job, interfaces->items[i], ".h")));
        dext_text_add(out, "\n\n");
}

/* Readable, and different for each source: its path below the project with other characters for slashes. */
static const char *object_path(const struct dext_job *job, const char *source, size_t index)
{
        char *name = dext_format("%s", dext_path_seen(source, job->target->root));
        for (char *c = name; *c; c++)
                if (*c == '/')
                        *c = '_';
        size_t length = strlen(name);
        return dext_format("%s/%zu-%s.o", job->objects, index, length > 100 ? name + length - 100 : name);
}

static void write_source(struct dext_text *out, const struct dext_job *job, const char *source, size_t index,
                         struct dext_list *objects)
{
        static const char *const c[] = { "c", NULL };
        bool plain = dext_path_has_extension(source, c);
        const char *object = object_path(job, source, index);

        dext_list_add(objects, object);
        dext_text_add(out, "build %s", path_text(object));
        dext_text_add(out, ": %s %s", plain ? "cc" : "cxx", path_text(source));
        dext_text_add(out, " || %s\n", path_text(dext_format("%s/headers", job->objects)));
        dext_text_add(out, "  flags = %s\n", arguments_text(plain ? &job->flags.c : &job->flags.cxx));
}

static void write_job(struct dext_text *out, const struct dext_job *job, const struct dext_tools *tools)
{
        const struct dext_target *target = job->target;
        struct dext_list objects = { 0 };
        size_t index = 0;

        dext_text_add(out, "# %s\n", target->product);
        write_interfaces(out, job, tools);
        for (size_t i = 0; i < target->interfaces.count; i++)
                write_source(out, job, derived_path(job, target->interfaces.items[i], ".iig.cpp"), index++, &objects);
        for (size_t i = 0; i < target->sources.count; i++)
                write_source(out, job, target->sources.items[i], index++, &objects);
        for (size_t i = 0; i < job->more.count; i++)
                write_source(out, job, job->more.items[i], index++, &objects);
        if (job->flags.check.count) {
                dext_text_add(out, "\nbuild %s: link", path_text(dext_format("%s/complete", job->objects)));
                for (size_t i = 0; i < objects.count; i++)
                        dext_text_add(out, " %s", path_text(objects.items[i]));
                dext_text_add(out, "\n  flags = %s\ndefault %s\n", arguments_text(&job->flags.check),
                              path_text(dext_format("%s/complete", job->objects)));
        }
        dext_text_add(out, "\nbuild %s: link", path_text(job->product));
        for (size_t i = 0; i < objects.count; i++)
                dext_text_add(out, " %s", path_text(objects.items[i]));
        dext_text_add(out, "\n  flags = %s\ndefault %s\n\n", arguments_text(&job->flags.link), path_text(job->product));
}

/* --- what ninja's language has no way to say --- */

static const char in_paths[] = "\n\r|", in_arguments[] = "\n\r";

/* Projects are not believed: behind a line's end the rest of a word would be a statement of its own, of what else to run. */
static int check_word(const char *word, const char *refused, struct dext_report *report)
{
        const char *found = strpbrk(word, refused);
        if (!found)
                return 0;
        char *shown = dext_copy(word, strlen(word));
        for (char *c = shown; *c; c++)
                if (*c == '\n' || *c == '\r')
                        *c = '?';
        return dext_fail(report, "\"%s\": there is %s in this %s, which ninja cannot take; %s", shown,
                         *found == '|' ? "a '|'" : "a line break (shown as '?')", refused == in_paths ? "path" : "argument",
                         refused == in_paths ? "rename the file or the folder" : "look for it in the build settings");
}

static int check_words(const struct dext_list *words, const char *refused, struct dext_report *report)
{
        int status = 0;
        for (size_t i = 0; i < words->count; i++)
                if (check_word(words->items[i], refused, report) != 0)
                        status = DEXT_FAILED;
        return status;
}

static int check_job(const struct dext_job *job, struct dext_report *report)
{
        const struct dext_list *paths[] = { &job->target->interfaces, &job->target->sources, &job->more };
        const struct dext_list *arguments[] = { &job->flags.c, &job->flags.cxx, &job->flags.link, &job->flags.check };
        const char *ours[] = { job->derived, job->objects, job->product };
        const struct dext_list made = { ours, AMB_ARRAY_LENGTH(ours), AMB_ARRAY_LENGTH(ours) };
        int status = check_words(&made, in_paths, report);

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(paths); i++)
                status |= check_words(paths[i], in_paths, report);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(arguments) && status == 0; i++)
                status |= check_words(arguments[i], in_arguments, report);
        return status;
}

int dext_ninja_write(const char *file, const struct dext_job *jobs, size_t count, const struct dext_tools *tools,
                     struct dext_report *report)
{
        const char *programs[] = { tools->iig, tools->clang, tools->clangxx };
        const struct dext_list ours = { programs, AMB_ARRAY_LENGTH(programs), AMB_ARRAY_LENGTH(programs) };
        struct dext_text out = { 0 };
        int status = check_words(&ours, in_paths, report);

        for (size_t i = 0; i < count; i++)
                status |= check_job(&jobs[i], report);
        if (status != 0)
                return DEXT_FAILED;
        write_rules(&out, tools);
        for (size_t i = 0; i < count; i++)
                write_job(&out, &jobs[i], tools);
        int r = dext_file_write(file, out.data, out.length);
        return r < 0 ? dext_fail(report, "%s: %s", file, strerror(-r)) : 0;
}
