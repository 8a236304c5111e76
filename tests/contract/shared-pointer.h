/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The rows about OSSharedPtr, which is C++: true when the row is kept. */
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

bool shared_pointer_attach(void);
bool shared_pointer_zeroed(void);

#ifdef __cplusplus
}
#endif
