#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test-build.py SOURCE BUILD

`ambidext build` as people meet it: folders without a project, C, every mistake that is told in words, what is built again and what
is not.
"""
import json
import os
import pathlib
import plistlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from buildcase import AMBIDEXT, BELL, Case, HERE, INFO, INTERFACE, PERSONALITY, SANDBOX, SOURCE, main, project, without


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

    def test_a_base_that_is_not_said_to_be_public(self):
        """iig by itself refuses it; there are drivers that do it."""
        chime = "class Chime: Bell\n{\n    virtual kern_return_t Start(IOService * provider) override;\n};\n"
        source = BELL.replace("(Bell", "(Chime").replace("void Bell", "inline void unused")
        self.bell(**{"Chime.iig": INTERFACE.replace(": public", ":") + chime, "Bell.iig": None, "Chime.cpp": "x"})
        (self.work / "bell/Bell.cpp").write_text(BELL.replace("Bell.h", "Chime.h"))
        (self.work / "bell/Chime.cpp").write_text(source[:source.index("inline void")].replace("Bell.h", "Chime.h"))
        bundle, _ = self.build("bell")
        self.assertEqual(self.start(bundle, "ls").stderr.count(": ding\n"), 3)

    def test_what_is_no_file(self):
        """Reading a FIFO would not end."""
        os.mkfifo(self.bell() / "Other.cpp")
        self.build("bell")

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

    def test_interfaces_by_their_headers_names(self):
        """An interface that includes the header of another, in whatever order they are translated, also through a header."""
        other = INTERFACE.replace("<DriverKit/IOService.iig>", '"Deep.h"').replace("Bell: public IOService", "Deep: public Bell")
        deep = "#include <os/log.h>\n#include <DriverKit/IOLib.h>\n#include \"Deep.h\"\n" + \
            "kern_return_t IMPL(Deep, Start) { return Start(provider, SUPERDISPATCH); }\n" + \
            'void Deep::Ring(uint32_t) { os_log(OS_LOG_DEFAULT, "dong"); }\n'
        plist = {**INFO, "IOKitPersonalities": {"Deep": {**PERSONALITY, "IOUserClass": "Deep"}}}
        self.bell(**{"Deep.cpp": deep, "Info.plist": plist, "sub/Types.h": '#pragma once\n#include <Bell/Bell.h>\n'})
        self.write("bell/Deep.iig", other.replace('"Deep.h"', '"sub/Types.h"'))
        arguments = ("bell", "--set", "PRODUCT_NAME=Bell", "--std", "gnu++17", "-j", "1")
        bundle, _ = self.build(*arguments)
        self.assertIn("dong", self.start(bundle, "ls").stderr)
        # A change of the base's interface is seen by what includes it.
        start = "Start(IOService * provider) override;"
        self.write("bell/Bell.iig", INTERFACE.replace(start, start + "\n    virtual kern_return_t More(uint32_t x);"))
        self.write("bell/Bell.cpp", BELL + "kern_return_t IMPL(Bell, More) { return x; }\n")
        self.write("bell/Deep.iig", other.replace('"Deep.h"', '"Bell.h"').replace(
            "void Ring(uint32_t times)", "kern_return_t More(uint32_t x) override;\n    virtual void Ring(uint32_t times)"))
        self.write("bell/Deep.cpp", deep + "kern_return_t IMPL(Deep, More) { return More(x, SUPERDISPATCH); }\n")
        self.build(*arguments)

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

    def test_other_build_systems(self):
        """What CMake would fill in is known; when something is missing, what is not read is named."""
        info = {**INFO, "CFBundleIdentifier": "${MACOSX_BUNDLE_GUI_IDENTIFIER}",
                "CFBundleExecutable": "${MACOSX_BUNDLE_EXECUTABLE_NAME}", "CFBundleVersion": "${MACOSX_BUNDLE_BUNDLE_VERSION}"}
        version = "#include <bell-version.h>\nstatic_assert(VERSION == 2);\n"
        self.bell("cmake/driver", **{"Info.plist": info, "Bell.cpp": version + BELL})
        self.write("cmake/CMakeLists.txt", "project(bell)\n")
        self.write("cmake/cmake/bell-version.h", "#define VERSION BELL_VERSION\n")
        said = self.fails("cmake", says="CMakeLists.txt, which builds this driver elsewhere, is not read: the macros")
        self.assertIn("bell-version.h", said)
        bundle, said = self.build("cmake", "-I", "cmake/cmake", "-D", "BELL_VERSION=2")
        self.assertNotIn("CMakeLists.txt", said)
        self.assertEqual((self.info(bundle)["CFBundleIdentifier"], self.info(bundle)["CFBundleVersion"]), ("local.driver", "1"))

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

    def test_what_was_made_before_elsewhere(self):
        folder = self.bell(**{"Shared/Sound.h": "#define SOUND 1\n"})
        self.build(folder, "-o", "bell/san")
        self.build(folder)
        said = (folder / "build/compile_commands.json").read_text(encoding="utf-8")
        self.assertIn(str(folder / "Shared"), said)
        self.assertNotIn(str(folder / "san"), said)

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

    def test_runtime_libraries_missing(self):
        """clang is there, and what sanitizers and fuzzers are linked with is not."""
        self.bell()
        for name in ("clang", "clang++"):
            path = self.write(f"bin/{name}", '#!/bin/sh\ncase "$*" in *-print-file-name=*) echo "${1#*=}"; exit 0;; esac\n'
                              f'exec {shutil.which(name)} "$@"\n')
            path.chmod(0o755)
        self.write("bin/gcc", "#!/bin/sh\nexit 1\n").chmod(0o755)
        self.environment["PATH"] = f"{self.work}/bin:{self.environment['PATH']}"
        for option, library in {"--fuzz": "fuzzer", "--sanitize=address": "asan", "--sanitize=undefined": "ubsan_standalone",
                                "--sanitize=thread": "tsan"}.items():
            said = self.fails("bell", option, says=[f"libclang_rt.{library}-",
                                                           "is not there: on Debian, apt install libclang-rt-14-dev"])
            self.assertNotIn("/ld", said)       # not by the linker

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
        self.fails("bell", "-o", "file", says="/file: Not a directory; --output names another place")
        if os.path.isdir("/sys"):
            said = self.fails("bell", "-o", "/sys/nothing/deeper", says="/sys/nothing/deeper: ")
            self.assertNotIn("No such file", said)
        if os.geteuid() != 0:
            (self.work / "bell").chmod(0o555)
            self.addCleanup((self.work / "bell").chmod, 0o755)
            self.fails("bell", says="bell/build: Permission denied; --output names another place")

    def test_full_disk(self):
        """In a file system of 64 KiB, which takes a namespace of our own to have."""
        self.bell()
        small = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                 'mkdir "$1" && mount -t tmpfs -o size=64k small "$1" || exit 77; shift; exec "$@"', "sh", str(self.work / "small")]
        done = subprocess.run([*small, "true"], check=False, stderr=subprocess.DEVNULL)
        if done.returncode:
            self.skipTest("mount is not allowed here")
        (self.work / "small").rmdir()
        done = subprocess.run([*small, AMBIDEXT, "build", "-o", self.work / "small/made", self.work / "bell"], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertRegex(done.stderr, "small/made/ambidext.build: the disk is full, [0-9]+ bytes are left; make room, or")

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
        self.bell("absent", **{"Bell.cpp": '#include "Gone.h"\n' + BELL})
        self.fails("absent", says="there is no Gone.h, and no interface Gone.iig of which it would be made")
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
    main()
