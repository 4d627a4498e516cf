#!/usr/bin/env python3
"""Check a GGUF file against the format's description, and its numbers against a model folder.

    check_gguf.py FILE [FOLDER]

Header, types of values, names, sizes, alignment, padding of zeros, tensors that follow each other
without overlap, the keys that llama.cpp asks for, the arrays of the tokenizer. With FOLDER every
tensor is decoded and compared with the safetensors there: q and k of a Llama in GGUF's order of rows,
each number within what its type can lose, every Q8_0 scale as the format defines it. Prints one
line; exit 1 with the reason otherwise.
"""
import math
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check_safetensors import Bad, Folder, need  # noqa: E402

FIXED = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, ARRAY = 8, 9
KINDS = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 8: ("Q8_0", 32, 34), 30: ("BF16", 1, 2)}
FILE_TYPES = {0: "F32", 1: "F16", 7: "Q8_0", 32: "BF16"}


class Reader:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.bytes = f.read()
        self.at = 0

    def take(self, n):
        need(self.at + n <= len(self.bytes), f"broken off at byte {self.at}")
        self.at += n
        return self.bytes[self.at - n : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number("<Q"))

    def value(self, kind):
        if kind == TEXT:
            return self.text().decode("utf-8")
        if kind == ARRAY:
            item, n = self.number("<I"), self.number("<Q")
            need(item != ARRAY, "nested array")
            return [self.value(item) for _ in range(n)]
        need(kind in FIXED, f"value of type {kind}")
        value = self.number(FIXED[kind])
        need(kind != 7 or value in (0, 1), "a bool that is neither 0 nor 1")
        return value


class Gguf:
    def __init__(self, path):
        r = Reader(path)
        need(r.take(4) == b"GGUF", "magic")
        need(r.number("<I") == 3, "version")
        n_tensors, n_keys = r.number("<Q"), r.number("<Q")
        self.keys, self.types = {}, {}
        for _ in range(n_keys):
            key = r.text().decode("ascii")
            need(0 < len(key) <= 65535 and key not in self.keys, f"key {key}")
            need(all(part and part == part.lower() for part in key.split(".")), f"key {key}")
            self.types[key] = r.number("<I")
            self.keys[key] = r.value(self.types[key])
        self.tensors = {}
        for _ in range(n_tensors):
            name = r.text().decode("ascii")
            need(0 < len(name) < 64 and name not in self.tensors, f"tensor {name}")
            sizes = [r.number("<Q") for _ in range(r.number("<I"))]
            kind, offset = r.number("<I"), r.number("<Q")
            need(kind in KINDS and 1 <= len(sizes) <= 4, f"tensor {name}")
            self.tensors[name] = (kind, sizes[::-1], offset)
        align = self.keys.get("general.alignment", 32)
        self.data = (r.at + align - 1) // align * align
        need(not any(r.bytes[r.at : self.data]), "padding that is not zero")
        self.bytes, end = r.bytes, 0
        for name, (kind, shape, offset) in self.tensors.items():
            label, block, size = KINDS[kind]
            need(shape[-1] % block == 0, f"{name}: rows of {shape[-1]} in {label}")
            need(offset == end, f"{name} at {offset}, expected {end}")
            n = math.prod(shape) // block * size
            end = (offset + n + align - 1) // align * align
            need(not any(self.bytes[self.data + offset + n : self.data + end]), f"padding after {name}")
        need(self.data + end == len(self.bytes), f"{len(self.bytes)} bytes, expected {self.data + end}")

    def raw(self, name):
        kind, shape, offset = self.tensors[name]
        _, block, size = KINDS[kind]
        begin = self.data + offset
        return memoryview(self.bytes)[begin : begin + math.prod(shape) // block * size]


def check_keys(g):
    k = g.keys
    arch = k["general.architecture"]
    wanted = {
        "llama": ["context_length", "embedding_length", "block_count", "feed_forward_length",
                  "attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon",
                  "rope.dimension_count", "rope.freq_base", "attention.key_length",
                  "attention.value_length", "vocab_size"],
        "t5": ["context_length", "embedding_length", "block_count", "decoder_block_count",
               "feed_forward_length", "attention.head_count", "attention.key_length",
               "attention.value_length", "attention.layer_norm_epsilon",
               "attention.layer_norm_rms_epsilon", "attention.relative_buckets_count",
               "decoder_start_token_id"],
    }[arch]
    for key in wanted:
        need(f"{arch}.{key}" in k, f"key {arch}.{key} is missing")
        is_float = key.endswith("epsilon") or key.endswith("freq_base")
        need(g.types[f"{arch}.{key}"] == (6 if is_float else 4), f"type of {arch}.{key}")
    for key in ("general.name", "general.file_type", "general.quantization_version", "general.alignment"):
        need(key in k, f"key {key} is missing")
    t = "tokenizer.ggml."
    need(k[t + "model"] in ("llama", "t5") and k[t + "pre"] == "default", "kind of tokenizer")
    n = len(k[t + "tokens"])
    need(n == len(k[t + "scores"]) == len(k[t + "token_type"]), "arrays of the tokenizer")
    need(n == len(set(k[t + "tokens"])), "a token comes twice")
    need(n == g.tensors["token_embd.weight"][1][0], "as many tokens as rows of the embedding")
    need(all(1 <= x <= 6 for x in k[t + "token_type"]), "type of a token")
    for key in ("eos", "padding", "unknown") + (("bos",) if arch == "llama" else ()):
        need(0 <= k[f"{t}{key}_token_id"] < n, f"{key}_token_id")
    need(k[t + "add_bos_token"] == (arch == "llama"), "add_bos_token")
    need(k[t + "add_eos_token"] == (arch == "t5"), "add_eos_token")
    return arch


def check_kinds(g):
    """What llama.cpp's converter would store: vectors and norms in f32, q8_0 only where rows allow."""
    main = FILE_TYPES[g.keys["general.file_type"]]
    for name, (kind, shape, _) in g.tensors.items():
        label = KINDS[kind][0]
        if len(shape) == 1 or name.endswith("_norm.weight") or "attn_rel_b" in name:
            need(label == "F32", f"{name} is {label}, expected F32")
        elif main == "Q8_0" and shape[-1] % 32:
            need(label == "F16", f"{name} is {label}, expected F16")
        else:
            need(label == main, f"{name} is {label}, expected {main}")


LLAMA = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def llama_name(name):
    fixed = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    stem = name.removesuffix(".weight")
    if stem in fixed:
        return fixed[stem] + ".weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{LLAMA[rest]}.weight"


def t5_name(name):
    fixed = {"shared": "token_embd", "lm_head": "output", "encoder.final_layer_norm": "enc.output_norm",
             "decoder.final_layer_norm": "dec.output_norm"}
    stem = name.removesuffix(".weight")
    if stem in fixed:
        return fixed[stem] + ".weight"
    stack, _, layer, _, sub, rest = stem.split(".", 5)
    last = rest.split(".")[-1]
    part = {"q": "q", "k": "k", "v": "v", "o": "o", "relative_attention_bias": "rel_b"}.get(last)
    is_ff = sub == ("1" if stack == "encoder" else "2")
    if is_ff:
        part = {"layer_norm": "ffn_norm", "wi": "ffn_up", "wi_0": "ffn_gate", "wi_1": "ffn_up", "wo": "ffn_down"}[last]
    else:
        part = ("attn_" if sub == "0" else "cross_attn_") + (part or "norm")
    return f"{stack[:3]}.blk.{layer}.{part}.weight"


def turned(x, n_heads, n_cols):
    """reshape(n_heads, 2, half, cols).swapaxes(1, 2): row (h, c, s) of the file is row (h, s, c)."""
    n_rows = len(x) // n_cols
    half = n_rows // n_heads // 2
    out = []
    for h in range(n_heads):
        for c in range(half):
            for s in range(2):
                row = (h * 2 + s) * half + c
                out += x[row * n_cols : (row + 1) * n_cols]
    return out


def compare(g, name, wanted):
    kind = KINDS[g.tensors[name][0]][0]
    raw, n = g.raw(name), len(wanted)
    if kind == "Q8_0":
        return compare_q8(name, raw, wanted)
    if kind == "F32":
        found = struct.unpack(f"<{n}f", raw)
    elif kind == "F16":
        found = struct.unpack(f"<{n}e", raw)
    else:
        found = struct.unpack(f"<{n}f", struct.pack(f"<{n}I", *(h << 16 for h in struct.unpack(f"<{n}H", raw))))
    relative, absolute = {"F32": (0, 0), "F16": (2**-11, 2**-25), "BF16": (2**-8, 0)}[kind]
    worst = 0.0
    for i, (x, y) in enumerate(zip(wanted, found)):
        need(abs(x - y) <= relative * abs(x) + absolute, f"{name}[{i}] is {y}, expected {x} ({kind})")
        worst = max(worst, abs(x - y))
    return worst


def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def compare_q8(name, raw, wanted):
    worst = 0.0
    for b in range(len(wanted) // 32):
        block = wanted[32 * b : 32 * b + 32]
        scale = single(max(abs(x) for x in block) / 127)
        stored, *values = struct.unpack_from("<e32b", raw, 34 * b)
        half = struct.unpack("<e", struct.pack("<e", scale))[0]
        need(stored == half, f"{name}: scale of block {b} is {stored}, expected {half}")
        bound = scale / 2 * (1 + 1e-5) + 127 * abs(scale - half)
        for x, v in zip(block, values):
            need(abs(x - half * v) <= bound, f"{name}: block {b} has {half * v}, expected {x} within {bound}")
            worst = max(worst, abs(x - half * v))
    return worst


def check_weights(g, arch, folder):
    c = folder.config
    need(c["model_type"] == arch, "architecture of the folder")
    seen, worst = set(), 0.0
    for name in folder.place:
        gguf = (llama_name if arch == "llama" else t5_name)(name)
        need(gguf in g.tensors, f"{gguf} is missing")
        need(g.tensors[gguf][1] == folder.shape(name), f"shape of {gguf}")
        x = folder.floats(name)
        if arch == "llama" and ".q_proj." in name:
            x = turned(x, c["num_attention_heads"], c["hidden_size"])
        if arch == "llama" and ".k_proj." in name:
            x = turned(x, c["num_key_value_heads"], c["hidden_size"])
        worst = max(worst, compare(g, gguf, x))
        seen.add(gguf)
    if arch == "t5" and c["tie_word_embeddings"]:
        # llama.cpp does not scale the output of a tied head: the file holds the scaled matrix
        scale = single(c["d_model"] ** -0.5)
        worst = max(worst, compare(g, "output.weight", [single(x * scale) for x in folder.floats("shared.weight")]))
        seen.add("output.weight")
    need(seen == set(g.tensors), f"tensors of no use: {sorted(set(g.tensors) - seen)}")
    return worst


def main():
    try:
        g = Gguf(sys.argv[1])
        arch = check_keys(g)
        check_kinds(g)
        text = f"{sys.argv[1]}: {arch}, {len(g.keys)} keys, {len(g.tensors)} tensors"
        if len(sys.argv) > 2:
            text += f", worst difference {check_weights(g, arch, Folder(sys.argv[2])):.3g}"
    except (Bad, KeyError, ValueError, OSError, struct.error) as e:
        sys.exit(f"check_gguf: {type(e).__name__}: {e}")
    print(text)


if __name__ == "__main__":
    main()
