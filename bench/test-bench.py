#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/test-bench.py PROGRAM

Does `make bench` work? Runs every section of ambidext-bench as briefly as can be, and looks at what comes out: all sections ran, every
bar is there or skipped with a reason, histograms and table agree, the picture is one, mistakes are told. Values are not judged. A section
that dies is no success; an interrupt leaves nothing behind.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

BARS = """hot_scalar hot_vs_ioctl hot_p99 hot_4k idle_call idle_vs_fuse idle_vs_socket burst one_core loaded_p99 cpu_1khz idle_wakeups
pipelined completions open_close connections connections_call instructions cxx""".split()
HOT = {"hot_scalar", "hot_vs_ioctl", "hot_p99", "hot_4k"}
MAY_BE_SKIPPED = {"hot_vs_ioctl", "idle_vs_fuse", "instructions"}   # what the machine may not have
PROCESSORS = os.sched_getaffinity(0)

# What has no bar, but is measured and told: section, and one of its rows.
REPORTED = {("several", "1 thread, connections in turn: 64"), ("several", "threads with a connection each: 64"), ("sizes", "16 B in"),
            ("sizes", "64 MiB in, again"), ("sizes", "64 MiB out, new"), ("hops", "call, a queue of its own"),
            ("hops", "completion, run loop"), ("hops", "completion, run loop, 1 ms idle"),
            ("start", "ambidext run, to its program's first call")}


def fail(text):
    sys.exit(f"test-bench: {text}")


def run(program, *arguments, processors=PROCESSORS):
    return subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, preexec_fn=lambda: os.sched_setaffinity(0, processors))


def expect(condition, text):
    if not condition:
        fail(text)


def check_bars(found, printed):
    bars = {bar["name"]: bar for bar in found["bars"]}
    skipped = {skip["name"]: skip["why"] for skip in found["skipped"]}
    for name in BARS:
        expect(name in bars or name in skipped, f"{name} is neither measured nor skipped")
        expect(name in bars or name in MAY_BE_SKIPPED or (name in HOT and len(PROCESSORS) == 1),
               f"{name} is skipped: {skipped.get(name)}")
        expect(re.search(rf"^  {name} ", printed, re.M), f"{name} is not in the table")
    for bar in bars.values():
        value, limit = bar["value"], bar["bar"]
        ok = {"<=": value <= limit, "<": value < limit, ">=": value >= limit}[bar["sign"]]
        expect(abs(value - limit) < 1e-5 * abs(limit) or bar["ok"] == ok, f"{bar} is judged wrongly")
        expect(bar["ok"] or f"Missed: {bar['name']} " in printed, f"{bar['name']} is missed, and nothing says so")
    return all(bar["ok"] for bar in bars.values())


def check_row(row):
    samples = sum(count for _, count in row["buckets"])
    expect(samples == row["samples"] > 0, f"{row['name']}: {samples} samples in buckets, {row['samples']} in all")
    values = list(row["percentiles"].values())
    expect(values[:-1] == sorted(values[:-1]), f"{row['name']}: percentiles fall")
    expect("baseline" not in row or row["ratio"] > 0, f"{row['name']} has no ratio")


def check_whole(program, directory):
    json_file, plot_file = directory / "bench.json", directory / "bench.svg"
    done = run(program, "--quick", "--json", json_file, "--plot", plot_file)
    expect(done.returncode in (0, 1), f"ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    found = json.loads(json_file.read_text())
    expect(check_bars(found, done.stdout) == (done.returncode == 0), f"the bars and the status {done.returncode} do not agree")
    for row in found["rows"]:
        check_row(row)
    missing = REPORTED - {(row["section"], row["name"]) for row in found["rows"]}
    expect(not missing, f"not measured: {missing}")
    expect(all(f"  {name} " in done.stdout for _, name in REPORTED), "a row is not in the table")
    expect(max(map(len, done.stdout.splitlines())) <= 132, "a line of the table is too long")
    expect(found["load"] and found["machine"]["processors"] > 0, "no points, or no machine")
    picture = xml.etree.ElementTree.parse(plot_file).getroot()
    lines = [line for line in picture.iter() if line.tag.endswith("polyline") and line.get("points")]
    expect(len(lines) == 2 * len({point["name"] for point in found["load"]}), "the picture does not have its lines")


def check_options(program, directory):
    sections = re.findall(r"^(\w+) ", run(program, "--list").stdout, re.M)
    expect("hot" in sections and "load" in sections, f"--list: {sections}")
    done = run(program, "--quick", "--rounds", "7", "--json", directory / "one.json", "hot")
    expect(done.returncode in (0, 1), done.stderr)
    bars = {bar["name"]: bar for bar in json.loads((directory / "one.json").read_text())["bars"]}
    expect(bars["hot_scalar"]["rounds"] == 7, "--rounds 7 gave another number of rounds")
    expect("one_core" not in bars, "a section ran that was not asked for")
    for wrong in (["nothing"], ["--rounds", "4"], ["--rounds", "x"], ["--unknown"]):
        expect(run(program, *wrong).returncode == 2, f"{wrong} was taken")
    done = run(program, "--quick", "--json", directory / "none/x.json", "one_core")
    expect(done.returncode == 2 and "No such file" in done.stderr, "a result that cannot be written is no failure")


def check_one_processor(program, directory):
    """Spinning is nothing to compare with there, and may not be taken for a bar that is reached."""
    done = run(program, "--quick", "--json", directory / "one.json", "hot", "burst", processors={min(PROCESSORS)})
    expect(done.returncode in (0, 1), f"on one processor: {done.stderr}")
    found = json.loads((directory / "one.json").read_text())
    skipped = {skip["name"]: skip["why"] for skip in found["skipped"]}
    expect(all("one processor" in skipped.get(name, "") for name in HOT), f"on one processor: {skipped}")
    expect([bar["name"] for bar in found["bars"]] == ["burst"], f"on one processor: {found['bars']}")
    for row in found["rows"]:
        check_row(row)


def children(pid):
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def family(pid):
    """{pid: words of its command line}"""
    found = {}
    for child in children(pid):
        try:
            found[child] = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        found |= family(child)
    return found


def is_alive(pid, words):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0") == words
    except OSError:
        return False


def wait_for(what, condition):
    end = time.monotonic() + 60
    while not (value := condition()):
        expect(time.monotonic() < end, f"{what}: not after a minute")
        time.sleep(0.01)
    return value


def check_end(program, directory, target, signal_number, status):
    """While a section measures, somebody gets a signal: a section's process, or the program."""
    place = directory / "place"
    place.mkdir()
    environment = {**os.environ, "TMPDIR": str(place)}
    environment.pop("XDG_RUNTIME_DIR", None)
    with subprocess.Popen([program, "--rounds", "1000", "one_core"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment) as process:
        section = wait_for("a section with its partners", lambda: next(
            (pid for pid, words in family(process.pid).items() if words[1:2] == ["--in"] and len(children(pid)) == 2), None))
        everybody = family(process.pid)
        os.kill(section if target == "section" else process.pid, signal_number)
        out, error = process.communicate(timeout=60)
    expect(process.returncode == status, f"{target} got signal {signal_number}: ended with {process.returncode}:\n{out}{error}")
    wait_for("its processes' end", lambda: not any(is_alive(pid, words) for pid, words in everybody.items()))
    wait_for("its files' end", lambda: not list(place.iterdir()))
    place.rmdir()
    return out, error


def check_ends(program, directory):
    out, error = check_end(program, directory, "section", signal.SIGSEGV, 2)
    expect("the section one_core failed" in error and re.search("^  one_core +skipped: .*ended before", out, re.M), f"{out}{error}")
    check_end(program, directory, "program", signal.SIGINT, -signal.SIGINT)
    check_end(program, directory, "program", signal.SIGKILL, -signal.SIGKILL)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        check_whole(program, directory)
        check_options(program, directory)
        check_one_processor(program, directory)
        check_ends(program, directory)
        left = sorted(path.name for path in directory.iterdir())
        expect(left == ["bench.json", "bench.svg", "one.json"], f"left behind: {left}")


if __name__ == "__main__":
    main()
