#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run-dext.py DIRECTORY --source SOURCE --build BUILD [--sanitize WHAT] [--races] [--keep]

Builds a dext as its developer would, builds its client, and runs the client against it in a private registry.

  DIRECTORY           tests/dexts/NAME, with
                          PRODUCT/             the dext's sources and its Info.plist: what `ambidext build` is given
                          client.c or .cpp     the application: prints what it finds, ends with 0 only if all is right
                          standard             the C++ that the dext is written in, if that is not gnu++20
                          client.entitlements  what the application may do
                          log.expected         may be there: regular expressions, one a line, that the log must match in this order
  --source, --build   where Ambidext's sources lie and where it has been built
  --sanitize WHAT     as `clang -fsanitize=WHAT` ("none": nothing), for dext and client; BUILD must have been built with it
  --races             builds the dext alone with ThreadSanitizer, for the host that BUILD has; not with --sanitize
  --keep              leaves the directory with bundle, client and log, and says where it is

The bundle's identifier is org.ambidext.test.NAME. The test fails when the client does, when it does not end, and when a sanitizer
or the runtime has complained in the log of the run. It may run any number of times at once; everything lies in a directory of its
own, which goes in the end.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 240      # seconds for the client; meson ends the whole test later
# What a run may not have in its log.
COMPLAINTS = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer|Assertion .* failed|"
                        r"\bwas killed by signal\b|\bwas ended by signal (?!9\b)|\bexited with status [1-9]", re.I)
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Werror"]


class Failure(Exception):
    pass


def run(what, command, **options):
    """Runs a step; its output matters only if it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    if done.returncode:
        raise Failure(f"{what} failed ({done.returncode}): {' '.join(str(word) for word in command)}\n{done.stdout}")
    return done.stdout


def sanitizing(arguments):
    return [] if arguments.sanitize == "none" else [f"-fsanitize={arguments.sanitize}", "-fno-sanitize-recover=all"]


def product_directory(directory):
    found = [entry.parent for entry in directory.glob("*/Info.plist")]
    if len(found) != 1:
        raise Failure(f"{directory}: one directory below must have an Info.plist; {len(found)} have")
    return found[0]


def build_dext(arguments, product, work):
    standard = arguments.directory / "standard"
    options = ["--std", standard.read_text().strip()] if standard.exists() else []
    sanitize = "thread" if arguments.races else arguments.sanitize
    options += [] if sanitize == "none" else ["--sanitize", sanitize]
    said = run("ambidext build", [arguments.build / "src/cli/ambidext", "build", "--output", work / "made", *options, "--set",
                                  f"PRODUCT_BUNDLE_IDENTIFIER=org.ambidext.test.{arguments.directory.name}", product])
    bundle = work / "made" / f"{product.name}.dext"
    if not bundle.is_dir():
        raise Failure(f"ambidext build has made no {bundle.name}; it said:\n{said}")
    if "warning:" in said:
        raise Failure(f"warnings in sources that are all right:\n{said}")
    return bundle


def compile_client(arguments, work):
    sources = [path for path in (arguments.directory / "client.c", arguments.directory / "client.cpp") if path.exists()]
    if len(sources) != 1:
        raise Failure(f"{arguments.directory}: neither client.c nor client.cpp, or both")
    client, library = work / "client", arguments.build / "src" / "client"
    compiler = ["clang", "-std=gnu17"] if sources[0].suffix == ".c" else ["clang++", "-std=gnu++17"]
    run("compiling the client",
        [*compiler, "-g", "-O1", "-D_GNU_SOURCE", "-fblocks", *WARNINGS, *sanitizing(arguments), "-I", arguments.source / "include",
         "-I", arguments.directory.parent, sources[0], "-o", client, f"-L{library}", f"-Wl,-rpath,{library}", "-lambidext",
         "-lBlocksRuntime", "-lpthread"])
    shutil.copy(arguments.directory / "client.entitlements", work / "client.entitlements")
    return client


def expect(path, text):
    at = 0
    for wanted in path.read_text().splitlines() if path.exists() else []:
        found = re.compile(wanted).search(text, at)
        if not found:
            raise Failure(f"the log above does not say, in this order: {wanted}")
        at = found.end()


def run_client(arguments, work, bundle, client):
    options = [] if arguments.sanitize == "none" else ["--no-sandbox"]
    log = work / "log"
    command = [arguments.build / "src/cli/ambidext", "run", *options, "--dext", bundle, "--", client]
    environment = dict(os.environ)
    environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "abort_on_error=1:handle_sigbus=0") + ":detect_leaks=1"
    environment["AMBIDEXT_HID_RECORDER"] = str(work / "hid")    # clients of HID dexts listen there
    with open(log, "wb") as output:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   cwd=work, env=environment)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.terminate()     # it takes its registry down
            process.wait()
            status = f"none: it did not end within {PATIENCE} s"
    text = log.read_text(errors="replace")
    print(text, end="")
    if status != 0:
        raise Failure(f"the client's status is {status}; above is what it and the driver said")
    expect(arguments.directory / "log.expected", text)
    complaint = COMPLAINTS.search(text)
    if complaint:
        raise Failure(f"the log above has a complaint: {complaint.group(0)!r}")


def test(arguments, work):
    product = product_directory(arguments.directory)
    begin = time.monotonic()
    bundle = build_dext(arguments, product, work)
    built = time.monotonic()
    client = compile_client(arguments, work)
    print(f"{product.name}: built in {built - begin:.1f} s; the client in {time.monotonic() - built:.1f} s", flush=True)
    run_client(arguments, work, bundle, client)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--source", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--build", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--sanitize", default="none")
    parser.add_argument("--races", action="store_true")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))       # so that the directory goes
    work = pathlib.Path(tempfile.mkdtemp(prefix="amb-dext-"))
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
