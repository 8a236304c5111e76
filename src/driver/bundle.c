/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <DriverKit/OSCollections.h>

#include "base/base.h"
#include "base/sanitizer.h"
#include "driver/bundle.h"
#include "object/plist.h"

struct bundle {
        struct amb_link link;
        char *path;                     /* of the executable */
        void *handle;
};

static pthread_mutex_t bundles_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link bundles = AMB_LIST_INIT(bundles);

/* NAME of .../NAME.dext. */
static char *bundle_name(const char *path)
{
        size_t length = strlen(path);

        while (length > 1 && path[length - 1] == '/')
                length--;
        const char *slash = memrchr(path, '/', length), *name = slash ? slash + 1 : path;
        length -= (size_t)(name - path);
        if (length > 5 && memcmp(name + length - 5, ".dext", 5) == 0)
                length -= 5;
        return strndup(name, length);
}

/* The path of the executable that Info.plist names, NAME where it does not; NULL: *ret_message. */
static char *executable_path(const char *path, char **ret_message)
{
        AMB_FREE char *plist_path = amb_format("%s/Info.plist", path), *why = NULL;
        OSObject *info = NULL;
        const char *name = NULL;
        char *result = NULL;
        int r;

        if (!plist_path)
                return NULL;
        r = amb_plist_read_file(AT_FDCWD, plist_path, &info, &why);
        if (r != 0) {
                *ret_message = amb_format("%s: %s", plist_path, r > 0 ? (why ? why : "not a property list") : strerror(-r));
                return NULL;
        }
        AMB_FREE char *like_bundle = bundle_name(path);
        if (OSDynamicCast(OSDictionary, info))
                name = OSDictionaryGetValue((OSDictionary *)info, "CFBundleExecutable") ?
                        OSDictionaryGetStringValue((OSDictionary *)info, "CFBundleExecutable") : like_bundle;
        if (!name || !*name || strchr(name, '/'))
                *ret_message = amb_format("%s: CFBundleExecutable must name a file in the bundle", plist_path);
        else
                result = amb_format("%s/%s", path, name);
        OSObject_release(info);
        return result;
}

/* A copy that nobody can write to any more. */
static int sealed_copy(const char *path, int *ret_fd)
{
        AMB_FD file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), copy = -1;
        struct stat st;
        off_t done = 0;

        if (file < 0 || fstat(file, &st) < 0)
                return amb_errno();
        if (!S_ISREG(st.st_mode))
                return -ENOEXEC;
        copy = memfd_create("ambidext-driver", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (copy < 0)
                return amb_errno();
        while (done < st.st_size) {
                ssize_t n = sendfile(copy, file, NULL, (size_t)(st.st_size - done));

                if (n <= 0)
                        return n < 0 ? amb_errno() : -EIO;
                done += n;
        }
        if (fchmod(copy, 0500) < 0 || fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return amb_errno();
        *ret_fd = amb_fd_steal(&copy);
        return 0;
}

/* What to do about what the dynamic linker says. */
static const char *load_remedy(const char *why)
{
        /* Every sanitizer's functions begin so. */
        if (strstr(why, "undefined symbol: __asan_") || strstr(why, "undefined symbol: __tsan_") ||
            strstr(why, "undefined symbol: __ubsan_") || strstr(why, "undefined symbol: __msan_"))
                return "; it was built with a sanitizer whose run-time library is not in this process: `ambidext build "
                       "--sanitize=...` names it in Info.plist as AmbidextSanitizerRuntime";
        if (strstr(why, "undefined symbol: ") || strstr(why, "libambidext"))
                return "; it was built for another version of Ambidext, or without one of its sources: build it again";
        if (strstr(why, "cannot open shared object file"))
                return "; the driver was linked with that library: install it, or put it where ld.so(8) looks";
        return "";
}

static void *load_file(const char *path, char **ret_message)
{
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (handle)
                return handle;
        const char *why = dlerror();
        *ret_message = amb_format("cannot load the driver: %s%s", why, load_remedy(why));
        return NULL;
}

/*
 * From the sealed copy. Where the loader cannot (no memfd, or the object wants libraries from beside itself: $ORIGIN of a copy is
 * /proc/self/fd), from the file, with a line in the log. The copy's descriptor may be closed: the mapping stays.
 */
static void *load(const char *path, char **ret_message)
{
        AMB_FD copy = -1;
        char proc[32];
        void *handle;
        int r;

        /* A sanitizer's reports name the file, and look up lines in it. */
        if (amb_sanitizer_preloaded())
                return load_file(path, ret_message);
        r = sealed_copy(path, &copy);
        if (r == -ENOENT || r == -EACCES || r == -ENOEXEC) {
                *ret_message = amb_format("%s: %s", path, strerror(-r));
                return NULL;
        }
        if (r == 0) {
                snprintf(proc, sizeof(proc), "/proc/self/fd/%d", copy);
                handle = dlopen(proc, RTLD_NOW | RTLD_LOCAL);
                if (handle)
                        return handle;
        }
        handle = load_file(path, ret_message);
        if (handle)
                amb_log(AMB_LOG_WARNING, "%s: loaded from the file itself, not from a sealed copy%s%s", path, r < 0 ? ": " : "",
                        r < 0 ? strerror(-r) : "");
        return handle;
}

kern_return_t amb_bundle_load(const char *path, char **ret_message)
{
        AMB_FREE char *executable = executable_path(path, ret_message);
        struct bundle *bundle;
        kern_return_t code = kIOReturnSuccess;

        if (!executable)
                return kIOReturnNotFound;
        pthread_mutex_lock(&bundles_lock);
        amb_list_for(bundle, &bundles, link)
                if (strcmp(bundle->path, executable) == 0)
                        goto out;
        bundle = calloc(1, sizeof(*bundle));
        if (!bundle) {
                code = kIOReturnNoMemory;
                goto out;
        }
        bundle->handle = load(executable, ret_message);
        if (!bundle->handle) {
                code = access(executable, F_OK) < 0 ? kIOReturnNotFound : kIOReturnUnsupported;
                free(bundle);
                goto out;
        }
        bundle->path = amb_steal(executable);
        amb_list_append(&bundles, &bundle->link);
out:
        pthread_mutex_unlock(&bundles_lock);
        return code;
}

void amb_bundle_add_program(void)
{
        static struct bundle program;

        pthread_mutex_lock(&bundles_lock);
        if (!program.handle) {
                program.path = (char *)"the program";
                program.handle = dlopen(NULL, RTLD_NOW);
                amb_list_append(&bundles, &program.link);
        }
        pthread_mutex_unlock(&bundles_lock);
}

static bool is_identifier(const char *name)
{
        size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

        return length > 0 && length <= 127 && name[length] == '\0';
}

const OSMetaClass *amb_bundle_class(const char *name, char **ret_message)
{
        AMB_FREE char *symbol = is_identifier(name) ? amb_format("g%sMetaClass", name) : NULL;
        const OSMetaClass *meta = NULL;
        const char *path = NULL;
        struct bundle *bundle;

        pthread_mutex_lock(&bundles_lock);
        amb_list_for(bundle, &bundles, link) {
                path = bundle->path;
                meta = symbol ? dlsym(bundle->handle, symbol) : NULL;
                if (meta)
                        break;
        }
        pthread_mutex_unlock(&bundles_lock);
        if (meta && meta->name && strcmp(meta->name, name) == 0)
                return meta;
        if (!symbol)
                *ret_message = amb_format("IOUserClass \"%s\" is no name of a class", name);
        else if (!path)
                *ret_message = amb_format("class %s cannot be started: its bundle is not loaded, or could not be", name);
        else
                *ret_message = amb_format("%s has no class %s (no symbol %s): correct IOUserClass in its Info.plist, or write the "
                                          "class: an interface %s.iig in C++, OSDefineMetaClass(%s, its superclass, its method "
                                          "table) in C",
                                          path, name, symbol, name, name);
        return NULL;
}

/* --- what drivers import --- */

struct search {
        const char *name;
        const void *own;                /* where the runtime's object begins */
        unsigned long long loads;
        bool first, found;
};

static const char *address_in(const struct dl_phdr_info *object, ElfW(Addr) value)
{
        /* The dynamic linker has relocated these, but for objects that the kernel brings. */
        return (const char *)(value < object->dlpi_addr ? object->dlpi_addr + value : value);
}

/* With a GNU hash table, what is not defined comes before what is hashed. */
static void search_table(struct search *search, const ElfW(Sym) *symbols, const char *strings, const uint32_t *hash)
{
        for (uint32_t i = 1; i < hash[1] && !search->found; i++)
                if (symbols[i].st_shndx == SHN_UNDEF && strstr(strings + symbols[i].st_name, search->name))
                        search->found = true;
}

static int search_object(struct dl_phdr_info *object, size_t size, void *context)
{
        struct search *search = context;
        const ElfW(Dyn) *dynamic = NULL;
        const ElfW(Sym) *symbols = NULL;
        const char *strings = NULL;
        const uint32_t *hash = NULL;
        bool program = search->first, own = false;

        search->first = false;
        search->loads = object->dlpi_adds;
        for (int i = 0; i < object->dlpi_phnum; i++) {
                const ElfW(Phdr) *part = &object->dlpi_phdr[i];
                const char *start = (const char *)object->dlpi_addr + part->p_vaddr;

                if (part->p_type == PT_DYNAMIC)
                        dynamic = (const void *)start;
                if (part->p_type == PT_LOAD && (const char *)search->own >= start &&
                    (const char *)search->own < start + part->p_memsz)
                        own = true;
        }
        if (own) {
                search->found |= program;
                return search->found;
        }
        for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
                if (dynamic->d_tag == DT_SYMTAB)
                        symbols = (const void *)address_in(object, dynamic->d_un.d_ptr);
                else if (dynamic->d_tag == DT_STRTAB)
                        strings = address_in(object, dynamic->d_un.d_ptr);
                else if (dynamic->d_tag == DT_GNU_HASH)
                        hash = (const void *)address_in(object, dynamic->d_un.d_ptr);
        }
        if (symbols && strings && hash)
                search_table(search, symbols, strings, hash);
        return search->found;
}

static int count_loads(struct dl_phdr_info *object, size_t size, void *context)
{
        *(unsigned long long *)context = object->dlpi_adds;
        return 1;
}

bool amb_bundle_imports(const char *name)
{
        static pthread_mutex_t search_lock = PTHREAD_MUTEX_INITIALIZER;
        static struct search last;
        unsigned long long loads = 0;
        bool found;

        dl_iterate_phdr(count_loads, &loads);
        pthread_mutex_lock(&search_lock);
        if (last.name != name || last.loads != loads) {
                last = (struct search){ .name = name, .own = amb_bundle_imports, .first = true };
                dl_iterate_phdr(search_object, &last);
                last.loads = loads;
        }
        found = last.found;
        pthread_mutex_unlock(&search_lock);
        return found;
}
