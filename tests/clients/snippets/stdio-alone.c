/* SPDX-License-Identifier: Apache-2.0 */
/* As found: asprintf() without asking for it, and a printing function with Darwin's attribute. */
#include <stdio.h>

static void say(const char *format, ...) __printflike(1, 2);
static void say(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) >= 0)
        puts(text);
    va_end(arguments);
}

int main(int argc __unused, char **argv)
{
    char *text = NULL;
    u_int id = 0;

    if (asprintf(&text, "%s: %x", argv[0], id) < 0)
        return 1;
    say("%s", text);
    return 0;
}
