/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions of a call, printed as they come. How many values one has is the driver's choice, and IOKit calls a different form
 * of callback for each; so messages are taken as they are, not called out.
 */
#include "cli/method.h"

#include <inttypes.h>
#include <poll.h>

#include <IOKit/IOMessage.h>
#include <ambidext/port.h>
#include <mach/mach_error.h>

struct cli_completions {
        const struct cli_request *request;
        IONotificationPortRef port;
        io_object_t interest;   /* in the end of the service: no completion comes after it */
        uint64_t arrived;
        bool terminated;
};

static void print_completion(struct cli_completions *completions, IOReturn result, const uint64_t *values, size_t count)
{
        if (completions->request->json) {
                printf("%s{\"result\": %d, \"name\": ", completions->arrived ? ", " : "", result);
                cli_json_string(stdout, mach_error_string(result));
                printf(", \"values\": [");
                for (size_t i = 0; i < count; i++)
                        printf("%s%" PRIu64, i ? ", " : "", values[i]);
                printf("]}");
        } else {
                printf("completion: %s", mach_error_string(result));
                for (size_t i = 0; i < count; i++)
                        printf(" %" PRIu64, values[i]);
                putchar('\n');
                fflush(stdout);
        }
        completions->arrived++;
}

static void on_interest(void *context, io_service_t service, uint32_t type, void *argument)
{
        struct cli_completions *completions = context;
        completions->terminated |= type == (uint32_t)kIOMessageServiceIsTerminated;
}

static void on_message(void *context, mach_msg_header_t *message)
{
        struct cli_completions *completions = context;
        uint32_t type;
        uintptr_t reference;
        void *content;
        vm_size_t size;
        IOReturn result;
        uint64_t values[kMaxAsyncArgs];
        if (OSGetNotificationFromMessage(message, 0, &type, &reference, &content, &size) != kIOReturnSuccess)
                return;
        if ((type & kIOKitNotificationTypeMask) != kIOAsyncCompletionNotificationType) {
                IODispatchCalloutFromMessage(NULL, message, completions->port);
                return;
        }
        if (size < sizeof(result))
                return;
        memcpy(&result, content, sizeof(result));
        size_t count = (size - sizeof(result)) / sizeof(values[0]);
        if (count > kMaxAsyncArgs)
                count = kMaxAsyncArgs;
        memcpy(values, (char *)content + sizeof(result), count * sizeof(values[0]));
        print_completion(completions, result, values, count);
}

int cli_completions_create(struct cli_completions **ret_completions, const struct cli_request *request, io_service_t service)
{
        struct cli_completions *completions = calloc(1, sizeof(*completions));
        if (completions)
                completions->port = IONotificationPortCreate(kIOMainPortDefault);
        if (!completions || !completions->port) {
                free(completions);
                return cli_say_failure(request->json, "no notification port: out of memory or descriptors");
        }
        completions->request = request;
        kern_return_t code = IOServiceAddInterestNotification(completions->port, service, kIOGeneralInterest, on_interest,
                                                              completions, &completions->interest);
        if (code != kIOReturnSuccess) {
                cli_completions_free(completions);
                return cli_say_code(request->json, code, NULL, "asking to be told of the end of %s", request->service);
        }
        *ret_completions = completions;
        return CLI_OK;
}

void cli_completions_free(struct cli_completions *completions)
{
        if (!completions)
                return;
        if (completions->interest)
                IOObjectRelease(completions->interest);
        IONotificationPortDestroy(completions->port);
        free(completions);
}

mach_port_t cli_completions_port(struct cli_completions *completions)
{
        return IONotificationPortGetMachPort(completions->port);
}

bool cli_completions_wait(struct cli_completions *completions)
{
        uint64_t end = amb_time_now() + (uint64_t)completions->request->async_seconds * 1000000000;
        for (;;) {
                uint64_t now = amb_time_now();
                int left = now < end ? (int)((end - now + 999999) / 1000000) : 0;
                struct pollfd polled = { .fd = amb_port_get_fd(completions->port), .events = POLLIN };
                int n = poll(&polled, 1, left);
                if (n < 0 && errno != EINTR)
                        return true;
                if (n > 0)
                        amb_port_dispatch_messages(completions->port, on_message, completions);
                if (completions->terminated)
                        return false;
                if (amb_time_now() >= end)
                        return true;
        }
}
