/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver may take as long as it likes for an answer, and for ever. Who waits should not have to guess what for: after some
 * seconds a line on standard error says it. The call goes on; a signal's handler ends none.
 */
#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 5 };

static char *waiting;           /* constant while the alarm is set */

static void say(int signal)
{
        (void)signal;
        int error = errno;
        /* Nothing can be done about a standard error that takes no text. */
        ssize_t ignored = write(STDERR_FILENO, waiting, strlen(waiting));
        (void)ignored;
        errno = error;
}

void cli_patience_begin(const char *format, ...)
{
        va_list arguments;
        AMB_FREE char *text = NULL;
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        cli_patience_end();
        waiting = text ? amb_format("ambidext: note: %s for %d seconds now; still waiting (interrupt ends it)\n", text,
                                    PATIENCE_SECONDS)
                       : NULL;
        if (!waiting)
                return;
        sigaction(SIGALRM, &(struct sigaction){ .sa_handler = say, .sa_flags = SA_RESTART }, NULL);
        alarm(PATIENCE_SECONDS);
}

void cli_patience_end(void)
{
        alarm(0);
        signal(SIGALRM, SIG_IGN);
        free(waiting);
        waiting = NULL;
}
