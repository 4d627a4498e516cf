#!/usr/bin/env bash
# Runs inside a clean system that has the package in /tmp: installs it and uses it as its reader would.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
say() { echo "== $*"; }
fail() { echo "try: $*" >&2; exit 1; }

say "install, with what it depends on and recommends"
apt-get update -qq
apt-get install -y -qq /tmp/retort_*.deb > /tmp/apt.log 2>&1 || { tail -n 30 /tmp/apt.log; exit 1; }
dpkg -s retort | grep -E '^(Version|Depends|Recommends|Section)'
if ldd /usr/bin/retort | grep 'not found'; then fail "a library is missing"; fi
ldd /usr/bin/retort | grep openblas

say "version"
retort --version

say "pages, completion, docs"
ls /usr/share/man/man1/retort.1.gz /usr/share/man/man1/retort-run.1.gz \
  /usr/share/bash-completion/completions/retort /usr/share/zsh/vendor-completions/_retort \
  /usr/share/fish/vendor_completions.d/retort.fish /usr/share/doc/retort/copyright /usr/share/doc/retort/docs/install.md
bash -n /usr/share/bash-completion/completions/retort

say "a small run, with recorded answers, as a user without rights"
useradd -m reader
su reader -c 'bash -s' <<'RUN'
set -euo pipefail
mkdir ~/words && cd ~/words
cp -r /usr/share/doc/retort/examples .
examples/arithmetic/prepare.sh
/usr/libexec/retort/arithmetic-problems worked 200 7 |
  sed -E 's/^\{"id":"[0-9a-f]+","input":("[^"]*"),"label":"([^"]*)","rationale":"([^"]*)".*/{"question":\1,"answer":"\2","text":"\3 # \2\\n"}/' > recorded.jsonl
cat > retort.yaml <<'YAML'
name: words
run_dir: run
task: {name: arithmetic, answer: number, markers: ["#"]}
corpus: {files: [recorded.jsonl], input: "{question}", gold: "{answer}"}
teacher: {backend: recorded, files: [recorded.jsonl], match: input, match_field: "{question}", text_field: "{text}"}
label: {shard_size: 20}
YAML
retort config validate
retort label --json > label.json
retort audit
[ "$(wc -l < run/dataset/labels.jsonl)" -eq 200 ]
RUN

say "removed again"
apt-get remove -y -qq retort > /dev/null 2>&1
[ ! -e /usr/bin/retort ] || fail "/usr/bin/retort is still there"
[ ! -e /usr/share/man/man1/retort.1.gz ] || fail "the manual is still there"
say "the package works on a clean system"
