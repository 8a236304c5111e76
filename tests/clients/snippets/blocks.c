/* SPDX-License-Identifier: Apache-2.0 */
/* As found: blocks on queues. run-client: clang -fblocks */
#include <IOKit/IOKitLib.h>
#include <dispatch/dispatch.h>
#include <stdio.h>

static dispatch_once_t once;

void begin(IONotificationPortRef port);
void begin(IONotificationPortRef port)
{
    __block int started = 0;
    dispatch_queue_t queue = dispatch_queue_create("org.example", DISPATCH_QUEUE_SERIAL);

    dispatch_once(&once, ^{
        started = 1;
    });
    IONotificationPortSetDispatchQueue(port, queue);
    dispatch_async(dispatch_get_main_queue(), ^{
        printf("%d\n", started);
    });
    dispatch_after(dispatch_time(DISPATCH_TIME_NOW, (int64_t)(0.5 * NSEC_PER_SEC)), dispatch_get_global_queue(0, 0), ^{
        dispatch_release(queue);
    });
    dispatch_main();
}
