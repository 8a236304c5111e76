/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the driver of hid-keyboard for a keyboard, types on it, and finds it among Linux's input devices, as any program would. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"

enum { INITIALIZE, TERMINATE, READY, POST_REPORT, RESET };

/* The input device that is a keyboard with letters; -1: not yet. */
static int look_for_keyboard(void)
{
        DIR *nodes = opendir("/dev/input");
        struct dirent *node;
        int found = -1;

        while (nodes && found < 0 && (node = readdir(nodes))) {
                unsigned char keys[KEY_MAX / 8 + 1] = { 0 };
                char name[100] = "";
                int fd = openat(dirfd(nodes), node->d_name, O_RDWR | O_CLOEXEC);

                if (fd < 0)
                        continue;
                if (ioctl(fd, EVIOCGNAME(sizeof(name)), name) > 0 && strncmp(name, "ambidext.org virtual keyboard", 29) == 0 &&
                    ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) > 0 && keys[KEY_A / 8] & 1 << KEY_A % 8)
                        found = fd;
                else
                        close(fd);
        }
        if (nodes)
                closedir(nodes);
        return found;
}

static int open_keyboard(void)
{
        int changes = inotify_init1(IN_CLOEXEC), fd;

        CHECK(changes >= 0 && inotify_add_watch(changes, "/dev", IN_CREATE | IN_ATTRIB) >= 0);
        while (inotify_add_watch(changes, "/dev/input", IN_CREATE | IN_ATTRIB) < 0 || (fd = look_for_keyboard()) < 0) {
                char events[4096];

                CHECK(read(changes, events, sizeof(events)) > 0);
        }
        close(changes);
        return fd;
}

static void expect_key(int fd, int code, int value)
{
        struct input_event event;

        do
                CHECK(read(fd, &event, sizeof(event)) == sizeof(event));
        while (event.type != EV_KEY);
        CHECK(event.code == code && event.value == value);
}

static void report(io_connect_t connect, unsigned char modifiers, unsigned char key)
{
        unsigned char bytes[8] = { 1, modifiers, key };

        CHECK_OK(IOConnectCallStructMethod(connect, POST_REPORT, bytes, sizeof(bytes), NULL, NULL));
}

/* Shift and A, as the driver's first reports, and let go of. */
static void type(io_connect_t connect, int fd)
{
        report(connect, 0x02, 4);
        expect_key(fd, KEY_LEFTSHIFT, 1);
        expect_key(fd, KEY_A, 1);
        report(connect, 0, 0);
        expect_key(fd, KEY_LEFTSHIFT, 0);
        expect_key(fd, KEY_A, 0);
}

int main(void)
{
        io_connect_t connect = client_open("org_ambidext_VirtualKeyboardRoot", 0);

        for (int i = 0; i < 3; i++) {
                struct input_event event;
                int fd;

                CHECK_OK(IOConnectCallScalarMethod(connect, INITIALIZE, NULL, 0, NULL, NULL));
                fd = open_keyboard();
                type(connect, fd);
                CHECK_OK(IOConnectCallScalarMethod(connect, TERMINATE, NULL, 0, NULL, NULL));
                while (read(fd, &event, sizeof(event)) > 0)
                        ;
                CHECK(errno == ENODEV);
                close(fd);
        }
        puts("typed on three keyboards");
        return 0;
}
