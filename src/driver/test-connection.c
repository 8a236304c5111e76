/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's host side: calls, completions, rest. Rows of call-path 6.3 and 6.7 that the host decides. */
#include "base/sanitizer.h"
#include "base/test-suite.h"
#include "driver/test-app.h"

/* --- how often memory is allocated; the sanitizers have allocators of their own --- */

static _Atomic uint64_t allocations;

#if !AMB_SANITIZED && defined(__GLIBC__)
#define COUNTED 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

void *malloc(size_t size)
{
        allocations++;
        return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
        allocations++;
        return __libc_calloc(count, size);
}
#endif

START_TEST(scalars)
{
        uint64_t in[3] = { 1, 2, 39 }, out[16] = { 0 };
        struct amb_call c = { .selector = ADD, .scalars = in, .scalar_count = 3, .scalars_out = out, .scalar_capacity = 2 };
        struct amb_reply r;

        open_connection(_i == 1);
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.scalar_count, 1);
        ck_assert_uint_eq(out[0], 42);
        ck_assert(on_queue == (_i == 1));
        c.selector = RAISE;
        out[0] = 5;
        r = call(&c);
        ck_assert_uint_eq(r.scalar_count, 2);
        ck_assert_uint_eq(out[0], 0);
        c.selector = FAIL;
        r = call(&c);
        ck_assert_int_eq(r.status, -305);
        c.selector = 0xffffffff;
        r = call(&c);
        ck_assert_int_eq(r.status, kIOReturnUnsupported);
        close_connection();
}
END_TEST

/* A scalar call allocates nothing, on neither side. (Those with a structure make the driver's data object.) */
START_TEST(hot_without_memory)
{
        uint64_t in[16] = { [0] = 3, [15] = 4 }, out[16];
        struct amb_call c = { .selector = HOT, .scalar_count = 16, .scalar_capacity = 1, .scalars = in, .scalars_out = out };
        struct amb_reply reply;
        AMB_UNUSED void *volatile memory;
        uint64_t before;
        int done = 0;

        open_connection(_i == 1);
        ck_assert_int_eq(amb_channel_call(app.channel, &c, &reply), 0);
        before = allocations;
        while (done < 10000 && amb_channel_call(app.channel, &c, &reply) == 0 && reply.status == 0 && out[0] == 7)
                done++;
        before = allocations - before;
        ck_assert_uint_eq(before, 0);
        ck_assert_int_eq(done, 10000);
#ifdef COUNTED
        before = allocations;           /* it does count */
        memory = malloc((size_t)done);
        free(memory);
        ck_assert_uint_gt(allocations, before);
#endif
        close_connection();
}
END_TEST

START_TEST(structures)
{
        uint8_t in[4096], out[4096];
        struct amb_call c = { .selector = STRUCT, .bytes = in, .size = 4096, .bytes_out = out, .capacity = 4096 };
        struct amb_reply r;

        memset(in, 7, sizeof(in));
        open_connection(false);
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, AMB_REPLY_BYTES);
        ck_assert_uint_eq(r.size, 4096);
        ck_assert_mem_eq(in, out, 4096);
        c.capacity = 4095;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.capacity = 0;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.size = 0;
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.size, 0);
        c.selector = TOO_LONG;
        c.capacity = 16;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.selector = NOT_DATA;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.selector = DEFAULTS;
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, 0);
        c.capacity = AMB_CHANNEL_VARIABLE;
        ck_assert_int_eq(call(&c).status, kIOReturnUnderrun);
        c.selector = STRUCT;
        c.size = 100;
        r = call(&c);
        ck_assert_uint_eq(r.size, 100);
        close_connection();
}
END_TEST

START_TEST(large)
{
        struct amb_call c = { .selector = STRUCT, .flags = AMB_CALL_RANGE_IN | AMB_CALL_RANGE_OUT, .range_in = { 1, 100, 5000 },
                              .range_out = { 2, 0, 5000 } };
        struct amb_side_message fetched;
        struct lender lender;
        uint8_t *in, *out, *got;
        struct amb_reply r;
        int fd;

        open_connection(false);
        lend(&lender);
        in = lender_offer(&lender, 1, 0, 100, 5000);
        out = lender_offer(&lender, 2, AMB_LOAN_WRITABLE, 0, 5000);
        memset(in + 100, 9, 5000);
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, 0);
        ck_assert_int_eq(out[4999], 9);
        ck_assert_int_eq(out[5000], 0);
        c.range_in.length = 4096;
        ck_assert_int_eq(call(&c).status, kIOReturnIPCError);
        c = (struct amb_call){ .selector = STRUCT, .flags = AMB_CALL_RANGE_OUT, .range_out = { 2, 0, 0x100000000 } };
        ck_assert_int_eq(call(&c).status, kIOReturnIPCError);
        c = (struct amb_call){
                .selector = STRUCT, .flags = AMB_CALL_RANGE_IN, .range_in = { 1, 100, 5000 }, .capacity = AMB_CHANNEL_VARIABLE
        };
        c.bytes_out = out;
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, AMB_REPLY_LARGE);
        ck_assert_uint_eq(r.length, 5000);
        fetched = ask(AMB_SIDE_FETCH, r.out_region, 0, 0, -1, &fd);
        ck_assert_uint_eq(fetched.size, 5000);
        ck_assert(amb_side_memory_check(fd, 5000, 0));
        got = mmap(NULL, 5000, PROT_READ, MAP_SHARED, fd, 0);
        ck_assert_mem_eq(got, in + 100, 5000);
        close(fd);
        ck_assert_int_eq(ask(AMB_SIDE_FETCH, r.out_region, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        c.selector = RETAIN_IN;
        c.capacity = 0;
        r = call(&c);
        ck_assert_uint_eq(r.flags, AMB_REPLY_IN_RETAINED);
        close_connection();
        signal_wait(&lender.returned, 1);
        lender_end(&lender);
}
END_TEST

START_TEST(completions)
{
        struct amb_call c = { .selector = COMPLETE, .flags = AMB_CALL_ASYNC, .port = 3, .reference = { 9, 1, 2, 3, 4, 5, 6, 7 } };
        struct amb_completion done;
        struct pollfd pollfd = { .events = POLLIN };
        int write_fd;

        open_connection(false);
        ck_assert_int_eq(amb_side_port_create(&pollfd.fd, &write_fd), 0);
        ck_assert_int_eq(ask(AMB_SIDE_PORT, 3, 0, 0, write_fd, NULL).code, 0);
        close(write_fd);
        ck_assert(amb_channel_completion_arm(app.channel, 3));
        ck_assert_int_eq(call(&c).status, 0);
        ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
        amb_side_port_drain(pollfd.fd);
        for (uint32_t i = 0; i <= 16; i++) {
                ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
                ck_assert_uint_eq(done.count, i);
                ck_assert_int_eq(done.status, (int)i);
                ck_assert_uint_eq(done.port, 3);
                ck_assert_uint_eq(done.reference[0], 0);
                ck_assert_uint_eq(done.reference[7], 7);
        }
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), AMB_CHANNEL_EMPTY);
        /* A kept action works after the close. */
        c.selector = KEEP;
        ck_assert_int_eq(call(&c).status, 0);
        OSObject_retain(app.client);
        ck_assert_int_eq(ask(AMB_SIDE_CLOSE, 0, 0, 0, -1, NULL).code, 0);
        signal_wait(&connection_ended, 1);
        ck_assert(amb_channel_completion_arm(app.channel, 3));
        IOUserClient_AsyncCompletion(&app.client->client, app.client->kept, 77, NULL, 0);
        ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
        ck_assert_int_eq(done.status, 77);
        OSObject_release(app.client);
        close(pollfd.fd);
        expect_end();
}
END_TEST

/* No thread waits while the app is silent; calls, the end and a termination find somebody all the same. */
START_TEST(rests)
{
        uint64_t in = 42, out[16] = { 0 };
        struct amb_call c = { .selector = ADD, .scalars = &in, .scalar_count = 1, .scalars_out = out, .scalar_capacity = 2 };
        struct amb_reply r;

        open_connection(false);
        if (_i == 1)
                known_as(1);
        ck_assert(amb_connection_rest(app.connection));
        for (int i = 0; i < 50; i++) {
                ck_assert_int_eq(call(&c).status, 0);
                while (!amb_connection_rest(app.connection))
                        sched_yield();
        }
        if (_i == 1) {
                amb_connection_refuse(app.connection);
                ck_assert_int_eq(amb_channel_call(app.channel, &c, &r), AMB_CHANNEL_TERMINATED);
                while (!amb_connection_rest(app.connection))
                        sched_yield();
                stop_known(1);
                signal_wait(&freed, 1);
        }
        if (_i == 2) {
                shutdown(app.side, SHUT_RDWR);
                expect_end();
        } else {
                close_connection();
        }
}
END_TEST

/* Reads `count` completions with the numbers from `from`, as an application does. */
static void take_completions(uint64_t from, uint64_t count)
{
        struct amb_completion done;
        int r;

        while (count > 0) {
                r = amb_channel_completion_next(app.channel, &done);
                if (r == AMB_CHANNEL_EMPTY) {
                        sched_yield();
                        continue;
                }
                ck_assert_int_eq(r, 0);
                ck_assert_uint_eq(done.args[0], from++);
                count--;
        }
}

enum { MANY = 3000 };

static void complete_many(OSAction *action)
{
        for (uint64_t i = 0; i < MANY; i++)
                IOUserClient_AsyncCompletion(&app.client->client, action, 0, &i, 1);
}

/* More completions than the ring holds: 0, in an idle connection; 1, while its thread is inside a long call; 2, after the close. */
START_TEST(kept_completions_arrive)
{
        struct amb_call c = { .selector = KEEP, .flags = AMB_CALL_ASYNC, .port = 3 };
        struct amb_reply reply = { .status = 1 };
        OSAction *action;
        pthread_t caller;
        int port;

        open_connection(false);
        give_port(3, &port);
        ck_assert_int_eq(call(&c).status, 0);
        signal_wait(&kept, 1);
        action = amb_steal(app.client->kept);
        OSObject_retain(app.client);
        if (_i == 1) {
                pthread_create(&caller, NULL, blocked_call, &reply);
                signal_wait(&entered, 1);
        }
        complete_many(action);
        if (_i == 2) {
                ck_assert_int_eq(ask(AMB_SIDE_CLOSE, 0, 0, 0, -1, NULL).code, 0);
                signal_wait(&connection_ended, 1);
        }
        take_completions(0, MANY);
        if (_i == 2) {
                /* and all over again, when nothing of the connection is left but the action */
                amb_connection_finish(app.connection);
                complete_many(action);
                take_completions(0, MANY);
        }
        OSObject_release(app.client);
        OSObject_release(action);
        if (_i == 1) {
                signal_add(&go);
                pthread_join(caller, NULL);
        }
        if (_i == 2)
                expect_end();
        else
                close_connection();
        close(port);
}
END_TEST

/* An index is used again: the former owner's completions do not come under the new name, and nothing of its is kept. */
START_TEST(port_used_again)
{
        struct amb_call c = { .selector = KEEP, .flags = AMB_CALL_ASYNC, .port = 3 | 1 << 8 };
        struct amb_side_message drop = { .kind = AMB_SIDE_PORT_DROP, .id = 3 | 1 << 8 };
        struct amb_completion done;
        OSAction *first;
        int ports[2];

        open_connection(false);
        give_port(3 | 1 << 8, &ports[0]);
        ck_assert_int_eq(call(&c).status, 0);
        signal_wait(&kept, 1);
        first = amb_steal(app.client->kept);
        complete_many(first);
        ck_assert_int_eq(amb_side_send(app.side, &drop, -1, true), 0);
        give_port(3 | 2 << 8, &ports[1]);
        /* too late to do harm */
        ck_assert_int_eq(amb_side_send(app.side, &drop, -1, true), 0);
        c.port = 3 | 2 << 8;
        ck_assert_int_eq(call(&c).status, 0);
        complete_many(first);
        signal_wait(&kept, 2);
        IOUserClient_AsyncCompletion(&app.client->client, app.client->kept, 77, NULL, 0);
        for (unsigned i = 0; i < 64; i++) {
                ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
                ck_assert_uint_eq(done.port, 3 | 1 << 8);
        }
        while (amb_channel_completion_next(app.channel, &done) == AMB_CHANNEL_EMPTY)
                sched_yield();
        ck_assert_uint_eq(done.port, 3 | 2 << 8);
        ck_assert_int_eq(done.status, 77);
        OSObject_release(first);
        close_connection();
        close(ports[0]);
        close(ports[1]);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("connection", structures, large, completions, port_used_again);

        tcase_add_loop_test(tcase, scalars, 0, 2);
        tcase_add_loop_test(tcase, hot_without_memory, 0, 2);
        tcase_add_loop_test(tcase, rests, 0, 3);
        tcase_add_loop_test(tcase, kept_completions_arrive, 0, 3);
        return run_cases("connection", tcase);
}
