/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that break the protocol of loans, ask for what is not theirs, or for too much: refused or cut off with one line in the log,
 * the program lives and its calls go on, and no file that they ever got holds a byte that was not described.
 */
#include <sched.h>

#include "client/test-loan.h"

#define OWN AMB_LOAN_HOST_TICKET                        /* a ticket of the host's */

static struct lender lender;
static FILE *logged;

static const char canary[] = "Kanarienvogel-4711";

static void setup(void)
{
        logged = tmpfile();
        ck_assert_int_ge(dup2(fileno(logged), STDERR_FILENO), 0);
        lender_open(&lender);
        lender.borrower->hoards = true;
}

static size_t lines(const char *word)
{
        char line[1000];
        size_t count = 0;

        rewind(logged);
        while (fgets(line, sizeof(line), logged))
                count += strstr(line, word) != NULL;
        return count;
}

/* Calls go on, and so does another connection. */
static void check_alive(bool loans_too)
{
        static char in[8192], out[8192];
        static struct lender other;
        uint64_t one = 1, two = 0;
        uint32_t count = 1;
        size_t size = sizeof(out);

        ck_assert_int_eq(IOConnectCallScalarMethod(lender.handle, HOST_ADD_ONE, &one, 1, &two, &count), 0);
        ck_assert_uint_eq(two, 2);
        if (loans_too)
                ck_assert_int_eq(IOConnectCallStructMethod(lender.handle, HOST_ECHO, in, sizeof(in), out, &size), 0);
        lender_open(&other);
        ck_assert_int_eq(IOConnectCallStructMethod(other.handle, HOST_ECHO, in, sizeof(in), out, &size), 0);
        lender_close(&other);
}

static void check_cut_off(void)
{
        struct pollfd end = { .fd = lender.borrower->socket, .events = POLLIN };
        struct amb_loan_message m;
        int fd, r;

        do {
                poll(&end, 1, -1);
                r = amb_loan_receive(lender.borrower->socket, &m, &fd);
                if (r == 0)
                        amb_fd_close(fd);
        } while (r == 0 || r == AMB_PACKET_NOTHING);
        ck_assert_int_eq(r, AMB_PACKET_END);
        check_alive(false);
        ck_assert_uint_eq(lines("broke the protocol of borrowed memory"), 1);
        lender_close(&lender);
        fclose(logged);
}

static void check_fine(void)
{
        check_alive(true);
        lender_close(&lender);
        ck_assert_uint_eq(lines("broke the protocol"), 0);
        fclose(logged);
}

static void check_unsuitable(uint32_t ticket, uint32_t options, const struct amb_loan_segment *segments, uint32_t count)
{
        struct borrowed borrowed;

        ck_assert(borrower_borrow(lender.borrower, ticket, options, segments, count, &borrowed));
        ck_assert_int_eq(borrowed.code, AMB_LOAN_UNSUITABLE);
        ck_assert_uint_eq(borrowed.count, 0);
}

/* --- tickets --- */

START_TEST(tickets_that_are_not)
{
        size_t size = 4 * page_bytes();
        char *at = pages(4);
        struct amb_loan_segment segment = { (uintptr_t)at, size };
        struct borrowed borrowed;

        setup();
        check_unsuitable(0, 0, NULL, 0);
        check_unsuitable(1, 0, NULL, 0);
        check_unsuitable(77, OUTPUT, &segment, 1);      /* not a number of its own */
        check_unsuitable(OWN | 5, OUTPUT, NULL, 0);     /* nothing described */
        lend(&lender, at, size, OUTPUT, &borrowed);
        unlend(&lender, &borrowed);
        check_unsuitable(borrowed.ticket, 0, NULL, 0);  /* the call has ended */
        check_unsuitable(borrowed.ticket, OUTPUT, &segment, 1);
        check_fine();
        munmap(at, size);
}
END_TEST

/*
 * An input can be read, as a copy or as what it is, whatever a host says of it that may not name memory; and its place and length
 * are the app's word.
 */
START_TEST(other_options)
{
        size_t size = 4 * page_bytes();
        char *at = pages(6), *wanted = at + page_bytes();
        struct amb_loan_segment segment = { (uintptr_t)at, 6 * page_bytes() };
        struct borrowed borrowed;
        struct amb_range range;
        uint32_t ticket;

        host_names_memory = false;
        setup();
        strcpy(at, canary);
        strcpy(at + 5 * page_bytes(), canary);
        ck_assert_int_eq(amb_loan_begin(lender.connection, wanted, size, INPUT, &range), 0);
        ticket = range.id;
        for (int i = 0; i < 3; i++) {
                ck_assert(borrower_borrow(lender.borrower, ticket, OUTPUT, &segment, 1, &borrowed));
                ck_assert_int_eq(borrowed.code, 0);
                ck_assert_uint_eq(borrowed.options, INPUT | AMB_LOAN_SHARED);
                ck_assert_uint_eq(borrowed.length, size);
                ck_assert(!(borrowed.extents[0].options & AMB_LOAN_WRITABLE));
                borrowed_unmap(&borrowed);
        }
        for (uint32_t i = 0; i < lender.borrower->hoard_count; i++)
                ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, lender.borrower->hoard[i], 0), MAP_FAILED);
        amb_loan_end(lender.connection, ticket, false);
        ck_assert(!hoard_has(lender.borrower, canary, 8));
        check_fine();
        munmap(at, 6 * page_bytes());
}
END_TEST

START_TEST(segments)
{
        static const uint32_t too_many[] = { AMB_LOAN_SEGMENTS + 1, 1000, UINT32_MAX };
        size_t page = page_bytes();
        char *at = pages(8);
        struct amb_loan_segment many[AMB_LOAN_SEGMENTS];
        struct amb_loan_message m = { .kind = AMB_LOAN_BORROW, .serial = 9, .ticket = OWN | 8, .options = OUTPUT };
        struct borrowed borrowed;

        setup();
        /* 33: refused before anybody looks at the 33rd. */
        for (size_t i = 0; i < AMB_LOAN_SEGMENTS; i++)
                m.segments[i] = many[i] = (struct amb_loan_segment){ (uintptr_t)at + (i % 4) * 2 * page, page };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(too_many); i++) {
                struct amb_loan_message answer;
                int fd;

                m.count = too_many[i];
                ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, -1), 0);
                ck_assert(borrower_receive(lender.borrower, &answer, &fd));
                ck_assert_int_eq(answer.code, AMB_LOAN_UNSUITABLE);
        }
        many[1].length = UINT64_MAX - page;
        check_unsuitable(OWN | 1, OUTPUT, many, 2);
        many[1].length = AMB_LOAN_BYTES_MAX;
        check_unsuitable(OWN | 2, OUTPUT, many, 2);
        many[0].length = many[1].length = 0;
        check_unsuitable(OWN | 3, OUTPUT, many, 2);
        many[0].length = 100;                           /* the junction is not on a border */
        many[1].length = page;
        check_unsuitable(OWN | 4, OUTPUT, many, 2);
        many[0] = (struct amb_loan_segment){ UINTPTR_MAX - 2 * page + 1, page };
        check_unsuitable(OWN | 5, OUTPUT, many, 1);
        check_unsuitable(OWN | 5, INPUT, many, 1);
        /* Good ones: what they describe, in their order. */
        for (size_t i = 0; i < AMB_LOAN_SEGMENTS; i++)
                many[i] = (struct amb_loan_segment){ (uintptr_t)at + (i % 4) * 2 * page, page };
        for (size_t i = 0; i < 4; i++)
                memset(at + i * 2 * page, 'a' + (int)i, page);
        strcpy(at + page, canary);
        ck_assert(borrower_borrow(lender.borrower, OWN | 6, OUTPUT, many, AMB_LOAN_SEGMENTS, &borrowed));
        ck_assert_int_eq(borrowed.code, 0);
        ck_assert_uint_eq(borrowed.length, AMB_LOAN_SEGMENTS * page);
        for (size_t i = 0; i < AMB_LOAN_SEGMENTS; i++)
                ck_assert_int_eq(borrowed.memory[i * page + 5], 'a' + (int)(i % 4));
        borrower_return(lender.borrower, &borrowed);
        ck_assert(!hoard_has(lender.borrower, canary, 8));
        check_fine();
        ck_assert(is_private(at));
        munmap(at, 8 * page);
}
END_TEST

/* One segment is good, the next one is not: nothing has changed. */
START_TEST(half_good)
{
        size_t size = 4 * page_bytes();
        char *at = pages(4), *nothing = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct amb_loan_segment both[] = { { (uintptr_t)at, size }, { (uintptr_t)nothing, size } };
        int descriptors;

        setup();
        descriptors = process_descriptors(getpid());
        check_unsuitable(OWN | 1, OUTPUT, both, 2);
        check_unsuitable(OWN | 1, INPUT | AMB_LOAN_SHARED, both, 2);
        ck_assert(is_private(at));
        ck_assert_int_le(process_descriptors(getpid()), descriptors + 1);        /* userfaultfd's */
        check_fine();
        munmap(at, size);
        munmap(nothing, size);
}
END_TEST

/* More files in use than a host may have: the next mapping fails, the others go on. */
START_TEST(all_files_in_use)
{
        enum { COUNT = AMB_LOAN_FILES_MAX + 4 };
        size_t page = page_bytes();
        char *at = pages(2 * COUNT);
        static struct borrowed borrowed[COUNT];
        struct amb_loan_segment segment;

        setup();
        lender.borrower->hoards = false;
        for (uint32_t i = 0; i < COUNT; i++) {
                segment = (struct amb_loan_segment){ (uintptr_t)at + 2 * i * page, page };
                ck_assert(borrower_borrow(lender.borrower, OWN | (i + 1), OUTPUT, &segment, 1, &borrowed[i]));
                ck_assert_int_eq(borrowed[i].code, i < AMB_LOAN_FILES_MAX ? 0 : AMB_LOAN_UNSUITABLE);
        }
        ck_assert(is_private((void *)segment.address));
        for (uint32_t i = 0; i < AMB_LOAN_FILES_MAX; i++) {
                borrowed[i].memory[3] = (char)i;
                ck_assert_int_eq(at[2 * i * page + 3], (char)i);
        }
        borrower_return(lender.borrower, &borrowed[7]);
        ck_assert(borrower_borrow(lender.borrower, OWN | 999, OUTPUT, &segment, 1, &borrowed[7]));
        ck_assert_int_eq(borrowed[7].code, 0);
        ck_assert(is_private(at + 14 * page));
        borrower_return(lender.borrower, &borrowed[7]);
        check_fine();
        for (uint32_t i = 0; i < COUNT; i++) {
                borrowed_unmap(&borrowed[i]);
                ck_assert(is_private(at + 2 * i * page));
        }
        munmap(at, 2 * COUNT * page);
}
END_TEST

START_TEST(returned_twice)
{
        size_t size = 4 * page_bytes();
        char *at = pages(4);
        struct amb_loan_message m = { .kind = AMB_LOAN_RETURN };
        struct borrowed borrowed;
        struct amb_range range;
        uint32_t ticket;

        setup();
        ck_assert_int_eq(amb_loan_begin(lender.connection, at, size, OUTPUT, &range), 0);
        ticket = range.id;
        ck_assert(borrower_borrow(lender.borrower, ticket, 0, NULL, 0, &borrowed));
        borrower_return(lender.borrower, &borrowed);
        m.ticket = ticket;
        ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, -1), 0);
        ck_assert(borrower_barrier(lender.borrower));
        amb_loan_end(lender.connection, ticket, true);
        ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, -1), 0);
        check_unsuitable(ticket, 0, NULL, 0);
        m.ticket = OWN | 12345;
        ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, -1), 0);
        ck_assert(borrower_barrier(lender.borrower));
        check_fine();
        munmap(at, size);
}
END_TEST

/* Tickets of its own without end: there is one. Given back, there is room again. */
START_TEST(thousands)
{
        size_t size = page_bytes();
        char *at = pages(1);
        struct amb_loan_segment segment = { (uintptr_t)at, size };
        struct amb_loan_message m = { .kind = AMB_LOAN_RETURN };
        struct borrowed borrowed;
        uint32_t made = 0;
        int descriptors, mappings;

        setup();
        lender.borrower->hoards = false;
        strcpy(at, "once");
        descriptors = process_descriptors(getpid());
        mappings = count_mappings();
        for (uint32_t i = 1; i <= 5000; i++) {
                ck_assert(borrower_borrow(lender.borrower, OWN | i, OUTPUT, &segment, 1, &borrowed));
                made += borrowed.code == 0;
                borrowed_unmap(&borrowed);
        }
        ck_assert_uint_eq(made, 4096);
        ck_assert_int_le(process_descriptors(getpid()), descriptors + 4);        /* the file, here and there */
        ck_assert_int_le(count_mappings(), mappings + 8);
        for (uint32_t i = 1; i <= 5000; i++) {
                m.ticket = OWN | i;
                ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, -1), 0);
                if (i % 64 == 0)
                        ck_assert(borrower_barrier(lender.borrower));
        }
        ck_assert(borrower_barrier(lender.borrower));
        ck_assert(borrower_borrow(lender.borrower, OWN | 1, OUTPUT, &segment, 1, &borrowed));
        ck_assert_int_eq(borrowed.code, 0);
        ck_assert_str_eq(borrowed.memory, "once");
        borrower_return(lender.borrower, &borrowed);
        check_fine();
        munmap(at, size);
}
END_TEST

/* What was given for a ticket is taken back with it, also when it was asked for again, and that came to nothing. */
START_TEST(again_in_vain)
{
        size_t page = page_bytes();
        char *block = malloc(16 * page), *inside = (char *)(((uintptr_t)block + 4 * page) & ~(uintptr_t)(page - 1));
        struct borrowed borrowed, again;

        setup();
        amb_share_known_malloc = !AMB_SANITIZED;
        memset(block, 'a', 16 * page);
        lend(&lender, block, 16 * page, OUTPUT, &borrowed);
        ck_assert(!is_private(inside));
        ck_assert_int_eq(mprotect(inside, page, PROT_READ), 0);
        ck_assert(borrower_borrow(lender.borrower, borrowed.ticket, 0, NULL, 0, &again));
        ck_assert_int_eq(again.code, AMB_LOAN_UNSUITABLE);
        ck_assert_int_eq(mprotect(inside, page, PROT_READ | PROT_WRITE), 0);
        unlend(&lender, &borrowed);
        for (int i = -2; i < 8; i++)
                ck_assert(is_private(inside + i * (long)page));
        check_fine();
        free(block);
}
END_TEST

/* --- nonsense --- */

START_TEST(unknown_kind)
{
        static const uint32_t kinds[] = { 0, AMB_LOAN_ANSWER, AMB_LOAN_EXTENT, AMB_LOAN_DROP, 1000 };
        struct amb_loan_message m = { .kind = kinds[_i] };

        setup();
        ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, -1), 0);
        check_cut_off();
}
END_TEST

START_TEST(wrong_size)
{
        static const size_t sizes[] = { 1, sizeof(struct amb_loan_message) - 1, sizeof(struct amb_loan_message) + 1, 60000 };
        static char bytes[60000];

        setup();
        ck_assert_int_eq(send(lender.borrower->socket, bytes, sizes[_i], MSG_NOSIGNAL), (ssize_t)sizes[_i]);
        check_cut_off();
}
END_TEST

START_TEST(with_a_descriptor)
{
        struct amb_loan_message m = { .kind = AMB_LOAN_RETURN, .ticket = 1 };
        int descriptors;

        setup();
        descriptors = process_descriptors(getpid());
        ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, STDERR_FILENO), 0);
        check_cut_off();
        ck_assert_int_lt(process_descriptors(getpid()), descriptors);
}
END_TEST

/* What was shared is private again when the host has been cut off. */
START_TEST(cut_off_while_it_has)
{
        size_t size = 4 * page_bytes();
        char *at = pages(4);
        struct amb_loan_message m = { .kind = 99 };
        struct borrowed borrowed;

        setup();
        strcpy(at, "before");
        lend(&lender, at, size, OUTPUT, &borrowed);
        strcpy(borrowed.memory, "during");
        ck_assert_int_eq(amb_loan_send(lender.borrower->socket, &m, -1), 0);
        while (!is_private(at))
                sched_yield();
        strcpy(borrowed.memory, "after");
        ck_assert_str_eq(at, "during");
        unlend(&lender, &borrowed);
        check_cut_off();
        munmap(at, size);
}
END_TEST

/* Talks all the time: others get their turn, and a fork, and a call. */
struct talker {
        int socket;
        _Atomic bool stop;
};

static void *talk(void *context)
{
        struct amb_loan_message m = { .kind = AMB_LOAN_RETURN, .ticket = 3 };
        struct talker *talker = context;

        while (!talker->stop)
                (void)amb_loan_send(talker->socket, &m, -1);
        return NULL;
}

START_TEST(talks_all_the_time)
{
        struct talker talker = { 0 };
        pthread_t threads[2];

        setup();
        talker.socket = lender.borrower->socket;
        for (size_t i = 0; i < 2; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, talk, &talker), 0);
        for (int i = 0; i < 5; i++) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
                check_alive(false);
        }
        talker.stop = true;
        for (size_t i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        lender_close(&lender);
        fclose(logged);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("hostile", tickets_that_are_not, other_options, segments, half_good, all_files_in_use,
                                 returned_twice, thousands, again_in_vain, with_a_descriptor, cut_off_while_it_has,
                                 talks_all_the_time);

        set_time(tcase);
        tcase_add_loop_test(tcase, unknown_kind, 0, 5);
        tcase_add_loop_test(tcase, wrong_size, 0, 4);
        return run_cases("client-loan-hostile", tcase);
}
