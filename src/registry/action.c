/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/internal.h"

#include <stdarg.h>
#include <stdio.h>

_Noreturn void amb_out_of_memory(void)
{
        static const char text[] = "registry: out of memory\n";

        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
        abort();
}

static const char *const names[] = {
        [AMB_ACTION_NONE] = "none",
        [AMB_ACTION_LAUNCH] = "launch",
        [AMB_ACTION_CANCEL_LAUNCH] = "cancel-launch",
        [AMB_ACTION_LOAD_MODULE] = "load-module",
        [AMB_ACTION_START] = "start",
        [AMB_ACTION_NEW_USER_CLIENT] = "new-user-client",
        [AMB_ACTION_OPEN_RESULT] = "open-result",
        [AMB_ACTION_STOP] = "stop",
        [AMB_ACTION_EXIT_HOST] = "exit-host",
        [AMB_ACTION_NOTIFY] = "notify",
        [AMB_ACTION_INTEREST] = "interest",
        [AMB_ACTION_QUIET] = "quiet",
        [AMB_ACTION_LOG] = "log",
};

const char *amb_action_name(enum amb_action_type type)
{
        return (size_t)type < AMB_ARRAY_LENGTH(names) ? names[type] : "unknown";
}

/* The caller fills the fields in; strings must be copies (amb_must_copy), dictionaries carry a reference. */
struct amb_action *amb_queue(struct amb_registry *registry, enum amb_action_type type)
{
        struct amb_queued *queued = amb_must(calloc(1, sizeof(*queued)));

        queued->action.type = type;
        amb_list_append(&registry->actions, &queued->link);
        return &queued->action;
}

void amb_queue_log(struct amb_registry *registry, enum amb_log_level level, const char *format, ...)
{
        char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                amb_out_of_memory();
        va_end(arguments);
        struct amb_action *action = amb_queue(registry, AMB_ACTION_LOG);
        action->level = level;
        action->text = text;
}

static void queued_free(struct amb_queued *queued)
{
        if (!queued)
                return;
        amb_link_remove(&queued->link);
        struct amb_action *action = &queued->action;
        const char *strings[] = { action->path,           action->bundle_id,     action->server_name, action->user_class,
                                  action->provider_class, action->provider_name, action->creator,     action->text };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(strings); i++)
                free((char *)strings[i]);
        OSObject_release(action->properties);
        OSObject_release(action->provider_properties);
        OSObject_release(action->entitlements);
        free(queued);
}

bool amb_registry_next_action(struct amb_registry *registry, struct amb_action *ret_action)
{
        queued_free(registry->last);
        registry->last = amb_list_first(&registry->actions, struct amb_queued, link);
        if (!registry->last)
                return false;
        amb_link_remove(&registry->last->link);
        *ret_action = registry->last->action;
        return true;
}

void amb_queue_forget_owner(struct amb_registry *registry, uint64_t owner)
{
        struct amb_queued *queued, *following;

        amb_list_for_safe(queued, following, &registry->actions, link)
                if (queued->action.owner == owner)
                        queued_free(queued);
}

void amb_queue_free(struct amb_registry *registry)
{
        struct amb_queued *queued, *following;

        queued_free(registry->last);
        registry->last = NULL;
        amb_list_for_safe(queued, following, &registry->actions, link)
                queued_free(queued);
}
