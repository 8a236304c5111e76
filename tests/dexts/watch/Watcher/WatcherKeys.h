/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WatcherKeys_h
#define WatcherKeys_h

enum {
    kWatcherListen = 0,     /* asynchronous: for each chick that comes or goes: 1 or 0, its registry id, how many there are */
    kWatcherHatch,          /* out: registry id of a new one */
    kWatcherCull,           /* in: registry id */
    kWatcherNap,            /* asynchronous: a timer switched off, and on: ticks while off, ticks in the end, 1 if the block ran */
    kWatcherMemory,         /* in: count; out: what held (kWatcherMemoryBits) */
    kWatcherClient,         /* out: what held (kWatcherClientBits) */
    kWatcherPower,          /* out: code of SetPowerState, of ChangePowerState, flags that the driver saw */
    kWatcherWord,           /* in: what went wrong (kWatcherWords); the code of it comes back */
    kWatcherSelectors
};

enum { kWatcherAborted, kWatcherTimeout, kWatcherNoResources, kWatcherNotPermitted, kWatcherWords };

#define kWatcherMemoryBits 6
#define kWatcherClientBits 5

#endif
