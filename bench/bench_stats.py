#!/usr/bin/env python3
"""What stats cost a training, in processor time.

    bench/bench_stats.py [--pairs N] [--seconds N] [--json FILE]

Starts the same training in turns in two ways, so that a change of the machine falls on both:

    watched  heartbeats as usual, a reader of /api/stream, one /metrics a second
    quiet    net.http: off, a heartbeat each half minute

Everything that stats do beside counting goes by the clock and not by the step: heartbeats, pictures, answers. So once steps come,
the parameter server is stopped (SIGSTOP): the student waits, the coordinator has nothing to do but to look and to tell, and what both
spend on stats is not drowned in products of matrices, whose processor time differs by several per cent from run to run. A student that trains
keeps one processor busy; `cost_percent` is what coordinator and student spend more when watched, in per cent of one processor:
what training loses when no other is idle. Medians over pairs, and the quartiles beside them.
"""
import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RETORT = os.path.join(os.environ.get("RT_BUILD_DIR", os.path.join(ROOT, "build/release")), "retort")
WAYS = {"watched": [], "quiet": ["--set", "net.http=off", "--set", "net.heartbeat_ms=30000"]}
CONFIG = """name: watched
task: {name: sums, answer: number, markers: ["The answer is"]}
corpus: {files: [rows.jsonl], input: "{question}"}
teacher: {backend: recorded, files: [rows.jsonl], match_field: "{question}", text_field: "{text}"}
student: {d_model: 128, n_layers: 4, n_heads: 4, n_kv_heads: 4, d_ff: 384}
train: {steps: 100000, eval_every: 100000}
net: {dead_after_ms: 600000}
"""


def retort(*args):
    return [RETORT, *args, "--config", "retort.yaml"]


def make_dataset():
    with open("rows.jsonl", "w", encoding="ascii") as f:
        for i in range(2000):
            a, b = i % 97 + 2, i // 97 % 89 + 2
            f.write(json.dumps({"question": f"A box holds {a} shells and a bag holds {b}; row {i} asks how many there are.",
                                "text": f"{a}+{b}={a + b}. The answer is {a + b}"}) + "\n")
    with open("retort.yaml", "w", encoding="ascii") as f:
        f.write(CONFIG)
    subprocess.run(retort("label", "--set", "run_dir=labelled", "--json"), check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def processor_s(pid):
    """Seconds of processor time of a process, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


class Watch:
    """A reader of /api/stream and a scraper of /metrics, until the run ends."""

    def __init__(self, run_dir):
        self.run_dir, self.n_events, self.n_scrapes, self.ended = run_dir, 0, 0, False
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.thread.start()

    def go(self):
        url = None
        while url is None and not self.ended:
            time.sleep(0.05)
            try:
                with open(f"{self.run_dir}/coordinator.json", encoding="ascii") as f:
                    url = "http://" + json.load(f)["http"]
            except (OSError, KeyError, ValueError):
                pass
        threading.Thread(target=self.read_stream, args=(url,), daemon=True).start()
        while not self.ended:
            try:
                with urllib.request.urlopen(url + "/metrics", timeout=5) as answer:
                    answer.read()
                self.n_scrapes += 1
            except OSError:
                pass
            time.sleep(1)

    def read_stream(self, url):
        try:
            with urllib.request.urlopen(url + "/api/stream", timeout=60) as stream:
                for line in stream:
                    self.n_events += line.startswith(b"event: ")
        except OSError:
            pass


def process_ids(run_dir):
    with open(f"{run_dir}/launcher.json", encoding="ascii") as f:
        return {child["name"]: child["pid"] for child in json.load(f)["children"]}


def wait_for_steps(run, run_dir):
    """Until some steps were trained."""
    while run.poll() is None:
        try:
            with open(f"{run_dir}/metrics.jsonl", encoding="utf-8") as f:
                if sum(1 for _ in f) >= 3:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    with open(run_dir + ".err", encoding="utf-8") as err:
        sys.exit(f"a run ended with {run.returncode}: {err.read()[-2000:]}")


def measure(way, run_dir, seconds):
    """{"student", "coordinator"}: processor time of each, in per cent of one processor."""
    watch = Watch(run_dir) if way == "watched" else None
    with open(run_dir + ".err", "w", encoding="utf-8") as err:
        run = subprocess.Popen(retort("train", "--dataset", "labelled/dataset", "--set", f"run_dir={run_dir}", "--json", *WAYS[way]),
                               stdout=subprocess.DEVNULL, stderr=err)
    server = None
    try:
        wait_for_steps(run, run_dir)
        pids = process_ids(run_dir)
        server = pids["server-0"]
        os.kill(server, signal.SIGSTOP)
        time.sleep(3)  # the step in hand
        of, begun = {}, time.monotonic()
        for name in ("student-0", "coordinator"):
            of[name] = processor_s(pids[name])
        time.sleep(seconds)
        wall = time.monotonic() - begun
        spent = {name.split("-")[0]: 100 * (processor_s(pids[name]) - before) / wall for name, before in of.items()}
    finally:
        if server is not None:
            os.kill(server, signal.SIGCONT)
        run.terminate()
        run.wait()
    if watch is not None:
        watch.ended = True
        if watch.n_events == 0 or watch.n_scrapes == 0:
            sys.exit(f"it was not watched: {watch.n_events} events, {watch.n_scrapes} scrapes")
    return spent


def summary(shares):
    low, middle, high = statistics.quantiles(shares, n=4)
    return {"median": round(middle, 2), "quartiles": [round(low, 2), round(high, 2)]}


def more(pair, *parts):
    """What these took more when watched, in per cent of one processor."""
    return sum(pair["watched"][part] - pair["quiet"][part] for part in parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--json", help="also write the line to this file")
    options = parser.parse_args()
    out = os.path.abspath(options.json) if options.json else None
    with tempfile.TemporaryDirectory(prefix="retort-bench.") as folder:
        os.chdir(folder)
        make_dataset()
        pairs = []
        for i in range(options.pairs):
            pairs.append({way: measure(way, f"{way}{i}", options.seconds) for way in random.sample(list(WAYS), len(WAYS))})
            print(json.dumps({w: {k: round(s, 3) for k, s in pairs[-1][w].items()} for w in WAYS}), file=sys.stderr, flush=True)
        os.chdir("/")
    line = json.dumps({"bench": "stats", "pairs": options.pairs, "seconds": options.seconds, "load": round(os.getloadavg()[1], 1),
                       "cost_percent": summary([more(p, "student", "coordinator") for p in pairs]),
                       "student_percent": summary([more(p, "student") for p in pairs]),
                       "coordinator_percent": summary([more(p, "coordinator") for p in pairs])})
    print(line)
    if out:
        with open(out, "w", encoding="ascii") as f:
            f.write(line + "\n")


if __name__ == "__main__":
    main()
