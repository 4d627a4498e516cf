#!/usr/bin/env python3
"""Checks alerts and dashboards against the /metrics of a real run.

    monitoring.py --metrics FILE... --alerts alerts.yaml --tests alerts_test.yaml
                  --dashboard retort.json --runbook docs/operations.md --stats docs/stats.md

--metrics takes Prometheus text as `retort stats --metrics` prints it; several files count together.
Only what follows from the files given is checked:

  * every metric that an expression names has a sample, with the labels, and the values of labels,
    that the expression asks for;
  * every alert has a severity, its texts, a section of the runbook of its own name, and a rule test
    in which it rings; every section of the runbook's list of alerts has an alert;
  * every exported metric is in docs/stats.md, and each documented one is exported;
  * the dashboard is sound: ids are unique, panels do not overlap, each has a title and expressions,
    its queries go to the chosen data source.

With --rules, the dashboard's expressions are printed as a rule file, so that `promtool check rules`
reads each of them as Prometheus will. Python's own library only. Exit code 1: complaints, one a line.
"""
import argparse
import json
import re
import sys

KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right",
            "bool", "offset", "inf", "nan", "start", "end"}
# What Prometheus adds by itself.
BUILT_IN = {"up", "ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds"}
SEVERITIES = {"critical", "warning", "info"}
SELECTOR = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{([^{}]*)\}')
MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')


# Prometheus text and PromQL

def read_metrics(paths):
    """{metric: [labels of each sample]} and the metrics that have a type."""
    samples, declared = {}, set()
    line_of = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$')
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip("\n")
                if line.startswith("# TYPE "):
                    declared.add(line.split()[2])
                if not line or line.startswith("#"):
                    continue
                found = line_of.match(line)
                if not found:
                    sys.exit(f"{path}:{number}: no sample: {line[:100]}")
                labels = {k: v for k, _, v in MATCHER.findall(found.group(2) or "")}
                samples.setdefault(found.group(1), []).append(labels)
    if not samples:
        sys.exit(f"no sample in {' '.join(paths)}")
    for name in declared:  # a histogram's samples have names of their own
        if f"{name}_bucket" in samples and f"{name}_count" in samples:
            samples.setdefault(name, samples[f"{name}_count"])
    return samples, declared


def selectors_of(expr):
    """[(metric, [(label, operator, value)])] of a PromQL expression."""
    found = []

    def take(match):
        matchers = MATCHER.findall(match.group(2))
        name = match.group(1)
        for label, op, value in matchers:
            if label == "__name__" and op == "=":
                name = value
        found.append((name, [m for m in matchers if m[0] != "__name__"]))
        return " "

    rest = re.sub(r"#.*", " ", SELECTOR.sub(take, expr))
    rest = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', " ", rest)
    rest = re.sub(r"\[[^\]]*\]", " ", rest)
    rest = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", rest)
    for match in re.finditer(r"(?<![\w.])([a-zA-Z_:][a-zA-Z0-9_:]*)(\s*\()?", rest):
        word, called = match.groups()
        if called or word.lower() in KEYWORDS or re.fullmatch(r"[smhdwy]|ms", word):
            continue
        found.append((word, []))
    return found


def matches(op, wanted, value):
    if "$" in wanted:  # a variable of the dashboard
        return True
    if op in ("=", "!="):
        return (value == wanted) == (op == "=")
    return bool(re.fullmatch(wanted, value)) == (op == "=~")


# Labels that Prometheus, not the run, puts on a sample.
TARGET_LABELS = {"instance", "job", "namespace", "pod", "service", "endpoint", "container"}


def complaints_of(where, expr, samples):
    named = selectors_of(expr)
    if not named:
        yield f"{where}: no metric in `{expr.strip()}`"
    for metric, matchers in named:
        if metric in BUILT_IN:
            continue
        if metric not in samples:
            yield f"{where}: the run exported no {metric}"
            continue
        own = [m for m in matchers if m[0] not in TARGET_LABELS]
        if not any(all(k in s and matches(op, v, s[k]) for k, op, v in own) for s in samples[metric]):
            asked = ",".join(f'{k}{op}"{v}"' for k, op, v in own)
            yield f"{where}: the run exported no {metric}{{{asked}}}"


# Files

def read_alerts(path):
    """Alerts of a rule file, as far as this project writes YAML: `key: value` and `key: |` blocks."""
    alerts, block, indent = [], None, 0
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            text = line.rstrip("\n")
            depth = len(text) - len(text.lstrip())
            if block is not None and (not text.strip() or depth > indent):
                block.append(text.strip())
                continue
            block = None
            found = re.match(r"\s*(?:- )?(alert|record|expr|for|labels|summary|description|runbook):\s*(.*)$", text)
            if not found:
                continue
            key, value = found.groups()
            if key in ("alert", "record"):
                alerts.append({"name": value, "line": number})
            elif not alerts:
                continue
            elif value in ("|", ">", "|-", ">-"):
                block, indent = [], depth
                alerts[-1][key] = block
            else:
                alerts[-1][key] = value
    for alert in alerts:
        alert["expr"] = "\n".join(alert["expr"]) if isinstance(alert.get("expr"), list) else alert.get("expr", "")
    return alerts


def read_dashboard(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def expressions_of(dashboard):
    """[(where, expr)]: panels, variables and annotations."""
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            found.append((f"panel \"{panel.get('title')}\" {target.get('refId')}", target.get("expr", "")))
    for variable in dashboard.get("templating", {}).get("list", []):
        for metric in re.findall(r"label_values\(([^,()]+),", variable.get("definition", "")):
            found.append((f"variable {variable['name']}", metric))
    for note in dashboard.get("annotations", {}).get("list", []):
        if "expr" in note:
            found.append((f"annotation \"{note['name']}\"", note["expr"]))
    return found


def check_alerts(alerts, samples):
    for alert in alerts:
        where = f"alert {alert['name']}"
        yield from complaints_of(where, alert["expr"], samples)
        severity = re.search(r"severity:\s*(\w+)", alert.get("labels", ""))
        if not severity or severity.group(1) not in SEVERITIES:
            yield f"{where}: its severity is none of {', '.join(sorted(SEVERITIES))}"
        for key in ("summary", "description"):
            if not alert.get(key):
                yield f"{where}: has no {key}"
    names = [a["name"] for a in alerts]
    for name in {n for n in names if names.count(n) > 1}:
        yield f"alert {name}: is there twice"


def check_runbook(alerts, path):
    with open(path, encoding="utf-8") as f:
        sections = set(re.findall(r"^#+ (Retort[A-Z]\w+)\s*$", f.read(), re.M))
    for alert in alerts:
        wanted = f"docs/operations.md#{alert['name'].lower()}"
        if alert["name"] not in sections:
            yield f"alert {alert['name']}: {path} has no section of that name"
        if alert.get("runbook") != wanted:
            yield f"alert {alert['name']}: runbook is {alert.get('runbook')}, expected {wanted}"
    for name in sorted(sections - {a["name"] for a in alerts}):
        yield f"{path}: section {name} is about no alert"


def check_tests(alerts, path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    ringing = set(re.findall(r"labels: '\{alertname=\"(\w+)\"\}', value: 1", text))
    for alert in alerts:
        if alert["name"] not in ringing:
            yield f"alert {alert['name']}: rings in no test of {path}"


def check_stats_page(samples, declared, path):
    with open(path, encoding="utf-8") as f:
        documented = set()
        for line in f:
            if not line.startswith("| `retort_"):
                continue
            first, prefix = line.split("|")[1], ""
            for name in re.findall(r"`([^`{]+)[^`]*`", first):
                # "`retort_leases_granted_total` `…_expired_total`": the dots stand for what is common
                if name.startswith("…"):
                    name = prefix.rsplit("_", name.count("_"))[0] + name[1:]
                else:
                    prefix = name
                documented.add(name)
    for name in sorted(declared - documented):
        yield f"{path}: says nothing of {name}"
    for name in sorted(documented - declared):
        yield f"{path}: tells of {name}, which the run did not export"
    for name in sorted(documented & declared - set(samples)):
        yield f"{name}: has a type and no sample in this run"


def overlap(a, b):
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and
            a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def check_dashboard(dashboard, samples):
    for where, expr in expressions_of(dashboard):
        yield from complaints_of(where, expr, samples)
    panels = dashboard["panels"]
    ids = [p.get("id") for p in panels]
    if len(set(ids)) != len(ids):
        yield "dashboard: two panels have one id"
    sources = {"${" + v["name"] + "}" for v in dashboard["templating"]["list"] if v["type"] == "datasource"}
    for i, panel in enumerate(panels):
        where = f"panel \"{panel.get('title')}\""
        grid = panel["gridPos"]
        if not panel.get("title"):
            yield f"panel {panel.get('id')}: has no title"
        if grid["x"] + grid["w"] > 24:
            yield f"{where}: reaches beyond the 24 columns"
        yield from (f"{where}: lies over \"{other.get('title')}\"" for other in panels[:i]
                    if overlap(grid, other["gridPos"]))
        if panel["type"] != "row" and not panel.get("targets"):
            yield f"{where}: asks nothing"
        refs = [t.get("refId") for t in panel.get("targets", [])]
        if len(set(refs)) != len(refs):
            yield f"{where}: two queries have one refId"
        for target in panel.get("targets", []):
            if target.get("datasource", {}).get("uid") not in sources:
                yield f"{where} {target.get('refId')}: goes to another data source than the chosen one"


def as_rules(dashboard):
    """The dashboard's expressions as recording rules, its variables replaced by what they may be."""
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for i, (_, expr) in enumerate(expressions_of(dashboard)):
        plain = expr.replace("$__rate_interval", "1m").replace("$instance", ".*")
        lines += [f"      - record: dashboard:expression_{i}", f"        expr: {json.dumps(plain)}"]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--metrics", nargs="+", help="Prometheus text of a run")
    for name in ("alerts", "tests", "dashboard", "runbook", "stats"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--rules", action="store_true", help="print the dashboard's expressions as a rule file")
    a = parser.parse_args()
    dashboard = read_dashboard(a.dashboard) if a.dashboard else None
    if a.rules:
        sys.stdout.write(as_rules(dashboard))
        return
    if not a.metrics:
        parser.error("--metrics: the /metrics of a run is needed")
    samples, declared = read_metrics(a.metrics)
    alerts = read_alerts(a.alerts) if a.alerts else []
    complaints = list(check_alerts(alerts, samples))
    if alerts and a.runbook:
        complaints += check_runbook(alerts, a.runbook)
    if alerts and a.tests:
        complaints += check_tests(alerts, a.tests)
    if a.stats:
        complaints += check_stats_page(samples, declared, a.stats)
    if dashboard:
        complaints += check_dashboard(dashboard, samples)
    for line in complaints:
        print(line)
    n = len(alerts) + (len(expressions_of(dashboard)) if dashboard else 0)
    print(f"{n} expressions, {len(samples)} metrics, {len(complaints)} complaints", file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
