#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test-iig.py IIG SOURCE_DIRECTORY BUILD_DIRECTORY [--update]

golden/X.iig must give golden/X.h and golden/X.iig.cpp, to the byte, twice, and what it gives must be accepted by clang++;
--update writes them anew. Each line of bad/*.iig that ends in `// error: TEXT` must be reported by file and line with a text that
begins so, nothing else may be, and no file may be written.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

FLAGS = {"actions": ["-DACTIONS_WITH_TIMER=1", "-DACTIONS_MORE=0"], "native": []}
FRAMEWORKS = {"native": "Lamps"}
failures = []


def fail(what):
    failures.append(what)
    print(what)


def run(iig, definition, out, name, framework, includes, flags):
    command = [iig, "--def", definition, "--header", out / f"{name}.h", "--impl", out / f"{name}.iig.cpp"]
    command += ["--framework-name", framework] if framework else []
    command += ["--deployment-target", "21.0", "--", "-std=gnu++17"] + [f"-I{i}" for i in includes] + flags
    return subprocess.run(command, capture_output=True, text=True, check=False)


def compiles(file, includes, flags, name):
    done = subprocess.run(["clang++", "-x", "c++", "-std=gnu++17", "-fblocks", "-fsyntax-only", "-Wall", "-Werror", "-Wno-multichar"]
                          + [f"-I{i}" for i in includes] + flags + [file], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"{name}: clang++ refuses what was generated:\n{done.stderr}")


def check_golden(iig, here, work, includes, update):
    names = sorted(f.stem for f in (here / "golden").glob("*.iig"))
    for name in names:
        flags, framework = FLAGS.get(name, []), FRAMEWORKS.get(name)
        for _ in range(2):
            done = run(iig, here / "golden" / f"{name}.iig", work, name, framework, [here / "golden"] + includes, flags)
        if done.returncode != 0 or done.stderr:
            fail(f"golden/{name}.iig: status {done.returncode}\n{done.stderr}")
            continue
        for suffix in (".h", ".iig.cpp"):
            expected, got = here / "golden" / (name + suffix + ".expected"), (work / (name + suffix)).read_text()
            if update:
                expected.write_text(got)
            elif got != expected.read_text():
                fail(f"golden/{name}.iig: {suffix} is not {expected.name}")
    (work / "Lamps").symlink_to(work)
    for name in names:
        compiles(work / f"{name}.iig.cpp", [work, here / "golden"] + includes, FLAGS.get(name, []), name)
    return len(names)


def check_bad(iig, here, work, includes):
    count = 0
    for file in sorted((here / "bad").glob("*.iig")):
        wanted = {n: m.group(1) for n, line in enumerate(file.read_text().splitlines(), 1)
                  if (m := re.search(r"// error: (.*)$", line))}
        out = work / f"bad-{file.stem}"
        out.mkdir()
        done = run(iig, file, out, file.stem, None, includes, [])
        said = [re.match(r"(.*?):(\d+): error: (.*)$", line) for line in done.stderr.splitlines()]
        found = {int(m.group(2)): m.group(3) for m in said if m and m.group(1) == str(file)}
        if done.returncode != 1 or None in said or not wanted:
            fail(f"bad/{file.name}: status {done.returncode}\n{done.stderr}")
        for line in sorted(wanted.keys() | found.keys()):
            if line not in found or line not in wanted or not found[line].startswith(wanted[line]):
                fail(f"bad/{file.name}:{line}: expected {wanted.get(line)!r}, got {found.get(line)!r}")
        if list(out.iterdir()):
            fail(f"bad/{file.name}: files were written")
        count += len(wanted)
    return count


def check_usage(iig, here, work):
    for arguments in ([], ["--def", "x.iig"], ["--nonsense"], ["--def", "x", "--header", "y", "--impl", "z", "more"]):
        done = subprocess.run([iig, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 2 or "usage: iig" not in done.stderr:
            fail(f"iig {arguments}: status {done.returncode}, {done.stderr!r}")
    done = run(iig, work / "absent.iig", work, "absent", None, [], [])
    if done.returncode != 1 or "absent.iig: No such file" not in done.stderr:
        fail(f"absent file: status {done.returncode}, {done.stderr!r}")


def main():
    iig, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    here = source / "src/iig"
    includes = [source / "include", pathlib.Path(sys.argv[3]).resolve() / "include"]
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        golden = check_golden(iig, here, work, includes, "--update" in sys.argv)
        bad = check_bad(iig, here, work, includes)
        check_usage(iig, here, work)
    print(f"{golden} golden files, {bad} errors, {len(failures)} failures")
    return 1 if failures or golden < 4 or bad < 30 else 0


if __name__ == "__main__":
    sys.exit(main())
