// SPDX-License-Identifier: Apache-2.0
// Another target's source: Objective-C's import is not meant for the driver.
#include <IOKit/IOKitLib.h>
#error Not of the driver

int main()
{
    return 0;
}
