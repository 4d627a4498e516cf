#!/usr/bin/env python3
"""Runs compose.yaml without an engine: crun starts each service from the images that image.sh built.

    compose_run.py --storage FOLDER --runroot FOLDER --work FOLDER [--steps N] [--rows N]

Every container gets a network namespace with an address in each network of its own, a file of hosts, its
secrets, volumes and tmpfs, its user, no capability, a root that cannot be written. Services start when what
they depend on has started, is healthy or is through; they are watched by their own health checks and started
again as `restart` says. Only what compose.yaml of this project uses is understood; anything else is an
error, so that nothing is passed over in silence. No packet leaves the namespaces.

Then it looks at the containers from outside while they work, at Prometheus with each expression of the Grafana
dashboard, and at exit codes in the end. Exit code 1: something was not as it should be; it is named.
Needs root, PyYAML, crun and ip. Everything that was started, mounted or named is gone afterwards.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
DEPLOY = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(DEPLOY, "check"))
import monitoring  # noqa: E402
import yaml  # noqa: E402

SERVICE_KEYS = {"image", "pull_policy", "user", "restart", "read_only", "tmpfs", "cap_drop", "security_opt",
                "working_dir", "volumes", "networks", "stop_grace_period", "healthcheck", "entrypoint", "command",
                "secrets", "depends_on", "ports", "scale", "environment"}
NO_IMAGE = {"grafana"}  # neither a package nor reachable: its files are checked by monitoring.py
PROMETHEUS_EVERY_S = 5
LIMIT_S = 3600
RESTARTS_MAX = 5
failures = []


def complain(text):
    failures.append(text)
    print(f"  NOT AS IT SHOULD BE: {text}", flush=True)


def say(text):
    print(f"  {time.strftime('%H:%M:%S')} {text}", flush=True)


def sh(*args, check=True, **how):
    done = subprocess.run(args, text=True, capture_output=True, **how)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


# compose.yaml

def interpolate(value, env):
    """${NAME:-default} and $$, as compose does it."""
    if isinstance(value, dict):
        return {k: interpolate(v, env) for k, v in value.items()}
    if isinstance(value, list):
        return [interpolate(v, env) for v in value]
    if not isinstance(value, str):
        return value

    def replace(match):
        if match.group(0) == "$$":
            return "$"
        name, default = match.group(1), match.group(2)
        if name not in env and default is None:
            raise RuntimeError(f"compose.yaml: ${{{name}}} is not set and has no default")
        return env.get(name) or default or ""

    return re.sub(r"\$\$|\$\{(\w+)(?::-([^}]*))?\}", replace, value)


def load_compose(folder):
    env = {}
    with open(os.path.join(folder, ".env"), encoding="utf-8") as f:
        env.update(line.strip().split("=", 1) for line in f if "=" in line)
    with open(os.path.join(folder, "compose.yaml"), encoding="utf-8") as f:
        compose = interpolate(yaml.safe_load(f), env)
    for name, service in compose["services"].items():
        unknown = set(service) - SERVICE_KEYS
        if unknown:
            raise RuntimeError(f"service {name}: {', '.join(sorted(unknown))} is not understood here")
    return compose


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text).group(1))


# Images

class Images:
    def __init__(self, storage, runroot):
        self.tool = ["buildah", "--root", storage, "--runroot", runroot, "--storage-driver", "vfs"]
        self.known = {}

    def get(self, name):
        """(folder of the root, configuration of the image). The root is never written."""
        if name not in self.known:
            full = {"retort": "localhost/retort:latest", "redis:7": "docker.io/library/redis:7"}.get(name, f"docker.io/{name}")
            container = sh(*self.tool, "from", "--pull-never", full).stdout.strip()
            folder = sh(*self.tool, "mount", container).stdout.strip()
            config = json.loads(sh(*self.tool, "inspect", "--type", "image", full).stdout)["OCIv1"]["config"]
            self.known[name] = folder, config
        return self.known[name]


# Networks: a hub of bridges, one for each network, and nothing that leads out.

class Net:
    def __init__(self, names, tag):
        self.tag, self.networks, self.n_links = tag, {n: i for i, n in enumerate(names)}, 0
        self.next_host = {n: 10 for n in names}
        self.spaces = []
        self.hub = self.space("hub")
        for name, i in self.networks.items():
            sh("ip", "-n", self.hub, "link", "add", f"br{i}", "type", "bridge")
            sh("ip", "-n", self.hub, "addr", "add", f"10.89.{i}.1/24", "dev", f"br{i}")
            sh("ip", "-n", self.hub, "link", "set", f"br{i}", "up")

    def space(self, name):
        full = f"{self.tag}-{name}"
        sh("ip", "netns", "add", full)
        self.spaces.append(full)
        sh("ip", "-n", full, "link", "set", "lo", "up")
        return full

    def join(self, name, networks):
        """A namespace with an address in each network: (its name, {network: address})."""
        space, addresses = self.space(name), {}
        for k, network in enumerate(networks):
            i, self.n_links = self.networks[network], self.n_links + 1
            address = addresses[network] = f"10.89.{i}.{self.next_host[network]}"
            self.next_host[network] += 1
            sh("ip", "-n", self.hub, "link", "add", f"v{self.n_links}", "type", "veth",
               "peer", "name", f"eth{k}", "netns", space)
            sh("ip", "-n", self.hub, "link", "set", f"v{self.n_links}", "master", f"br{i}", "up")
            sh("ip", "-n", space, "addr", "add", f"{address}/24", "dev", f"eth{k}")
            sh("ip", "-n", space, "link", "set", f"eth{k}", "up")
        return space, addresses

    def close(self):
        for space in self.spaces:
            sh("ip", "netns", "del", space, check=False)


# Containers

def mount(destination, source, kind="bind", options=()):
    return {"destination": destination, "source": source, "type": kind, "options": list(options)}


def masked():
    return {"maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                            "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}


class Container:
    def __init__(self, run, service_name, index):
        self.run, self.service = run, run.compose["services"][service_name]
        self.service_name = service_name
        self.name = f"{service_name}-{index}" if self.service.get("scale", 1) > 1 else service_name
        self.process, self.code, self.restarts = None, None, 0
        self.healthy_at, self.checked_at, self.health, self.looked_at = None, 0.0, "not asked yet", False
        self.space, self.addresses = run.net.join(self.name, self.service["networks"])
        self.root, self.image = run.images.get(self.service["image"])
        self.log = os.path.join(run.work, "logs", f"{self.name}.log")

    def folder(self):
        return self.service.get("working_dir") or self.image.get("WorkingDir") or "/"

    def arguments(self):
        entry = self.service.get("entrypoint", self.image.get("Entrypoint") or [])
        command = self.service.get("command", self.image.get("Cmd") or [])
        return [*entry, *command, *(self.run.extra if self.service["image"] == "retort" else [])]

    def mounts(self):
        out = [mount("/proc", "proc", "proc"),
               mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
               mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
               mount("/dev/shm", "shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
               mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
               mount("/etc/hosts", self.run.hosts_of(self), options=["bind", "ro"])]
        for text in self.service.get("tmpfs", []):
            path, _, option = text.partition(":")
            out.append(mount(path, "tmpfs", "tmpfs", ["nosuid", "nodev", "noexec", option or "mode=1777"]))
        for text in self.service.get("volumes", []):
            source, path, *option = text.split(":")
            out.append(mount(path, self.run.volume(source, path, self.root), options=["rbind", *(option or ["rw"])]))
        for secret in self.service.get("secrets", []):
            name, target = (secret, secret) if isinstance(secret, str) else (secret["source"], secret["target"])
            source = os.path.join(self.run.folder, self.run.compose["secrets"][name]["file"])
            out.append(mount(f"/run/secrets/{target}", source, options=["bind", "ro"]))
        return out

    def bundle(self):
        uid, gid = (int(n) for n in self.service["user"].split(":"))
        env = [*(self.image.get("Env") or ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
               *(f"{k}={v}" for k, v in self.service.get("environment", {}).items())]
        if self.service["cap_drop"] != ["ALL"] or self.service["security_opt"] != ["no-new-privileges:true"]:
            raise RuntimeError(f"{self.name}: expected no capability and no new privileges")
        config = {
            "ociVersion": "1.0.2", "hostname": self.name,
            "root": {"path": self.root, "readonly": self.service["read_only"]},
            "process": {"terminal": False, "user": {"uid": uid, "gid": gid}, "args": self.arguments(), "env": env,
                        "cwd": self.folder(),
                        "noNewPrivileges": True,
                        "capabilities": {k: [] for k in ("bounding", "effective", "inheritable", "permitted", "ambient")}},
            "mounts": self.mounts(),
            "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")] +
                      [{"type": "network", "path": f"/run/netns/{self.space}"}], **masked()},
        }
        folder = os.path.join(self.run.work, "bundles", self.name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)
        return folder

    def start(self):
        sh(*self.run.crun, "delete", "--force", self.name, check=False)
        self.code = None
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.run.crun, "run", "--bundle", self.bundle(), self.name],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        say(f"{self.name} started")

    def poll(self):
        if self.process is None or self.process.poll() is None:
            return
        self.code, self.process = self.process.returncode, None
        say(f"{self.name} left with exit code {self.code}")
        again = self.service["restart"]
        if not self.run.stopping and (again == "unless-stopped" or (again == "on-failure" and self.code != 0)):
            self.restarts += 1
            time.sleep(1)
            self.start()

    def check_health(self, now):
        test = self.service.get("healthcheck", {}).get("test")
        if test is None or self.process is None or now - self.checked_at < seconds(self.service["healthcheck"]["interval"]):
            return
        self.checked_at = now
        words = ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]
        asked = self.exec(*words)
        good, self.health = asked.returncode == 0, (asked.stderr or asked.stdout).strip()
        if good and self.healthy_at is None:
            self.healthy_at = now
            say(f"{self.name} is healthy")
            look_at_container(self)

    def exec(self, *words):
        try:
            return sh(*self.run.crun, "exec", "--user", self.service["user"], "--cwd", self.folder(), "--no-new-privs",
                      self.name, *words, check=False, timeout=60)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, 124, "", "timeout")

    def pid(self):
        return json.loads(sh(*self.run.crun, "state", self.name).stdout)["pid"]

    def stop(self):
        if self.process is None:
            return
        sh(*self.run.crun, "kill", self.name, "TERM", check=False)
        try:
            self.code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            complain(f"{self.name} did not leave within 30 s of SIGTERM")
            sh(*self.run.crun, "kill", self.name, "KILL", check=False)
            self.code = self.process.wait(30)
        self.process = None


# A run of all services

class Run:
    def __init__(self, a):
        self.work, self.stopping, self.extra = os.path.abspath(a.work), False, []
        self.tag = f"rt{os.getpid()}"
        self.crun = ["crun", "--root", os.path.join(self.work, "crun"), "--cgroup-manager=disabled"]
        for name in ("logs", "bundles", "volumes", "hosts"):
            os.makedirs(os.path.join(self.work, name), exist_ok=True)
        self.images = Images(a.storage, a.runroot)
        self.folder = self.copy_of_deploy()
        self.compose = load_compose(self.folder)
        self.net = Net(self.compose["networks"], self.tag)
        self.containers = [Container(self, name, i + 1) for name, service in self.compose["services"].items()
                           if name not in NO_IMAGE for i in range(service.get("scale", 1))]

    def copy_of_deploy(self):
        """deploy/ with secrets of its own, made as a user makes them, by the image's own program."""
        root, _ = self.images.get("retort")
        folder, program = os.path.join(self.work, "deploy"), os.path.join(self.work, "retort")
        os.makedirs(folder, exist_ok=True)
        for name in ("compose.yaml", "secrets.sh"):
            shutil.copy2(os.path.join(DEPLOY, name), folder)
        for name in ("prometheus", "grafana"):
            shutil.copytree(os.path.join(DEPLOY, name), os.path.join(folder, name), dirs_exist_ok=True)
        sh("chmod", "-R", "a+rX", folder)
        libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu/openblas-openmp"
        with open(program, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nexec {root}/lib64/ld-linux-x86-64.so.2 --library-path {libraries} '
                    f'{root}/usr/local/bin/retort "$@"\n')
        os.chmod(program, 0o755)
        sh(os.path.join(folder, "secrets.sh"), env={**os.environ, "RETORT": program})
        return folder

    def hosts_of(self, container):
        path = os.path.join(self.work, "hosts", container.name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"127.0.0.1 localhost\n127.0.0.1 {container.name}\n")
            for other in self.containers:
                for network, address in other.addresses.items():
                    if network in container.addresses:
                        f.write(f"{address} {other.service_name}\n")
                        break
        return path

    def volume(self, source, path, root):
        """A folder of the host, or a named volume, which begins as what the image has at that path."""
        if source.startswith((".", "/")):
            return os.path.join(self.folder, source)
        if source not in (self.compose["volumes"] or {}):
            raise RuntimeError(f"volume {source} is not declared")
        folder = os.path.join(self.work, "volumes", source)
        if not os.path.exists(folder):
            shutil.copytree(root + path, folder, symlinks=True)
            shutil.copystat(root + path, folder)
        return folder

    def of(self, service_name):
        return [c for c in self.containers if c.service_name == service_name]

    def may_start(self, container):
        for name, how in container.service.get("depends_on", {}).items():
            for other in self.of(name):
                if {"service_started": other.process is None and other.code is None,
                        "service_healthy": other.healthy_at is None,
                        "service_completed_successfully": other.process is not None or other.code != 0}[how["condition"]]:
                    return False
        return True

    def turn(self):
        for c in self.containers:
            c.poll()
            if c.process is None and c.code is None and not self.stopping and self.may_start(c):
                c.start()
            c.check_health(time.monotonic())

    def through(self):
        once = [c for c in self.containers if c.service["restart"] == "no"]
        return (all(c.code is not None for c in once) or any(c.code for c in once) or
                any(c.restarts > RESTARTS_MAX for c in self.containers))

    def shorten(self, steps, rows):
        """Fewer steps or rows than the example has, for a try of the image."""
        if steps:
            self.extra += [f"--set=train.steps={steps}", f"--set=train.warmup_steps={min(steps // 4, 100)}",
                           f"--set=train.eval_every={max(steps // 2, 1)}"]
        if rows:
            root, _ = self.images.get("retort")
            folder = self.volume("work", "/work", root)
            with open(f"{root}/usr/share/retort/examples/arithmetic/data/corpus.jsonl", encoding="utf-8") as f:
                lines = [next(f) for _ in range(rows)]
            with open(os.path.join(folder, "corpus.jsonl"), "w", encoding="utf-8") as f:
                f.writelines(lines)
            self.extra += ["--set=corpus.files=[/work/corpus.jsonl]", f"--set=train.chunk_size={min(rows, 2000) // 2}",
                           f"--set=eval.rows_max={max(rows // 10, 50)}"]

    def close(self):
        self.stopping = True
        for c in reversed(self.containers):
            c.stop()
        for c in self.containers:
            sh(*self.crun, "delete", "--force", c.name, check=False)
        self.net.close()


# What is looked at from outside

def look_at_container(c):
    """Process 1 is the program, not root, without a capability, and cannot write its root."""
    c.looked_at = True
    pid = c.pid()
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    wanted = {"retort": "retort", "redis:7": "redis-"}.get(c.service["image"], "prometheus")
    facts = {"process 1": status["NSpid"].split()[-1] == "1", f"program {program}": program.startswith(wanted),
             f"user {status['Uid']}": "0" not in status["Uid"].split(), "no capability": int(status["CapBnd"], 16) == 0,
             "no new privileges": status["NoNewPrivs"] == "1"}
    for path in ("/", "/usr/share", "/etc"):
        tried = c.exec("sh", "-c", f"echo > {path}/written")
        facts[f"{path} read-only"] = tried.returncode != 0 and "Read-only file system" in tried.stderr
    for what, good in facts.items():
        if not good:
            complain(f"{c.name}: not {what}")


# Runs within the namespaces, where Prometheus can be reached: paths as JSON in, answers as JSON out.
ASK = """
import json, sys, urllib.error, urllib.request
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
def ask(path):
    try:
        with urllib.request.urlopen(sys.argv[1] + path, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as e:
        return json.load(e)
    except (OSError, ValueError) as e:
        return {"status": "none", "error": str(e)}
json.dump([ask(path) for path in json.load(sys.stdin)], sys.stdout)
"""


def ask(run, *paths):
    address = next(iter(run.of("prometheus")[0].addresses.values()))
    done = sh("ip", "netns", "exec", run.net.hub, sys.executable, "-c", ASK, f"http://{address}:9090",
              check=False, input=json.dumps(paths))
    return json.loads(done.stdout) if done.returncode == 0 else [{"status": "none", "error": done.stderr}] * len(paths)


def look_at_prometheus(run):
    """The coordinator is scraped, all rules are loaded, and each expression of the dashboard is answered."""
    alerts = monitoring.read_alerts(os.path.join(run.folder, "prometheus", "alerts.yaml"))
    board = monitoring.read_dashboard(os.path.join(run.folder, "grafana", "dashboards", "retort.json"))
    expressions, empty = monitoring.expressions_of(board), []
    plain = [expr.replace("$__rate_interval", "1m").replace("$instance", ".*") for _, expr in expressions]
    targets, groups, *answers = ask(run, "/api/v1/targets", "/api/v1/rules",
                                    *("/api/v1/query?" + urllib.parse.urlencode({"query": q}) for q in plain))
    targets = targets.get("data", {}).get("activeTargets", [])
    if [t["health"] for t in targets] != ["up"]:
        complain(f"Prometheus: targets {[(t['scrapeUrl'], t['health'], t['lastError']) for t in targets]}")
    rules = [r["name"] for g in groups.get("data", {}).get("groups", []) for r in g["rules"]]
    if sorted(rules) != sorted(a["name"] for a in alerts):
        complain(f"Prometheus: {len(rules)} rules of {len(alerts)}")
    for (where, _), answer in zip(expressions, answers):
        if answer.get("status") != "success":
            complain(f"Prometheus: {where}: {answer.get('error', 'no answer')}")
        elif not answer["data"]["result"]:
            empty.append(where)
    say(f"Prometheus: {len(rules)} rules, {len(expressions)} expressions of the dashboard answered, without data: "
        f"{', '.join(empty) or 'none'}")


def look_at_end(run):
    for c in run.containers:
        if c.service["image"] == "retort" and c.code != 0:
            complain(f"{c.name}: exit code {c.code}")
        if "test" in c.service.get("healthcheck", {}) and not c.looked_at:
            complain(f"{c.name}: never healthy: {c.health}")
        if c.restarts:
            complain(f"{c.name}: started again {c.restarts} times")
    folder = run.volume("work", "/work", "")
    for name in ("result.json", "student/model.safetensors"):
        if not os.path.exists(os.path.join(folder, "runs/arithmetic", name)):
            complain(f"the run left no {name}")
    for c in run.of("audit") + run.of("export") + run.of("eval"):
        print(f"  --- {c.name}")
        with open(c.log, encoding="utf-8") as f:
            print("".join(f"  {line}" for line in f.readlines()[-30:]), end="")


def training(run):
    """Steps are applied, as Prometheus knows it: the right moment to look at everybody."""
    result = ask(run, "/api/v1/query?query=retort_version")[0].get("data", {}).get("result", [])
    return bool(result) and float(result[0]["value"][1]) > 0


def go(run):
    begun, asked, looked = time.monotonic(), 0.0, False
    while not run.through():
        run.turn()
        now = time.monotonic()
        if now - begun > LIMIT_S:
            complain(f"not through after {LIMIT_S} s")
            break
        prometheus = run.of("prometheus")[0]
        if not looked and prometheus.process is not None and now - asked > PROMETHEUS_EVERY_S:
            asked = now
            if training(run):
                looked = True
                look_at_container(prometheus)
                look_at_prometheus(run)
        time.sleep(0.2)
    if not looked:
        complain("the run ended before Prometheus saw a step")
    leave = time.monotonic() + 30
    while time.monotonic() < leave and any(c.process for c in run.containers if c.service["image"] == "retort"):
        run.turn()
        time.sleep(0.2)
    say(f"{sum(c.looked_at for c in run.containers)} containers were looked at from outside while they worked")
    say(f"through after {time.monotonic() - begun:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("storage", "runroot", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rows", type=int)
    a = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    shutil.rmtree(a.work, ignore_errors=True)
    run = Run(a)
    try:
        run.shorten(a.steps, a.rows)
        go(run)
    finally:
        run.close()
    look_at_end(run)
    print(f"  {len(run.containers)} containers, {len(failures)} complaints")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
