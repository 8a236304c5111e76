/* SPDX-License-Identifier: Apache-2.0 */
/* Strings as bytes: a keyed hash, UTF-8. */
#include <sys/random.h>

#include "base/base.h"
#include "object/value.h"

static uint64_t hash_key[2];

/* Before any thread exists and before any dictionary: the key must never change under one. */
static __attribute__((constructor(101))) void hash_key_draw(void)
{
        if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) == (ssize_t)sizeof(hash_key))
                return;
        /* No entropy yet, at boot: the address space's layout is what there is. */
        hash_key[0] = amb_time_now();
        hash_key[1] = (uint64_t)(uintptr_t)&hash_key_draw ^ ((uint64_t)(uintptr_t)&hash_key << 32);
}

struct sip {
        uint64_t v[4];
};

static inline uint64_t rotate(uint64_t x, unsigned by)
{
        return x << by | x >> (64 - by);
}

/* One SipRound of the SipHash paper (Aumasson, Bernstein 2012), figure 2.1. */
static inline void sip_round(struct sip *s)
{
        s->v[0] += s->v[1];
        s->v[2] += s->v[3];
        s->v[1] = rotate(s->v[1], 13) ^ s->v[0];
        s->v[3] = rotate(s->v[3], 16) ^ s->v[2];
        s->v[0] = rotate(s->v[0], 32) + s->v[3];
        s->v[2] += s->v[1];
        s->v[1] = rotate(s->v[1], 17) ^ s->v[2];
        s->v[3] = rotate(s->v[3], 21) ^ s->v[0];
        s->v[2] = rotate(s->v[2], 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
        s->v[3] ^= word;
        sip_round(s);
        s->v[0] ^= word;
}

uint32_t amb_string_hash(const char *bytes, size_t length)
{
        struct sip s = { { hash_key[0] ^ 0x736f6d6570736575u, hash_key[1] ^ 0x646f72616e646f6du,
                           hash_key[0] ^ 0x6c7967656e657261u, hash_key[1] ^ 0x7465646279746573u } };
        size_t done = 0;
        for (; length - done >= 8; done += 8) {
                uint64_t word;
                memcpy(&word, bytes + done, 8);
                sip_word(&s, word);
        }
        uint64_t last = (uint64_t)length << 56;
        for (size_t i = 0; done + i < length; i++)
                last |= (uint64_t)(uint8_t)bytes[done + i] << (8 * i);
        sip_word(&s, last);
        s.v[2] ^= 0xff;
        for (int i = 0; i < 3; i++)
                sip_round(&s);
        uint64_t h = s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
        return (uint32_t)(h ^ h >> 32);
}

size_t amb_utf8_character(const char *bytes, size_t length)
{
        const uint8_t *b = (const uint8_t *)bytes;
        if (!length || !b[0])
                return 0;
        if (b[0] < 0x80)
                return 1;
        size_t n = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
        if (b[0] < 0xc2 || b[0] > 0xf4 || length < n)
                return 0;
        uint32_t character = b[0] & (0xffu >> (n + 1));
        for (size_t i = 1; i < n; i++) {
                if ((b[i] & 0xc0) != 0x80)
                        return 0;
                character = character << 6 | (b[i] & 0x3f);
        }
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        if (character < least[n] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
                return 0;
        return n;
}

bool amb_utf8_valid(const char *bytes, size_t length)
{
        for (size_t at = 0, n; at < length; at += n) {
                n = amb_utf8_character(bytes + at, length - at);
                if (!n)
                        return false;
        }
        return true;
}
