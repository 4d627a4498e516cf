#!/usr/bin/env bats
# Manual pages and completion of the real table of commands, as man and the shells take them.

load helpers

setup() { make_folder; }
teardown() { cd / && rm -rf "$folder"; }

# What bash would offer for the words given; the last one is being typed.
offered() {
  bash -c 'source <("$1" completion bash) && shift
           compopt() { :; }
           COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _retort && printf "%s\n" "${COMPREPLY[@]}"' - "$RETORT" "$@"
}

@test "man renders a page for every command, without a warning" {
  command -v man > /dev/null || skip "no man here"
  "$RETORT" help --man-pages pages
  for name in run label stats completion; do [ -s "pages/retort-$name.1" ]; done
  for page in pages/*.1; do
    LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$page" > shown.txt 2> warnings.txt || { cat warnings.txt; false; }
    [ ! -s warnings.txt ] || { echo "$page"; cat warnings.txt; false; }
  done
  LC_ALL=C.UTF-8 MANWIDTH=80 man -l pages/retort-stats.1 | col -bx > shown.txt
  grep -q '^RETORT-STATS(1)' shown.txt
  grep -q -- '--interval SECONDS' shown.txt
  [ "$(wc -l < <(awk 'length > 80' shown.txt))" -eq 0 ]
}

@test "bash is offered commands, options, words, choices, settings and files" {
  [ "$(offered retort sta)" = "stats" ]
  offered retort stats --wa | grep -qx -- --watch
  [ "$(offered retort export --format g)" = "gguf" ]
  [ "$(offered retort export --format = h)" = "hf" ]
  [ "$(offered retort config v)" = "validate" ]
  [ "$(offered retort run --set train.step)" = "train.steps=" ]
  [ "$(offered retort run --log-level w)" = "warn" ]
  touch settings.yaml
  [ "$(offered retort run --config sett)" = "settings.yaml" ]
  [ "$(offered retort completion z)" = "zsh" ]
}

@test "every script is one that its shell can read" {
  "$RETORT" completion bash > c.bash && bash -n c.bash
  "$RETORT" completion zsh > c.zsh && "$RETORT" completion fish > c.fish
  if command -v zsh > /dev/null; then zsh -n c.zsh; fi
  if command -v fish > /dev/null; then fish --no-execute c.fish; fi
  run "$RETORT" completion tcsh
  [ "$status" -eq 2 ]
  [[ "$output" == *"expected bash, zsh or fish"* ]]
}

@test "cmake installs the program and all that belongs to it" {
  DESTDIR=$PWD/root cmake --install "${RT_BUILD_DIR:-$SOURCE/build/release}" --prefix /usr > installed.txt
  root/usr/bin/retort --version > /dev/null
  for f in share/man/man1/retort-run.1.gz share/bash-completion/completions/retort share/doc/retort/copyright \
           share/doc/retort/docs/install.md share/doc/retort/examples/arithmetic/prepare.sh libexec/retort/arithmetic-problems; do
    [ -s "root/usr/$f" ] || { cat installed.txt; echo "missing $f"; false; }
  done
  [ -x root/usr/share/doc/retort/examples/arithmetic/prepare.sh ]
}
