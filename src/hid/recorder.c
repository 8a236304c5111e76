/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambidext-hid-recorder: plays the kernel for the HID devices of drivers, where there is no /dev/uhid or none is wanted: prints
 * what the devices say, a line of JSON each, and tells them what it is told on standard input (ambidext-hid(7)).
 *
 * One thread around poll. A device's records are believed as little as a kernel would believe them: sizes are checked, text is
 * escaped, a device that breaks the rules is hung up on. Output that nobody takes ends the program.
 */
#include <ctype.h>
#include <linux/uhid.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"

#define DEVICES_MOST 64
#define LINE_MOST (3 * UHID_DATA_MAX)
#define PATIENCE 5000                   /* milliseconds, as long as a kernel waits for an answer */

static struct {
        struct device {
                int fd;                 /* -1: gone; its number stays taken */
                bool made;              /* it has said what it is: once, or telling it would never come back from telling it */
        } devices[DEVICES_MOST];
        size_t count;
        int signals;                    /* readable when it is to end */
        uint32_t last_id;               /* of what was asked */
        char line[LINE_MOST];           /* standard input, as far as it has come */
        size_t length;
        bool too_long;
} recorder;

/* --- what is printed --- */

static void print_hex(const char *key, const uint8_t *bytes, size_t size)
{
        printf(",\"%s\":\"", key);
        for (size_t i = 0; i < size; i++)
                printf("%02x", bytes[i]);
        putchar('"');
}

static void print_text(const char *key, const uint8_t *text, size_t room)
{
        printf(",\"%s\":\"", key);
        for (size_t i = 0; i < room && text[i]; i++)
                if (text[i] == '"' || text[i] == '\\' || text[i] < ' ' || text[i] > '~')
                        printf("\\u%04x", text[i]);
                else
                        putchar(text[i]);
        putchar('"');
}

static void print_begin(size_t device, const char *record)
{
        printf("{\"device\":%zu,\"record\":\"%s\"", device + 1, record);
}

static void print_end(void)
{
        puts("}");
}

static void print_create(size_t device, const struct uhid_create2_req *create)
{
        print_begin(device, "create");
        print_text("name", create->name, sizeof(create->name));
        print_text("phys", create->phys, sizeof(create->phys));
        print_text("uniq", create->uniq, sizeof(create->uniq));
        printf(",\"bus\":%u,\"vendor\":%u,\"product\":%u,\"version\":%u,\"country\":%u", create->bus, create->vendor,
               create->product, create->version, create->country);
        print_hex("descriptor", create->rd_data, create->rd_size);
        print_end();
}

/* False: it breaks the rules. */
static bool print_record(size_t device, const struct uhid_event *event)
{
        switch (event->type) {
        case UHID_CREATE2:
                if (event->u.create2.rd_size > HID_MAX_DESCRIPTOR_SIZE || recorder.devices[device].made)
                        return false;
                recorder.devices[device].made = true;
                print_create(device, &event->u.create2);
                return true;
        case UHID_INPUT2:
                if (event->u.input2.size > UHID_DATA_MAX)
                        return false;
                print_begin(device, "input");
                print_hex("bytes", event->u.input2.data, event->u.input2.size);
                break;
        case UHID_SET_REPORT_REPLY:
                print_begin(device, "set-reply");
                printf(",\"id\":%u,\"error\":%u", event->u.set_report_reply.id, event->u.set_report_reply.err);
                break;
        case UHID_GET_REPORT_REPLY:
                if (event->u.get_report_reply.size > UHID_DATA_MAX)
                        return false;
                print_begin(device, "get-reply");
                printf(",\"id\":%u,\"error\":%u", event->u.get_report_reply.id, event->u.get_report_reply.err);
                print_hex("bytes", event->u.get_report_reply.data, event->u.get_report_reply.size);
                break;
        case UHID_DESTROY:
                print_begin(device, "destroy");
                break;
        default:
                print_begin(device, "other");
                printf(",\"type\":%u", event->type);
        }
        print_end();
        return true;
}

/* --- devices --- */

static void hang_up(size_t device)
{
        if (recorder.devices[device].fd < 0)
                return;
        recorder.devices[device].fd = amb_fd_close(recorder.devices[device].fd);
        print_begin(device, "end");
        print_end();
}

static void on_device(size_t device);

/*
 * What the device says meanwhile is taken: it may be what keeps it from reading. False: it has gone, or has neither read nor said
 * anything for PATIENCE; or the recorder is to end.
 */
static bool wait_for_room(size_t device)
{
        struct pollfd fds[] = { { .fd = recorder.devices[device].fd, .events = POLLIN | POLLOUT },
                                { .fd = recorder.signals, .events = POLLIN } };
        int r;

        (void)fflush(stdout);   /* who reads it may be who makes the device read; serve() sees errors */
        r = poll(fds, AMB_ARRAY_LENGTH(fds), PATIENCE);
        if (r < 0)
                return errno == EINTR;
        if (r > 0 && (fds[0].revents & ~POLLOUT))
                on_device(device);
        return r > 0 && !fds[1].revents && recorder.devices[device].fd >= 0;
}

/* A device that is told more than it has read yet is waited for, as long as it does something; then it is hung up on. */
static void tell(size_t device, const struct uhid_event *event)
{
        while (send(recorder.devices[device].fd, event, sizeof(*event), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                if (errno != EAGAIN || !wait_for_room(device)) {
                        hang_up(device);
                        return;
                }
}

static void start(size_t device)
{
        struct uhid_event event = { .type = UHID_START };

        tell(device, &event);
        event.type = UHID_OPEN;
        if (recorder.devices[device].fd >= 0)
                tell(device, &event);
}

static void on_device(size_t device)
{
        struct uhid_event event;
        ssize_t size;

        memset(&event, 0, sizeof(event));
        size = recv(recorder.devices[device].fd, &event, sizeof(event), MSG_DONTWAIT | MSG_TRUNC);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (size < (ssize_t)sizeof(event.type) || size > (ssize_t)sizeof(event) || !print_record(device, &event))
                hang_up(device);
        else if (event.type == UHID_CREATE2)
                start(device);
}

static void on_listener(int listener)
{
        AMB_FD fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return;
        if (recorder.count == DEVICES_MOST) {
                fprintf(stderr, "ambidext-hid-recorder: there have been %d devices: this one is turned away; start the recorder "
                        "anew\n", DEVICES_MOST);
                return;
        }
        recorder.devices[recorder.count++].fd = amb_fd_steal(&fd);
}

/* --- what it is told --- */

static bool parse_hex(const char *text, uint8_t *bytes, size_t *ret_size)
{
        size_t length = strlen(text);

        if (length % 2 || length / 2 > UHID_DATA_MAX)
                return false;
        for (size_t i = 0; i < length / 2; i++) {
                char pair[3] = { text[2 * i], text[2 * i + 1], '\0' };

                if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
                        return false;
                bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
        }
        *ret_size = length / 2;
        return true;
}

static bool parse_number(const char *text, unsigned long most, unsigned long *ret_number)
{
        char *end;

        if (!text || !isdigit((unsigned char)*text))
                return false;
        errno = 0;
        *ret_number = strtoul(text, &end, 0);
        return errno == 0 && *end == '\0' && *ret_number <= most;
}

static bool parse_type(const char *text, uint8_t *ret_type)
{
        static const char *const names[] = {
                [UHID_FEATURE_REPORT] = "feature", [UHID_OUTPUT_REPORT] = "output", [UHID_INPUT_REPORT] = "input",
        };

        for (uint8_t i = 0; text && i < AMB_ARRAY_LENGTH(names); i++)
                if (strcmp(text, names[i]) == 0) {
                        *ret_type = i;
                        return true;
                }
        return false;
}

/* get DEVICE TYPE ID; set DEVICE TYPE ID HEX; output DEVICE HEX. False: none of them. */
static bool read_command(char **word, size_t words, struct uhid_event *event)
{
        unsigned long id = 0;
        uint8_t type = 0;
        size_t size = 0;

        memset(event, 0, sizeof(*event));
        if (words == 4 && strcmp(word[0], "get") == 0 && parse_type(word[2], &type) && parse_number(word[3], 255, &id)) {
                event->type = UHID_GET_REPORT;
                event->u.get_report.id = ++recorder.last_id;
                event->u.get_report.rtype = type;
                event->u.get_report.rnum = (uint8_t)id;
                return true;
        }
        if (words == 5 && strcmp(word[0], "set") == 0 && parse_type(word[2], &type) && parse_number(word[3], 255, &id) &&
            parse_hex(word[4], event->u.set_report.data, &size)) {
                event->type = UHID_SET_REPORT;
                event->u.set_report.id = ++recorder.last_id;
                event->u.set_report.rtype = type;
                event->u.set_report.rnum = (uint8_t)id;
                event->u.set_report.size = (uint16_t)size;
                return true;
        }
        if (words == 3 && strcmp(word[0], "output") == 0 && parse_hex(word[2], event->u.output.data, &size)) {
                event->type = UHID_OUTPUT;
                event->u.output.rtype = UHID_OUTPUT_REPORT;
                event->u.output.size = (uint16_t)size;
                return true;
        }
        return false;
}

static void on_line(char *line)
{
        char *words[6], *rest = line, *word;
        unsigned long device;
        struct uhid_event event;
        size_t count = 0;

        while (count < AMB_ARRAY_LENGTH(words) && (word = strsep(&rest, " \t")))
                if (*word)
                        words[count++] = word;
        if (count == 0)
                return;
        if (count < 2 || !parse_number(words[1], DEVICES_MOST, &device) || !read_command(words, count, &event))
                fprintf(stderr, "ambidext-hid-recorder: \"%s ...\" is none of: get DEVICE TYPE ID; set DEVICE TYPE ID HEX; "
                        "output DEVICE HEX\n", words[0]);
        else if (device == 0 || device > recorder.count || recorder.devices[device - 1].fd < 0)
                fprintf(stderr, "ambidext-hid-recorder: there is no device %lu\n", device);
        else
                tell(device - 1, &event);
}

/* False: there will be no more. */
static bool on_input(void)
{
        char *end;
        ssize_t got = read(STDIN_FILENO, recorder.line + recorder.length, sizeof(recorder.line) - 1 - recorder.length);

        if (got <= 0)
                return got < 0 && errno == EINTR;
        recorder.length += (size_t)got;
        while ((end = memchr(recorder.line, '\n', recorder.length))) {
                size_t used = (size_t)(end - recorder.line) + 1;

                *end = '\0';
                if (!recorder.too_long)
                        on_line(recorder.line);
                recorder.too_long = false;
                recorder.length -= used;
                memmove(recorder.line, recorder.line + used, recorder.length);
        }
        if (recorder.length == sizeof(recorder.line) - 1) {
                fprintf(stderr, "ambidext-hid-recorder: a line of more than %zu bytes is passed over\n", sizeof(recorder.line) - 1);
                recorder.too_long = true;
                recorder.length = 0;
        }
        return true;
}

/* --- the program --- */

enum { LISTENER, SIGNALS, INPUT, FIRST_DEVICE };

static int serve(int listener)
{
        bool input = true;

        for (;;) {
                struct pollfd fds[FIRST_DEVICE + DEVICES_MOST] = {
                        [LISTENER] = { .fd = listener, .events = POLLIN },
                        [SIGNALS] = { .fd = recorder.signals, .events = POLLIN },
                        [INPUT] = { .fd = input ? STDIN_FILENO : -1, .events = POLLIN },
                };
                size_t count = recorder.count;

                for (size_t i = 0; i < count; i++)
                        fds[FIRST_DEVICE + i] = (struct pollfd){ .fd = recorder.devices[i].fd, .events = POLLIN };
                if (poll(fds, FIRST_DEVICE + count, -1) < 0 && errno != EINTR)
                        return amb_errno();
                if (fds[SIGNALS].revents)
                        return 0;
                for (size_t i = 0; i < count; i++)
                        if (fds[FIRST_DEVICE + i].revents)
                                on_device(i);
                if (fds[LISTENER].revents)
                        on_listener(listener);
                if (fds[INPUT].revents)
                        input = on_input();
                if (fflush(stdout) != 0)
                        return amb_errno();
        }
}

static int listen_at(const char *path, int *ret_fd)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AMB_FD fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return amb_errno();
        if (listen(fd, DEVICES_MOST) < 0) {
                unlink(path);
                return amb_errno();
        }
        *ret_fd = amb_fd_steal(&fd);
        return 0;
}

int main(int argc, char **argv)
{
        AMB_FD listener = -1;
        sigset_t ends;
        int r;

        if (argc != 2 || argv[1][0] == '-') {
                fputs("usage: ambidext-hid-recorder SOCKET\n"
                      "Then: AMBIDEXT_HID_RECORDER=SOCKET ambidext run --dext NAME.dext -- PROGRAM; see ambidext-hid(7).\n",
                      stderr);
                return 2;
        }
        sigemptyset(&ends);
        sigaddset(&ends, SIGINT);
        sigaddset(&ends, SIGTERM);
        sigaddset(&ends, SIGHUP);
        signal(SIGPIPE, SIG_IGN);
        sigprocmask(SIG_BLOCK, &ends, NULL);
        recorder.signals = signalfd(-1, &ends, SFD_CLOEXEC);
        r = recorder.signals < 0 ? amb_errno() : listen_at(argv[1], &listener);
        if (r < 0) {
                fprintf(stderr, "ambidext-hid-recorder: cannot listen at %s: %s\n", argv[1], strerror(-r));
                return EXIT_FAILURE;
        }
        puts("{\"record\":\"listening\"}");
        r = fflush(stdout) != 0 ? amb_errno() : serve(listener);
        unlink(argv[1]);
        if (r < 0)
                fprintf(stderr, "ambidext-hid-recorder: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
