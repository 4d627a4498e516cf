"""Addresses for pods: one network namespace each, joined by a bridge that has a namespace of its own, so
that nothing of the machine's own network is touched. All of it goes with close().

Each role has a network of its own, 10.77.ROLE.0/24, so the rules that the manifests' NetworkPolicies
come down to can be written once for a pod: nft in its namespace drops everything else.
"""
import ctypes
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "manifests"))
import policy  # noqa: E402

ROLES = ("redis", "coordinator", "server", "student", "teacher", "finish")
CLONE_NEWNET = 0x40000000
WORLD = "203.0.113"  # of documentation (RFC 5737): the teacher's server lives there


def command(*words, stdin=None):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(words), done.stderr.strip()))
    return done.stdout


def connect_in(space, port, timeout_s):
    """A connection to 127.0.0.1:port inside a namespace. A socket stays where it was made; the thread comes
    back."""
    libc = ctypes.CDLL(None, use_errno=True)
    home, away = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open("/run/netns/" + space, os.O_RDONLY)
    try:
        if libc.setns(away, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + space)
        try:
            return socket.create_connection(("127.0.0.1", port), timeout_s)
        finally:
            libc.setns(home, CLONE_NEWNET)
    finally:
        os.close(home)
        os.close(away)


class Network:
    def __init__(self, tag):
        self.tag = tag
        self.spaces = []
        self.n_links = 0
        self.next_host = dict.fromkeys(ROLES, 10)
        self.has_nft = shutil.which("nft") is not None
        self.middle = self._space("net")
        command("ip", "-n", self.middle, "link", "add", "br0", "type", "bridge")
        command("ip", "-n", self.middle, "link", "set", "br0", "up")

    def _space(self, name):
        space = "%s-%s" % (self.tag, name)
        command("ip", "netns", "add", space)
        self.spaces.append(space)
        # What IPv6 says on its own would be counted as packets that the rules dropped.
        command("ip", "netns", "exec", space, "sh", "-c",
                "for c in all default; do echo 1 > /proc/sys/net/ipv6/conf/$c/disable_ipv6; done")
        command("ip", "-n", space, "link", "set", "lo", "up")
        return space

    def _join(self, space, *addresses):
        self.n_links += 1
        outer = "v%d" % self.n_links
        command("ip", "-n", self.middle, "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
        command("ip", "-n", self.middle, "link", "set", outer, "master", "br0", "up")
        for address in addresses:
            command("ip", "-n", space, "addr", "add", address, "dev", "eth0")
        command("ip", "-n", space, "link", "set", "eth0", "up")

    def add_world(self):
        """A namespace outside of the cluster: it and the pods reach each other by a route on the wire."""
        space = self._space("world")
        self._join(space, WORLD + ".5/24")
        command("ip", "-n", space, "route", "add", "10.77.0.0/16", "dev", "eth0")
        return space

    def add_pod(self, name, role):
        """A namespace with an address that no pod had before."""
        space = self._space(name)
        address = "10.77.%d.%d" % (ROLES.index(role), self.next_host[role])
        self.next_host[role] += 1
        self._join(space, address + "/16")
        command("ip", "-n", space, "route", "add", WORLD + ".0/24", "dev", "eth0")
        return space, address

    def drop(self, space):
        self.spaces.remove(space)
        command("ip", "netns", "del", space)

    def close(self):
        for space in reversed(self.spaces):
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        self.spaces = []

    def enforce(self, space, cluster, pod):
        """What the NetworkPolicies of `cluster` let this pod do, as rules of its namespace."""
        if self.has_nft:
            command("ip", "netns", "exec", space, "nft", "-f", "-", stdin=rules_of(cluster, pod))


def subnet(role):
    return "10.77.%d.0/24" % ROLES.index(role)


def rules_of(cluster, pod):
    others = [p for p in cluster.pods if p.role in ROLES and p is not pod]
    into = ["ip saddr %s tcp dport %d accept" % (subnet(o.role), port)
            for o in others for port in pod.ports().values() if policy.allowed(cluster, o, pod, port)[1]]
    out = ["ip daddr %s tcp dport %d accept" % (subnet(o.role), port)
           for o in others for port in o.ports().values() if policy.allowed(cluster, pod, o, port)[0]]
    for spec in policy.policies_for(cluster, pod.labels, "Egress"):
        for rule in spec.get("egress", []):
            for block in (p["ipBlock"] for p in rule.get("to") or [] if "ipBlock" in p):
                ports = ", ".join(str(p["port"]) for p in rule["ports"])
                out += ["ip daddr { %s } drop" % ", ".join(block.get("except", []))] if block.get("except") else []
                out.append("ip daddr %s tcp dport { %s } accept" % (block["cidr"], ports))
    always = ["iif lo accept", "oif lo accept", "ct state established,related accept"]
    chain = "  chain %s {\n    type filter hook %s priority 0; policy drop;\n    %s\n    counter name denied_%s drop\n  }\n"
    return "table inet pod {\n  counter denied_input { }\n  counter denied_output { }\n" + \
        chain % ("input", "input", "\n    ".join([always[0], always[2]] + into), "input") + \
        chain % ("output", "output", "\n    ".join([always[1], always[2]] + out), "output") + "}\n"
