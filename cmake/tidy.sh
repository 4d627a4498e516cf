#!/usr/bin/env bash
# Our own checks, fast and without a build:
#   includes against cmake/layers.txt · file and function length · generated docs are current ·
#   words of unfinished work · links of the pages
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

file_lines_max=600
function_lines_max=100
bad=0
complain() { echo "tidy: $*" >&2; bad=1; }

files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }

# The layer a path belongs to: "nn" for common/nn/ops/x.c, "worker/teacher", "coordinator", "cli".
check_includes() {
  files '*.c' '*.h' '*.cpp' | grep -v '^tests/\|^bench/\|^cmake/' | xargs awk -v table=cmake/layers.txt '
    function layer(path,   p) {
      split(path, p, "/")
      if (p[1] == "common") return p[2]
      if (p[1] == "worker") return "worker/" p[2]
      return p[1]
    }
    BEGIN {
      while ((getline line < table) > 0) {
        if (line ~ /^#/ || line !~ /:/) continue
        n = split(line, part, ":"); from = part[1]; known[from] = 1
        m = split(part[2], allowed, " ")
        for (i = 1; i <= m; i++) may[from, allowed[i]] = 1
      }
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      split($0, q, "\""); from = layer(FILENAME); to = layer(q[2])
      if (!(from in known)) { print FILENAME ": folder " from " is not in " table; next }
      if (from != to && !((from, to) in may))
        print FILENAME ":" FNR ": " from " may not include " to " (" q[2] ")"
    }'
}

check_file_length() {
  files '*.c' '*.h' '*.cpp' | xargs wc -l |
    awk -v max=$file_lines_max '$2 != "total" && $1 > max {print $2 ": " $1 " lines, at most " max}'
}

# Functions open with a brace in column 1 (clang-format sees to it) and close with one.
check_function_length() {
  files '*.c' '*.cpp' | xargs awk -v max=$function_lines_max '
    /^\{/ {start = FNR}
    /^\}/ {if (start && FNR - start > max) print FILENAME ":" start ": function of " FNR - start " lines, at most " max; start = 0}'
}

check_words() {
  files '*.c' '*.h' '*.cpp' '*.cmake' '*.txt' | grep -v '^cmake/tidy.sh' |
    xargs grep -nIE '\b(TODO|FIXME|XXX|HACK)\b' || true
}

# docs/config.md is printed by the schema; checked when the program has been built.
check_generated() {
  local retort=build/release/retort
  [ -x "$retort" ] && [ -f docs/config.md ] || return 0
  diff -q <("$retort" config reference) docs/config.md >/dev/null ||
    echo "docs/config.md is stale: run build/release/retort config reference > docs/config.md"
}

check_links() {
  command -v python3 > /dev/null || return 0
  files '*.md' | xargs python3 cmake/links.py
}

for check in check_includes check_file_length check_function_length check_words check_generated check_links; do
  found=$("$check")
  [ -z "$found" ] || complain "${check#check_}
$found"
done
[ $bad -eq 0 ] && echo "tidy: clean"
exit $bad
