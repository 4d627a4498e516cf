#!/usr/bin/env python3
"""Whole benchmarks in one go, paired with PyTorch where it is installed.

    bench/compare.py                       # a table
    bench/compare.py --json                # one line of JSON a measurement
    bench/compare.py --only train --rounds 5 --save

Each round runs our program and the peer one after the other; a ratio is the median of the rounds' ratios,
so what slows the machine for a while slows both. --save adds a file to bench/results with machine, commit and
command. The peer is a script that prints JSON with tok_s or decode_tok_s (RT_PEER, default
../shared/bench/torch_peer.py); without it, or without python3-torch, ratios are left out.
"""
import argparse, datetime, json, os, pathlib, statistics, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release/bench"
PEER = pathlib.Path(os.environ.get("RT_PEER", ROOT / "../shared/bench/torch_peer.py"))


def run_json(command, env=None):
    """Last line of a program's output as JSON; None when it could not run."""
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, **(env or {})))
    if done.returncode != 0:
        print(f"{' '.join(map(str, command))}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def peer_available():
    if not PEER.exists():
        return False
    return subprocess.run(["/usr/bin/python3", "-c", "import torch"], capture_output=True).returncode == 0


def peer(mode, config, threads, dtype, batch=0):
    command = ["/usr/bin/python3", PEER, "--mode", mode, "--config", config, "--threads", str(threads),
               "--dtype", dtype, "--steps", "3", "--batch", str(batch)]
    return run_json(command, {"ATEN_CPU_CAPABILITY": "avx512"} if dtype == "bf16" else None)


def ratio(ours, theirs, key):
    pairs = [a[key] / b[key] for a, b in zip(ours, theirs) if a and b]
    return round(statistics.median(pairs), 3) if pairs else None


def median_row(rows, key):
    rows = sorted((r for r in rows if r), key=lambda r: r[key])
    return dict(rows[len(rows) // 2]) if rows else None


def train(options, with_peer):
    for config in options.configs:
        for threads in options.threads:
            ours = {mode: [] for mode in ("f32", "bf16")}
            theirs = {"fp32": [], "bf16": []}
            for _ in range(options.rounds):
                for mode, rows in ours.items():
                    rows.append(run_json([BUILD / "bench_train", f"config={config}", f"compute={mode}",
                                          f"threads={threads}", "steps=5"]))
                for dtype, rows in theirs.items():
                    if with_peer:
                        rows.append(peer("train", config, threads, dtype))
            for mode, rows in ours.items():
                line = median_row(rows, "tok_s")
                if line is None:
                    continue
                line["ratio_to_torch_f32"] = ratio(rows, theirs["fp32"], "tok_s")
                line["ratio_to_torch_bf16"] = ratio(rows, theirs["bf16"], "tok_s")
                memory = [b["peak_rss_mb"] for b in theirs["fp32"] if b]
                line["memory_to_torch_f32"] = round(line["peak_rss_mb"] / min(memory), 3) if memory else None
                yield line


def decode(options, with_peer):
    for config in options.configs:
        for threads in options.threads:
            for batch in (1, 32):
                ours, theirs = [], []
                for _ in range(options.rounds):
                    ours.append(run_json([BUILD / "bench_decode", f"config={config}", f"batch={batch}",
                                          f"threads={threads}", "steps=3"]))
                    if with_peer:
                        theirs.append(peer("decode", config, threads, "fp32", batch))
                line = median_row(ours, "decode_tok_s")
                if line is None:
                    continue
                line["ratio_to_torch_f32"] = ratio(ours, theirs, "decode_tok_s")
                yield line


def cpu_name():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def describe():
    git = lambda *a: subprocess.run(["git", *a], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {"date": datetime.date.today().isoformat(), "cpu": cpu_name(), "cores": os.cpu_count(),
            "commit": git("rev-parse", "--short", "HEAD"), "changed": bool(git("status", "--porcelain")),
            "load_before": os.getloadavg()[0], "command": "bench/compare.py " + " ".join(sys.argv[1:])}


def show(line):
    name = f"{line['bench']} {line['config']}"
    what = line.get("compute") or f"batch {line['batch']}"
    speed = line.get("tok_s") or line["decode_tok_s"]
    ratios = [f"{line[k]:.2f} x torch {k[15:]}" for k in ("ratio_to_torch_f32", "ratio_to_torch_bf16") if line.get(k)]
    print(f"{name:10} {what:9} {line['threads']} thread(s) {speed:10.0f} tokens/s  {'  '.join(ratios)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="write bench/results/DATE-COMMIT.json")
    parser.add_argument("--only", choices=("train", "decode"))
    parser.add_argument("--configs", default="abc")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with_peer = peer_available()
    if not with_peer:
        print(f"no peer (python3-torch and {PEER.name}): speeds without ratios", file=sys.stderr)
    machine, lines = describe(), []
    for measure in (train, decode):
        if options.only and options.only != measure.__name__:
            continue
        for line in measure(options, with_peer):
            lines.append(line)
            print(json.dumps(line), flush=True) if options.json else show(line)
    if options.save:
        where = ROOT / "bench/results" / f"{machine['date']}-{machine['commit']}.json"
        where.write_text(json.dumps({"machine": machine, "lines": lines}, indent=1) + "\n", encoding="utf-8")
        print(f"written to {where.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
