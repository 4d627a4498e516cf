"""Render kustomizations and read YAML the way an API server would, only stricter."""
import os
import subprocess

import yaml

KUBECTL = os.environ.get("KUBECTL", "kubectl")


class StrictLoader(yaml.SafeLoader):
    """A key given twice is an error: the first would be lost in silence."""


def no_repeats(loader, node, deep=False):
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=deep)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, "key %r is there twice" % key, key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: no_repeats(loader, node, True))


def read_all(text):
    return [doc for doc in yaml.load_all(text, Loader=StrictLoader) if doc is not None]


def read_file(path):
    with open(path, encoding="utf-8") as f:
        return read_all(f.read())


def kustomize(folder):
    """Objects of a kustomization; raises RuntimeError with what kubectl said."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("%s kustomize %s: %s" % (KUBECTL, folder, done.stderr.strip()))
    return read_all(done.stdout)


def name_of(obj):
    return "%s/%s" % (obj.get("kind"), (obj.get("metadata") or {}).get("name"))
