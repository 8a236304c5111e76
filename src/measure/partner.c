/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/partner.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/base.h"
#include "measure/processors.h"

#define LINE __attribute__((aligned(128)))      /* processors fetch lines in pairs */

enum { PAGE = 4096, WORDS = 2, SPINS_PER_LOOK = 1 << 24, SLEEPERS = 16 };

/* Each line is written by one side: the number last, when what it stands for is there. */
struct line {
        uint32_t number LINE;
        uint64_t words[WORDS];
};

struct shared {
        struct line ping, pong;
        uint32_t runs LINE;             /* futex: is a partner that spins to spin? */
        unsigned char in[PAGE] LINE, out[PAGE] LINE;
};

struct amb_partner {
        enum amb_partner_kind kind;
        struct shared *shared;
        uint32_t turn;
        int socket;
        pid_t child;
        bool gone;                      /* a signal handler's word */
        unsigned char page[PAGE];       /* what we send, and have received */
};

/* Of the kind that sleeps; on_child_end() looks at them. */
static struct amb_partner *sleepers[SLEEPERS];

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ __volatile__("yield");
#endif
}

static void futex_wait(uint32_t *word, uint32_t value)
{
        syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline uint32_t number_read(const struct line *line)
{
        return __atomic_load_n(&line->number, __ATOMIC_ACQUIRE);
}

static inline void line_write(struct line *line, uint32_t number, uint64_t first, uint64_t second)
{
        line->words[0] = first;
        line->words[1] = second;
        __atomic_store_n(&line->number, number, __ATOMIC_RELEASE);
}

/* --- the partner's process --- */

static void serve_spinning(struct shared *shared, bool page)
{
        static unsigned char copy[PAGE];
        uint32_t answered = 0;
        for (;;) {
                while (__atomic_load_n(&shared->runs, __ATOMIC_ACQUIRE) == 0)
                        futex_wait(&shared->runs, 0);
                for (;;) {
                        uint32_t number = number_read(&shared->ping);
                        if (number != answered) {
                                if (page) {
                                        memcpy(copy, shared->in, PAGE);
                                        memcpy(shared->out, copy, PAGE);
                                }
                                line_write(&shared->pong, answered = number, shared->ping.words[1], shared->ping.words[0]);
                        } else if (__atomic_load_n(&shared->runs, __ATOMIC_RELAXED) == 0)
                                break;
                        else
                                relax();
                }
        }
}

static void serve_sleeping(struct shared *shared)
{
        for (uint32_t answered = 0;;) {
                uint32_t number = number_read(&shared->ping);
                if (number == answered) {
                        futex_wait(&shared->ping.number, answered);
                        continue;
                }
                line_write(&shared->pong, answered = number, shared->ping.words[1], shared->ping.words[0]);
                futex_wake(&shared->pong.number);
        }
}

static void serve_socket(int socket)
{
        uint64_t words[WORDS];
        while (recv(socket, words, sizeof(words), MSG_WAITALL) == sizeof(words) &&
               send(socket, words, sizeof(words), MSG_NOSIGNAL) == sizeof(words))
                ;
}

static _Noreturn void serve(const struct amb_partner *partner, int socket)
{
        switch (partner->kind) {
        case AMB_PARTNER_SPIN: serve_spinning(partner->shared, false); break;
        case AMB_PARTNER_SPIN_PAGE: serve_spinning(partner->shared, true); break;
        case AMB_PARTNER_FUTEX: serve_sleeping(partner->shared); break;
        case AMB_PARTNER_SOCKET: serve_socket(socket); break;
        }
        _exit(0);
}

/* --- ours --- */

pid_t amb_partner_fork(void)
{
        pid_t parent = getpid(), child = fork();
        if (child < 0)
                return amb_errno();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                signal(SIGCHLD, SIG_DFL);       /* on_child_end() knows our parent's children, and writes to them */
                if (getppid() != parent)
                        _exit(0);
        }
        return child;
}

void amb_partner_kill(pid_t child)
{
        if (child <= 0)
                return;
        kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
}

/* WNOWAIT: amb_partner_free() reaps it. */
static bool partner_lives(const struct amb_partner *partner)
{
        siginfo_t ended = { 0 };
        return waitid(P_PID, (id_t)partner->child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
}

/*
 * Who waits for an answer asleep does so without a limit: a timer would be a tenth of what is measured. So when a partner that can
 * no longer answer is being waited for, this handler, which may run at any moment and on any thread, changes the number that is
 * slept on.
 */
static void on_child_end(int number)
{
        int error = errno;
        for (size_t i = 0; i < SLEEPERS; i++) {
                struct amb_partner *partner = __atomic_load_n(&sleepers[i], __ATOMIC_ACQUIRE);
                if (!partner || partner_lives(partner))
                        continue;
                __atomic_store_n(&partner->gone, true, __ATOMIC_RELEASE);
                __atomic_add_fetch(&partner->shared->pong.number, 1u << 30, __ATOMIC_RELEASE);
                futex_wake(&partner->shared->pong.number);
        }
        errno = error;
}

static int sleeper_watch(struct amb_partner *partner)
{
        const struct sigaction action = { .sa_handler = on_child_end, .sa_flags = SA_RESTART | SA_NOCLDSTOP };
        size_t i = 0;
        while (i < SLEEPERS && sleepers[i])
                i++;
        if (i == SLEEPERS)
                return -EMFILE;
        __atomic_store_n(&sleepers[i], partner, __ATOMIC_RELEASE);
        if (sigaction(SIGCHLD, &action, NULL) < 0)
                return amb_errno();
        on_child_end(SIGCHLD);                  /* it may have ended before we listened */
        return 0;
}

static void sleeper_forget(const struct amb_partner *partner)
{
        for (size_t i = 0; i < SLEEPERS; i++)
                if (sleepers[i] == partner)
                        __atomic_store_n(&sleepers[i], NULL, __ATOMIC_RELEASE);
}

static int partner_start(struct amb_partner *partner, int processor)
{
        int sockets[2];
        partner->shared = mmap(NULL, sizeof(*partner->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (partner->shared == MAP_FAILED) {
                partner->shared = NULL;
                return amb_errno();
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return amb_errno();
        partner->socket = sockets[0];
        AMB_FD theirs = sockets[1];
        pid_t child = amb_partner_fork();
        if (child < 0)
                return child;
        if (child == 0) {
                close(partner->socket);         /* who holds our end would not see that we are gone */
                amb_thread_stay_on(0, processor);
                serve(partner, theirs);
        }
        partner->child = child;
        return partner->kind == AMB_PARTNER_FUTEX ? sleeper_watch(partner) : 0;
}

int amb_partner_create(struct amb_partner **ret_partner, enum amb_partner_kind kind, int processor)
{
        struct amb_partner *partner = calloc(1, sizeof(*partner));
        if (!partner)
                return -ENOMEM;
        partner->kind = kind;
        partner->socket = -1;
        int r = partner_start(partner, processor);
        if (r < 0) {
                amb_partner_free(partner);
                return r;
        }
        *ret_partner = partner;
        return 0;
}

struct amb_partner *amb_partner_free(struct amb_partner *partner)
{
        if (!partner)
                return NULL;
        sleeper_forget(partner);
        amb_partner_kill(partner->child);
        if (partner->shared)
                munmap(partner->shared, sizeof(*partner->shared));
        amb_fd_close(partner->socket);
        free(partner);
        return NULL;
}

pid_t amb_partner_pid(const struct amb_partner *partner)
{
        return partner->child;
}

void amb_partner_begin(struct amb_partner *partner)
{
        __atomic_store_n(&partner->shared->runs, 1, __ATOMIC_RELEASE);
        if (partner->kind == AMB_PARTNER_SPIN || partner->kind == AMB_PARTNER_SPIN_PAGE)
                futex_wake(&partner->shared->runs);
}

void amb_partner_end(struct amb_partner *partner)
{
        __atomic_store_n(&partner->shared->runs, 0, __ATOMIC_RELEASE);
}

static bool spin_for(const struct amb_partner *partner, uint32_t turn)
{
        for (uint32_t spins = 1; number_read(&partner->shared->pong) != turn; spins++) {
                relax();
                if (spins % SPINS_PER_LOOK == 0 && !partner_lives(partner))
                        return false;
        }
        return true;
}

static bool sleep_for(const struct amb_partner *partner, uint32_t turn)
{
        struct line *pong = &partner->shared->pong;
        futex_wake(&partner->shared->ping.number);
        for (uint32_t number; (number = number_read(pong)) != turn;) {
                if (__atomic_load_n(&partner->gone, __ATOMIC_ACQUIRE))
                        return false;
                futex_wait(&pong->number, number);
        }
        return true;
}

static bool socket_once(struct amb_partner *partner)
{
        uint64_t words[WORDS] = { 1, partner->turn };
        return send(partner->socket, words, sizeof(words), MSG_NOSIGNAL) == sizeof(words) &&
               recv(partner->socket, words, sizeof(words), MSG_WAITALL) == sizeof(words);
}

bool amb_partner_once(struct amb_partner *partner)
{
        struct shared *shared = partner->shared;
        uint32_t turn = ++partner->turn;
        bool page = partner->kind == AMB_PARTNER_SPIN_PAGE;
        if (partner->kind == AMB_PARTNER_SOCKET)
                return socket_once(partner);
        if (page)
                memcpy(shared->in, partner->page, PAGE);
        line_write(&shared->ping, turn, 1, turn);
        if (partner->kind == AMB_PARTNER_FUTEX)
                return sleep_for(partner, turn);
        if (!spin_for(partner, turn))
                return false;
        if (page)
                memcpy(partner->page, shared->out, PAGE);
        return true;
}
