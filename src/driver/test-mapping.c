/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's host side: memory that an application maps; messages that it does not read. */
#include "base/test-suite.h"
#include "driver/test-app.h"

/* Whatever an application does with a descriptor of read-only memory, the kernel does not let it write. */
static void expect_no_way_to_write(int fd)
{
        AMB_FREE char *path = amb_format("/proc/self/fd/%d", fd);
        AMB_FD anew = open(path, O_RDWR | O_CLOEXEC);
        int fds[] = { fd, anew };
        void *memory;

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(fds) && fds[i] >= 0; i++) {
                ck_assert_int_lt(pwrite(fds[i], "x", 1, 0), 0);
                ck_assert_int_lt(ftruncate(fds[i], 0), 0);
                ck_assert_int_lt(fallocate(fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
                ck_assert_int_lt(fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE), 0);
                ck_assert_ptr_eq(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fds[i], 0), MAP_FAILED);
                memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0);
                ck_assert_ptr_ne(memory, MAP_FAILED);
                ck_assert_int_lt(mprotect(memory, 4096, PROT_READ | PROT_WRITE), 0);
                ck_assert_int_lt(madvise(memory, 4096, MADV_REMOVE), 0);
                munmap(memory, 4096);
        }
}

START_TEST(mappings)
{
        struct amb_side_message answer, again, extent;
        uint8_t *memory;
        int fd;

        open_connection(_i == 1);
        ck_assert_int_eq(ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        ck_assert_int_eq(ask(AMB_SIDE_MAP, 9, 0, 0, -1, NULL).code, kIOReturnNoDevice);
        ck_assert_int_eq(ask(AMB_SIDE_MAP, 2, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        answer = ask(AMB_SIDE_UNMAP, 2, 0, 0, -1, NULL);
        ck_assert(answer.code == 0 && answer.identity == 0);
        answer = ask(AMB_SIDE_MAP, 1, 0, 0, -1, NULL);
        ck_assert_int_eq(answer.code, 0);
        ck_assert_uint_eq(answer.size, 5000);
        ck_assert_uint_eq(answer.id, 1);
        ck_assert_uint_eq(answer.flags, AMB_SIDE_READ_ONLY);
        extent = next_extent(&fd);
        ck_assert_uint_eq(extent.size, 5000);
        ck_assert_uint_eq(extent.offset, 0);
        ck_assert(amb_side_memory_check(fd, 8192, F_SEAL_FUTURE_WRITE));
        memory = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_ptr_eq(memory, MAP_FAILED);
        expect_no_way_to_write(fd);
        close(fd);
        again = ask(AMB_SIDE_UNMAP, 1, 0, 0, -1, NULL);
        ck_assert_uint_eq(again.identity, answer.identity);
        /* the same buffer, writable now: refused */
        ck_assert_int_eq(ask(AMB_SIDE_MAP, 0, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        close_connection();
}
END_TEST

/* The extents behind one answer are what join_pages has made. */
static void expect_pieces(uint32_t first, uint32_t count)
{
        for (uint32_t i = first; i < first + count; i++) {
                int fd;
                struct amb_side_message extent = next_extent(&fd);

                ck_assert_uint_eq(extent.offset, i == PIECES - 1 ? IOVMPageSize : 0);
                ck_assert_uint_eq(extent.size, i == PIECES - 1 ? 5000 - IOVMPageSize : IOVMPageSize);
                ck_assert(amb_side_memory_check(fd, 8192, 0));
                close(fd);
        }
}

/* Memory of many pieces comes in parts; what the app has not got yet is kept for it, once, and not beyond the end. */
START_TEST(mapping_in_pieces)
{
        struct amb_side_message answer;
        IOBufferMemoryDescriptor *buffer;

        open_connection(_i == 1);
        buffer = app.client->memory;
        OSObject_retain(buffer);
        answer = ask(AMB_SIDE_MAP, 3, 0, 0, -1, NULL);
        ck_assert_int_eq(answer.code, 0);
        ck_assert_uint_eq(answer.id, PIECES);
        ck_assert_uint_eq(answer.size, (PIECES - 1) * IOVMPageSize + 5000 - IOVMPageSize);
        expect_pieces(0, AMB_SIDE_EXTENTS_AT_ONCE);
        answer = ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL);
        ck_assert_uint_eq(answer.id, PIECES - AMB_SIDE_EXTENTS_AT_ONCE);
        expect_pieces(AMB_SIDE_EXTENTS_AT_ONCE, AMB_SIDE_EXTENTS_AT_ONCE);
        ck_assert_uint_eq(ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL).id, 6);
        expect_pieces(2 * AMB_SIDE_EXTENTS_AT_ONCE, 6);
        ck_assert_uint_eq(OSObject_getRetainCount(buffer), 2);
        ck_assert_int_eq(ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        /* Another map forgets the one before; the end forgets the last. */
        for (int i = 0; i < 2; i++) {
                answer = ask(AMB_SIDE_MAP, 3, 0, 0, -1, NULL);
                expect_pieces(0, AMB_SIDE_EXTENTS_AT_ONCE);
                ck_assert_uint_eq(OSObject_getRetainCount(buffer), 2 + PIECES);
        }
        answer = ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL);
        ck_assert_uint_eq(answer.id, PIECES - AMB_SIDE_EXTENTS_AT_ONCE);
        expect_pieces(AMB_SIDE_EXTENTS_AT_ONCE, AMB_SIDE_EXTENTS_AT_ONCE);
        close_connection();
        ck_assert_uint_eq(OSObject_getRetainCount(buffer), 1);
        OSObject_release(buffer);
}
END_TEST

/* An app that asks and does not read fills nothing but its socket, and is cut off. */
START_TEST(mapping_not_read)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .id = 3 };
        int bytes = 65536;

        open_connection(false);
        ck_assert_int_eq(setsockopt(amb_connection_side(app.connection), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
        while (request.serial++ < AMB_SIDE_PENDING_MAX / 2)
                ck_assert_int_eq(amb_side_send(app.side, &request, -1, true), 0);
        expect_end();
}
END_TEST

START_TEST(mapping_waits)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .serial = 1000 }, answer;
        struct amb_reply reply = { .status = 1 };
        pthread_t caller;
        int fd;

        open_connection(_i == 1);
        pthread_create(&caller, NULL, blocked_call, &reply);
        signal_wait(&entered, 1);
        ck_assert_int_eq(amb_side_send(app.side, &request, -1, true), 0);
        /*
         * Another request is answered: the control thread has gone past the mapping, which cannot have begun (memory_for_type
         * checks).
         */
        ck_assert_int_eq(ask(AMB_SIDE_PORT_DROP, 0, 0, 0, -1, NULL).code, 0);
        signal_add(&go);
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), 0);
        ck_assert_uint_eq(answer.serial, 1000);
        ck_assert_int_eq(answer.code, 0);
        ck_assert_int_eq(fd, -1);
        app.serial = 1000;
        (void)next_extent(&fd);
        close(fd);
        pthread_join(caller, NULL);
        ck_assert_int_eq(reply.status, 0);
        close_connection();
}
END_TEST

/*
 * A call in progress goes on, its answer arrives unchanged; then the driver's object is let go. The end of the app stops what was
 * not.
 */
static uint32_t side_fill(uint32_t kind)
{
        struct amb_side_message message = { .kind = kind };
        uint32_t sent = 0;

        while (amb_side_send(app.side, &message, -1, false) == 0)
                sent++;
        return sent;
}

/* What needs no answer may come without end: it is served in pieces, so that others have their turn. */
START_TEST(silent_messages_in_pieces)
{
        uint64_t in[3] = { 1, 2, 39 }, out[1] = { 0 };
        struct amb_call c = { .selector = ADD, .scalars = in, .scalar_count = 3, .scalars_out = out, .scalar_capacity = 1 };
        struct pollfd pollfd = { .events = POLLIN };
        uint32_t sent, rounds = 0;

        open_unserved(false);
        pollfd.fd = amb_connection_side(app.connection);
        sent = side_fill(_i ? AMB_SIDE_KNOCK : AMB_SIDE_PORT_DROP);
        ck_assert_uint_gt(sent, 100);
        for (; poll(&pollfd, 1, 0) > 0; rounds++)
                ck_assert(amb_connection_serve_side(app.connection));
        ck_assert_uint_ge(rounds, sent / 50);
        ck_assert_uint_le(rounds, sent);
        control_start();
        ck_assert_int_eq(call(&c).status, 0);
        ck_assert_uint_eq(out[0], 42);
        close_connection();
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("mapping", mapping_not_read);

        tcase_add_loop_test(tcase, mappings, 0, 2);
        tcase_add_loop_test(tcase, mapping_in_pieces, 0, 2);
        tcase_add_loop_test(tcase, mapping_waits, 0, 2);
        tcase_add_loop_test(tcase, silent_messages_in_pieces, 0, 2);
        return run_cases("mapping", tcase);
}
