/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry socket. Who holds the lock beside it is the daemon of this path; only then may a socket that is there be
 * replaced, because nobody can be listening on it. In developer mode the directory must be ours alone, so that nobody else can
 * connect.
 */
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/daemon.h"

static int complain(int error, const char *what, const char *path, const char *remedy)
{
        amb_log(AMB_LOG_ERROR, "%s %s: %s%s%s", what, path, strerror(-error), remedy ? "; " : "", remedy ? remedy : "");
        return error;
}

static int prepare_directory(struct amb_daemon *daemon)
{
        AMB_FREE char *copy = strdup(daemon->options.socket), *base = strdup(daemon->options.socket), *resolved = NULL;
        const char *directory;
        struct stat status;

        if (!copy || !base)
                return -ENOMEM;
        directory = dirname(copy);
        if (mkdir(directory, daemon->options.developer ? 0700 : 0755) < 0 && errno != EEXIST)
                return complain(amb_errno(), "cannot make the socket's directory", directory,
                                "make it first, or name another place with --socket");
        resolved = realpath(directory, NULL);
        if (!resolved || stat(resolved, &status) < 0)
                return complain(amb_errno(), "cannot use the socket's directory", directory, NULL);
        if (!S_ISDIR(status.st_mode)) {
                return complain(-ENOTDIR, "cannot use the socket's directory", directory, "name another place with --socket");
        } else if (daemon->options.developer && (status.st_uid != geteuid() || (status.st_mode & 077))) {
                amb_log(AMB_LOG_ERROR, "developer mode lets apps vouch for themselves, so nobody else may reach the socket: "
                                       "%s must "
                        "belong to this user with mode 0700 (chmod 700 it, or name another place with --socket)", resolved);
                return -EPERM;
        } else if (!daemon->options.developer && ((status.st_uid != 0 && status.st_uid != geteuid()) ||
                                                  (status.st_mode & 022))) {
                amb_log(AMB_LOG_ERROR, "somebody else could replace the socket in %s: it must belong to root or this user and "
                                       "be "
                        "writable by its owner alone", resolved);
                return -EPERM;
        }
        daemon->socket_path = amb_format("%s/%s", resolved, basename(base));
        daemon->lock_path = amb_format("%s.lock", daemon->socket_path ? daemon->socket_path : "");
        daemon->directory = amb_steal(resolved);
        return daemon->socket_path && daemon->lock_path ? 0 : -ENOMEM;
}

/*
 * A daemon that ends removes its lock file: whoever got the lock must see that the file is still the one at the path. The lock is
 * the process's, not the open file's: a child that has not come to its exec when we are killed must not keep the next one out.
 */
static int take_lock(struct amb_daemon *daemon)
{
        const struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        for (;;) {
                AMB_FD fd = open(daemon->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                struct stat ours, theirs;

                if (fd < 0)
                        return complain(amb_errno(), "cannot make the lock", daemon->lock_path, NULL);
                if (fcntl(fd, F_SETLK, &whole) < 0) {
                        if (errno != EACCES && errno != EAGAIN)
                                return complain(amb_errno(), "cannot lock", daemon->lock_path, NULL);
                        amb_log(AMB_LOG_ERROR, "another ambidextd serves %s; stop it first, or name another place with "
                                               "--socket",
                                daemon->socket_path);
                        return -EADDRINUSE;
                }
                if (fstat(fd, &ours) == 0 && lstat(daemon->lock_path, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
                    ours.st_dev == theirs.st_dev) {
                        daemon->lock_fd = amb_fd_steal(&fd);
                        return 0;
                }
        }
}

/*
 * Made under another name and linked into place when it listens: whoever sees the socket appear (hosts of a former daemon do)
 * can connect at once.
 */
static int bind_socket(struct amb_daemon *daemon, struct sockaddr_un *address)
{
        AMB_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat status;
        mode_t mask;
        int r;

        if (fd < 0)
                return complain(amb_errno(), "cannot make the socket", address->sun_path, NULL);
        if (lstat(daemon->socket_path, &status) == 0 && !S_ISSOCK(status.st_mode))
                return complain(-EEXIST, "cannot make the socket", daemon->socket_path, "it is something else; move it away");
        unlink(address->sun_path);
        mask = umask(daemon->options.developer ? 0177 : 0111);
        r = bind(fd, (struct sockaddr *)address, sizeof(*address));
        umask(mask);
        if (r < 0 || listen(fd, SOMAXCONN) < 0)
                return complain(amb_errno(), "cannot listen at", address->sun_path, NULL);
        unlink(daemon->socket_path);
        r = link(address->sun_path, daemon->socket_path) < 0 ? amb_errno() : 0;
        unlink(address->sun_path);
        if (r < 0)
                return complain(r, "cannot make the socket", daemon->socket_path, NULL);
        daemon->listen_fd = amb_fd_steal(&fd);
        return 0;
}

int amb_listener_open(struct amb_daemon *daemon)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        r = prepare_directory(daemon);
        if (r < 0)
                return r;
        r = snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", daemon->socket_path);
        if (r >= (int)sizeof(address.sun_path))
                return complain(-ENAMETOOLONG, "cannot make the socket", daemon->socket_path,
                                "its path may have at most 103 bytes; name another place with --socket");
        r = take_lock(daemon);
        if (r < 0)
                return r;
        return bind_socket(daemon, &address);
}

/* At the limit of descriptors a waiting connection would wake us for ever: take it on the reserve and let it go. */
static void refuse_one(struct amb_daemon *daemon)
{
        int fd;

        daemon->reserve_fd = amb_fd_close(daemon->reserve_fd);
        fd = accept4(daemon->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        amb_fd_close(fd);
        daemon->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        amb_log(AMB_LOG_WARNING, "out of file descriptors: a connection was refused");
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t events, void *userdata)
{
        struct amb_daemon *daemon = userdata;
        AMB_FD fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int r;

        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE)
                        refuse_one(daemon);
                else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                        amb_log(AMB_LOG_WARNING, "cannot accept a connection: %s", strerror(errno));
                return 0;
        }
        /* Descriptors are given out lowest first: the number says how many there are. The rest is for hosts and opens. */
        if ((size_t)fd >= daemon->fds_most) {
                amb_log(AMB_LOG_WARNING, "%d file descriptors in use: a connection was refused", fd);
                return 0;
        }
        r = amb_peer_accept(daemon, amb_fd_steal(&fd));
        if (r < 0)
                amb_log(AMB_LOG_WARNING, "a connection was refused: %s", strerror(-r));
        return 0;
}

int amb_listener_start(struct amb_daemon *daemon)
{
        int r;

        daemon->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (daemon->reserve_fd < 0)
                return amb_trace(amb_errno());
        r = sd_event_add_io(daemon->event, &daemon->listener, daemon->listen_fd, EPOLLIN, on_connection, daemon);
        /* Connecting in a loop must not keep the others waiting. */
        if (r >= 0)
                r = sd_event_source_set_ratelimit(daemon->listener, 100000, 1000);
        return r < 0 ? amb_trace(r) : 0;
}

void amb_listener_close(struct amb_daemon *daemon)
{
        daemon->listener = sd_event_source_disable_unref(daemon->listener);
        if (daemon->listen_fd >= 0)
                unlink(daemon->socket_path);
        daemon->listen_fd = amb_fd_close(daemon->listen_fd);
        if (daemon->lock_fd >= 0)
                unlink(daemon->lock_path);
        daemon->lock_fd = amb_fd_close(daemon->lock_fd);
        daemon->reserve_fd = amb_fd_close(daemon->reserve_fd);
}
