#!/usr/bin/env bash
# check.py under a Python that has PyYAML: the one in the PATH, or Debian's own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=python3
"$python" -c 'import yaml' 2>/dev/null || python=/usr/bin/python3
exec "$python" -B "$here/check.py" "$@"
