/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the programs of Ambidext lie, seen from the program that asks. Nothing is compiled in and no environment variable
 * counts, so that a tree works wherever `make install DESTDIR=...` has put it and nobody can slip another program in.
 *
 *      installed       PREFIX/bin/ambidext, PREFIX/bin/ambidextd, PREFIX/bin/iig, PREFIX/libexec/ambidext/ambidext-host
 *      build tree      BUILD/src/cli/ambidext, BUILD/src/daemon/ambidextd, BUILD/src/host/ambidext-host, BUILD/src/iig/iig; asked
 *                      from any executable below BUILD (tests too). BUILD is the nearest directory above that meson set up.
 */

/*
 * The absolute path of "ambidext", "ambidextd", "ambidext-host" or "iig" (an executable file when we looked), or NULL: no such
 * program beside us (errno ENOENT), no memory, or no /proc. The caller frees it. Any thread.
 */
char *amb_program_path(const char *name);

/*
 * The absolute path of a driver bundle that comes with Ambidext ("echo" for echo.dext), or NULL, as above.
 *      installed       PREFIX/lib/ambidext/dexts/echo.dext
 *      build tree      BUILD/drivers/echo.dext
 */
char *amb_bundle_path(const char *name);

/*
 * The absolute path of a directory of templates ("c", "c++", "common"), or NULL, as above.
 *      installed       PREFIX/share/ambidext/templates/c
 *      build tree      BUILD/share/templates/c
 */
char *amb_template_path(const char *name);

/* The first of these, for a caller that lies at `self` (absolute path of an executable). For tests. */
char *amb_program_path_from(const char *self, const char *name);
