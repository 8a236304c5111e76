/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A folder of DriverKit sources becomes a driver bundle: what `ambidext build` does.
 *
 *      text.c          strings, lists, paths, files, what is told
 *      node.c          what project files are made of
 *      pbxproj.c       the old style of property lists
 *      yml.c           YAML
 *      settings.c      build settings, levels, $(...), .xcconfig
 *      project.c       an Xcode project's driver extensions
 *      xcodegen.c      those of what XcodeGen would make an Xcode project of
 *      folder.c        a folder without a project
 *      target.c        what both make
 *      plan.c          which targets a request means
 *      plist.c         where Info.plist and entitlements come from
 *      info.c          what becomes of them
 *      scan.c          what the sources include, before anything is compiled
 *      template.c      NAME, where there is only a NAME.in
 *      tools.c         clang, ninja, iig, our headers and libraries; other programs run
 *      flags.c         the compilers' arguments
 *      ninja.c         build.ninja
 *      elf.c           the classes of a shared object
 *      fuzz.c          what a fuzzer has besides the driver
 *      build.c         all of it, in order
 *
 * The plan is made anew each time, from the files that are there; ninja does what is out of date, and knows of included headers.
 * All that is written is below the output directory: NAME.dext, compile_commands.json, and ambidext.build with the rest. A bundle
 * is changed only when all of it has been built and checked.
 *
 * One build at a time in one output directory: others wait.
 */
#include "dext/text.h"

struct dext_request {
        const char *directory;          /* absolute; or a project: NAME.xcodeproj, NAME.xcworkspace, NAME.yml */
        const char *output;             /* absolute; NULL: DIRECTORY/build */
        const char *target;             /* NULL: all */
        const char *configuration;      /* NULL: the project's default */
        const char *cxx_standard;       /* NULL: the project's, gnu++20 without one */
        const char *c_standard;         /* NULL: the project's, gnu17 without one */
        const char *optimization;       /* "0", "2", ...; NULL: 2 */
        struct dext_list defines;       /* NAME or NAME=VALUE */
        struct dext_list includes;      /* directories, absolute */
        struct dext_list settings;      /* NAME=VALUE */
        struct dext_list sanitizers;    /* "address", "undefined", "thread" */
        bool fuzz;                      /* NAME-fuzz, a program of libFuzzer, instead of NAME.dext */
        const char *jobs;               /* NULL: as many as ninja thinks right */
        bool verbose;
};

struct dext_built {
        const char *target, *identifier;
        const char *path;               /* of the bundle, or of the fuzzer */
};

struct dext_result {
        struct dext_built *built;
        size_t count;
        const char *compile_commands;   /* NULL: could not be written */
};

/* 0; DEXT_FAILED: report->errors says it, and what compilers said stands on standard error. */
int dext_build(const struct dext_request *request, struct dext_result *result, struct dext_report *report);

/* --- plan.c --- */
struct dext_target;
/* The targets that are meant, with all settings; at least one. 0; DEXT_FAILED: said. */
int dext_plan(struct dext_target **ret_targets, const struct dext_request *request, struct dext_report *report);

/* --- tools.c --- */
struct dext_tools {
        const char *clang, *clangxx, *ninja, *iig;      /* absolute */
        struct dext_list headers;       /* directories of the public headers */
        struct dext_list libraries;     /* arguments for linking */
        const char *prefix_header;      /* <ambidext/dext.h>; NULL: not there */
        struct dext_list client_libraries;      /* likewise, for programs that call drivers */
        const char *harness;            /* the folder of what a fuzzer is made of besides; may be NULL */
        const char *sanitizer;          /* dext_tools_sanitizer()'s, where one is wanted */
};
/* Where the pkg-config files are of the Ambidext whose `ambidext` is `self`; NULL where pkg-config looks by itself. */
const char *dext_pc_directory(const char *self);
int dext_tools_find(struct dext_tools *tools, const char *self, struct dext_report *report);
/* What a program says; NULL: it failed. Looked for in PATH unless it is a path. */
const char *dext_tools_output(const char *const *arguments);
/* The first line of that; NULL also if it is empty. */
const char *dext_tools_ask(const char *const *arguments);
/*
 * The run-time library of the sanitizers, as a shared object that can be preloaded into a host; NULL: said.
 */
const char *dext_tools_sanitizer(const struct dext_tools *tools, const struct dext_list *sanitizers, struct dext_report *report);
/* Whether there is what fuzzers are linked with. 0; DEXT_FAILED: said. */
int dext_tools_check_fuzzer(const struct dext_tools *tools, struct dext_report *report);
/* Runs ninja and passes on what the compilers say, to standard error. 0; DEXT_FAILED (said by them, or told). */
int dext_tools_run_ninja(const struct dext_tools *tools, const char *directory, const struct dext_request *request,
                         struct dext_report *report);
int dext_tools_write_commands(const struct dext_tools *tools, const char *directory, const char *file);

/* --- scan.c --- */
/*
 * Families that are not here, and headers of DriverKit that are not: told, each once, with the first place. Headers of which there
 * is only a template are made, in the directory `made`.
 */
int dext_scan(const struct dext_target *target, const struct dext_tools *tools, const struct dext_list *searched, const char *made,
              struct dext_report *report);

/* --- flags.c --- */
struct dext_flags {
        struct dext_list common;        /* macros, include paths: for iig, C and C++ */
        struct dext_list cxx, c;        /* each with `common` */
        struct dext_list link;
        struct dext_list check;         /* of a link that is made to see what is missing, where `link` cannot tell; or empty */
        struct dext_list searched;      /* directories of -I and the like, for who looks for headers */
};
void dext_flags_make(struct dext_flags *flags, const struct dext_target *target, const struct dext_request *request,
                     const struct dext_tools *tools, const char *derived, struct dext_report *report);
/* -fsanitize=...; NULL: none. */
const char *dext_flags_sanitize(const struct dext_list *sanitizers);

/* --- ninja.c --- */
struct dext_job {
        const struct dext_target *target;
        struct dext_flags flags;
        const char *derived;            /* where generated headers go: DERIVED/NAME/X.h, DERIVED/templates/X.h; and, while iig
                                         * works, DERIVED/interfaces/NAME/X.h */
        const char *objects;            /* a directory */
        const char *product;            /* the shared object, or the program */
        struct dext_list more;          /* further C sources, ours */
};
int dext_ninja_write(const char *file, const struct dext_job *jobs, size_t count, const struct dext_tools *tools,
                     struct dext_report *report);

/* --- fuzz.c --- */
struct dext_info;
/* The harness, and a source with the text of Info.plist, which is written into job->objects. 0; DEXT_FAILED: said. */
int dext_fuzz_add(struct dext_job *job, const struct dext_info *info, const struct dext_tools *tools, struct dext_report *report);

/* --- elf.c --- */
/* NAME of each defined gNAMEMetaClass. 0 or -errno; -ENOEXEC: no ELF shared object of this machine. */
int dext_elf_classes(struct dext_list *names, const char *path);
