#!/usr/bin/env python3
"""What stats cost a training, in processor time.

    bench/bench_stats.py [--pairs N] [--steps N] [--json FILE]

Trains the same student in turns in two ways, so that a change of the machine falls on both:

    watched  heartbeats as usual, a reader of /api/stream, one /metrics a second
    quiet    net.http: off, a heartbeat each half minute

Wall time says little on a machine that does other things, and the processor time of the same products differs by several per cent from run
to run. So what stats do is looked for where they do it: in the threads of the student beside its main one (heartbeats and
their socket), and in the coordinator. `cost_percent` is what both took more when watched, in per cent of the processor time that one
student's computing could have had meanwhile (the wall time of the run): what training loses when no processor is idle. The main thread
only counts, and that is in the noise of `student_percent`. Medians over pairs, and the quartiles beside them.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RETORT = os.path.join(os.environ.get("RT_BUILD_DIR", os.path.join(ROOT, "build/release")), "retort")
WAYS = {"watched": [], "quiet": ["--set", "net.http=off", "--set", "net.heartbeat_ms=30000", "--set", "net.dead_after_ms=600000"]}
CONFIG = """name: watched
task: {{name: sums, answer: number, markers: ["The answer is"]}}
corpus: {{files: [rows.jsonl], input: "{{question}}"}}
teacher: {{backend: recorded, files: [rows.jsonl], match_field: "{{question}}", text_field: "{{text}}"}}
student: {{d_model: 128, n_layers: 4, n_heads: 4, n_kv_heads: 4, d_ff: 384}}
train: {{steps: {steps}, eval_every: {steps}}}
"""


def retort(*args):
    return [RETORT, *args, "--config", "retort.yaml"]


def make_dataset(steps):
    with open("rows.jsonl", "w", encoding="ascii") as f:
        for i in range(2000):
            a, b = i % 97 + 2, i // 97 % 89 + 2
            f.write(json.dumps({"question": f"A box holds {a} shells and a bag holds {b}; row {i} asks how many there are.",
                                "text": f"{a}+{b}={a + b}. The answer is {a + b}"}) + "\n")
    with open("retort.yaml", "w", encoding="ascii") as f:
        f.write(CONFIG.format(steps=steps))
    subprocess.run(retort("label", "--set", "run_dir=labelled", "--json"), check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def processor_s(pid):
    """Seconds of processor time of a process, to the nanosecond: (of its main thread, of the others); None when it is gone."""
    try:
        of = {}
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                of[int(task)] = int(f.read().split()[0]) / 1e9
        return of.pop(pid), sum(of.values())
    except (OSError, IndexError, KeyError, ValueError):
        return None


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


def look(run_dir, spent):
    """Notes the processor time so far of each process of the run: {pid: (name, of its main thread, of the others)}."""
    try:
        with open(f"{run_dir}/launcher.json", encoding="ascii") as f:
            children = json.load(f)["children"]
    except (OSError, KeyError, ValueError):
        return
    for child in children:
        seconds = processor_s(child["pid"])
        # A process that leaves ends its threads one by one: what was seen of them counts.
        before = spent.get(child["pid"], ("", 0.0, 0.0))
        if seconds is not None:
            spent[child["pid"]] = child["name"], max(before[1], seconds[0]), max(before[2], seconds[1])


def train(way, run_dir):
    """Seconds: {"wall", "student", "beside", "coordinator"}; all but the first of processor time."""
    watch = Watch(run_dir) if way == "watched" else None
    spent, begun = {}, time.monotonic()
    with open(run_dir + ".err", "w", encoding="utf-8") as err:
        run = subprocess.Popen(retort("train", "--dataset", "labelled/dataset", "--set", f"run_dir={run_dir}", "--json", *WAYS[way]),
                               stdout=subprocess.DEVNULL, stderr=err)
        while run.poll() is None:
            look(run_dir, spent)
            time.sleep(0.05)
    wall = time.monotonic() - begun
    if run.returncode != 0:
        with open(run_dir + ".err", encoding="utf-8") as err:
            sys.exit(f"a run ended with {run.returncode}: {err.read()[-2000:]}")
    if watch is not None:
        watch.ended = True
        if watch.n_events == 0 or watch.n_scrapes == 0:
            sys.exit(f"it was not watched: {watch.n_events} events, {watch.n_scrapes} scrapes")
    # A process may have been started again: all its lives count.
    main = {name: sum(m for n, m, _ in spent.values() if n == name) for name in ("student-0", "coordinator")}
    beside = {name: sum(b for n, _, b in spent.values() if n == name) for name in main}
    return {"wall": wall, "student": main["student-0"], "beside": beside["student-0"],
            "coordinator": main["coordinator"] + beside["coordinator"]}


def summary(shares):
    low, middle, high = statistics.quantiles(shares, n=4)
    return {"median": round(middle, 2), "quartiles": [round(low, 2), round(high, 2)]}


def more(pair, *parts):
    """What the watched run of a pair took more in these parts, in per cent of its wall time."""
    return 100 * sum(pair["watched"][part] - pair["quiet"][part] for part in parts) / pair["watched"]["wall"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--json", help="also write the line to this file")
    options = parser.parse_args()
    out = os.path.abspath(options.json) if options.json else None
    with tempfile.TemporaryDirectory(prefix="retort-bench.") as folder:
        os.chdir(folder)
        make_dataset(options.steps)
        pairs = []
        for i in range(options.pairs):
            pair = {}
            for way in random.sample(list(WAYS), len(WAYS)):
                pair[way] = train(way, f"{way}{i}")
            pairs.append(pair)
            print(json.dumps({w: {k: round(s, 3) for k, s in pair[w].items()} for w in WAYS}), file=sys.stderr, flush=True)
        os.chdir("/")
    result = {"bench": "stats", "pairs": options.pairs, "steps": options.steps, "load": round(os.getloadavg()[1], 1),
              "cost_percent": summary([more(p, "beside", "coordinator") for p in pairs]),
              "student_threads_percent": summary([more(p, "beside") for p in pairs]),
              "coordinator_percent": summary([more(p, "coordinator") for p in pairs]),
              "student_percent": summary([100 * (p["watched"]["student"] / p["quiet"]["student"] - 1) for p in pairs])}
    line = json.dumps(result)
    print(line)
    if out:
        with open(out, "w", encoding="ascii") as f:
            f.write(line + "\n")


if __name__ == "__main__":
    main()
