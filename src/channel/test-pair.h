/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For this folder's tests: both roles of one channel in one process, and a host thread that answers with a function of its input.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include "channel/channel.h"
#include "channel/layout.h"

struct pair {
        int fd;
        struct amb_layout *memory;              /* the test's own look at it */
        struct amb_channel *app, *host;
        pthread_t server;
        int server_result;
};

static inline struct amb_layout *layout_map(int fd)
{
        void *memory = mmap(NULL, sizeof(struct amb_layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        ck_assert_ptr_ne(memory, MAP_FAILED);
        return memory;
}

static inline void pair_make(struct pair *pair, const struct amb_channel_options *app, const struct amb_channel_options *host)
{
        memset(pair, 0, sizeof(*pair));
        ck_assert_int_eq(amb_channel_create(&pair->fd), 0);
        ck_assert_int_eq(amb_channel_attach(pair->fd, AMB_CHANNEL_APP, app, &pair->app), 0);
        ck_assert_int_eq(amb_channel_attach(pair->fd, AMB_CHANNEL_HOST, host, &pair->host), 0);
        pair->memory = layout_map(pair->fd);
}

/* The same on one mapping: what the thread sanitizer needs. */
static inline void pair_make_one_mapping(struct pair *pair, const struct amb_channel_options *host)
{
        memset(pair, 0, sizeof(*pair));
        ck_assert_int_eq(amb_channel_create(&pair->fd), 0);
        pair->memory = layout_map(pair->fd);
        ck_assert_int_eq(amb_channel_attach_mapping(pair->memory, AMB_CHANNEL_APP, NULL, &pair->app), 0);
        ck_assert_int_eq(amb_channel_attach_mapping(pair->memory, AMB_CHANNEL_HOST, host, &pair->host), 0);
}

static inline void pair_free(struct pair *pair)
{
        amb_channel_free(pair->app);
        amb_channel_free(pair->host);
        munmap(pair->memory, sizeof(struct amb_layout));
        amb_fd_close(pair->fd);
}

/* Every word of the answer depends on the whole question. */
static inline uint64_t mix(uint64_t x)
{
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        return x ^ x >> 27;
}

static inline uint64_t request_digest(const uint64_t *scalars, uint32_t count, const uint8_t *bytes, uint32_t size,
                                      uint32_t selector)
{
        uint64_t digest = selector + 1;

        for (uint32_t i = 0; i < count; ++i)
                digest = mix(digest + scalars[i]);
        for (uint32_t i = 0; i < size; ++i)
                digest = mix(digest + bytes[i]);
        return digest;
}

/* scalar_capacity scalars and min(capacity, 4096) bytes that follow from the digest; status from the selector's highest bit. */
static inline void answer(struct amb_channel *host, const struct amb_request *request, const uint8_t *bytes)
{
        uint64_t digest = request_digest(request->scalars, request->scalar_count, bytes, request->size, request->selector);
        uint64_t scalars[AMB_CHANNEL_SCALARS];
        uint8_t out[AMB_CHANNEL_BYTES];
        uint32_t size = request->capacity < AMB_CHANNEL_BYTES ? request->capacity : AMB_CHANNEL_BYTES;
        struct amb_result result = {
                .flags = size ? AMB_REPLY_BYTES : 0, .scalar_count = request->scalar_capacity, .size = size,
                .scalars = scalars, .bytes = out,
        };

        for (uint32_t i = 0; i < request->scalar_capacity; ++i)
                scalars[i] = digest + i;
        for (uint32_t i = 0; i < size; ++i)
                out[i] = (uint8_t)(digest + i);
        if (request->selector >> 31)
                result = (struct amb_result){ .status = (int32_t)request->selector };
        /*
         * Nothing of Check's once the other side goes on: it allocates, and whoever forks then may have a heap that stays locked.
         */
        if (amb_channel_reply(host, request, &result) != 0)
                ck_abort_msg("the reply was refused");
}

static inline void *serve(void *data)
{
        struct pair *pair = data;
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        int r;

        while ((r = amb_channel_receive(pair->host, &request, bytes)) == 0)
                answer(pair->host, &request, bytes);
        pair->server_result = r;
        return NULL;
}

static inline void pair_serve(struct pair *pair)
{
        ck_assert_int_eq(pthread_create(&pair->server, NULL, serve, pair), 0);
}

static inline int pair_serve_end(struct pair *pair)
{
        amb_channel_shutdown(pair->host);
        pthread_join(pair->server, NULL);
        return pair->server_result;
}

/* Asks and checks the whole answer. */
static inline void ask(struct amb_channel *app, uint32_t selector, uint32_t in, uint32_t out, uint32_t size, uint32_t capacity,
                       uint64_t seed)
{
        uint64_t scalars[AMB_CHANNEL_SCALARS], scalars_out[AMB_CHANNEL_SCALARS + 1], digest;
        uint8_t bytes[AMB_CHANNEL_BYTES], bytes_out[AMB_CHANNEL_BYTES + 1];
        struct amb_call call = {
                .selector = selector, .scalar_count = in, .scalar_capacity = out, .scalars = scalars, .scalars_out = scalars_out,
                .bytes = bytes, .bytes_out = bytes_out, .size = size, .capacity = capacity,
        };
        struct amb_reply reply;
        bool failed = selector >> 31;

        for (uint32_t i = 0; i < in; ++i)
                scalars[i] = mix(seed + i);
        for (uint32_t i = 0; i < size; ++i)
                bytes[i] = (uint8_t)mix(seed + i);
        memset(scalars_out, 0x5A, sizeof(scalars_out));
        memset(bytes_out, 0x5A, sizeof(bytes_out));
        digest = request_digest(scalars, in, bytes, size, selector);
        ck_assert_int_eq(amb_channel_call(app, &call, &reply), 0);
        ck_assert_int_eq(reply.status, failed ? (int32_t)selector : 0);
        ck_assert_uint_eq(reply.scalar_count, failed ? 0 : out);
        ck_assert_uint_eq(reply.size, failed ? 0 : capacity);
        for (uint32_t i = 0; i < AMB_CHANNEL_SCALARS + 1; ++i)
                if (scalars_out[i] != (i < reply.scalar_count ? digest + i : UINT64_C(0x5A5A5A5A5A5A5A5A)))
                        ck_abort_msg("scalar %u", i);
        for (uint32_t i = 0; i < AMB_CHANNEL_BYTES + 1; ++i)
                if (bytes_out[i] != (i < reply.size ? (uint8_t)(digest + i) : 0x5A))
                        ck_abort_msg("byte %u", i);
}
