#!/usr/bin/env python3
"""Whole benchmarks in one go, paired with PyTorch where it is installed.

    bench/compare.py                       # a table
    bench/compare.py --json                # one line of JSON a measurement
    bench/compare.py --only train --rounds 5 --threads 1 2 --save
    bench/compare.py --only packing --corpus dataset/labels.jsonl

Each round runs our program and the peer one after the other; a ratio is the median of the rounds' ratios,
so what slows the machine for a while slows both. --save adds a file to bench/results with machine, commit and
command. The peer is a script that prints JSON with tok_s or decode_tok_s (RT_PEER, default
../shared/bench/torch_peer.py); without it, or without python3-torch, ratios are left out.

The peer runs as it is installed, and with what it does not find out by itself: OpenBLAS takes a processor that it
does not know for an old one, and PyTorch may leave 512 bits unused. ratio_to_torch_... is to the fastest of
these, ratio_to_torch_..._as_installed to the first; peer_environment says what the fastest was given.
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


def cpu_flags():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def peer_environments():
    """What a peer is run with; the first is how it is installed."""
    flags = cpu_flags()
    core = "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags else None
    found = [{}]
    if core:
        found.append({"OPENBLAS_CORETYPE": core})
    if "avx512f" in flags:
        found.append({"OPENBLAS_CORETYPE": core, "ATEN_CPU_CAPABILITY": "avx512"})
    return found


class Peer:
    """Rounds of one peer in each of its environments."""

    def __init__(self, key, mode, config, threads, dtype, batch=0):
        self.key = key
        self.command = ["/usr/bin/python3", PEER, "--mode", mode, "--config", config, "--threads", str(threads),
                        "--dtype", dtype, "--steps", "3", "--batch", str(batch)]
        self.runs = [(environment, []) for environment in peer_environments()]

    def run(self):
        """One more round, without what took more than twice as long as the fastest: it stays the slower one."""
        best = max(median_speed(rows, self.key) for _, rows in self.runs)
        for environment, rows in self.runs:
            if not rows or 2 * median_speed(rows, self.key) >= best:
                rows.append(run_json(self.command, environment))

    def ratios(self, ours, name):
        """Of our rounds: to the fastest environment, and to the first."""
        fastest = max(self.runs, key=lambda run: median_speed(run[1], self.key))
        best = ratio(ours, fastest[1], self.key)
        if best is None:
            return {}
        return {name: best, name + "_as_installed": ratio(ours, self.runs[0][1], self.key),
                "peer_environment" + name.removeprefix("ratio_to_torch"): fastest[0]}

    def memory_mb(self):
        found = [row["peak_rss_mb"] for _, rows in self.runs for row in rows if row]
        return min(found) if found else None


def median_speed(rows, key):
    found = [row[key] for row in rows if row]
    return statistics.median(found) if found else 0


def ratio(ours, theirs, key):
    pairs = [a[key] / b[key] for a, b in zip(ours, theirs) if a and b]
    return round(statistics.median(pairs), 3) if pairs else None


def median_row(rows, key):
    rows = sorted((r for r in rows if r), key=lambda r: r[key])
    return dict(rows[len(rows) // 2]) if rows else None


def shares_of_products(mode, rows, products):
    """Our speed, divided by what the step's matrix products alone reach: in the kernels of this mode, and in OpenBLAS'."""
    kernels = ("openblas", "onednn") if mode == "f32" else ("bf16",)
    best = [p and {"gflops": max(p[kernel + "_gflops"] for kernel in kernels)} for p in products]
    sgemm = [p and {"gflops": p["openblas_gflops"]} for p in products]
    found = {"share_of_products": ratio(rows, best, "gflops")}
    return found | ({"share_of_sgemm": ratio(rows, sgemm, "gflops")} if mode == "f32" else {})


def train(options, with_peer):
    for config in options.configs:
        for threads in options.threads:
            ours, products = {mode: [] for mode in ("f32", "bf16")}, []
            f32 = Peer("tok_s", "train", config, threads, "fp32")
            bf16 = Peer("tok_s", "train", config, threads, "bf16")
            for _ in range(options.rounds):
                for mode, rows in ours.items():
                    rows.append(run_json([BUILD / "bench_train", f"config={config}", f"compute={mode}",
                                          f"threads={threads}", "steps=5"]))
                products.append(run_json([BUILD / "bench_gemm", f"config={config}", f"threads={threads}", "rounds=5"]))
                for one in (f32, bf16) if with_peer else ():
                    one.run()
            for mode, rows in ours.items():
                line = median_row(rows, "tok_s")
                if line is None:
                    continue
                line |= shares_of_products(mode, rows, products)
                line |= f32.ratios(rows, "ratio_to_torch_f32") | bf16.ratios(rows, "ratio_to_torch_bf16")
                if f32.memory_mb():
                    line["memory_to_torch_f32"] = round(line["peak_rss_mb"] / f32.memory_mb(), 3)
                yield line


def decode(options, with_peer):
    """Our numbers kept in float32 and in bfloat16, the peer's in each; a ratio to the faster of the peer's too."""
    for config in options.configs:
        for threads in options.threads:
            for batch in (1, 32):
                ours = {dtype: [] for dtype in ("f32", "bf16")}
                peers = {dtype: Peer("decode_tok_s", "decode", config, threads, name, batch)
                         for dtype, name in (("f32", "fp32"), ("bf16", "bf16"))}
                for _ in range(options.rounds):
                    for dtype, rows in ours.items():
                        rows.append(run_json([BUILD / "bench_decode", f"config={config}", f"batch={batch}",
                                              f"keep={dtype}", f"threads={threads}", "steps=3"]))
                    for peer in peers.values() if with_peer else ():
                        peer.run()
                for dtype, rows in ours.items():
                    line = median_row(rows, "decode_tok_s")
                    if line is None:
                        continue
                    for name, peer in peers.items():
                        line |= peer.ratios(rows, "ratio_to_torch_" + name)
                    yield line


def packing(options, _):
    for corpus in options.corpus:
        for config in options.configs:
            for threads in options.threads:
                for mode in ("f32", "bf16"):
                    for order in ("random", "length"):
                        line = run_json([BUILD / "bench_packing", f"corpus={corpus}", f"target={options.target}",
                                         f"config={config}", f"compute={mode}", f"threads={threads}", f"order={order}"])
                        if line:
                            yield {"corpus": pathlib.Path(corpus).name} | line


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
    if line["bench"] == "packing":
        print(f"{name:10} {line['compute']:9} {line['threads']} thread(s) {line['tok_s']:10.0f} tokens/s  "
              f"{line['gain']:.2f} x padded, order {line['order']}, {line['corpus']}", flush=True)
        return
    what = line.get("compute") or f"{line['batch']:2} x {line['kept']}"
    speed = line.get("tok_s") or line["decode_tok_s"]
    ratios = []
    for kind in ("f32", "bf16"):
        key = "ratio_to_torch_" + kind
        if line.get(key):
            ratios.append(f"{line[key]:.2f} x torch {kind} ({line[key + '_as_installed']:.2f} as installed)")
    print(f"{name:10} {what:9} {line['threads']} thread(s) {speed:10.0f} tokens/s  {'  '.join(ratios)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="write bench/results/DATE-COMMIT.json")
    parser.add_argument("--only", choices=("train", "decode", "packing"))
    parser.add_argument("--configs", default="abc")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--corpus", nargs="+", default=[],
                        help="labelled texts: what packing gains on their lengths, for each file")
    parser.add_argument("--target", default="{rationale}", help="template of the learnt text in --corpus")
    options = parser.parse_args()
    with_peer = peer_available()
    if not with_peer:
        print(f"no peer (python3-torch and {PEER.name}): speeds without ratios", file=sys.stderr)
    machine, lines = describe(), []
    for measure in (train, decode, packing):
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
