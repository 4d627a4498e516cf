"""Cross-checks: what each object says about the others must be true. A rule is a function that takes
the cluster and its secrets and yields findings as texts `where: what was found, what was expected`."""
from cluster import quantity, selects

GRACE_MIN_S = 30          # the longest drain of a role, teachers that publish what was paid for, with room
SECRET_OWNERS = {         # who may hold what; everything else is a secret in the wrong hands
    "retort-keys-coordinator": {"coordinator"},
    "retort-keys-server": {"server"},
    "retort-keys-student": {"student"},
    "retort-keys-teacher": {"teacher"},
    "retort-redis": {"coordinator", "student", "teacher"},
    "retort-redis-acl": {"redis"},
    "retort-http": {"coordinator"},
    "retort-teacher-api": {"teacher"},
}


def names_are_unique(cluster, _secrets):
    seen = set()
    for o in cluster.objects:
        key = (o["apiVersion"], o["kind"], o["metadata"]["name"])
        if key in seen:
            yield "%s/%s: is there twice" % key[1:]
        seen.add(key)
    if cluster.namespace() is None:
        yield "the objects are not all in one namespace"


def selectors_meet(cluster, _secrets):
    for pod in cluster.pods:
        selector = pod.owner["spec"].get("selector")
        if pod.kind in ("StatefulSet", "Deployment") and not selects(selector, pod.labels):
            yield "%s: spec.selector does not select the labels of its own pods" % pod.where
        for rule in pod.spec.get("topologySpreadConstraints", []):
            if not selects(rule["labelSelector"], pod.labels):
                yield "%s: topologySpreadConstraints do not count the pod itself" % pod.where
    for kind in ("PodDisruptionBudget", "Service", "ServiceMonitor"):
        for o in cluster.all(kind):
            selector = o["spec"].get("selector")
            labels = [s["metadata"].get("labels") or {} for s in cluster.all("Service")] if kind == "ServiceMonitor" \
                else [p.labels for p in cluster.pods]
            if kind == "Service":
                selector = {"matchLabels": selector}
            if not any(selects(selector, known) for known in labels):
                yield "%s/%s: spec.selector selects nothing" % (kind, o["metadata"]["name"])


def services_reach_ports(cluster, _secrets):
    for service in cluster.all("Service"):
        where = "Service/%s" % service["metadata"]["name"]
        pods = [p for p in cluster.pods if selects({"matchLabels": service["spec"].get("selector")}, p.labels)]
        for pod in pods:
            ports = pod.ports()
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                if isinstance(target, str) and target not in ports:
                    yield "%s: port %s goes to %s, which %s does not name" % (where, port.get("name"), target, pod.where)
                number = ports.get(target, target)
                if number not in ports.values():
                    yield "%s: port %s goes to %s, which %s does not open" % (where, port.get("name"), number, pod.where)
                if service["spec"].get("clusterIP") == "None" and number != port["port"]:
                    yield "%s: a headless service cannot turn port %s into %s" % (where, port["port"], number)
    for pod in cluster.pods:
        name = pod.owner["spec"].get("serviceName")
        if pod.kind == "StatefulSet" and cluster.get("Service", name) is None:
            yield "%s: serviceName %s is no Service" % (pod.where, name)
    for monitor in cluster.all("ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            services = [s for s in cluster.all("Service")
                        if selects(monitor["spec"]["selector"], s["metadata"].get("labels") or {})]
            if not any(endpoint["port"] == p.get("name") for s in services for p in s["spec"]["ports"]):
                yield "ServiceMonitor/%s: port %s is none of the Service it selects" % (
                    monitor["metadata"]["name"], endpoint["port"])


def waiting_is_possible(cluster, _secrets):
    """The coordinator is ready when its workers are there: they must reach it before."""
    for name in ("coordinator", "server"):
        service = cluster.get("Service", name)
        if service is not None and service["spec"].get("publishNotReadyAddresses") is not True:
            yield "Service/%s: lacks publishNotReadyAddresses: true, so nobody reaches it until it is ready, which it is " \
                  "when it was reached" % name


def volumes_are_there(cluster, secrets):
    known = {s["metadata"]["name"] for s in secrets}
    for pod in cluster.pods:
        volumes, used = pod.volumes(), set()
        for c in pod.containers:
            paths = [m["mountPath"] for m in c.get("volumeMounts", [])]
            for mount in c.get("volumeMounts", []):
                used.add(mount["name"])
                if mount["name"] not in volumes:
                    yield "%s: container %s mounts %s, which is no volume" % (pod.where, c["name"], mount["name"])
                if paths.count(mount["mountPath"]) > 1:
                    yield "%s: container %s mounts %s twice" % (pod.where, c["name"], mount["mountPath"])
        for name, volume in volumes.items():
            if name not in used:
                yield "%s: volume %s is never mounted" % (pod.where, name)
            if "configMap" in volume and cluster.get("ConfigMap", volume["configMap"]["name"]) is None:
                yield "%s: volume %s is ConfigMap %s, which is not there" % (pod.where, name, volume["configMap"]["name"])
            if "persistentVolumeClaim" in volume and \
                    cluster.get("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) is None:
                yield "%s: volume %s is claim %s, which is not there" % (
                    pod.where, name, volume["persistentVolumeClaim"]["claimName"])
            if "secret" in volume and volume["secret"]["secretName"] not in known:
                yield "%s: volume %s is Secret %s, which make-secrets.sh does not make" % (
                    pod.where, name, volume["secret"]["secretName"])


def secrets_are_where_they_belong(cluster, secrets):
    by_name = {s["metadata"]["name"]: s.get("data") or {} for s in secrets}
    for pod in cluster.pods:
        for name, volume in pod.volumes().items():
            if "secret" not in volume:
                continue
            secret = volume["secret"]["secretName"]
            if pod.role not in SECRET_OWNERS.get(secret, set()):
                yield "%s: holds the Secret %s, which is for %s" % (
                    pod.where, secret, " and ".join(sorted(SECRET_OWNERS.get(secret, {"nobody"}))))
            if volume["secret"].get("defaultMode") != 0o440:
                yield "%s: volume %s has defaultMode %s, expected 0440" % (
                    pod.where, name, oct(volume["secret"].get("defaultMode", 0o644)))
            for item in volume["secret"].get("items", []):
                if item["key"] not in by_name.get(secret, {}):
                    yield "%s: Secret %s has no key %s" % (pod.where, secret, item["key"])
        for c in pod.containers:
            for entry in c.get("env", []):
                if "secretKeyRef" in (entry.get("valueFrom") or {}):
                    yield "%s: %s comes from a Secret; secrets are files, an environment can be read by others" % (
                        pod.where, entry["name"])
            for entry in c.get("envFrom", []):
                if "secretRef" in entry:
                    yield "%s: the environment comes from a Secret; secrets are files" % pod.where
    for monitor in cluster.all("ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            ref = endpoint.get("authorization", {}).get("credentials")
            if ref is None:
                yield "ServiceMonitor/%s: has no authorization, and the statistics want a key" % monitor["metadata"]["name"]
            elif ref["key"] not in by_name.get(ref["name"], {}):
                yield "ServiceMonitor/%s: Secret %s has no key %s" % (monitor["metadata"]["name"], ref["name"], ref["key"])
    if cluster.all("Secret"):
        yield "a Secret stands among the manifests; they are made by make-secrets.sh and kept elsewhere"


def pods_are_restricted(cluster, _secrets):
    """The `restricted` level of the Pod Security Standards, and what Retort asks beyond it."""
    for pod in cluster.pods:
        context = pod.spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
            yield "%s: may run as root; expected runAsNonRoot: true and a runAsUser" % pod.where
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield "%s: lacks seccompProfile RuntimeDefault" % pod.where
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield "%s: gets a token of the API server; expected automountServiceAccountToken: false" % pod.where
        for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
            if pod.spec.get(key):
                yield "%s: %s shares what is not the pod's" % (pod.where, key)
        for c in pod.containers:
            at = "%s: container %s" % (pod.where, c["name"])
            own = c.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False:
                yield "%s lacks allowPrivilegeEscalation: false" % at
            if own.get("readOnlyRootFilesystem") is not True:
                yield "%s lacks readOnlyRootFilesystem: true" % at
            if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
                yield "%s keeps capabilities; expected drop: [ALL]" % at
            if own.get("privileged") or own.get("runAsUser") == 0:
                yield "%s is privileged" % at
        for name, volume in pod.volumes().items():
            if "hostPath" in volume:
                yield "%s: volume %s is a folder of the node" % (pod.where, name)


def resources_are_bounded(cluster, _secrets):
    for pod in cluster.pods:
        for c in pod.containers:
            at = "%s: container %s" % (pod.where, c["name"])
            requests, limits = c.get("resources", {}).get("requests", {}), c.get("resources", {}).get("limits", {})
            for key in ("cpu", "memory"):
                if key not in requests:
                    yield "%s requests no %s" % (at, key)
            if "memory" not in limits:
                yield "%s has no limit of memory" % at
            elif (quantity(requests.get("memory", 0)) or 0) > (quantity(limits["memory"]) or 0):
                yield "%s requests more memory than its limit" % at
        for name, volume in pod.volumes().items():
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                yield "%s: volume %s is an emptyDir without sizeLimit" % (pod.where, name)


def quota_holds_everyone(cluster, _secrets):
    """Every role at its largest, and one pod more of each Deployment during an update."""
    for quota in cluster.all("ResourceQuota"):
        need = {"pods": 0.0, "requests.cpu": 0.0, "requests.memory": 0.0, "limits.memory": 0.0}
        for pod in cluster.pods:
            n = cluster.replicas_max(pod) + (pod.kind == "Deployment")
            need["pods"] += n
            for key in ("requests.cpu", "requests.memory", "limits.memory"):
                group, kind = key.split(".")
                own = [quantity(c.get("resources", {}).get(group, {}).get(kind, 0)) or 0 for c in pod.spec["containers"]]
                need[key] += n * sum(own)
        for key, value in need.items():
            allowed = quota["spec"]["hard"].get(key)
            if allowed is not None and (quantity(allowed) or 0) < value:
                yield "ResourceQuota/%s: %s is %s, but all roles at their largest need %g" % (
                    quota["metadata"]["name"], key, allowed, value)


def processes_leave_well(cluster, _secrets):
    for pod in cluster.pods:
        for c in pod.containers:
            command = c.get("command", [])
            if command and command[0].rsplit("/", 1)[-1] in ("sh", "bash", "dash", "ash", "tini", "env"):
                yield "%s: container %s starts under %s; the program itself must be process 1, or SIGTERM never reaches it" % (
                    pod.where, c["name"], command[0])
        if pod.kind not in ("StatefulSet", "Deployment"):
            continue
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        stop = pod.main.get("lifecycle", {}).get("preStop", {})
        waits = stop.get("sleep", {}).get("seconds", 0)
        need = GRACE_MIN_S if pod.role != "redis" else 10
        if grace < need + waits:
            yield "%s: terminationGracePeriodSeconds is %d, expected at least %d (preStop and drain share it)" % (
                pod.where, grace, need + waits)
        for name in ("livenessProbe", "readinessProbe"):
            if name not in pod.main:
                yield "%s: has no %s" % (pod.where, name)
        if pod.role != "redis" and "--stay" not in pod.main.get("args", []):
            yield "%s: lacks --stay; a run that is over would be started again without end" % pod.where
        if not any(selects(b["spec"]["selector"], pod.labels) for b in cluster.all("PodDisruptionBudget")):
            yield "%s: has no PodDisruptionBudget" % pod.where


def probes_ask_what_is_there(cluster, _secrets):
    for pod in cluster.pods:
        for c in pod.containers:
            ports = {p.get("name"): p["containerPort"] for p in c.get("ports", [])}
            for name in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = c.get(name)
                if probe is None:
                    continue
                ask = probe.get("httpGet") or probe.get("tcpSocket")
                if ask is not None and ask["port"] not in ports and ask["port"] not in ports.values():
                    yield "%s: %s asks port %s, which the container does not open" % (pod.where, name, ask["port"])
                path = (probe.get("httpGet") or {}).get("path")
                expected = "/readyz" if name == "readinessProbe" else "/healthz"
                if path is not None and path != expected:
                    yield "%s: %s asks %s, expected %s (liveness never looks at what others do)" % (
                        pod.where, name, path, expected)
                if name == "livenessProbe" and "--ready" in probe.get("exec", {}).get("command", []):
                    yield "%s: livenessProbe asks for --ready: a restart of the coordinator would restart everybody" % pod.where


def scalers_fit(cluster, _secrets):
    seen = set()
    for o, target, smallest, largest in cluster.scalers():
        where = "%s/%s" % (o["kind"], o["metadata"]["name"])
        workload = cluster.get(*target)
        if workload is None:
            yield "%s: scales %s/%s, which is not there" % ((where,) + target)
            continue
        if target[1] not in ("teacher", "student"):
            yield "%s: scales %s; only teachers and students are elastic" % (where, target[1])
        if "replicas" in workload["spec"]:
            yield "%s: %s/%s sets replicas too: each apply would undo the scaling" % ((where,) + target)
        if target in seen:
            yield "%s: %s/%s is scaled twice" % ((where,) + target)
        if smallest > largest:
            yield "%s: the smallest number of pods, %d, is above the largest, %d" % (where, smallest, largest)
        seen.add(target)


def images_are_named(cluster, _secrets):
    for pod in cluster.pods:
        for c in pod.containers:
            tag = c["image"].rsplit("/", 1)[-1].partition(":")[2]
            if tag in ("", "latest"):
                yield "%s: image %s has no version" % (pod.where, c["image"])


ALL = [names_are_unique, selectors_meet, services_reach_ports, waiting_is_possible, volumes_are_there,
       secrets_are_where_they_belong, pods_are_restricted, resources_are_bounded, quota_holds_everyone,
       processes_leave_well, probes_ask_what_is_there, scalers_fit, images_are_named]
