#!/usr/bin/env python3
"""Check the event files of a run by the formats' own descriptions, and their numbers against metrics.jsonl.

    check_events.py RUN_DIR [--lost N]

Every file: names that sort in the order of time, records framed as TFRecord (length, masked CRC-32C of the
length, bytes, masked CRC-32C of the bytes) to the last byte, protobuf fields with TensorFlow's numbers and wire
types, the version record first and only there. All files together: each tag has each step once, in
order; every line of metrics.jsonl is there with its numbers, but for N of them at most. Prints one line;
exit 1 with the reason otherwise.
"""
import json
import os
import re
import struct
import sys

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Bad(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Bad(text)


def crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


TABLE = crc_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data, name):
    at = 0
    while at < len(data):
        need(len(data) - at >= 16, f"{name}: {len(data) - at} bytes after the last record, at {at}")
        length, check = struct.unpack_from("<QI", data, at)
        need(check == masked_crc(data[at:at + 8]), f"{name}: the check of the length at {at} does not fit")
        body = data[at + 12:at + 12 + length]
        need(len(body) == length and len(data) >= at + 16 + length, f"{name}: the record at {at} is torn")
        check, = struct.unpack_from("<I", data, at + 12 + length)
        need(check == masked_crc(body), f"{name}: the check of the record at {at} does not fit")
        yield body
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        need(at < len(data) and shift < 64, "a varint does not end")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def fields(data):
    """(number, wire type, value) of a message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = varint(data, at)
        elif kind == BYTES:
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        else:
            need(kind in (FIXED64, FIXED32), f"wire type {kind}")
            n = 8 if kind == FIXED64 else 4
            value, at = data[at:at + n], at + n
        need(at <= len(data), "a field runs over the end of its message")
        yield number, kind, value


def read_scalar(data):
    tag = number = None
    for field, kind, value in fields(data):
        if (field, kind) == (1, BYTES):
            tag = value.decode()
        elif (field, kind) == (2, FIXED32):
            number, = struct.unpack("<f", value)
        else:
            raise Bad(f"a value has field {field} of wire type {kind}")
    need(tag and number is not None, f"a value without {'number' if tag else 'tag'}")
    return tag, number


def read_event(data):
    """(wall time, step, version or None, [(tag, number)...])"""
    wall, step, version, scalars = 0.0, 0, None, []
    for field, kind, value in fields(data):
        if (field, kind) == (1, FIXED64):
            wall, = struct.unpack("<d", value)
        elif (field, kind) == (2, VARINT):
            step = value
        elif (field, kind) == (3, BYTES):
            version = value.decode()
        elif (field, kind) == (5, BYTES):
            for number, inner, one in fields(value):
                need((number, inner) == (1, BYTES), f"a summary has field {number} of wire type {inner}")
                scalars.append(read_scalar(one))
        else:
            raise Bad(f"an event has field {field} of wire type {kind}")
    return wall, step, version, scalars


def read_file(path):
    name, last = os.path.basename(path), 0.0
    need(re.fullmatch(r"events\.out\.tfevents\.\d{10}\.[^/]+\.\d+(\.\d+)?", name), f"a file named {name}")
    with open(path, "rb") as f:
        data = f.read()
    for i, record in enumerate(records(data, name)):
        wall, step, version, scalars = read_event(record)
        need(wall > 1e9, f"{name}: record {i} is of {wall} seconds since 1970")
        need((version == "brain.Event:2") == (i == 0), f"{name}: record {i} has version {version!r}")
        need(bool(scalars) == (i > 0), f"{name}: record {i} has {len(scalars)} values")
        yield step, scalars
        last = wall
    need(last > 0, f"{name}: no record")


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def wanted(line):
    """(step, {tag: number}) of a line of metrics.jsonl."""
    step = line["kind"] == "step"
    group = "train" if step else "validation"
    out = {f"{group}/loss/{task}": t["sum"] / t["count"] for task, t in line["tasks"].items()}
    names = ("loss", "grad_norm", "tokens_per_s", "epoch") if step else ("loss", "exact")
    out.update({f"{group}/{name}": line[name] for name in names})
    return line["step" if step else "version"], {tag: x for tag, x in out.items() if x is not None}


def main():
    run = sys.argv[1]
    lost_max = int(sys.argv[3]) if sys.argv[2:3] == ["--lost"] else 0
    folder, seen, last = os.path.join(run, "tensorboard"), {}, {}
    names = sorted(os.listdir(folder))
    for name in names:
        for step, scalars in read_file(os.path.join(folder, name)):
            for tag, number in scalars:
                need(step > last.get(tag, -1), f"{name}: {tag} at step {step} after step {last.get(tag)}")
                last[tag] = step
                seen[tag, step] = number
    lost, n_lines = 0, 0
    with open(os.path.join(run, "metrics.jsonl")) as f:
        for text in f:
            step, numbers = wanted(json.loads(text))
            n_lines += 1
            lost += not any((tag, step) in seen for tag in numbers)
            for tag, x in numbers.items():
                found = seen.pop((tag, step), f32(x))
                need(abs(found - f32(x)) <= 1e-6 * abs(x), f"{tag} at step {step}: found {found}, expected {x}")
    need(lost <= lost_max, f"{lost} lines of metrics.jsonl are in no event file")
    need(not seen, f"not in metrics.jsonl: {sorted(seen)[:5]}")
    print(f"{len(names)} files, {n_lines} lines, {len(last)} tags, {lost} lost")


try:
    main()
except Bad as bad:
    sys.exit(f"check_events: {bad}")
