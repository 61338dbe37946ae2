#!/usr/bin/env bash
# Choose versions anew: requirements*.in -> requirements*.txt; .in -> .txt of local/ministack and infra/tools;
# package.json -> lock.
# The locks hold for Python 3.11 and later and name no registry.
set -euo pipefail
cd "$(dirname "$0")/.."

local/setup.sh
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
.venv/bin/python -m venv "$tools"
"$tools/bin/pip" install --quiet uv

compile() {
  "$tools/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" "$@"
}
compile requirements.in -o requirements.txt
compile requirements-lake.in -c requirements.txt -o requirements-lake.txt
compile requirements-senders.in -c requirements.txt -o requirements-senders.txt
compile requirements-dev.in -c requirements.txt -c requirements-senders.txt -o requirements-dev.txt
compile local/ministack.in -o local/ministack.txt
compile infra/tools.in -o infra/tools.txt
npm install --package-lock-only
