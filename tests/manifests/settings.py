"""The settings of a run against the manifests around them, as the real program reads them."""
import functools
import json
import os
import re
import subprocess
import tempfile

from cluster import quantity

ROLES = ("coordinator", "server", "student", "teacher")
READS_REDIS = ("coordinator", "student", "teacher")
FILE_NAME = "retort.yaml"


class Program:
    """The program's answers; each question is asked once, however many manifests lead to it."""

    def __init__(self, path):
        self.path = path
        self.settings = functools.lru_cache(None)(self._settings)
        self.command_fits = functools.lru_cache(None)(self._command_fits)

    def run(self, *args):
        return subprocess.run([self.path, *args], capture_output=True, text=True)

    def _settings(self, text):
        """(settings as a dict, None), or (None, what is wrong)."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, FILE_NAME)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            good = self.run("config", "validate", "--config", path)
            if good.returncode != 0:
                return None, good.stderr.strip().replace(folder + "/", "").replace("\n", " ")
            return json.loads(self.run("config", "print", "--json", "--config", path).stdout), None

    def _command_fits(self, args):
        """Whether the program knows this command line: `--help` is answered after the options are read."""
        done = self.run(*args, "--help")
        return None if done.returncode == 0 else done.stderr.strip().splitlines()[0]


def config_of(cluster, pod):
    """(text, mountPath) of the settings that the pod's arguments name."""
    path = option(pod.main.get("args", []), "--config")
    for mount in pod.main.get("volumeMounts", []):
        volume = pod.volumes().get(mount["name"], {})
        if path is not None and path == os.path.join(mount["mountPath"], FILE_NAME) and "configMap" in volume:
            found = cluster.get("ConfigMap", volume["configMap"]["name"])
            if found is not None:
                return (found.get("data") or {}).get(FILE_NAME)
    return None


def option(args, name):
    """Value of --name=VALUE or --name VALUE."""
    for i, word in enumerate(args):
        if word.startswith(name + "="):
            return word[len(name) + 1:]
        if word == name and i + 1 < len(args):
            return args[i + 1]
    return None


def expand(text, pod, ordinal=0):
    """$(NAME) as a kubelet expands it."""
    values = {}
    for entry in pod.main.get("env", []):
        field = (entry.get("valueFrom") or {}).get("fieldRef", {}).get("fieldPath")
        suffix = str(ordinal) if pod.kind == "StatefulSet" else "abcde"
        values[entry["name"]] = "%s-%s" % (pod.name, suffix) if field == "metadata.name" else entry.get("value", "")
    return re.sub(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)", lambda m: values.get(m[1], m[0]), text)


def commands_are_known(cluster, _secrets, program):
    for pod in cluster.pods:
        for c in pod.containers:
            lines = []
            if not c.get("command") and c["image"].rsplit("/", 1)[-1].startswith("retort"):
                lines.append([expand(a, pod) for a in c.get("args", [])])
            for name in ("startupProbe", "livenessProbe", "readinessProbe"):
                words = c.get(name, {}).get("exec", {}).get("command", [])
                if words and words[0].rsplit("/", 1)[-1] == "retort":
                    lines.append(words[1:])
            for words in lines:
                wrong = program.command_fits(tuple(words))
                if wrong:
                    yield "%s: retort %s: %s" % (pod.where, " ".join(words), wrong)
                if any("$(" in w for w in words):
                    yield "%s: %s names a variable that the pod has not" % (pod.where, " ".join(words))


def settings_fit(cluster, secrets, program):
    texts = {}
    for role in ROLES:
        pod = cluster.pod(role)
        if pod is None:
            yield "there is no %s" % role
            continue
        text = config_of(cluster, pod)
        if text is None:
            yield "%s: --config names no %s of a ConfigMap that is mounted there" % (pod.where, FILE_NAME)
        else:
            texts[role] = text
    if len(texts) < len(ROLES):
        return
    if len(set(texts.values())) > 1:
        yield "the roles do not read the same settings"
    settings, wrong = program.settings(texts["coordinator"])
    if settings is None:
        yield "ConfigMap: %s" % wrong
        return
    for check in (addresses_fit, numbers_fit, paths_fit, secrets_fit, scale_fits):
        yield from check(cluster, secrets, settings)


def port_of(endpoint):
    return endpoint.rsplit(":", 1)[-1]


def host_of(endpoint):
    return endpoint.split("//", 1)[-1].rsplit(":", 1)[0]


def addresses_fit(cluster, _secrets, c):
    net = c["net"]
    services = {s["metadata"]["name"]: s for s in cluster.all("Service")}
    for key, url in (("net.coordinator", net["coordinator"]), ("queue.url", c["queue"]["url"])):
        service = services.get(host_of(url))
        if service is None:
            yield "%s: %s names %s, which is no Service" % (key, url, host_of(url))
        elif port_of(url) not in [str(p["port"]) for p in service["spec"]["ports"]]:
            yield "%s: %s names a port that Service %s does not have" % (key, url, host_of(url))
    for role, key, name in (("coordinator", "coordinator_bind", "control"), ("coordinator", "http", "http"), ("server", "server_bind", "param")):
        opened = cluster.pod(role).ports().get(name)
        if port_of(net[key]) != str(opened):
            yield "net.%s: found %s, but the pods of %s open %s as %s" % (key, net[key], role, opened, name)
    server = cluster.pod("server")
    expected = "tcp://%s-{shard}.%s:%s" % (server.name, server.owner["spec"].get("serviceName"), server.ports().get("param"))
    if net["server_advertise"] != expected:
        yield "net.server_advertise: found %s, expected %s" % (net["server_advertise"], expected)


def numbers_fit(cluster, _secrets, c):
    server = cluster.pod("server")
    if c["launch"]["servers"] != server.replicas:
        yield "launch.servers is %d, but StatefulSet/%s has %d replicas" % (c["launch"]["servers"], server.name, server.replicas)
    if cluster.pod("coordinator").replicas != 1:
        yield "StatefulSet/coordinator: found %d replicas, expected 1" % cluster.pod("coordinator").replicas
    for role in ("student", "teacher"):
        pod = cluster.pod(role)
        cpu = quantity(pod.main["resources"].get("requests", {}).get("cpu", 0)) or 0
        computes = role == "student" or c["teacher"]["backend"] == "native"
        if computes and cpu < c["threads"]:
            yield "%s: requests %g cpu, but `threads` is %d" % (pod.where, cpu, c["threads"])
    if c["net"]["shared_memory"]:
        yield "net.shared_memory: found true, expected false: pods do not see each other's memory"
    grace = cluster.pod("student").spec.get("terminationGracePeriodSeconds", 30) * 1000
    if grace < 2 * c["net"]["request_timeout_ms"]:
        yield "net.request_timeout_ms: %d ms leave no time to repeat a request within a grace of %d ms" % (
            c["net"]["request_timeout_ms"], grace)


def mount_of(pod, path):
    """The mount that holds a path (the longest one), or None."""
    fits = [m for m in pod.main.get("volumeMounts", []) if path == m["mountPath"] or path.startswith(m["mountPath"] + "/")]
    return max(fits, key=lambda m: len(m["mountPath"]), default=None)


def paths_fit(cluster, _secrets, c):
    run_dir = c["run_dir"]
    for role in ("coordinator", "server", "teacher"):
        pod = cluster.pod(role)
        mount = mount_of(pod, run_dir)
        volume = pod.volumes().get(mount["name"], {}) if mount else {}
        if "persistentVolumeClaim" not in volume or mount.get("readOnly"):
            yield "run_dir: %s writes to %s, which is no volume that lasts and may be written" % (pod.where, run_dir)
    for role in ("server", "student", "teacher"):
        pod = cluster.pod(role)
        path = c["net"]["alive_file"]
        mount = mount_of(pod, path) if path else None
        if mount is None or "emptyDir" not in pod.volumes().get(mount["name"], {}):
            yield "net.alive_file: %s writes to '%s', which is no emptyDir of its own" % (pod.where, path)
        for name in ("livenessProbe", "readinessProbe"):
            asked = option(pod.main.get(name, {}).get("exec", {}).get("command", []), "--file")
            if asked != path:
                yield "%s: %s reads %s, but net.alive_file is %s" % (pod.where, name, asked, path)
    reads = [("coordinator", p) for p in c["corpus"]["files"]]
    if c["teacher"]["backend"] == "native":
        reads.append(("teacher", c["teacher"]["model"]))
    for role, path in reads:
        pod = cluster.pod(role)
        if not path.startswith("/usr/share/retort/") and mount_of(pod, path) is None:
            yield "%s: the settings name %s, which is on none of its volumes" % (pod.where, path)


def file_in_secret(pod, path, secrets):
    """Whether a path is a key of a Secret that is mounted in the pod (an optional one counts)."""
    mount = mount_of(pod, path)
    secret = pod.volumes().get(mount["name"], {}).get("secret") if mount else None
    if secret is None:
        return False
    keys = next((s.get("data") or {} for s in secrets if s["metadata"]["name"] == secret["secretName"]), {})
    names = [i["path"] for i in secret["items"]] if "items" in secret else list(keys)
    return path[len(mount["mountPath"]) + 1:] in names


def secrets_fit(cluster, secrets, c):
    wants = [(role, "queue.password", c["queue"]["password"]) for role in READS_REDIS]
    wants.append(("coordinator", "net.http_key_file", c["net"]["http_key_file"]))
    for role in ROLES:
        wants += [(role, "net.keys", "%s/%s" % (c["net"]["keys"], name)) for name in (role + ".key", "allowed")]
    if c["teacher"]["api_key"]:
        wants.append(("teacher", "teacher.api_key", c["teacher"]["api_key"]))
    for role, key, value in wants:
        path = value[5:] if value.startswith("file:") else value
        if not file_in_secret(cluster.pod(role), path, secrets):
            yield "%s: %s is no file of a Secret in %s" % (key, value or "''", cluster.pod(role).where)
    if not c["queue"]["user"]:
        yield "queue.user: found nothing, but Redis' default user is off"


def scale_fits(cluster, _secrets, c):
    student = cluster.pod("student")
    most, n = cluster.replicas_max(student), c["train"]["micro_batches"]
    if c["train"]["mode"] == "sync" and most > n:
        yield "%s: up to %d students, but train.micro_batches is %d: in sync mode no more can work at once" % (
            student.where, most, n)
    teacher = cluster.pod("teacher")
    flight = c["limits"]["in_flight_max"]
    most = cluster.replicas_max(teacher)
    if c["teacher"]["backend"] == "openai" and flight and most > flight:
        yield "%s: up to %d teachers, but limits.in_flight_max lets only %d requests be under way" % (
            teacher.where, most, flight)


ALL = [commands_are_known, settings_fit]
