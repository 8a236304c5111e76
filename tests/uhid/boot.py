#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""boot.py BUILD [--kernel VMLINUZ --modules DIRECTORY] [--keep]

Shows HID devices with a real /dev/uhid: boots a machine in QEMU that runs BUILD's test-hid-kernel, and the keyboard of
tests/dexts/hid-keyboard in a private registry with its sandbox and entitlements, typed on by keyboard.c, which reads what Linux
makes of it.

  --kernel, --modules   a kernel with uhid, hid, hid-generic and evdev, and its lib/modules/VERSION; otherwise Debian's package
                        linux-image-amd64 is fetched (70 MB), and so is busybox-static; neither is installed
  --keep                leaves the directory with what was made

Needs qemu-system-x86 (or the variable QEMU), not root; and no KVM: half a minute.
"""
import argparse
import glob
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
MODULES = ["hid", "hid-generic", "uhid", "evdev"]
PATIENCE = 240      # seconds for the machine


class Failure(Exception):
    pass


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          **options)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


# --- the kernel ---

def fetch(work, package):
    """Unpacks a Debian package below work/package."""
    run("apt-get", "download", package, cwd=work)
    for archive in work.glob(f"{package}_*.deb"):
        run("dpkg", "-x", archive, work / "package")


def debian_kernel(work):
    depends = run("apt-cache", "depends", "linux-image-amd64")
    fetch(work, re.search(r"Depends: (linux-image-\S+)", depends).group(1))
    return work.glob("package/boot/vmlinuz-*").__next__(), work.glob("package/lib/modules/*").__next__()


# --- its file system ---

class Archive:
    """An initramfs in cpio's format "newc"."""
    def __init__(self):
        self.parts, self.names = [], set()

    def add(self, name, mode, content=b""):
        name = name.lstrip("/")
        if name in self.names:
            return
        parent = os.path.dirname(name)
        if parent:
            self.add(parent, stat.S_IFDIR | 0o755)
        self.names.add(name)
        self.entry(name, mode, content, len(self.names))

    def entry(self, name, mode, content, number):
        path = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
        self.parts += [head, bytes(-len(head) % 4), content, bytes(-len(content) % 4)]

    def file(self, name, path, mode=0o755):
        self.add(name, stat.S_IFREG | mode, pathlib.Path(path).read_bytes())

    def program(self, name, path):
        """With the libraries that it needs, at the paths where it looks for them."""
        self.file(name, path)
        done = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            self.file(library, library)

    def tree(self, name, directory):
        for path in sorted(pathlib.Path(directory).rglob("*")):
            if path.is_file():
                self.program(f"{name}/{path.relative_to(directory)}", path)

    def write(self, path):
        self.entry("TRAILER!!!", 0, b"", 0)
        path.write_bytes(b"".join(self.parts))


def module_file(modules, name):
    found = [path for path in modules.rglob(f"{name}.ko*")]
    if not found:
        raise Failure(f"{modules} has no module {name}")
    if found[0].suffix != ".ko":
        raise Failure(f"{found[0]} is compressed: unpack it first")
    return found[0]


def make_archive(arguments, work, modules, busybox):
    archive = Archive()
    tests = ["/bin/test-hid-kernel",
             f"{arguments.build}/src/cli/ambidext run --dext /bin/VirtualKeyboard.dext -- /bin/keyboard"]
    for directory in ("proc", "sys", "dev", "tmp", "run"):
        archive.add(directory, stat.S_IFDIR | 0o755)
    archive.file("bin/sh", busybox)
    for number, name in enumerate(MODULES):
        archive.file(f"modules/{number}-{name}.ko", module_file(modules, name))
    run("gcc", "-O1", "-static", "-o", work / "init", HERE / "init.c")
    archive.file("init", work / "init")
    archive.add("tests", stat.S_IFREG | 0o644, "".join(line + "\n" for line in tests).encode())
    archive.program("bin/test-hid-kernel", arguments.build / "src/hid/test/test-hid-kernel")
    for program in ("src/cli/ambidext", "src/daemon/ambidextd", "src/host/ambidext-host"):
        archive.program(str(arguments.build / program), arguments.build / program)
    archive.add(f"{arguments.build}/meson-private", stat.S_IFDIR | 0o755)     # by which programs know that they are in a build
    make_keyboard(arguments, work)
    archive.tree("bin/VirtualKeyboard.dext", work / "VirtualKeyboard.dext")
    archive.program("bin/keyboard", work / "keyboard")
    archive.file("bin/keyboard.entitlements", SOURCE / "tests/dexts/hid-keyboard/client.entitlements")
    archive.write(work / "initramfs")


def make_keyboard(arguments, work):
    library = arguments.build / "src/client"
    run(arguments.build / "src/cli/ambidext", "build", "--set", "PRODUCT_BUNDLE_IDENTIFIER=org.ambidext.test.hid-keyboard", "-o",
        work, SOURCE / "tests/dexts/hid-keyboard/VirtualKeyboard")
    run("gcc", "-std=gnu17", "-D_GNU_SOURCE", "-I", SOURCE / "include", "-I", SOURCE / "tests/dexts", HERE / "keyboard.c", "-o",
        work / "keyboard", f"-L{library}", f"-Wl,-rpath,{library}", "-lambidext")


# --- the machine ---

def boot(kernel, initramfs):
    command = [os.environ.get("QEMU", "qemu-system-x86_64"), "-kernel", kernel, "-initrd", initramfs, "-m", "1024", "-smp", "1",
               "-accel", "tcg", "-nographic", "-no-reboot", "-nic", "none", "-append", "console=ttyS0 quiet panic=-1"]
    machine = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                               errors="replace")
    try:
        said, _ = machine.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        machine.kill()
        said, _ = machine.communicate()
        said += f"\nnothing more after {PATIENCE} s"
    print(said)
    if not re.search(r"^init: all passed", said, re.M):
        raise Failure("not all passed; what the machine said stands above")


def test(arguments, work):
    kernel, modules = arguments.kernel, arguments.modules
    if not kernel:
        kernel, modules = debian_kernel(work)
    fetch(work, "busybox-static")
    make_archive(arguments, work, modules, work / "package/bin/busybox")
    boot(kernel, work / "initramfs")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--kernel", type=pathlib.Path)
    parser.add_argument("--modules", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    if (arguments.kernel is None) != (arguments.modules is None):
        parser.error("--kernel and --modules go together")
    work = pathlib.Path(tempfile.mkdtemp(prefix="amb-uhid-"))
    try:
        test(arguments, work)
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    finally:
        if arguments.keep:
            print(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
