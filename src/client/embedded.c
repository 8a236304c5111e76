/* SPDX-License-Identifier: Apache-2.0 */
/* The application's end of a connection to a driver in the same process (ambidext/embed.h). */
#include <sys/syscall.h>

#include <ambidext/embed.h>
#include <IOKit/IOKitLib.h>

#include "client/connection.h"

kern_return_t amb_embed_connect(const int ends[2], uint32_t *connect)
{
        /* The host is this process: it has not ended as long as somebody asks. */
        struct amb_opened opened = { .connection = 1, .channel = ends[0], .side = ends[1], .names_memory = true };

        opened.host = (int)syscall(SYS_pidfd_open, getpid(), 0);
        if (opened.host < 0) {
                amb_fd_close(ends[0]);
                amb_fd_close(ends[1]);
                return kIOReturnNoResources;
        }
        return amb_connection_open(&opened, connect);
}
