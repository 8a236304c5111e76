#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test-projects.py SOURCE BUILD

`ambidext build` with projects as public repositories have them: an Xcode project with an app and a tool beside the driver, folders
that belong to a target as a whole, several drivers and libraries, templates; XcodeGen's file instead of a project.
"""
import json
import pathlib
import plistlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from buildcase import BELL, Case, HERE, INFO, INTERFACE, PERSONALITY, main, project


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

    def test_folders_in_patterns(self):
        """"**" is any folders, and none; "*" is never more than one name."""
        for name in ("deep/MockC.cpp", "deep/er/est/MockD.cpp"):
            self.write(f"gen/Driver/{name}", "#error not of the driver\n")
        for name in ("deep/Tests/Helper.cpp", "other/MockE.cpp"):
            self.write(f"gen/Driver/{name}", "int part;\n".replace("part", pathlib.Path(name).stem))
        excludes = '[Old, sub, MockB.cpp, "deep/**/Mock*.cpp", "**/Test*.cpp", "**/**/None.cpp"]'
        self.write("gen/Driver/Info.plist", {**INFO, "CFBundleIdentifier": "com.example.patterns"})
        self.write("gen/project.yml", f"""
targets:
  Bell:
    type: driver-extension
    sources: [{{path: Driver, excludes: {excludes}}}]
    settings: {{PRODUCT_BUNDLE_IDENTIFIER: com.example.patterns}}
""")
        bundle, _ = self.build("gen")
        self.assertEqual(self.files(bundle), {"Bell.iig.cpp", "Bell.cpp", "Helper.cpp", "MockE.cpp"})

    def test_plist_among_the_sources(self):
        self.write("gen/Info.plist", INFO)
        self.write("gen/project.yaml", """
targets:
  App: {type: system-extension, sources: [App]}
  Bell: {type: system-extension, platform: macOS, sources: [{path: Driver, excludes: [Old, "**/Mock*"]},
                                                            {path: Info.plist, buildPhase: none}],
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

    def test_driver_below_other_projects(self):
        """Projects of an app, of either kind, lie above the driver's own."""
        self.bell("app/src/driver/Driver")
        self.write("app/App.xcodeproj/project.pbxproj", project("App", {}).replace("driver-extension", "application"))
        self.write("app/src/project.yml", "targets: {App: {type: application, sources: App}}\n")
        objects = """
            G = {isa = PBXGroup; children = (S, ); sourceTree = "<group>"; };
            S = {isa = PBXFileSystemSynchronizedRootGroup; path = Driver; sourceTree = "<group>"; };"""
        settings = {"INFOPLIST_FILE": "Driver/Info.plist", "PRODUCT_BUNDLE_IDENTIFIER": "com.example.below"}
        self.write("app/src/driver/Bell.xcodeproj/project.pbxproj", project("Bell", settings, objects))
        for folder in ("app", "app/src"):
            self.assertEqual(self.build(folder)[0].name, "com.example.below.dext")

    def test_broken(self):
        self.write("gen/project.yml", "a: b\nc: [d\n")
        self.fails("gen", says="gen/project.yml: line 3: ")
        self.write("gen/project.yml", "include: project.yml\n")
        self.fails("gen", says="too many files include one another")
        for i in range(6):              # 20^6 files, if each were read as often as it is named
            self.write(f"gen/{i or 'project'}.yml", f"include: [{', '.join([f'{i + 1}.yml'] * 20)}]\n")
        self.write("gen/6.yml", "a: b\n")
        self.fails("gen", says="too many files include one another")
        self.write("gen/project.yml", "".join(f"k{i}: 1\n" for i in range(150000)))
        self.fails("gen", says="too many values")
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
        self.write("gen/project.yml", "targetTemplates: {A: {templates: [B, B]}, B: {templates: [A]}}\n"
                   "targets: {Bell: {type: driver-extension, templates: [A], sources: [None]}}\n")
        self.fails("gen", says='the target template "A" is a part of itself')


if __name__ == "__main__":
    main()
