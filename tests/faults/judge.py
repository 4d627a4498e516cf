#!/usr/bin/env python3
"""Judges one run of a fault test by the observables of docs/reliability.md, from outside.

    judge.py --row N --case TEXT [--run run] [--base BASE/summary.json] [--faults DIR --strikes K]
             [--watch watch.json] [--signals 9,6] [--resume-within S] [--pending-ok] [--figure k=v]...

A the audit closes; B dataset and weights are those of the undisturbed run; C progress came back in
time after every strike; D memory, queues and open files stayed under their caps; E no sanitizer
report, no death but those that were asked for. Exit code 1 and a line for each finding; the result
goes as a line of JSON into $FAULTS_RESULTS.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import time

RSS_MAX_KB = int(os.environ.get("FAULTS_RSS_MAX_KB", 400_000))
FDS_MAX = 256
SLACK = 2  # publishers look at a stream's length before they add to it: each may be late by one call


def read_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def settings_of(run):
    """queue.labels_max and queue.batches_max as the run had them."""
    text = open(f"{run}/config.yaml", encoding="utf-8").read()
    found = {k: int(v) for k, v in re.findall(r"^\s*(labels_max|batches_max|micro_batches|shard_size): (\d+)", text, re.M)}
    return found


def check_audit(args, findings):
    done = subprocess.run([os.environ["RETORT"], "audit", "--config", "retort.yaml", "--set", f"run_dir={args.run}", "--json"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        findings.append(f"A: audit exits with {done.returncode}: {done.stderr.strip()[:300]}")
        return {}
    a = json.loads(done.stdout)
    if not a["closes"] or a["twice"] or a["foreign"]:
        findings.append(f"A: the audit does not close: {a}")
    if a["pending"] and not args.pending_ok:
        findings.append(f"A: {a['pending']} examples are still pending")
    return a


def check_ids(args, findings):
    """No id twice in the dataset, as its files stand there."""
    seen = set()
    for path in glob.glob(f"{args.run}/dataset/*.jsonl"):
        for number, text in enumerate(open(path, encoding="utf-8"), 1):
            name = text[:48]
            if name in seen:
                findings.append(f"A: {path}:{number}: an id that was there before: {name}")
            seen.add(name)


def check_same(args, findings):
    mine, base = read_json(f"{args.run}/summary.json"), read_json(args.base)
    for key in ("dataset_sha256", "weights_sha256", "steps", "tokens"):
        if mine.get(key) != base.get(key):
            findings.append(f"B: {key} is {mine.get(key)}, the undisturbed run has {base.get(key)}")


def check_steps(args, findings):
    """metrics.jsonl holds every step once, in order; it is written before a step counts."""
    with open(f"{args.run}/metrics.jsonl", encoding="utf-8") as f:
        lines = [json.loads(text) for text in f]
    steps = [m["step"] for m in lines if m["kind"] == "step"]
    wanted = list(range(1, read_json(f"{args.run}/summary.json")["steps"] + 1))
    if steps != wanted:
        findings.append(f"B: metrics.jsonl lacks or repeats steps: {sorted(set(wanted) ^ set(steps))[:9]}, {len(steps)} lines")


def strikes_of(args, findings):
    """Wall clock milliseconds of every strike."""
    times = []
    for path in glob.glob(f"{args.faults}/*.[0-9]*"):
        words = open(path, encoding="utf-8").read().split()
        times.append(int(words[1]) if len(words) == 2 else int(os.stat(path).st_mtime * 1000))
    if args.strikes is not None and len(times) != args.strikes:
        findings.append(f"the faults struck {len(times)} times, expected {args.strikes}")
    return sorted(times)


def recovery_s(watch, strikes):
    """Longest time from a strike to the next progress."""
    worst = 0.0
    for t in strikes:
        before = max((p for at, p in watch["progress"] if at <= t), default=0)
        after = [at for at, p in watch["progress"] if at > t and p > before]
        if after:
            worst = max(worst, (after[0] - t) / 1000)
    return worst


def check_caps(args, watch, findings):
    for role, kb in watch["rss_kb"].items():
        if kb > RSS_MAX_KB:
            findings.append(f"D: {role} took {kb} KB, at most {RSS_MAX_KB}")
    for role, n in watch["fds"].items():
        if n > FDS_MAX:
            findings.append(f"D: {role} had {n} open files, at most {FDS_MAX}")
    s = settings_of(args.run)
    room = {"labels": s.get("labels_max", 4096) + SLACK * s.get("shard_size", 20) * 4,
            "batches": s.get("batches_max", 256) + SLACK * s.get("micro_batches", 8)}
    for name, most in room.items():
        if watch["queues"][name] > most:
            findings.append(f"D: {watch['queues'][name]} entries in {name}, at most {most}")


def check_deaths(args, findings):
    wanted = set(args.signals.split(","))
    for path in glob.glob(f"{args.run}/logs/*.log") + glob.glob("*.err"):
        text = open(path, encoding="utf-8", errors="replace").read()
        for line in text.splitlines():
            if "Sanitizer" in line or "runtime error:" in line or "assertion" in line.lower():
                findings.append(f"E: {path}: {line[:200]}")
                break
        for number in re.findall(r"ended by signal (\d+)", text):
            if number not in wanted:
                findings.append(f"E: {path}: a process was ended by signal {number}")


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--row", type=int, required=True)
    p.add_argument("--case", required=True)
    p.add_argument("--run", default="run")
    p.add_argument("--base")
    p.add_argument("--faults", default="faults")
    p.add_argument("--strikes", type=int)
    p.add_argument("--watch", default="watch.json")
    p.add_argument("--signals", default="9")
    p.add_argument("--resume-within", type=float, default=60)
    p.add_argument("--pending-ok", action="store_true")
    p.add_argument("--no-run", action="store_true", help="only note the result: the test looked itself")
    p.add_argument("--figure", action="append", default=[])
    return p.parse_args()


def main():
    args, findings = parse(), []
    result = {"row": args.row, "case": args.case, "at": int(time.time()), "kills": 0, "recovery_s": 0.0,
              "repeats": 0, "rewinds": 0}
    for text in args.figure:
        key, _, value = text.partition("=")
        result[key] = float(value)
    if not args.no_run:
        check_audit(args, findings)
        check_ids(args, findings)
        if args.base:
            check_same(args, findings)
            check_steps(args, findings)
        strikes = strikes_of(args, findings)
        result["kills"] = max(result["kills"], len(strikes))
        if os.path.exists(args.watch):
            watch = read_json(args.watch)
            check_caps(args, watch, findings)
            result["recovery_s"] = max(result["recovery_s"], recovery_s(watch, strikes))
            counters = watch["counters"]
            result["repeats"] = (counters.get("labels_repeated_total", 0) + counters.get("pushes_duplicate", 0)
                                 + counters.get("pushes_stale", 0))
            result["rewinds"] = counters.get("rewinds_total", 0)
            if result["recovery_s"] > args.resume_within:
                findings.append(f"C: progress came back after {result['recovery_s']:.1f} s")
        check_deaths(args, findings)
    result["ok"] = not findings
    if "FAULTS_RESULTS" in os.environ:
        with open(os.environ["FAULTS_RESULTS"], "a", encoding="utf-8") as f:
            f.write(json.dumps(result) + "\n")
    for text in findings:
        print(f"row {args.row}, {args.case}: {text}", file=sys.stderr)
    return 1 if findings else 0


sys.exit(main())
