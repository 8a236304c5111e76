/* SPDX-License-Identifier: Apache-2.0 */
/* As found: a source that includes <stdlib.h> alone, and uses what that brings on Darwin. */
#include <stdlib.h>

#if !TARGET_OS_MAC || TARGET_OS_IPHONE
#error "not a Mac"
#endif

static int handle(uint32_t word, int status __unused)
{
    return _OSSwapInt16((uint16_t)word) + WIFEXITED(status);
}

int run(const char *command);
int run(const char *command)
{
    u_int8_t byte = 1;

    signal(SIGPIPE, SIG_IGN);
    return handle(byte, command != NULL);
}
