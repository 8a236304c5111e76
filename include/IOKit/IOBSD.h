/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Properties that tie an entry to a file in /dev: constants; see IOBSDNameMatching(). Contract: lifecycle-registry 6.1. */
#include <IOKit/IOKitKeys.h>

#ifndef kIOBSDNameKey
#define kIOBSDNameKey "BSD Name"
#endif
#define kIOBSDNamesKey "BSD Names"
#define kIOBSDMajorKey "BSD Major"
#define kIOBSDMinorKey "BSD Minor"
#define kIOBSDUnitKey "BSD Unit"
