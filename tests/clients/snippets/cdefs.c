/* SPDX-License-Identifier: Apache-2.0 */
/* As found: Darwin's attributes by <sys/cdefs.h>. */
#include <sys/cdefs.h>
#include <stdarg.h>

__BEGIN_DECLS
void complain(const char *format, ...) __printflike(1, 2) __dead2;
int old_way(void) __deprecated;
__END_DECLS

static __unused const char version[] = "1.0";
static int __unused counter;

int first(int a, int b __unused);
int first(int a, int b __unused)
{
    return a;
}
