# The verbs of this repository. They are a public contract: `make help` lists them.
#   PORT, DATA_DIR   choose where run, token, stop and replay work, so that two runs live beside each other

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python

PORT ?= 8000
DATA_DIR ?= .data
export PORT DATA_DIR KEY OPS COUNT SEEDS ON BUG SECONDS_MAX PUBLISH WORKERS SEED PUMP ROLE SUB SHOP FILE SHIFT B ENV JOB DATE DRY FROM TO TYPE QUEUE MAX YES \
       SHOW SEAL ONLY RATE OUT VAULT REGISTER ANYWAY EXPORTS N
SETTINGS = $(foreach each,$(SET),--set "$(each)")

.PHONY: help setup run test check audit fmt faults sim bench costs token fire events redrive replay returns reconcile verify liability rotate backup restore drill erase-again retain lake-rebuild docs stop clean lock \
        package deploy destroy \
        _lint _format _types _arrows _drift _house _bandit _leaks

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv and node_modules from the lock files; does nothing when they fit
	@local/setup.sh

run: setup ## serve on PORT (8000) with data in DATA_DIR (.data); WORKERS=2, SEED=none: no demo, PUMP=none: only the API
	@exec $(PY) -m local run --end-with-parent

test: setup check ## check, then every test
	@$(PY) -m pytest -n 2

check: setup ## lint, format, types, import arrows, drift of generated files, house rules, bandit, secrets
	@$(MAKE) -j 5 -k -O _types _leaks _drift _arrows _bandit _lint _format _house

audit: setup ## ask the package index and npm for known holes in what is locked; needs a network, and fails without one
	@$(PY) -m local.audit

fmt: setup ## format the code and mend what can be mended
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

faults: setup ## break what can break, at full size: KILLS=50 SIZE=10000 SEED=1, ONLY=crashes|kills|sends|journeys|poison|schedules|flaky, PUBLISH=1
	@KILLS=$${KILLS:-50} SIZE=$${SIZE:-10000} SEED=$${SEED:-1} $(PY) -m tests.faults $${ONLY:+tests/faults/test_$$ONLY.py} $${PUBLISH:+--publish}

sim: setup ## simulate with faults: SEED=1 OPS=10000, SEEDS=… worlds of OPS each, ON=emulator, BUG=name|all, ADD=1 adds to other seeds, PUBLISH=1
	@$(PY) -m tests.sim $${SEED:+--seed "$$SEED"} $${OPS:+--ops "$$OPS"} $${SEEDS:+--seeds "$$SEEDS"} $${ON:+--on "$$ON"} \
	  $${BUG:+--bug "$$BUG"} $${SECONDS_MAX:+--seconds "$$SECONDS_MAX"} $${ADD:+--add} $${PUBLISH:+--publish}

bench: setup ## measure; B=name for one figure
	@$(PY) -m bench $${B:+"$$B"}

costs: setup ## meter what every operation costs and keep it: docs/figures/costs.json and docs/costs.md
	@$(PY) -m bench.op_cost --publish
	@$(PY) -m local.generate

token: setup ## print a token to sign in with; ROLE=admin, SUB=stf_…, SHOP=shp_…, DIRECTORY=1
	@$(PY) -m local token $${ROLE:+--role "$$ROLE"} $${SUB:+--sub "$$SUB"} $${SHOP:+--shop "$$SHOP"} $${DIRECTORY:+--directory}

fire: setup ## run a job of the running server now: JOB=birthday, DATE=2026-02-28, DRY=1 only says what it would do
	@$(PY) -m local fire $${DRY:+--dry-run} -- $${JOB:+"$$JOB"} $${DATE:+"$$DATE"}

events: setup ## tell events of the archive again: FROM=2026-02-28T00:00:00Z, TO=…; TYPE=…, QUEUE=… for one queue, DRY=1
	@$(PY) -m local events $${FROM:+--from "$$FROM"} $${TO:+--to "$$TO"} $${TYPE:+--type "$$TYPE"} $${QUEUE:+--queue "$$QUEUE"} \
	  $${DRY:+--dry-run}

redrive: setup ## move dead letters of QUEUE=… back to it; MAX=… at the most, RATE=… a second (50), ONLY=… those that hold a text
	@$(PY) -m local redrive $${QUEUE:+--queue "$$QUEUE"} $${MAX:+--max "$$MAX"} $${RATE:+--rate "$$RATE"} $${ONLY:+--where "$$ONLY"}

replay: setup ## send the sales of FILE=… to the running server; SHIFT=today moves their dates
	@$(PY) -m local replay $${FILE:+--file "$$FILE"} $${SHIFT:+--shift "$$SHIFT"}

returns: setup ## return parts of purchases of FILE=… that were replayed, at random: COUNT=5000, SEED=1; then: make verify
	@$(PY) -m local returns $${FILE:+--file "$$FILE"} $${COUNT:+--count "$$COUNT"} $${SEED:+--seed "$$SEED"}

reconcile: setup ## prove every account of the demo in DATA_DIR, or FILE=… against what was replayed
	@$(PY) -m local reconcile $${FILE:+--file "$$FILE"}

verify: setup ## prove every account of the run in DATA_DIR, and that nothing signed is gone; SEAL=1 signs today's root
	@$(PY) -m local verify $${SEAL:+--seal}

liability: setup ## verify, and report points outstanding, the roll-forward of every month, breakage; CSV in DATA_DIR
	@$(PY) -m local verify --liability

rotate: setup ## replace a key of the run in DATA_DIR, or of REGULARS_STACK, while it serves: KEY=index (in steps), tenant or member
	@$(PY) -m local rotate "$$KEY" $${STEP:+--step "$$STEP"}

backup: setup ## copy all of DATA_DIR that has to survive into OUT=…; VAULT=… elsewhere, EXPORTS=… turns exports of AWS' into one
	@$(PY) -m local backup $${OUT:+--out "$$OUT"} $${VAULT:+--vault "$$VAULT"} $${EXPORTS:+--exports "$$EXPORTS"}

restore: setup ## put a backup FROM=… into an empty DATA_DIR that has its keys, and prove it; REGISTER=folder|file|none of who was erased: they are erased again
	@$(PY) -m local restore --from "$$FROM" --register "$$REGISTER" $${VAULT:+--vault "$$VAULT"} $${ANYWAY:+--anyway}

drill: setup ## back up and restore a ledger of N=1000000 items, timed: 30 minutes at the most, no difference
	@$(PY) -m bench.restore $${N:+--items "$$N"}

erase-again: setup ## erase again whoever the register of erasures has, after the tables of DATA_DIR were restored
	@$(PY) -m local erase_again

retain: setup ## take away what is kept longer than it may be; as the program says, or DAYS=… after a closure; DRY=1: only say what
	@$(PY) -m local retain $${DAYS:+--days "$$DAYS"} $${DRY:+--dry-run}

lake-rebuild: setup ## forget the lake and make it anew from the table of the run in DATA_DIR, or FROM=… a backup; of a stack, FROM=… an export
	@$(PY) -m local lake_rebuild $${FROM:+--from "$$FROM"}

docs: setup ## write the generated files anew
	@$(PY) -m local.generate

stop: setup ## end the run that uses DATA_DIR
	@$(PY) -m local stop

clean: ## remove what setup and the checks made; DATA_DIR stays
	@rm -rf .venv .venv-ministack .venv-infra build node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find app.py chalicelib local tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

lock: ## choose versions anew for requirements*.in and package.json
	@local/lock.sh

package: setup ## build what is deployed to ENV=dev|stg|prod into build/ENV; SET="Name=Value …" for other parameters
	@$(PY) -m local.deploy package --env "$$ENV" $(SETTINGS)

deploy: package ## package, show what would change in the stacks of ENV=…, ask, change it; YES=1, SHOW=1 only shows
	@$(PY) -m local.deploy deploy --env "$$ENV" $${YES:+--yes} $${SHOW:+--no-execute}

destroy: setup ## delete the stacks of ENV=…, as packaged, after its name was typed; never prod's
	@$(PY) -m local.deploy destroy --env "$$ENV"

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
_house:
	@$(PY) -m local.lint
_bandit:
	@$(PY) -m bandit -q -c pyproject.toml -r app.py chalicelib local -f custom --msg-template '{relpath}:{line}: {test_id}: {msg}'
_leaks:
	@$(PY) -m local.leaks
