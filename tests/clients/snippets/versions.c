/* SPDX-License-Identifier: Apache-2.0 */
/* As found: which calls are there is asked by versions as macros; legacy code is for 32 bits and for old systems. */
#include <AvailabilityMacros.h>
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <stdio.h>

#if (MAC_OS_X_VERSION_MAX_ALLOWED < 120000)
#define kIOMainPortDefault kIOMasterPortDefault
#endif
#if defined(MAC_OS_VERSION_12_0) && MAC_OS_X_VERSION_MAX_ALLOWED >= MAC_OS_VERSION_12_0
#define MAIN_PORT kIOMainPortDefault
#else
#define MAIN_PORT kIOMasterPortDefault
#endif
#ifndef MAC_OS_X_VERSION_10_5
#error "this would take the calls before Mac OS X 10.5"
#endif

typedef struct {
    UInt32 key;
    char data[76];
} Parameters;

kern_return_t call(io_connect_t conn, int index, Parameters *inputStructure, Parameters *outputStructure);
kern_return_t call(io_connect_t conn, int index, Parameters *inputStructure, Parameters *outputStructure)
{
    size_t structureInputSize = sizeof(Parameters);
    size_t structureOutputSize = sizeof(Parameters);

#if MAC_OS_X_VERSION_10_5
    return IOConnectCallStructMethod(conn, index, inputStructure, structureInputSize, outputStructure, &structureOutputSize);
#else
    return IOConnectMethodStructureIStructureO(conn, index, structureInputSize, &structureOutputSize, inputStructure,
                                               outputStructure);
#endif
}

io_service_t find(void);
io_service_t find(void)
{
    mach_port_t port = MAIN_PORT;
    kern_return_t result;
    io_iterator_t iterator;

#if !defined(__LP64__)
    IOConnectMethodScalarIScalarO(0, 0, 0, 0);
#endif
    if (__builtin_available(macOS 12.0, *))
        result = IOMainPort(MACH_PORT_NULL, &port);
    else
        result = IOMasterPort(MACH_PORT_NULL, &port);
    if (result != kIOReturnSuccess)
        printf("Error: IOMasterPort() = %08x\n", result);
    result = IOServiceGetMatchingServices(port, IOServiceMatching("AppleSMC"), &iterator);
    mach_port_deallocate(mach_task_self(), port);
    return result == KERN_SUCCESS ? IOIteratorNext(iterator) : IO_OBJECT_NULL;
}
