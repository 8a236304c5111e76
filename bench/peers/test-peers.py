#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test-peers.py BENCH-PEERS

bench-peers with the peers that need no package: everything is measured; a peer that hangs or dies is named and the rest goes on; an
interrupt ends it early. Nothing is left of it in any of these cases: its directory is empty, its processes are gone.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
RACES = {"same core", "anywhere", "after sleep", "after work", "in flight", "4 KiB, same core"} | (
    {"across cores", "4 KiB, across cores"} if len(os.sched_getaffinity(0)) > 1 else set())
TITLES = {"ambidext": "Ambidext", "futex": "futex, shared memory", "pipe": "pipe", "socket": "unix stream socket"}


def processes(place):
    """{pid: words of its command line} of those that mention the directory."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(word.startswith(place + "/") for word in words):
            found[int(path.parent.name)] = words
    return found


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    sys.exit(f"{what}: not after {seconds} s")


def role(place, kind, peer):
    """The process of a peer's server or client."""
    return next((pid for pid, words in processes(place).items() if words[1:3] == [kind, peer]), None)


class Run:
    """bench-peers in a directory of its own."""
    def __init__(self, *arguments):
        self.directory = tempfile.TemporaryDirectory(prefix="bp-", dir="/tmp")
        self.place = self.directory.name
        self.json = self.directory.name + ".json"
        self.process = subprocess.Popen([PROGRAM, "--json", self.json, *arguments], env={**os.environ, "TMPDIR": self.place},
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, status):
        out, error = self.process.communicate(timeout=120)
        assert self.process.returncode == status, (self.process.returncode, out, error)
        assert not os.listdir(self.place), os.listdir(self.place)
        wait_for("its processes' end", lambda: not processes(self.place), 10)
        self.directory.cleanup()
        if status:
            return None, out, error
        results = json.loads(pathlib.Path(self.json).read_text())
        os.unlink(self.json)
        return results, out, error


def test_measures():
    results, out, error = Run("--quick", "--only", "futex,pipe,socket").end(0)
    assert not results["skipped"], results["skipped"]
    rows = {(row["section"], row["name"]): row for row in results["rows"]}
    for peer, title in TITLES.items():
        races = RACES - ({"in flight"} | {race for race in RACES if race.startswith("4 KiB")} if peer == "futex" else set())
        assert {section for section, name in rows if name == title} == races, (peer, error)
        for race in races:
            row = rows[race, title]
            assert row["samples"] >= 5 and 0 < row["min"] <= row["median"] <= row["p99"] * 1.02, row
            assert peer == "ambidext" or (row["rounds"] >= 5 and row["ratio"] > 0 and row["baseline"] == "Ambidext"), row
        assert title in out
    rates = {figure["name"]: figure["value"] for figure in results["figures"]}
    assert rates["pipe"] > 0 and rates["Ambidext"] > 0, rates


def test_hang_and_death():
    run = Run("--seconds", "3", "--only", "pipe,socket")
    wait_for("the last client", lambda: role(run.place, "client", "socket"))
    os.kill(role(run.place, "server", "socket"), signal.SIGSTOP)
    os.kill(role(run.place, "server", "pipe"), signal.SIGKILL)
    results, out, error = run.end(0)
    why = {skipped["name"]: skipped["why"] for skipped in results["skipped"]}
    assert set(why) == {"pipe", "socket"} and "hung" in why["socket"] and "hung" not in why["pipe"], (why, error)
    ours = [row for row in results["rows"] if row["name"] == "Ambidext"]
    assert {row["section"] for row in ours} == RACES and all(row["samples"] >= 5 for row in ours), ours


def test_interrupt():
    run = Run("--seconds", "60", "--only", "pipe")
    wait_for("the last client", lambda: role(run.place, "client", "pipe"))
    run.process.send_signal(signal.SIGINT)
    run.end(128 + signal.SIGINT)


def test_usage():
    done = subprocess.run([PROGRAM, "--what"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--only" in done.stderr, done
    for names, wrong in (("pipe,pip", "'pip'"), ("nobody", "'nobody'"), (",", "no peer is named"), ("", "no peer is named")):
        done = subprocess.run([PROGRAM, "--quick", "--only", names], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "--only: " in done.stderr and wrong in done.stderr and not done.stdout, done
    done = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in done.stdout.splitlines()} >= set(TITLES) | {"grpc", "fuse"}, done


for test in (test_usage, test_measures, test_hang_and_death, test_interrupt):
    print(test.__name__, flush=True)
    test()
