#!/usr/bin/env python3
"""report.py RESULTS.jsonl PAGE.md: the figures of the last run of the fault tests, a line for each row
of the matrix, between the markers of the page."""
import json
import sys

BEGIN, END = "<!-- figures: written by ./dev faults --report -->", "<!-- end of figures -->"

ROWS = {
    1: "kill -9 of teachers", 2: "kill -9 of students", 3: "kill -9 of shards of the parameter server",
    4: "kill -9 of the coordinator", 5: "kill -9 of everything at once", 6: "Redis killed, flushed, set back",
    7: "disk full", 8: "network partitions", 9: "SIGSTOP longer than a lease", 10: "slow consumers",
    11: "leases shorter than the work", 12: "poison examples", 13: "corrupt bytes on the wire",
    14: "corrupt files", 15: "strangers: keys, floods, garbage", 16: "clocks that jump",
    17: "two processes with one identity", 18: "SIGTERM to each role", 19: "scaling in mid-run",
    20: "metrics against the truth", 21: "the order of writes, syncs and renames",
}


def line(row, results):
    cases = [r for r in results if r["row"] == row]
    if not cases:
        return f"| {row} | {ROWS[row]} | not run | | | | |"
    n_good = sum(r["ok"] for r in cases)
    verdict = "green" if n_good == len(cases) else "**red**"
    return (f"| {row} | {ROWS[row]} | {verdict}, {n_good} of {len(cases)} | {sum(int(r['kills']) for r in cases)} | "
            f"{max(r['recovery_s'] for r in cases):.1f} | {sum(r['repeats'] for r in cases)} | {sum(r['rewinds'] for r in cases)} |")


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        results = [json.loads(text) for text in f]
    page = open(sys.argv[2], encoding="utf-8").read()
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    table = ["| # | fault | cases | strikes survived | longest recovery, s | repeats dropped | rewinds |",
             "|---|---|---|---|---|---|---|"]
    table += [line(row, results) for row in ROWS]
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(head + BEGIN + "\n" + "\n".join(table) + "\n" + END + tail)


main()
