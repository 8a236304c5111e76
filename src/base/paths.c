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
};

enum { LEVELS_MAX = 6 };        /* how deep below BUILD an executable may lie */

static bool cut_last(char *path)
{
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
                return false;
        *slash = 0;
        return true;
}

static bool ends_with(const char *text, const char *end)
{
        size_t n = strlen(text), m = strlen(end);
        return n > m && strcmp(text + n - m, end) == 0;
}

/* directory/below when that is a file which we may execute, else NULL. */
static char *program_in(const char *directory, const char *below)
{
        AMB_FREE char *path = amb_format("%s/%s", directory, below);
        struct stat status;
        if (!path || stat(path, &status) < 0)
                return NULL;
        if (!S_ISREG(status.st_mode) || access(path, X_OK) < 0)
                return NULL;
        return amb_steal(path);
}

static bool is_directory(const char *directory, const char *below)
{
        AMB_FREE char *path = amb_format("%s/%s", directory, below);
        struct stat status;
        return path && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static char *program_installed(const char *self, const struct place *place)
{
        AMB_FREE char *prefix = strdup(self);
        if (!prefix || !cut_last(prefix))
                return NULL;
        if (ends_with(prefix, "/libexec/ambidext"))
                cut_last(prefix);
        else if (!ends_with(prefix, "/bin"))
                return NULL;
        cut_last(prefix);
        /* "/bin/ambidext": the prefix is the root, and must not become nothing. */
        return program_in(strcmp(prefix, "/bin") == 0 || strcmp(prefix, "/libexec") == 0 ? "" : prefix, place->installed);
}

static char *program_built(const char *self, const struct place *place)
{
        AMB_FREE char *directory = strdup(self);
        for (int level = 0; directory && level < LEVELS_MAX && cut_last(directory); level++)
                if (is_directory(directory, "meson-private"))
                        return program_in(directory, place->built);
        return NULL;
}

char *amb_program_path_from(const char *self, const char *name)
{
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(places); i++) {
                if (strcmp(places[i].name, name) != 0)
                        continue;
                char *path = program_installed(self, &places[i]);
                if (!path)
                        path = program_built(self, &places[i]);
                if (!path)
                        errno = ENOENT;
                return path;
        }
        errno = ENOENT;
        return NULL;
}

char *amb_program_path(const char *name)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (n < 0)
                return NULL;
        self[n] = 0;
        return amb_program_path_from(self, name);
}
