/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * iig: translates interface files (.iig) into C++ for this runtime.
 *
 *      main.c          the command line
 *      text.c          strings, buffers, pieces of source text
 *      parse.c         the one door to libclang: a file becomes a model, or errors with file and line
 *      check.c         what may stand in an interface, and what each method is
 *      header.c        model -> the header
 *      body.c          model -> the implementation file
 *
 * What is generated, and why: docs/IIG.md. Everything a run allocates belongs to the arena (text.h) and goes at its end. One
 * thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iig/text.h"

/* Attributes, as bits; of a class, a method or a parameter. */
enum iig_attribute {
        IIG_KERNEL = 1 << 0,
        IIG_NATIVE = 1 << 1,            /* the class is written in C; its methods are Class_Method */
        IIG_LOCAL = 1 << 2,
        IIG_LOCALONLY = 1 << 3,
        IIG_LOCALHOST = 1 << 4,
        IIG_REMOTE = 1 << 5,
        IIG_REPLY = 1 << 6,
        IIG_TARGET = 1 << 7,
        IIG_TYPE = 1 << 8,              /* TYPE(Class::Method), QUEUENAME(name), EXTENDS(Class): with a value */
        IIG_QUEUENAME = 1 << 9,
        IIG_EXTENDS = 1 << 10,
        IIG_CNAME = 1 << 11,
};

struct iig_place {
        const char *file;
        unsigned int line;
};

enum iig_passing {
        IIG_VALUE,              /* number, structure: copied */
        IIG_OBJECT,             /* X *: by reference */
        IIG_OUT,                /* T *: one element, written back when the method succeeds */
        IIG_OUT_OBJECT,         /* X **: with a reference for the caller */
        IIG_STRING,             /* const char [N] */
        IIG_ARRAY,              /* const T [N] */
        IIG_OUT_ARRAY,          /* T [N] */
        IIG_OTHER,              /* only in methods that do not leave the process */
};

struct iig_parameter {
        const char *name;               /* "" for none */
        const char *declaration;        /* as written, without attributes and default value */
        const char *initializer;        /* NULL: none */
        const char *argument;           /* the same with arrays as pointers: what the _Args macro shows */
        const char *element;            /* of arrays and pointers: the element's type */
        const char *object;             /* class of objects */
        uint64_t bound;                 /* elements of an array */
        enum iig_passing passing;
        const char *wrong;              /* NULL, or why it cannot be passed to another process */
        const char *canonical;
        unsigned int attributes;
};

enum iig_kind {
        IIG_KIND_LOCAL,                 /* a plain C++ method */
        IIG_KIND_CALLBACK,              /* TYPE: actions call it */
        IIG_KIND_IMPLEMENTATION,        /* overrides a remote method */
        IIG_KIND_REMOTE,
};

struct iig_class;

struct iig_method {
        struct iig_place place;
        struct iig_class *owner;
        const char *name;
        const char *result;             /* as written */
        bool result_is_void, result_is_code, result_is_scalar;
        bool is_static, is_virtual, is_const, is_variadic;
        unsigned int attributes;
        const char *type;               /* of TYPE */
        const char *queue;              /* of QUEUENAME */
        const char *cname;              /* of AMB_CNAME */
        struct iig_parameter *parameters;
        size_t count;
        enum iig_kind kind;
        struct iig_method *overridden;  /* the method of the class that introduced it, or NULL */
        struct iig_method *callback;    /* what TYPE names */
};

struct iig_piece {
        size_t begin, end;
};

struct iig_class {
        struct iig_place place;
        const char *name;
        struct iig_class *base;         /* NULL for the root, OSObject */
        const char *base_name;
        unsigned int attributes;
        struct iig_method *methods;
        size_t count, capacity;
        struct iig_piece *enum_texts;   /* here: enumerations inside of the class, without the semicolon */
        size_t enums;
        bool here;                      /* of the file that is translated */
        size_t begin, end;              /* here: its text, to behind the semicolon */
};

struct iig_file {
        const char *path;
        struct iig_source source;
        struct iig_class **classes;     /* all that were seen, bases first */
        size_t count, capacity;
        unsigned int errors;
};

struct iig_options {
        const char *definition, *header, *implementation, *framework;
        const char *const *arguments;   /* for clang */
        int count;
};

/* One line on stderr, "FILE:LINE: error: ..."; counted. */
void iig_error(struct iig_file *file, struct iig_place place, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The file's source is loaded. What is wrong has been said when it returns: look at file->errors. */
void iig_parse(struct iig_file *file, const struct iig_options *options);
void iig_check(struct iig_file *file);

void iig_write_header(struct iig_text *out, const struct iig_file *file);
void iig_write_body(struct iig_text *out, const struct iig_file *file, const struct iig_options *options);

/* --- of a model --- */

struct iig_class *iig_find_class(const struct iig_file *file, const char *name);
/* In the class or the nearest base that has one of this name. */
struct iig_method *iig_find_method(struct iig_class *class, const char *name);
/* Same name, parameter types and constness. */
bool iig_same_signature(const struct iig_method *a, const struct iig_method *b);
bool iig_is_native(const struct iig_class *class);
/* The method that an id is named after: the one that introduced it. */
const struct iig_method *iig_introducer(const struct iig_method *method);
/* Does C reach the method by an id? False for plain C++ methods. */
bool iig_has_id(const struct iig_method *method);
uint64_t iig_id(const struct iig_method *method);
/* Is there a Method_Impl? Not for what only actions call in a NATIVE class, and what has no id. */
bool iig_has_impl(const struct iig_method *method);
/* "a, b", the declarations "int a, const char * b", or with `arguments` the _Args form; lead: what stands before, with a comma. */
const char *iig_names(const struct iig_method *method, const char *lead);
const char *iig_declarations(const struct iig_method *method, const char *lead, bool arguments);
/* The local virtual methods that the class inherits, each once, nearest declaration, in order of introduction. */
size_t iig_inherited_virtuals(const struct iig_class *class, const struct iig_method **ret_methods, size_t most);
/* The comment "@iig implementation ... @iig end", and what it encloses; NULL: none. */
const char *iig_note(const struct iig_file *file, const char **ret_begin, const char **ret_end);
bool iig_has_target(const struct iig_method *method);
/* --- of methods of NATIVE classes --- */
/* The C function that the method calls, and whether there is one: not for what only actions call, nor for overrides. */
const char *iig_cname(const struct iig_method *method);
bool iig_has_function(const struct iig_method *method);
/* Is the method nothing but a call of that function? Such are defined in the class. */
bool iig_is_direct(const struct iig_method *method);
