#!/usr/bin/env python3
"""Runs a command on a terminal of its own and plays a script from standard input, one step a line:

    wait TEXT          until TEXT came (20 s at most), then forgets what came so far; colours are passed over,
                       unless TEXT begins with an escape
    resize 40x10       the window gets another size
    type q             keys; ^C and ^Z are the control keys
    signal TERM        to the command
    run COMMAND        in a shell beside it
    stopped            until the command is stopped by job control
    absent TEXT        fails when TEXT ever came

After the last step the command has 10 s to leave. The last line printed is "exit CODE restored", or
"exit CODE broken: WHY" when the terminal is not as it was: its modes, the alternate screen, the cursor.

    on_terminal.py 80x24 COMMAND... < steps
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time


def came(text, output):
    if not text.startswith("\033"):
        output = re.sub(rb"\033\[[0-9;]*m", b"", output)
    return text.encode() in output


class Terminal:
    def __init__(self, size, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.resize(size)
        self.all = b""
        self.fresh = 0  # bytes before it were looked at
        self.modes = termios.tcgetattr(self.fd)

    def resize(self, size):
        columns, rows = map(int, size.split("x"))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                more = os.read(self.fd, 65536)
            except OSError:  # the other side is closed
                return False
            self.all += more
            return bool(more)
        return True

    def wait(self, text):
        until = time.monotonic() + 20
        while not came(text, self.all[self.fresh:]):
            if time.monotonic() > until or not self.read(0.1):
                sys.exit(f"{text!r} did not come; the last was:\n{self.all[self.fresh:][-2000:].decode(errors='replace')}")
        self.fresh = len(self.all)

    def stopped(self):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                return
        sys.exit("it was not stopped")

    def end(self):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.1) and select.select([self.fd], [], [], 0)[0]:
                    pass
                code = os.waitstatus_to_exitcode(status)
                print(f"exit {code} {self.state()}")
                return
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("it does not leave")

    def state(self):
        for mode, wanted, what in ((1049, "l", "alternate screen"), (25, "h", "cursor"), (7, "h", "wrapping")):
            found = re.findall(rb"\033\[\?%d([hl])" % mode, self.all)
            if found and found[-1].decode() != wanted:
                return f"broken: {what}"
        return "restored" if termios.tcgetattr(self.fd) == self.modes else "broken: modes"


def main():
    terminal = Terminal(sys.argv[1], sys.argv[2:])
    for line in sys.stdin.read().splitlines():
        step, _, rest = line.strip().partition(" ")
        if step == "wait":
            terminal.wait(rest)
        elif step == "resize":
            terminal.resize(rest)
        elif step == "type":
            os.write(terminal.fd, re.sub(r"\^([A-Z])", lambda m: chr(ord(m[1]) - 64), rest).encode())
        elif step == "signal":
            os.kill(terminal.pid, signal.Signals["SIG" + rest])
        elif step == "run":
            subprocess.run(rest, shell=True, check=True)
        elif step == "stopped":
            terminal.stopped()
        elif step == "absent":
            if came(rest, terminal.all):
                sys.exit(f"{rest!r} came")
        elif step:
            sys.exit(f"unknown step {line!r}")
    terminal.end()


main()
