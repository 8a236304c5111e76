/* SPDX-License-Identifier: Apache-2.0 */
/* As found: projects that ask for an old language. run-client: gcc clang -std=c99 -pedantic -Wall -Wextra */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/usb/USB.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    printf("%s\n", mach_error_string(IOServiceClose(IO_OBJECT_NULL)));
    return EXIT_SUCCESS;
}
