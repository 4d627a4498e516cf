"""Pods as local processes: what a kubelet makes of a rendered pod template, without a container engine.

A pod gets a network namespace with an address of its own, a root file system of its own that is read
only, its volumes where it mounts them, its hostname, environment and command line, the user, and no
capability; its program is process 1. Probes are run in it, and SIGTERM ends it within its grace.
"""
import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "manifests"))
from network import connect_in  # noqa: E402
from settings import expand  # noqa: E402

USER = 10001
PROBE_TIMEOUT_S = 10


class Node:
    """What all pods share: the folder, the volumes, the names."""

    def __init__(self, folder, cluster, secrets, network, programs):
        self.folder, self.cluster, self.network, self.programs = folder, cluster, network, programs
        self.secrets = {s["metadata"]["name"]: s.get("data") or {} for s in secrets}
        self.hosts = os.path.join(folder, "hosts")
        self.names = {}
        os.makedirs(self.volume("retort-work"))
        os.chown(self.volume("retort-work"), USER, USER)
        self.write_hosts()

    def volume(self, claim):
        return os.path.join(self.folder, "volumes", claim)

    def publish(self, name, address):
        """What the cluster's DNS answers; None: no more."""
        if address is None:
            self.names.pop(name, None)
        else:
            self.names[name] = address
        self.write_hosts()

    def write_hosts(self):
        """In place, for pods have this very file mounted, and in one write, padded to one length."""
        lines = ["127.0.0.1 localhost"] + ["%s %s" % (a, n) for n, a in sorted(self.names.items())]
        text = ("\n".join(lines) + "\n").ljust(4096, "\n")
        fd = os.open(self.hosts, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, text.encode(), 0)
        os.close(fd)


class Container:
    """One container of a pod, running."""

    def __init__(self, node, pod, name, container, space):
        self.node, self.pod, self.name, self.container, self.space = node, pod, name, container, space
        self.folder = os.path.join(node.folder, "pods", name)
        os.makedirs(self.folder)
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.began = time.monotonic()
        self.failures = 0  # of liveness, one after the other

    # ---- what it sees ----

    def _root(self):
        root = os.path.join(self.folder, "root")
        for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/share", "usr/local/bin", "proc", "dev", "etc/alternatives"):
            os.makedirs(os.path.join(root, folder))
        for link in ("bin", "sbin", "lib", "lib64"):
            os.symlink("usr/" + link, os.path.join(root, link))
        for name, text in (("etc/hosts", ""), ("etc/resolv.conf", ""), ("etc/nsswitch.conf", "hosts: files\n"),
                           ("etc/passwd", "retort:x:%d:%d::/:/usr/sbin/nologin\n" % (USER, USER)), ("etc/ld.so.cache", "")):
            with open(os.path.join(root, name), "w", encoding="utf-8") as f:
                f.write(text)
        for device in ("null", "zero", "urandom"):
            open(os.path.join(root, "dev", device), "w").close()
        open(os.path.join(root, "usr/local/bin/retort"), "w").close()
        return root

    def _system_mounts(self):
        for folder in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/share", "/etc/alternatives", "/etc/ld.so.cache"):
            yield folder, folder, "ro"
        yield self.node.programs["retort"], "/usr/local/bin/retort", "ro"
        yield self.node.hosts, "/etc/hosts", "ro"
        for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
            yield device, device, "rw"

    def _volume_mounts(self, root):
        volumes = self.pod.volumes()
        for mount in self.container.get("volumeMounts", []):
            source = self._volume(volumes[mount["name"]])
            target = os.path.join(root, mount["mountPath"][1:])
            os.makedirs(target, exist_ok=True)
            yield source, mount["mountPath"], "ro" if mount.get("readOnly") else "rw"

    def _volume(self, volume):
        if "persistentVolumeClaim" in volume:
            return self.node.volume(volume["persistentVolumeClaim"]["claimName"])
        folder = os.path.join(self.folder, "volumes", volume["name"])
        if os.path.isdir(folder):
            return folder
        os.makedirs(folder)
        if "emptyDir" in volume:
            os.chown(folder, USER, USER)
        elif "configMap" in volume:
            for name, text in self.node.cluster.get("ConfigMap", volume["configMap"]["name"])["data"].items():
                self._file(folder, name, text.encode(), 0o444)
        else:
            found = self.node.secrets.get(volume["secret"]["secretName"])
            if found is None and not volume["secret"].get("optional"):
                raise RuntimeError("%s: there is no Secret %s" % (self.name, volume["secret"]["secretName"]))
            for name, data in (found or {}).items():
                self._file(folder, name, base64.b64decode(data), volume["secret"]["defaultMode"])
        return folder

    @staticmethod
    def _file(folder, name, data, mode):
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(data)
        os.chown(path, 0, USER)  # fsGroup
        os.chmod(path, mode)

    # ---- life ----

    def start(self):
        root = self._root()
        mounts, environment = os.path.join(self.folder, "mounts"), os.path.join(self.folder, "environment")
        with open(mounts, "w", encoding="utf-8") as f:
            for entry in [*self._system_mounts(), *self._volume_mounts(root)]:
                f.write("\t".join(entry) + "\n")
        ordinal = self.name.rsplit("-", 1)[-1]
        with open(environment, "w", encoding="utf-8") as f:
            for entry in self.container.get("env", []):
                f.write("%s=%s\n" % (entry["name"], expand("$(%s)" % entry["name"], self.pod, ordinal)))
        # The image's entry point is the program; `command` stands in its place.
        words = self.container.get("command") or ["/usr/local/bin/retort"]
        words = words + [expand(a, self.pod, ordinal) for a in self.container.get("args", [])]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child",
                 os.path.join(HERE, "pod.sh"), root, self.name, str(self.pod.spec["securityContext"]["runAsUser"]),
                 self.container.get("workingDir", "/"), mounts, environment, *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def pid(self):
        """Of process 1, as the machine counts; None before it is there."""
        try:
            with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid), encoding="utf-8") as f:
                children = f.read().split()
            return int(children[0]) if children else None
        except FileNotFoundError:
            return None

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def get(self, port, path, key=None):
        """(status, body) of a GET in the pod's network, as a probe or a port-forward asks; None: no answer."""
        http = HTTPConnection("127.0.0.1", port)
        try:
            http.sock = connect_in(self.space, port, PROBE_TIMEOUT_S)
            http.request("GET", path, headers={"Authorization": "Bearer " + key} if key else {})
            answer = http.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, HTTPException):
            return None
        finally:
            http.close()

    def inside(self, *words):
        """Run a command in the pod, as its user; None when there is no pod to run it in."""
        pid = self.pid()
        if pid is None:
            return None
        enter = ["nsenter", "-t", str(pid), "-m", "-p", "-n", "-u", "-i", "-r", "-w/tmp", "/usr/bin/setpriv", "--reuid", str(USER),
                 "--regid", str(USER), "--clear-groups", "/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/bin"]
        try:
            return subprocess.run([*enter, *words], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None

    def probe(self, name):
        """(passed, what was said) of livenessProbe or readinessProbe."""
        probe = self.container[name]
        ports = {p.get("name"): p["containerPort"] for p in self.container.get("ports", [])}
        if "exec" in probe:
            done = self.inside(*probe["exec"]["command"])
            return (False, "no answer") if done is None else (done.returncode == 0, (done.stdout + done.stderr).strip())
        ask = probe.get("httpGet") or probe["tcpSocket"]
        port = ports.get(ask["port"], ask["port"])
        if "httpGet" in probe:
            status, body = self.get(port, ask["path"]) or (0, "no answer")
            return 200 <= status < 400, body.strip()
        try:
            connect_in(self.space, port, PROBE_TIMEOUT_S).close()
            return True, "connected"
        except OSError as e:
            return False, str(e)

    def stop(self):
        """SIGTERM as a kubelet sends it; (exit code, seconds). SIGKILL when the grace is over."""
        began, pid = time.monotonic(), self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
        try:
            code = self.process.wait(self.pod.spec.get("terminationGracePeriodSeconds", 30))
        except subprocess.TimeoutExpired:
            self.kill()
            code = -signal.SIGKILL
        return code, time.monotonic() - began

    def kill(self):
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def last_words(self, n=5):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-n:]).strip()


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)
