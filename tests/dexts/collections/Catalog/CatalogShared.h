/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CatalogShared_h
#define CatalogShared_h

#include <stdint.h>

/* The bits of what held, for selectors that look at many small things. */
typedef uint64_t CatalogBits;

enum CatalogSelector {
  kCatalogString = 0,  /* in: text; out: text twice with a blank between, bits */
  kCatalogNumber,      /* in: value; out: it in 8, 16, 32, 64 bits, the number of a text, bits */
  kCatalogData,        /* in: bytes; out: the bytes, a '+', the bytes again, bits */
  kCatalogArray,       /* in: uint32_t[]; out: uint32_t[], sorted by insertion, bits */
  kCatalogDictionary,  /* in: "key=value;key=value"; out: "key:value\n" for each, without the key "drop", up to "stop", bits */
  kCatalogSet,         /* out: members of a set, of an ordered one, bits */
  kCatalogHelpers,     /* out: text made with the C functions, bits */
  kCatalogDefaults,    /* out: CatalogDefaults, read from the personality */
  kCatalogPublish,     /* in: text, number; sets properties */
  kCatalogRetract,     /* removes the text again */
  kCatalogNothing,     /* out: bits; what NULL does */
  kCatalogSelectors
};

struct CatalogDefaults {
  uint64_t shelves;
  uint32_t names;
  char first[16];
  char last[16];
  uint8_t open;
  uint8_t stamp[4];
};

#endif
