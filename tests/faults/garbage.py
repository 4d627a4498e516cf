#!/usr/bin/env python3
"""Bytes that nobody asked for, on listening ports: garbage.py SEED SECONDS PORT...

Random bytes, a greeting of ZeroMQ with random bytes behind it, HTTP, a giant length, half a greeting
that never goes on, connections closed at once. Prints how many connections it made.
"""
import random
import socket
import sys
import time

GREETING = b"\xff" + b"\x00" * 8 + b"\x7f\x03\x00NULL" + b"\x00" * 48
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


def frame(body, more):
    return bytes([1 if more else 0, len(body)]) + body


def make(r):
    noise = r.randbytes(r.randrange(1, 3000))
    return r.choice([
        noise,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + noise,
        GREETING + noise,
        GREETING + READY + noise,
        GREETING + READY + frame(r.randbytes(r.randrange(0, 200)), False),
        GREETING + READY + frame(r.randbytes(40), True) + frame(r.randbytes(100), True) + frame(b"", False),
        GREETING + READY + b"\x02" + b"\xff" * 8 + noise,  # a frame of 2^64 - 1 bytes
        GREETING[: r.randrange(1, 64)],
        b"",
    ])


def main():
    r = random.Random(int(sys.argv[1]))
    end, ports = time.monotonic() + float(sys.argv[2]), [int(p) for p in sys.argv[3:]]
    n, open_ones = 0, []
    while time.monotonic() < end:
        try:
            s = socket.create_connection(("127.0.0.1", r.choice(ports)), timeout=2)
            s.sendall(make(r))
            n += 1
        except OSError:
            continue
        if r.random() < 0.3 and len(open_ones) < 100:
            open_ones.append(s)  # half open, for as long as the server bears it
        else:
            s.close()
        if len(open_ones) == 100:
            open_ones.pop(0).close()
    print(n)


main()
