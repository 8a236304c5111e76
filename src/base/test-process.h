/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What tests ask the kernel of a process, or of a thread by its id. -1: there is none, or it does not show that to others. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline FILE *process_file(pid_t pid, const char *name)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        return fopen(path, "re");
}

/* Open descriptors. */
static inline int process_descriptors(pid_t pid)
{
        char path[64];
        int count = 0;
        DIR *directory;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        directory = opendir(path);
        if (!directory)
                return -1;
        while (readdir(directory))
                count++;
        closedir(directory);
        return count - 2 - (pid == getpid());   /* two directories, and the descriptor that this look took */
}

/* A number of its status: "VmRSS" (KiB), "Threads", "voluntary_ctxt_switches". */
static inline long process_status(pid_t pid, const char *name)
{
        FILE *file = process_file(pid, "status");
        size_t length = strlen(name);
        char line[256];
        long value = -1;

        while (file && value < 0 && fgets(line, sizeof(line), file))
                if (strncmp(line, name, length) == 0 && line[length] == ':')
                        value = atol(line + length + 1);
        if (file)
                fclose(file);
        return value;
}

static inline long process_resident_kib(pid_t pid)
{
        return process_status(pid, "VmRSS");
}

/* What it has mapped: lines with `text` in them; NULL: all. */
static inline int process_mappings(pid_t pid, const char *text)
{
        FILE *file = process_file(pid, "maps");
        char *line = NULL;
        size_t size = 0;
        int count = file ? 0 : -1;

        while (file && getline(&line, &size, file) > 0)
                count += !text || strstr(line, text) != NULL;
        free(line);
        if (file)
                fclose(file);
        return count;
}

/* Does it sleep? */
static inline bool thread_sleeps(pid_t thread)
{
        FILE *file = process_file(thread, "stat");
        char text[512] = "";
        size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
        const char *state = n ? strrchr(text, ')') : NULL;

        if (file)
                fclose(file);
        return state && state[2] == 'S';
}
