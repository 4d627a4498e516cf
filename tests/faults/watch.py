#!/usr/bin/env python3
"""Watches a run from outside: watch.py RUN_DIR OUT.json, until SIGTERM.

Ten times a second it looks at the processes of the run (memory, open files), at the coordinator's
/api/stats and /metrics, and notes the largest values, every problem that was named, and when the run
made progress. judge.py reads what it wrote.
"""
import json
import os
import re
import signal
import sys
import time
import urllib.request

EVERY_S = 0.1
PROGRESS = re.compile(r"^retort_(labels_repeated_total|rewinds_total|resends_total|requeued_total) (\S+)$", re.M)


def read_json(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def get(address, path):
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=1) as answer:
            return answer.read().decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


class Watch:
    def __init__(self, run_dir):
        self.run_dir = run_dir
        self.rss_kb = {}
        self.fds = {}
        self.queues = {"labels": 0, "batches": 0, "dead": 0}
        self.problems = {}
        self.counters = {}
        self.rows = self.step = 0
        self.progress = [(int(time.time() * 1000), 0)]
        self.metrics = ""

    def see_process(self, name, pid):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                found = re.search(r"VmHWM:\s+(\d+)", f.read())
            n_fds = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return
        role = name.split("-")[0]
        if found:
            self.rss_kb[role] = max(self.rss_kb.get(role, 0), int(found.group(1)))
        self.fds[role] = max(self.fds.get(role, 0), n_fds)

    def count(self, key, value):
        self.counters[key] = max(self.counters.get(key, 0), value)

    def see_stats(self, stats):
        now_ms = int(time.time() * 1000)
        for name in self.queues:
            self.queues[name] = max(self.queues[name], stats.get("queues", {}).get(name, 0))
        rows = stats.get("rows", {})
        self.rows = max(self.rows, rows.get("labelled", 0) + rows.get("rejected", 0))
        self.step = max(self.step, stats.get("step", 0))
        if self.rows + self.step > self.progress[-1][1]:
            self.progress.append((now_ms, self.rows + self.step))
        problem = stats.get("problem", "")
        if problem:
            self.problems.setdefault(problem, [now_ms, now_ms])[1] = now_ms
        for m in stats.get("members", []):
            for what in ("pushes_duplicate", "pushes_stale"):
                if what in m.get("counters", {}):
                    self.count(f"{what}/{m['name']}/{m['pid']}", m["counters"][what])
        return stats.get("pid", 0)

    def turn(self):
        launcher = read_json(f"{self.run_dir}/launcher.json")
        for child in launcher.get("children", []):
            self.see_process(child["name"], child["pid"])
        address = read_json(f"{self.run_dir}/coordinator.json").get("http", "")
        if not address:
            return
        text = get(address, "/api/stats")
        try:
            pid = self.see_stats(json.loads(text)) if text else 0
        except ValueError:
            return
        metrics = get(address, "/metrics")
        if metrics:
            self.metrics = metrics
        for what, value in PROGRESS.findall(metrics):
            self.count(f"{what}/coordinator/{pid}", float(value))

    def write(self, path):
        sums = {}
        for key, value in self.counters.items():
            what = key.split("/")[0]
            sums[what] = sums.get(what, 0) + int(value)
        self.progress.append((int(time.time() * 1000), self.rows + self.step + 1))
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"rss_kb": self.rss_kb, "fds": self.fds, "queues": self.queues,
                       "problems": self.problems, "counters": sums, "progress": self.progress}, f, indent=1)
        with open(path + ".metrics", "w", encoding="utf-8") as f:
            f.write(self.metrics)


def main():
    watch = Watch(sys.argv[1])
    done = []
    signal.signal(signal.SIGTERM, lambda *_: done.append(True))
    while not done:
        watch.turn()
        time.sleep(EVERY_S)
    watch.write(sys.argv[2])


main()
