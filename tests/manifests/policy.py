"""NetworkPolicies, evaluated as a cluster would, against the edges that a run needs.

An edge is allowed when a policy of the caller lets it out and one of the called lets it in; a pod that
no policy of a direction selects is open in that direction.
"""
from cluster import selects

# The picture in docs/architecture.md: who calls whom at which port.
EDGES = {
    ("teacher", "coordinator", "control"), ("student", "coordinator", "control"), ("server", "coordinator", "control"),
    ("teacher", "redis", "redis"), ("student", "redis", "redis"), ("coordinator", "redis", "redis"),
    ("student", "server", "param"),
}
WORLD = {"teacher"}  # who may reach the internet, where anybody may


def policies_for(cluster, labels, direction):
    return [p["spec"] for p in cluster.all("NetworkPolicy")
            if selects(p["spec"].get("podSelector"), labels) and direction in p["spec"].get("policyTypes", ["Ingress"])]


def port_fits(rule, port, protocol="TCP"):
    ports = rule.get("ports")
    return ports is None or any(p.get("port") in (None, port) and p.get("protocol", "TCP") == protocol for p in ports)


def peer_fits(peers, labels):
    """A pod of the run itself: rules for other namespaces and for addresses do not mean it."""
    if peers is None:
        return True
    return any("ipBlock" not in p and "namespaceSelector" not in p and selects(p.get("podSelector"), labels) for p in peers)


def allowed(cluster, caller, called, port):
    out = policies_for(cluster, caller.labels, "Egress")
    into = policies_for(cluster, called.labels, "Ingress")
    leaves = not out or any(port_fits(r, port) and peer_fits(r.get("to"), called.labels) for p in out for r in p.get("egress", []))
    enters = not into or any(port_fits(r, port) and peer_fits(r.get("from"), caller.labels)
                             for p in into for r in p.get("ingress", []))
    return leaves, enters


def reaches_world(cluster, pod):
    for policy in policies_for(cluster, pod.labels, "Egress"):
        for rule in policy.get("egress", []):
            peers = rule.get("to")
            if peers is None or any("ipBlock" in p for p in peers):
                return True
    return not policies_for(cluster, pod.labels, "Egress")


def reaches_dns(cluster, pod):
    return any(port_fits(rule, 53, "UDP") and rule.get("ports") is not None
               for policy in policies_for(cluster, pod.labels, "Egress") for rule in policy.get("egress", []))


def edges_are_exact(cluster, _secrets):
    roles = {p.role: p for p in cluster.pods if p.kind in ("StatefulSet", "Deployment")}
    for caller in roles.values():
        for called in roles.values():
            for name, port in called.ports().items():
                leaves, enters = allowed(cluster, caller, called, port)
                wanted = (caller.role, called.role, name) in EDGES
                edge = "%s -> %s:%s" % (caller.role, called.role, port)
                if wanted and not leaves:
                    yield "NetworkPolicy: %s is needed, but nothing lets it out" % edge
                elif wanted and not enters:
                    yield "NetworkPolicy: %s is needed, but nothing lets it in" % edge
                elif not wanted and caller is not called and leaves and enters:
                    yield "NetworkPolicy: %s is allowed, but no edge of the flow" % edge
    for pod in cluster.pods:
        if reaches_world(cluster, pod) and pod.role not in WORLD:
            yield "NetworkPolicy: %s may reach the world; only teachers may" % pod.role
        if not policies_for(cluster, pod.labels, "Ingress"):
            yield "NetworkPolicy: everybody may reach %s; a default-deny is missing" % pod.where
        if pod.role in roles and pod.role != "redis" and not reaches_dns(cluster, pod):
            yield "NetworkPolicy: %s cannot ask for names (port 53)" % pod.role
    for policy in cluster.all("NetworkPolicy"):
        if not any(selects(policy["spec"].get("podSelector"), p.labels) for p in cluster.pods):
            yield "NetworkPolicy/%s: selects no pod" % policy["metadata"]["name"]
