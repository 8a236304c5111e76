/* SPDX-License-Identifier: Apache-2.0 */
/* Loans that end in other ways than with the call: a fork, the end of a connection; and where userfaultfd is forbidden. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "client/exchange.h"
#include "client/test-loan.h"

static struct lender lender;

static void setup(void)
{
        lender_open(&lender);
        lender.borrower->hoards = true;
}

static void await_child(pid_t pid)
{
        int status;

        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
}

#define CHILD_CHECK(what)                                                                                               \
        do {                                                                                                            \
                if (!(what)) {                                                                                          \
                        fprintf(stderr, "child: %s:%d: %s\n", __FILE__, __LINE__, #what);                               \
                        _exit(1);                                                                                       \
                }                                                                                                       \
        } while (0)

/* From now on this system call fails with EPERM; clone only where it is a fork. */
static void forbid_call(long number)
{
        struct sock_filter steps[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VM, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = AMB_ARRAY_LENGTH(steps), .filter = steps };

        ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* --- fork --- */

/* The child's memory is its own, with the contents of the fork; the parent's stays shared with the driver. */
START_TEST(forked)
{
        size_t length = 300 * page_bytes();
        char *block = pages(302), *at = block + 200;
        struct borrowed borrowed;
        pid_t pid;

        setup();
        memset(at, 'f', length);
        lend(&lender, at, length, OUTPUT, &borrowed);
        for (int i = 0; i < 5; i++) {
                memset(at, 'f', length);
                pid = fork();
                if (pid == 0) {
                        CHILD_CHECK(is_private(block + page_bytes()));
                        CHILD_CHECK(is_private(block + 300 * page_bytes()));
                        for (size_t k = 0; k < length; k++)
                                CHILD_CHECK(at[k] == 'f');
                        memset(at, 'c', length);
                        _exit(0);
                }
                /* At once: what the parent stores after the fork is not the child's. */
                memset(at, 'p', length);
                await_child(pid);
                ck_assert_int_eq(at[100], 'p');
                ck_assert(!is_private(block + page_bytes()));
                borrowed.memory[page_bytes()] = 'd';
                ck_assert_int_eq(at[page_bytes()], 'd');
        }
        unlend(&lender, &borrowed);
        lender_close(&lender);
        munmap(block, 302 * page_bytes());
}
END_TEST

/* A child that opens connections of its own lends the same buffer, with part-pages at the same places. */
START_TEST(forked_lends)
{
        size_t length = 5 * page_bytes();
        char *block = pages(7), *at = block + 3000;
        struct borrowed borrowed;
        pid_t pid;

        setup();
        memset(at, 'f', length);
        lend(&lender, at, length, OUTPUT, &borrowed);
        pid = fork();
        if (pid == 0) {
                static struct lender own;
                struct borrowed mine;

                lender_open(&own);
                memset(at, 'c', length);
                lend(&own, at, length, OUTPUT, &mine);
                CHILD_CHECK(memcmp(mine.memory, at, length) == 0);
                memset(mine.memory, 'd', length);
                unlend(&own, &mine);
                CHILD_CHECK(at[0] == 'd' && at[length / 2] == 'd' && at[length - 1] == 'd');
                lender_close(&own);
                CHILD_CHECK(is_private(block + page_bytes()));
                _exit(0);
        }
        await_child(pid);
        ck_assert_mem_eq(borrowed.memory, at, length);
        ck_assert_int_eq(at[0], 'f');
        unlend(&lender, &borrowed);
        lender_close(&lender);
        munmap(block, 7 * page_bytes());
}
END_TEST

/* What the driver has kept lies in a frame of the thread that forks: both processes run on. */
START_TEST(forked_on_stack)
{
        size_t size = 6 * page_bytes();
        char *buffer = alloca(size);            /* no array: sanitizers put these elsewhere */
        struct borrowed borrowed;
        pid_t pid;

        setup();
        memset(buffer, 's', size);
        lend(&lender, buffer, size, OUTPUT, &borrowed);
        ck_assert(!is_private(buffer + size / 2));
        pid = fork();
        if (pid == 0) {
                CHILD_CHECK(is_private(buffer + size / 2));
                CHILD_CHECK(buffer[0] == 's' && buffer[size / 2] == 's' && buffer[size - 1] == 's');
                memset(buffer, 'c', size);
                _exit(0);
        }
        await_child(pid);
        ck_assert_int_eq(buffer[size / 2], 's');
        unlend(&lender, &borrowed);
        ck_assert(is_private(buffer + size / 2));
        ck_assert_int_eq(buffer[size / 2], 's');
        lender_close(&lender);
}
END_TEST

/* Forks that fail leave everything as it was, and nobody waits. */
START_TEST(fork_fails)
{
        size_t length = 16 * page_bytes();
        char *at = pages(16);
        struct borrowed borrowed;

        setup();
        lend(&lender, at, length, OUTPUT, &borrowed);
        forbid_call(SYS_clone);
        ck_assert_int_eq(fork(), -1);
        at[5] = 'x';
        ck_assert_int_eq(borrowed.memory[5], 'x');
        unlend(&lender, &borrowed);
        lender_close(&lender);
        munmap(at, length);
}
END_TEST

/* --- ends --- */

/* The last connection that was given a buffer: then it is the program's own again; also if the ticket never was given back. */
START_TEST(connections_end)
{
        static struct lender second;
        size_t length = 8 * page_bytes();
        char *at = pages(8);
        struct borrowed one, two;

        setup();
        lender_open(&second);
        memset(at, 'e', length);
        lend(&lender, at, length, OUTPUT, &one);
        lend(&second, at, length, OUTPUT, &two);
        one.memory[0] = '1';
        ck_assert_int_eq(two.memory[0], '1');           /* the same memory */
        borrowed_unmap(&one);
        lender_close(&lender);
        ck_assert(!is_private(at));
        two.memory[1] = '2';
        ck_assert_int_eq(at[1], '2');
        borrowed_unmap(&two);
        lender_close(&second);
        ck_assert(is_private(at));
        ck_assert_mem_eq(at, "12ee", 4);
        munmap(at, length);
}
END_TEST

/* The program has unmapped a lent buffer in part, or moved it: what is left is given back, nothing else is touched. */
START_TEST(unmapped_meanwhile)
{
        size_t page = page_bytes();
        char *at = pages(8), *other;
        struct borrowed borrowed;

        setup();
        memset(at, 'u', 8 * page);
        lend(&lender, at, 8 * page, OUTPUT, &borrowed);
        ck_assert_int_eq(munmap(at + 2 * page, page), 0);
        other = mmap(at + 5 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        strcpy(other, "other");
        borrowed.memory[7 * page] = 'v';
        unlend(&lender, &borrowed);
        lender_close(&lender);
        for (size_t i = 0; i < 8; i++) {
                struct amb_vma vma;

                if (i == 2)
                        ck_assert_int_eq(amb_vma_find((uintptr_t)at + i * page, &vma), AMB_VMA_NONE);
                else
                        ck_assert(is_private(at + i * page));
        }
        ck_assert_str_eq(other, "other");
        ck_assert_int_eq(at[7 * page], 'v');
        munmap(at, 8 * page);
}
END_TEST

/* Pages that the program has closed to itself are private again too: what it opens and stores later is not the host's. */
START_TEST(closed_meanwhile)
{
        size_t page = page_bytes();
        char *at = pages(8);
        struct borrowed borrowed;

        setup();
        memset(at, 'c', 8 * page);
        lend(&lender, at, 8 * page, OUTPUT, &borrowed);
        ck_assert_int_eq(mprotect(at + 2 * page, page, PROT_NONE), 0);
        ck_assert_int_eq(mprotect(at + 4 * page, page, PROT_READ), 0);
        unlend(&lender, &borrowed);
        lender_close(&lender);
        for (size_t i = 0; i < 8; i++) {
                struct amb_vma vma;

                ck_assert(is_private(at + i * page));
                ck_assert_int_eq(amb_vma_find((uintptr_t)at + i * page, &vma), 0);
                ck_assert_int_eq(vma.readable, i != 2);
                ck_assert_int_eq(vma.writable, i != 2 && i != 4);
        }
        ck_assert_int_eq(mprotect(at, 8 * page, PROT_READ | PROT_WRITE), 0);
        for (size_t i = 0; i < 8 * page; i++)
                ck_assert_int_eq(at[i], 'c');
        munmap(at, 8 * page);
}
END_TEST

/* The host is cut off while an answer is on its way: nothing stays a file. */
START_TEST(nobody_reads_the_answer)
{
        size_t length = 8 * page_bytes();
        struct amb_loan_message m = { .kind = AMB_LOAN_BORROW };
        char *at = pages(8);
        struct amb_range range;
        int n = 0;

        setup();
        ck_assert_int_eq(amb_loan_begin(lender.connection, at, length, OUTPUT, &range), 0);
        m.ticket = range.id;
        /* Answers pile up until the application's library has had enough. */
        while (amb_loan_send(lender.borrower->socket, &m, -1) != AMB_PACKET_GONE && n++ < 1000000)
                sched_yield();
        ck_assert_int_lt(n, 1000000);
        amb_loan_end(lender.connection, range.id, false);
        ck_assert(is_private(at));
        lender_close(&lender);
        munmap(at, length);
}
END_TEST

/* --- without userfaultfd --- */

static void forbid(bool copies_too)
{
        forbid_call(SYS_userfaultfd);
        if (copies_too) {
                forbid_call(SYS_process_vm_readv);
                forbid_call(SYS_process_vm_writev);
        }
}

static size_t occurrences(FILE *file, const char *word)
{
        char line[1000];
        size_t count = 0;

        rewind(file);
        while (fgets(line, sizeof(line), file))
                count += strstr(line, word) != NULL;
        return count;
}

/* Everything by copies; 0: with process_vm_readv, 1: without. */
START_TEST(forbidden)
{
        size_t length = 5 * page_bytes(), size = length;
        char *block = pages(7), *at = block + 3000, *out = malloc(length);
        struct borrowed borrowed;
        FILE *log = tmpfile();

        forbid(_i == 1);
        dup2(fileno(log), STDERR_FILENO);
        setup();
        ck_assert(!amb_exchange_possible());
        for (int use = 0; use < 3; use++) {
                memset(at, 'a', length);
                lend(&lender, at, length, OUTPUT, &borrowed);
                ck_assert_int_eq(borrowed.code, 0);
                ck_assert_mem_eq(borrowed.memory, at, length);
                at[length / 2] = 'b';
                borrowed.memory[length / 2 + 1] = 'c';
                border(&lender);
                ck_assert_int_eq(borrowed.memory[length / 2], 'b');
                ck_assert_int_eq(at[length / 2 + 1], 'c');
                borrowed.memory[length - 1] = 'd';
                unlend(&lender, &borrowed);
                ck_assert_int_eq(at[length - 1], 'd');
                ck_assert(is_private(block + page_bytes()));
        }
        ck_assert_int_eq(IOConnectCallStructMethod(lender.handle, HOST_ECHO, at, length, out, &size), 0);
        ck_assert_mem_eq(out, at, length);
        /* What is not there is refused here, too. */
        ck_assert_int_eq(munmap(block + 4 * page_bytes(), page_bytes()), 0);
        lend(&lender, at, length, INPUT, &borrowed);
        ck_assert_int_eq(borrowed.code, AMB_LOAN_UNSUITABLE);
        unlend(&lender, &borrowed);
        lend(&lender, at, length, OUTPUT, &borrowed);
        ck_assert_int_eq(borrowed.code, AMB_LOAN_UNSUITABLE);
        unlend(&lender, &borrowed);
        lender_close(&lender);
        ck_assert_uint_eq(occurrences(log, "userfaultfd"), 1);
        fclose(log);
        free(out);
        munmap(block, 7 * page_bytes());
}
END_TEST

/* A copied part that the program unmaps while it is lent: nobody is hurt, 0 and 1 as above. */
START_TEST(vanished)
{
        size_t length = 3 * page_bytes();
        char *at = pages(3);
        struct borrowed borrowed;

        forbid(_i == 1);
        setup();
        lend(&lender, at, length, OUTPUT, &borrowed);
        ck_assert_int_eq(munmap(at, length), 0);
        borrowed.memory[5] = 'x';
        border(&lender);
        unlend(&lender, &borrowed);
        lender_close(&lender);
}
END_TEST

/* --- cancellation --- */

static _Atomic bool went_on;
static pid_t forked_meanwhile;

/* Cancelled before it gives pages back: it does not go while it has the lock, or while others wait for these pages. */
static void *cancelled(void *context)
{
        pthread_cancel(pthread_self());
        if (context) {
                forked_meanwhile = fork();
                if (forked_meanwhile == 0)
                        _exit(0);
        } else {
                amb_loans_end(&lender.connection->loans);
        }
        went_on = true;
        pthread_testcancel();
        return NULL;
}

START_TEST(cancelled_meanwhile)
{
        size_t length = 5 * page_bytes();
        char *block = pages(5);
        struct borrowed borrowed;
        pthread_t thread;
        void *result;

        setup();
        memset(block, 'x', length);
        lend(&lender, block, length, OUTPUT, &borrowed);
        went_on = false;
        ck_assert_int_eq(pthread_create(&thread, NULL, cancelled, _i ? block : NULL), 0);
        pthread_join(thread, &result);
        ck_assert(went_on);
        ck_assert_ptr_eq(result, PTHREAD_CANCELED);
        if (_i)
                await_child(forked_meanwhile);
        unlend(&lender, &borrowed);
        lender_close(&lender);
        ck_assert(is_private(block));
        ck_assert_int_eq(block[length - 1], 'x');
        munmap(block, length);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("client-loan-end", forked, forked_lends, forked_on_stack, fork_fails, connections_end,
                                 unmapped_meanwhile, closed_meanwhile, nobody_reads_the_answer);

        set_time(tcase);
        tcase_add_loop_test(tcase, forbidden, 0, 2);
        tcase_add_loop_test(tcase, vanished, 0, 2);
        tcase_add_loop_test(tcase, cancelled_meanwhile, 0, 2);
        return run_cases("client-loan-end", tcase);
}
