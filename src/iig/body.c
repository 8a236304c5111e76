/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The implementation file. Of a class that is written in C++: the table by which C reaches its methods, the functions in that
 * table, the callers. Of a class that is written in C (NATIVE): the C++ methods that call C, and the face that its objects wear.
 * docs/IIG.md, sections 4 to 6.
 */
#include <string.h>

#include "iig/iig.h"

#define ADD(...) iig_add(out, __VA_ARGS__)

/* --- what C reaches --- */

static const char *constness(const struct iig_method *m)
{
        return m->is_const ? "const " : "";
}

/* The functions of the class's table: from C, or from a message, to the C++ method of the object's own class. */
static void write_entry(struct iig_text *out, const struct iig_class *class, const struct iig_method *m)
{
        const char *suffix = m->kind == IIG_KIND_LOCAL ? "" : "_Impl";

        ADD("    static %s %s(%s)\n    {\n", m->result, m->name,
            iig_declarations(m, iig_format("%sOSMetaClassBase * amb_self", constness(m)), false));
        ADD("        return static_cast<%s%s *>(amb_self)->%s%s(%s);\n    }\n", constness(m), class->name, m->name, suffix,
            iig_names(m, ""));
}

static bool is_entry(const struct iig_method *m)
{
        return !m->is_static && iig_has_id(m);
}

static void write_table(struct iig_text *out, const struct iig_class *class)
{
        const char *c = class->name;

        ADD("const amb_method %sMetaClass::amb_methods[] = {\n", c);
        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i], *first = iig_introducer(m);
                if (!is_entry(m))
                        continue;
                ADD("    { %s_%s_ID, reinterpret_cast<void (*)(void)>(%s), ", first->owner->name, m->name, m->name);
                ADD(m->queue ? "\"%s\", " : "nullptr, ", m->queue);
                if (m->kind == IIG_KIND_CALLBACK)
                        ADD("\"OSAction_%s_%s\" },\n", c, m->name);
                else
                        ADD("nullptr },\n");
        }
        ADD("    AMB_METHODS_END,\n};\n\n");
}

static void write_meta(struct iig_text *out, const struct iig_class *class)
{
        const char *c = class->name;

        ADD("class %sMetaClass\n{\npublic:\n", c);
        for (size_t i = 0; i < class->count; i++)
                if (is_entry(&class->methods[i]))
                        write_entry(out, class, &class->methods[i]);
        ADD("    static const amb_method amb_methods[];\n    static void * amb_skin;\n};\n\n");
        write_table(out, class);
        ADD("void * %sMetaClass::amb_skin;\n\n", c);
        ADD("extern \"C\" __attribute__((visibility(\"default\"))) const OSMetaClass g%sMetaClass = {\n", c);
        ADD("    \"%s\", &g%sMetaClass, sizeof(%s), %sMetaClass::amb_methods, &%sMetaClass::amb_skin\n};\n", c, class->base_name, c,
            c, c);
        ADD("static const amb_skin_class<%s> %s_skin;\n\n", c, c);
}

/* --- callers --- */

static bool has_out(const struct iig_method *m)
{
        for (size_t i = 0; i < m->count; i++)
                if (m->parameters[i].passing == IIG_OUT || m->parameters[i].passing == IIG_OUT_OBJECT ||
                    m->parameters[i].passing == IIG_OUT_ARRAY)
                        return true;
        return false;
}

static bool one_way(const struct iig_method *m)
{
        return m->result_is_void && !has_out(m);
}

static const struct iig_parameter *target_of(const struct iig_method *m)
{
        for (size_t i = 0; i < m->count; i++)
                if (m->parameters[i].attributes & IIG_TARGET)
                        return &m->parameters[i];
        return NULL;
}

/* The sibling `nameCount` of an array. */
static const struct iig_parameter *count_of(const struct iig_method *m, const struct iig_parameter *array)
{
        const char *name = iig_format("%sCount", array->name);

        for (size_t i = 0; i < m->count; i++)
                if (strcmp(m->parameters[i].name, name) == 0 &&
                    (m->parameters[i].passing == IIG_VALUE || m->parameters[i].passing == IIG_OUT))
                        return &m->parameters[i];
        return NULL;
}

static const char *count_value(const struct iig_method *m, const struct iig_parameter *array)
{
        const struct iig_parameter *count = count_of(m, array);

        if (!count)
                return iig_format("%llu", (unsigned long long)array->bound);
        return iig_format(count->passing == IIG_OUT ? "(%s ? *%s : 0)" : "%s", count->name, count->name);
}

static const char *failure(const struct iig_method *m, const char *code)
{
        if (m->result_is_void)
                return "return;";
        return m->result_is_code ? iig_format("return %s;", code) : "return {};";
}

/* What is checked, and what is copied, before the message. */
static void write_prepare(struct iig_text *out, const struct iig_method *m, const struct iig_parameter *p)
{
        const char *copies = one_way(m) ? "" : "_in";

        switch (p->passing) {
        case IIG_OBJECT:
                ADD("    if (!amb_is_a(%s, &g%sMetaClass))\n        %s\n", p->name, p->object, failure(m, "kIOReturnBadArgument"));
                if (one_way(m))
                        ADD("    amb_kept %s_passed(%s);\n", p->name, p->name);
                break;
        case IIG_STRING:
                ADD("    amb_string<%llu> %s_passed(%s);\n", (unsigned long long)p->bound, p->name, p->name);
                break;
        case IIG_ARRAY:
        case IIG_OUT_ARRAY:
                if (count_of(m, p))
                        ADD("    if (%s > %llu)\n        %s\n", count_value(m, p), (unsigned long long)p->bound,
                            failure(m, "kIOReturnOverrun"));
                ADD("    amb_array%s<%s, %llu> %s_passed(%s, %s);\n", p->passing == IIG_OUT_ARRAY ? "_out" : copies, p->element,
                    (unsigned long long)p->bound, p->name, p->name, count_value(m, p));
                break;
        case IIG_OUT:
                ADD("    amb_out<%s> %s_passed(%s);\n", p->element, p->name, p->name);
                break;
        case IIG_OUT_OBJECT:
                ADD("    amb_out_object<%s> %s_passed(%s, &g%sMetaClass);\n", p->object, p->name, p->name, p->object);
                break;
        default:
                break;
        }
}

static bool is_plain(const struct iig_parameter *p)
{
        return p->passing == IIG_VALUE || p->passing == IIG_OBJECT || p->passing == IIG_OTHER;
}

/* What the method is given: reinterpret_cast<R (*)(OSMetaClassBase *, A...)>(function)(target, ...). */
static void write_call(struct iig_text *out, const struct iig_method *m)
{
        ADD("reinterpret_cast<%s (*)(%s)>(amb_function)(amb_target", m->result,
            iig_declarations(m, iig_format("%sOSMetaClassBase * amb_self", constness(m)), false));
        for (size_t i = 0; i < m->count; i++)
                ADD(is_plain(&m->parameters[i]) ? ", %s" : ", %s_passed.pass()", m->parameters[i].name);
        ADD(");\n");
}

static void write_head(struct iig_text *out, const struct iig_method *m)
{
        ADD("%s %s::%s(%s%sOSDispatchMethod supermethod)%s\n{\n", m->result, m->owner->name, m->name,
            iig_declarations(m, "", false), m->count > 0 ? ", " : "", m->is_const ? " const" : "");
}

/* A message without an answer: it owns copies of what it carries. */
static void write_one_way(struct iig_text *out, const struct iig_method *m)
{
        const struct iig_parameter *target = target_of(m);

        write_head(out, m);
        for (size_t i = 0; i < m->count; i++)
                write_prepare(out, m, &m->parameters[i]);
        ADD("    auto amb_body = [=](void (*amb_function)(void), OSMetaClassBase * amb_target) mutable {\n        ");
        for (size_t i = 0; i < m->count; i++)
                if (m->parameters[i].passing == IIG_OBJECT)
                        ADD("(void)%s_passed;\n        ", m->parameters[i].name);
        write_call(out, m);
        ADD("    };\n");
        if (target)
                ADD("    amb_post_action(%s, %s_%s_ID, this, supermethod, amb_body);\n", target->name, m->owner->name, m->name);
        else
                ADD("    amb_post(this, %s_%s_ID, supermethod, amb_body);\n", m->owner->name, m->name);
        ADD("}\n\n");
}

static void write_deliveries(struct iig_text *out, const struct iig_method *m)
{
        for (size_t i = 0; i < m->count; i++) {
                const struct iig_parameter *p = &m->parameters[i];
                if (p->passing == IIG_OUT_OBJECT)
                        ADD("    if (!%s_passed.fits())\n        %s\n", p->name, failure(m, "kIOReturnBadArgument"));
        }
        /* Arrays before their counts, of which they take the new value. */
        for (size_t i = 0; i < m->count; i++) {
                const struct iig_parameter *p = &m->parameters[i], *count = count_of(m, p);
                if (p->passing == IIG_OUT_ARRAY && count && count->passing == IIG_OUT)
                        ADD("    %s_passed.deliver(*%s_passed.pass());\n", p->name, count->name);
                else if (p->passing == IIG_OUT_ARRAY)
                        ADD("    %s_passed.deliver(%s);\n", p->name, count_value(m, p));
        }
        for (size_t i = 0; i < m->count; i++)
                if (m->parameters[i].passing == IIG_OUT || m->parameters[i].passing == IIG_OUT_OBJECT)
                        ADD("    %s_passed.deliver();\n", m->parameters[i].name);
}

static void write_two_way(struct iig_text *out, const struct iig_method *m)
{
        write_head(out, m);
        for (size_t i = 0; i < m->count; i++)
                write_prepare(out, m, &m->parameters[i]);
        if (!m->result_is_void)
                ADD("    %s amb_result = {};\n", m->result);
        ADD("    auto amb_body = [&](void (*amb_function)(void), OSMetaClassBase * amb_target) {\n        %s",
            m->result_is_void ? "" : "amb_result = ");
        write_call(out, m);
        ADD("    };\n    kern_return_t amb_sent = amb_send(this, %s_%s_ID, supermethod, amb_body);\n", m->owner->name, m->name);
        ADD("    if (amb_sent != kIOReturnSuccess)\n        %s\n", failure(m, "amb_sent"));
        if (m->result_is_code && has_out(m))
                ADD("    if (amb_result != kIOReturnSuccess)\n        return amb_result;\n");
        write_deliveries(out, m);
        ADD("%s}\n\n", m->result_is_void ? "" : "    return amb_result;\n");
}

static void write_invoke(struct iig_text *out, const struct iig_method *m)
{
        const char *c = m->owner->name;

        if (m->is_static) {
                ADD("kern_return_t %s::%s_Invoke(const IORPC rpc, %s_Handler handler)\n{\n", c, m->name, m->name);
                ADD("    return amb_answer(rpc, nullptr, reinterpret_cast<void (*)(void)>(handler));\n}\n\n");
                return;
        }
        ADD("kern_return_t %s::%s_Invoke(const IORPC rpc, OSMetaClassBase * target, %s_Handler handler)\n{\n", c, m->name, m->name);
        ADD("    return amb_answer(rpc, target, reinterpret_cast<void (*)(void)>(handler));\n}\n\n");
}

static void write_caller(struct iig_text *out, const struct iig_method *m)
{
        if (m->is_static) {
                ADD("%s %s::%s(%s)\n{\n    return %s_Impl(%s);\n}\n\n", m->result, m->owner->name, m->name,
                    iig_declarations(m, "", false), m->name, iig_names(m, ""));
        } else if (one_way(m)) {
                write_one_way(out, m);
        } else {
                write_two_way(out, m);
        }
        write_invoke(out, m);
}

/* --- callbacks --- */

static void write_create_action(struct iig_text *out, const struct iig_method *m)
{
        const char *c = m->owner->name;
        const struct iig_method *type = iig_introducer(m->callback);

        ADD("kern_return_t %s::CreateAction%s(size_t referenceSize, OSAction ** action)\n{\n", c, m->name);
        ADD("    return amb_action_create(this, %s_%s_ID, %s_%s_ID, referenceSize, \"OSAction_%s_%s\", action);\n}\n\n", c, m->name,
            type->owner->name, type->name, c, m->name);
}

/* --- classes that are written in C --- */

static void write_native_call(struct iig_text *out, const struct iig_method *m)
{
        ADD("{\n    return %s(%s);\n}\n\n", iig_cname(m), iig_names(m, "this"));
}

/* What is not in the header already. */
static void write_native_method(struct iig_text *out, const struct iig_method *m)
{
        const char *c = m->owner->name, *tail = m->is_const ? " const" : "";

        if (m->overridden || iig_is_direct(m))
                return;
        if (m->kind == IIG_KIND_LOCAL) {
                ADD("%s %s::%s(%s)%s\n", m->result, c, m->name, iig_declarations(m, "", false), tail);
                write_native_call(out, m);
                return;
        }
        if (iig_has_impl(m)) {
                ADD("%s %s::%s_Impl(%s_%s_Args)\n", m->result, c, m->name, c, m->name);
                write_native_call(out, m);
        }
        write_caller(out, m);
}

/* Inherited virtual methods: what C put into the class's table. */
static void write_native_virtual(struct iig_text *out, const struct iig_method *m, const char *how)
{
        ADD("    return reinterpret_cast<%s (*)(%s)>(%s, %s_%s_ID))(%s);\n", m->result,
            iig_declarations(m, iig_format("%sOSMetaClassBase * amb_self", constness(m)), false), how, m->owner->name, m->name,
            iig_names(m, "this"));
}

static void write_face(struct iig_text *out, const struct iig_class *class)
{
        const struct iig_method *all[256];
        /* Those of the bases come first. */
        size_t own = class->base ? iig_inherited_virtuals(class->base, all, 256) : 0;
        size_t count = iig_inherited_virtuals(class, all, 256);
        const char *c = class->name;

        for (size_t i = 0; i < own; i++) {
                ADD("%s %s::%s(%s)%s\n{\n", all[i]->result, c, all[i]->name, iig_declarations(all[i], "", false),
                    all[i]->is_const ? " const" : "");
                write_native_virtual(out, all[i], iig_format("amb_class_method(&g%sMetaClass", c));
                ADD("}\n\n");
        }
        ADD("/* What objects of C classes wear: every virtual method is the virtual call of C. */\n");
        ADD("namespace {\n\nclass %sFace final : public %s\n{\npublic:\n", c, c);
        for (size_t i = 0; i < count; i++) {
                ADD("    %s %s(%s)%s override\n    {\n    ", all[i]->result, all[i]->name, iig_declarations(all[i], "", false),
                    all[i]->is_const ? " const" : "");
                write_native_virtual(out, all[i], "amb_method_of(this");
                ADD("    }\n");
        }
        /* Before what else is made when the library is loaded: that may make objects. */
        ADD("};\n\nconst amb_skin_face<%sFace, %s> %s_face __attribute__((init_priority(1000)));\n\n} // namespace\n\n", c, c, c);
}

/* --- files and classes --- */

static void write_class(struct iig_text *out, const struct iig_class *class)
{
        ADD("/* --- %s --- */\n\n", class->name);
        if (!iig_is_native(class))
                write_meta(out, class);
        ADD("kern_return_t %s::_Dispatch(OSMetaClassBase * self, const IORPC rpc)\n{\n", class->name);
        ADD("    return amb_dispatch(&g%sMetaClass, self, rpc);\n}\n\n", class->name);
        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                if (iig_is_native(class))
                        write_native_method(out, m);
                else if (m->kind == IIG_KIND_REMOTE)
                        write_caller(out, m);
                else if (m->kind == IIG_KIND_CALLBACK)
                        write_create_action(out, m);
        }
        if (iig_is_native(class))
                write_face(out, class);
}

/* The classes whose objects are passed; each once, in order. */
static void write_mentioned(struct iig_text *out, const struct iig_file *file)
{
        struct iig_text said = { 0 };

        iig_add(&said, ",");
        for (size_t i = 0; i < file->count; i++)
                for (size_t k = 0; file->classes[i]->here && k < file->classes[i]->count; k++) {
                        const struct iig_method *m = &file->classes[i]->methods[k];
                        for (size_t n = 0; m->kind == IIG_KIND_REMOTE && n < m->count; n++) {
                                const char *object = m->parameters[n].object;
                                if (!object || strstr(said.data, iig_format(",%s,", object)))
                                        continue;
                                iig_add(&said, "%s,", object);
                                ADD("extern \"C\" const OSMetaClass g%sMetaClass;\n", object);
                        }
                }
        if (said.length > 1)
                ADD("\n");
}

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

void iig_write_body(struct iig_text *out, const struct iig_file *file, const struct iig_options *options)
{
        const char *begin, *end;

        ADD("/* iig: generated from %s; changes will be lost. */\n", base_name(file->path));
        if (iig_note(file, &begin, &end))
                ADD("%.*s", (int)(end - begin), begin);
        ADD("#include <DriverKit/DriverKit.h>\n#include <DriverKit/IOReturn.h>\n");
        if (options->framework)
                ADD("#include <%s/%s>\n\n", options->framework, base_name(options->header));
        else
                ADD("#include \"%s\"\n\n", base_name(options->header));
        write_mentioned(out, file);
        for (size_t i = 0; i < file->count; i++)
                if (file->classes[i]->here)
                        write_class(out, file->classes[i]);
}
