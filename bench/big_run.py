#!/usr/bin/env python3
"""A run of very many short examples on this machine: what it takes in memory and time, and whether it stays so.

    bench/big_run.py [--rows 1000000] [--teachers 1] [--stage label|all] [--parts 10] [--json]

Makes the corpus and the recorded answers (sums, always the same), starts Redis, coordinator and teachers as processes,
kills the coordinator once in the middle with SIGKILL, starts it again, and has the run audited. Standard output gets one
line of JSON and a table: rows a second of each tenth of the corpus, with the coordinator's processor time, resident memory of each process, seconds
until the coordinator was ready at first and again. Before that a run of --base-rows gives the part of the coordinator's memory that
does not depend on the rows: bytes an example are what is above it, divided by the rows.

`--max-bytes N` ends with code 1 when the coordinator took more than N bytes an example, `--max-spread X` when the slowest
tenth was slower than X times the fastest (without the one with the kill), and every run fails that does not close its audit.
Needs redis-server, and about 700 bytes of disk a row in --folder (default: the system's folder for temporary files).
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RETORT = os.path.join(os.environ.get("RT_BUILD_DIR", os.path.join(SOURCE, "build/release")), "retort")
LINES_AT_ONCE = 20000

CONFIG = """name: big
run_dir: run
seed: 3
task: {{name: sums, answer: number, markers: ["The answer is"]}}
corpus: {{files: [rows.jsonl], input: "{{question}}"}}
teacher: {{backend: recorded, files: [rows.jsonl], match_field: "{{question}}", text_field: "{{text}}"}}
label: {{shard_size: {shard_size}, smoke_rows: 0}}
tokenizer: {{kind: bpe, vocab_size: 300, split_digits: true, sample_max: 20000}}
student: {{d_model: 32, n_layers: 1, n_heads: 2, n_kv_heads: 2, d_ff: 64, seq_len_max: 128}}
train: {{steps: {steps}, chunk_size: {chunk_size}, micro_batches: 4, micro_batch_tokens: 2048, eval_every: {eval_every}}}
net: {{coordinator: "tcp://127.0.0.1:{port}", heartbeat_ms: 500, dead_after_ms: 30000}}
queue: {{url: "unix:{redis}"}}
launch: {{teachers: {teachers}, students: 1, servers: 1}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_rows(path, n):
    """Row i asks for i + k; no two alike."""
    with open(path, "w", encoding="ascii") as f:
        for first in range(0, n, LINES_AT_ONCE):
            f.write("".join(
                f'{{"question":"{i}+{i * 7919 % 1000}=","text":"{i} and {i * 7919 % 1000} make {i + i * 7919 % 1000}. '
                f'The answer is {i + i * 7919 % 1000}"}}\n'
                for i in range(first, min(n, first + LINES_AT_ONCE))))


def memory_of(pid):
    """Resident bytes of a process, its highest, and its own pages alone; None when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            fields = dict(line.split(":", 1) for line in f if line.startswith(("VmRSS", "VmHWM", "RssAnon")))
        return {name: int(fields[key].split()[0]) * 1024
                for name, key in (("rss", "VmRSS"), ("peak", "VmHWM"), ("anon", "RssAnon"))}
    except (OSError, KeyError, ValueError):
        return None


TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """Seconds of processor time that a process has had; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S
    except (OSError, IndexError, ValueError):
        return None


def redis_memory(path):
    """used_memory of Redis itself, and its peak."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(path)
        s.sendall(b"INFO memory\r\n")
        text = b""
        while b"used_memory_peak:" not in text or not text.endswith(b"\r\n"):
            got = s.recv(65536)
            if not got:
                break
            text += got
    values = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return int(values["used_memory"]), int(values["used_memory_peak"])


class Run:
    """One run in a folder of its own; everything it starts is ended by its process id."""

    def __init__(self, folder, rows, options):
        self.folder, self.rows, self.options = folder, rows, options
        self.processes, self.samples, self.peaks, self.cpu = {}, [], {}, {}
        self.cpu_before = {}  # of earlier lives
        self.redis = os.path.join(folder, "redis.sock")
        os.makedirs(folder)
        write_rows(os.path.join(folder, "rows.jsonl"), rows)
        with open(os.path.join(folder, "retort.yaml"), "w", encoding="ascii") as f:
            f.write(CONFIG.format(port=free_port(), redis=self.redis, teachers=options.teachers, steps=options.steps,
                                  shard_size=options.shard_size, chunk_size=options.chunk_size,
                                  eval_every=max(1, options.steps // 2)))

    def start(self, name, *command):
        log = open(os.path.join(self.folder, name + ".log"), "ab")
        self.processes[name] = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        log.close()

    def retort(self, name, *args):
        self.start(name, RETORT, args[0], "--config", "retort.yaml", *args[1:])

    def start_coordinator(self):
        """Seconds until it answers, and of its processor's time."""
        begin = time.monotonic()
        where = os.path.join(self.folder, "run", "coordinator.json")
        if os.path.exists(where):
            os.unlink(where)
        self.retort("coordinator", "coordinator", "--stage", self.options.stage)
        while self.stats() is None:
            self.check("coordinator")
            self.sample_memory()
            time.sleep(0.02)
        return round(time.monotonic() - begin, 2), round(cpu_of(self.processes["coordinator"].pid) or 0, 2)

    def check(self, name):
        code = self.processes[name].poll()
        if code not in (None, 0):
            with open(os.path.join(self.folder, name + ".log"), encoding="utf-8", errors="replace") as f:
                sys.exit(f"{name} ended with {code}: " + "".join(f.readlines()[-5:]))

    def stats(self):
        try:
            with open(os.path.join(self.folder, "run", "coordinator.json"), encoding="utf-8") as f:
                address = json.load(f)["http"]
            with urllib.request.urlopen(f"http://{address}/api/stats", timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError, KeyError):
            return None

    def sample_memory(self):
        for name, process in self.processes.items():
            now = memory_of(process.pid) if process.poll() is None else None
            if now is None:
                continue
            kept = self.peaks.setdefault(name, {"rss": 0, "peak": 0, "anon": 0})
            kept["rss"] = now["rss"]
            for key in ("peak", "anon"):
                kept[key] = max(kept[key], now[key])
            self.cpu[name] = self.cpu_before.get(name, 0) + (cpu_of(process.pid) or 0)

    def see(self):
        """Rows that are in the dataset now, noted with the time; None without an answer."""
        self.sample_memory()
        stats = self.stats()
        if stats is None:
            return None
        done = stats["rows"]["labelled"] + stats["rows"]["rejected"]
        self.samples.append((time.monotonic(), done, self.cpu.get("coordinator", 0)))
        return done

    def kill_coordinator(self):
        """Kill it, start it; seconds until it answers, and until it archives again."""
        before = self.see() or 0
        begin = time.monotonic()
        self.cpu_before["coordinator"] = self.cpu["coordinator"]
        self.processes["coordinator"].kill()
        self.processes["coordinator"].wait()
        ready, cpu = self.start_coordinator()
        while (self.see() or 0) <= before:
            self.check("coordinator")
            time.sleep(0.05)
        return {"at_rows": before, "ready_s": ready, "cpu_s": cpu, "first_row_s": round(time.monotonic() - begin, 2),
                "from": begin, "to": time.monotonic()}

    def start_all(self):
        self.start("redis", "redis-server", "--port", "0", "--unixsocket", self.redis, "--save", "", "--appendonly", "no",
                   "--dir", self.folder)
        startup = self.start_coordinator()
        for i in range(self.options.teachers):
            self.retort(f"teacher-{i}", "teacher", "--name", f"teacher-{i}")
        if self.options.stage == "all":
            self.retort("server-0", "server", "--shard", "0")
            self.retort("student-0", "student", "--name", "student-0")
        return startup

    def go(self, kill_at):
        """The whole run: figures as a dictionary."""
        ready, cpu = self.start_all()
        figures = {"rows": self.rows, "startup_s": ready, "startup_cpu_s": cpu}
        begin = time.monotonic()
        redis_peak, next_redis = 0, 0
        while self.processes["coordinator"].poll() is None:
            done = self.see()
            if done is not None and kill_at is not None and done >= kill_at:
                figures["restart"], kill_at = self.kill_coordinator(), None
            if time.monotonic() >= next_redis:
                redis_peak, next_redis = max(redis_peak, redis_memory(self.redis)[1]), time.monotonic() + 5
            time.sleep(0.2 if self.rows < 1000000 else 1)
        self.check("coordinator")
        labelled = [t for t, n, _ in self.samples if n >= self.rows]
        last = labelled[0] if labelled else time.monotonic()
        figures["label_s"] = round(last - begin, 1)
        figures["end_s"] = round(time.monotonic() - last, 1)
        figures["redis_used_peak"] = redis_peak
        figures["memory"] = self.peaks
        figures["cpu_s"] = {name: round(seconds, 1) for name, seconds in self.cpu.items()}
        return figures

    def crossing(self, n):
        """When row n was archived, between two looks, and the coordinator's processor time by then."""
        t0, n0, cpu0 = self.samples[0]
        for t, k, cpu in self.samples:
            if k >= n:
                share = 1 if k == n0 else (n - n0) / (k - n0)
                return t0 + (t - t0) * share, cpu0 + (cpu - cpu0) * share
            t0, n0, cpu0 = t, k, cpu
        return t0, cpu0

    def parts(self, n_parts, restart):
        """Rows a second of each part, and the coordinator's microseconds a row; the time without it does not count."""
        result = []
        for i in range(n_parts):
            first, last = self.rows * i // n_parts, self.rows * (i + 1) // n_parts
            (begin, cpu0), (end, cpu) = self.crossing(max(first, 1)), self.crossing(last)
            broken = restart is not None and begin < restart["to"] and end > restart["from"]
            if broken:
                end -= min(end, restart["to"]) - max(begin, restart["from"])
            result.append({"rows": last, "rows_per_s": round((last - first) / max(end - begin, 1e-9)),
                           "cpu_us_per_row": round((cpu - cpu0) / (last - first) * 1e6, 1), "restart": broken})
        return result

    def audit(self):
        begin = time.monotonic()
        process = subprocess.Popen([RETORT, "audit", "--config", "retort.yaml", "--json"], cwd=self.folder,
                                   stdout=subprocess.PIPE)
        peak, cpu = {"peak": 0}, 0
        self.processes["audit"] = process
        while process.poll() is None:
            now = memory_of(process.pid)
            peak = now if now is not None and now["peak"] >= peak["peak"] else peak
            cpu = max(cpu, cpu_of(process.pid) or 0)
            time.sleep(0.02)
        result = json.loads(process.stdout.read())
        keep = ("closes", "rows", "examples", "labelled", "rejected", "pending", "dataset_sha256")
        return {"seconds": round(time.monotonic() - begin, 1), "cpu_s": round(cpu, 1), "peak": peak["peak"], **{key: result[key] for key in keep}}

    def close(self):
        for process in reversed(list(self.processes.values())):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def measure(folder, rows, options, kill=None):
    run = Run(folder, rows, options)
    try:
        figures = run.go(rows // 2 if kill else None)
        restart = figures.get("restart")
        figures["parts"] = run.parts(options.parts, restart)
        if restart is not None:
            del restart["from"], restart["to"]
        figures["disk"] = sum(os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(folder)
                              for name in names if not name.endswith(".sock"))
        if kill is not None:
            figures["audit"] = run.audit()
        return figures
    finally:
        run.close()
        if not options.keep:
            shutil.rmtree(folder)


def table(figures):
    mib = 1 << 20
    lines = ["", "  rows up to    rows/s   coordinator's CPU, us a row"]
    for part in figures["parts"]:
        lines.append(f"  {part['rows']:>10,}  {part['rows_per_s']:>8,}  {part['cpu_us_per_row']:>6}{'   coordinator killed in here' if part['restart'] else ''}")
    lines += ["", "  process         RSS at the end     highest   own pages, MiB"]
    for name, m in figures["memory"].items():
        lines.append(f"  {name:<14}  {m['rss'] / mib:>14.1f}  {m['peak'] / mib:>10.1f}  {m['anon'] / mib:>10.1f}")
    lines.append(f"  {'audit':<14}  {'':>14}  {figures['audit']['peak'] / mib:>10.1f}   in {figures['audit']['seconds']} s")
    lines.append(f"\n  coordinator: {figures['bytes_per_example']} bytes an example above {figures['base_peak'] / mib:.1f} MiB; ready after "
                 f"{figures['startup_s']} s ({figures['startup_cpu_s']} s of processor time)"
                 + (f", after the kill {figures['restart']['ready_s']} s ({figures['restart']['cpu_s']} s)"
                    if "restart" in figures else ""))
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", type=int, default=1000000)
    p.add_argument("--base-rows", type=int, default=2000)
    p.add_argument("--teachers", type=int, default=1)
    p.add_argument("--stage", choices=("label", "all"), default="label")
    p.add_argument("--steps", type=int, default=20, help="of training, with --stage all")
    p.add_argument("--chunk-size", type=int, default=10000)
    p.add_argument("--shard-size", type=int, default=200)
    p.add_argument("--parts", type=int, default=10)
    p.add_argument("--folder", default=tempfile.gettempdir())
    p.add_argument("--no-kill", action="store_true")
    p.add_argument("--keep", action="store_true", help="the folder stays")
    p.add_argument("--json", action="store_true", help="no table")
    p.add_argument("--max-bytes", type=float)
    p.add_argument("--max-spread", type=float)
    options = p.parse_args()
    folder = tempfile.mkdtemp(prefix="retort-big.", dir=options.folder)
    try:
        base = measure(os.path.join(folder, "base"), options.base_rows, options)
        figures = measure(os.path.join(folder, "big"), options.rows, options, not options.no_kill)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    figures["base_peak"] = base["memory"]["coordinator"]["peak"]
    above = figures["memory"]["coordinator"]["peak"] - figures["base_peak"]
    figures["bytes_per_example"] = round(above / (options.rows - options.base_rows), 1)
    rates = [part["rows_per_s"] for part in figures["parts"] if not part["restart"]]
    figures["slowest_to_fastest"] = round(min(rates) / max(rates), 3)
    print(json.dumps({"bench": "big_run", "stage": options.stage, "teachers": options.teachers, **figures}))
    if not options.json:
        print(table(figures))
    audit = figures["audit"]
    if not audit["closes"] or audit["pending"] != 0:
        sys.exit("the audit does not close")
    if options.max_bytes is not None and figures["bytes_per_example"] > options.max_bytes:
        sys.exit(f"{figures['bytes_per_example']} bytes an example, at most {options.max_bytes}")
    if options.max_spread is not None and figures["slowest_to_fastest"] < options.max_spread:
        sys.exit(f"the slowest part has {figures['slowest_to_fastest']} of the fastest's rate, at least {options.max_spread}")


if __name__ == "__main__":
    main()
