"""Strict validation of Kubernetes objects against the API's own OpenAPI file (Swagger 2).

The file describes what an API server accepts; a server refuses unknown fields only when it is asked
to. Here every field must be known, of its type and its form: `livenesProbe` and a cpu of `abc` are
findings. Kinds that the API does not know (KEDA, the Prometheus operator) come from small schemas of
our own in schemas/, written the same way.
"""
import json
import lzma
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
REF = "#/definitions/"

QUANTITY = re.compile(r"[+-]?(\d+|\d+\.\d*|\.\d+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

# The OpenAPI file names the values of such fields in prose only.
CHOICES = {
    "Container.imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "PodSpec.restartPolicy": ("Always", "OnFailure", "Never"),
    "ServicePort.protocol": ("TCP", "UDP", "SCTP"),
    "ContainerPort.protocol": ("TCP", "UDP", "SCTP"),
    "NetworkPolicyPort.protocol": ("TCP", "UDP", "SCTP"),
    "NetworkPolicySpec.policyTypes": ("Ingress", "Egress"),
    "StatefulSetSpec.podManagementPolicy": ("OrderedReady", "Parallel"),
    "PersistentVolumeClaimSpec.accessModes": ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"),
    "SeccompProfile.type": ("RuntimeDefault", "Localhost", "Unconfined"),
    "TopologySpreadConstraint.whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
    "LabelSelectorRequirement.operator": ("In", "NotIn", "Exists", "DoesNotExist"),
    "MetricTarget.type": ("Utilization", "Value", "AverageValue"),
    "MetricSpec.type": ("Resource", "Pods", "Object", "External", "ContainerResource"),
    "HPAScalingPolicy.type": ("Pods", "Percent"),
    "CronJobSpec.concurrencyPolicy": ("Allow", "Forbid", "Replace"),
    "PodSecurityContext.fsGroupChangePolicy": ("OnRootMismatch", "Always"),
    "HTTPGetAction.scheme": ("HTTP", "HTTPS"),
    "PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy": ("IfHealthyBudget", "AlwaysAllow"),
}
PORT_FIELDS = ("port", "containerPort", "hostPort", "nodePort", "targetPort")


class Schemas:
    """The definitions by name, and which of them describes an apiVersion and kind."""

    def __init__(self, openapi_path):
        opener = lzma.open if openapi_path.endswith(".xz") else open
        with opener(openapi_path, "rt", encoding="utf-8") as f:
            self.definitions = json.load(f)["definitions"]
        for name in sorted(os.listdir(os.path.join(HERE, "schemas"))):
            with open(os.path.join(HERE, "schemas", name), encoding="utf-8") as f:
                self.definitions.update(json.load(f)["definitions"])
        self.by_kind = {}
        for name, schema in self.definitions.items():
            for gvk in schema.get("x-kubernetes-group-version-kind", []):
                version = "/".join(filter(None, (gvk["group"], gvk["version"])))
                self.by_kind[version, gvk["kind"]] = name

    def check(self, obj):
        """Findings about one object, as texts `path: what was found, what was expected`."""
        key = (obj.get("apiVersion"), obj.get("kind"))
        if key not in self.by_kind:
            return ["kind %s of %s is unknown to the API" % (key[1], key[0])]
        findings = []
        self._walk(obj, {"$ref": REF + self.by_kind[key]}, "", "", findings)
        check_names(obj, findings)
        return findings

    def _walk(self, value, schema, path, field, out):
        name = ""
        if "$ref" in schema:
            name = schema["$ref"][len(REF):]
            schema = self.definitions[name]
        short = name.rsplit(".", 1)[-1]
        if short == "Quantity":
            return self._quantity(value, path, out)
        if short == "IntOrString":
            return self._int_or_string(value, path, out)
        kind = schema.get("type", "object" if "properties" in schema else None)
        if value is None:
            out.append("%s: found nothing, expected %s" % (path, kind or "a value"))
        elif kind == "object":
            self._object(value, schema, path, short, out)
        elif kind == "array":
            self._array(value, schema, path, field, out)
        elif kind is not None:
            self._scalar(value, schema, kind, path, field, short, out)

    def _object(self, value, schema, path, short, out):
        if not isinstance(value, dict):
            out.append("%s: found %s, expected an object" % (path, shown(value)))
            return
        properties = schema.get("properties")
        more = schema.get("additionalProperties")
        for key, item in value.items():
            at = "%s.%s" % (path, key) if path else str(key)
            if properties is not None and key in properties:
                self._walk(item, properties[key], at, "%s.%s" % (short, key), out)
            elif isinstance(more, dict):
                self._walk(item, more, at, "", out)
            elif properties is not None:
                out.append("%s: is no field of %s%s" % (at, short or "this object", nearest(key, properties)))
        for key in schema.get("required", []):
            if key not in value:
                out.append("%s: lacks %s" % (path or short, key))

    def _array(self, value, schema, path, field, out):
        if not isinstance(value, list):
            out.append("%s: found %s, expected a list" % (path, shown(value)))
            return
        for i, item in enumerate(value):
            self._walk(item, schema["items"], "%s[%d]" % (path, i), field, out)
        keys = schema.get("x-kubernetes-list-map-keys")
        if not keys:
            return
        seen = set()
        for i, item in enumerate(value):
            # A port without a protocol is one of TCP.
            key = tuple(item.get(k, "TCP" if k == "protocol" else None) for k in keys) if isinstance(item, dict) else i
            if key in seen:
                out.append("%s[%d]: is there twice (%s)" % (path, i, ", ".join("%s %s" % kv for kv in zip(keys, key))))
            seen.add(key)

    @staticmethod
    def _scalar(value, schema, kind, path, field, short, out):
        good = {"string": isinstance(value, str), "boolean": isinstance(value, bool),
                "integer": isinstance(value, int) and not isinstance(value, bool),
                "number": isinstance(value, (int, float)) and not isinstance(value, bool)}[kind]
        if not good:
            out.append("%s: found %s, expected a value of type %s" % (path, shown(value), kind))
            return
        choices = schema.get("enum") or CHOICES.get(field)
        if choices and value not in choices:
            out.append("%s: found %s, expected one of %s" % (path, shown(value), ", ".join(map(str, choices))))
        if short == "Time" and not TIME.fullmatch(value):
            out.append("%s: found %s, expected a time" % (path, shown(value)))
        if field.rsplit(".", 1)[-1] in PORT_FIELDS and kind == "integer" and not 1 <= value <= 65535:
            out.append("%s: found %s, expected a port from 1 to 65535" % (path, value))
        if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
            out.append("%s: found %s, expected the form %s" % (path, shown(value), schema["pattern"]))
        if kind == "integer" and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            out.append("%s: found %s, expected %s to %s" % (path, value, schema.get("minimum", ""), schema.get("maximum", "")))

    @staticmethod
    def _quantity(value, path, out):
        text = str(value)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)) or not QUANTITY.fullmatch(text):
            out.append("%s: found %s, expected a quantity such as 500m or 2Gi" % (path, shown(value)))

    @staticmethod
    def _int_or_string(value, path, out):
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            out.append("%s: found %s, expected a number or a text" % (path, shown(value)))
        elif isinstance(value, str) and not re.fullmatch(r"\d+%|[a-z0-9]([-a-z0-9]*[a-z0-9])?", value):
            out.append("%s: found %s, expected a number, a share such as 50%%, or a name" % (path, shown(value)))


def check_names(obj, out):
    """Names and labels have forms that the schema does not tell."""
    meta = obj.get("metadata") or {}
    form = DNS_LABEL if obj.get("kind") in ("Service", "Namespace") else DNS_NAME
    if not form.fullmatch(str(meta.get("name", ""))):
        out.append("metadata.name: found %s, expected small letters, digits and '-'" % shown(meta.get("name")))
    for labels in label_maps(obj):
        for key, value in labels.items():
            if not LABEL_KEY.fullmatch(str(key)) or not LABEL_VALUE.fullmatch(str(value)):
                out.append("label %s: found %s, expected at most 63 letters, digits, '-', '_' and '.'" % (key, shown(value)))


def label_maps(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("labels", "matchLabels") and isinstance(value, dict):
                yield value
            else:
                yield from label_maps(value)
    elif isinstance(node, list):
        for value in node:
            yield from label_maps(value)


def nearest(word, known):
    import difflib
    close = difflib.get_close_matches(str(word), list(known), 1)
    return "; did you mean %s?" % close[0] if close else ""


def shown(value):
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
