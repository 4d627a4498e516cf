"""Every metric that an autoscaler, an alert or a dashboard names must be one that a run exports.

A PromQL expression is not parsed here (promtool does that); its metric names and the label matchers of
each selector are found and held against the text of a real /metrics.
"""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? [^ ]+$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
TARGET_LABELS = {"job", "instance", "namespace", "pod", "service", "endpoint", "container"}
FROM_PROMETHEUS = {"up", "ALERTS", "scrape_duration_seconds"}


class Exported:
    """What a /metrics text exports: name -> label -> values."""

    def __init__(self, text):
        self.labels = {}
        for line in text.splitlines():
            found = SAMPLE.match(line) if not line.startswith("#") else None
            if found:
                labels = self.labels.setdefault(found[1], {})
                for label, _, value in LABEL.findall(found[2] or ""):
                    labels.setdefault(label, set()).add(value)
            elif line.startswith("# TYPE "):
                self.labels.setdefault(line.split()[2], {})


# Values that come and go with the run: a matcher need not meet one that the sample run had.
OPEN_LABELS = {"reason", "worker", "name", "version", "behind", "task"}


def selectors(expr):
    """(metric, [(label, operator, value)]) of every selector in an expression."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', lambda m: '"' + "\x00" * (len(m[0]) - 2) + '"', expr)
    for found in NAME.finditer(text):
        if not found[0].startswith("retort_"):
            continue
        rest = expr[found.end():].lstrip()
        inside = rest[1:text[found.end():].lstrip().find("}")] if rest.startswith("{") else ""
        yield found[0], LABEL.findall(inside)


def findings(where, expr, exported):
    named = list(selectors(expr))
    if not named and not any(re.search(r"\b%s\b" % n, expr) for n in FROM_PROMETHEUS):
        yield "%s: names no metric of a run: %s" % (where, expr)
    for metric, matchers in named:
        if metric not in exported.labels:
            yield "%s: %s is exported by no run" % (where, metric)
            continue
        known = exported.labels[metric]
        for label, operator, value in matchers:
            if label in TARGET_LABELS:
                continue
            if label not in known:
                yield "%s: %s has no label %s" % (where, metric, label)
            elif operator in ("=", "=~") and label not in OPEN_LABELS:
                alternatives = value.split("|") if operator == "=~" and re.fullmatch(r"[\w|]+", value) else [value]
                for one in alternatives:
                    if not any(re.fullmatch(one, v) for v in known[label]):
                        yield "%s: %s never has %s=\"%s\"" % (where, metric, label, one)


def expressions(cluster):
    for o in cluster.all("ScaledObject"):
        for trigger in o["spec"]["triggers"]:
            yield "ScaledObject/%s" % o["metadata"]["name"], trigger["metadata"]["query"]
    for o in cluster.all("PrometheusRule"):
        for group in o["spec"]["groups"]:
            for rule in group["rules"]:
                yield "PrometheusRule/%s %s" % (o["metadata"]["name"], rule.get("alert") or rule.get("record")), rule["expr"]


def queries_are_true(cluster, exported):
    for where, expr in expressions(cluster):
        yield from findings(where, expr, exported)
    for o in cluster.all("ScaledObject"):
        for trigger in o["spec"]["triggers"]:
            for metric, matchers in selectors(trigger["metadata"]["query"]):
                space = [value for label, _, value in matchers if label == "namespace"]
                if space != [cluster.namespace()]:
                    yield "ScaledObject/%s: %s is asked of namespace %s, but the run is in %s" % (
                        o["metadata"]["name"], metric, space or "any", cluster.namespace())


def adapter_is_true(cluster, adapter, exported):
    """External metrics of an HPA are those that prometheus-adapter is told to make."""
    made = {rule["name"]["as"]: rule for rule in adapter["externalRules"]}
    for name, rule in made.items():
        for text in (rule["seriesQuery"], re.sub(r"<<[^>]*>>,?", "", rule["metricsQuery"])):
            yield from findings("adapter-rules.yaml %s" % name, text, exported)
    for o in cluster.all("HorizontalPodAutoscaler"):
        for metric in o["spec"].get("metrics", []):
            if metric["type"] != "External":
                yield "HorizontalPodAutoscaler/%s: scales on %s, expected a backlog (External)" % (
                    o["metadata"]["name"], metric["type"])
            elif metric["external"]["metric"]["name"] not in made:
                yield "HorizontalPodAutoscaler/%s: metric %s is none that adapter-rules.yaml makes" % (
                    o["metadata"]["name"], metric["external"]["metric"]["name"])
