/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver and its clients have agreed on. */
#ifndef WhiteboardShared_h
#define WhiteboardShared_h

#include <stdint.h>

#define kWhiteboardPage 4096u
#define kWhiteboardPages 3u

/* Types of memory. */
enum {
    kWhiteboardBoard = 0,   /* the service's, all clients see it */
    kWhiteboardOwn,         /* 5000 bytes of the client's own */
    kWhiteboardReadOnly,    /* as above, the client may only read */
    kWhiteboardOut,         /* made with direction Out, and writable all the same */
    kWhiteboardSecondPage,  /* the second page of the board */
    kWhiteboardJoined,      /* the client's own page behind the board */
    kWhiteboardTypes
};

/* Selectors. */
enum {
    kWhiteboardPeek = 0,    /* in: type, offset; out: the byte there */
    kWhiteboardPoke,        /* in: type, offset, byte */
    kWhiteboardResize,      /* in: length of the client's own buffer; out: what it is then */
    kWhiteboardHole,        /* nothing serves it */
    kWhiteboardInspect,     /* out: struct WhiteboardFacts */
    kWhiteboardRefuse,      /* out: the codes of what must fail */
    kWhiteboardSelectors
};

/* What the driver sees of its own board. */
struct WhiteboardFacts {
    uint64_t boardLength;       /* GetLength */
    uint64_t rangeLength;       /* GetAddressRange */
    uint64_t rangeAgain;        /* 1: a second GetAddressRange gives the same address */
    uint64_t mapLength;         /* of the second page alone */
    uint64_t mapOffset;
    uint64_t mapShowsPage;      /* 1: it shows the second page */
    uint64_t sameMap;           /* 1: mapped twice, one object */
    uint64_t mapTwiceSame;      /* 1: Map twice, one address */
    uint64_t subLength;
    uint64_t joinedLength;
    uint64_t joinedShows;       /* 1: the joined mapping shows both parts */
    uint64_t emptyAtFirst;      /* 1: a new buffer is all zero */
};

/* What must fail, and with which code. */
enum { kRefuseOptions, kRefuseNothing, kRefuseSubRange, kRefuseSubNone, kRefuseBeyond, kRefuseCache, kRefuseJoinNone, kRefuses };

#endif
