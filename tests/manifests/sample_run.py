"""A small real run, for what it exports while it goes: problems with recorded answers, labelled and
trained on this machine in a few seconds."""
import json
import os
import re
import subprocess
import time

SETTINGS = """\
name: sample
run_dir: run
seed: 3
task: {name: arithmetic, answer: number, markers: ["#"], stop_marks: ["\\n\\nQ:"]}
corpus: {files: [recorded.jsonl], input: "{question}", gold: "{answer}"}
teacher: {backend: recorded, files: [recorded.jsonl], match_field: "{question}", text_field: "{text}"}
label: {shard_size: 20, lease_ms: 4000}
tokenizer: {kind: bpe, vocab_size: 200, byte_fallback: false}
student: {d_model: 32, n_layers: 2, n_heads: 2, d_ff: 64, seq_len_max: 192}
train: {preset: rationale-first, steps: 30, chunk_size: 100, micro_batches: 2, micro_batch_tokens: 400, records_per_step: 12, valid_share: 0.1, eval_every: 10}
net: {heartbeat_ms: 200}
"""


def write_recorded(path, problems, n, seed=7):
    """n problems with worked answers as a teacher's recorded texts: {"question", "answer", "text"}."""
    lines = subprocess.run([problems, "worked", str(n), str(seed)], capture_output=True, text=True, check=True).stdout
    with open(path, "w", encoding="utf-8") as f:
        for line in lines.splitlines():
            p = json.loads(line)
            text = "%s # %s\n\nQ: run on" % (p["rationale"], p["label"])
            f.write(json.dumps({"question": p["input"], "answer": p["label"], "text": text}) + "\n")


def metrics_of(retort, problems, folder):
    """The /metrics of a whole run, every sample that was ever there; raises RuntimeError when it fails."""
    write_recorded(os.path.join(folder, "recorded.jsonl"), problems, 240)
    with open(os.path.join(folder, "retort.yaml"), "w", encoding="utf-8") as f:
        f.write(SETTINGS)
    seen = {}
    with open(os.path.join(folder, "run.err"), "w+", encoding="utf-8") as log:
        run = subprocess.Popen([retort, "run", "--config", "retort.yaml"], cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while run.poll() is None and time.monotonic() < deadline:
                asked = subprocess.run([retort, "stats", "--config", "retort.yaml", "--metrics"], cwd=folder,
                                       capture_output=True, text=True)
                for line in asked.stdout.splitlines():
                    seen[line if line.startswith("#") else re.sub(r" [^ ]+$", "", line)] = line
                time.sleep(0.1)
        finally:
            if run.poll() is None:
                run.terminate()
            code = run.wait()
        log.seek(0)
        if code != 0:
            raise RuntimeError("the sample run ended with %d: %s" % (code, log.read()[-600:]))
    if not any(k.startswith("retort_") for k in seen):
        raise RuntimeError("the sample run exported nothing")
    return "\n".join(seen.values()) + "\n"
