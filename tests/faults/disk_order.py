#!/usr/bin/env python3
"""Reads what tests/support/disk_calls.c has noted: disk_order.py CALLS RUN_DIR.

The power may go at any moment, and the disk then has what was synced before. So

1. a file is renamed into its place only when all of it is synced;
2. a checkpoint is renamed into its place only when its files, their names and its manifest are synced;
3. an older checkpoint is removed, and best.json put into its place, only when the names of all checkpoints
   are synced;
4. records are acknowledged in Redis only when labels.jsonl and rejected.jsonl are synced, names too;
5. micro-batches are published only when plan.jsonl and the tokenizer are synced, names too;
6. at the end nothing that is durable is left unsynced.

Exit code 1 and a line for each finding; also when something was not seen at all.
"""
import os
import re
import sys

DURABLE = re.compile(r"/(dataset/(labels|rejected)\.jsonl|plan\.jsonl|metrics\.jsonl|tokenizer\.model|best\.json"
                     r"|result\.json|corpus/[^/]*|checkpoints/step-\d+/[^/]*)$")


class Disk:
    def __init__(self, run):
        self.run = run
        self.dirty = set()    # files with bytes that are not synced
        self.unnamed = set()  # files and folders whose name is not synced
        self.findings = []
        self.seen = {"renames": 0, "commits": 0, "removals": 0, "acknowledgements": 0, "publications": 0}

    def find(self, text):
        if len(self.findings) < 20:
            self.findings.append(text)

    def loose(self, path):
        """Why `path` would not survive, or None."""
        if path in self.dirty:
            return "its bytes are not synced"
        while path.startswith(self.run + "/"):
            if path in self.unnamed:
                return f"the name of {path} is not synced"
            path = os.path.dirname(path)
        return None

    def demand(self, path, when):
        why = self.loose(path)
        if why:
            self.find(f"{when}: {path}: {why}")

    def move(self, start, end):
        for group in (self.dirty, self.unnamed):
            for path in [p for p in group if p == start or p.startswith(start + "/")]:
                group.discard(path)
                group.add(end + path[len(start):])
        self.unnamed.add(end)

    def rename(self, start, end):
        if start in self.dirty:
            self.find(f"{end} is put into its place: its bytes are not synced")
        self.seen["renames"] += 1
        if re.search(r"/checkpoints/step-\d+$", end):
            self.seen["commits"] += 1
            for path in sorted(self.dirty | self.unnamed):
                if path.startswith(start + "/"):
                    self.demand(path, f"{end} is committed")
        elif end.endswith("/checkpoints/best.json"):
            self.demand_checkpoints(f"{end} is put into its place")
        self.move(start, end)

    def demand_checkpoints(self, when):
        for path in sorted(self.unnamed):
            if re.search(r"/checkpoints/step-\d+$", path):
                self.find(f"{when}: the name of {path} is not synced")

    def remove(self, path):
        if re.search(r"/checkpoints/step-\d+/[^/]*$", path):
            self.seen["removals"] += 1
            self.demand_checkpoints(f"{path} is removed")
        self.dirty.discard(path)
        self.unnamed.discard(path)

    def sync(self, path):
        self.dirty.discard(path)
        self.unnamed = {p for p in self.unnamed if os.path.dirname(p) != path}

    def redis(self, word, coordinator):
        names = {"XACK": ["dataset/labels.jsonl", "dataset/rejected.jsonl"], "XADD": ["plan.jsonl", "tokenizer.model"]}
        if not coordinator:
            return
        self.seen["acknowledgements" if word == "XACK" else "publications"] += 1
        for name in names[word]:
            self.demand(f"{self.run}/{name}", "labels are acknowledged" if word == "XACK" else "a step is published")

    def call(self, pid, what, paths, coordinator):
        if what == "redis":
            self.redis(os.path.basename(paths[0]), pid == coordinator)
        elif not paths[0].startswith(self.run + "/") and paths[0] != self.run:
            pass
        elif what == "sync":
            self.sync(paths[0])
        elif what in ("write", "cut"):
            self.dirty.add(paths[0])
        elif what in ("create", "folder"):
            self.unnamed.add(paths[0])
        elif what == "rename":
            self.rename(*paths)
        elif what == "remove":
            self.remove(paths[0])

    def end(self):
        for path in sorted(self.dirty | self.unnamed):
            if DURABLE.search(path):
                self.demand(path, "at the end")
        for what, n in self.seen.items():
            if n == 0:
                self.find(f"no {what} seen: this says nothing")


def coordinator_of(calls, run):
    """The process that writes the dataset."""
    for pid, what, paths in calls:
        if what == "write" and paths[0] == f"{run}/dataset/labels.jsonl":
            return pid
    return None


def main():
    run = os.path.realpath(sys.argv[2])
    with open(sys.argv[1], encoding="utf-8") as f:
        words = [line.rstrip("\n").split("\t") for line in f]
    calls = [(w[0], w[1], w[2:]) for w in words]
    disk, coordinator = Disk(run), coordinator_of(calls, run)
    for pid, what, paths in calls:
        disk.call(pid, what, paths, coordinator)
    disk.end()
    print(", ".join(f"{n} {what}" for what, n in disk.seen.items()))
    for text in disk.findings:
        print(text, file=sys.stderr)
    return 1 if disk.findings else 0


sys.exit(main())
