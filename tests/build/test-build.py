#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test-build.py SOURCE BUILD

`ambidext build` as people meet it: layouts of public repositories (an Xcode project with an app and a tool beside the driver,
                                                                    folders
that belong to a target as a whole, no project at all, C), every mistake that is told in words, what is built again and what is not.
"""
import json
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


class Projects(Case):
    def setUp(self):
        super().setUp()
        self.root = self.work / "repository"
        shutil.copytree(HERE / "xcode", self.root)

    def test_project(self):
        bundle, said = self.build(self.root)
        self.assertEqual(bundle, self.root / "build/com.example.lamp.driver.dext")
        info = self.info(bundle)
        self.assertEqual(info["CFBundleExecutable"], "com.example.lamp.driver")
        self.assertEqual((info["CFBundleShortVersionString"], info["CFBundleVersion"]), ("2.5", "7"))
        self.assertEqual(info["OSBundleUsageDescription"], "Of team ABCDE12345, mood ")
        lamp = info["IOKitPersonalities"]["Lamp"]
        self.assertEqual(lamp["UserClientProperties"]["IOUserClass"], "LampUserClient")
        self.assertEqual(lamp["IOUserServerName"], "com.example.lamp.driver")
        entitlements = plistlib.loads((bundle / "com.example.lamp.driver.entitlements").read_bytes())
        self.assertEqual(entitlements["com.apple.security.application-groups"], ["ABCDE12345.com.example.lamp.driver"])
        self.assertIn("Lamp Driver/Info.plist: OSBundleUsageDescription: nothing says what $(LAMP_MOOD) is", said)
        self.assertIn('its script "Stamp" is not run', said)
        self.assertIn("Gone.cpp: the project names this file, but it is not there", said)
        self.assertFalse((self.root / "stamp").exists())
        called = self.start(bundle, "call", "--out-scalars", "1", "Lamp", "0", "1")
        self.assertRegex(called.stdout, r"\b3\b.*0x0*3\b")

    def test_nothing_outside_the_output_is_touched(self):
        before = {path: path.stat().st_mtime_ns for path in self.root.rglob("*")}
        self.build(self.root, "--output", self.work / "out")
        self.assertEqual(before, {path: path.stat().st_mtime_ns for path in self.root.rglob("*")})

    def test_folder_of_the_target(self):
        """The project lies above; its other configuration; a setting of the command line."""
        bundle, _ = self.build(self.root / "Lamp Driver", "--configuration", "Debug", "--set", "PRODUCT_NAME=Lamp Driver", "-j",
                               "2")
        self.assertEqual(bundle, self.root / "Lamp Driver/build/Lamp Driver.dext")
        self.assertEqual(self.info(bundle)["CFBundleVersion"], "1")
        self.assertIn("debugged lamp has 5 features", self.start(bundle, "ls").stderr)

    def test_project_itself_and_target(self):
        bundle, _ = self.build(self.root / "Lamp.xcodeproj", "-o", "out", "--target", "LampDriver")
        self.assertEqual(bundle, self.work / "out/com.example.lamp.driver.dext")
        bundle, _ = self.build(self.root / "Lamp.xcodeproj")
        self.assertEqual(bundle, self.root / "build/com.example.lamp.driver.dext")
        self.fails(self.root, "--target", "Lamp", says='there is no driver extension "Lamp"; there is LampDriver')

    def test_compile_commands(self):
        answer = json.loads(self.run_tool("build", "--json", self.root).stdout)
        self.assertEqual(answer["bundles"], [{"bundle": str(self.root / "build/com.example.lamp.driver.dext"),
                                              "identifier": "com.example.lamp.driver", "target": "LampDriver"}])
        self.assertTrue(any("LAMP_MOOD" in note for note in answer["notes"]))
        commands = json.loads(pathlib.Path(answer["compileCommands"]).read_text())
        names = {pathlib.Path(command["file"]).name for command in commands}
        self.assertEqual(names, {"Lamp.cpp", "LampUserClient.cpp", "Lamp Bulb.cpp", "Lamp.iig.cpp", "LampUserClient.iig.cpp"})
        for command in commands:        # an editor may run them as they are
            subprocess.run(command["command"], shell=True, check=True, cwd=command["directory"], stderr=subprocess.DEVNULL)

    def test_synchronized_folders(self):
        """Xcode 16: a folder's files are the target's, but for those named; the Info.plist's usual keys are generated."""
        for name, content in {"Bell.iig": INTERFACE, "sub/Bell.cpp": BELL, "Test.cpp": "#error not of the driver\n",
                              "other/App.cpp": "#error not of the driver\n",
                                      "Driver-Info.plist": {"IOKitPersonalities": {"Bell": PERSONALITY}}}.items():
            self.write(f"sync/Driver/{name}", content)
        self.write("sync/Shared/ding.cpp", "int ding = 1;\n")
        self.write("sync/Shared/App.cpp", "#error not of the driver\n")
        objects = """
            G = {isa = PBXGroup; children = (S, H, ); sourceTree = "<group>"; };
            S = {isa = PBXFileSystemSynchronizedRootGroup; path = Driver; sourceTree = "<group>"; exceptions = (X, ); };
            H = {isa = PBXFileSystemSynchronizedRootGroup; path = Shared; sourceTree = "<group>"; exceptions = (Y, ); };
            X = {isa = PBXFileSystemSynchronizedBuildFileExceptionSet; target = T;
                 membershipExceptions = ("Driver-Info.plist", Test.cpp, other, ); };
            Y = {isa = PBXFileSystemSynchronizedBuildFileExceptionSet; target = T; membershipExceptions = (ding.cpp, ); };"""
        settings = {"GENERATE_INFOPLIST_FILE": "YES", "INFOPLIST_FILE": "Driver/Driver-Info.plist", "PRODUCT_NAME": "Bell",
                    "PRODUCT_BUNDLE_IDENTIFIER": "com.example.$(PRODUCT_NAME:lower)", "MARKETING_VERSION": "3.1",
                    "INFOPLIST_KEY_OSBundleUsageDescription": "It rings", "INFOPLIST_KEY_Loud": "YES"}
        self.write("sync/Bell.xcodeproj/project.pbxproj", project("BellDriver", settings, objects))
        bundle, _ = self.build(self.work / "sync")
        info = self.info(bundle)
        self.assertEqual((info["CFBundleIdentifier"], info["CFBundleExecutable"], info["CFBundlePackageType"]),
                         ("com.example.bell", "Bell", "DEXT"))
        self.assertEqual((info["CFBundleShortVersionString"], info["OSBundleUsageDescription"], info["Loud"]), ("3.1", "It rings",
                                                                                                                True))
        self.assertIn("ding", self.start(bundle, "ls").stderr)
        commands = json.loads((self.work / "sync/build/compile_commands.json").read_text())
        self.assertEqual(len(commands), 3)

    def test_several_and_libraries(self):
        """Two driver extensions; one links a static library of the project."""
        self.bell("two/one")
        self.bell("two/other", **{"Info.plist": {**INFO, "IOKitPersonalities": {"Bell": {**PERSONALITY, "IOUserClass": "Bell"}}},
                                  "Bell.cpp": BELL + "int library(void); int use = library();\n"})
        self.write("two/lib/library.cpp", "int library(void) { return 1; }\n")

        def target(name, folder, more=""):
            return f"""
            T{name} = {{isa = PBXNativeTarget; name = {name}; productType = "com.apple.product-type.driver-extension";
                buildConfigurationList = L{name}; buildPhases = (S{name}, {more}); }};
            L{name} = {{isa = XCConfigurationList; buildConfigurations = (C{name}, ); }};
            C{name} = {{isa = XCBuildConfiguration; name = Release; buildSettings = {{INFOPLIST_FILE = {folder}/Info.plist;
                PRODUCT_BUNDLE_IDENTIFIER = com.example.{name}; }}; }};
            S{name} = {{isa = PBXSourcesBuildPhase; files = (I{name}, M{name}); }};
            I{name} = {{isa = PBXBuildFile; fileRef = FI{name}; }}; M{name} = {{isa = PBXBuildFile; fileRef = FM{name}; }};
            FI{name} = {{isa = PBXFileReference; path = {folder}/Bell.iig; sourceTree = SOURCE_ROOT; }};
            FM{name} = {{isa = PBXFileReference; path = {folder}/Bell.cpp; sourceTree = SOURCE_ROOT; }};"""
        library = """
            TL = {isa = PBXNativeTarget; name = lib; productType = "com.apple.product-type.library.static"; productReference = A;
                buildPhases = (SL, ); };
            A = {isa = PBXFileReference; path = liblib.a; sourceTree = BUILT_PRODUCTS_DIR; };
            SL = {isa = PBXSourcesBuildPhase; files = (BL, ); }; BL = {isa = PBXBuildFile; fileRef = FL; };
            FL = {isa = PBXFileReference; path = lib/library.cpp; sourceTree = "<group>"; };
            W = {isa = PBXFrameworksBuildPhase; files = (BA, ); }; BA = {isa = PBXBuildFile; fileRef = A; };"""
        self.write("two/two.xcodeproj/project.pbxproj", "{ objects = { P = {isa = PBXProject; mainGroup = G; }; G = {isa = "
                   "PBXGroup; };"
                   + target("one", "one") + target("other", "other", "W") + library + "}; rootObject = P; }")
        done = self.run_tool("build", self.work / "two")
        self.assertEqual(done.stdout.splitlines(), [f"{self.work}/two/build/com.example.{name}.dext" for name in ("one", "other")])
        bundle, _ = self.build(self.work / "two/other")         # the one that has files there
        self.assertEqual(bundle.name, "com.example.other.dext")

    def test_templates_and_entitlements_of_scripts(self):
        """Version numbers in templates, headers in a folder above, entitlements that only a script knows."""
        self.write("made/version.json", '{\n  "package_version": "4.12.3",\n  "driver_version": "1.2.3"\n}\n')
        text = plistlib.dumps({**INFO, "CFBundleVersion": "@VERSION@", "Odd": "@ODD@"}).decode()
        self.write("made/src/Bell/Bell/Info.plist.in", text)
        self.write("made/src/Bell/Bell/Bell.iig", INTERFACE)
        self.write("made/src/Bell/Bell/Bell.cpp", '#include <bell/driver.hpp>\nstatic_assert(DRIVER == 10203);\n' + BELL)
        self.write("made/include/bell/driver.hpp.in", '#pragma once\n#define DRIVER @DRIVER_VERSION_NUMBER@ // @DRIVER_VERSION@\n')
        self.write("made/src/Bell/entitlements.plist", {"com.apple.developer.driverkit": True, "found": True})
        objects = """
            G = {isa = PBXGroup; children = (S, ); sourceTree = "<group>"; };
            S = {isa = PBXFileSystemSynchronizedRootGroup; path = Bell; sourceTree = "<group>"; };"""
        settings = {"INFOPLIST_FILE": "Bell/Info.plist", "CODE_SIGN_ENTITLEMENTS": "", "HEADER_SEARCH_PATHS": "../../include",
                    "PRODUCT_BUNDLE_IDENTIFIER": "org.example.bell"}
        self.write("made/src/Bell/Bell.xcodeproj/project.pbxproj", project("Bell", settings, objects))
        bundle, said = self.build("made", "--set", "ODD=odd")
        info = self.info(bundle)
        self.assertEqual((info["CFBundleVersion"], info["Odd"]), ("4.12.3", "odd"))
        self.assertTrue(plistlib.loads((bundle / "org.example.bell.entitlements").read_bytes())["found"])
        self.assertIn("Bell/Info.plist is not there, so it is made of its template, with VERSION = 4.12.3", said)
        self.assertIn("driver.hpp is not there, so it is made of its template, with DRIVER_VERSION_NUMBER = 10203", said)
        self.assertIn("names no entitlements; those of ", said)

    def test_broken_project(self):
        path = self.root / "Lamp.xcodeproj/project.pbxproj"
        text = path.read_text()
        path.write_text(text.replace("targets = (", "targets ("))
        number = text[:text.index("targets = (")].count("\n") + 1
        self.fails(self.root, says=f"project.pbxproj: line {number}: '=' is expected behind the key \"targets\"")

    def test_no_driver_extension(self):
        self.write("bell/Bell.xcodeproj/project.pbxproj", "{ objects = { P = {isa = PBXProject; }; }; rootObject = P; }")
        self.bell()
        _, said = self.build("bell")
        self.assertIn("has no driver extension among its targets; what lies in the folder is built", said)
        self.fails("bell/Bell.xcodeproj", says="the project has no target that is a driver extension")


    def test_output_in_a_synchronized_folder(self):
        """The folder of the target is the one that is built: what lies in its `build` is no source the second time."""
        self.bell("sync/Driver")
        objects = """
            G = {isa = PBXGroup; children = (S, ); sourceTree = "<group>"; };
            S = {isa = PBXFileSystemSynchronizedRootGroup; path = Driver; sourceTree = "<group>"; };"""
        settings = {"INFOPLIST_FILE": "Driver/Info.plist", "PRODUCT_BUNDLE_IDENTIFIER": "com.example.bell"}
        self.write("sync/Bell.xcodeproj/project.pbxproj", project("Bell", settings, objects))
        for _ in range(2):
            bundle, _ = self.build("sync/Driver")
            self.assertEqual(bundle, self.work / "sync/Driver/build/com.example.bell.dext")
            self.assertEqual(len(json.loads((bundle.parent / "compile_commands.json").read_text())), 2)

    def test_system_extension_workspace_and_excluded_names(self):
        """A driver of the type that apps embed; files that a setting leaves out; the workspace itself is named."""
        self.bell("work/Driver")
        self.write("work/Driver/Old.cpp", "#error not of the driver\n")
        self.write("work/Driver/Mock/New.cpp", "#error not of the driver\n")
        self.write("work/Driver/Mock/Kept.cpp", "int kept;\n")
        self.write("work/Bell.xcworkspace/contents.xcworkspacedata", "<Workspace/>")
        objects = """
            G = {isa = PBXGroup; children = (S, ); sourceTree = "<group>"; };
            S = {isa = PBXFileSystemSynchronizedRootGroup; path = Driver; sourceTree = "<group>"; };"""
        settings = {"INFOPLIST_FILE": "Driver/Info.plist", "PRODUCT_BUNDLE_IDENTIFIER": "com.example.bell", "SDKROOT": "driverkit",
                    "EXCLUDED_SOURCE_FILE_NAMES": "Old.* Driver/Mock/*", "INCLUDED_SOURCE_FILE_NAMES": "Kept.cpp"}
        text = project("Bell", settings, objects).replace("driver-extension", "system-extension")
        self.write("work/Bell.xcodeproj/project.pbxproj", text)
        bundle, _ = self.build("work/Bell.xcworkspace")
        self.assertEqual(bundle, self.work / "work/build/com.example.bell.dext")
        commands = json.loads((bundle.parent / "compile_commands.json").read_text())
        self.assertEqual({pathlib.Path(command["file"]).name for command in commands}, {"Bell.iig.cpp", "Bell.cpp", "Kept.cpp"})
        # A system extension of another kind.
        self.write("work/Bell.xcodeproj/project.pbxproj", text.replace("SDKROOT", "NO_SDKROOT"))
        self.fails("work/Bell.xcodeproj", says="the project has no target that is a driver extension")

    def test_preprocessed_info_plist(self):
        self.bell("bell", **{"Info.plist": None})
        more = "#if LOUD\n<key>Volume</key><integer>LEVEL</integer>\n#endif\n<key>Home</key><string>http://example.com</string>\n"
        text = plistlib.dumps(INFO).decode().replace("<key>IOKitPersonalities", more + "<key>IOKitPersonalities")
        self.write("bell/Info.plist", "#include \"level.h\"\n" + text)
        self.write("bell/level.h", "#define LEVEL 11\n")
        settings = {"INFOPLIST_FILE": "Info.plist", "INFOPLIST_PREPROCESS": "YES", "PRODUCT_BUNDLE_IDENTIFIER": "com.example.bell",
                    "INFOPLIST_OTHER_PREPROCESSOR_FLAGS": "-traditional -o/nowhere", "INFOPLIST_PREPROCESSOR_DEFINITIONS": "LOUD=1"}
        objects = """
            G = {isa = PBXGroup; children = (S, ); sourceTree = "<group>"; };
            S = {isa = PBXFileSystemSynchronizedRootGroup; path = ""; sourceTree = "<group>"; };"""
        self.write("bell/Bell.xcodeproj/project.pbxproj", project("Bell", settings, objects))
        info = self.info(self.build("bell")[0])
        self.assertEqual((info["Volume"], info["Home"]), (11, "http://example.com"))
        info = self.info(self.build("bell", "--set", "INFOPLIST_PREPROCESSOR_DEFINITIONS=")[0])
        self.assertNotIn("Volume", info)
        self.write("bell/level.h", "#error no level\n")
        self.fails("bell", says=["no level", "Info.plist: the C preprocessor, which the project wants to go over it"])


SPECIFICATION = """
name: Bells
options: {bundleIdPrefix: com.example}
settings:
  base: {CLANG_CXX_LANGUAGE_STANDARD: gnu++20, RING: 1}
  configs:
    Release: {SPEED: fast}
    Debug: {SPEED: slow}
settingGroups:
  loud: {VOLUME: 11, GCC_PREPROCESSOR_DEFINITIONS: ["A=1", "$(inherited)"]}
targets:
  App:
    type: application
    sources: App
  Bell_Driver:
    type: driver-extension
    platform: macOS
    sources:
      - path: Driver
        excludes: ["**/*.md", "Old", "**/Mock{A,B}.*"]
      - path: Shared
        includes: ["*.cpp"]
      - path: Missing
        optional: true
      - path: Resources
        buildPhase: resources
    settings:
      base: {MARKETING_VERSION: "1.10", flag: true}
      groups: [loud]
    info:
      path: Driver/Info.plist
      properties:
        CFBundleShortVersionString: $(MARKETING_VERSION)
        Texts: [$(SPEED), "$(RING)", $(VOLUME), $(flag)]
        IOKitPersonalities:
          Bell: &bell
            CFBundleIdentifier: $(PRODUCT_BUNDLE_IDENTIFIER)
            IOClass: IOUserService
            IOProviderClass: IOUserResources
            IOResourceMatch: IOKit
            IOUserClass: Bell
            IOUserServerName: $(PRODUCT_BUNDLE_IDENTIFIER)
            Number: 0x10
            Flag: yes
            Quoted: "12"
    entitlements:
      path: Driver/Bell.entitlements
      properties: {com.apple.developer.driverkit: true, list: [one]}
    preBuildScripts:
      - {name: Version, script: ./version.sh}
"""


class XcodeGen(Case):
    def setUp(self):
        super().setUp()
        self.root = self.work / "gen"
        self.bell("gen/Driver", **{"Info.plist": None})
        for name in ("Old/Old.cpp", "sub/MockA.cpp", "MockB.cpp"):
            self.write(f"gen/Driver/{name}", "#error not of the driver\n")
        for name in ("Shared/sub/App.cpp", "Resources/res.cpp", "App/App.cpp"):
            self.write(f"gen/{name}", "#error not of the driver\n")
        self.write("gen/Shared/ding.cpp", "static_assert(A == 1);\nint ding = 1;\n")

    def files(self, bundle):
        commands = json.loads((bundle.parent / "compile_commands.json").read_text())
        return {pathlib.Path(command["file"]).name for command in commands}

    def test_specification(self):
        self.write("gen/project.yml", SPECIFICATION)
        bundle, said = self.build("gen")
        self.assertEqual(bundle, self.root / "build/com.example.Bell-Driver.dext")
        self.assertEqual(self.files(bundle), {"Bell.iig.cpp", "Bell.cpp", "ding.cpp"})
        info = self.info(bundle)
        self.assertEqual(info["Texts"], ["fast", "1", "11", "YES"])
        self.assertEqual((info["CFBundleShortVersionString"], info["CFBundleIdentifier"]), ("1.10", "com.example.Bell-Driver"))
        bell = info["IOKitPersonalities"]["Bell"]
        self.assertEqual((bell["Number"], bell["Flag"], bell["Quoted"]), (16, True, "12"))
        self.assertEqual(plistlib.loads((bundle / "com.example.Bell-Driver.entitlements").read_bytes()),
                         {"com.apple.developer.driverkit": True, "list": ["one"]})
        self.assertIn('target Bell_Driver: its script "Version" is not run', said)
        self.assertFalse((self.root / "Driver/Info.plist").exists())
        self.assertIn("ding", self.start(bundle, "ls").stderr)
        for named in ("gen/project.yml", "gen/Driver"):
            self.assertEqual(self.build(named, "-o", "gen/build", "--configuration", "Debug")[0], bundle)
            self.assertEqual(self.info(bundle)["Texts"][0], "slow")

    def test_included_files_and_templates(self):
        """What several projects share lies in files of its own: paths are relative to them; arrays follow one another."""
        self.write("gen/Driver/Info.plist", INFO)
        self.write("gen/parts/Level.xcconfig", "LEVEL = 7\nGCC_PREPROCESSOR_DEFINITIONS = A=1\n")
        self.write("gen/parts/common.yml", """
configs: {Beta: release}
targetTemplates:
  Base:
    type: com.apple.product-type.driver-extension
    configFiles: {Beta: Level.xcconfig}
    settings: {PRODUCT_BUNDLE_IDENTIFIER: "${prefix}.${target_name}", PRODUCT_NAME: "${target_name}"}
  Driver:
    templates: [Base]
    sources: [{path: ../Driver, excludes: [Old, Mock*, sub, Info.plist]}]
""")
        self.write("gen/project.yml", """
name: Bells
include: [{path: parts/common.yml}, {path: none.yml, enable: false}]
targets:
  Lib: {type: library.static, sources: [Shared/ding.cpp]}
  Bell:
    templates: [Driver]
    templateAttributes: {prefix: org.example}
    dependencies: [{target: Lib}]
    settings: {INFOPLIST_FILE: Driver/Info.plist, "INFOPLIST_KEY_Level": $(LEVEL)}
    sources: [Shared/sub/none.cpp]
""")
        self.write("gen/Shared/sub/none.cpp", "int none;\n")
        bundle, _ = self.build("gen")
        self.assertEqual(bundle.name, "Bell.dext")
        self.assertEqual(self.files(bundle), {"Bell.iig.cpp", "Bell.cpp", "ding.cpp", "none.cpp"})
        self.assertEqual((self.info(bundle)["Level"], self.info(bundle)["CFBundleIdentifier"]), ("7", "org.example.Bell"))

    def test_plist_among_the_sources(self):
        self.write("gen/Driver/Info.plist", INFO)
        self.write("gen/project.yaml", """
targets:
  App: {type: system-extension, sources: [App]}
  Bell: {type: system-extension, platform: macOS, sources: [{path: Driver, excludes: [Old, "**/Mock*"]}],
         settings: {SDKROOT: driverkit, PRODUCT_BUNDLE_IDENTIFIER: com.example.bell}}
""")
        self.assertEqual(self.build("gen")[0].name, "com.example.bell.dext")

    def test_the_project_that_was_made_of_it_wins(self):
        self.write("gen/project.yml", SPECIFICATION)
        self.write("gen/Driver/Info.plist", INFO)
        objects = """
            G = {isa = PBXGroup; children = (S, ); sourceTree = "<group>"; };
            S = {isa = PBXFileSystemSynchronizedRootGroup; path = Driver; sourceTree = "<group>"; };"""
        settings = {"INFOPLIST_FILE": "Driver/Info.plist", "PRODUCT_BUNDLE_IDENTIFIER": "com.example.made",
                    "EXCLUDED_SOURCE_FILE_NAMES": "Old.cpp Mock*"}
        self.write("gen/Bells.xcodeproj/project.pbxproj", project("Bell", settings, objects))
        self.assertEqual(self.build("gen")[0].name, "com.example.made.dext")

    def test_broken(self):
        self.write("gen/project.yml", "a: b\nc: [d\n")
        self.fails("gen", says="gen/project.yml: line 3: ")
        self.write("gen/project.yml", "include: project.yml\n")
        self.fails("gen", says="too many files include one another")
        self.write("gen/project.yml", "include: none.yml\n")
        self.fails("gen", says="gen/none.yml: No such file or directory")
        self.write("gen/project.yml", "[a]\n")
        self.fails("gen", says="its outermost value must be a dictionary")
        self.write("gen/project.yml", "targets: {Bell: {type: application, sources: Driver}}\n")
        self.fails("gen/project.yml", says="the project has no target that is a driver extension")
        self.write("gen/project.yml", "targets: {Bell: {type: driver-extension, sources: [None], templates: [None]}}\n")
        self.fails("gen", says=['there is no target template "None"',
                                "gen/None: the project names this source, but it is not there",
                                "target Bell has no C or C++ source"])


class Folders(Case):
    def test_folder(self):
        """No project: programs, tests and other products beside the driver are not its own."""
        self.write("repository/.git/HEAD", "")
        self.write("repository/include/ring/ring.hpp", "// SPDX\n#pragma once\ninline unsigned twice(unsigned n) { return 2 * n; "
                   "}\n")
        self.write("repository/app/Info.plist", {"CFBundleIdentifier": "com.example.app", "CFBundlePackageType": "APPL"})
        self.write("repository/app/App.cpp", "#error not of the driver\n")
        self.write("repository/client/main.cpp", "#error not of the driver\nint main() { }\n")
        self.write("repository/src/driver/tool/main.cpp", "#error not of the driver\nint main (int argc, char **argv) { }\n")
        self.write("repository/src/driver/Bell-Info.plist", INFO)
        self.write("repository/src/driver/Bell.entitlements", {"com.apple.developer.driverkit": True, "who": "$(PRODUCT_NAME)"})
        self.write("repository/src/driver/other.entitlements", {"com.apple.developer.driverkit": True})
        self.write("repository/src/driver/interfaces/Bell.iig", INTERFACE)
        self.write("repository/src/driver/sources/Bell.cpp",
                   "#include <ring/ring.hpp>\n#include <Bell/Bell.h>\n" + BELL.replace("Ring(3)", "Ring(twice(1))"))
        bundle, said = self.build("repository")
        self.assertEqual(bundle, self.work / "repository/build/Bell.dext")
        self.assertEqual(self.info(bundle)["CFBundleIdentifier"], "local.Bell")
        self.assertEqual(plistlib.loads((bundle / "Bell.entitlements").read_bytes())["who"], "Bell")
        self.assertIn("src/driver/tool/main.cpp is left out: it has a function main, as programs do", said)
        self.assertEqual(self.start(bundle, "ls").stderr.count(": ding\n"), 2)

    def test_binary_plist_and_literal_names(self):
        folder = self.bell(**{"Info.plist": None})
        (folder / "Info.plist").write_bytes(plistlib.dumps({**INFO, "CFBundleExecutable": "ringer", "CFBundleIdentifier": "a.b"},
                                                           fmt=plistlib.FMT_BINARY))
        bundle, _ = self.build(folder, "--set", "PRODUCT_BUNDLE_IDENTIFIER=a.b")
        self.assertEqual(bundle.name, "ringer.dext")
        self.assertTrue((bundle / "ringer").is_file())
        self.start(bundle, "ls")

    def test_identifier_of_the_server(self):
        """Where no project says what the bundle is called, the name of its server does, if it is one."""
        self.bell(**{"Info.plist": {**INFO, "IOKitPersonalities": {"Bell": {**PERSONALITY,
                                                                            "IOUserServerName": "org.example.bell"}}}})
        self.assertEqual(self.info(self.build("bell")[0])["CFBundleIdentifier"], "org.example.bell")

    def test_c(self):
        shutil.copytree(SOURCE / "drivers/echo", self.work / "echo")
        bundle, said = self.build("echo", "--std", "gnu11", "-O", "0")
        self.assertEqual((bundle.name, len(said.splitlines())), ("echo.dext", 1))
        self.assertIn(f"editors find the compilers' arguments in {self.work}/echo/build/compile_commands.json", said)
        self.assertEqual(self.build("echo", "--std", "gnu11", "-O", "0")[1], "")
        self.start(bundle, "call", "echo", "0")

    def test_options(self):
        self.bell(**{"Bell.cpp": BELL + "static_assert(__cplusplus == 201703L && RINGS == 4, \"\");\n#include <extra.h>\n"
                                        "#ifdef __OPTIMIZE__\n#error optimized\n#endif\n"})
        self.write("more/extra.h", "")
        done = self.run_tool("build", "bell", "--std=c++17", "-DRINGS=4", "-I", "more", "-O0", "--verbose")
        self.assertIn("-std=c++17", done.stderr)
        self.fails("bell", says="bell/Bell.cpp:")

    def test_built_again(self):
        folder = self.bell(Other_cpp=None, **{"Other.cpp": "int other;\n"})
        bundle, _ = self.build(folder)
        objects = folder / "build/ambidext.build/bell/objects"
        times = {path: path.stat().st_mtime_ns for path in objects.iterdir()}
        self.build(folder)
        self.assertEqual(times, {path: path.stat().st_mtime_ns for path in objects.iterdir()})
        self.write("bell/Bell.iig", INTERFACE + "// a comment\n")
        self.build(folder)
        changed = {path.name for path in objects.iterdir() if times.get(path) != path.stat().st_mtime_ns}
        self.assertEqual(changed, {"0-build_ambidext.build_bell_derived_bell_Bell.iig.cpp.o", "1-Bell.cpp.o"})
        before = (bundle / "bell").read_bytes()
        self.write("bell/Bell.cpp", BELL + "error\n")
        self.fails(folder, says="Bell.cpp")
        self.assertEqual(before, (bundle / "bell").read_bytes())        # a bundle is whole, or not touched

    def test_capitals(self):
        """Written on a file system that does not look at them."""
        self.bell(**{"Info.plist": None, "Bell.cpp": None, "Sources/common/Ring.h": "#pragma once\n",
                     "Sources/Bell.cpp": '#include "Common/ring.h"\n' + BELL.replace("Bell.h", "bell.h")})
        self.write("bell/support/INFO.plist", INFO)
        objects = """
            G = {isa = PBXGroup; children = (F1, F2, ); sourceTree = "<group>"; };
            S = {isa = PBXSourcesBuildPhase; files = (B1, B2, ); };
            B1 = {isa = PBXBuildFile; fileRef = F1; }; B2 = {isa = PBXBuildFile; fileRef = F2; };
            F1 = {isa = PBXFileReference; path = bell.iig; sourceTree = "<group>"; };
            F2 = {isa = PBXFileReference; path = sources/bell.cpp; sourceTree = "<group>"; };"""
        settings = {"INFOPLIST_FILE": "Support/Info.plist", "CODE_SIGN_ENTITLEMENTS": "none.entitlements",
                    "PRODUCT_BUNDLE_IDENTIFIER": "a.b"}
        self.write("bell/Bell.xcodeproj/project.pbxproj", project("Bell", settings, objects, "S"))
        bundle, said = self.build("bell")
        self.assertIn("Bell.cpp includes Common/ring.h, which is called Ring.h: capitals matter here", said)
        self.assertIn("Bell.cpp includes bell.h, which is called Bell.h: capitals matter here", said)
        self.assertIn("none.entitlements: the project names these entitlements, but they are not there", said)
        self.start(bundle, "ls")
        self.build("bell")

    def test_template_of_another_build_system(self):
        text = plistlib.dumps({**INFO, "CFBundleIdentifier": "${SOME_IDENTIFIER}", "CFBundleVersion": "@PROJECT_VERSION@"}).decode()
        self.bell(**{"Info.plist": None, "res/Info.plist.in": text})
        bundle, said = self.build("bell")
        self.assertEqual(self.info(bundle)["CFBundleIdentifier"], "local.bell")
        self.assertEqual(self.info(bundle)["CFBundleVersion"], "1.0")
        self.assertIn("nothing says what $(SOME_IDENTIFIER) is", said)

    def test_names_with_blanks(self):
        folder = self.bell("my $HOME folder/it's")
        bundle, _ = self.build(folder)
        self.assertEqual(bundle, folder / "build/it's.dext")
        self.start(bundle, "ls")

    def test_links_to_folders(self):
        """What a link leads to within the folder is built once; what lies elsewhere is taken by it."""
        folder = self.bell("here/driver")
        (folder / "again").symlink_to(".")
        self.write("here/driver/code/one.cpp", "int one = 1;\n")
        (folder / "include").mkdir()
        (folder / "include" / "driver").symlink_to("../code")
        self.write("elsewhere/two.cpp", "int two = 2;\n")
        (folder / "more").symlink_to(self.work / "elsewhere")
        self.build(folder)
        commands = json.loads((folder / "build/compile_commands.json").read_text())
        names = sorted(pathlib.Path(command["file"]).name for command in commands)
        self.assertEqual(names, ["Bell.cpp", "Bell.iig.cpp", "one.cpp", "two.cpp"])

    def test_names_that_ninja_cannot_take(self):
        said = self.fails(self.bell("this|that"), says=["this|that", "there is a '|' in this path", "rename"])
        self.assertNotIn("build.ninja", said)
        folder = self.bell("lines")
        self.write("lines/two\nlines.cpp", "int two = 2;\n")
        said = self.fails(folder, says=["two?lines.cpp", "a line break (shown as '?') in this path"])
        self.assertNotIn("build.ninja", said)

    def test_settings_run_nothing(self):
        """A line's end in a setting does not become a rule of build.ninja."""
        text = "'A=1\nrule touch\n command = touch ran-this\nbuild evil: touch\ndefault evil\nx = '"
        self.fails(self.bell(), "--set", f"GCC_PREPROCESSOR_DEFINITIONS={text}",
                   says=["a line break (shown as '?') in this argument", "build settings"])
        self.assertEqual(list(self.work.rglob("ran-this")), [])

    def test_sanitizers(self):
        for what, library in {"address,undefined": "asan", "undefined": "ubsan", "thread": "tsan"}.items():
            bundle, _ = self.build(self.bell(), "--sanitize", what, "-o", what)
            self.assertIn(library, self.info(bundle)["AmbidextSanitizerRuntime"])
            if not SANDBOX:     # a sanitized host has one already
                self.assertIn("ding", self.start(bundle, "ls").stderr)
        bundle, _ = self.build(self.bell(), "-o", "address,undefined")
        self.assertNotIn("AmbidextSanitizerRuntime", self.info(bundle))
        self.bell(**{"Bell.cpp": BELL + "int missing(void); int use = missing();\n"})
        self.fails("bell", "--sanitize=address", says="missing()")


    def test_fuzzer(self):
        shutil.copytree(HERE / "xcode", self.work / "lamp")
        program, _ = self.build("lamp", "--fuzz", "--set", "PRODUCT_NAME=lamp")
        self.assertEqual(program, self.work / "lamp/build/lamp-fuzz")
        done = subprocess.run([program, "-runs=20"], env=self.environment, cwd=self.work, timeout=100, text=True, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Done 2", done.stdout)


class Mistakes(Case):
    def test_groups_in_one_another(self):
        objects = """S = {isa = PBXSourcesBuildPhase; files = (B, ); }; B = {isa = PBXBuildFile; fileRef = G; };
            G = {isa = PBXGroup; children = (G, H, G, H, ); }; H = {isa = PBXGroup; children = (G, H, G, H, ); };"""
        self.write("round/Round.xcodeproj/project.pbxproj", project("Round", {}, objects, "S, "))
        self.fails("round", says="target Round has no C or C++ source")

    def test_command_line(self):
        self.fails("none", says="none: No such file or directory; build wants the folder of a driver's sources")
        self.fails("bell", "more", status=2, says="expected one DIR")
        self.fails("--sanitize", "memory", status=2, says="there is no sanitizer 'memory'")
        self.fails("--sanitize", "thread,address", status=2, says="exclude one another")
        self.fails("--fuzz", "--sanitize=thread", status=2, says="--fuzz has the sanitizers address and undefined")
        self.fails("--set", "X", status=2, says="NAME=VALUE")
        self.fails("-j", "0", status=2, says="-j wants a number")
        self.fails("--std", "pascal", status=2, says="'pascal' is no standard")
        self.fails("--std", "c++98x", status=2, says="'c++98x' is no standard")
        self.fails("--std", "gnu++98", status=2, says="'gnu++98' is too old")
        done = self.run_tool("build", "--json", "none", status=1)
        self.assertIn("No such file", json.loads(done.stdout)["error"]["message"])
        self.assertEqual(done.stderr, "")

    def test_nothing_there(self):
        (self.work / "empty").mkdir()
        self.fails("empty", says=["there is no Info.plist with IOKitPersonalities in this folder or below",
                                  "nor is there an interface"])
        self.fails(self.bell("plain", **{"Info.plist": None}), says="there is no Info.plist with IOKitPersonalities")
        self.fails(self.bell("interface", **{"Bell.cpp": None}), says="has no C or C++ source")

    def test_programs_missing(self):
        self.bell()
        self.environment["PATH"] = str(self.work)
        self.fails("bell", says=["there is no clang in $PATH", "apt install clang", "there is no ninja in $PATH",
                                 "apt install ninja-build"])

    def test_info_plist(self):
        keys = "IOKitPersonalities, Bell: the key {} is missing, empty or no string"
        cases = {
            "the key IOKitPersonalities is missing": without(INFO, "IOKitPersonalities"),
            "the key IOKitPersonalities is empty": {**INFO, "IOKitPersonalities": {}},
            "the key IOKitPersonalities is no dictionary": {**INFO, "IOKitPersonalities": "Bell"},
            "IOKitPersonalities, Bell: not a dictionary": {**INFO, "IOKitPersonalities": {"Bell": "Bell"}},
            "CFBundleExecutable \"a/b\" must be a file name": {**INFO, "CFBundleExecutable": "a/b"},
            'IOUserClass "Gong" is no class of the driver; it has Bell':
                {**INFO, "IOKitPersonalities": {"Bell": {**PERSONALITY, "IOUserClass": "Gong"}}},
            **{keys.format(key): {**INFO, "IOKitPersonalities": {"Bell": without(PERSONALITY, key)}}
               for key in ("IOClass", "IOProviderClass", "IOUserClass")},
        }
        for says, info in cases.items():
            self.fails(self.bell(**{"Info.plist": info}), says=["Info.plist: ", says])
        self.fails(self.bell(), "--set", "PRODUCT_BUNDLE_IDENTIFIER=", says="the key CFBundleIdentifier is missing or empty")
        text = plistlib.dumps(INFO).decode()
        number = text[:text.index("<key>IOKitPersonalities")].count("\n") + 1
        self.fails(self.bell(**{"Info.plist": text.replace("<key>IOKitPersonalities", "<kay>IOKitPersonalities")}),
                   says=f"bell/Info.plist: line {number}")

    def test_class_that_nobody_asks_for(self):
        more = {**PERSONALITY, "More": {"IOClass": "IOUserUserClient", "IOUserClass": "Gong"}}
        self.bell(**{"Info.plist": {**INFO, "IOKitPersonalities": {"Bell": more}}})
        _, said = self.build("bell")
        self.assertIn('Bell, More: IOUserClass "Gong" is no class of the driver; it has Bell; Create will refuse', said)

    def test_entitlements(self):
        self.bell(**{"Bell.entitlements": {"com.apple.developer.driverkit": False}})
        _, said = self.build("bell")
        self.assertIn("Bell.entitlements: the key com.apple.developer.driverkit is not there, or not true", said)
        self.fails(self.bell(**{"Bell.entitlements": "com.apple.developer.driverkit"}), says="Bell.entitlements: line 1")

    def test_families(self):
        self.bell(**{"Bell.cpp": '#if 0\n#include <PCIDriverKit/PCIDriverKit.h>\n#endif\n/*\n#include <AudioDriverKit/X.h>\n*/\n'
                                 '#include "parts/usb.h"\n' + BELL,
                     "parts/usb.h": "#pragma once\n  #  include <USBDriverKit/USBDriverKit.h>\n#include <USBDriverKit/More.h>\n"})
        said = self.fails("bell", says="bell/parts/usb.h:2: <USBDriverKit/USBDriverKit.h> is of the USB family, which Ambidext "
                          "does not have")
        self.assertEqual(len(said.splitlines()), 1, said)
        self.bell("net", **{"Bell.iig": "#include <NetworkingDriverKit/IOUserNetworkEthernet.iig>\n#include "
                            "<DriverKit/IONothing.iig>\n"
                                        + INTERFACE})
        self.fails("net", says=["net/Bell.iig:1: <NetworkingDriverKit/IOUserNetworkEthernet.iig> is of the networking family",
                                "net/Bell.iig:2: Ambidext has no <DriverKit/IONothing.iig>"])

    def test_links(self):
        folder = self.bell()
        (folder / "here").symlink_to(".")
        (folder / "again").symlink_to(folder)
        _, said = self.build("bell")
        self.assertNotIn("bell/here", said)

    def test_places_that_refuse(self):
        self.bell()
        self.write("file", "")
        self.fails("bell", "-o", "file", says="file/ambidext.build: Not a directory; --output names another place")
        if os.path.isdir("/sys"):
            said = self.fails("bell", "-o", "/sys/nothing/deeper", says="/sys/nothing/deeper/ambidext.build: ")
            self.assertNotIn("No such file", said)
        if os.geteuid() != 0:
            (self.work / "bell").chmod(0o555)
            self.addCleanup((self.work / "bell").chmod, 0o755)
            self.fails("bell", says="bell/build: Permission denied; --output names another place")

    def test_sources(self):
        self.bell(**{"Bell.iig": INTERFACE.replace("IOService\n", "IONothing\n")})
        self.fails("bell", says=["bell/Bell.iig:2: error:", "not everything could be compiled"])
        self.bell(**{"Bell.cpp": BELL.replace("Ring(3)", "Rang(3)")})
        said = self.fails("bell", says="bell/Bell.cpp:7:5: error: use of undeclared identifier 'Rang'")
        self.assertNotIn("FAILED", said)
        self.bell(**{"Bell.cpp": BELL + "int missing(void); int use = missing();\n"})
        self.fails("bell", says="missing()")
        more = INTERFACE.replace("};", "    virtual bool init() override;\n    virtual kern_return_t Toll(uint32_t times);\n};")
        self.bell("bodies", **{"Bell.iig": more, "Bell.cpp": BELL.replace("void Bell::Ring", "void ring")})
        said = self.fails("bodies", says=[
            "ambidext: Bell::Toll is declared in an interface, but no source has its body, Bell::Toll_Impl",
            "ambidext: class Bell: no source has the body of the first local method"])
        self.assertEqual(said.count("no source has"), 2, said)
        self.bell("same", **{"more/Bell.iig": INTERFACE})
        self.fails("same", says="would become headers of the same name")

    def test_warnings_are_the_developers(self):
        self.bell(**{"Bell.cpp": BELL + "static void warned(uint64_t x) { os_log(OS_LOG_DEFAULT, \"%llx\", x); int y; y == 1; }\n"
                                        "int numbers[3] = { [2] = 'abcd', [0] = 1 };\nvoid (*use)(uint64_t) = warned;\n"})
        _, said = self.build("bell")
        self.assertIn("unused", said)
        for word in ("format", "designator", "multichar", "reorder", "character constant"):
            self.assertNotIn(word, said)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
