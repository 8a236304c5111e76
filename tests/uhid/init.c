/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of the machine that boot.py makes: mounts what programs expect, loads the modules of /modules in the order of
 * their names, runs the lines of /tests, one program each, says how each has ended, and switches the machine off.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int result, const char *what)
{
        if (result < 0)
                printf("init: %s: %s\n", what, strerror(errno));
}

static void mount_all(void)
{
        static const char *const types[][2] = {
                { "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" },
        };

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                mkdir(types[i][1], 0755);
                check(mount(types[i][0], types[i][1], types[i][0], 0, NULL), types[i][1]);
        }
        mkdir("/dev/shm", 01777);
        check(mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL), "/dev/shm");
}

static void load_modules(void)
{
        struct dirent **modules;
        int count = scandir("/modules", &modules, NULL, alphasort);

        for (int i = 0; i < count; i++) {
                char path[300];
                int fd;

                if (modules[i]->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "/modules/%s", modules[i]->d_name);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                check((int)syscall(SYS_finit_module, fd, "", 0), path);
                close(fd);
        }
}

static int run(char *line)
{
        int status = -1;
        pid_t child = fork();

        if (child == 0) {
                execl("/bin/sh", "sh", "-c", line, NULL);
                _exit(127);
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        return status;
}

int main(void)
{
        char line[1000];
        FILE *tests;
        int failed = 0;

        setenv("PATH", "/usr/bin:/bin", 1);
        setenv("HOME", "/tmp", 1);
        setlinebuf(stdout);
        mount_all();
        load_modules();
        tests = fopen("/tests", "re");
        while (tests && fgets(line, sizeof(line), tests)) {
                int status;

                line[strcspn(line, "\n")] = '\0';
                printf("init: %s\n", line);
                status = run(line);
                printf("init: status %d of: %s\n", status, line);
                failed |= status != 0;
        }
        printf("init: %s\n", tests && !failed ? "all passed" : "FAILED");
        sync();
        reboot(RB_POWER_OFF);
        return 0;
}
