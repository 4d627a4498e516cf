"""Every metric that an autoscaler or an alert names must be one that a run exports, with the labels that
it asks for. Expressions are read by deploy/check/monitoring.py, which does the same to the dashboard.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "check"))
import monitoring  # noqa: E402


def expressions(cluster):
    for o in cluster.all("ScaledObject"):
        for trigger in o["spec"]["triggers"]:
            yield "ScaledObject/%s" % o["metadata"]["name"], trigger["metadata"]["query"]
    for o in cluster.all("PrometheusRule"):
        for group in o["spec"]["groups"]:
            for rule in group["rules"]:
                yield "PrometheusRule/%s %s" % (o["metadata"]["name"], rule.get("alert") or rule.get("record")), rule["expr"]


def queries_are_true(cluster, samples):
    for where, expr in expressions(cluster):
        yield from monitoring.complaints_of(where, expr, samples)
    for o in cluster.all("ScaledObject"):
        for trigger in o["spec"]["triggers"]:
            for metric, matchers in monitoring.selectors_of(trigger["metadata"]["query"]):
                space = [value for label, _, value in matchers if label == "namespace"]
                if space != [cluster.namespace()]:
                    yield "ScaledObject/%s: %s is asked of namespace %s, but the run is in %s" % (
                        o["metadata"]["name"], metric, space or "any", cluster.namespace())


def adapter_is_true(cluster, adapter, samples):
    """External metrics of an HPA are those that prometheus-adapter is told to make."""
    made = {rule["name"]["as"]: rule for rule in adapter["externalRules"]}
    for name, rule in made.items():
        for text in (rule["seriesQuery"], re.sub(r"<<[^>]*>>,?", "", rule["metricsQuery"])):
            yield from monitoring.complaints_of("adapter-rules.yaml %s" % name, text, samples)
    for o in cluster.all("HorizontalPodAutoscaler"):
        for metric in o["spec"].get("metrics", []):
            if metric["type"] != "External":
                yield "HorizontalPodAutoscaler/%s: scales on %s, expected a backlog (External)" % (
                    o["metadata"]["name"], metric["type"])
            elif metric["external"]["metric"]["name"] not in made:
                yield "HorizontalPodAutoscaler/%s: metric %s is none that adapter-rules.yaml makes" % (
                    o["metadata"]["name"], metric["external"]["metric"]["name"])
