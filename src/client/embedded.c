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
        struct amb_connection *connection;
        int r;

        opened.host = (int)syscall(SYS_pidfd_open, getpid(), 0);
        if (opened.host < 0) {
                amb_fd_close(ends[0]);
                amb_fd_close(ends[1]);
                return kIOReturnNoResources;
        }
        r = amb_connection_new(&opened, &connection);
        if (r == 0) {
                if (amb_channel_borrows(connection->channel))
                        amb_loans_promise(connection);
                r = amb_handle_new(&connection->target, connect);
                if (r < 0)
                        amb_target_unref(&connection->target);
        }
        if (r < 0)
                *connect = IO_OBJECT_NULL;
        return r == 0 ? KERN_SUCCESS : r == -EBADMSG ? kIOReturnIPCError : kIOReturnNoResources;
}
