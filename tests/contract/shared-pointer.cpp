/* SPDX-License-Identifier: Apache-2.0 */
#include "shared-pointer.h"

#include <DriverKit/DriverKit.h>
#include <DriverKit/OSSharedPtr.h>

bool shared_pointer_attach(void)
{
        OSSharedPtr<IODispatchQueue> p;
        if (IODispatchQueue_Create("A", 0, 0, p.attach()) != kIOReturnSuccess)
                return false;
        auto a = OSSharedPtr(p.get(), OSRetain);
        if (OSObject_getRetainCount(a.get()) != 2)
                return false;
        if (IODispatchQueue_Create("B", 0, 0, p.attach()) != kIOReturnSuccess)
                return false;
        return OSObject_getRetainCount(a.get()) == 1 && p != a && OSObject_getRetainCount(p.get()) == 1;
}

namespace {
struct IVars {
        uint64_t number;
        OSSharedPtr<OSString> name;
};
} // namespace

bool shared_pointer_zeroed(void)
{
        IVars *ivars = IONewZero(IVars, 1);
        if (!ivars || ivars->name)
                return false;
        OSString *name = OSString_withCString("name");
        ivars->name = OSSharedPtr(name, OSRetain);
        bool held = OSObject_getRetainCount(name) == 2;
        ivars->name.reset();
        bool given_back = OSObject_getRetainCount(name) == 1;
        IOSafeDeleteNULL(ivars, IVars, 1);
        OSObject_release(name);
        return held && given_back && !ivars;
}
