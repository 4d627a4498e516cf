#!/usr/bin/env python3
"""Check a model folder against the rules of its formats, written from their descriptions alone.

    check_safetensors.py FOLDER

safetensors: 8 bytes of header length, a JSON header that begins with '{', tensors that follow each
other from 0 to the end without hole or overlap, spans that are shape times size, no name twice, data
aligned to 8. The index names every tensor once, in a file that holds it, and its total_size adds up.
config.json says which tensors must be there and their shapes. Prints one line; exit 1 with the
reason otherwise.
"""
import json
import math
import os
import struct
import sys

SIZES = {"F32": 4, "F16": 2, "BF16": 2}
HEADER_MAX = 100_000_000


class Bad(Exception):
    pass


def need(ok, text):
    if not ok:
        raise Bad(text)


def no_repeats(pairs):
    seen = {}
    for key, value in pairs:
        need(key not in seen, f"name {key} comes twice")
        seen[key] = value
    return seen


class File:
    """One .safetensors file: tensors[name] = (dtype, shape, begin, end)."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.bytes = f.read()
        need(len(self.bytes) >= 8, f"{path}: shorter than 8 bytes")
        (n,) = struct.unpack_from("<Q", self.bytes)
        need(n <= HEADER_MAX and 8 + n <= len(self.bytes), f"{path}: header of {n} bytes")
        need(n % 8 == 0, f"{path}: the data is not aligned to 8")
        text = self.bytes[8 : 8 + n]
        need(text[:1] == b"{", f"{path}: the header does not begin with {{")
        header = json.loads(text.decode("utf-8"), object_pairs_hook=no_repeats)
        self.data = 8 + n
        meta = header.pop("__metadata__", {})
        need(all(isinstance(v, str) for v in meta.values()), f"{path}: metadata that is no text")
        need(meta.get("format") == "pt", f"{path}: __metadata__.format is not pt")
        self.tensors = {}
        for name, t in header.items():
            need(set(t) == {"dtype", "shape", "data_offsets"}, f"{path}: fields of {name}")
            need(t["dtype"] in SIZES, f"{path}: {name} is of type {t['dtype']}")
            begin, end = t["data_offsets"]
            n_bytes = math.prod(t["shape"]) * SIZES[t["dtype"]]
            need(end - begin == n_bytes, f"{path}: span of {name}")
            self.tensors[name] = (t["dtype"], t["shape"], begin, end)
        at = 0
        for name, (_, _, begin, end) in sorted(self.tensors.items(), key=lambda x: x[1][2]):
            need(begin == at, f"{path}: {name} begins at {begin}, expected {at}")
            at = end
        need(self.data + at == len(self.bytes), f"{path}: {len(self.bytes)} bytes, expected {self.data + at}")

    def floats(self, name):
        dtype, shape, begin, end = self.tensors[name]
        raw = memoryview(self.bytes)[self.data + begin : self.data + end]
        n = math.prod(shape)
        if dtype == "F32":
            return list(struct.unpack(f"<{n}f", raw))
        if dtype == "F16":
            return list(struct.unpack(f"<{n}e", raw))
        halves = struct.unpack(f"<{n}H", raw)
        return list(struct.unpack(f"<{n}f", struct.pack(f"<{n}I", *(h << 16 for h in halves))))


class Folder:
    """config and tensors[name] = (file, shape), whatever the number of files."""

    def __init__(self, path):
        with open(os.path.join(path, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.files = {}
        self.place = {}
        index = os.path.join(path, "model.safetensors.index.json")
        if os.path.exists(index):
            self.read_index(path, index)
        else:
            self.files["model.safetensors"] = File(os.path.join(path, "model.safetensors"))
            self.place = {name: "model.safetensors" for name in self.files["model.safetensors"].tensors}
        self.check_shapes()

    def read_index(self, path, index):
        need(not os.path.exists(os.path.join(path, "model.safetensors")), "both an index and one file")
        with open(index, encoding="utf-8") as f:
            root = json.load(f, object_pairs_hook=no_repeats)
        self.place = root["weight_map"]
        names = sorted(set(self.place.values()))
        for i, name in enumerate(names):
            need(name == f"model-{i + 1:05d}-of-{len(names):05d}.safetensors", f"file name {name}")
            self.files[name] = File(os.path.join(path, name))
            held = {t for t, file in self.place.items() if file == name}
            need(held == set(self.files[name].tensors), f"{name} holds other tensors than the index says")
        total = sum(e - b for f in self.files.values() for (_, _, b, e) in f.tensors.values())
        need(root["metadata"]["total_size"] == total, "total_size does not add up")

    def shape(self, name):
        return self.files[self.place[name]].tensors[name][1]

    def floats(self, name):
        return self.files[self.place[name]].floats(name)

    def check_shapes(self):
        wanted = {"llama": llama_shapes, "t5": t5_shapes}[self.config["model_type"]](self.config)
        need(set(wanted) == set(self.place), f"tensors: {sorted(set(wanted) ^ set(self.place))}")
        for name, shape in wanted.items():
            need(self.shape(name) == shape, f"{name} is {self.shape(name)}, expected {shape}")


def llama_shapes(c):
    d, ff, v = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    q, kv = c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    shapes = {"model.embed_tokens.weight": [v, d], "model.norm.weight": [d]}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = [v, d]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        shapes |= {
            p + "input_layernorm.weight": [d],
            p + "post_attention_layernorm.weight": [d],
            p + "self_attn.q_proj.weight": [q, d],
            p + "self_attn.k_proj.weight": [kv, d],
            p + "self_attn.v_proj.weight": [kv, d],
            p + "self_attn.o_proj.weight": [d, q],
            p + "mlp.gate_proj.weight": [ff, d],
            p + "mlp.up_proj.weight": [ff, d],
            p + "mlp.down_proj.weight": [d, ff],
        }
    return shapes


def t5_shapes(c):
    d, ff, v, inner = c["d_model"], c["d_ff"], c["vocab_size"], c["num_heads"] * c["d_kv"]
    gated = c["feed_forward_proj"].startswith("gated-")
    shapes = {"shared.weight": [v, d]}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = [v, d]
    for stack, n in (("encoder", c["num_layers"]), ("decoder", c["num_decoder_layers"])):
        shapes[f"{stack}.final_layer_norm.weight"] = [d]
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        shapes[bias] = [c["relative_attention_num_buckets"], c["num_heads"]]
        for i in range(n):
            p = f"{stack}.block.{i}.layer."
            kinds = ["SelfAttention"] + (["EncDecAttention"] if stack == "decoder" else [])
            for k, kind in enumerate(kinds):
                shapes[f"{p}{k}.layer_norm.weight"] = [d]
                for m in "qkv":
                    shapes[f"{p}{k}.{kind}.{m}.weight"] = [inner, d]
                shapes[f"{p}{k}.{kind}.o.weight"] = [d, inner]
            k = len(kinds)
            shapes[f"{p}{k}.layer_norm.weight"] = [d]
            for m in ("wi_0", "wi_1") if gated else ("wi",):
                shapes[f"{p}{k}.DenseReluDense.{m}.weight"] = [ff, d]
            shapes[f"{p}{k}.DenseReluDense.wo.weight"] = [d, ff]
    return shapes


def main():
    try:
        folder = Folder(sys.argv[1])
    except (Bad, KeyError, ValueError, OSError, struct.error) as e:
        sys.exit(f"check_safetensors: {type(e).__name__}: {e}")
    print(f"{sys.argv[1]}: {len(folder.place)} tensors in {len(folder.files)} files")


if __name__ == "__main__":
    main()
