#!/usr/bin/env python3
"""Runs a tutorial as it is printed: every command of its blocks, in order, in one shell.

    run_page.py docs/tutorials/PAGE.md          RT_BUILD_DIR: the build with `retort` in it (default build/release)

A block ```sh is run as it stands. In a block ```console, lines after "$ " are commands (with their continuations behind
"\\") and the rest is what they print: each printed line must come, in this order, among the lines of that command's real
output, where any number stands for any other. "..." stands for lines left out, or for the end of one. A command must end with 0, or with N in a block
```console exit=N. The page runs in a folder of its own, which has examples/, deploy/ and build/release as the root of the
sources has; the ports of the pages become free ones. What is still running when it ends is ended.
Exit code 1: something was not as printed; it is named.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PORTS = ("8000", "6399", "7100", "7101")  # of the pages
PAGE_LIMIT_S = float(os.environ.get("RT_TUTORIAL_LIMIT_S", "600"))
MARK = "@@retort-tutorial@@"


def blocks_of(text):
    """[(line of the page, kind, exit code, lines)] of the blocks that are run."""
    found, block = [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"```(\w*)\s*(?:exit=(\d+))?\s*$", line)
        if block is not None and line.startswith("```"):
            if block[1] in ("sh", "console"):
                found.append(block)
            block = None
        elif block is not None:
            block[3].append(line)
        elif fence:
            block = (number, fence.group(1), int(fence.group(2) or 0), [])
    return found


def steps_of(text):
    """[(line of the page, command, exit code, printed lines)]; a block of sh is one step that promises no output."""
    steps = []
    for number, kind, code, lines in blocks_of(text):
        if kind == "sh":
            steps.append((number, "\n".join(lines), code, []))
            continue
        for i, line in enumerate(lines):
            if line.startswith("$ "):
                steps.append((number + 1 + i, line[2:], code, []))
            elif steps and steps[-1][1].endswith("\\"):
                steps[-1] = (*steps[-1][:1], steps[-1][1] + "\n" + line, *steps[-1][2:])
            elif line.strip() != "...":
                steps[-1][3].append(line)
    return steps


def script_of(steps):
    """One shell for all: a step that ends otherwise than printed ends the page, its number is the exit code's reason."""
    parts = ["exec 2>&1"]
    for i, (_, command, _, _) in enumerate(steps):
        parts.append(f"echo '{MARK} begin {i}'\n{command}\necho '{MARK} end' $? $SECONDS")
    return "\n".join(parts) + "\n"


def plain(line):
    line = re.sub(r"\b(?=\w*\d)[0-9a-f]{8,}\b", "#", line)
    return re.sub(r"\s+", " ", re.sub(r"\d([\d,.:]*\d)?", "#", line)).strip()


def first_missing(printed, real):
    """The first printed line that does not come among the real ones, in their order; None when all do."""
    rest = iter([plain(line) for line in real])
    for line in printed:
        wanted = plain(line)
        begins = wanted.endswith("...") and wanted[:-3]
        if wanted and not any(line_real == wanted or begins and line_real.startswith(begins) for line_real in rest):
            return line
    return None


def judge(steps, output):
    """Complaints about what was printed and what came."""
    complaints, seen = [], 0
    for part in re.split(rf"^{MARK} begin \d+\n", output, flags=re.M)[1:]:
        number, command, code, printed = steps[seen]
        seen += 1
        real, end, rest = part.partition(f"{MARK} end ")
        title = f"line {number}: {command.splitlines()[0]}"
        if not end:
            return complaints + [f"{title}\n  did not end; it said:\n{part}"]
        if int(rest.split()[0]) != code:
            complaints.append(f"{title}\n  ended with {rest.split()[0]}, the page says {code}; it said:\n{real}")
        missing = first_missing(printed, real.splitlines())
        if missing is not None:
            complaints.append(f"{title}\n  the page prints\n    {missing}\n  but what came was:\n{real}")
    if seen < len(steps):
        complaints.append(f"line {steps[seen][0]}: never reached")
    return complaints


def with_free_ports(text):
    sockets = {port: socket.socket() for port in PORTS}
    for s in sockets.values():
        s.bind(("127.0.0.1", 0))
    free = {port: str(s.getsockname()[1]) for port, s in sockets.items()}
    for s in sockets.values():
        s.close()
    return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda match: free[match.group()], text)


def make_place(folder):
    for name in ("examples", "deploy"):
        shutil.copytree(os.path.join(ROOT, name), os.path.join(folder, name), ignore=shutil.ignore_patterns("secrets", "data"))
    os.mkdir(os.path.join(folder, "build"))
    build = os.path.abspath(os.environ.get("RT_BUILD_DIR", os.path.join(ROOT, "build/release")))
    os.symlink(build, os.path.join(folder, "build/release"))


def run(script, folder):
    """What all commands printed. Into a file: a server that stays in the background would keep a pipe open."""
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        shell = subprocess.Popen(["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
                                 start_new_session=True)
        try:
            shell.wait(PAGE_LIMIT_S)
        except subprocess.TimeoutExpired:
            out.write(f"\n(ended after {PAGE_LIMIT_S:.0f} s)\n")
        try:
            os.killpg(shell.pid, signal.SIGTERM)  # a server in the background that the page forgot
        except ProcessLookupError:
            pass
        shell.wait()
        out.seek(0)
        return out.read()


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        steps = steps_of(with_free_ports(f.read()))
    folder = tempfile.mkdtemp(prefix="retort-tutorial.")
    try:
        make_place(folder)
        complaints = judge(steps, run(script_of(steps), folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for complaint in complaints:
        print(f"{sys.argv[1]}: {complaint}", file=sys.stderr)
    print(f"{sys.argv[1]}: {len(steps)} commands, {len(complaints)} not as printed")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
