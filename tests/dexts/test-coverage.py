#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test-coverage.py SOURCE DEXT...

Which dext of tests/dexts shows which part of the interface language, and uses which part of the API: the acceptance list, the
translator tests and the inventory of the contract (iig-language.md 7, F1 to F45; 8, L1 to L30; 10). Prints the table, and fails
when a row has nobody, so that a dext can be changed without losing what only it had; and when a dext lies there that no list
names.

F rows are looked for in the interfaces of all dexts, the inventory in interfaces and sources, both without comments. L rows name
the place that tests them: a test of which the pattern is a part, and which fails when the row does not hold.
"""
import pathlib
import re
import sys

NAME, TYPE = r"[A-Za-z_]\w*", r"[A-Za-z_][\w:]*"

# row: (what, pattern in an interface, or a function of its text)
FEATURES = {
    "F1": ("#include <X/Y.iig>", r"#include <\w+/\w+\.iig>"),
    "F2": ("#define", r"^\s*#\s*define"),
    "F3": ("virtual R M(args) override;", r"virtual\s[^;{}]*\)\s*override;"),
    "F4": ("LOCALONLY", r"\bLOCALONLY\b"),
    "F5": ("X ** out", rf"{NAME}\s*\*\*\s*{NAME}"),
    "F6": ("class X;", rf"^class {NAME};"),
    "F7": ("protected:, private:", r"^\s*(protected|private):"),
    "F8": ("override LOCALONLY", r"\boverride LOCALONLY\b"),
    "F9": ("using namespace", r"\busing namespace\b"),
    "F10": ("(void)", r"\(void\)"),
    "F11": ("new remote method", rf"virtual\s+{TYPE}\s+{NAME}\([^()]*\)\s*;"),
    "F12": ("#if FEATURE", r"^\s*#\s*if [A-Z]"),
    "F13": ('#include "x.h"', r'#include "[^"]+\.h"'),
    "F14": ("LOCALONLY override", r"\bLOCALONLY override\b"),
    "F15": ("TYPE(C::M)", rf"\)\s*TYPE\({NAME}::{NAME}\)"),
    "F16": ("static R M(args) LOCALONLY", r"static\s[^;{}]*\)\s*LOCALONLY"),
    "F17": ("OSSharedPtr<T>", r"\bOSSharedPtr<"),
    "F18": ("final", r"\bfinal\b"),
    "F19": ("struct definitions", rf"^struct {NAME}\s*\{{"),
    "F20": ("no include guard", lambda text: not re.search(r"#ifndef|#pragma once|#if\s+!defined", text)),
    "F21": ("struct C_IVars", rf"^struct {NAME}_IVars\s*\{{"),
    "F22": ("enums", r"\benum\b"),
    "F23": ("final LOCALONLY", r"\bfinal LOCALONLY\b"),
    "F24": ('#include "y.iig"', r'#include "[^"]+\.iig"'),
    "F25": ("T const *", rf"{NAME} const \*"),
    "F26": ("constexpr", r"\bconstexpr\b"),
    "F27": ("default member initialisers", rf"^struct {NAME}\s*\{{[^}}]*\s{NAME} = "),
    "F28": ("override without virtual", rf"^\s+(?!virtual)({TYPE}[\s*]+)+{NAME}\([^()]*\)\s*(const\s*)?override\b"),
    "F29": ("default arguments", rf"\([^()]*{NAME} = [^()]*\)[^;]*LOCALONLY"),
    "F30": ("reference parameters", rf"[\w>] ?& ?{NAME}\s*[,)]"),
    "F31": ("struct by value", r"\(RingConfig config,"),
    "F32": ("struct X;", rf"^struct {NAME};"),
    "F33": ("const T p[N] with its count", rf"const {TYPE} ({NAME})\[\w+\],\s*uint32_t \1Count"),
    "F34": ("const methods", r"\)\s*const\s+LOCALONLY"),
    "F35": ("static inline R M() LOCALONLY", r"static inline\s[^;{}]*\)\s*LOCALONLY"),
    "F36": ("C++ standard headers", r"#include <[a-z_]+>"),
    "F37": ("a class's pointer returned",
            rf"(RingBase|Catalog|IOBufferMemoryDescriptor|RingDevice) ?\*\s*{NAME}\([^()]*\)[^;]*LOCALONLY"),
    "F38": ("TARGET, TYPE() on parameters", rf"OSAction \*\s*{NAME} TARGET[^$]*OSAction \*\s*{NAME} TYPE\("),
    "F39": ("QUEUENAME(Q)", r"\bQUEUENAME\("),
    "F40": ("class without access label", lambda text: any(
        not re.search(r"\b(public|protected|private)\s*:(?!:)", body)
        for body in re.findall(r"^class [^;{]*\{(.*?)^\};", text, re.M | re.S))),
    "F41": ("struct tag *", rf"[(,]\s*struct {NAME} \*"),
    "F42": ("four-character constants", r"'[^']{4}'"),
    "F43": ("LOCAL on an own method", r"\bLOCAL\b"),
    "F44": ("overload of an inherited name", r"SetDispatchQueue\(IODispatchQueue \* queue\) LOCALONLY"),
    "F45": ("several classes in a file", lambda text: len(re.findall(r"^class [^;{]*\{", text, re.M)) > 1),
}

# row: (what, file, pattern)
TESTS = {
    "L1": ("overrides of init, free, Start, Stop", "dexts/old/Dial/Dial.iig",
            r"init\(\) override;[\s\S]*Stop\(IOService \* provider\) override;"),
    "L2": ("IMPL(C, Start)", "dexts/old/Dial/Dial.cpp", r"IMPL\(Dial, Start\)"),
    "L3": ("C::Start_Impl, and both forms in one file", "dexts/ring/Ring/Ring.cpp",
            r"IMPL\(RingDevice, Start\)[\s\S]*RingDevice::Stop_Impl"),
    "L4": ("SUPERDISPATCH runs the base's once", "facade/test/test-proof.c",
            r"big_starts == 1 && proof_counts\.starts == starts \+ 1"),
    "L5": ("a parameter named differently", "dexts/ring/Ring/Ring.cpp", r"Start\(theProvider, SUPERDISPATCH\)"),
    "L6": ("static LOCALONLY in a dispatch table", "dexts/collections/Catalog/CatalogUserClient.cpp",
            r"\{&CatalogUserClient::sString,"),
    "L7": ("TYPE: CreateAction and delivery", "dexts/queues/Conductor/ConductorUserClient.cpp",
            r"CreateActionArrived\([\s\S]*IMPL\(ConductorUserClient, Arrived\)"),
    "L8": ("two methods of one TYPE", "facade/test/Counter.cpp", r"CHECK\(proof_counts\.ticks == 1 && proof_counts\.tocks == 1\)"),
    "L9": ("OSAction::Create on a method without TYPE", "dexts/old/Dial/Dial.cpp", r"OSAction::Create\(this, Dial_TimeIsUp_ID,"),
    "L10": ("remote methods that return bool, uint32_t, int", "dexts/ring/Ring/RingClient.cpp",
            r"isOpen\(\) && ring->Baud\(\) != 0[\s\S]*Configure\(config, \"\"\) == -1"),
    "L11": ("a void method on the own queue", "dexts/old/Dial/Dial.cpp", r"turn\(3\);\s*if \(getPosition\(\) != 3\)"),
    "L12": ("a private remote method from another class", "dexts/ring/Ring/RingDevice.iig", r"private:[\s\S]*isOpen\(void\)"),
    "L13": ("attributes in any order", "dexts/ring/Ring/RingDevice.iig",
            r"override LOCALONLY[\s\S]*LOCALONLY override[\s\S]*final LOCALONLY"),
    "L14": ("without guard, included twice", "dexts/ring/Ring/RingDevice.iig", r"(#include \"RingBase.iig\"\s*){2}"),
    "L15": ("#if around a class, 0 and 1", "iig/test-iig.py", r"ACTIONS_WITH_TIMER"),
    "L16": ("a macro with line continuations", "dexts/ring/Ring/Ring.cpp", r"RING_LOG\("),
    "L17": ("struct C_IVars after the class", "dexts/ring/Ring/RingBase.iig", r"class RingBase[\s\S]*struct RingBase_IVars \{"),
    "L18": ("OSSharedPtr in zeroed ivars", "dexts/modern", r"OSSharedPtr<"),
    "L19": ("comments with quotes and braces", "dexts/ring/Ring/RingBase.iig", r"»Don't« need one \{"),
    "L20": ("class heads in pieces, and without spaces", "dexts/ring/Ring/RingBase.iig",
            r"class RingBase\s*:\s*public IOService\s*\{"),
    "L21": ("#define super", "dexts/old/Dial/Dial.cpp", r"#define super IOService"),
    "L22": ("the queue of calls, undeclared", "dexts/queues/Conductor/ConductorUserClient.cpp",
            r"SetDispatchQueue\(kIOUserClientQueueNameExternalMethod,"),
    "L23": ("QUEUENAME on a TYPE method, set; unset", "dexts/ring/client.cpp", r"all\.how == \(plain \? 2 : 1\)"),
    "L24": ("TARGET and TYPE of own classes", "dexts/ring/Ring/RingClient.iig", r"TYPE\(RingDevice::RxReady\)"),
    "L25": ("an override with wrong types", "iig/bad/override.iig", r"// error: Bad::Start overrides nothing"),
    "L26": ("an unknown base", "iig/bad/base.iig", r"// error: expected class name: there is no class of the name"),
    "L27": ("classes that are not DriverKit's", "iig/golden/forms.iig", r"class FormsHelper"),
    "L28": ("more elements than there is room for", "dexts/ring/Ring/RingClient.cpp",
            r"Write\(bytes, 65, &taken\) == kIOReturnOverrun && taken == 77"),
    # The corpus is not here: these are our own interfaces, the framework's, the dexts' and the golden ones.
    "L29": ("every interface that there is", "../include/DriverKit/meson.build", r"foreach name : interfaces\n  made = custom_target"),
    "L30": ("OSDynamicCast, OSTypeAlloc of own classes", "dexts/mixed/Bank/Bank.cpp",
            r"OSTypeAlloc\(Safe\)[\s\S]*OSDynamicCast\(Safe, vault\)"),
}

# What public dexts use, hardware families left out: the most used first. Words, unless they are patterns.
INVENTORY = [
    "kIOReturnSuccess", r"Start\(\w+, SUPERDISPATCH\)", r"super::Start\(\w+, SUPERDISPATCH\)", "super::init", "ivars->",
    "RegisterService", r"struct \w+_IVars", "IONewZero", "OSDynamicCast", r"Stop\(\w+, SUPERDISPATCH\)", "super::free", "os_log",
    "OS_LOG_DEFAULT", "IOSafeDeleteNULL", r"[^:]Create\(this,", "kIOReturnBadArgument", "kIOReturnError", "os/log.h", "OSObject",
    "DriverKit/IOLib.h", "ExternalMethod", "IOBufferMemoryDescriptor", "IOUserClient", "IOUserClientMethodArguments",
    "IOUserClientMethodDispatch", "NewUserClient", "OSAction", "OSSafeReleaseNULL", r"\bIMPL\(", "LOCALONLY", "memcpy", "memset",
    "bcopy", "bzero", r"->release\(\)", r"->retain\(\)", "DriverKit/DriverKit.h", "IOBufferMemoryDescriptor::Create",
    "IODispatchQueue", "kIOReturnNoMemory", "OSData", "IOMemoryDescriptor", "IOMemoryMap", "scalarInput", r"::\w+_Impl\(",
    r"\^\{", r"CreateAction\w+\(", "DriverKit/IOUserServer.h", "kIOMemoryDirectionInOut", "kIOMemoryDirectionOutIn",
    "getBytesNoCopy", "OSDictionary", "OSString", "scalarOutput", "CreateMapping", "kIOReturnUnsupported", "OSData::withBytes",
    "OSNumber", "structureInput", "__block", "getLength", "IOAddressSegment", "GetAddress", r"super::ExternalMethod\(",
    "mach_absolute_time", "OSString::withCString", "setObject", r"\bTYPE\(", "getCount", "IOTimerDispatchSource",
    "OSDictionary::withCapacity", "OSNumber::withNumber", "SetHandler", "GetAddressRange", "getObject", r"->Cancel\(",
    "kIOReturnNoDevice", "kIOReturnNoResources", "kOSBooleanTrue", "kOSBooleanFalse", "OSArray", "SetEnable", "structureOutput",
    "CopyDispatchQueue", "DispatchSync", "IOTimerDispatchSource::Create", "OSArray::withCapacity", "DriverKit/OSCollections.h",
    "OSSharedPtr", r"\.get\(\)", "SetName", "structureInputDescriptor", "WakeAtTime", "arguments->completion", "getCStringNoCopy",
    "IODispatchQueue::Create", "IODMACommand", "GetLength", r"->Map\(", "kIOMemoryDirectionOut", "kIOReturnNotFound",
    "kIOReturnNotReady", "mach_timebase_info", r"NewUserClient\(.*SUPERDISPATCH\)", "OSNoRetain", "OSRetain", r"\.reset\(",
    "OSTypeAlloc", "AsyncCompletion", "CompleteDMA", "CopyClientMemoryForType", "IODataQueueDispatchSource", "IOSleep",
    "IOUserClientMethodFunction", "kIOReturnNoSpace", r"\.attach\(\)", "PrepareForDMA", "structureOutputDescriptor",
    "structureOutputMaximumSize", "checkCompletionExists", "Enqueue", "Dequeue", r"\bIOFree\(", "kIOMemoryDirectionIn",
    "kIOReturnAborted", "kIOTimerClockMachAbsoluteTime", "SetLength", "clock_gettime_nsec_np", "CopyProperties", "DispatchAsync",
    r"\bIODelete\(", "kIOReturnBusy", "kIOReturnNotPermitted", "kIOReturnUnderrun", "kIOTimerClockUptimeRaw",
    "kIOTimerClockMonotonicRaw", "namespace", "template", "OSBoolean", "appendBytes", "OSData::withCapacity",
    "SetDataAvailableHandler", "unsigned32BitValue", "GetProvider", "IODelay", "IOLockAlloc", "IOLockLock", "IOLockUnlock",
    "IOMallocZero", r"\bIONew\(", "IOUserClientAsyncArgumentsArray", r"kIOMemoryMapCacheMode\w+", "kIOMemoryMapReadOnly",
    "kIOReturnExclusiveAccess", "kIOReturnTimeout", "kIOServiceDefaultQueueName", "kIOUserClientMemoryReadOnly",
    "kIOUserClientVariableStructureSize", "OSAction::Create", "GetReference", "OSData::withBytesNoCopy", "OSDictionarySetValue",
    "SetDispatchQueue", "SetEnableWithCompletion", "SetPowerState", "SetProperties", "Terminate", "CopyClientEntitlements",
    "CreateSubMemoryDescriptor", "CreateWithMemoryDescriptors", "GetRegistryEntryID", "IODataQueueDispatchSource::Create",
    "IOLockFree", "IOLockTryLock", r"\bIOLog\(", "IOParseBootArg", "IOServiceNotificationDispatchSource", "iterateObjects",
    "kIOReturnOverrun", "OSRequiredCast", r"\bQUEUENAME\(", "SearchProperty", "strlcpy", r"\bTARGET\b",
    # Used by none that was counted, and by others.
    "CreateMemoryDescriptorFromClient", "kIOUserClientQueueNameExternalMethod", "kIODispatchQueueReentrant", "OnQueue",
    "RunAction", "OSOrderedSet", "OSSet", "SetDataServicedHandler", "OSDictionary::withObjects", "IORecursiveLockAlloc",
    "IORWLockAlloc",
]


def plain(path):
    """The text without comments; strings stay."""
    text = path.read_text()
    return re.sub(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', lambda match: match[1] or " ", text, flags=re.S)


def has(pattern, text):
    return pattern(text) if callable(pattern) else re.search(pattern, text, re.M) is not None


def text_of(source, where):
    path = source / "tests" / where if where.startswith("dexts") else source / "src" / where
    if path.is_dir():
        return "\n".join(file.read_text() for file in sorted(path.rglob("*.*")) if file.is_file())
    return path.read_text() if path.exists() else ""


def main():
    source, dexts = pathlib.Path(sys.argv[1]), sys.argv[2:]
    here = source / "tests/dexts"
    interfaces = {dext: [plain(path) for path in sorted((here / dext).rglob("*.iig"))] for dext in dexts}
    wrong = []
    for row, (what, pattern) in FEATURES.items():
        having = [dext for dext, texts in interfaces.items() if any(has(pattern, text) for text in texts)]
        print(f"{row:4} {what:36} {' '.join(having)}")
        if not having:
            wrong.append(f"{row}: no dext has {what}")
    for row, (what, where, pattern) in TESTS.items():
        print(f"{row:4} {what:48} {where}")
        if not has(pattern, text_of(source, where)):
            wrong.append(f"{row}: {where} no longer tests it: {pattern}")
    wrong += [f"{path.parent.name} is in no list of tests/dexts" for path in sorted(here.glob("*/client.entitlements"))
              if path.parent.name not in dexts]
    sources = {dext: "\n".join(plain(path) for path in sorted((here / dext).glob("*/**/*.*"))
                              if path.suffix in (".iig", ".cpp", ".c", ".h"))
               for dext in dexts}
    for word in INVENTORY:
        pattern = word if re.search(r"[\\^]", word) else re.escape(word)
        having = [dext for dext, text in sources.items() if has(pattern, text)]
        print(f"{word:48} {' '.join(having)}")
        if not having:
            wrong.append(f"no dext uses {word}")
    for line in wrong:
        print("FAILED:", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
