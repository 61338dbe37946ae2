#!/usr/bin/env bash
# Make .venv and node_modules fit the lock files; quick when they do already.
# Only says something when there is something to do, and then on stderr.
set -euo pipefail
cd "$(dirname "$0")/.."

if .venv/bin/python -I -S local/setup.py --fits 2>/dev/null; then exit 0; fi

# A name proves nothing (a pyenv shim can exist and fail), so each candidate has to show what it can do.
able() {
  "$@" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 </dev/null
}

for version in 3.13 3.12 3.11; do
  for candidate in "python$version" "env PYENV_VERSION=$version python3"; do
    # shellcheck disable=SC2086  # a candidate may be several words
    if able $candidate && [ "$($candidate -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = "$version" ]; then
      exec $candidate -I local/setup.py
    fi
  done
done
for candidate in python3 /usr/bin/python3 python; do
  if able "$candidate"; then exec "$candidate" -I local/setup.py; fi
done

echo "setup: no Python 3.11 or newer with venv was found." >&2
exit 1
