/* SPDX-License-Identifier: Apache-2.0 */
/* Methods on their queues, for who is not the runtime: ambidext/remote.h. */
#include <DriverKit/IOService.h>
#include <ambidext/remote.h>

#include "driver/action.h"
#include "driver/queue.h"
#include "driver/service.h"

/* The nearest class that names a queue for the method. False: there is no such method. */
static bool find_queue_name(const OSMetaClass *meta, uint64_t id, const char **ret_name)
{
        bool found = false;

        for (*ret_name = NULL; meta; meta = meta->super)
                for (const struct amb_method *m = meta->methods; m && m->function; m++)
                        if (m->id == id) {
                                found = true;
                                if (!*ret_name)
                                        *ret_name = m->queue;
                        }
        return found;
}

/* One reference in *ret_queue; NULL: the object is no service. */
static bool find_queue(OSObject *object, uint64_t id, IODispatchQueue **ret_queue)
{
        IOService *service = OSDynamicCast(IOService, object);
        const char *name;

        if (!find_queue_name(OSObject_getMetaClass(object), id, &name))
                return false;
        *ret_queue = service ? amb_service_named_queue(service, name) : NULL;
        return true;
}

AMB_EXPORT bool amb_method_here(OSObject *object, uint64_t id)
{
        IODispatchQueue *queue;
        bool here;

        if (!find_queue(object, id, &queue))
                return true;
        here = !queue || IODispatchQueue_OnQueue(queue);
        OSObject_release(queue);
        return here;
}

AMB_EXPORT kern_return_t amb_method_run(OSObject *object, uint64_t id, void *context, void (*function)(void *context))
{
        struct amb_queue_frame frame;
        IODispatchQueue *queue;
        bool entered;

        if (!find_queue(object, id, &queue))
                return kIOReturnUnsupported;
        if (!queue) {
                function(context);
                return kIOReturnSuccess;
        }
        entered = amb_queue_enter_call(queue, &frame);
        if (entered) {
                /* Some drivers start what they have made, and so does the runtime: Start runs once. */
                if (id != IOService_Start_ID || !amb_service_has_begun((IOService *)object))
                        function(context);
                amb_queue_leave(&frame);
        }
        OSObject_release(queue);
        return entered ? kIOReturnSuccess : kIOReturnAborted;
}

/* --- later --- */

struct posted {
        OSObject *object;
        void *context;
        void (*function)(void *context);
        void (*done)(void *context);
};

static void posted_end(void *context)
{
        struct posted *p = context;

        p->done(p->context);
        OSObject_release(p->object);
        free(p);
}

static void posted_run(void *context)
{
        struct posted *p = context;

        p->function(p->context);
        posted_end(p);
}

AMB_EXPORT kern_return_t amb_method_post(OSObject *object, uint64_t id, void *context, void (*function)(void *context),
                                         void (*done)(void *context))
{
        struct posted *p = malloc(sizeof(*p));
        IODispatchQueue *queue = NULL;

        if (!p || !find_queue(object, id, &queue)) {
                done(context);
                kern_return_t code = p ? kIOReturnUnsupported : kIOReturnNoMemory;
                free(p);
                return code;
        }
        OSObject_retain(object);
        *p = (struct posted){ object, context, function, done };
        if (!queue) {
                posted_run(p);
                return kIOReturnSuccess;
        }
        int r = amb_queue_async(queue, p, posted_run, posted_end);
        OSObject_release(queue);
        if (r < 0)
                posted_end(p);
        return r < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

struct invocation {
        void *context;
        void (*call)(void *context, void (*method)(void), OSObject *target);
        void (*done)(void *context);
};

static void invocation_call(void *context, void (*method)(void), OSObject *target)
{
        struct invocation *i = context;

        i->call(i->context, method, target);
}

static bool invocation_begin(void *context, struct amb_action_arguments *arguments)
{
        arguments->call = invocation_call;
        return true;
}

static void invocation_end(void *context, bool ran)
{
        struct invocation *i = context;

        i->done(i->context);
        free(i);
}

AMB_EXPORT kern_return_t amb_action_post(OSAction *action, uint64_t msgid, void *context,
                                         void (*call)(void *context, void (*method)(void), OSObject *target),
                                         void (*done)(void *context))
{
        struct invocation *i;
        int r;

        if (!action || amb_action_msgid(action) != msgid) {
                done(context);
                return kIOReturnBadArgument;
        }
        i = malloc(sizeof(*i));
        if (!i) {
                done(context);
                return kIOReturnNoMemory;
        }
        *i = (struct invocation){ context, call, done };
        r = amb_action_submit(action, i, invocation_begin, invocation_end);
        if (r < 0)
                invocation_end(i, false);
        return r == 0 ? kIOReturnSuccess : r == -ENOMEM ? kIOReturnNoMemory : kIOReturnAborted;
}
