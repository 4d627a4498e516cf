#!/usr/bin/env bash
# Run a script under a Python that has PyYAML: the one in the PATH, or Debian's own.
#     python.sh SCRIPT [ARGS]
set -euo pipefail
python=python3
"$python" -c 'import yaml' 2>/dev/null || python=/usr/bin/python3
exec "$python" -B "$@"
