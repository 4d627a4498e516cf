#!/usr/bin/env python3
"""Check the Kubernetes manifests without a cluster: ./dev manifests

    render     every overlay by kubectl kustomize
    schema     each object strictly against the API's own OpenAPI file, and CRDs against schemas/
    rules      names, ports, labels, selectors, volumes, secrets, limits, security, network edges
    settings   the run's settings by the real program, and against the manifests around them
    metrics    what autoscalers and alerts ask for is what a real run exports
    broken     deliberately broken manifests, each refused for its reason

Environment: RT_K8S_OPENAPI (the OpenAPI file, by default data/k8s-openapi.json.xz of the folder `shared`
beside the checkout; the schema part is skipped where it is absent), KUBECTL, RETORT and
PROBLEMS (the programs built by cmake).
"""
import argparse
import copy
import os
import re
import subprocess
import sys
import tempfile

import metrics
import policy
import render
import rules
import sample_run
import settings
from cluster import Cluster
from openapi import Schemas

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
K8S = os.path.join(ROOT, "deploy", "k8s")
OVERLAYS = ("local", "production", "production-hpa")
ALERTS = os.path.join(ROOT, "deploy", "prometheus", "alerts.yaml")
RULE_FILE = os.path.join(K8S, "addons", "monitoring", "prometheus-rule.yaml")
RULE_HEAD = """\
# Made from deploy/prometheus/alerts.yaml by `./dev manifests --write`; not to be edited.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: retort
  labels: {app.kubernetes.io/part-of: retort}
spec:
"""


def openapi_path():
    shared = os.environ.get("RT_SHARED") or os.path.join(os.path.dirname(ROOT), "shared")
    return os.environ.get("RT_K8S_OPENAPI") or os.path.join(shared, "data", "k8s-openapi.json.xz")


class Checker:
    def __init__(self, schemas, program, secrets, samples):
        self.schemas, self.program, self.secrets, self.samples = schemas, program, secrets, samples
        self.adapter = render.read_file(os.path.join(K8S, "addons", "hpa", "adapter-rules.yaml"))[0]

    def schema_findings(self, objects):
        for o in objects:
            for finding in self.schemas.check(o) if self.schemas else ():
                yield "%s: %s" % (render.name_of(o), finding)

    def findings(self, objects):
        """All that is wrong; what the schema refuses is not looked at further."""
        found = list(self.schema_findings(objects))
        if found:
            return found
        cluster = Cluster(objects)
        for rule in rules.ALL + [policy.edges_are_exact]:
            found += rule(cluster, self.secrets)
        for rule in settings.ALL:
            found += rule(cluster, self.secrets, self.program)
        found += metrics.queries_are_true(cluster, self.samples)
        found += metrics.adapter_is_true(cluster, self.adapter, self.samples)
        return found


def make_secrets(retort, folder):
    """Secrets as make-secrets.sh and kubectl make them, thrown away after the check."""
    key = os.path.join(folder, "teacher.key")
    with open(key, "w", encoding="utf-8") as f:
        f.write("sk-check\n")
    out = os.path.join(folder, "secrets")
    subprocess.run([os.path.join(K8S, "make-secrets.sh"), out, "--teacher-key", key], check=True,
                   stdout=subprocess.DEVNULL, env=dict(os.environ, RETORT=retort))
    return render.kustomize(out)


def rule_text():
    """The PrometheusRule that holds the alerts of deploy/prometheus/alerts.yaml, letter by letter."""
    with open(ALERTS, encoding="utf-8") as f:
        lines = f.read().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("groups:"))
    return RULE_HEAD + "".join(("  " + line if line else "") + "\n" for line in lines[start:])


def stale_rules():
    if not os.path.exists(ALERTS):
        return []
    if os.path.exists(RULE_FILE):
        with open(RULE_FILE, encoding="utf-8") as f:
            if f.read() == rule_text():
                return []
    return ["addons/monitoring/prometheus-rule.yaml is stale: run ./dev manifests --write"]


# ---- deliberately broken manifests ----

def place(node, path):
    """(container, key) that a list of keys and indices leads to."""
    for key in path[:-1]:
        node = node[key]
    return node, path[-1]


def edit(objects, change):
    if "add" in change:
        objects.append(copy.deepcopy(change["add"]))
        return
    target = next(o for o in objects if render.name_of(o) == change["at"]
                  or (change["at"].endswith("*") and render.name_of(o).startswith(change["at"][:-1])))
    if change.get("drop"):
        objects.remove(target)
        return
    node, key = place(target, change["path"])
    if "replace" in change:
        old, new = change["replace"]
        assert old in node[key], "%s: the text %r is not there" % (change["at"], old)
        node[key] = node[key].replace(old, new)
    elif "set" in change:
        node[key] = change["set"]
    elif "append" in change:
        node[key].append(change["append"])
    else:
        del node[key]


def broken_cases(checker, rendered):
    """Yield (name, what went wrong or None) for each case of broken.yaml."""
    for case in render.read_file(os.path.join(HERE, "broken.yaml"))[0]:
        if case.get("needs") == "schema" and not checker.schemas:
            continue
        objects = copy.deepcopy(rendered[case.get("overlay", "production")])
        for change in case["edits"]:
            edit(objects, change)
        found = checker.findings(objects)
        if not found:
            yield case["name"], "it was accepted"
        elif not any(re.search(case["expect"], f) for f in found):
            yield case["name"], "refused, but not for /%s/: %s" % (case["expect"], "; ".join(found[:3]))
        else:
            yield case["name"], None


# ---- the command ----

def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev manifests", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make prometheus-rule.yaml from the alerts, then check")
    parser.add_argument("--metrics", metavar="FILE", help="a saved /metrics in the place of a run made for it")
    return parser.parse_args()


def samples_of(args, program, folder):
    """What a run exports, {metric: [labels of each sample]}: of a saved page, or of a run made for it."""
    if args.metrics:
        return metrics.monitoring.read_metrics([args.metrics])[0]
    problems = os.environ.get("PROBLEMS") or os.path.join(os.path.dirname(program.path), "arithmetic-problems")
    run = os.path.join(folder, "sample")
    os.mkdir(run)
    page = os.path.join(folder, "metrics.txt")
    with open(page, "w", encoding="utf-8") as f:
        f.write(sample_run.metrics_of(program.path, problems, run))
    return metrics.monitoring.read_metrics([page])[0]


def render_all():
    rendered = {name: render.kustomize(os.path.join(K8S, "overlays", name)) for name in OVERLAYS}
    loader = render.read_file(os.path.join(K8S, "loader.yaml"))
    for o in loader:
        o["metadata"]["namespace"] = "retort"
    rendered["local"] += loader
    return rendered


def main():
    args = parse_arguments()
    if args.write:
        with open(RULE_FILE, "w", encoding="utf-8") as f:
            f.write(rule_text())
    retort = os.path.abspath(os.environ.get("RETORT") or os.path.join(ROOT, "build", "release", "retort"))
    if not os.access(retort, os.X_OK):
        raise RuntimeError("%s is not there; ./dev build makes it, RETORT names another" % retort)
    program = settings.Program(retort)
    path = openapi_path()
    schemas = Schemas(path) if os.path.exists(path) else None
    print("schema   %s" % (path if schemas else "skipped: no %s; RT_K8S_OPENAPI names the API's OpenAPI file" % path))
    n_bad = 0
    with tempfile.TemporaryDirectory(prefix="retort-manifests.") as folder:
        secrets = make_secrets(retort, folder)
        samples = samples_of(args, program, folder)
        print("metrics  %d names, from %s" % (len(samples), args.metrics or "a run made for it"))
        checker = Checker(schemas, program, secrets, samples)
        rendered = render_all()
        for finding in stale_rules() + list(checker.schema_findings(secrets)):
            print("FOUND    %s" % finding)
            n_bad += 1
        for name, objects in rendered.items():
            found = checker.findings(objects)
            print("%-8s overlay %s: %d objects%s" % ("ok" if not found else "FOUND", name, len(objects),
                                                     "".join("\n         " + f for f in found)))
            n_bad += len(found)
        if not n_bad:
            cases = list(broken_cases(checker, rendered))
            for name, wrong in cases:
                if wrong:
                    print("FOUND    broken manifest \"%s\": %s" % (name, wrong))
                    n_bad += 1
            print("%-8s %d broken manifests, each refused for its reason" % ("ok" if not n_bad else "FOUND", len(cases)))
    return 1 if n_bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, subprocess.CalledProcessError, OSError) as e:
        print("manifests: %s" % e, file=sys.stderr)
        sys.exit(4)
