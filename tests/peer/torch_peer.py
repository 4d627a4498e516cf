"""The model library against PyTorch: Llama and both versions of T5.

    torch_peer.py PEER_STEPS     the program that this build made

Small models are written here in plain torch, one sequence at a time and without a batch axis, from the
formulas of the papers and the names of Hugging Face's files. Each gets random weights, is saved as a model
folder, and trained for some AdamW steps on the same sequences by both sides. Compared are the first gradient
of every tensor, every loss, and the weights at the end.

Exit code 77 where PyTorch is not installed (Debian: python3-torch).
"""
import array
import json
import math
import os
import subprocess
import sys
import tempfile

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("skipped: python3-torch is not installed")
    sys.exit(77)

LOSS_APART = 1e-4      # relative, at every step
GRADIENT_APART = 1e-3  # |a - b| / |b| of each tensor
WEIGHT_APART = 1e-3    # the same of each tensor's way from first to last


# ---- safetensors: u64 length, JSON header, data ----

def save_tensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = array.array("f", t.detach().flatten().tolist()).tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


def load_tensors(path):
    with open(path, "rb") as f:
        raw = f.read()
    n = int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:8 + n]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", entry
        begin, end = entry["data_offsets"]
        values = array.array("f", raw[8 + n + begin:8 + n + end])
        tensors[name] = torch.tensor(list(values), dtype=torch.float32).reshape(entry["shape"])
    return tensors


# ---- what both architectures have ----

def rms_norm(x, gain, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain


def heads(x, n):
    """[tokens, n * d] to [n, tokens, d]."""
    return x.reshape(x.shape[0], n, -1).transpose(0, 1)


def attend(q, k, v, scale, bias=None, causal=False):
    """q, k, v: [heads, tokens, d]; returns [tokens, heads * d]."""
    scores = q @ k.transpose(1, 2) * scale
    if bias is not None:
        scores = scores + bias
    if causal:
        later = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    y = scores.softmax(-1) @ v
    return y.transpose(0, 1).flatten(1)


class Llama:
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 97, "hidden_size": 48,
        "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3,
    }

    def shapes(self):
        c = self.config
        d, ff, inner = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"] * c["head_dim"]
        kv = c["num_key_value_heads"] * c["head_dim"]
        yield "model.embed_tokens.weight", (c["vocab_size"], d)
        for i in range(c["num_hidden_layers"]):
            block = f"model.layers.{i}."
            yield block + "input_layernorm.weight", (d,)
            yield block + "self_attn.q_proj.weight", (inner, d)
            yield block + "self_attn.k_proj.weight", (kv, d)
            yield block + "self_attn.v_proj.weight", (kv, d)
            yield block + "self_attn.o_proj.weight", (d, inner)
            yield block + "post_attention_layernorm.weight", (d,)
            yield block + "mlp.gate_proj.weight", (ff, d)
            yield block + "mlp.up_proj.weight", (ff, d)
            yield block + "mlp.down_proj.weight", (d, ff)
        yield "model.norm.weight", (d,)
        yield "lm_head.weight", (c["vocab_size"], d)

    def turn(self, x):
        """Rotary positions; the two halves of a head are the real and imaginary parts."""
        n, half = x.shape[1], x.shape[2] // 2
        rates = self.config["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(n, dtype=torch.float64)[:, None] * rates
        turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles).cfloat()
        return torch.cat([turned.real, turned.imag], -1)

    def logits(self, w, prompt, target):
        c = self.config
        n_heads, n_kv, eps = c["num_attention_heads"], c["num_key_value_heads"], c["rms_norm_eps"]
        x = w["model.embed_tokens.weight"][torch.tensor(prompt + target[:-1])]
        for i in range(c["num_hidden_layers"]):
            b = {k: w[f"model.layers.{i}.{k}.weight"] for k in (
                "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")}
            h = rms_norm(x, b["input_layernorm"], eps)
            q = self.turn(heads(h @ b["self_attn.q_proj"].T, n_heads))
            k = self.turn(heads(h @ b["self_attn.k_proj"].T, n_kv)).repeat_interleave(n_heads // n_kv, 0)
            v = heads(h @ b["self_attn.v_proj"].T, n_kv).repeat_interleave(n_heads // n_kv, 0)
            x = x + attend(q, k, v, c["head_dim"] ** -0.5, causal=True) @ b["self_attn.o_proj"].T
            h = rms_norm(x, b["post_attention_layernorm"], eps)
            x = x + (F.silu(h @ b["mlp.gate_proj"].T) * (h @ b["mlp.up_proj"].T)) @ b["mlp.down_proj"].T
        x = rms_norm(x[len(prompt) - 1:], w["model.norm.weight"], eps)
        return x @ w["lm_head.weight"].T

    def rate(self, name):
        return 1.0

    def decays(self, name):
        return "norm" not in name


class T5:
    def __init__(self, gated, tied):
        self.config = {
            "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": 97, "d_model": 48,
            "d_kv": 16, "d_ff": 80, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4,
            "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6,
            "feed_forward_proj": "gated-gelu" if gated else "relu", "tie_word_embeddings": tied,
            "is_encoder_decoder": True, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
        }
        self.gated, self.tied = gated, tied

    def shapes(self):
        c = self.config
        d, inner, ff = c["d_model"], c["num_heads"] * c["d_kv"], c["d_ff"]
        yield "shared.weight", (c["vocab_size"], d)
        for stack, n in (("encoder", c["num_layers"]), ("decoder", c["num_decoder_layers"])):
            yield (f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                   (c["relative_attention_num_buckets"], c["num_heads"]))
            kinds = ["SelfAttention", "EncDecAttention"] if stack == "decoder" else ["SelfAttention"]
            for i in range(n):
                for j, kind in enumerate(kinds):
                    block = f"{stack}.block.{i}.layer.{j}."
                    for part in "qkv":
                        yield f"{block}{kind}.{part}.weight", (inner, d)
                    yield f"{block}{kind}.o.weight", (d, inner)
                    yield f"{block}layer_norm.weight", (d,)
                block = f"{stack}.block.{i}.layer.{len(kinds)}."
                for part in ("wi_0", "wi_1") if self.gated else ("wi",):
                    yield f"{block}DenseReluDense.{part}.weight", (ff, d)
                yield f"{block}DenseReluDense.wo.weight", (d, ff)
                yield f"{block}layer_norm.weight", (d,)
            yield f"{stack}.final_layer_norm.weight", (d,)
        if not self.tied:
            yield "lm_head.weight", (c["vocab_size"], d)

    def bias(self, w, stack, n):
        """[heads, n, n] of the stack's table."""
        c = self.config
        offset = torch.arange(n)[None, :] - torch.arange(n)[:, None]  # key - query
        n_buckets, first = c["relative_attention_num_buckets"], 0
        if stack == "encoder":
            n_buckets //= 2
            first = (offset > 0) * n_buckets
            distance = offset.abs()
        else:
            distance = (-offset).clamp(min=0)
        exact = n_buckets // 2
        spread = math.log(c["relative_attention_max_distance"] / exact)
        far = exact + (torch.log(distance.float() / exact) / spread * (n_buckets - exact)).long()
        bucket = first + torch.where(distance < exact, distance, far.clamp(max=n_buckets - 1))
        return w[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"][bucket].permute(2, 0, 1)

    def block(self, w, stack, i, j, kind, x, over=None, bias=None):
        """x + attention(norm(x)), over itself or over the encoder's output."""
        name, n_heads = f"{stack}.block.{i}.layer.{j}.", self.config["num_heads"]
        h = rms_norm(x, w[name + "layer_norm.weight"], self.config["layer_norm_epsilon"])
        memory = h if over is None else over
        q, k, v = (heads(y @ w[f"{name}{kind}.{part}.weight"].T, n_heads)
                   for part, y in (("q", h), ("k", memory), ("v", memory)))
        y = attend(q, k, v, 1.0, bias, causal=stack == "decoder" and over is None)
        return x + y @ w[f"{name}{kind}.o.weight"].T

    def feed_forward(self, w, stack, i, j, x):
        name = f"{stack}.block.{i}.layer.{j}."
        h = rms_norm(x, w[name + "layer_norm.weight"], self.config["layer_norm_epsilon"])
        name += "DenseReluDense."
        if self.gated:
            g = h @ w[name + "wi_0.weight"].T
            gelu = g * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (g + 0.044715 * g ** 3))
            y = gelu * (h @ w[name + "wi_1.weight"].T)
        else:
            y = (h @ w[name + "wi.weight"].T).clamp(min=0)
        return x + y @ w[name + "wo.weight"].T

    def logits(self, w, prompt, target):
        c, eps = self.config, self.config["layer_norm_epsilon"]
        x, bias = w["shared.weight"][torch.tensor(prompt)], self.bias(w, "encoder", len(prompt))
        for i in range(c["num_layers"]):
            x = self.block(w, "encoder", i, 0, "SelfAttention", x, bias=bias)
            x = self.feed_forward(w, "encoder", i, 1, x)
        memory = rms_norm(x, w["encoder.final_layer_norm.weight"], eps)
        read = [c["decoder_start_token_id"]] + target[:-1]
        x, bias = w["shared.weight"][torch.tensor(read)], self.bias(w, "decoder", len(read))
        for i in range(c["num_decoder_layers"]):
            x = self.block(w, "decoder", i, 0, "SelfAttention", x, bias=bias)
            x = self.block(w, "decoder", i, 1, "EncDecAttention", x, over=memory)
            x = self.feed_forward(w, "decoder", i, 2, x)
        x = rms_norm(x, w["decoder.final_layer_norm.weight"], eps)
        if self.tied:
            return (x * c["d_model"] ** -0.5) @ w["shared.weight"].T
        return x @ w["lm_head.weight"].T

    def rate(self, name):
        return self.config["d_kv"] ** -0.5 if "Attention.q." in name else 1.0

    def decays(self, name):
        return "norm" not in name and "relative_attention_bias" not in name


# ---- training ----

def make_weights(model):
    """Large enough that every part matters, small enough that float32 can be compared."""
    torch.manual_seed(4)
    weights = {}
    for name, shape in model.shapes():
        w = torch.randn(shape)
        if len(shape) == 1:
            w = 1 + 0.2 * w
        elif "relative_attention_bias" not in name and not (name == "shared.weight" and model.tied):
            w = w / math.sqrt(shape[1])
        if "Attention.q." in name:
            w = w / math.sqrt(model.config["d_kv"])
        weights[name] = w.requires_grad_()
    return weights


def make_batch(model):
    torch.manual_seed(5)
    lengths = [(1, 1), (7, 5), (40, 20), (150, 3), (3, 140), (64, 65), (20, 9)]
    words = model.config["vocab_size"]
    sequences = [{"prompt": torch.randint(words, (p,)).tolist(), "target": torch.randint(words, (t,)).tolist(),
                  "task": i % 2, "weight": 0.5 if i == 2 else 1.0} for i, (p, t) in enumerate(lengths)]
    return {"sequences": sequences, "task_weights": [0.7, 0.3], "steps": 20, "lr": 2e-3, "beta1": 0.9,
            "beta2": 0.98, "eps": 1e-8, "weight_decay": 0.05}


def loss_of(model, weights, batch):
    counts = [sum(s["weight"] * len(s["target"]) for s in batch["sequences"] if s["task"] == k)
              for k in range(len(batch["task_weights"]))]
    loss = torch.zeros(())
    for s in batch["sequences"]:
        logits = model.logits(weights, s["prompt"], s["target"])
        total = F.cross_entropy(logits, torch.tensor(s["target"]), reduction="sum")
        loss = loss + batch["task_weights"][s["task"]] / counts[s["task"]] * s["weight"] * total
    return loss


def train(model, weights, batch):
    groups = [{"params": [w], "lr": batch["lr"] * model.rate(name),
               "weight_decay": batch["weight_decay"] if model.decays(name) else 0.0} for name, w in weights.items()]
    optimizer = torch.optim.AdamW(groups, betas=(batch["beta1"], batch["beta2"]), eps=batch["eps"])
    losses, first = [], None
    for _ in range(batch["steps"]):
        optimizer.zero_grad()
        loss = loss_of(model, weights, batch)
        loss.backward()
        losses.append(loss.item())
        if first is None:
            first = {name: w.grad.clone() for name, w in weights.items()}
        optimizer.step()
    return losses, first


# ---- comparison ----

def apart(a, b):
    return ((a - b).norm() / b.norm().clamp(min=1e-30)).item()


def worst(pairs, limit, what, failures):
    name, value = max(pairs, key=lambda pair: pair[1])
    if not value <= limit:
        failures.append(f"{what}: {name} is off by {value:.2e}, more than {limit:.0e}")
    return value


def compare(name, model, program):
    failures = []
    weights, batch = make_weights(model), make_batch(model)
    begin = {key: w.detach().clone() for key, w in weights.items()}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(model.config, f)
        with open(os.path.join(folder, "batch.json"), "w") as f:
            json.dump(batch, f)
        save_tensors(os.path.join(folder, "model.safetensors"), weights)
        subprocess.run([program, folder], check=True)
        with open(os.path.join(folder, "losses.json")) as f:
            ours = json.load(f)
        grads = load_tensors(os.path.join(folder, "grads.safetensors"))
        trained = load_tensors(os.path.join(folder, "trained", "model.safetensors"))
    losses, first = train(model, weights, batch)
    if sorted(grads) != sorted(weights) or sorted(trained) != sorted(weights):
        return [f"{name}: tensors {sorted(set(grads) ^ set(weights))} are on one side only"]
    if not losses[-1] < 0.9 * losses[0]:
        failures.append(f"{name}: the loss did not fall: {losses[0]} to {losses[-1]}")
    of_loss = worst([(f"step {i}", abs(a - b) / b) for i, (a, b) in enumerate(zip(ours, losses))], LOSS_APART,
                    f"{name}: loss", failures)
    of_grad = worst([(key, apart(grads[key], first[key])) for key in first], GRADIENT_APART, f"{name}: gradient", failures)
    of_way = worst([(key, apart(trained[key] - begin[key], w.detach() - begin[key])) for key, w in weights.items()],
                   WEIGHT_APART, f"{name}: weights", failures)
    print(f"{name}: {len(first)} tensors, loss {losses[0]:.4f} to {losses[-1]:.4f}; apart at most: loss {of_loss:.1e}, "
          f"first gradient {of_grad:.1e}, way of the weights {of_way:.1e}")
    return failures


def main():
    torch.set_num_threads(1)
    models = {"llama": Llama(), "t5 v1.0": T5(gated=False, tied=True), "t5 v1.1": T5(gated=True, tied=False)}
    failures = [f for name, model in models.items() for f in compare(name, model, sys.argv[1])]
    for f in failures:
        print(f, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
