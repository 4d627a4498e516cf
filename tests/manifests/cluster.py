"""A rendered set of objects, as the cross-checks look at it: by kind, with its pods."""
import re


class Pod:
    """A pod template and the workload that it comes from."""

    def __init__(self, owner, template, replicas):
        self.owner = owner
        self.kind = owner["kind"]
        self.name = owner["metadata"]["name"]
        self.labels = (template.get("metadata") or {}).get("labels") or {}
        self.spec = template["spec"]
        self.replicas = replicas
        self.role = self.labels.get("app.kubernetes.io/component", "")
        self.where = "%s/%s" % (self.kind, self.name)

    @property
    def containers(self):
        return self.spec.get("initContainers", []) + self.spec.get("containers", [])

    @property
    def main(self):
        return self.spec["containers"][0]

    def ports(self):
        return {p["name"]: p["containerPort"] for c in self.containers for p in c.get("ports", []) if "name" in p}

    def volumes(self):
        return {v["name"]: v for v in self.spec.get("volumes", [])}


class Cluster:
    def __init__(self, objects):
        self.objects = objects
        self.pods = list(self._find_pods())

    def all(self, kind):
        return [o for o in self.objects if o.get("kind") == kind]

    def get(self, kind, name):
        return next((o for o in self.all(kind) if o["metadata"]["name"] == name), None)

    def pod(self, role):
        return next((p for p in self.pods if p.role == role and p.kind in ("StatefulSet", "Deployment")), None)

    def namespace(self):
        spaces = {o["metadata"].get("namespace") for o in self.objects if o["kind"] != "Namespace"}
        return spaces.pop() if len(spaces) == 1 else None

    def scalers(self):
        """(object, kind and name of its target, smallest, largest number of pods)."""
        for o in self.all("ScaledObject"):
            s = o["spec"]
            target = s["scaleTargetRef"]
            yield o, (target.get("kind", "Deployment"), target["name"]), s.get("minReplicaCount", 0), s["maxReplicaCount"]
        for o in self.all("HorizontalPodAutoscaler"):
            s = o["spec"]
            target = s["scaleTargetRef"]
            yield o, (target["kind"], target["name"]), s.get("minReplicas", 1), s["maxReplicas"]

    def replicas_max(self, pod):
        """The most pods of a workload, whatever scales it."""
        largest = [most for _, target, _, most in self.scalers() if target == (pod.kind, pod.name)]
        return max(largest + [pod.replicas])

    def _find_pods(self):
        for o in self.objects:
            spec = o.get("spec") or {}
            if o["kind"] in ("StatefulSet", "Deployment", "DaemonSet", "Job"):
                yield Pod(o, spec["template"], spec.get("replicas", 1))
            elif o["kind"] == "CronJob":
                yield Pod(o, spec["jobTemplate"]["spec"]["template"], 1)
            elif o["kind"] == "Pod":
                yield Pod(o, o, 1)


def selects(selector, labels):
    """Whether a label selector (None: nothing, {}: everything) takes these labels."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions") or []:
        has, value = rule["key"] in labels, labels.get(rule["key"])
        good = {"In": has and value in rule.get("values", []), "NotIn": not has or value not in rule.get("values", []),
                "Exists": has, "DoesNotExist": not has}[rule["operator"]]
        if not good:
            return False
    return True


SUFFIXES = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(value):
    """500m -> 0.5, 2Gi -> 2147483648; None for what is none (the schema has complained already)."""
    found = re.fullmatch(r"([\d.]+)([A-Za-z]*)", str(value))
    return float(found[1]) * SUFFIXES[found[2]] if found and found[2] in SUFFIXES else None
