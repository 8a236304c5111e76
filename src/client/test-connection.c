/* SPDX-License-Identifier: Apache-2.0 */
/* Connections against a host in this process or a child: calls, memory, close, death. No daemon. */
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include <check.h>
#include <sys/resource.h>

#include "base/test-process.h"
#include "base/test-suite.h"
#include "client/test-host.h"

static struct host host;

START_TEST(test_scalars)
{
        uint64_t in[17] = { 1, 2, 3 }, out[16] = { 0 };
        uint32_t count = 3;
        io_connect_t c = host_open(&host);

        memset(out, 0xEE, sizeof(out));
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_ADD_ONE, in, 2, out, &count), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_uint_eq(out[0], 2);
        ck_assert_uint_eq(out[1], 3);
        ck_assert_uint_eq(out[2], 0xEEEEEEEEEEEEEEEEull);
        /* More than 16: nothing is sent; a room of more than 16 counts as 16. */
        count = 100;
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_ADD_ONE, in, 17, out, &count), MIG_ARRAY_TOO_LARGE);
        ck_assert_uint_eq(count, 100);
        ck_assert_int_eq(IOConnectCallScalarMethod(0, HOST_ADD_ONE, in, 17, out, &count), MIG_ARRAY_TOO_LARGE);
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_SEEN, NULL, 0, out, &count), 0);
        ck_assert_uint_eq(count, 16);
        ck_assert_uint_eq(out[1], 16);
        ck_assert_int_eq(IOConnectCallMethod(c, HOST_SILENT, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), 0);
        in[0] = 0x12345678;
        count = 4;
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_STATUS, in, 1, out, &count), 0x12345678);
        ck_assert_uint_eq(count, 4);
        in[0] = (uint32_t)MIG_NO_REPLY;
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_STATUS, in, 1, NULL, NULL), MIG_NO_REPLY);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_struct_inline)
{
        char in[4096], out[4096];
        io_connect_t c = host_open(&host);
        size_t size = sizeof(out);

        memset(in, 'a', sizeof(in));
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_ECHO, in, 10, out, &size), 0);
        ck_assert_uint_eq(size, 10);
        ck_assert_mem_eq(out, in, 10);
        size = sizeof(out);
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_ECHO, in, 4096, out, &size), 0);
        ck_assert_uint_eq(size, 4096);
        ck_assert_mem_eq(out, in, 4096);
        /* The driver returned nothing: zeros, and the count stays. */
        memset(out, 0xAA, sizeof(out));
        size = 64;
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_SILENT, NULL, 0, out, &size), 0);
        ck_assert_uint_eq(size, 64);
        for (size_t i = 0; i < 64; i++)
                ck_assert_int_eq(out[i], 0);
        ck_assert_uint_eq((unsigned char)out[64], 0xAA);
        ck_assert_int_eq(host.borrower.socket, -1);     /* nobody needs to be asked */
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_struct_large)
{
        size_t length = 49 * (size_t)sysconf(_SC_PAGESIZE), size;
        char *in = malloc(length);
        /* Whole pages: they stay a file. */
        char *out = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        io_connect_t c = host_open(&host);

        for (size_t i = 0; i < length; i++)
                in[i] = (char)(i * 7);
        for (int round = 0; round < 3; round++) {
                memset(out, 0x55, length);
                size = length;
                ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_ECHO, in, 4097, out, &size), 0);
                ck_assert_uint_eq(size, length);
                ck_assert_mem_eq(out, in, 4097);
                ck_assert_int_eq(out[4097], 0x55);      /* what the driver does not write stays */
        }
        ck_assert_uint_eq(host.borrower.borrows, 6);
        ck_assert_uint_le(host.borrower.new_files, 2);  /* the output's and that of small inputs, used again */
        /* The driver's stores are visible with an error. */
        size = 8192;
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_SPOIL, NULL, 0, out, &size), kIOReturnIOError);
        ck_assert_uint_eq(size, 8192);
        ck_assert_mem_eq(out, "spoiled", 7);
        free(in);
        munmap(out, length);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_struct_edges)
{
        char buffer[8192];
        uint64_t seen[6];
        uint32_t count = 6;
        size_t size;
        io_connect_t c = host_open(&host);

        /* No buffer: no output, also where a size is given; no input bytes for NULL. */
        size = 5000;
        ck_assert_int_eq(IOConnectCallMethod(c, HOST_SEEN, NULL, 0, NULL, 5000, seen, &count, NULL, &size), 0);
        ck_assert_uint_eq(size, 5000);
        ck_assert_uint_eq(seen[2], 0);
        ck_assert_uint_eq(seen[3], 0);
        ck_assert_uint_eq(seen[4], 0);
        size = 0x100000000ull;
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_SEEN, NULL, 0, buffer, &size), kIOReturnIPCError);
        ck_assert_uint_eq(size, 0x100000000ull);
        /* Each direction on its own. */
        size = 8192;
        ck_assert_int_eq(IOConnectCallMethod(c, HOST_SEEN, NULL, 0, buffer, 10, seen, &count, buffer, &size), 0);
        ck_assert_uint_eq(seen[2], 10);
        ck_assert_uint_eq(seen[4], AMB_CALL_RANGE_OUT);
        size = 10;
        ck_assert_int_eq(IOConnectCallMethod(c, HOST_SEEN, NULL, 0, buffer, 8192, seen, &count, buffer, &size), 0);
        ck_assert_uint_eq(seen[3], 10);
        ck_assert_uint_eq(seen[4], AMB_CALL_RANGE_IN);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

/* What the driver keeps is the caller's memory after the call, too; the input is a snapshot. */
START_TEST(test_retained)
{
        size_t size = 8192;
        char *in = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        io_connect_t c = host_open(&host);

        strcpy(in, "kept");
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_RETAIN, in, size, out, &size), 0);
        ck_assert_str_eq(out, "kept");
        ck_assert_uint_eq(host.kept_count, 2);
        strcpy(in, "changed");
        strcpy(out, "by the app");
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_SILENT, NULL, 0, NULL, NULL), 0);
        ck_assert_str_eq(host.kept[0].memory, "kept");
        ck_assert_str_eq(host.kept[1].memory, "by the app");
        strcpy(host.kept[1].memory, "by the driver");
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_SILENT, NULL, 0, NULL, NULL), 0);
        ck_assert_str_eq(out, "by the driver");
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_ECHO, in, size, out, &size), 0);
        ck_assert_str_eq(out, "changed");
        host_give_back(&host);
        ck_assert_str_eq(out, "changed");
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_str_eq(out, "changed");
        munmap(in, size);
        munmap(out, size);
        host_end(&host);
}
END_TEST

/* The driver maps what the caller does not have: its own error, and the caller lives. Read-only memory is no output. */
START_TEST(test_not_there)
{
        size_t size = 8192;
        char *nothing = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), out[8192] = "";
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_ECHO, nothing, size, out, &size), AMB_LOAN_UNSUITABLE);
        ck_assert_int_eq(mprotect(nothing, size, PROT_READ), 0);
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_SPOIL, NULL, 0, nothing, &size), AMB_LOAN_UNSUITABLE);
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_ECHO, nothing, size, out, &size), 0);
        /* Nobody asks: nobody minds. */
        munmap(nothing, size);
        ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_SILENT, nothing, size, nothing, &size), 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_variable)
{
        size_t lengths[] = { 1, 4096, 4097, 300000 }, size;
        void *memory = (void *)1;
        uint64_t in;
        io_connect_t c = host_open(&host);

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lengths); i++) {
                in = lengths[i];
                size = (size_t)kIOConnectMethodVarOutputSize;
                ck_assert_int_eq(IOConnectCallMethod(c, HOST_VARIABLE, &in, 1, NULL, 0, NULL, NULL, &memory, &size), 0);
                ck_assert_uint_eq(size, lengths[i]);
                ck_assert_int_eq(((char *)memory)[size - 1], 'v');
                ck_assert_int_eq(vm_deallocate(mach_task_self(), (vm_address_t)memory, size), 0);
        }
        in = 0;
        size = (size_t)kIOConnectMethodVarOutputSize;
        ck_assert_int_eq(IOConnectCallMethod(c, HOST_VARIABLE, &in, 1, NULL, 0, NULL, NULL, &memory, &size), 0);
        ck_assert_ptr_null(memory);
        ck_assert_uint_eq(size, 0);
        memory = (void *)1;
        size = (size_t)kIOConnectMethodVarOutputSize;
        ck_assert_int_eq(IOConnectCallMethod(c, HOST_SILENT, NULL, 0, NULL, 0, NULL, NULL, &memory, &size), kIOReturnUnderrun);
        ck_assert_ptr_null(memory);
        ck_assert_uint_eq(size, 0);
        memory = (void *)1;
        size = (size_t)kIOConnectMethodVarOutputSize;
        ck_assert_int_eq(IOConnectCallMethod(0, HOST_SILENT, NULL, 0, NULL, 0, NULL, NULL, &memory, &size),
                         MACH_SEND_INVALID_DEST);
        ck_assert_ptr_null(memory);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_map)
{
        mach_vm_address_t at = 0, again = 0, reader = 0;
        mach_vm_size_t size = 0;
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(IOConnectMapMemory64(c, 7, 0, &at, &size, kIOMapAnywhere), kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, &size, 0), kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, &size, kIOMapAnywhere), 0);
        ck_assert_uint_eq(size, 5000);
        ck_assert_mem_eq((void *)at, "shared", 6);
        *(char *)at = 'S';
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &again, NULL, kIOMapAnywhere), 0);
        ck_assert_uint_eq(again, at);
        ck_assert_int_eq(IOConnectMapMemory64(c, 1, mach_task_self(), &reader, NULL, kIOMapAnywhere), 0);
        ck_assert_uint_ne(reader, at);
        ck_assert_int_eq(*(char *)reader, 'S');
        /* An occupied place is refused, and what is there stays. */
        host.identity = 12;
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, 0), kIOReturnBadArgument);
        ck_assert_int_eq(*(char *)at, 'S');
        host.identity = 11;
        host.map_fails = true;
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &again, NULL, kIOMapAnywhere), kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectUnmapMemory64(c, 7, mach_task_self(), 0), kIOReturnNotReady);
        host.map_fails = false;
        ck_assert_int_eq(IOConnectUnmapMemory64(c, 7, 0, 0), kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectUnmapMemory64(c, 7, mach_task_self(), 1), 0);
        ck_assert_int_eq(IOConnectUnmapMemory64(c, 7, mach_task_self(), 1), kIOReturnBadArgument);
        /* After the close the other mapping lives as long as a reference. */
        ck_assert_int_eq(IOConnectAddRef(c), 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(IOConnectCallMethod(c, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnBadArgument);
        ck_assert_int_eq(*(char *)reader, 'S');
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(msync((void *)reader, 4096, MS_ASYNC), -1);
        ck_assert_int_eq(IOServiceClose(c), MACH_SEND_INVALID_DEST);
        host_end(&host);
}
END_TEST

/* Sealed memory of so many pages, each of which begins with its number. */
static int numbered_pages(uint32_t pages)
{
        AMB_FREE uint8_t *bytes = calloc(pages, 4096);

        for (uint32_t i = 0; i < pages; i++)
                memcpy(bytes + i * 4096, &i, sizeof(i));
        return host_sealed_memory(bytes, pages * 4096, pages * 4096);
}

static uint32_t number_at(mach_vm_address_t address)
{
        return *(uint32_t *)address;
}

/* Memory in many pieces is one range; what it takes meanwhile is few descriptors. */
START_TEST(test_map_extents)
{
        static struct host_extent extents[AMB_SIDE_EXTENTS_MAX];
        const uint32_t pages = AMB_SIDE_EXTENTS_MAX;
        mach_vm_address_t at = 0, again = 0, fixed;
        struct rlimit limit;
        mach_vm_size_t size = 0;
        io_connect_t c = host_open(&host);
        int fd = numbered_pages(pages);

        for (uint32_t i = 0; i < pages; i++)
                extents[i] = (struct host_extent){ fd, (uint64_t)(pages - 1 - i) * 4096, 4096 };
        host.extents = extents;
        host.extent_count = pages;
        host.mapped_size = (uint64_t)pages * 4096;
        /* fewer than there are pieces */
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 256;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, &size, kIOMapAnywhere), 0);
        ck_assert_uint_eq(size, host.mapped_size);
        for (uint32_t i = 0; i < pages; i++)
                ck_assert_uint_eq(number_at(at + i * 4096), pages - 1 - i);
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &again, NULL, kIOMapAnywhere), 0);
        ck_assert_uint_eq(again, at);
        *(char *)again = 'x';
        ck_assert_int_eq(IOConnectUnmapMemory64(c, 7, mach_task_self(), 0), 0);
        ck_assert_int_eq(msync((void *)at, 4096, MS_ASYNC), -1);
        ck_assert_int_eq(msync((void *)(at + size - 4096), 4096, MS_ASYNC), -1);
        /* at a place in a page; then that is the place for a fixed address too */
        extents[0] = (struct host_extent){ fd, 5 * 4096 + 64, 4096 - 64 };
        extents[1] = (struct host_extent){ fd, 9 * 4096, 100 };
        host.extent_count = 2;
        host.mapped_size = 4096 - 64 + 100;
        host.identity = 12;
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &again, &size, kIOMapAnywhere), 0);
        ck_assert_uint_eq(again % 4096, 64);
        ck_assert_uint_eq(size, host.mapped_size);
        ck_assert_uint_eq(number_at(again - 64), 5);
        ck_assert_uint_eq(number_at(again - 64 + 4096), 9);
        fixed = at;
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &fixed, NULL, 0), kIOReturnBadArgument);
        fixed = at + 64;
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &fixed, NULL, 0), 0);
        ck_assert_uint_eq(fixed, at + 64);
        ck_assert_uint_eq(number_at(at + 4096), 9);
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &fixed, NULL, 0), 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(msync((void *)at, 4096, MS_ASYNC), -1);
        host_end(&host);
        close(fd);
}
END_TEST

/* What a host may say and that is refused: the mapping fails, nothing of it stays, and the connection goes on. */
START_TEST(test_map_bad_extents)
{
        int fd = numbered_pages(4), unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        const struct { struct host_extent extents[2]; uint64_t size; } bad[] = {
                { { { fd, 0, 4096 }, { -1, 0, 4096 } }, 8192 },
                { { { -1, 0, 4096 }, { fd, 0, 4096 } }, 8192 },
                { { { fd, 0, 4096 }, { unsealed, 0, 4096 } }, 8192 },
                { { { fd, 0, 4096 }, { fd, 3 * 4096, 4097 } }, 8193 },
                { { { fd, 0, 4096 }, { fd, 4 * 4096, 4096 } }, 8192 },
                { { { fd, 0, 4096 }, { fd, UINT64_MAX - 4095, 4096 } }, 8192 },
                { { { fd, 0, 4096 }, { fd, 0, 0 } }, 4096 },
                { { { fd, 0, 100 }, { fd, 0, 4096 } }, 4196 },
                { { { fd, 0, 4096 }, { fd, 8, 4088 } }, 8184 },
                { { { fd, 0, 4096 }, { fd, 0, 4096 } }, 8193 },
                { { { fd, 0, 4096 }, { fd, 0, 4096 } }, 8191 },
                { { { fd, 0, 4096 }, { fd, 0, 4096 } }, 0 },
                { { { fd, 0, 4096 }, { fd, 0, 4096 } }, UINT64_MAX },
        };
        io_connect_t c = host_open(&host);
        mach_vm_address_t at;

        ck_assert_int_eq(ftruncate(unsealed, 4096), 0);
        host.extent_count = 2;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bad); i++) {
                host.extents = bad[i].extents;
                host.mapped_size = bad[i].size;
                at = 0x5a5a;
                ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), kIOReturnBadArgument);
                ck_assert_uint_eq(at, 0x5a5a);
                ck_assert_int_eq(IOConnectUnmapMemory64(c, 7, mach_task_self(), 0), kIOReturnBadArgument);
        }
        host.extents = NULL;
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
        close(fd);
        close(unsealed);
}
END_TEST

/* More extents than there may be, or none: the host is given up. */
START_TEST(test_map_extent_counts)
{
        static const struct host_extent none[AMB_SIDE_EXTENTS_MAX + 1];
        io_connect_t c = host_open(&host);
        mach_vm_address_t at = 0;

        host.extents = none;
        host.extent_count = _i == 0 ? 0 : AMB_SIDE_EXTENTS_MAX + 1;
        host.mapped_size = 4096;
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), MACH_SEND_INVALID_DEST);
        host_end(&host);
}
END_TEST

/* --- close --- */

static void *blocked_call(void *context)
{
        io_connect_t *c = context;

        return (void *)(intptr_t)IOConnectCallScalarMethod(*c, HOST_BLOCK, NULL, 0, NULL, NULL);
}

static void *close_it(void *context)
{
        io_connect_t *c = context;

        return (void *)(intptr_t)IOServiceClose(*c);
}

/* Until the closer has shut the door: nobody gets in any more, while the old call is still inside. */
static void await_shut(io_connect_t c)
{
        while (amb_handle_pin(c)) {
                amb_handle_unpin(c);
                sched_yield();
        }
}

START_TEST(test_close_waits)
{
        pthread_t caller, closer;
        io_connect_t c = host_open(&host);
        void *result;

        ck_assert_int_eq(IOConnectAddRef(c), 0);
        ck_assert_int_eq(IOConnectAddRef(c), 0);
        pthread_create(&caller, NULL, blocked_call, &c);
        sem_wait(&host.entered);
        pthread_create(&closer, NULL, close_it, &c);
        await_shut(c);
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_SILENT, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(pthread_tryjoin_np(closer, &result), EBUSY);
        ck_assert_int_eq(IOServiceClose(c), 0);         /* a second closer does not wait */
        sem_post(&host.released);
        pthread_join(caller, &result);
        ck_assert_int_eq((int)(intptr_t)result, 77);
        pthread_join(closer, &result);
        ck_assert_int_eq((int)(intptr_t)result, 0);
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_SILENT, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOConnectAddRef(c), KERN_INVALID_RIGHT);
        ck_assert_int_eq(IOServiceClose(c), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOConnectAddRef(c), KERN_INVALID_NAME);
        host_end(&host);
}
END_TEST

/* The last reference goes while the closer waits: the slot must stay the closer's. */
START_TEST(test_close_twice_one_reference)
{
        pthread_t caller, closer;
        io_connect_t c = host_open(&host);
        void *result;

        pthread_create(&caller, NULL, blocked_call, &c);
        sem_wait(&host.entered);
        pthread_create(&closer, NULL, close_it, &c);
        await_shut(c);
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(pthread_tryjoin_np(closer, &result), EBUSY);
        sem_post(&host.released);
        pthread_join(caller, &result);
        ck_assert_int_eq((int)(intptr_t)result, 77);
        pthread_join(closer, &result);
        ck_assert_int_eq((int)(intptr_t)result, 0);
        host_end(&host);
}
END_TEST

/* Nobody is inside: a close has nothing to wait for, least of all for a host that does not run. */
START_TEST(test_close_waits_for_no_host)
{
        pid_t pid;
        io_connect_t c = host_open_child(&pid);

        kill(pid, SIGSTOP);
        ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
        ck_assert_int_eq(IOServiceClose(c), 0);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* A process that was made behind our back has a copy of the socket; the host sees the close all the same. */
START_TEST(test_close_is_seen_past_copies)
{
        io_connect_t c = host_open(&host);
        pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

        if (pid == 0)
                for (;;)
                        syscall(SYS_pause);
        ck_assert_int_gt(pid, 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        sem_wait(&host.closed);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        host_end(&host);
}
END_TEST

static io_connect_t open_promised(struct host *h)
{
        io_connect_t c = host_open(h);
        struct amb_connection *connection = amb_handle_pin(c);

        amb_loans_promise(connection);
        amb_handle_unpin(c);
        return c;
}

static bool has_socket(struct host *h)
{
        bool has;

        pthread_mutex_lock(&h->borrower.lock);
        has = h->borrower.socket >= 0;
        pthread_mutex_unlock(&h->borrower.lock);
        return has;
}

static void await_socket(struct host *h)
{
        pthread_mutex_lock(&h->borrower.lock);
        while (h->borrower.socket < 0)
                pthread_cond_wait(&h->borrower.arrived, &h->borrower.lock);
        pthread_mutex_unlock(&h->borrower.lock);
}

/*
 * What a driver has been told on one connection it may name on another: the first call, or question, gives all of them their
 * sockets.
 */
START_TEST(test_loans_promised)
{
        static struct host hosts[3];
        mach_vm_address_t at = 0;
        io_connect_t c[3];

        for (int i = 0; i < 3; i++)
                c[i] = open_promised(&hosts[i]);
        ck_assert_int_eq(IOServiceClose(c[2]), 0);
        sem_wait(&hosts[2].closed);
        for (int i = 0; i < 3; i++)
                ck_assert(!has_socket(&hosts[i]));
        if (_i == 0)
                ck_assert_int_eq(IOConnectCallScalarMethod(c[0], HOST_SILENT, NULL, 0, NULL, NULL), 0);
        else
                ck_assert_int_eq(IOConnectMapMemory64(c[0], 7, mach_task_self(), &at, NULL, kIOMapAnywhere), 0);
        await_socket(&hosts[0]);
        await_socket(&hosts[1]);
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(IOServiceClose(c[i]), 0);
        for (int i = 0; i < 3; i++)
                host_end(&hosts[i]);
}
END_TEST

static pthread_barrier_t barrier;
static io_connect_t racing;

static void *race(void *context)
{
        uint64_t in = 1, out;
        uint32_t count = 1;
        kern_return_t code;

        (void)context;
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < 50; i++) {
                code = IOConnectCallScalarMethod(racing, HOST_ADD_ONE, &in, 1, &out, &count);
                ck_assert(code == 0 || code == MACH_SEND_INVALID_DEST || code == MIG_SERVER_DIED);
                if (i == 20)
                        IOServiceClose(racing);
        }
        return NULL;
}

START_TEST(test_race)
{
        pthread_t threads[4];

        for (int round = 0; round < 50; round++) {
                racing = host_open(&host);
                pthread_barrier_init(&barrier, NULL, 4);
                for (size_t i = 0; i < 4; i++)
                        pthread_create(&threads[i], NULL, race, NULL);
                for (size_t i = 0; i < 4; i++)
                        pthread_join(threads[i], NULL);
                pthread_barrier_destroy(&barrier);
                host_end(&host);
                memset(&host, 0, sizeof(host));
        }
}
END_TEST

START_TEST(test_nothing_left)
{
        int before = 0;

        for (int round = 0; round < 30; round++) {
                char in[8192] = "", out[8192];
                size_t size = sizeof(out);
                mach_vm_address_t at = 0;
                io_connect_t c = host_open(&host);

                ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_ECHO, in, sizeof(in), out, &size), 0);
                ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), 0);
                ck_assert_int_eq(round % 2 ? IOServiceClose(c) : IOConnectRelease(c), 0);
                host_end(&host);
                memset(&host, 0, sizeof(host));
                if (round == 0)
                        before = process_descriptors(getpid());
        }
        ck_assert_int_eq(process_descriptors(getpid()), before);
}
END_TEST

/* --- death --- */

START_TEST(test_host_killed)
{
        pthread_t callers[3];
        uint64_t in = 1, out = 0;
        uint32_t count = 1;
        pid_t pid;
        io_connect_t c = host_open_child(&pid);
        void *result;

        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_ADD_ONE, &in, 1, &out, &count), 0);
        ck_assert_uint_eq(out, 2);
        for (size_t i = 0; i < 3; i++)
                pthread_create(&callers[i], NULL, blocked_call, &c);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        for (size_t i = 0; i < 3; i++) {
                pthread_join(callers[i], &result);
                /* Sent before the death, or after. */
                ck_assert((int)(intptr_t)result == MIG_SERVER_DIED || (int)(intptr_t)result == MACH_SEND_INVALID_DEST);
        }
        /* At the latest the second call finds it gone for good. */
        IOConnectCallScalarMethod(c, HOST_ADD_ONE, &in, 1, &out, &count);
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_ADD_ONE, &in, 1, &out, &count), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(IOConnectAddRef(c), KERN_INVALID_RIGHT);
        ck_assert_int_eq(IOServiceClose(c), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOConnectAddRef(c), KERN_INVALID_NAME);
}
END_TEST

START_TEST(test_host_killed_with_mapping)
{
        mach_vm_address_t at = 0;
        pid_t pid;
        io_connect_t c = host_open_child(&pid);

        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), 0);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_mem_eq((void *)at, "shared", 6);
        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), kIOReturnBadArgument);
        IOConnectCallScalarMethod(c, HOST_SILENT, NULL, 0, NULL, NULL);
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_SILENT, NULL, 0, NULL, NULL), kIOReturnBadArgument);
        ck_assert_mem_eq((void *)at, "shared", 6);
        ck_assert_int_eq(IOServiceClose(c), 0);
}
END_TEST

START_TEST(test_fork)
{
        uint64_t in = 1, out = 0;
        uint32_t count = 1;
        io_connect_t c = host_open(&host);
        pid_t pid;
        int status;

        pid = fork();
        if (pid == 0) {
                bool good = IOConnectCallScalarMethod(c, HOST_ADD_ONE, &in, 1, &out, &count) == MACH_SEND_INVALID_DEST &&
                            IOServiceClose(c) == MACH_SEND_INVALID_DEST && IOConnectAddRef(c) == KERN_INVALID_NAME;

                _exit(good ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(IOConnectCallScalarMethod(c, HOST_ADD_ONE, &in, 1, &out, &count), 0);
        ck_assert_uint_eq(out, 2);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_unsupported)
{
        io_service_t service = 99;
        io_connect_t c = host_open(&host), other;
        struct host second = { 0 };

        other = host_open(&second);
        ck_assert_int_eq(IOConnectGetService(c, &service), kIOReturnUnsupported);
        ck_assert_uint_eq(service, 99);
        ck_assert_int_eq(IOConnectSetNotificationPort(c, 0, 0, 0), kIOReturnUnsupported);
        ck_assert_int_eq(IOConnectAddClient(c, other), kIOReturnUnsupported);
        ck_assert_int_eq(IOConnectAddClient(c, 0), kIOReturnBadArgument);
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(IOServiceClose(other), 0);
        ck_assert_int_eq(IOConnectGetService(c, &service), MACH_SEND_INVALID_DEST);
        host_end(&host);
        host_end(&second);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("connection", test_scalars, test_struct_inline, test_struct_large, test_struct_edges,
                                 test_retained, test_not_there, test_variable, test_map, test_map_extents, test_map_bad_extents,
                                 test_close_waits, test_close_twice_one_reference, test_close_waits_for_no_host,
                                 test_close_is_seen_past_copies, test_race, test_nothing_left, test_host_killed,
                                 test_host_killed_with_mapping, test_fork, test_unsupported);

        tcase_add_loop_test(tcase, test_map_extent_counts, 0, 2);
        tcase_add_loop_test(tcase, test_loans_promised, 0, 2);
        return run_cases("client-connection", tcase);
}
