/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <limits.h>
#include <sys/stat.h>

#include "base/base.h"

static const struct place {
        const char *name;
        const char *installed;  /* below PREFIX */
        const char *built;      /* below BUILD */
} places[] = {
        { "ambidext",      "bin/ambidext",                   "src/cli/ambidext" },
        { "ambidextd",     "bin/ambidextd",                  "src/daemon/ambidextd" },
        { "ambidext-host", "libexec/ambidext/ambidext-host", "src/host/ambidext-host" },
        { "iig",           "bin/iig",                        "src/iig/iig" },
};

enum { LEVELS_MAX = 6 };        /* how deep below BUILD an executable may lie */

static bool cut_last(char *path)
{
        char *slash = strrchr(path, '/');
        if (!slash)
                return false;
        *slash = 0;     /* "" is the root: what is joined to it begins with a slash */
        return true;
}

static bool ends_with(const char *text, const char *end)
{
        size_t n = strlen(text), m = strlen(end);
        return n >= m && strcmp(text + n - m, end) == 0;
}

/* directory/below when that is a program that we may run, or a directory if that is wanted; else NULL. */
static char *find_in(const char *directory, const char *below, bool want_directory)
{
        AMB_FREE char *path = amb_format("%s/%s", directory, below);
        struct stat status;
        if (!path || stat(path, &status) < 0)
                return NULL;
        if (want_directory ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode) || access(path, X_OK) < 0)
                return NULL;
        return amb_steal(path);
}

static char *find_installed(const char *self, const char *below, bool want_directory)
{
        AMB_FREE char *prefix = strdup(self);
        if (!prefix || !cut_last(prefix))
                return NULL;
        if (ends_with(prefix, "/libexec/ambidext"))
                cut_last(prefix);
        else if (!ends_with(prefix, "/bin"))
                return NULL;
        cut_last(prefix);
        return find_in(prefix, below, want_directory);
}

static char *find_built(const char *self, const char *below, bool want_directory)
{
        AMB_FREE char *directory = strdup(self);
        for (int level = 0; directory && level < LEVELS_MAX && cut_last(directory); level++) {
                AMB_FREE char *mark = find_in(directory, "meson-private", true);
                if (mark)
                        return find_in(directory, below, want_directory);
        }
        return NULL;
}

static char *find(const char *self, const char *installed, const char *built, bool want_directory)
{
        char *path = find_installed(self, installed, want_directory);
        if (!path)
                path = find_built(self, built, want_directory);
        if (!path)
                errno = ENOENT;
        return path;
}

char *amb_program_path_from(const char *self, const char *name)
{
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(places); i++)
                if (strcmp(places[i].name, name) == 0)
                        return find(self, places[i].installed, places[i].built, false);
        errno = ENOENT;
        return NULL;
}

static bool own_path(char self[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);
        if (n < 0)
                return false;
        self[n] = 0;
        return true;
}

char *amb_program_path(const char *name)
{
        char self[PATH_MAX];
        return own_path(self) ? amb_program_path_from(self, name) : NULL;
}

char *amb_template_path(const char *name)
{
        char self[PATH_MAX];
        AMB_FREE char *installed = amb_format("share/ambidext/templates/%s", name);
        AMB_FREE char *built = amb_format("share/templates/%s", name);
        return installed && built && own_path(self) ? find(self, installed, built, true) : NULL;
}

char *amb_bundle_path(const char *name)
{
        char self[PATH_MAX];
        AMB_FREE char *installed = amb_format("lib/ambidext/dexts/%s.dext", name);
        AMB_FREE char *built = amb_format("drivers/%s.dext", name);
        return installed && built && own_path(self) ? find(self, installed, built, true) : NULL;
}
