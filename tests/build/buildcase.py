# SPDX-License-Identifier: Apache-2.0
"""What tests of `ambidext build` have in common: a small driver's files, a directory of their own, running the tool.

The program's arguments are SOURCE and BUILD, the project's directories; behind them what unittest takes.
"""
import os
import pathlib
import plistlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE, BUILD = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
AMBIDEXT = BUILD / "src/cli/ambidext"
HERE = SOURCE / "tests/build"
SANDBOX = ["--no-sandbox"] if os.environ.get("AMBIDEXT_TEST_NO_SANDBOX") else []

INTERFACE = """#include <DriverKit/IOService.iig>
class Bell: public IOService
{
public:
    virtual kern_return_t Start(IOService * provider) override;
    virtual void Ring(uint32_t times) LOCALONLY;
};
"""
BELL = """#include <os/log.h>
#include <DriverKit/IOLib.h>
#include "Bell.h"
kern_return_t IMPL(Bell, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    Ring(3);
    return ret == kIOReturnSuccess ? RegisterService() : ret;
}
void Bell::Ring(uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        os_log(OS_LOG_DEFAULT, "ding");
}
"""
PERSONALITY = {"CFBundleIdentifier": "$(PRODUCT_BUNDLE_IDENTIFIER)", "IOClass": "IOUserService",
               "IOProviderClass": "IOUserResources",
               "IOResourceMatch": "IOKit", "IOMatchCategory": "$(PRODUCT_BUNDLE_IDENTIFIER)", "IOUserClass": "Bell",
               "IOUserServerName": "$(PRODUCT_BUNDLE_IDENTIFIER)"}
INFO = {"CFBundleIdentifier": "$(PRODUCT_BUNDLE_IDENTIFIER)", "CFBundleExecutable": "$(EXECUTABLE_NAME)",
        "IOKitPersonalities": {"Bell": PERSONALITY}}


def without(dictionary, *keys):
    return {key: value for key, value in dictionary.items() if key not in keys}


def project(target, settings, objects="", phases=""):
    """A project.pbxproj with one driver extension; `objects` in its text besides."""
    lines = "".join(f'{name} = "{value}"; ' for name, value in settings.items())
    return f"""// !$*UTF8*$!
{{ objects = {{
    P = {{isa = PBXProject; buildConfigurationList = L; mainGroup = G; targets = (T, ); }};
    L = {{isa = XCConfigurationList; buildConfigurations = (C, ); }};
    C = {{isa = XCBuildConfiguration; name = Release; buildSettings = {{{lines}}}; }};
    T = {{isa = PBXNativeTarget; name = "{target}"; productType = "com.apple.product-type.driver-extension";
          buildConfigurationList = L; buildPhases = ({phases}); fileSystemSynchronizedGroups = (S, ); }};
    {objects}
}}; rootObject = P; }}
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.work)
        (self.work / "tmp").mkdir()
        self.environment = {**os.environ, "TMPDIR": str(self.work / "tmp"), "LC_ALL": "C.UTF-8"}
        for name in ("XDG_RUNTIME_DIR", "AMBIDEXT_REGISTRY"):
            self.environment.pop(name, None)

    # --- files ---

    def write(self, path, content):
        path = self.work / path
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            path.write_bytes(plistlib.dumps(content))
        else:
            path.write_text(content)
        return path

    def bell(self, folder="bell", **files):
        """A driver's folder without a project; a file may be given other content, or None."""
        for name, content in {"Bell.iig": INTERFACE, "Bell.cpp": BELL, "Info.plist": INFO, **files}.items():
            if content is not None:
                self.write(f"{folder}/{name}", content)
        return self.work / folder

    # --- running ---

    def run_tool(self, *arguments, status=0):
        done = subprocess.run([str(AMBIDEXT), *map(str, arguments)], env=self.environment, stdin=subprocess.DEVNULL, timeout=200,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, cwd=self.work)
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def build(self, *arguments):
        """The bundle, and what was said."""
        done = self.run_tool("build", *arguments)
        paths = done.stdout.splitlines()
        self.assertEqual(len(paths), 1, done.stdout)
        return pathlib.Path(paths[0]), done.stderr

    def fails(self, *arguments, says, status=1):
        done = self.run_tool("build", *arguments, status=status)
        self.assertEqual(done.stdout, "")
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, done.stderr)
        self.assertTrue(all(len(line) < 2000 for line in done.stderr.splitlines()), done.stderr)
        return done.stderr

    def start(self, bundle, *command):
        return self.run_tool("run", *SANDBOX, "--dext", bundle, "--", AMBIDEXT, *command)

    def info(self, bundle):
        return plistlib.loads((bundle / "Info.plist").read_bytes())


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
