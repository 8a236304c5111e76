/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of which memory when a driver maps it: exchanged, passed, copied, refused. Contract: memory-and-queues 4. */
#include <sys/resource.h>

#include "client/exchange.h"
#include "client/test-loan.h"

static struct lender lender;
static char data[3 * 4096 + 100] = "data";
static char bss[3 * 4096 + 100];
static const char rodata[3 * 4096 + 100] = "rodata";

static const char canary[] = "Kanarienvogel-0815";

static void setup(void)
{
        lender_open(&lender);
        lender.borrower->hoards = true;
}

/* A store of each side is seen by the other, at once or at the next border. */
static void check_shared(char *app, char *host, size_t length, bool at_once)
{
        for (size_t at = 0; at < length; at += 777) {
                app[at] = (char)(at / 777 + 1);
                if (!at_once)
                        border(&lender);
                ck_assert_int_eq(host[at], (char)(at / 777 + 1));
                host[at] = (char)(at / 777 + 2);
                if (!at_once)
                        border(&lender);
                ck_assert_int_eq(app[at], (char)(at / 777 + 2));
        }
}

static void check_output(void *at, size_t length, bool at_once)
{
        struct borrowed borrowed;
        char *before = malloc(length);

        memcpy(before, at, length);
        lend(&lender, at, length, OUTPUT, &borrowed);
        ck_assert_int_eq(borrowed.code, 0);
        ck_assert_uint_eq(borrowed.options, OUTPUT);
        ck_assert_mem_eq(borrowed.memory, before, length);
        check_shared(at, borrowed.memory, length, at_once);
        unlend(&lender, &borrowed);
        free(before);
}

static void check_refused(void *at, size_t length, uint32_t options)
{
        int mappings = count_mappings();
        struct borrowed borrowed;

        lend(&lender, at, length, options, &borrowed);
        ck_assert_int_eq(borrowed.code, AMB_LOAN_UNSUITABLE);
        unlend(&lender, &borrowed);
        ck_assert_int_eq(count_mappings(), mappings);
}

/* --- what is exchanged --- */

START_TEST(whole_pages)
{
        char *at = pages(5);

        setup();
        strcpy(at, "mine");
        check_output(at, 5 * page_bytes(), true);
        ck_assert(!is_private(at));             /* for the next time */
        lender_close(&lender);
        ck_assert(is_private(at));
        ck_assert_int_eq(at[0], 2);
        munmap(at, 5 * page_bytes());
}
END_TEST

/* Part-pages at both ends: what lies beside the buffer never gets into a file. */
START_TEST(neighbours)
{
        size_t length = 5 * page_bytes();
        char *block = pages(7), *at = block + 3000;
        struct borrowed borrowed;

        setup();
        memcpy(at - sizeof(canary), canary, sizeof(canary));
        memcpy(at + length, canary, sizeof(canary));
        for (int use = 0; use < 3; use++) {
                memset(at, 'a' + use, length);
                lend(&lender, at, length, use == 1 ? INPUT : OUTPUT, &borrowed);
                ck_assert_mem_eq(borrowed.memory, at, length);
                if (use != 1) {
                        borrowed.memory[0] = borrowed.memory[length - 1] = 'z';
                        /* Where the neighbours would be: the host may write it, and nobody minds. */
                        borrowed.memory[-1] = borrowed.memory[length] = 'X';
                        border(&lender);
                        ck_assert_int_eq(at[0], 'z');
                        ck_assert_int_eq(at[length - 1], 'z');
                }
                unlend(&lender, &borrowed);
                ck_assert_mem_eq(at - sizeof(canary), canary, sizeof(canary));
                ck_assert_mem_eq(at + length, canary, sizeof(canary));
        }
        ck_assert(!hoard_has(lender.borrower, canary, 8));
        lender_close(&lender);
        ck_assert(is_private(block + page_bytes()));
        munmap(block, 7 * page_bytes());
}
END_TEST

/* Inside one page, and over one border: nothing to exchange. */
START_TEST(small)
{
        char *block = pages(3);
        struct borrowed borrowed;

        setup();
        memcpy(block + 100 - sizeof(canary), canary, sizeof(canary));
        memcpy(block + 5100, canary, sizeof(canary));
        lend(&lender, block + 100, 5000, OUTPUT, &borrowed);
        check_shared(block + 100, borrowed.memory, 5000, false);
        ck_assert(is_private(block));
        unlend(&lender, &borrowed);
        ck_assert(!hoard_has(lender.borrower, canary, 8));
        lender_close(&lender);
        munmap(block, 3 * page_bytes());
}
END_TEST

START_TEST(allocated)
{
        char *at = malloc(300001);

        setup();
        memset(at, 7, 300001);
        check_output(at, 300001, false);
        lender_close(&lender);
        free(at);
}
END_TEST

START_TEST(stack)
{
        size_t size = 5 * page_bytes();
        char *buffer = alloca(size);            /* no array: sanitizers put these elsewhere */

        setup();
        memset(buffer, 's', size);
        check_output(buffer, size, false);
        /* Other frames come to lie there. */
        ck_assert(is_private(buffer + size / 2));
        ck_assert_int_eq(buffer[1], 's');
        lender_close(&lender);
}
END_TEST

START_TEST(program_data)
{
        struct borrowed borrowed;

        setup();
        check_output(data, sizeof(data), false);
        check_output(bss, sizeof(bss), false);
        lend(&lender, rodata, sizeof(rodata), INPUT, &borrowed);
        ck_assert_mem_eq(borrowed.memory, rodata, sizeof(rodata));
        unlend(&lender, &borrowed);
        check_refused((void *)(uintptr_t)rodata, sizeof(rodata), OUTPUT);
        lender_close(&lender);
}
END_TEST

/* --- what is refused --- */

START_TEST(unsuitable)
{
        size_t page = page_bytes();
        struct borrowed small;
        char *at = pages(8);

        setup();
        memset(at, 'u', 8 * page);
        /* The place for small inputs is made once. */
        lend(&lender, at, page + 1, INPUT, &small);
        unlend(&lender, &small);
        ck_assert_int_eq(mprotect(at + 3 * page, page, PROT_READ), 0);
        check_refused(at, 8 * page, OUTPUT);
        ck_assert_int_eq(mprotect(at + 3 * page, page, PROT_NONE), 0);
        check_refused(at, 8 * page, OUTPUT);
        check_refused(at, 8 * page, INPUT);
        ck_assert_int_eq(munmap(at + 3 * page, page), 0);
        check_refused(at, 8 * page, OUTPUT);
        check_refused(at, 8 * page, INPUT);
        check_refused((void *)16, 8 * page, OUTPUT);
        check_refused((void *)16, 8 * page, INPUT);
        ck_assert(is_private(at));
        ck_assert_int_eq(at[0], 'u');
        ck_assert_int_eq(at[4 * page], 'u');
        lender_close(&lender);
        munmap(at, 8 * page);
}
END_TEST

/* A buffer that has been an output and is read-only by now is none any more. */
START_TEST(rights_change)
{
        size_t page = page_bytes();
        char *at = pages(4);
        struct borrowed borrowed;

        setup();
        check_output(at, 4 * page, true);
        ck_assert_int_eq(mprotect(at, 4 * page, PROT_READ), 0);
        lend(&lender, at, 4 * page, OUTPUT, &borrowed);
        ck_assert_int_eq(borrowed.code, AMB_LOAN_UNSUITABLE);
        unlend(&lender, &borrowed);
        lender_close(&lender);
        munmap(at, 4 * page);
}
END_TEST

/* --- shared mappings --- */

START_TEST(shared_anonymous)
{
        size_t size = 4 * page_bytes();
        char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        setup();
        check_output(at, size, false);
        lender_close(&lender);
        munmap(at, size);
}
END_TEST

START_TEST(whole_memfd)
{
        size_t size = 4 * page_bytes();
        int fd = memfd_create("whole", MFD_CLOEXEC);
        struct borrowed borrowed;
        char *at;

        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        setup();
        check_output(at, size, true);
        lend(&lender, at, size, OUTPUT, &borrowed);
        ck_assert_uint_eq(borrowed.count, 1);
        ck_assert(borrowed.extents[0].options & AMB_LOAN_OPEN);
        ck_assert_uint_eq(lender.borrower->new_files, 1);
        unlend(&lender, &borrowed);
        lender_close(&lender);
        munmap(at, size);
        close(fd);
}
END_TEST

/* It has become longer: another file for the host. */
START_TEST(memfd_grows)
{
        size_t size = 4 * page_bytes();
        int fd = memfd_create("grows", MFD_CLOEXEC);
        struct borrowed borrowed;
        char *at;

        setup();
        for (size_t length = size; length <= 2 * size; length += size) {
                ck_assert_int_eq(ftruncate(fd, (off_t)length), 0);
                at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                check_output(at, length, true);
                lend(&lender, at, length, OUTPUT, &borrowed);
                ck_assert_uint_eq(borrowed.extents[0].size, length);
                ck_assert(borrowed.extents[0].options & AMB_LOAN_OPEN);
                unlend(&lender, &borrowed);
                munmap(at, length);
        }
        ck_assert_uint_eq(lender.borrower->drops, 1);
        lender_close(&lender);
        close(fd);
}
END_TEST

/* Only a part of it is described: the file is not given. */
START_TEST(part_of_a_memfd)
{
        size_t page = page_bytes();
        int fd = memfd_create("part", MFD_CLOEXEC);
        char *at;

        ck_assert_int_eq(ftruncate(fd, (off_t)(8 * page)), 0);
        at = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        strcpy(at, canary);
        strcpy(at + 7 * page, canary);
        setup();
        check_output(at + 2 * page, 4 * page, false);
        ck_assert(!hoard_has(lender.borrower, canary, 8));
        ck_assert_str_eq(at, canary);
        lender_close(&lender);
        munmap(at, 8 * page);
        close(fd);
}
END_TEST

/* An input does not make a file writable that the program has: not even by opening it anew. */
START_TEST(input_stays_input)
{
        size_t size = 2u << 20;
        int fd = memfd_create("input", MFD_CLOEXEC);
        char *at, path[64];

        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        memset(at, 'i', size);
        setup();
        for (int use = 0; use < 4; use++) {
                struct borrowed borrowed;

                lend(&lender, at, size, INPUT, &borrowed);
                ck_assert_mem_eq(borrowed.memory, at, size);
                unlend(&lender, &borrowed);
        }
        for (uint32_t i = 0; i < lender.borrower->hoard_count; i++) {
                int again;

                snprintf(path, sizeof(path), "/proc/self/fd/%d", lender.borrower->hoard[i]);
                again = open(path, O_RDWR | O_CLOEXEC);
                if (again >= 0) {
                        (void)!pwrite(again, "X", 1, 0);
                        close(again);
                }
        }
        ck_assert_int_eq(at[0], 'i');
        lender_close(&lender);
        munmap(at, size);
        close(fd);
}
END_TEST

/* None of what the host ever got can be mapped to be written. */
static void check_hoard_closed(struct borrower *b)
{
        for (uint32_t i = 0; i < b->hoard_count; i++)
                ck_assert_ptr_eq(mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, b->hoard[i], 0), MAP_FAILED);
}

/*
 * An input that a device works on: asked for as what it is, it is the memory itself; to write only where the host may name any
 * memory of the app's. It stays that after the call when the driver keeps it.
 */
static void check_input_itself(char *at, size_t length, bool named)
{
        struct borrowed snapshot, itself;

        memset(at, 'a', length);
        lend(&lender, at, length, INPUT, &snapshot);
        ck_assert_mem_eq(snapshot.memory, at, length);
        ck_assert(borrower_borrow(lender.borrower, snapshot.ticket, AMB_LOAN_IN | AMB_LOAN_OUT | AMB_LOAN_SHARED, NULL, 0,
                                  &itself));
        ck_assert_int_eq(itself.code, 0);
        ck_assert_uint_eq(itself.length, length);
        ck_assert_uint_eq(itself.options, AMB_LOAN_OUT | AMB_LOAN_SHARED | (named ? AMB_LOAN_IN : 0));
        amb_loan_end(lender.connection, itself.ticket, true);
        for (size_t i = 0; i < length; i += 777) {
                at[i] = 'b';
                border(&lender);
                ck_assert_int_eq(itself.memory[i], 'b');
        }
        at[length - 1] = 'c';
        border(&lender);
        ck_assert_int_eq(itself.memory[length - 1], 'c');
        if (named) {
                itself.memory[1] = itself.memory[length / 2] = 'd';
                border(&lender);
                ck_assert(at[1] == 'd' && at[length / 2] == 'd');
        }
        borrowed_unmap(&snapshot);
        borrower_return(lender.borrower, &itself);
        ck_assert_int_eq(at[0], 'b');
}

START_TEST(input_itself)
{
        size_t big = 2u << 20;
        char *block = pages(8), *heap = malloc(20000), *huge = pages(big / page_bytes());
        struct borrowed borrowed;

        host_names_memory = false;
        setup();
        for (int use = 0; use < 2; use++) {
                check_input_itself(block, 8 * page_bytes(), false);            /* whole pages */
                /* A small one: the host has the file that it is copied to. */
                check_input_itself(block + 100, 5000, false);
                check_input_itself(heap + 1, 19000, false);
                check_input_itself(huge, big, false);                          /* the second time exchanged for the snapshot */
        }
        /* Whole pages are seen at once. */
        lend(&lender, block, 2 * page_bytes(), INPUT, &borrowed);
        borrowed_unmap(&borrowed);
        ck_assert(borrower_borrow(lender.borrower, borrowed.ticket, AMB_LOAN_SHARED, NULL, 0, &borrowed));
        block[5] = 'd';
        ck_assert_int_eq(borrowed.memory[5], 'd');
        unlend(&lender, &borrowed);
        check_hoard_closed(lender.borrower);
        lender_close(&lender);
        host_names_memory = true;
        setup();
        check_input_itself(block, 8 * page_bytes(), true);
        check_input_itself(heap + 1, 19000, true);
        check_input_itself(huge, big, true);
        /* What the app cannot write itself is to be read, whoever asks. */
        lend(&lender, rodata, sizeof(rodata), INPUT, &borrowed);
        borrowed_unmap(&borrowed);
        ck_assert(borrower_borrow(lender.borrower, borrowed.ticket, AMB_LOAN_IN | AMB_LOAN_SHARED, NULL, 0, &borrowed));
        ck_assert_int_eq(borrowed.code, 0);
        ck_assert_uint_eq(borrowed.options, INPUT | AMB_LOAN_SHARED);
        ck_assert_mem_eq(borrowed.memory, rodata, sizeof(rodata));
        unlend(&lender, &borrowed);
        lender_close(&lender);
        ck_assert(is_private(block));
        free(heap);
        munmap(block, 8 * page_bytes());
        munmap(huge, big);
}
END_TEST

START_TEST(file_on_disk)
{
        size_t size = 4 * page_bytes();
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        char *reader = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        struct borrowed borrowed;

        setup();
        check_output(at, size, false);
        lend(&lender, reader, size, INPUT, &borrowed);
        ck_assert_mem_eq(borrowed.memory, reader, size);
        unlend(&lender, &borrowed);
        check_refused(reader, size, OUTPUT);
        lender_close(&lender);
        munmap(at, size);
        munmap(reader, size);
        close(fd);
}
END_TEST

/* Private, a file's, shared, and private again in one range. */
START_TEST(mixed)
{
        size_t page = page_bytes();
        int fd = memfd_create("mixed", MFD_CLOEXEC);
        char *at = pages(16);

        ck_assert_int_eq(ftruncate(fd, (off_t)(4 * page)), 0);
        ck_assert_ptr_eq(mmap(at + 4 * page, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), at + 4 * page);
        ck_assert_ptr_eq(mmap(at + 8 * page, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                         at + 8 * page);
        setup();
        check_output(at + 50, 16 * page - 100, false);
        lender_close(&lender);
        for (size_t i = 0; i < 16; i++)
                ck_assert(is_private(at + i * page) == (i < 4 || i >= 10));
        munmap(at, 16 * page);
        close(fd);
}
END_TEST

/* --- again --- */

/* Whole pages that malloc has nothing to do with, again: one question, the same file, no descriptor. */
START_TEST(again)
{
        size_t length = 64 * page_bytes();
        char *block = pages(64);
        uint32_t id = 0;

        setup();
        for (int use = 0; use < 20; use++) {
                struct borrowed borrowed;

                lend(&lender, block, length, OUTPUT, &borrowed);
                ck_assert_uint_eq(borrowed.count, 1);
                if (use > 0)
                        ck_assert_uint_eq(borrowed.extents[0].ticket, id);
                id = borrowed.extents[0].ticket;
                unlend(&lender, &borrowed);
        }
        ck_assert_uint_eq(lender.borrower->new_files, 1);
        ck_assert(!is_private(block + page_bytes()));
        lender_close(&lender);
        munmap(block, length);
}
END_TEST

/* So does a block that glibc's malloc has mapped by itself. */
START_TEST(again_mapped_block)
{
        size_t length = 100 * page_bytes();
        char *block = malloc(length);
        struct borrowed borrowed;

        setup();
        for (int use = 0; use < 5 && !AMB_SANITIZED; use++) {
                lend(&lender, block, length, OUTPUT, &borrowed);
                unlend(&lender, &borrowed);
                ck_assert(!is_private(block + page_bytes()));
        }
        ck_assert(AMB_SANITIZED || lender.borrower->new_files == 1);
        lender_close(&lender);
        free(block);
}
END_TEST

/*
 * What a host still has must not become other memory of the app's: a block of the heap is private again at once, whatever comes to
 * lie there.
 */
START_TEST(heap_comes_back)
{
        size_t length = 16 * page_bytes();
        char *block = malloc(length), *other;
        struct borrowed borrowed;

        setup();
        amb_share_known_malloc = !AMB_SANITIZED;
        for (int use = 0; use < 10; use++) {
                memset(block, 'a', length);
                lend(&lender, block, length, OUTPUT, &borrowed);
                ck_assert(!is_private(block + page_bytes()));
                unlend(&lender, &borrowed);
                ck_assert(is_private(block + page_bytes()));
        }
        free(block);
        other = malloc(length);
        memset(other, 's', length);
        ck_assert(is_private(other + page_bytes()));
        lender_close(&lender);
        free(other);
}
END_TEST

/* Other memory at the same address is not the old file. */
START_TEST(mapped_anew)
{
        size_t length = 16 * page_bytes();
        char *at = pages(16);
        struct borrowed borrowed;
        uint32_t id;

        setup();
        lend(&lender, at, length, OUTPUT, &borrowed);
        id = borrowed.extents[0].ticket;
        unlend(&lender, &borrowed);
        ck_assert_ptr_eq(mmap(at, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), at);
        strcpy(at, "new");
        lend(&lender, at, length, OUTPUT, &borrowed);
        ck_assert_str_eq(borrowed.memory, "new");
        ck_assert_uint_ne(borrowed.extents[0].ticket, id);
        check_shared(at, borrowed.memory, length, true);
        ck_assert_uint_eq(lender.borrower->drops, 1);
        unlend(&lender, &borrowed);
        lender_close(&lender);
        munmap(at, length);
}
END_TEST

/* An input for a long time, then an output: the file that nobody could write is replaced. */
START_TEST(input_then_output)
{
        size_t length = 2u << 20;
        char *at = pages(length / page_bytes());
        struct borrowed borrowed;

        setup();
        for (int use = 0; use < 3; use++) {
                memset(at, 'a' + use, length);
                lend(&lender, at, length, INPUT, &borrowed);
                ck_assert_mem_eq(borrowed.memory, at, length);
                ck_assert(!(borrowed.extents[0].options & AMB_LOAN_WRITABLE));
                unlend(&lender, &borrowed);
        }
        for (uint32_t i = 0; i < lender.borrower->hoard_count; i++)
                ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, lender.borrower->hoard[i], 0), MAP_FAILED);
        check_output(at, length, true);
        lend(&lender, at, length, INPUT, &borrowed);
        ck_assert_mem_eq(borrowed.memory, at, length);
        unlend(&lender, &borrowed);
        lender_close(&lender);
        munmap(at, length);
}
END_TEST

/* Two tickets whose ranges overlap, at the same time; and a second host with another part. */
START_TEST(overlapping)
{
        static struct lender second;
        size_t page = page_bytes();
        char *at = pages(16);
        struct borrowed first, other, third;

        setup();
        lender_open(&second);
        second.borrower->hoards = true;
        memset(at, 'o', 16 * page);
        strcpy(at + 15 * page, canary);
        lend(&lender, at + 10, 10 * page, OUTPUT, &first);
        lend(&lender, at + 5 * page + 20, 10 * page, OUTPUT, &other);
        ck_assert_mem_eq(other.memory, at + 5 * page + 20, 10 * page);
        other.memory[page] = 'p';
        border(&lender);
        ck_assert_int_eq(at[6 * page + 20], 'p');
        ck_assert_int_eq(first.memory[6 * page + 10], 'p');
        strcpy(at + 2 * page, canary);
        lend(&second, at + 4 * page, 4 * page, OUTPUT, &third);
        ck_assert_mem_eq(third.memory, at + 4 * page, 4 * page);
        third.memory[7] = 't';
        border(&second);
        ck_assert_int_eq(at[4 * page + 7], 't');
        ck_assert(!hoard_has(second.borrower, canary, 8));
        unlend(&second, &third);
        unlend(&lender, &first);
        other.memory[3 * page] = 'q';
        border(&lender);
        ck_assert_int_eq(at[8 * page + 20], 'q');
        unlend(&lender, &other);
        lender_close(&second);
        lender_close(&lender);
        for (size_t i = 0; i < 16; i++)
                ck_assert(is_private(at + i * page));
        munmap(at, 16 * page);
}
END_TEST

/* --- copied parts --- */

START_TEST(merge)
{
        static char before[6000];
        char *app = data + 1;
        struct borrowed borrowed;

        setup();
        memset(app, 'm', 6000);
        memcpy(before, app, 6000);
        lend(&lender, app, 6000, OUTPUT, &borrowed);
        app[1] = 'a';                   /* one side each, side by side */
        borrowed.memory[2] = 'h';
        app[3] = 'A';                   /* both: the app's stays */
        borrowed.memory[3] = 'H';
        borrowed.memory[5999] = 'e';
        border(&lender);
        ck_assert_mem_eq(app, "mahAmm", 6);
        ck_assert_mem_eq(borrowed.memory, "mahAmm", 6);
        ck_assert_int_eq(app[5999], 'e');
        /* Agreed since: the host's next store counts, also back to what it was. */
        borrowed.memory[3] = 'm';
        app[2] = 'm';
        border(&lender);
        ck_assert_mem_eq(app, "mammmm", 6);
        ck_assert_mem_eq(borrowed.memory, "mammmm", 6);
        /* The call's end is a border. */
        borrowed.memory[4] = 'l';
        unlend(&lender, &borrowed);
        ck_assert_int_eq(app[4], 'l');
        lender_close(&lender);
}
END_TEST

/* --- what stays as it was --- */

START_TEST(locked)
{
        size_t length = 16 * page_bytes();
        char *at = pages(16);
        unsigned long kib;

        if (AMB_SANITIZED)
                return;
        setup();
        ck_assert_int_eq(mlock(at, length), 0);
        kib = process_status(getpid(), "VmLck");
        ck_assert_uint_ge(kib, length / 1024);
        check_output(at, length, true);
        ck_assert(!is_private(at));
        ck_assert_uint_eq(process_status(getpid(), "VmLck"), kib);
        lender_close(&lender);
        ck_assert(is_private(at));
        ck_assert_uint_eq(process_status(getpid(), "VmLck"), kib);
        munmap(at, length);
}
END_TEST

/* More files than a host may have: the ones longest unused go. */
START_TEST(many_files)
{
        enum { COUNT = AMB_LOAN_FILES_MAX + 50 };
        size_t length = 2 * page_bytes();
        int descriptors;
        char *at = pages(COUNT * 4);
        struct borrowed borrowed;

        setup();
        lender.borrower->hoards = false;
        for (size_t i = 0; i < COUNT; i++) {
                lend(&lender, at + i * 4 * page_bytes(), length, OUTPUT, &borrowed);
                ck_assert_int_eq(borrowed.code, 0);
                unlend(&lender, &borrowed);
        }
        ck_assert(borrower_barrier(lender.borrower));
        ck_assert_uint_eq(lender.borrower->file_count, AMB_LOAN_FILES_MAX);
        ck_assert(is_private(at));
        ck_assert(!is_private(at + (COUNT - 1) * 4 * page_bytes()));
        descriptors = process_descriptors(getpid());
        lender_close(&lender);
        ck_assert_int_le(process_descriptors(getpid()), descriptors - 2 * AMB_LOAN_FILES_MAX);
        for (size_t i = 0; i < COUNT; i++)
                ck_assert(is_private(at + i * 4 * page_bytes()));
        munmap(at, COUNT * 4 * page_bytes());
}
END_TEST

/* A range of more pieces than an answer has extents is refused, and no piece stays a file. */
START_TEST(many_pieces)
{
        size_t page = page_bytes();
        char *at = pages(400);
        struct borrowed borrowed;

        setup();
        for (size_t i = 0; i < 100; i++)
                ck_assert_ptr_ne(mmap(at + (4 * i + 2) * page, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
                                      -1, 0), MAP_FAILED);
        lend(&lender, at, 400 * page, OUTPUT, &borrowed);
        ck_assert_int_eq(borrowed.code, AMB_LOAN_UNSUITABLE);
        unlend(&lender, &borrowed);
        ck_assert(is_private(at));
        lender_close(&lender);
        munmap(at, 400 * page);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("client-loan", whole_pages, neighbours, small, allocated, stack, program_data, unsuitable,
                                 rights_change, shared_anonymous, whole_memfd, memfd_grows, part_of_a_memfd, input_stays_input,
                                 input_itself, file_on_disk, mixed, again, heap_comes_back, again_mapped_block, mapped_anew,
                                 input_then_output, overlapping, merge, locked, many_files, many_pieces);

        set_time(tcase);
        return run_cases("client-loan", tcase);
}
