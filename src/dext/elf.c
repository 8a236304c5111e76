/* SPDX-License-Identifier: Apache-2.0 */
/* The file has just been written by our linker; still nothing is read beyond its end. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dext/dext.h"

struct image {
        const char *bytes;
        size_t length;
};

static const void *piece(const struct image *image, size_t offset, size_t length)
{
        return offset <= image->length && length <= image->length - offset ? image->bytes + offset : NULL;
}

static void add_class(struct dext_list *names, const char *symbol)
{
        static const char end[] = "MetaClass";
        size_t length = strlen(symbol);
        if (symbol[0] == 'g' && length > sizeof(end) && dext_text_ends(symbol, end))
                dext_list_add_new(names, dext_copy(symbol + 1, length - sizeof(end)));
}

static int read_symbols(struct dext_list *names, const struct image *image, const ElfW(Shdr) *table, const ElfW(Shdr) *strings)
{
        size_t count = table->sh_size / sizeof(ElfW(Sym));
        const ElfW(Sym) *symbols = piece(image, table->sh_offset, count * sizeof(*symbols));
        const char *text = piece(image, strings->sh_offset, strings->sh_size);

        if (!symbols || !text || strings->sh_size == 0 || text[strings->sh_size - 1] != '\0')
                return -ENOEXEC;
        for (size_t i = 0; i < count; i++)
                if (symbols[i].st_shndx != SHN_UNDEF && symbols[i].st_name < strings->sh_size)
                        add_class(names, text + symbols[i].st_name);
        return 0;
}

static int read_image(struct dext_list *names, const struct image *image)
{
        const ElfW(Ehdr) *header = piece(image, 0, sizeof(*header));
        if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_type != ET_DYN ||
            header->e_shentsize != sizeof(ElfW(Shdr)))
                return -ENOEXEC;
        const ElfW(Shdr) *sections = piece(image, header->e_shoff, header->e_shnum * sizeof(*sections));
        for (size_t i = 0; sections && i < header->e_shnum; i++)
                if (sections[i].sh_type == SHT_DYNSYM && sections[i].sh_link < header->e_shnum)
                        return read_symbols(names, image, &sections[i], &sections[sections[i].sh_link]);
        return -ENOEXEC;
}

int dext_elf_classes(struct dext_list *names, const char *path)
{
        AMB_FD fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0)
                return amb_errno();
        struct image image = { .length = (size_t)status.st_size };
        if (image.length == 0)
                return -ENOEXEC;
        void *mapped = mmap(NULL, image.length, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapped == MAP_FAILED)
                return amb_errno();
        image.bytes = mapped;
        int r = read_image(names, &image);
        munmap(mapped, image.length);
        dext_list_sort(names);
        return r;
}
