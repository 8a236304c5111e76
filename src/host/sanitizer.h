/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A host whose driver was compiled with a sanitizer: the daemon has preloaded its run-time library (daemon/sanitizer.c), and this
 * file says how it shall behave, by the functions that such a library looks for in the program: options (the user's, from the
 * environment, count more), suppressions, and what to do with a report's last line, which goes to the daemon too.
 */

/* First of all, when there is one thread: tells of it in the log. */
void amb_host_sanitizer_begin(const char *name);
/* Before the end in good order: looks for leaks, if the options ask for it; then it does not come back when there are some. */
void amb_host_sanitizer_end(void);
