/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "driver/borrow.h"
#include "driver/connection-private.h"
#include "driver/snapshot.h"

uint64_t amb_borrow_wait_ns = AMB_LOAN_WAIT_NS;

/* A file of the application's. */
struct file {
        struct amb_link link;           /* the connection's, while it has an id */
        uint32_t references, id, flags;
        uint64_t size;                  /* changes under the connection's lock and files_lock, and not once there is a view */
        int fd;
        struct amb_view view;           /* all of it; made when it is needed */
        _Atomic bool whole;             /* it has been seen without holes */
};

struct borrow {
        struct amb_memory_origin origin;
        struct amb_connection *connection;
        uint32_t ticket, count;         /* count: segments; 0: the application knows them */
        uint64_t options, offset, length;       /* offset: inside the first page */
        _Atomic bool kept;              /* to be given back */
        struct amb_snapshot *copy;
        struct borrow *of;              /* it is the memory itself of that one's, which is a snapshot */
        IOMemoryDescriptor *itself;     /* the other way round; a reference; the connection's lock */
        struct file *files[AMB_LOAN_EXTENTS_MAX];
        struct amb_memory_extent extents[AMB_LOAN_EXTENTS_MAX];
        uint32_t extent_count;
        struct amb_loan_segment segments[];
};

/* --- files; under the connection's lock --- */

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;  /* references and views: a descriptor may outlive its connection */

static struct file *file_release(struct file *file)
{
        bool last;

        if (!file)
                return NULL;
        pthread_mutex_lock(&files_lock);
        last = --file->references == 0;
        pthread_mutex_unlock(&files_lock);
        if (last) {
                amb_view_unmap(&file->view);
                amb_fd_close(file->fd);
                free(file);
        }
        return NULL;
}

static struct file *file_retain(struct file *file)
{
        pthread_mutex_lock(&files_lock);
        file->references++;
        pthread_mutex_unlock(&files_lock);
        return file;
}

static struct file *file_find(struct amb_borrows *b, uint32_t id)
{
        struct file *file;

        amb_list_for(file, &b->files, link)
                if (file->id == id)
                        return file;
        return NULL;
}

static void file_drop(struct amb_borrows *b, struct file *file)
{
        amb_link_remove(&file->link);
        b->file_count--;
        file_release(file);
}

/*
 * How long is it to be for us? The application's own file may have been cut short by now, or while we look at it, and that is no
 * breach: what is not there cannot be mapped.
 */
static uint64_t file_length(int fd, const struct amb_loan_message *m)
{
        struct stat st;

        if ((m->options & AMB_LOAN_OPEN) && fstat(fd, &st) == 0 && st.st_size >= 0 && (uint64_t)st.st_size < m->size)
                return (uint64_t)st.st_size;
        return m->size;
}

/* It was too short when it came, and may not be any more. */
static void file_look_again(struct file *file, const struct amb_loan_message *m)
{
        pthread_mutex_lock(&files_lock);
        if ((file->flags & m->options & AMB_LOAN_OPEN) && !file->view.base && file->size < m->size && m->size <= AMB_LOAN_BYTES_MAX)
                file->size = file_length(file->fd, m);
        pthread_mutex_unlock(&files_lock);
}

/* The file of an extent, retained. Consumes fd. NULL and *ret_wrong, or no memory. */
static struct file *file_of(struct amb_borrows *b, const struct amb_loan_message *m, int fd, const char **ret_wrong)
{
        struct file *file = m->ticket ? file_find(b, m->ticket) : NULL;
        uint64_t size;

        if ((fd < 0) != (file != NULL) || (m->ticket == 0) != !!(m->options & AMB_LOAN_ONCE)) {
                amb_fd_close(fd);
                *ret_wrong = "a file that is not known, or known already";
                return NULL;
        }
        /* What was checked when it came counts: a file that may change does not become a closed one by being called so. */
        if (file && (m->options & AMB_LOAN_SEALED)) {
                *ret_wrong = "a file that was not closed when it came";
                return NULL;
        }
        if (file) {
                file_look_again(file, m);
                return file_retain(file);
        }
        size = file_length(fd, m);
        if (size > AMB_LOAN_BYTES_MAX || !amb_loan_file_check(fd, size, m->options) ||
            (m->ticket && b->file_count >= AMB_LOAN_FILES_MAX)) {
                amb_fd_close(fd);
                *ret_wrong = "a file that is not what it says, or one too many";
                return NULL;
        }
        file = calloc(1, sizeof(*file));
        if (!file) {
                amb_fd_close(fd);
                return NULL;
        }
        *file = (struct file){ .references = 1, .id = m->ticket, .flags = m->options, .size = size, .fd = fd };
        if (m->ticket) {
                file_retain(file);
                amb_list_append(&b->files, &file->link);
                b->file_count++;
        }
        return file;
}

/* Sizes are those that were checked when the file came. A whole own file may end inside its last page. */
static bool file_has(const struct file *file, uint64_t offset, uint64_t length, uint64_t options)
{
        uint64_t end;

        if ((options & AMB_LOAN_SHARED) && (options & AMB_LOAN_IN) && !(file->flags & AMB_LOAN_WRITABLE))
                return false;
        return length > 0 && !__builtin_add_overflow(offset, length, &end) &&
               end <= ((file->size + IOVMPageSize - 1) & ~(IOVMPageSize - 1));
}

/* The view that all descriptors of the file share. */
static uint8_t *file_view(struct file *file)
{
        struct amb_view_piece piece = { .fd = file->fd, .may_vanish = file->flags & AMB_LOAN_OPEN };
        struct amb_view_request request = { .pieces = &piece, .count = 1, .writable = file->flags & AMB_LOAN_WRITABLE,
                                            .guard = IOVMPageSize };
        uint8_t *at;

        pthread_mutex_lock(&files_lock);
        piece.length = file->size;
        if (!file->view.base && file->size > 0 && amb_view_map(&file->view, &request) < 0)
                file->view = (struct amb_view){ 0 };
        at = file->view.base ? file->view.at : NULL;
        pthread_mutex_unlock(&files_lock);
        return at;
}

/*
 * Bytes to copy from without a system call for each page: a view of a file that nobody can cut short (or reading would be a signal)
 * and that has no holes (or reading would fill them), at least had none once. NULL: it must be read.
 */
static const uint8_t *file_bytes(struct file *file)
{
        if ((file->flags & (AMB_LOAN_OPEN | AMB_LOAN_ONCE)) || file->id == 0)
                return NULL;
        if (!atomic_load(&file->whole)) {
                off_t hole = lseek(file->fd, 0, SEEK_HOLE);

                if (hole < 0 || (uint64_t)hole < file->size)
                        return NULL;
                atomic_store(&file->whole, true);
        }
        return file_view(file);
}

/* --- a connection's --- */

void amb_borrows_init(struct amb_borrows *b)
{
        pthread_condattr_t attributes;

        *b = (struct amb_borrows){ .socket = -1 };
        pthread_mutex_init(&b->lock, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&b->arrived, &attributes);
        pthread_condattr_destroy(&attributes);
        amb_list_init(&b->files);
}

void amb_borrows_free(struct amb_borrows *b)
{
        struct file *file, *next;

        amb_list_for_safe(file, next, &b->files, link)
                file_drop(b, file);
        amb_fd_close(b->socket);
        pthread_cond_destroy(&b->arrived);
        pthread_mutex_destroy(&b->lock);
}

bool amb_borrows_start(struct amb_borrows *b, int socket)
{
        bool first;

        pthread_mutex_lock(&b->lock);
        first = b->socket < 0;
        if (first)
                b->socket = socket;
        pthread_cond_broadcast(&b->arrived);
        pthread_mutex_unlock(&b->lock);
        if (!first)
                amb_fd_close(socket);
        return first;
}

/* Not the lock: who holds it may be waiting for the application, and sees its end on the socket or the pidfd. */
void amb_borrows_end(struct amb_borrows *b)
{
        __atomic_store_n(&b->over, true, __ATOMIC_SEQ_CST);
        pthread_cond_broadcast(&b->arrived);
}

/* --- a question --- */

struct question {
        struct borrow *borrow;
        uint64_t deadline;
        const char *wrong;              /* what the application did */
        uint32_t expected;              /* extents; before the answer: none */
        bool answered;
        int result;
        uint32_t flags[AMB_LOAN_EXTENTS_MAX];
};

/* Under the lock: waits for the application to give its socket. */
static int await_socket(struct amb_borrows *b, uint64_t deadline)
{
        struct timespec until = { (time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u) };
        int r = 0;

        while (b->socket < 0 && r == 0 && !__atomic_load_n(&b->over, __ATOMIC_SEQ_CST)) {
                /* The end is told without the lock: look again now and then. */
                struct timespec now, soon;

                clock_gettime(CLOCK_MONOTONIC, &now);
                soon = (struct timespec){ now.tv_sec, now.tv_nsec + 50000000 };
                if (soon.tv_nsec >= 1000000000) {
                        soon.tv_sec++;
                        soon.tv_nsec -= 1000000000;
                }
                if (now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec))
                        r = -ETIMEDOUT;
                else
                        pthread_cond_timedwait(&b->arrived, &b->lock, &soon);
        }
        return b->socket >= 0 ? 0 : r < 0 ? r : -ENOTCONN;
}

/* 0: there is something to read. */
static int await_answer(struct amb_connection *c, uint64_t deadline)
{
        struct pollfd fds[] = { { c->borrows.socket, POLLIN, 0 }, { c->process, POLLIN, 0 } };
        uint64_t now;
        int n;

        do {
                now = amb_time_now();
                if (now >= deadline)
                        return -ETIMEDOUT;
                n = poll(fds, AMB_ARRAY_LENGTH(fds), (int)((deadline - now) / 1000000u) + 1);
        } while (n == 0 || (n < 0 && errno == EINTR));
        return n > 0 && fds[0].revents ? 0 : -ENOTCONN;
}

static void take_extent(struct question *q, const struct amb_loan_message *m, int fd)
{
        struct borrow *borrow = q->borrow;
        struct file *file = file_of(&borrow->connection->borrows, m, fd, &q->wrong);
        bool first = borrow->extent_count == 0;

        if (!file) {
                q->result = -ENOMEM;
                q->expected--;
                return;
        }
        borrow->files[borrow->extent_count] = file;
        q->flags[borrow->extent_count] = m->options;
        borrow->extents[borrow->extent_count++] = (struct amb_memory_extent){ file->fd, m->offset, m->length,
                                                                              file->flags & AMB_LOAN_OPEN };
        q->expected--;
        if ((file->flags & AMB_LOAN_OPEN) && m->offset <= AMB_LOAN_BYTES_MAX && m->length <= AMB_LOAN_BYTES_MAX &&
            m->offset + m->length > ((file->size + IOVMPageSize - 1) & ~(IOVMPageSize - 1))) {
                q->result = -EFAULT;
                return;
        }
        if (!file_has(file, m->offset, m->length, borrow->options) || m->offset % IOVMPageSize != (first ? borrow->offset : 0))
                q->wrong = "a part of a file that does not fit";
}

static void take_message(struct question *q, const struct amb_loan_message *m, int fd, uint32_t serial)
{
        struct amb_borrows *b = &q->borrow->connection->borrows;
        struct file *file;

        if (m->kind == AMB_LOAN_DROP && fd < 0) {
                file = file_find(b, m->ticket);
                if (file)
                        file_drop(b, file);
        } else if (m->kind == AMB_LOAN_ANSWER && fd < 0 && m->serial == serial && !q->answered &&
                   m->count <= AMB_LOAN_EXTENTS_MAX) {
                q->answered = true;
                q->expected = m->code == 0 ? m->count : 0;
                /* For a device: the application says whether it may write. */
                if (q->borrow->of && q->borrow->count == 0)
                        q->borrow->options &= m->options | ~(uint64_t)AMB_LOAN_IN;
                q->result = m->code == 0 && m->count > 0 ? 0 : -EFAULT;
                if (m->code == AMB_LOAN_NOT_PERMITTED)
                        q->result = -EPERM;
        } else if (m->kind == AMB_LOAN_EXTENT && m->serial == serial && q->answered && q->expected > 0) {
                take_extent(q, m, fd);
        } else {
                amb_fd_close(fd);
                q->wrong = "a message that makes no sense";
        }
}

/* Under the lock. */
static int ask(struct question *q)
{
        struct borrow *borrow = q->borrow;
        struct amb_connection *c = borrow->connection;
        struct amb_loan_message m = { .kind = AMB_LOAN_BORROW, .serial = ++c->borrows.serial, .ticket = borrow->ticket,
                                      .options = (uint32_t)borrow->options, .count = borrow->count };
        uint32_t serial = m.serial;
        int r = await_socket(&c->borrows, q->deadline), fd;

        if (r < 0)
                return r;
        memcpy(m.segments, borrow->segments, borrow->count * sizeof(m.segments[0]));
        r = amb_loan_send(c->borrows.socket, &m, -1);
        if (r != 0) {
                q->wrong = r == AMB_PACKET_FULL ? "it does not serve its loans" : NULL;
                return -ENOTCONN;
        }
        while (!q->wrong && (!q->answered || q->expected > 0)) {
                r = amb_loan_receive(c->borrows.socket, &m, &fd);
                if (r == 0)
                        take_message(q, &m, fd, serial);
                else if (r == AMB_PACKET_BROKEN)
                        q->wrong = "a broken message on the loans' socket";
                else if (r != AMB_PACKET_NOTHING)
                        return -ENOTCONN;
                else if ((r = await_answer(c, q->deadline)) < 0) {
                        q->wrong = r == -ETIMEDOUT ? "it does not answer what is asked of its memory" : NULL;
                        return r;
                }
        }
        return q->wrong ? -EPROTO : q->result;
}

/* --- what comes of it --- */

static void borrow_clear(struct borrow *borrow)
{
        for (uint32_t i = 0; i < borrow->extent_count; i++)
                borrow->files[i] = file_release(borrow->files[i]);
        borrow->extent_count = 0;
}

static bool lengths_fit(const struct borrow *borrow)
{
        uint64_t length = 0;

        for (uint32_t i = 0; i < borrow->extent_count; i++) {
                const struct amb_memory_extent *extent = &borrow->extents[i];

                length += extent->length;
                if (i + 1 < borrow->extent_count && (extent->offset + extent->length) % IOVMPageSize != 0)
                        return false;
        }
        return length == borrow->length;
}

/* The driver's own copy, with zeros around it. */
static int make_copy(struct borrow *borrow)
{
        _Atomic uint64_t *copied = &borrow->connection->borrows.copied;
        uint64_t at = borrow->offset, size = borrow->offset + borrow->length;
        struct amb_snapshot *copy = NULL;
        int r;

        if (atomic_fetch_add(copied, size) + size > AMB_BORROW_COPIES)
                r = -EFBIG;
        else
                r = amb_snapshot_get(size, &copy);
        if (r == 0) {
                amb_snapshot_clear(copy, 0, at);
                amb_snapshot_clear(copy, size, (IOVMPageSize - size % IOVMPageSize) % IOVMPageSize);
        }
        for (uint32_t i = 0; r == 0 && i < borrow->extent_count; i++) {
                const struct amb_memory_extent *extent = &borrow->extents[i];
                const uint8_t *bytes = file_bytes(borrow->files[i]);

                if (bytes)
                        memcpy(copy->writable.at + at, bytes + extent->offset, extent->length);
                else
                        r = amb_snapshot_copy(copy, at, extent->fd, extent->offset, extent->length);
                at += extent->length;
        }
        borrow_clear(borrow);
        if (r < 0) {
                amb_snapshot_put(copy);
                atomic_fetch_sub(copied, size);
                return r;
        }
        borrow->copy = copy;
        borrow->extents[0] = (struct amb_memory_extent){ copy->fd, borrow->offset, borrow->length };
        return 0;
}

static void backing_of(struct borrow *borrow, struct amb_memory_backing *ret)
{
        bool writable = borrow->options & AMB_LOAN_IN;
        uint8_t *at = NULL;

        *ret = (struct amb_memory_backing){ .extents = borrow->extents, .count = borrow->copy ? 1 : borrow->extent_count };
        if (borrow->copy) {
                ret->writable = writable;
                ret->at = (writable ? borrow->copy->writable.at : borrow->copy->readable.at) + borrow->offset;
                return;
        }
        ret->writable = borrow->files[0]->flags & AMB_LOAN_WRITABLE;
        for (uint32_t i = 1; i < borrow->extent_count; i++)
                ret->writable &= borrow->files[i]->flags & AMB_LOAN_WRITABLE ? true : false;
        if (borrow->extent_count == 1)
                at = file_view(borrow->files[0]);
        ret->at = at ? at + borrow->extents[0].offset : NULL;
}

static struct borrow *borrow_of(const IOMemoryDescriptor *memory);

/*
 * Under the lock. The memory itself has been lent since: a snapshot is made of that, for the application would take it away
 * from the device to answer once more.
 */
static bool take_over(struct borrow *borrow)
{
        struct borrow *lent = borrow->itself ? borrow_of(borrow->itself) : NULL;

        if (borrow->extent_count > 0 || !lent || lent->extent_count == 0)
                return false;
        for (uint32_t i = 0; i < lent->extent_count; i++) {
                borrow->files[i] = file_retain(lent->files[i]);
                borrow->extents[i] = lent->extents[i];
        }
        borrow->extent_count = lent->extent_count;
        return true;
}

/* Under the lock: finds the extents; on failure there are none. */
static int find_extents(struct question *q)
{
        struct borrow *borrow = q->borrow;
        int r = borrow->extent_count > 0 || take_over(borrow) ? 0 : ask(q);

        if (r == 0 && !lengths_fit(borrow)) {
                q->wrong = "memory of another length than was asked for";
                r = -EPROTO;
        }
        if (r < 0)
                borrow_clear(borrow);
        return r;
}

static bool needs_copy(const struct borrow *borrow, const struct question *q)
{
        if (borrow->options & AMB_LOAN_SHARED)
                return false;
        for (uint32_t i = 0; i < borrow->extent_count; i++)
                if (!(q->flags[i] & AMB_LOAN_SEALED) || (borrow->options & AMB_LOAN_IN))
                        return true;
        return false;
}

static int borrow_resolve(struct amb_memory_origin *origin, struct amb_memory_backing *ret)
{
        struct borrow *borrow = amb_container_of(origin, struct borrow, origin);
        struct amb_connection *c = borrow->connection;
        struct question q = {
                .borrow = borrow,
                .deadline = amb_time_now() + amb_borrow_wait_ns + (borrow->length >> 30) * 1000000000u,
        };
        int r;

        /* Nobody lends so much; and the time that it would be given is not the application's to choose. */
        if (borrow->length > AMB_LOAN_BYTES_MAX)
                return -EFBIG;
        pthread_mutex_lock(&c->borrows.lock);
        r = find_extents(&q);
        pthread_mutex_unlock(&c->borrows.lock);
        if (q.wrong)
                amb_connection_cut_off(c, q.wrong);
        if (r == -EPERM)
                amb_log(AMB_LOG_WARNING,
                        "connection 0x%llx: the driver may not name the application's memory by itself: its entitlements "
                        "(NAME.dext/NAME.entitlements) lack org.ambidext.client-memory = true",
                        (unsigned long long)c->options.id);
        if (r == 0 && borrow->count > 0)
                atomic_store(&(borrow->of ? borrow->of : borrow)->kept, true);
        if (r == 0 && needs_copy(borrow, &q))
                r = make_copy(borrow);
        if (r < 0) {
                borrow_clear(borrow);
                return r;
        }
        backing_of(borrow, ret);
        return 0;
}

/* Tells the application that it has its memory back. */
static void give_back(struct borrow *borrow)
{
        struct amb_loan_message m = { .kind = AMB_LOAN_RETURN, .ticket = borrow->ticket };
        struct amb_connection *c = borrow->connection;
        int r = 0;

        pthread_mutex_lock(&c->borrows.lock);
        if (c->borrows.socket >= 0)
                r = amb_loan_send(c->borrows.socket, &m, -1);
        pthread_mutex_unlock(&c->borrows.lock);
        if (r == AMB_PACKET_FULL)
                amb_connection_cut_off(c, "it does not serve its loans");
}

static void borrow_free(struct amb_memory_origin *origin)
{
        struct borrow *borrow = amb_container_of(origin, struct borrow, origin);

        OSObject_release(borrow->itself);
        if (borrow->copy) {
                atomic_fetch_sub(&borrow->connection->borrows.copied, borrow->offset + borrow->length);
                amb_snapshot_put(borrow->copy);
        }
        borrow_clear(borrow);
        if (atomic_load(&borrow->kept))
                give_back(borrow);
        amb_connection_release(borrow->connection);
        free(borrow);
}

static const struct amb_memory_origin_class borrow_class = { borrow_resolve, borrow_free };

static int borrow_new(struct amb_connection *c, const struct borrow *plan, const struct amb_loan_segment *segments,
                      IOMemoryDescriptor **ret)
{
        struct borrow *borrow = calloc(1, sizeof(*borrow) + plan->count * sizeof(*segments));
        int r;

        if (!borrow) {
                for (uint32_t i = 0; i < plan->extent_count; i++)
                        file_release(plan->files[i]);
                return amb_trace(-ENOMEM);
        }
        *borrow = *plan;
        borrow->origin.class = &borrow_class;
        borrow->connection = amb_connection_retain(c);
        if (plan->count > 0)
                memcpy(borrow->segments, segments, plan->count * sizeof(*segments));
        r = amb_memory_new_origin(&borrow->origin, plan->options, plan->length, ret);
        if (r < 0)
                borrow_free(&borrow->origin);
        return r;
}

int amb_borrow_argument(struct amb_connection *c, const struct amb_range *range, uint64_t options, IOMemoryDescriptor **ret)
{
        struct borrow plan = {
                .ticket = range->id, .offset = range->offset % IOVMPageSize, .length = range->length, .options = options
        };
        struct file *file = NULL;

        if (range->file) {
                pthread_mutex_lock(&c->borrows.lock);
                file = file_find(&c->borrows, range->file);
                if (file && !file_has(file, range->offset, range->length, options))
                        file = NULL;
                if (file)
                        file_retain(file);
                pthread_mutex_unlock(&c->borrows.lock);
                if (!file)
                        return AMB_BORROW_REFUSED;
                plan.files[0] = file;
                plan.extents[0] = (struct amb_memory_extent){ file->fd, range->offset, range->length, file->flags & AMB_LOAN_OPEN };
                plan.extent_count = 1;
        }
        return borrow_new(c, &plan, NULL, ret);
}

int amb_borrow_named(struct amb_connection *c, const struct amb_loan_segment *segments, uint32_t count, uint64_t options,
                     IOMemoryDescriptor **ret)
{
        struct borrow plan = { .options = options & (AMB_LOAN_IN | AMB_LOAN_OUT | AMB_LOAN_SHARED) };
        struct amb_loan_segment merged[AMB_LOAN_SEGMENTS];

        /* No direction is no restriction. */
        if (!(plan.options & (AMB_LOAN_IN | AMB_LOAN_OUT)))
                plan.options |= AMB_LOAN_IN | AMB_LOAN_OUT;
        if (count > 0)
                memcpy(merged, segments, count * sizeof(*segments));
        plan.count = amb_loan_segments_merge(merged, count);
        if (!amb_loan_segments_check(merged, plan.count, &plan.length))
                return -EINVAL;
        plan.offset = merged[0].address % IOVMPageSize;
        pthread_mutex_lock(&c->borrows.lock);
        c->borrows.ticket = (c->borrows.ticket + 1) & ~AMB_LOAN_HOST_TICKET;
        plan.ticket = c->borrows.ticket | AMB_LOAN_HOST_TICKET;
        pthread_mutex_unlock(&c->borrows.lock);
        return borrow_new(c, &plan, merged, ret);
}

static struct borrow *borrow_of(const IOMemoryDescriptor *memory)
{
        struct amb_memory_origin *origin = amb_memory_origin(memory);

        return origin && origin->class == &borrow_class ? amb_container_of(origin, struct borrow, origin) : NULL;
}

void amb_borrow_keep(IOMemoryDescriptor *memory)
{
        struct borrow *borrow = borrow_of(memory);

        if (borrow)
                atomic_store(&borrow->kept, true);
}

int amb_borrow_itself(IOMemoryDescriptor *memory, IOMemoryDescriptor **ret)
{
        struct borrow *borrow = borrow_of(memory), plan = { 0 };
        int r = 0;

        if (!borrow || (borrow->options & AMB_LOAN_SHARED)) {
                *ret = memory;
                return 0;
        }
        plan = (struct borrow){ .ticket = borrow->ticket, .count = borrow->count, .options = borrow->options | AMB_LOAN_SHARED,
                                .offset = borrow->offset, .length = borrow->length, .of = borrow };
        if (borrow->count == 0)
                plan.options |= AMB_LOAN_IN;
        pthread_mutex_lock(&borrow->connection->borrows.lock);
        if (!borrow->itself)
                r = borrow_new(borrow->connection, &plan, borrow->segments, &borrow->itself);
        if (r == 0)
                *ret = borrow->itself;
        pthread_mutex_unlock(&borrow->connection->borrows.lock);
        return r;
}
