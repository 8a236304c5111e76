/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Darwin's additions to <string.h>, compiled into whoever calls them. They are inline in GNU's old sense: a program that declares
 * or defines a function of such a name itself uses its own. Taking the address of one is not possible.
 */
#include <stddef.h>
#include <features.h>

#ifdef __cplusplus
extern "C" {
#define AMB_LIBC_INLINE extern inline __attribute__((__gnu_inline__, __always_inline__, __unused__))
#else
#define AMB_LIBC_INLINE extern __inline__ __attribute__((__gnu_inline__, __always_inline__, __unused__))
#endif

#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 38)
#define AMB_LIBC_HAS_STRLCPY 1
#endif
#endif
#ifndef AMB_LIBC_HAS_STRLCPY
/* Copies as much as fits into size bytes with the NUL. The length of `from`: if that is not below size, something is missing. */
AMB_LIBC_INLINE size_t strlcpy(char *__restrict__ to, const char *__restrict__ from, size_t size)
{
        size_t length = __builtin_strlen(from), most = length < size ? length : size - 1;

        if (size) {
                __builtin_memcpy(to, from, most);
                to[most] = '\0';
        }
        return length;
}

/* Appends in the same way; the length that the whole would have. A `to` without a NUL within size bytes stays as it is. */
AMB_LIBC_INLINE size_t strlcat(char *__restrict__ to, const char *__restrict__ from, size_t size)
{
        size_t used = 0, length = __builtin_strlen(from), most;

        while (used < size && to[used])
                used++;
        if (used < size) {
                most = length < size - used ? length : size - used - 1;
                __builtin_memcpy(to + used, from, most);
                to[used + most] = '\0';
        }
        return used + length;
}
#endif

/* The first place of `word` in the first size bytes of `text`, none behind its NUL; NULL: not there. */
AMB_LIBC_INLINE char *strnstr(const char *text, const char *word, size_t size)
{
        size_t length = __builtin_strlen(word), at;

        for (at = 0; at + length <= size; at++) {
                size_t same = 0;

                while (same < length && text[at + same] && text[at + same] == word[same])
                        same++;
                if (same == length)
                        return (char *)(text + at);
                if (!text[at])
                        break;
        }
        return NULL;
}

/* Fill size bytes with a pattern of 4, 8 or 16, the last one cut off where it does not fit. */
AMB_LIBC_INLINE void memset_pattern4(void *to, const void *pattern, size_t size)
{
        for (size_t at = 0; at < size; at++)
                ((char *)to)[at] = ((const char *)pattern)[at % 4];
}

AMB_LIBC_INLINE void memset_pattern8(void *to, const void *pattern, size_t size)
{
        for (size_t at = 0; at < size; at++)
                ((char *)to)[at] = ((const char *)pattern)[at % 8];
}

AMB_LIBC_INLINE void memset_pattern16(void *to, const void *pattern, size_t size)
{
        for (size_t at = 0; at < size; at++)
                ((char *)to)[at] = ((const char *)pattern)[at % 16];
}

#ifdef __cplusplus
}
#endif
