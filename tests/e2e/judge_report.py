"""What report.bats asks of a page, of its figures, of cards and of rows. Reads them without Retort."""
import hashlib
import html.parser
import json
import re
import sys


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


class Page(html.parser.HTMLParser):
    """Every tag is closed, nothing runs and nothing is loaded."""

    VOID = {"meta", "br", "link", "img", "input", "hr"}

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "iframe", "object", "embed", "form", "img", "link"}, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in {"src", "action", "srcset"}, name
            assert name != "href" or value.startswith("#"), value
            if name == "id":
                self.ids.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> does not fit {self.open}"

    def handle_data(self, data):
        self.text.append(data)


def page(path):
    text = open(path, encoding="utf-8").read()
    p = Page()
    p.feed(text)
    p.close()
    assert p.open == [], p.open
    assert len(p.ids) == len(set(p.ids)), "ids are unique"
    links = re.findall(r'href="#([^"]+)"', text)
    assert set(links) <= set(p.ids), set(links) - set(p.ids)
    for svg in re.findall(r"<svg.*?</svg>", text, re.S):
        assert "<title" in svg and "<desc" in svg
        assert "nan" not in svg and "inf" not in svg
    assert "@media print" in text and "prefers-color-scheme:dark" in text
    assert "http://" not in text and "https://" not in text


def data(path, run, dataset=None):
    d = json.load(open(path, encoding="utf-8"))
    dataset = dataset or run + "/dataset"
    result = json.load(open(run + "/result.json"))
    labels, rejected = lines(dataset + "/labels.jsonl"), lines(dataset + "/rejected.jsonl")
    rows = d["rows"]
    assert rows["read"] - rows["duplicates"] - rows["malformed"] == rows["examples"], rows
    assert rows["labelled"] + rows["rejected"] + rows["open"] == rows["examples"], rows
    assert rows["labelled"] == len(labels) and rows["rejected"] == len(rejected), rows
    assert rows["read"] == result["rows"] and rows["adds_up"] is True, rows
    assert sum(r["n"] for r in d["rejections"]) == len(rejected)
    own = [a for a in d["accuracy"] if a["on"] == "its dataset"][0]
    right = sum(r["label"] == r["gold"] for r in labels)
    assert (own["right"], own["of"]) == (right, len(labels) + len(rejected)), own
    assert own["low"] <= own["share"] <= own["high"]
    test = json.load(open(run + "/eval.json"))["student_accuracy"]
    student = [a for a in d["accuracy"] if a["who"] == "student"][0]
    assert all(student[k] == test[k] for k in ("right", "of")), (student, test)
    confusion = d["confusion"]["student"]
    wrong = sum(p["n"] for p in confusion["pairs"]) + confusion["pairs_more"] + confusion["unreadable"]
    assert confusion["n"] == test["of"] and wrong == test["of"] - test["right"], confusion
    steps = [m for m in lines(run + "/metrics.jsonl") if m["kind"] == "step"]
    loss = [c for c in d["curves"] if c["title"] == "Loss"][0]
    assert len(loss["lines"][0]["x"]) == len(steps)
    for sum_ in d["checksums"]:
        name = sum_["what"]
        if name.startswith("dataset,"):
            assert sum_["sha256"] == result["dataset_sha256"]
            continue
        place = dataset + name[len("dataset"):] if name.startswith("dataset/") else run + "/" + name
        assert sum_["sha256"] == hashlib.sha256(open(place, "rb").read()).hexdigest(), name


def features_of(head):
    """The declared columns of the first config: nested lists of names, read by indentation."""
    out, stack, on = {}, [], False
    for line in head.splitlines():
        if line.startswith("- config_name: rejected") and on:
            break
        if line == "  features:":
            on = True
            continue
        found = re.match(r'^( *)- name: (".*")$', line)
        if on and found:
            depth = len(found.group(1))
            while stack and stack[-1][0] >= depth:
                stack.pop()
            parent = stack[-1][1] if stack else out
            parent[json.loads(found.group(2))] = child = {}
            stack.append((depth, child))
    return out


def covers(declared, value, where):
    if isinstance(value, dict):
        for key, inner in value.items():
            assert key in declared, f"{where}.{key} is not declared"
            covers(declared[key], inner, f"{where}.{key}")
    elif isinstance(value, list):
        for inner in value:
            covers(declared, inner, where)


def dataset_card(folder):
    text = open(folder + "/README.md", encoding="utf-8").read()
    _, head, body = text.split("---\n", 2)
    assert "default: true" in head and "path: labels.jsonl" in head
    declared = features_of(head)
    for row in lines(folder + "/labels.jsonl"):
        covers(declared, row, "row")
    n = len(lines(folder + "/labels.jsonl"))
    assert f"| `labelled` | `labels.jsonl` | {n} |" in body
    try:
        import yaml
    except ImportError:
        return
    card = yaml.safe_load(head)
    assert card["configs"][0]["config_name"] == card["dataset_info"][0]["config_name"] == "labelled"


def model_card(path, summary):
    text = open(path, encoding="utf-8").read()
    _, head, body = text.split("---\n", 2)
    s = json.load(open(summary))
    assert f"value: {s['student_accuracy']:.4f}" in head, head
    assert f"{100 * s['student_accuracy']:.2f} %" in body
    assert s["weights_sha256"] in body
    for title in ("## Scores", "## Use", "## Training", "## Facts", "## Limits"):
        assert title in body, title


def rows(form, path, dataset):
    found, labels = lines(path), lines(dataset + "/labels.jsonl")
    inputs = {r["id"]: r["input"] for r in labels}
    if form == "prompt-completion":
        assert [r["id"] for r in found] == [r["id"] for r in labels]
        for row, label in zip(found, labels):
            assert set(row) == {"id", "prompt", "completion"}
            assert row["prompt"] == label["input"] + "\n"
            assert row["completion"] == label["rationale"] + " # " + label["label"], row
    elif form == "messages":
        for row, label in zip(found, labels):
            assert [m["role"] for m in row["messages"]] == ["user", "assistant"]
            assert row["messages"][0]["content"] == label["input"]
        assert len(found) == len(labels)
    else:
        pairs = {(inputs[r["id"]], r["rejected_from"], r["rejected"]) for r in found}
        assert pairs == {
            ("split", "other_label", "Thirteen. # 13"),
            ("none", "rejected_before", pairs_text(dataset)),
        }, pairs
        for row in found:
            assert row["chosen"].endswith("# 12") and row["chosen"] != row["rejected"]
            assert row["prompt"] == inputs[row["id"]] + "\n"


def pairs_text(dataset):
    return lines(dataset + "/rejected.jsonl.requeued-1")[0]["raw"]


if __name__ == "__main__":
    {"page": page, "data": data, "dataset-card": dataset_card, "model-card": model_card, "rows": rows}[
        sys.argv[1]
    ](*sys.argv[2:])
