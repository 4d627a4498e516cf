#!/usr/bin/env python3
"""Rehearse the manifests without a cluster: ./dev rehearsal

Renders the production overlay with the settings of a small run, and runs what it says: each pod in a
network namespace with an address of its own, closed as its NetworkPolicies want it, over TCP with CURVE,
with a Redis that wants its password, secrets as files, the program as process 1 of a read-only root. While
the run goes on, every role is restarted as a rollout does it, each new pod at a new address. Then:

    nothing was lost            retort audit
    nothing has changed         the weights' SHA-256 is that of an undisturbed run on this machine
    everybody left well         exit code 0 within the grace
    nobody was hurt             no liveness probe failed, no process ended by itself

Needs root (network namespaces). --keep leaves the folder; --fast restarts one pod of each role.
"""
import argparse
import json
import os
import random
import re
import signal
import string
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "manifests"))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import render  # noqa: E402
import sample_run  # noqa: E402
from check import make_secrets  # noqa: E402
from cluster import Cluster  # noqa: E402
from kubelet import USER, Container, Node, clean  # noqa: E402
from network import WORLD, Network  # noqa: E402
from patience import patience  # noqa: E402

N_CHUNKS = 12              # of the corpus: the gate lets one after the other through
CHUNK = 60                 # train.chunk_size
TEACHER_KEY = "sk-check"   # what make_secrets() gives to teachers
READY_S = 120              # both of an idle machine: see patience()
RUN_S = 600
PATIENCE_S = 8
LIVENESS_PAUSE_S = 2
ELASTIC = 2                # pods of each elastic role, as an autoscaler would ask for


class Failure(Exception):
    pass


def say(text, *args):
    print("%5.1f s  %s" % (time.monotonic() - say.began, text % args), flush=True)


say.began = time.monotonic()


class Rehearsal:
    def __init__(self, folder, network, cluster, secrets, programs):
        self.network, self.cluster, self.programs, self.folder = network, cluster, programs, folder
        self.node = Node(folder, cluster, secrets, network, programs)
        self.running = {}          # name -> Container
        self.lock = threading.Lock()
        self.hurt = []             # what liveness found
        self.watching = True
        self.stops = []            # (name, exit code, seconds)
        self.gate = os.path.join(folder, "gate")
        self.n_chunks = 0
        self.open_gate(1)

    # ---- pods ----

    def start(self, role, name):
        pod = self.cluster.pod(role)
        space, address = self.network.add_pod(name, role)
        self.network.enforce(space, self.cluster, pod)
        container = Container(self.node, pod, name, pod.main, space)
        container.address = address
        if role == "server":
            self.node.publish("%s.%s" % (name, pod.owner["spec"]["serviceName"]), address)
        elif pod.kind == "StatefulSet":
            self.node.publish(pod.owner["spec"]["serviceName"], address)
        container.start()
        with self.lock:
            self.running[name] = container
        return container

    def start_elastic(self, role):
        word = "".join(random.choice(string.ascii_lowercase) for _ in range(5))
        return self.start(role, "%s-%s" % (role, word))

    def wait_ready(self, container):
        limit = READY_S * patience()
        deadline = time.monotonic() + limit
        said = ""
        while time.monotonic() < deadline:
            if not container.is_up():
                raise Failure("%s ended by itself: %s" % (container.name, container.last_words()))
            passed, said = container.probe("readinessProbe")
            if passed:
                return
            time.sleep(0.2)
        raise Failure("%s was not ready within %d s: %s; %s" % (container.name, limit, said, container.last_words()))

    def stop(self, container):
        with self.lock:
            del self.running[container.name]
        code, seconds = container.stop()
        self.stops.append((container.name, code, seconds))
        self.network.drop(container.space)
        if code != 0:
            raise Failure("%s left with exit code %d after %.1f s: %s" % (container.name, code, seconds, container.last_words()))
        return seconds

    def by_role(self, role):
        with self.lock:
            return [c for c in self.running.values() if c.pod.role == role]

    def watch(self):
        """Liveness probes of everybody, for as long as the rehearsal goes on."""
        while self.watching:
            with self.lock:
                known = list(self.running.values())
            for container in known:
                if not self.watching or time.monotonic() - container.began < 5:
                    continue
                passed, said = container.probe("livenessProbe")
                with self.lock:
                    still = container.name in self.running
                if not passed and still:
                    container.failures += 1
                    if container.failures >= container.container["livenessProbe"].get("failureThreshold", 3):
                        self.hurt.append("%s: liveness failed: %s" % (container.name, said))
                else:
                    container.failures = 0
            time.sleep(LIVENESS_PAUSE_S)

    # ---- the run ----

    def stats(self):
        coordinator = self.by_role("coordinator")
        if not coordinator:
            return None
        with open(os.path.join(self.folder, "secrets", "http.keys"), encoding="utf-8") as f:
            answer = coordinator[0].get(8080, "/api/stats", f.readline().strip())
        return json.loads(answer[1]) if answer is not None and answer[0] == 200 else None

    def wait_until(self, what, test, seconds):
        deadline = time.monotonic() + seconds * patience()
        while time.monotonic() < deadline:
            for name, container in list(self.running.items()):
                if not container.is_up():
                    raise Failure("%s ended by itself: %s" % (name, container.last_words()))
            s = self.stats()
            if s is not None and test(s):
                return s
            time.sleep(0.2)
        raise Failure("not within %d s: %s; the coordinator says %s" % (seconds, what, s and (s["doing"], s["step"], s["problem"])))

    def open_gate(self, n):
        """Let the teacher's server answer the first n chunks of the corpus."""
        self.n_chunks = n
        with open(self.gate + ".new", "w", encoding="utf-8") as f:
            f.write(str(n * CHUNK))
        os.rename(self.gate + ".new", self.gate)

    def get_going(self, what):
        """Give the run work, and see it begin: what is restarted then is restarted in the middle of it."""
        key = (lambda s: s["rows"]["labelled"]) if what == "labels" else (lambda s: s["step"])
        before = key(self.wait_until("any answer", lambda s: True, RUN_S))
        opened = []

        def moves(s):
            # A lease that came back may wait behind teachers that wait at the gate: let them through too.
            if (not opened or time.monotonic() - opened[-1] > PATIENCE_S) and self.n_chunks < N_CHUNKS:
                self.open_gate(self.n_chunks + 1)
                opened.append(time.monotonic())
            return key(s) > before

        self.wait_until("more " + what, moves, RUN_S)

    def start_all(self):
        for role in ("redis", "coordinator"):
            self.start(role, role + "-0")
        for i in range(self.cluster.pod("server").replicas):
            self.start("server", "server-%d" % i)
        for role in ("student", "teacher"):
            for _ in range(ELASTIC):
                self.start_elastic(role)
        for container in list(self.running.values()):
            self.wait_ready(container)

    def roll_elastic(self, role, n):
        """As a Deployment: the new pod is ready before the old one is told to leave."""
        for old in self.by_role(role)[:n]:
            fresh = self.start_elastic(role)
            self.wait_ready(fresh)
            say("%s -> %s at %s; drained in %.1f s", old.name, fresh.name, fresh.address, self.stop(old))

    def roll_stateful(self, role, n):
        """As a StatefulSet: from the highest number down, the same name at a new address."""
        for old in sorted(self.by_role(role), key=lambda c: c.name, reverse=True)[:n]:
            seconds = self.stop(old)
            os.rename(old.folder, "%s.%s" % (old.folder, old.address))
            fresh = self.start(role, old.name)
            self.wait_ready(fresh)
            say("%s: %s -> %s; drained in %.1f s", old.name, old.address, fresh.address, seconds)

    def finish_job(self):
        """The containers of the CronJob `finish`, one after the other, in a pod without a way out."""
        job = next(p for p in self.cluster.pods if p.role == "finish")
        for i, container in enumerate(job.containers):
            name = "finish-%d" % i
            space, _ = self.network.add_pod(name, "finish")
            self.network.enforce(space, self.cluster, job)
            running = Container(self.node, job, name, container, space)
            running.start()
            code = running.process.wait(300)
            self.network.drop(space)
            if code != 0:
                raise Failure("%s: exit code %d: %s" % (container["name"], code, running.last_words()))

    def denied(self):
        """Packets that the network rules dropped, by pod."""
        found = {}
        for container in self.running.values():
            done = subprocess.run(["ip", "netns", "exec", container.space, "nft", "list", "counters"], capture_output=True, text=True)
            n = sum(int(x) for x in re.findall(r"packets (\d+)", done.stdout))
            if n:
                found[container.name] = n
        return found

    def end_all(self):
        self.watching = False
        for container in list(self.running.values()):
            self.stop(container)

    def kill_all(self):
        self.watching = False
        for container in list(self.running.values()):
            container.kill()


def undisturbed(retort, space, settings, folder, inputs):
    """The same run on this machine by `retort run`: its summary."""
    import yaml
    settings = {k: v for k, v in settings.items() if k not in ("queue", "net", "launch")}
    settings["run_dir"] = os.path.join(folder, "run")
    settings["corpus"]["files"] = [inputs["corpus"]]
    settings["eval"]["files"] = [inputs["test"]]
    settings["teacher"].update(base_url="http://127.0.0.1:8000/v1", api_key="file:" + inputs["key"])
    settings["cache"] = {"dir": "off"}
    os.makedirs(folder)
    path = os.path.join(folder, "retort.yaml")
    with open(path, "w", encoding="utf-8") as f:
        yaml.safe_dump(settings, f)
    # As bare as a pod's environment: OPENBLAS_CORETYPE, for one, changes the last bits.
    done = subprocess.run(["ip", "netns", "exec", space, retort, "run", "--config", path], cwd=folder, capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"]})
    if done.returncode != 0:
        raise Failure("the undisturbed run ended with %d: %s" % (done.returncode, done.stderr[-800:]))
    with open(os.path.join(folder, "run", "summary.json"), encoding="utf-8") as f:
        return json.load(f)


def check_same(rehearsal, base, settings):
    """audit, dataset and weights against the undisturbed run."""
    run_dir = settings["run_dir"].replace("/work", rehearsal.node.volume("retort-work"), 1)
    config = os.path.join(rehearsal.folder, "audit.yaml")
    with open(os.path.join(run_dir, "config.yaml"), encoding="utf-8") as f:
        text = f.read().replace("/work/", rehearsal.node.volume("retort-work") + "/")
    with open(config, "w", encoding="utf-8") as f:
        f.write(text)
    audit = subprocess.run([rehearsal.programs["retort"], "audit", "--config", config], capture_output=True, text=True)
    if audit.returncode != 0:
        raise Failure("audit: %s%s" % (audit.stdout, audit.stderr))
    with open(os.path.join(run_dir, "result.json"), encoding="utf-8") as f:
        result = json.load(f)
    weights = subprocess.run(["sha256sum", os.path.join(run_dir, "student", "model.safetensors")], capture_output=True, text=True,
                             check=True).stdout.split()[0]
    for what, found, expected in (("dataset_sha256", result["dataset_sha256"], base["dataset_sha256"]),
                                  ("weights_sha256", weights, base["weights_sha256"])):
        if found != expected:
            raise Failure("%s: found %s, the undisturbed run has %s" % (what, found, expected))
    return result, weights


def make_inputs(folder, programs, n_rows):
    inputs = {name: os.path.join(folder, "inputs", name + ".jsonl") for name in ("corpus", "test")}
    inputs["key"] = os.path.join(folder, "teacher.key")
    os.makedirs(os.path.join(folder, "inputs"))
    sample_run.write_recorded(inputs["corpus"], programs["problems"], n_rows)
    with open(inputs["test"], "w", encoding="utf-8") as f:
        subprocess.run([programs["problems"], "test", "20"], stdout=f, check=True)
    return inputs


def start_teacher_api(space, inputs, gate):
    api = subprocess.Popen(["ip", "netns", "exec", space, sys.executable, os.path.join(HERE, "teacher_api.py"), inputs["corpus"],
                            TEACHER_KEY, WORLD + ".5:443", gate, "127.0.0.1:8000", "-"], stdout=subprocess.PIPE, text=True)
    if api.stdout.readline() != "listening\n":
        raise Failure("the teacher's server did not start")
    return api


def rehearse(folder, network, args, programs):
    secrets = make_secrets(programs["retort"], folder)
    cluster = Cluster(render.kustomize(os.path.join(HERE, "overlay")))
    settings = render.read_file(os.path.join(HERE, "overlay", "retort.yaml"))[0]
    inputs = make_inputs(folder, programs, N_CHUNKS * CHUNK)
    world = network.add_world()
    rehearsal = Rehearsal(folder, network, cluster, secrets, programs)
    api = start_teacher_api(world, inputs, rehearsal.gate)
    try:
        base = undisturbed(programs["retort"], world, json.loads(json.dumps(settings)), os.path.join(folder, "base"), inputs)
        say("the undisturbed run: %d labelled, %d steps, weights %s", base["labelled"], base["steps"], base["weights_sha256"][:12])
        for name in ("corpus", "test"):
            target = os.path.join(rehearsal.node.volume("retort-work"), name + ".jsonl")
            with open(inputs[name], "rb") as source, open(target, "wb") as f:
                f.write(source.read())
            os.chown(target, USER, USER)
        perform(rehearsal, args)
        rehearsal.finish_job()
        result, weights = check_same(rehearsal, base, settings)
        say("audit closes: %d labelled, %d rejected; weights %s, as undisturbed; %d rewinds", result["labelled"],
            result["rejected_total"], weights[:12], result["rewinds"])
        rehearsal.end_all()
        slowest = max(rehearsal.stops, key=lambda s: s[2])
        say("%d pods were stopped, all with exit code 0, the slowest (%s) in %.1f s", len(rehearsal.stops), slowest[0], slowest[2])
    finally:
        rehearsal.kill_all()
        api.terminate()
        api.wait()


def perform(rehearsal, args):
    n = 1 if args.fast else 99
    rehearsal.start_all()
    say("%d pods are ready, network rules %s", len(rehearsal.running), "enforced" if rehearsal.network.has_nft else "not enforced (no nft)")
    threading.Thread(target=rehearsal.watch, daemon=True).start()
    for what, roll, role in (("labels", rehearsal.roll_elastic, "teacher"), ("steps", rehearsal.roll_elastic, "student"),
                             ("steps", rehearsal.roll_stateful, "server"), ("steps", rehearsal.roll_stateful, "coordinator"),
                             ("steps", rehearsal.roll_stateful, "redis")):
        rehearsal.get_going(what)
        roll(role, n)
    rehearsal.open_gate(N_CHUNKS)
    s = rehearsal.wait_until("the end of the run", lambda s: s["doing"] == "finished", RUN_S)
    denied = rehearsal.denied()
    say("finished at step %d; everybody stays; %s packets dropped by the rules", s["step"], sum(denied.values()) or "no")
    if rehearsal.hurt:
        raise Failure("; ".join(rehearsal.hurt))


def main():
    parser = argparse.ArgumentParser(prog="./dev rehearsal", description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="restart one pod of each role")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and files")
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("rehearsal: skipped, it needs root for network namespaces", file=sys.stderr)
        return 77
    build = os.path.join(ROOT, "build", "release")
    programs = {"retort": os.path.abspath(os.environ.get("RETORT") or os.path.join(build, "retort"))}
    programs["problems"] = os.environ.get("PROBLEMS") or os.path.join(os.path.dirname(programs["retort"]), "arithmetic-problems")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of `finally`
    folder = tempfile.mkdtemp(prefix="retort-rehearsal.")
    os.chmod(folder, 0o755)
    network = Network("rr%d" % os.getpid())
    try:
        rehearse(folder, network, args, programs)
        return 0
    except Failure as e:
        print("rehearsal: %s" % e, file=sys.stderr)
        args.keep = True
        return 1
    finally:
        network.close()
        if args.keep:
            print("files are in %s" % folder, file=sys.stderr)
        else:
            clean(folder)


if __name__ == "__main__":
    sys.exit(main())
