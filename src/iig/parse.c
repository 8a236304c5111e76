/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to libclang. It answers what only a compiler knows: which classes there are, what a type is, which method overrides
 * which. How things are spelled is taken from the source text, so that the output says what the author wrote.
 *
 * Attributes are macros while an interface is translated; clang shows them as annotations "iig:NAME" or "iig:NAME=VALUE".
 */
#include <clang-c/Index.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iig/iig.h"

#define ROOT "OSMetaClassBase"

static const struct {
        const char *name;
        unsigned int bit;
        bool valued;
} attributes[] = {
        { "KERNEL", IIG_KERNEL, false },
        { "NATIVE", IIG_NATIVE, false },
        { "LOCAL", IIG_LOCAL, false },
        { "LOCALONLY", IIG_LOCALONLY, false },
        { "LOCALHOST", IIG_LOCALHOST, false },
        { "REMOTE", IIG_REMOTE, false },
        { "REPLY", IIG_REPLY, false },
        { "INVOKEREPLY", IIG_REPLY, false },
        { "TARGET", IIG_TARGET, false },
        { "PORTMAKESEND", 0, false },
        { "PORTCOPYSEND", 0, false },
        { "IIG_SERIALIZABLE", 0, false },
        { "IIG_CONCRETE", 0, false },
        { "TYPE", IIG_TYPE, true },
        { "QUEUENAME", IIG_QUEUENAME, true },
        { "EXTENDS", IIG_EXTENDS, true },
        { "AMB_CNAME", IIG_CNAME, true },
};
#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

struct loaded {
        struct loaded *next;
        const char *path;
        struct iig_source source;
        bool patched;
};

struct parse {
        struct iig_file *file;
        CXTranslationUnit unit;
        struct loaded *loaded;
        struct iig_class *class;        /* whose members are visited */
        bool access_ignored;            /* -fno-access-control: a class may leave out "public" */
};

static const char *taken(CXString string)
{
        const char *text = clang_getCString(string);
        const char *copy = text ? iig_copy(text, strlen(text)) : "";

        clang_disposeString(string);
        return copy;
}

static const char *spelled(CXType type)
{
        return taken(clang_getTypeSpelling(type));
}

static struct iig_place place_of(CXSourceLocation location)
{
        CXString name;
        unsigned int line;

        clang_getPresumedLocation(location, &name, &line, NULL);
        return (struct iig_place){ taken(name), line };
}

/* The file's text and where in it the location is; NULL: in no file. */
static const struct iig_source *source_at(struct parse *p, CXSourceLocation location, size_t *ret_offset)
{
        CXFile file;
        unsigned int offset;
        struct loaded *l;
        const char *path;

        clang_getExpansionLocation(location, &file, NULL, NULL, &offset);
        if (!file)
                return NULL;
        *ret_offset = offset;
        path = taken(clang_getFileName(file));
        for (l = p->loaded; l; l = l->next)
                if (strcmp(l->path, path) == 0)
                        return &l->source;
        l = iig_alloc(sizeof(*l));
        if (iig_source_load(&l->source, path) < 0)
                return NULL;
        l->path = path;
        l->next = p->loaded;
        p->loaded = l;
        return &l->source;
}

/* --- attributes --- */

struct found {
        unsigned int bits;
        const char *values[ATTRIBUTES];
};

static enum CXChildVisitResult visit_attribute(CXCursor cursor, CXCursor parent, CXClientData data)
{
        struct found *found = data;
        const char *text;

        if (clang_getCursorKind(cursor) != CXCursor_AnnotateAttr)
                return CXChildVisit_Continue;
        text = taken(clang_getCursorSpelling(cursor));
        if (strncmp(text, "iig:", 4) != 0)
                return CXChildVisit_Continue;
        for (size_t i = 0; i < ATTRIBUTES; i++) {
                size_t length = strlen(attributes[i].name);
                if (strncmp(text + 4, attributes[i].name, length) != 0 || (text[4 + length] != '\0' && text[4 + length] != '='))
                        continue;
                found->bits |= attributes[i].bit;
                if (attributes[i].valued)
                        found->values[i] = text + 4 + length + 1;
        }
        return CXChildVisit_Continue;
}

static struct found attributes_of(CXCursor cursor)
{
        struct found found = { 0 };

        clang_visitChildren(cursor, visit_attribute, &found);
        return found;
}

static const char *value_of(const struct found *found, unsigned int bit)
{
        for (size_t i = 0; i < ATTRIBUTES; i++)
                if (attributes[i].bit == bit)
                        return found->values[i];
        return NULL;
}

static bool is_attribute(const struct iig_source *source, const struct iig_token *token, bool *ret_valued)
{
        for (size_t i = 0; i < ATTRIBUTES; i++)
                if (iig_token_is(source, token, attributes[i].name)) {
                        *ret_valued = attributes[i].valued;
                        return true;
                }
        *ret_valued = true;
        return iig_token_is(source, token, "__attribute__");
}

/* --- spelling --- */

struct tokens {
        const struct iig_source *source;
        struct iig_token list[256];
        size_t count;
};

static bool is(const struct tokens *t, size_t at, const char *text)
{
        return at < t->count && iig_token_is(t->source, &t->list[at], text);
}

/* Behind the bracket that matches the one at `at`. */
static size_t behind_bracket(const struct tokens *t, size_t at)
{
        int depth = 0;

        for (; at < t->count; at++) {
                depth += is(t, at, "(") || is(t, at, "[") || is(t, at, "{");
                depth -= is(t, at, ")") || is(t, at, "]") || is(t, at, "}");
                if (depth == 0)
                        return at + 1;
        }
        return at;
}

/* As written, runs of white space as one blank, attributes left out. */
static const char *join(const struct tokens *t, size_t from, size_t to)
{
        struct iig_text text = { 0 };
        bool valued;

        iig_add_bytes(&text, "", 0);
        while (from < to) {
                const struct iig_token *token = &t->list[from];
                if (is_attribute(t->source, token, &valued)) {
                        from++;
                        if (valued && is(t, from, "("))
                                from = behind_bracket(t, from);
                        continue;
                }
                iig_add(&text, "%s%.*s", token->spaced && text.length > 0 ? " " : "", (int)(token->end - token->begin),
                        t->source->data + token->begin);
                from++;
        }
        return text.data;
}

/* The declaration from `begin` to its semicolon or body. */
static bool tokens_of(struct tokens *t, const struct iig_source *source, size_t begin)
{
        size_t offset = begin;
        struct iig_token token;
        int depth = 0;

        t->source = source;
        t->count = 0;
        while (t->count < sizeof(t->list) / sizeof(t->list[0]) && iig_token_next(source, &offset, source->length, &token)) {
                if (depth == 0 && (iig_token_is(source, &token, ";") || iig_token_is(source, &token, "{")))
                        return true;
                depth += iig_token_is(source, &token, "(") - iig_token_is(source, &token, ")");
                t->list[t->count++] = token;
        }
        return false;
}

static const char *result_of(const struct tokens *t, size_t name)
{
        static const char *const leading[] = { "virtual", "static", "inline", "constexpr", "explicit", "extern" };
        struct tokens kept = { .source = t->source };

        for (size_t i = 0; i < name; i++) {
                bool drop = false;
                for (size_t k = 0; k < sizeof(leading) / sizeof(leading[0]); k++)
                        drop |= is(t, i, leading[k]);
                if (!drop)
                        kept.list[kept.count++] = t->list[i];
        }
        return join(&kept, 0, kept.count);
}

/* One parameter's tokens: taken apart into declaration and default value. */
static void spell_parameter(struct iig_parameter *parameter, const struct tokens *t, size_t from, size_t to)
{
        size_t equals = from;
        int depth = 0;

        for (; equals < to; equals++) {
                if (depth == 0 && is(t, equals, "="))
                        break;
                depth += is(t, equals, "(") || is(t, equals, "[") || is(t, equals, "<");
                depth -= is(t, equals, ")") || is(t, equals, "]") || is(t, equals, ">");
        }
        parameter->declaration = join(t, from, equals);
        if (equals < to)
                parameter->initializer = join(t, equals + 1, to);
}

static void spell_parameters(struct iig_method *method, const struct tokens *t, size_t open)
{
        size_t at = open + 1, from = at, index = 0;
        int depth = 0;

        for (; at < t->count && index < method->count; at++) {
                if (depth == 0 && (is(t, at, ",") || is(t, at, ")"))) {
                        spell_parameter(&method->parameters[index++], t, from, at);
                        from = at + 1;
                        continue;
                }
                depth += is(t, at, "(") || is(t, at, "[") || is(t, at, "<") || is(t, at, "{");
                depth -= is(t, at, ")") || is(t, at, "]") || is(t, at, ">") || is(t, at, "}");
        }
}

static bool spell_method(struct parse *p, struct iig_method *method, CXCursor cursor)
{
        CXSourceLocation start = clang_getRangeStart(clang_getCursorExtent(cursor));
        size_t begin, name_at, name;
        const struct iig_source *source = source_at(p, start, &begin);
        struct tokens *t = iig_alloc(sizeof(*t));

        if (!source || source_at(p, clang_getCursorLocation(cursor), &name_at) != source || !tokens_of(t, source, begin))
                return false;
        for (name = 0; name < t->count && t->list[name].begin < name_at;)
                name++;
        if (!is(t, name, method->name) || !is(t, name + 1, "("))
                return false;
        method->result = result_of(t, name);
        spell_parameters(method, t, name + 1);
        return true;
}

/* --- types --- */

/* Does the class come from OSMetaClassBase? Also when only its name is known. */
static bool is_object_class(CXCursor declaration);

static enum CXChildVisitResult visit_base(CXCursor cursor, CXCursor parent, CXClientData data)
{
        if (clang_getCursorKind(cursor) == CXCursor_CXXBaseSpecifier &&
            is_object_class(clang_getTypeDeclaration(clang_getCursorType(cursor))))
                *(bool *)data = true;
        return CXChildVisit_Continue;
}

static bool is_object_class(CXCursor declaration)
{
        CXCursor definition = clang_getCursorDefinition(declaration);
        bool from_root = false;

        if (clang_getCursorKind(declaration) != CXCursor_ClassDecl)
                return false;
        if (clang_Cursor_isNull(definition) || strcmp(taken(clang_getCursorSpelling(definition)), ROOT) == 0)
                return true;
        clang_visitChildren(definition, visit_base, &from_root);
        return from_root;
}

static const char *object_class(CXType pointee)
{
        CXCursor declaration = clang_getTypeDeclaration(clang_getCanonicalType(pointee));

        return is_object_class(declaration) ? taken(clang_getCursorSpelling(declaration)) : NULL;
}

static bool is_character(CXType type)
{
        CXType canonical = clang_getCanonicalType(type);

        return canonical.kind == CXType_Char_S || canonical.kind == CXType_Char_U;
}

/* A number, an enumeration, a truth value. */
static bool is_scalar(CXType type)
{
        CXType canonical = clang_getCanonicalType(type);

        return (canonical.kind >= CXType_Bool && canonical.kind <= CXType_LongDouble) || canonical.kind == CXType_Enum ||
               canonical.kind == CXType_Float16 || canonical.kind == CXType_Half;
}

/* One that is known, so that it can be copied. */
static bool is_structure(CXType type)
{
        enum CXCursorKind kind = clang_getCursorKind(clang_getTypeDeclaration(clang_getCanonicalType(type)));

        return clang_getCanonicalType(type).kind == CXType_Record && (kind == CXCursor_StructDecl || kind == CXCursor_UnionDecl) &&
               clang_Type_getSizeOf(type) >= 0;
}

static const char *without_const(const char *type)
{
        return strncmp(type, "const ", 6) == 0 ? type + 6 : type;
}

/* The array behind typedefs, with the element as it is spelled. */
static CXType array_of(CXType type)
{
        while (type.kind != CXType_ConstantArray && clang_getCanonicalType(type).kind == CXType_ConstantArray) {
                CXType inner = type.kind == CXType_Elaborated ? clang_Type_getNamedType(type)
                                                              : clang_getTypedefDeclUnderlyingType(clang_getTypeDeclaration(type));
                if (inner.kind == CXType_Invalid)
                        break;
                type = inner;
        }
        return type;
}

static void pass_array(struct iig_parameter *parameter, CXType type)
{
        CXType canonical = clang_getArrayElementType(clang_getCanonicalType(type));
        CXType element = clang_getArrayElementType(array_of(type));
        /* "const" may stand at the element, at a typedef of it, or at one of the array. */
        bool fixed = clang_isConstQualifiedType(canonical) || clang_isConstQualifiedType(element) ||
                     clang_isConstQualifiedType(type);

        parameter->element = without_const(spelled(element));
        /* How a parameter list sees it, for comparisons. */
        parameter->canonical = iig_format("%s%s *", fixed ? "const " : "", without_const(spelled(canonical)));
        parameter->bound = (uint64_t)clang_getArraySize(clang_getCanonicalType(type));
        parameter->argument = iig_format("%s%s * %s", fixed ? "const " : "", parameter->element, parameter->name);
        if (fixed && is_character(canonical))
                parameter->passing = IIG_STRING;
        else
                parameter->passing = fixed ? IIG_ARRAY : IIG_OUT_ARRAY;
        if (!is_scalar(canonical) && !is_structure(canonical))
                parameter->wrong = "an array of pointers or objects";
}

static void pass_pointer(struct iig_parameter *parameter, CXType type)
{
        CXType pointee = clang_getPointeeType(type), canonical = clang_getCanonicalType(pointee);

        parameter->element = spelled(pointee);
        if ((parameter->object = object_class(pointee))) {
                parameter->passing = IIG_OBJECT;
        } else if (canonical.kind == CXType_Pointer && (parameter->object = object_class(clang_getPointeeType(canonical)))) {
                parameter->passing = IIG_OUT_OBJECT;
        } else if (!clang_isConstQualifiedType(canonical) && (is_scalar(pointee) || is_structure(pointee))) {
                parameter->passing = IIG_OUT;
        } else {
                parameter->wrong = "a raw pointer";
        }
}

static void pass(struct iig_parameter *parameter, CXType type)
{
        CXType canonical = clang_getCanonicalType(type);

        parameter->canonical = spelled(canonical);
        parameter->passing = IIG_OTHER;
        if (canonical.kind == CXType_ConstantArray || canonical.kind == CXType_IncompleteArray) {
                if (canonical.kind == CXType_ConstantArray)
                        pass_array(parameter, type);
                else
                        parameter->wrong = "an array of unknown length";
        } else if (canonical.kind == CXType_Pointer) {
                pass_pointer(parameter, clang_getPointeeType(type).kind == CXType_Invalid ? canonical : type);
        } else if (is_scalar(canonical) || is_structure(canonical)) {
                parameter->passing = IIG_VALUE;
        } else if (canonical.kind == CXType_LValueReference || canonical.kind == CXType_RValueReference) {
                parameter->wrong = "a reference";
        } else {
                parameter->wrong = canonical.kind == CXType_BlockPointer ? "a block" : "a C++ object";
        }
}

/* --- methods and classes --- */

static void read_parameter(struct iig_parameter *parameter, CXCursor cursor)
{
        parameter->name = taken(clang_getCursorSpelling(cursor));
        parameter->attributes = attributes_of(cursor).bits;
        pass(parameter, clang_getCursorType(cursor));
}

static void read_result(struct iig_method *method, CXType result)
{
        CXType canonical = clang_getCanonicalType(result);

        method->result_is_void = canonical.kind == CXType_Void;
        method->result_is_code = canonical.kind == CXType_Int;
        method->result_is_scalar = is_scalar(canonical);
}

static struct iig_method *method_new(struct iig_class *class)
{
        if (class->count == class->capacity) {
                struct iig_method *grown = iig_alloc(2 * (class->capacity + 8) * sizeof(*grown));
                if (class->count > 0)
                        memcpy(grown, class->methods, class->count * sizeof(*grown));
                class->methods = grown;
                class->capacity = 2 * (class->capacity + 8);
        }
        return &class->methods[class->count++];
}

static void read_method(struct parse *p, CXCursor cursor)
{
        struct found found = attributes_of(cursor);
        struct iig_method *method = method_new(p->class);

        method->place = place_of(clang_getCursorLocation(cursor));
        method->owner = p->class;
        method->name = taken(clang_getCursorSpelling(cursor));
        method->attributes = found.bits;
        method->type = value_of(&found, IIG_TYPE);
        method->queue = value_of(&found, IIG_QUEUENAME);
        method->cname = value_of(&found, IIG_CNAME);
        method->is_static = clang_CXXMethod_isStatic(cursor);
        method->is_virtual = clang_CXXMethod_isVirtual(cursor);
        method->is_const = clang_CXXMethod_isConst(cursor);
        method->is_variadic = clang_Cursor_isVariadic(cursor);
        method->count = (size_t)clang_Cursor_getNumArguments(cursor);
        method->parameters = iig_alloc(method->count * sizeof(*method->parameters) + 1);
        read_result(method, clang_getCursorResultType(cursor));
        for (size_t i = 0; i < method->count; i++)
                read_parameter(&method->parameters[i], clang_Cursor_getArgument(cursor, (unsigned int)i));
        if (!spell_method(p, method, cursor))
                iig_error(p->file, method->place, "%s::%s: the declaration must be written out, not made by a macro",
                          p->class->name, method->name);
        for (size_t i = 0; i < method->count; i++)
                if (!method->parameters[i].argument)
                        method->parameters[i].argument = method->parameters[i].declaration;
        if (p->class->here && clang_isCursorDefinition(cursor))
                iig_error(p->file, method->place, "%s::%s has a body; an interface only declares", p->class->name, method->name);
}

/* What an interface class cannot hold. */
static const char *forbidden_member(enum CXCursorKind kind)
{
        switch (kind) {
        case CXCursor_FieldDecl: return "a data member: state belongs into the ivars structure";
        case CXCursor_VarDecl: return "a static data member";
        case CXCursor_FunctionTemplate: return "a template";
        case CXCursor_ClassTemplate: return "a template";
        case CXCursor_Constructor: return "a constructor: use init";
        case CXCursor_Destructor: return "a destructor: use free";
        case CXCursor_ConversionFunction: return "an operator";
        case CXCursor_ClassDecl:
        case CXCursor_StructDecl:
        case CXCursor_UnionDecl: return "a nested class";
        case CXCursor_TypedefDecl:
        case CXCursor_TypeAliasDecl: return "a type definition: write it before the class";
        case CXCursor_FriendDecl: return "a friend";
        default: return NULL;
        }
}

static void read_enum(struct parse *p, CXCursor cursor)
{
        struct iig_class *class = p->class;
        CXSourceRange range = clang_getCursorExtent(cursor);
        struct iig_piece *grown = iig_alloc((class->enums + 1) * sizeof(*grown));

        if (class->enums > 0)
                memcpy(grown, class->enum_texts, class->enums * sizeof(*grown));
        class->enum_texts = grown;
        if (source_at(p, clang_getRangeStart(range), &grown[class->enums].begin) &&
            source_at(p, clang_getRangeEnd(range), &grown[class->enums].end))
                class->enums++;
}

static enum CXChildVisitResult visit_member(CXCursor cursor, CXCursor parent, CXClientData data)
{
        struct parse *p = data;
        enum CXCursorKind kind = clang_getCursorKind(cursor);
        const char *what = forbidden_member(kind);

        if (kind == CXCursor_CXXMethod && strncmp(taken(clang_getCursorSpelling(cursor)), "operator", 8) == 0)
                what = "an operator";
        if (what && p->class->here)
                iig_error(p->file, place_of(clang_getCursorLocation(cursor)), "class %s has %s", p->class->name, what);
        else if (kind == CXCursor_CXXMethod)
                read_method(p, cursor);
        else if (kind == CXCursor_EnumDecl && p->class->here)
                read_enum(p, cursor);
        return CXChildVisit_Continue;
}

struct bases {
        unsigned int count;
        CXCursor first;
};

static enum CXChildVisitResult collect_base(CXCursor cursor, CXCursor parent, CXClientData data)
{
        struct bases *bases = data;

        if (clang_getCursorKind(cursor) == CXCursor_CXXBaseSpecifier && bases->count++ == 0)
                bases->first = cursor;
        return CXChildVisit_Continue;
}

static void read_base(struct parse *p, struct iig_class *class, CXCursor cursor)
{
        struct bases bases = { 0 };

        clang_visitChildren(cursor, collect_base, &bases);
        class->base_name = taken(clang_getCursorSpelling(clang_getTypeDeclaration(clang_getCursorType(bases.first))));
        class->base = iig_find_class(p->file, class->base_name);
        if (!class->here)
                return;
        if (bases.count != 1)
                iig_error(p->file, class->place, "class %s has %u bases; it may have one", class->name, bases.count);
        if (clang_getCXXAccessSpecifier(bases.first) != CX_CXXPublic && !p->access_ignored)
                iig_error(p->file, class->place, "class %s must derive from %s publicly: write \": public %s\"", class->name,
                          class->base_name, class->base_name);
}

/* From "class" to behind the semicolon. */
static void read_extent(struct parse *p, struct iig_class *class, CXCursor cursor)
{
        CXSourceRange range = clang_getCursorExtent(cursor);
        struct iig_token token;

        if (!source_at(p, clang_getRangeStart(range), &class->begin) || !source_at(p, clang_getRangeEnd(range), &class->end))
                abort();        /* it has just been parsed */
        while (iig_token_next(&p->file->source, &class->end, p->file->source.length, &token) &&
               !iig_token_is(&p->file->source, &token, ";"))
                continue;
}

static void class_add(struct iig_file *file, struct iig_class *class)
{
        if (file->count == file->capacity) {
                struct iig_class **grown = iig_alloc(2 * (file->capacity + 16) * sizeof(*grown));
                if (file->count > 0)
                        memcpy(grown, file->classes, file->count * sizeof(struct iig_class *));
                file->classes = grown;
                file->capacity = 2 * (file->capacity + 16);
        }
        file->classes[file->count++] = class;
}

static void read_class(struct parse *p, CXCursor cursor, CXCursor parent)
{
        struct iig_class *class = iig_alloc(sizeof(*class));
        struct found found = attributes_of(cursor);

        class->name = taken(clang_getCursorSpelling(cursor));
        class->place = place_of(clang_getCursorLocation(cursor));
        class->attributes = found.bits;
        class->here = clang_Location_isFromMainFile(clang_getCursorLocation(cursor));
        read_base(p, class, cursor);
        if (class->here && clang_getCursorKind(parent) != CXCursor_TranslationUnit)
                iig_error(p->file, class->place, "class %s must stand at the top level", class->name);
        if (class->here)
                read_extent(p, class, cursor);
        p->class = class;
        clang_visitChildren(cursor, visit_member, p);
        class_add(p->file, class);
}

static enum CXChildVisitResult visit_top(CXCursor cursor, CXCursor parent, CXClientData data)
{
        struct parse *p = data;
        enum CXCursorKind kind = clang_getCursorKind(cursor);

        if (kind == CXCursor_Namespace || kind == CXCursor_LinkageSpec || kind == CXCursor_UnexposedDecl)
                return CXChildVisit_Recurse;
        if (kind == CXCursor_ClassDecl && clang_isCursorDefinition(cursor) && is_object_class(cursor) &&
            strcmp(taken(clang_getCursorSpelling(cursor)), ROOT) != 0)
                read_class(p, cursor, parent);
        return CXChildVisit_Continue;
}

/* --- the run --- */

/* The compiler says which keyword is wrong, but not whose it is. */
static const char *better_words(struct parse *p, CXSourceLocation location, const char *text)
{
        CXCursor method = clang_getCursor(p->unit, location), class = clang_getCursorSemanticParent(method);

        if (strcmp(text, "expected class name") == 0)
                return "expected class name: there is no class of the name that is written here; is its interface included?";
        if (!strstr(text, "does not override any member functions") && !strstr(text, "marked 'override'"))
                return text;
        return iig_format("%s::%s overrides nothing: no base class has a virtual method of this name with these parameters",
                          taken(clang_getCursorSpelling(class)), taken(clang_getCursorSpelling(method)));
}

/* Says what the compiler found; with `say` false only whether there is anything. */
static bool diagnose(struct parse *p, bool say)
{
        unsigned int count = clang_getNumDiagnostics(p->unit);
        bool any = false;

        for (unsigned int i = 0; i < count; i++) {
                CXDiagnostic diagnostic = clang_getDiagnostic(p->unit, i);
                if (clang_getDiagnosticSeverity(diagnostic) >= CXDiagnostic_Error) {
                        CXSourceLocation location = clang_getDiagnosticLocation(diagnostic);
                        any = true;
                        if (say)
                                iig_error(p->file, place_of(location), "%s",
                                          better_words(p, location, taken(clang_getDiagnosticSpelling(diagnostic))));
                }
                clang_disposeDiagnostic(diagnostic);
        }
        return any;
}

/* An interface that is included twice and has no guard: read again as if it had one. */
static void collect_inclusion(CXFile file, CXSourceLocation *stack, unsigned int depth, CXClientData data)
{
        struct parse *p = data;
        const char *path = taken(clang_getFileName(file));
        struct loaded *l = iig_alloc(sizeof(*l));
        struct iig_source source;
        size_t length = strlen(path);

        if (depth == 0 || length < 4 || strcmp(path + length - 4, ".iig") != 0 || iig_source_load(&source, path) < 0)
                return;
        l->path = path;
        l->source.data = iig_format("#pragma once\n#line 1\n%s", source.data);
        l->source.length = strlen(l->source.data);
        l->patched = true;
        l->next = p->loaded;
        p->loaded = l;
}

static void parse_guarded(struct parse *p)
{
        struct CXUnsavedFile *files;
        unsigned int count = 0;

        clang_getInclusions(p->unit, collect_inclusion, p);
        for (struct loaded *l = p->loaded; l; l = l->next)
                count++;
        files = iig_alloc(count * sizeof(*files) + 1);
        count = 0;
        for (struct loaded *l = p->loaded; l; l = l->next)
                files[count++] = (struct CXUnsavedFile){ l->path, l->source.data, l->source.length };
        if (count > 0 && clang_reparseTranslationUnit(p->unit, count, files, clang_defaultReparseOptions(p->unit)) != 0)
                iig_error(p->file, (struct iig_place){ p->file->path, 1 }, "the compiler gave up");
}

static const char **clang_arguments(const struct iig_options *options, int *ret_count)
{
        static const char *const first[] = { "-x", "c++", "-std=gnu++17", "-fblocks", "-Wno-everything", "-ferror-limit=0",
                                             "-D__IIG=1" };
        size_t fixed = sizeof(first) / sizeof(first[0]), count = 0;
        const char **all = iig_alloc((fixed + ATTRIBUTES + (size_t)options->count) * sizeof(*all));

        for (; count < fixed; count++)
                all[count] = first[count];
        for (size_t i = 0; i < ATTRIBUTES; i++)
                all[count++] = iig_format(attributes[i].valued ? "-D%s(...)=__attribute__((annotate(\"iig:%s=\" #__VA_ARGS__)))"
                                                               : "-D%s=__attribute__((annotate(\"iig:%s\")))",
                                          attributes[i].name, attributes[i].name);
        for (int i = 0; i < options->count; i++)
                all[count++] = options->arguments[i];
        *ret_count = (int)count;
        return all;
}

/* Also asked by ourselves: what is generated derives publicly in any case, so with it the word is not missed. */
static bool access_ignored(const struct iig_options *options)
{
        for (int i = 0; i < options->count; i++)
                if (strcmp(options->arguments[i], "-fno-access-control") == 0)
                        return true;
        return false;
}

void iig_parse(struct iig_file *file, const struct iig_options *options)
{
        struct parse parse = { .file = file, .access_ignored = access_ignored(options) };
        int count;
        const char **arguments = clang_arguments(options, &count);
        CXIndex index = clang_createIndex(0, 0);
        enum CXErrorCode code = clang_parseTranslationUnit2(index, file->path, arguments, count, NULL, 0,
                                                           CXTranslationUnit_KeepGoing, &parse.unit);

        if (code != CXError_Success) {
                iig_error(file, (struct iig_place){ file->path, 1 }, "the compiler refuses its arguments");
        } else {
                if (diagnose(&parse, false))
                        parse_guarded(&parse);
                if (file->errors == 0 && !diagnose(&parse, true))
                        clang_visitChildren(clang_getTranslationUnitCursor(parse.unit), visit_top, &parse);
                clang_disposeTranslationUnit(parse.unit);
        }
        clang_disposeIndex(index);
}
