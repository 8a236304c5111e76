/* SPDX-License-Identifier: Apache-2.0 */
#include "shared-pointer.h"

#include <DriverKit/DriverKit.h>
#include <DriverKit/OSSharedPtr.h>

bool shared_pointer_attach(void)
{
        OSSharedPtr<IODispatchQueue> p;
        if (IODispatchQueue::Create("A", 0, 0, p.attach()) != kIOReturnSuccess)
                return false;
        auto a = OSSharedPtr(p.get(), OSRetain);
        if (a->getRetainCount() != 2)
                return false;
        if (IODispatchQueue::Create("B", 0, 0, p.attach()) != kIOReturnSuccess)
                return false;
        return a->getRetainCount() == 1 && p != a && p->getRetainCount() == 1;
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
        OSString *name = OSString::withCString("name");
        ivars->name = OSSharedPtr(name, OSRetain);
        bool held = name->getRetainCount() == 2;
        ivars->name.reset();
        bool given_back = name->getRetainCount() == 1;
        IOSafeDeleteNULL(ivars, IVars, 1);
        name->release();
        return held && given_back && !ivars;
}
