#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test-recorder.py RECORDER: what ambidext-hid-recorder prints of devices, tells them, and does with bad ones and bad lines."""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

DESTROY, START, OPEN, OUTPUT, GET, GET_REPLY, CREATE2, INPUT2, SET, SET_REPLY = 1, 2, 4, 6, 9, 10, 11, 12, 13, 14
EVENT_SIZE = 4380


def check(condition, *what):
    if not condition:
        sys.exit(f"not so: {what}")


class Recorder:
    def __init__(self, program, directory):
        self.path = os.path.join(directory, "hid")
        self.process = subprocess.Popen([program, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        check(self.line() == {"record": "listening"}, "the first line")

    def connect(self):
        device = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        device.settimeout(20)
        device.connect(self.path)
        return device

    def line(self):
        return json.loads(self.process.stdout.readline())

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()


def create(name=b"Pad \"1\"\n", descriptor=b"\x05\x01", size=None):
    size = len(descriptor) if size is None else size
    return struct.pack("<I128s64s64sHHIIII", CREATE2, name, b"phys", b"uniq", size, 3, 1, 2, 3, 4) + descriptor


def type_of(device):
    record = device.recv(EVENT_SIZE + 1)
    check(len(record) == EVENT_SIZE, len(record))
    return struct.unpack_from("<I", record)[0], record


def obliging(recorder):
    device = recorder.connect()
    device.send(create())
    line = recorder.line()
    check(line == {"device": 1, "record": "create", "name": "Pad \"1\"\n", "phys": "phys", "uniq": "uniq", "bus": 3, "vendor": 1,
                   "product": 2, "version": 3, "country": 4, "descriptor": "0501"}, line)
    check(type_of(device)[0] == START and type_of(device)[0] == OPEN, "it starts devices")
    device.send(struct.pack("<IH", INPUT2, 3) + b"\x01\xab\x00")
    check(recorder.line() == {"device": 1, "record": "input", "bytes": "01ab00"}, "input")

    recorder.tell("set 1 feature 0x2 02ff")
    kind, record = type_of(device)
    check(kind == SET and record[4:14] == b"\x01\0\0\0\x02\x00\x02\x00\x02\xff", record[4:14])
    device.send(struct.pack("<IIH", SET_REPLY, 1, 0))
    check(recorder.line() == {"device": 1, "record": "set-reply", "id": 1, "error": 0}, "set-reply")
    recorder.tell("get 1 input 7")
    kind, record = type_of(device)
    check(kind == GET and record[4:10] == b"\x02\0\0\0\x07\x02", record[4:10])
    device.send(struct.pack("<IIHH", GET_REPLY, 2, 0, 2) + b"\x07\x08")
    check(recorder.line() == {"device": 1, "record": "get-reply", "id": 2, "error": 0, "bytes": "0708"}, "get-reply")
    recorder.tell("output 1 05")
    kind, record = type_of(device)
    check(kind == OUTPUT and record[4] == 5 and record[4 + 4096:4 + 4099] == b"\x01\x00\x01", "output")
    return device


def many_lines(recorder, device):
    """More than a socket holds: the lines wait for the device, and what it says meanwhile does not get lost."""
    for number in range(200):
        recorder.tell(f"output 1 {number:02x}")
    device.send(struct.pack("<IH", INPUT2, 1) + b"\x0c")
    check(recorder.line() == {"device": 1, "record": "input", "bytes": "0c"}, "said in between")
    for number in range(200):
        kind, record = type_of(device)
        check(kind == OUTPUT and record[4] == number, "one of many", number)


def bad_lines(recorder, device):
    """They change nothing; the one after them is carried out."""
    for line in ["", "   ", "rubbish", "get", "get 1 feature", "get 1 other 1", "get 1 feature 256", "get 1 feature -1",
                 "set 1 output 1 0", "set 1 output 1 zz", "output 9 00", "output 0 00", "output 99999999999999999999 00",
                 "output 1 " + "00" * 4097, "x" * 40000, "get 1 feature 1 1 1 1 1"]:
        recorder.tell(line)
    recorder.tell("output 1 06")
    kind, record = type_of(device)
    check(kind == OUTPUT and record[4] == 6, "the first good line after bad ones")


def bad_devices(recorder, device):
    for number, record in enumerate([b"\x0b", create(size=4097), struct.pack("<IH", INPUT2, 4097), b"\0" * (EVENT_SIZE + 1),
                                     struct.pack("<IIHH", GET_REPLY, 1, 0, 0xFFFF)]):
        bad = recorder.connect()
        bad.send(record)
        check(recorder.line() == {"device": number + 2, "record": "end"}, record[:8])
        check(bad.recv(1) == b"", "hung up on")
        bad.close()
    twice = recorder.connect()
    create_without_end(recorder, twice)
    device.send(struct.pack("<I", 99))
    check(recorder.line() == {"device": 1, "record": "other", "type": 99}, "other")
    device.send(struct.pack("<I", DESTROY))
    check(recorder.line() == {"device": 1, "record": "destroy"}, "destroy")
    device.close()
    check(recorder.line() == {"device": 1, "record": "end"}, "end")


def create_without_end(recorder, device):
    """One that makes a device again and again, and never reads: hung up on at the second one."""
    try:
        for _ in range(5000):
            device.send(create())
    except (BrokenPipeError, ConnectionResetError):
        pass
    check(recorder.line()["record"] == "create", "the first one")
    check(recorder.line()["record"] == "end", "the second one")
    device.close()


def ends_while_it_waits(program, directory):
    """An interrupt ends it also while it waits for a device that goes on talking and does not read."""
    recorder = Recorder(program, directory)
    device = recorder.connect()
    device.send(create())
    check(recorder.line()["record"] == "create", "create")
    for _ in range(400):
        recorder.tell("output 1 07")
    for number in range(2):                     # the second one is taken while it waits: nothing else is left to do
        device.send(struct.pack("<IH", INPUT2, 1) + b"\x0d")
        check(recorder.line()["record"] == "input", number)
    recorder.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 30
    while recorder.process.poll() is None and time.monotonic() < deadline:
        try:
            device.send(struct.pack("<IH", INPUT2, 1) + b"\x0e")
            recorder.process.wait(0.05)         # or it goes on talking
        except subprocess.TimeoutExpired:
            pass
        except (BrokenPipeError, ConnectionResetError):
            break
    if time.monotonic() >= deadline:
        recorder.process.kill()
    recorder.process.communicate()
    check(recorder.process.returncode == 0, "ended by the interrupt", recorder.process.returncode)
    check(not os.path.exists(recorder.path), "nothing is left")


def main():
    with tempfile.TemporaryDirectory(prefix="amb-recorder-") as directory:
        recorder = Recorder(sys.argv[1], directory)
        try:
            device = obliging(recorder)
            many_lines(recorder, device)
            bad_lines(recorder, device)
            bad_devices(recorder, device)
        except BaseException:
            recorder.process.kill()     # what has failed leaves nothing behind, either
            raise
        recorder.process.stdin.close()
        recorder.process.send_signal(signal.SIGTERM)
        said = recorder.process.stderr.read()
        check(recorder.process.wait(20) == 0, "the end")
        check(not os.path.exists(recorder.path), "nothing is left")
        check("there is no device 9" in said and "is none of" in said, said)
        ends_while_it_waits(sys.argv[1], directory)
        second = subprocess.run([sys.argv[1], "/nowhere/at/all"], capture_output=True, text=True, check=False)
        check(second.returncode == 1 and "cannot listen at /nowhere/at/all" in second.stderr, second)


main()
