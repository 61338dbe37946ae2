# The verbs of this repository. They are a public contract: `make help` lists them.
#   PORT, DATA_DIR   choose where run, token, stop and replay work, so that two runs live beside each other

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python

PORT ?= 8000
DATA_DIR ?= .data
export PORT DATA_DIR WORKERS SEED ROLE SUB SHOP FILE SHIFT B ENV

.PHONY: help setup run test check fmt bench token replay reconcile docs stop clean lock package deploy \
        _lint _format _types _arrows _drift

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv and node_modules from the lock files; does nothing when they fit
	@local/setup.sh

run: setup ## serve the API on PORT (8000) with its data in DATA_DIR (.data); WORKERS=2, SEED=none for no demo data
	@exec $(PY) -m local run --end-with-parent

test: setup check ## check, then every test
	@$(PY) -m pytest -n 2

check: setup ## lint, format, types, import arrows, drift of generated files
	@$(MAKE) -j 5 -k -O _lint _format _types _arrows _drift

fmt: setup ## format the code and mend what can be mended
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

bench: setup ## measure; B=name for one figure
	@$(PY) -m bench $${B:+"$$B"}

token: setup ## print a token to sign in with; ROLE=admin, SUB=stf_…, SHOP=shp_…
	@$(PY) -m local token $${ROLE:+--role "$$ROLE"} $${SUB:+--sub "$$SUB"} $${SHOP:+--shop "$$SHOP"}

replay: setup ## send the events of FILE=… to the running server; SHIFT=today moves their dates
	@$(PY) -m local replay $${FILE:+--file "$$FILE"} $${SHIFT:+--shift "$$SHIFT"}

reconcile: setup ## prove every account of the demo in DATA_DIR, or FILE=… against what was replayed
	@$(PY) -m local reconcile $${FILE:+--file "$$FILE"}

docs: setup ## write the generated files anew
	@$(PY) -m local.generate

stop: setup ## end the run that uses DATA_DIR
	@$(PY) -m local stop

clean: ## remove what setup and the checks made; DATA_DIR stays
	@rm -rf .venv .venv-ministack node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find app.py chalicelib local tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

lock: ## choose versions anew for requirements*.in and package.json
	@local/lock.sh

package: ## build what is deployed (not here yet)
	@echo "make package comes with the deployment work; nothing was built." >&2; exit 2

deploy: ## deploy to ENV=… (not here yet)
	@echo "make deploy comes with the deployment work; nothing was deployed." >&2; exit 2

_lint:
	@$(PY) -m ruff check .
_format:
	@$(PY) -m ruff format --check --quiet . || { echo "ruff format: run 'make fmt'" >&2; exit 1; }
_types:
	@$(PY) -m mypy --no-error-summary
_arrows:
	@.venv/bin/lint-imports --no-logo >.venv/arrows.txt || { cat .venv/arrows.txt; exit 1; }
_drift:
	@$(PY) -m local.generate --check
