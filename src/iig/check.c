/* SPDX-License-Identifier: Apache-2.0 */
/* What each method is, and what may not be said in an interface. The rules: docs/IIG.md, section 2. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iig/iig.h"

void iig_error(struct iig_file *file, struct iig_place place, const char *format, ...)
{
        va_list list;

        file->errors++;
        fprintf(stderr, "%s:%u: error: ", place.file, place.line);
        va_start(list, format);
        vfprintf(stderr, format, list);
        va_end(list);
        fputc('\n', stderr);
}

/* --- questions to a model --- */

struct iig_class *iig_find_class(const struct iig_file *file, const char *name)
{
        for (size_t i = 0; i < file->count; i++)
                if (strcmp(file->classes[i]->name, name) == 0)
                        return file->classes[i];
        return NULL;
}

struct iig_method *iig_find_method(struct iig_class *class, const char *name)
{
        for (; class; class = class->base)
                for (size_t i = 0; i < class->count; i++)
                        if (strcmp(class->methods[i].name, name) == 0)
                                return &class->methods[i];
        return NULL;
}

static bool same_parameters(const struct iig_method *a, const struct iig_method *b)
{
        if (a->count != b->count || a->is_variadic != b->is_variadic)
                return false;
        for (size_t i = 0; i < a->count; i++)
                if (strcmp(a->parameters[i].canonical, b->parameters[i].canonical) != 0)
                        return false;
        return true;
}

bool iig_same_signature(const struct iig_method *a, const struct iig_method *b)
{
        return strcmp(a->name, b->name) == 0 && a->is_const == b->is_const && same_parameters(a, b);
}

bool iig_is_native(const struct iig_class *class)
{
        return class->attributes & IIG_NATIVE;
}

const struct iig_method *iig_introducer(const struct iig_method *method)
{
        return method->overridden ? method->overridden : method;
}

bool iig_has_id(const struct iig_method *method)
{
        const struct iig_method *first = iig_introducer(method);

        if (first->is_static)
                return first->kind == IIG_KIND_REMOTE;
        if (first->kind == IIG_KIND_LOCAL)
                return first->is_virtual && iig_is_native(first->owner) && !(first->attributes & IIG_CNAME);
        return !(iig_is_native(first->owner) && (first->attributes & IIG_LOCAL));
}

bool iig_has_impl(const struct iig_method *method)
{
        if (!iig_is_native(method->owner))
                return true;
        return method->kind == IIG_KIND_REMOTE && iig_has_id(method) && !method->is_static && !iig_has_target(method);
}

const char *iig_cname(const struct iig_method *method)
{
        return method->cname ? method->cname : iig_format("%s_%s", method->owner->name, method->name);
}

bool iig_has_function(const struct iig_method *method)
{
        if (!iig_is_native(method->owner) || method->overridden)
                return false;
        return !iig_has_target(method) || method->attributes & (IIG_LOCAL | IIG_LOCALONLY);
}

bool iig_is_direct(const struct iig_method *method)
{
        if (!iig_has_function(method))
                return false;
        return method->is_static || (method->kind == IIG_KIND_LOCAL ? !method->is_virtual : !iig_has_id(method));
}

uint64_t iig_id(const struct iig_method *method)
{
        const char *text = iig_format("%s::%s", method->owner->name, method->name);
        uint64_t hash = 0xcbf29ce484222325u;    /* FNV-1a: the same in every build */

        for (; *text; text++)
                hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
        return hash & 0x7fffffffffffffffu;      /* the highest bit says that the kernel implements it */
}

const char *iig_names(const struct iig_method *method, const char *lead)
{
        struct iig_text text = { 0 };

        iig_add(&text, "%s", lead);
        for (size_t i = 0; i < method->count; i++)
                iig_add(&text, "%s%s", text.length > 0 ? ", " : "", method->parameters[i].name);
        return text.data;
}

const char *iig_declarations(const struct iig_method *method, const char *lead, bool arguments)
{
        struct iig_text text = { 0 };

        iig_add(&text, "%s", lead);
        for (size_t i = 0; i < method->count; i++)
                iig_add(&text, "%s%s", text.length > 0 ? ", " : "",
                        arguments ? method->parameters[i].argument : method->parameters[i].declaration);
        return text.data;
}

size_t iig_inherited_virtuals(const struct iig_class *class, const struct iig_method **ret_methods, size_t most)
{
        size_t count = class->base ? iig_inherited_virtuals(class->base, ret_methods, most) : 0;

        for (size_t i = 0; i < class->count; i++) {
                const struct iig_method *m = &class->methods[i];
                if (m->kind == IIG_KIND_LOCAL && m->is_virtual && !m->overridden && iig_has_id(m) && count < most)
                        ret_methods[count++] = m;
        }
        return count;
}

/* --- classification --- */

static struct iig_method *find_overridden(struct iig_method *method)
{
        struct iig_method *found = NULL;

        if (method->is_static)
                return NULL;
        for (struct iig_class *c = method->owner->base; c; c = c->base)
                for (size_t i = 0; i < c->count; i++)
                        if (c->methods[i].is_virtual && iig_same_signature(&c->methods[i], method))
                                found = &c->methods[i];         /* the furthest one introduced it */
        return found;
}

static enum iig_kind classify(const struct iig_method *method)
{
        if ((method->attributes & IIG_LOCALONLY) || (method->owner->attributes & IIG_LOCALONLY))
                return IIG_KIND_LOCAL;
        if (method->overridden && method->overridden->kind == IIG_KIND_LOCAL)
                return IIG_KIND_LOCAL;
        if (method->attributes & IIG_TYPE)
                return IIG_KIND_CALLBACK;
        return method->overridden ? IIG_KIND_IMPLEMENTATION : IIG_KIND_REMOTE;
}

/* --- rules --- */

#define WRONG(...) iig_error(file, method->place, __VA_ARGS__)

static void check_parameters(struct iig_file *file, const struct iig_method *method)
{
        const char *class = method->owner->name, *name = method->name;

        for (size_t i = 0; i < method->count; i++) {
                const struct iig_parameter *p = &method->parameters[i];
                if (*p->name == '\0')
                        WRONG("%s::%s: parameter %zu needs a name", class, name, i + 1);
                else if (p->wrong && !iig_is_native(method->owner) && method->kind != IIG_KIND_CALLBACK)
                        WRONG("%s::%s: parameter '%s' is %s, which only a LOCALONLY method can have", class, name, p->name,
                              p->wrong);
        }
        if (!method->result_is_void && !method->result_is_scalar && !iig_is_native(method->owner))
                WRONG("%s::%s returns '%s'; a method that is not LOCALONLY returns a number or nothing", class, name,
                      method->result);
}

static void check_unique(struct iig_file *file, const struct iig_method *method)
{
        for (size_t i = 0; i < method->owner->count; i++) {
                const struct iig_method *other = &method->owner->methods[i];
                if (other < method && other->kind != IIG_KIND_LOCAL && strcmp(other->name, method->name) == 0)
                        WRONG("%s::%s is declared twice; only LOCALONLY methods can be overloaded", method->owner->name,
                              method->name);
        }
}

bool iig_has_target(const struct iig_method *method)
{
        for (size_t i = 0; i < method->count; i++)
                if (method->parameters[i].attributes & IIG_TARGET)
                        return true;
        return false;
}

/* TYPE(Class::Method): a method with a TARGET, with the same parameters. */
static void check_type(struct iig_file *file, struct iig_method *method)
{
        const char *colons = strstr(method->type, "::"), *class = method->owner->name, *name = method->name;
        struct iig_class *owner = colons ? iig_find_class(file, iig_copy(method->type, (size_t)(colons - method->type))) : NULL;

        method->callback = owner ? iig_find_method(owner, colons + 2) : NULL;
        if (!colons)
                WRONG("%s::%s: TYPE(%s) must name a Class::Method", class, name, method->type);
        else if (!owner || !method->callback)
                WRONG("%s::%s: TYPE(%s): there is no such method; is its interface included?", class, name, method->type);
        else if (!iig_has_target(method->callback))
                WRONG("%s::%s: TYPE(%s): that method has no TARGET parameter, so no action calls it", class, name, method->type);
        else if (!same_parameters(method, method->callback))
                WRONG("%s::%s does not have the parameters of %s", class, name, method->type);
        if (!method->result_is_void)
                WRONG("%s::%s: what an action calls returns nothing (void)", class, name);
}

static void check_attributes(struct iig_file *file, const struct iig_method *method)
{
        const char *class = method->owner->name, *name = method->name;

        if (method->attributes & IIG_KERNEL)
                WRONG("%s::%s: KERNEL methods are implemented by a kernel; here is none", class, name);
        if (method->attributes & IIG_CNAME && !iig_is_native(method->owner))
                WRONG("%s::%s: AMB_CNAME is for methods of NATIVE classes", class, name);
        if (iig_has_target(method) && method->kind == IIG_KIND_REMOTE && !method->result_is_void &&
            !(method->attributes & IIG_REPLY))
                WRONG("%s::%s: TARGET: the action's target is called later, so the method returns nothing (void)", class, name);
        if (method->attributes & IIG_REPLY && method->kind != IIG_KIND_REMOTE)
                WRONG("%s::%s: REPLY is for methods that this class introduces and that leave the process", class, name);
        if (method->attributes & IIG_QUEUENAME && method->kind == IIG_KIND_LOCAL)
                WRONG("%s::%s: QUEUENAME: a LOCALONLY method runs where it is called", class, name);
        if (iig_is_native(method->owner) && method->attributes & IIG_TYPE)
                WRONG("%s::%s: TYPE: the actions of a NATIVE class are made in C", class, name);
}

static void check_method(struct iig_file *file, struct iig_method *method)
{
        const struct iig_method *first = method->overridden;

        check_attributes(file, method);
        if (method->is_variadic && (method->kind != IIG_KIND_LOCAL || iig_is_native(method->owner)))
                WRONG("%s::%s takes a variable number of arguments, which only a LOCALONLY method of a class in C++ can",
                      method->owner->name,
                      method->name);
        if (method->kind == IIG_KIND_LOCAL && !iig_is_native(method->owner))
                return;
        if (method->kind == IIG_KIND_LOCAL) {
                for (size_t i = 0; i < method->count; i++)
                        if (*method->parameters[i].name == '\0')
                                WRONG("%s::%s: parameter %zu needs a name", method->owner->name, method->name, i + 1);
                return;
        }
        check_parameters(file, method);
        check_unique(file, method);
        if (method->kind == IIG_KIND_CALLBACK)
                check_type(file, method);
        if (first && !iig_has_id(first))
                WRONG("%s::%s: %s::%s cannot be overridden: whoever calls it gets %s's; choose another name",
                      method->owner->name, method->name, first->owner->name, first->name, first->owner->name);
}

static void check_class(struct iig_file *file, const struct iig_class *class)
{
        if (class->attributes & IIG_KERNEL)
                iig_error(file, class->place, "class %s: KERNEL classes live in a kernel; one that is written in C is NATIVE",
                          class->name);
        if (class->attributes & IIG_REMOTE)
                iig_error(file, class->place, "class %s: REMOTE: objects of other processes are not called here", class->name);
        if (class->attributes & IIG_EXTENDS)
                iig_error(file, class->place, "class %s: EXTENDS: write the methods into the class itself", class->name);
        if (iig_is_native(class) && class->base && !iig_is_native(class->base))
                iig_error(file, class->place, "class %s is NATIVE, its base %s is not", class->name, class->base->name);
}

/* REPLY: who calls hands the message on, and gets told whether that went well. */
static void add_reply(struct iig_method *method)
{
        struct iig_parameter *more = iig_alloc((method->count + 1) * sizeof(*more));

        more[0] = (struct iig_parameter){ .name = "rpc", .declaration = "IORPC rpc", .argument = "IORPC rpc", .canonical = "IORPC",
                                          .passing = IIG_VALUE };
        if (method->count > 0)
                memcpy(more + 1, method->parameters, method->count * sizeof(*more));
        method->parameters = more;
        method->count++;
        method->result = "kern_return_t";
        method->result_is_void = false;
        method->result_is_code = method->result_is_scalar = true;
}

void iig_check(struct iig_file *file)
{
        for (size_t i = 0; i < file->count; i++)
                for (size_t k = 0; k < file->classes[i]->count; k++) {
                        struct iig_method *method = &file->classes[i]->methods[k];
                        method->overridden = find_overridden(method);
                        method->kind = classify(method);
                        if (method->attributes & IIG_REPLY && method->kind == IIG_KIND_REMOTE)
                                add_reply(method);
                }
        for (size_t i = 0; i < file->count; i++) {
                struct iig_class *class = file->classes[i];
                if (!class->here)
                        continue;
                check_class(file, class);
                for (size_t k = 0; k < class->count; k++)
                        check_method(file, &class->methods[k]);
        }
}
