#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run-client.py SOURCE --build BUILD --dext BUNDLE... [--sanitize WHAT] [--keep]

Compiles a client as its developer would on this system, with `pkg-config --cflags --libs ambidext` and nothing else, by each compiler
there is for its language; runs each program against the bundles in a private registry, and compares what it prints.

  SOURCE              NAME.c or NAME.cpp. Beside it may lie: NAME.in, its standard input; NAME.sh, what is run in its place, by bash,
                      with $CLIENT and $AMBIDEXT; NAME.args, its arguments. NAME.out is what it prints: a line that begins with ~ is
                      a regular expression for the rest. clients.entitlements is what it may do.
  --compile-only      no program is made and nothing is run: SOURCE must compile
  --sanitize WHAT     as `clang -fsanitize=WHAT` ("none": nothing); then clang alone compiles

A line "run-client: COMPILER... -OPTION..." in SOURCE says by which compilers it is compiled, and with what besides.
The test fails when a program's status is not 0, when it prints something else, or when a sanitizer complained.
"""
import argparse
import difflib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

PATIENCE = 100      # seconds for a program
SKIPPED = 77        # what meson takes for that
COMPLAINTS = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


class Failure(Exception):
    pass


def package_flags(build):
    environment = dict(os.environ, PKG_CONFIG_PATH=str(build / "meson-uninstalled"))
    done = subprocess.run(["pkg-config", "--cflags", "--libs", "ambidext"], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|\S)+", done.stdout)]


def asked(source):
    """What the source itself wants: compilers, options."""
    line = re.search(r"run-client: ([^*\n]*)", source.read_text())
    words = line.group(1).split() if line else []
    return [word for word in words if word[0] != "-"], [word for word in words if word[0] == "-"]


def compilers(source, sanitize):
    only, _ = asked(source)
    found = [name for name in (("g++", "clang++") if source.suffix == ".cpp" else ("gcc", "clang")) if shutil.which(name)]
    found = [name for name in found if not only or name in only]
    return [name for name in found if name.startswith("clang")] if sanitize != "none" else found


def compile_client(arguments, compiler, program):
    # What is not declared must not go through as a function of ints.
    strict = ["-Werror=implicit-function-declaration"] if arguments.source.suffix == ".c" else []
    options = asked(arguments.source)[1] + strict + (["-fsyntax-only"] if arguments.compile_only else ["-o", program])
    if arguments.sanitize != "none":
        options += [f"-fsanitize={arguments.sanitize}", "-fno-sanitize-recover=all", "-g"]
    command = [compiler, arguments.source, *options, *arguments.flags]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failure(f"{compiler} refuses it:\n{done.stdout}")


def run_client(arguments, work, program):
    source, ambidext = arguments.source, arguments.build / "src/cli/ambidext"
    shutil.copy(source.parent / "clients.entitlements", f"{program}.entitlements")
    words = source.with_suffix(".args")
    script = source.with_suffix(".sh")
    command = [ambidext, "run", *([] if arguments.sanitize == "none" else ["--no-sandbox"])]
    for bundle in arguments.dext:
        command += ["--dext", bundle]
    command += ["--", *(["bash", script] if script.exists() else [program]), *(words.read_text().split() if words.exists() else [])]
    given = source.with_suffix(".in")
    environment = dict(os.environ, LD_LIBRARY_PATH=str(arguments.build / "src/client"), CLIENT=str(program), AMBIDEXT=str(ambidext))
    with open(given if given.exists() else os.devnull, "rb") as stdin, open(work / "out", "wb") as out, open(work / "err", "wb") as err:
        process = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=out, stderr=err, cwd=work, env=environment)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.terminate()     # it takes its registry down
            process.wait()
            status = f"none: it did not end within {PATIENCE} s"
    errors = (work / "err").read_text(errors="replace")
    if status != 0:
        raise Failure(f"its status is {status}\n{(work / 'out').read_text(errors='replace')}{errors}")
    complaint = COMPLAINTS.search(errors)
    if complaint:
        raise Failure(errors)
    return (work / "out").read_text(errors="replace").splitlines()


def same(wanted, line):
    return re.fullmatch(wanted[1:], line) is not None if wanted.startswith("~") else wanted == line


def compare(wanted, said):
    if len(wanted) == len(said) and all(map(same, wanted, said)):
        return
    shown = [line if i >= len(wanted) or not same(wanted[i], line) else wanted[i] for i, line in enumerate(said)]
    raise Failure("it prints something else:\n" + "\n".join(difflib.unified_diff(wanted, shown, "wanted", "printed", lineterm="")))


def test(arguments, work):
    arguments.flags = package_flags(arguments.build)
    with_these = compilers(arguments.source, arguments.sanitize)
    if not with_these:
        print(f"{arguments.source.name}: no compiler for it")
        return SKIPPED
    for compiler in with_these:
        program = work / f"{arguments.source.stem}-{compiler}"
        compile_client(arguments, compiler, program)
        if not arguments.compile_only:
            said = run_client(arguments, work, program)
            if arguments.show:
                print("\n".join(said))
            else:
                compare(arguments.source.with_suffix(".out").read_text().splitlines(), said)
        print(f"{arguments.source.name}: {compiler}", file=sys.stderr if arguments.show else sys.stdout)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    path = lambda text: pathlib.Path(text).resolve()
    parser.add_argument("source", type=path)
    parser.add_argument("--build", type=path, required=True)
    parser.add_argument("--dext", type=path, action="append", default=[])
    parser.add_argument("--sanitize", default="none")
    parser.add_argument("--compile-only", action="store_true")
    parser.add_argument("--show", action="store_true", help="prints what the programs print instead of comparing it")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))       # so that the directory goes
    work = pathlib.Path(tempfile.mkdtemp(prefix="amb-client-"))
    try:
        return test(arguments, work)
    except Failure as failure:
        print(f"FAILED: {arguments.source.name}: {failure}")
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
