/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header: the author's text, in place, with `#include`s of interfaces made includes of headers, and after each class its C++
 * declaration. What is generated for a class stands in docs/IIG.md, section 3.
 */
#include <ctype.h>
#include <string.h>

#include "iig/iig.h"

/* A line of a macro's body. */
#define LINE(...) (iig_add(out, " \\\n"), iig_add(out, __VA_ARGS__))

#define SUPERMETHOD "OSDispatchMethod supermethod = NULL"

/* --- the author's text --- */

static bool is_directive(const char **line, const char *end, const char *word)
{
        const char *at = *line;
        size_t length = strlen(word);

        while (at < end && isspace((unsigned char)*at))
                at++;
        if (at == end || *at++ != '#')
                return false;
        while (at < end && isspace((unsigned char)*at))
                at++;
        if ((size_t)(end - at) < length || memcmp(at, word, length) != 0)
                return false;
        *line = at + length;
        return true;
}

/* #include <A/B.iig> and "B.iig" become .h; other lines stay. */
static void copy_line(struct iig_text *out, const char *line, const char *end)
{
        const char *at = line, *name = NULL;

        if (is_directive(&at, end, "include") || is_directive(&at, end, "import"))
                name = memmem(at, (size_t)(end - at), ".iig", 4);
        if (!name || (name[4] != '>' && name[4] != '"')) {
                iig_add_bytes(out, line, (size_t)(end - line));
                return;
        }
        iig_add_bytes(out, line, (size_t)(name - line));
        iig_add(out, ".h%c /* .iig */", name[4]);
        iig_add_bytes(out, name + 5, (size_t)(end - name - 5));
}

static void copy_text(struct iig_text *out, const char *at, const char *end)
{
        while (at < end) {
                const char *line = memchr(at, '\n', (size_t)(end - at));
                line = line ? line + 1 : end;
                copy_line(out, at, line);
                at = line;
        }
}

/* Without the comment that is meant for the implementation. */
static void copy_outside(struct iig_text *out, const struct iig_file *file, size_t from, size_t to)
{
        const char *text = file->source.data, *note = iig_note(file, NULL, NULL), *close = note ? strstr(note, "*/") : NULL;

        if (close && note >= text + from && close < text + to) {
                copy_text(out, text + from, note);
                from = (size_t)(close + 2 - text);
        }
        copy_text(out, text + from, text + to);
}

const char *iig_note(const struct iig_file *file, const char **ret_begin, const char **ret_end)
{
        static const char first[] = "@iig implementation", last[] = "@iig end";
        const char *at = file->source.data;

        while ((at = strstr(at, "/*"))) {
                const char *close = strstr(at, "*/"), *begin = at + 2, *end;
                begin += strspn(begin, " \t\r\n*");
                end = close ? memmem(begin, (size_t)(close - begin), last, sizeof(last) - 1) : NULL;
                if (end && strncmp(begin, first, sizeof(first) - 1) == 0) {
                        if (ret_begin)
                                *ret_begin = begin + sizeof(first) - 1;
                        if (ret_end)
                                *ret_end = end;
                        return at;
                }
                at = close ? close + 2 : begin;
        }
        return NULL;
}

/* --- macros of a class --- */

static void write_ids(struct iig_text *out, const struct iig_class *class)
{
        bool any = false;

        if (iig_is_native(class))
                return;         /* the C API says them */
        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                if (m->kind != IIG_KIND_REMOTE && m->kind != IIG_KIND_CALLBACK)
                        continue;
                iig_add(out, "#define %s_%s_ID 0x%016llxull\n", class->name, m->name, (unsigned long long)iig_id(m));
                any = true;
        }
        if (any)
                iig_add(out, "\n");
}

static void write_args(struct iig_text *out, const struct iig_class *class)
{
        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                if (m->kind == IIG_KIND_LOCAL || iig_is_direct(m))
                        continue;
                iig_add(out, "#define %s_%s_Args", class->name, m->name);
                for (size_t k = 0; k < m->count; k++)
                        LINE("        %s%s", m->parameters[k].argument, k + 1 < m->count ? "," : "");
                iig_add(out, "\n\n");
        }
}

static const char *local_declaration(const struct iig_method *m)
{
        struct iig_text text = { 0 };

        iig_add(&text, "%s %s(", m->result, m->name);
        for (size_t i = 0; i < m->count; i++)
                iig_add(&text, "%s%s%s%s", i > 0 ? ", " : "", m->parameters[i].declaration,
                        m->parameters[i].initializer ? " = " : "",
                        m->parameters[i].initializer ? m->parameters[i].initializer : "");
        if (m->is_variadic)
                iig_add(&text, "%s...", m->count > 0 ? ", " : "");
        iig_add(&text, ")%s", m->is_const ? " const" : "");
        return text.data;
}

/* A method of a NATIVE class that is one call of the C function, in the class: blocks and arrays go through as they are. */
static void write_direct(struct iig_text *out, const struct iig_method *m)
{
        bool plain = m->kind == IIG_KIND_LOCAL || m->is_static;
        const char *more = plain ? "" : m->count > 0 ? ", OSDispatchMethod = NULL" : "OSDispatchMethod = NULL";
        const char *declaration = local_declaration(m), *close = strrchr(declaration, ')');

        LINE("    %s%.*s%s%s { return %s(%s); }", m->is_static ? "static " : "", (int)(close - declaration), declaration, more,
             close,
             iig_cname(m), iig_names(m, m->is_static ? "" : "this"));
}

static void write_public_method(struct iig_text *out, const struct iig_method *m)
{
        if (iig_is_direct(m)) {
                write_direct(out, m);
        } else if (m->kind == IIG_KIND_LOCAL && !m->is_virtual) {
                LINE("    %s%s;", m->is_static ? "static " : "", local_declaration(m));
        } else if (m->kind == IIG_KIND_CALLBACK) {
                LINE("    kern_return_t CreateAction%s(size_t referenceSize, OSAction ** action);", m->name);
        } else if (m->kind == IIG_KIND_REMOTE && m->is_static) {
                LINE("    static %s %s(%s);", m->result, m->name, iig_declarations(m, "", false));
        } else if (m->kind == IIG_KIND_REMOTE) {
                LINE("    %s %s(%s%s" SUPERMETHOD ")%s;", m->result, m->name, iig_declarations(m, "", false),
                     m->count > 0 ? ", " : "",
                     m->is_const ? " const" : "");
        }
}

static void write_methods(struct iig_text *out, const struct iig_class *class)
{
        const char *c = class->name;

        iig_add(out, "#define %s_Methods", c);
        LINE("public:");
        LINE("    static kern_return_t _Dispatch(OSMetaClassBase * self, const IORPC rpc);");
        for (size_t i = 0; i < class->count; i++)
                write_public_method(out, &class->methods[i]);
        LINE("protected:");
        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                if (m->kind != IIG_KIND_LOCAL && iig_has_impl(m) && !iig_is_direct(m))
                        LINE("    %s%s %s_Impl(%s_%s_Args)%s;", m->is_static ? "static " : "", m->result, m->name, c, m->name,
                             m->is_const ? " const" : "");
        }
        LINE("public:");
        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                if (m->kind != IIG_KIND_REMOTE || !iig_has_id(m) || iig_is_direct(m))
                        continue;
                if (m->is_static) {
                        LINE("    typedef %s (*%s_Handler)(%s_%s_Args);", m->result, m->name, c, m->name);
                        LINE("    static kern_return_t %s_Invoke(const IORPC rpc, %s_Handler handler);", m->name, m->name);
                        continue;
                }
                if (m->count > 0)
                        LINE("    typedef %s (*%s_Handler)(OSMetaClassBase * target, %s_%s_Args);", m->result, m->name, c, m->name);
                else
                        LINE("    typedef %s (*%s_Handler)(OSMetaClassBase * target);", m->result, m->name);
                LINE("    static kern_return_t %s_Invoke(const IORPC rpc, OSMetaClassBase * target, %s_Handler handler);", m->name,
                     m->name);
        }
        iig_add(out, "\n\n#define %s_KernelMethods\n\n", c);
}

static void write_virtuals(struct iig_text *out, const struct iig_class *class)
{
        const struct iig_method *inherited[256];
        size_t count = iig_is_native(class) && class->base ? iig_inherited_virtuals(class->base, inherited, 256) : 0;

        iig_add(out, "#define %s_VirtualMethods", class->name);
        LINE("public:");
        /* What C overrides of these, the interface need not say: each native class leads to its own. */
        for (size_t i = 0; i < count; i++)
                LINE("    virtual %s APPLE_KEXT_OVERRIDE;", local_declaration(inherited[i]));
        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                if (m->kind != IIG_KIND_LOCAL || !m->is_virtual || (iig_is_native(class) && m->overridden))
                        continue;
                LINE("    virtual %s%s;", local_declaration(m), m->overridden ? " APPLE_KEXT_OVERRIDE" : "");
        }
        iig_add(out, "\n\n");
}

/* --- the class --- */

static void write_enums(struct iig_text *out, const struct iig_file *file, const struct iig_class *class)
{
        for (size_t i = 0; i < class->enums; i++) {
                const struct iig_piece *piece = &class->enum_texts[i];
                iig_add(out, "    ");
                iig_add_bytes(out, file->source.data + piece->begin, piece->end - piece->begin);
                iig_add(out, ";\n");
        }
}

/* The C functions that the class's methods call. */
static void write_functions(struct iig_text *out, const struct iig_class *class)
{
        bool any = false;

        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                const char *self = m->is_static ? "" : iig_format("%s%s * self", m->is_const ? "const " : "", class->name);
                if (!iig_has_function(m))
                        continue;
                if (!any)
                        iig_add(out, "class %s;\nextern \"C\" {\n", class->name);
                any = true;
                iig_add(out, "%s %s(%s);\n", m->result, iig_cname(m), iig_declarations(m, self, false));
        }
        if (any)
                iig_add(out, "}\n");
}

static void write_class(struct iig_text *out, const struct iig_file *file, const struct iig_class *class)
{
        const char *c = class->name;

        iig_add(out, "extern \"C\" const OSMetaClass g%sMetaClass;\n", c);
        write_functions(out, class);
        iig_add(out, "class %sMetaClass;\nstruct %s_IVars;\nstruct %s_LocalIVars;\n\n", c, c, c);
        iig_add(out, "class %s : public %s\n{\n    friend class %sMetaClass;\n\npublic:\n", c, class->base_name, c);
        write_enums(out, file, class);
        if (class->base) {
                iig_add(out, "#ifdef %s_DECLARE_IVARS\n    %s_DECLARE_IVARS\n#else\n", c, c);
                iig_add(out, "    union\n    {\n        %s_IVars * ivars;\n        %s_LocalIVars * lvars;\n    };\n#endif\n", c, c);
        }
        iig_add(out, "    static const OSMetaClass * sGetMetaClass() { return &g%sMetaClass; }\n", c);
        iig_add(out, "    using super = %s;\n\n    %s_Methods\n    %s_VirtualMethods\n};\n", class->base_name, c, c);
}

static void write_generated(struct iig_text *out, const struct iig_file *file, const struct iig_class *class)
{
        if (out->length > 0 && out->data[out->length - 1] != '\n')
                iig_add(out, "\n");
        iig_add(out, "#ifdef __DOCUMENTATION__\n\n");
        iig_add_bytes(out, file->source.data + class->begin, class->end - class->begin);
        iig_add(out, "\n\n#else /* __DOCUMENTATION__ */\n\n/* generated for class %s */\n\n", class->name);
        write_ids(out, class);
        write_args(out, class);
        write_methods(out, class);
        write_virtuals(out, class);
        write_class(out, file, class);
        iig_add(out, "\n#endif /* !__DOCUMENTATION__ */");
}

void iig_write_header(struct iig_text *out, const struct iig_file *file)
{
        const char *slash = strrchr(file->path, '/');
        size_t at = 0;

        iig_add(out, "/* iig: generated from %s; changes will be lost. */\n#pragma once\n#include <ambidext/skin.h>\n\n",
                slash ? slash + 1 : file->path);
        for (size_t i = 0; i < file->count; i++) {
                const struct iig_class *class = file->classes[i];
                if (!class->here)
                        continue;
                copy_outside(out, file, at, class->begin);
                write_generated(out, file, class);
                at = class->end;
        }
        copy_outside(out, file, at, file->source.length);
}
