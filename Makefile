# Safelight's commands. `make` alone lists them; each does the set-up that it needs, once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
NPM ?= npm
LISTEN ?= 127.0.0.1:8080
DATA ?= data
PHOTOS ?=
PYTEST_ARGS ?=
TEST_PROCESSES ?= 2
export PHOTOS DATA LISTEN
export NPM_CONFIG_UPDATE_NOTIFIER := false
unexport PYTHONDONTWRITEBYTECODE # tests start Python some thousand times; each would compile all of Safelight anew

BIN := .venv/bin
WEB := safelight/web_share

# Stamps: the file is newer than what was installed or built from.
PYTHON_READY := .venv/.python-ready
RUN_READY := .venv/.run-ready
DEV_READY := .venv/.dev-ready
NODE_READY := $(WEB)/node_modules/.package-lock.json
PAGES_READY := $(WEB)/node_modules/.pages-ready

PAGE_SOURCES := $(filter-out $(WEB)/dist/% $(WEB)/node_modules/%,\
	$(wildcard $(WEB)/*.html $(WEB)/*.json $(WEB)/*.js $(WEB)/*.ts) \
	$(shell find $(WEB)/src $(WEB)/public safelight/sync_protocol/vectors -type f 2>/dev/null))

# Built pages that were deleted are built again, whatever the stamp says.
$(if $(wildcard $(WEB)/dist/*),,$(shell rm -f $(PAGES_READY)))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Set-up -------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(RUN_READY) $(PAGES_READY) ## make .venv/bin/safelight and .venv/bin/safelight-server ready, pages included

.PHONY: dev
dev: $(DEV_READY) $(PAGES_READY) ## the same, with all that tests and checks need

$(PYTHON_READY):
	@command -v $(PYTHON) >/dev/null || { echo "Safelight needs Python 3.11 or newer; no $(PYTHON) was found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Safelight needs Python 3.11 or newer; name one with PYTHON=python3.12 (say)." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		rm -rf .venv; \
		echo "Python could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv." >&2; exit 1; }
	@touch $@

# The locks name everything, so nothing is resolved again: pip's own choice could be a release newer than the lock's.
$(RUN_READY): $(PYTHON_READY) requirements/run.txt pyproject.toml hatch_build.py
	@echo "Installing what Safelight runs on …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): $(RUN_READY) requirements/dev.txt
	@echo "Installing what tests and checks need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements/dev.txt
	@touch $@

$(NODE_READY): $(WEB)/package-lock.json $(WEB)/package.json
	@command -v $(NPM) >/dev/null || { echo "The pages are built with Node 20.19 or newer and npm; no npm was found." >&2; exit 1; }
	@echo "Installing what the pages are built with …"
	@cd $(WEB) && $(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGES_READY): $(NODE_READY) $(PAGE_SOURCES)
	@echo "Building the pages …"
	@cd $(WEB) && $(NPM) run --silent build
	@touch $@

.PHONY: browser database faults
browser: $(DEV_READY)
	@$(BIN)/python tools/ensure_program.py chromium
database: $(DEV_READY)
	@$(BIN)/python tools/ensure_program.py postgresql
faults: $(DEV_READY) # what cannot be had is said, and the tests that need it are skipped by name
	@$(BIN)/python tools/ensure_program.py strace || true
	@$(BIN)/python tools/ensure_program.py e2fsprogs || true

# --- Use ----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## make demo PHOTOS=~/Pictures: a folder goes in sealed and comes out as a share link
	@$(BIN)/python tools/demo.py $(if $(filter command environment,$(origin DATA)),--data "$$DATA") \
		$(if $(filter command environment,$(origin LISTEN)),--listen "$$LISTEN") "$$PHOTOS"

.PHONY: serve
serve: setup ## run a server on LISTEN (127.0.0.1:8080) with its data in DATA (./data)
	@$(BIN)/safelight-server run --data "$$DATA" --listen "$$LISTEN"

# --- Tests and checks ---------------------------------------------------------------------------------------------

.PHONY: test test-python test-pages
test: test-python test-pages ## all tests; the protocol's coverage by branch must be complete (-k: do not stop at the first)

# A file's tests stay together, since they share servers. In the order of the folders, as quick ones (unit) come last.
test-python: dev browser database faults
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/python -m coverage report --fail-under=100
test-pages: dev
	cd $(WEB) && $(NPM) test

CHECKS := check-format check-lint check-types check-layers check-pages check-bandit check-parts

.PHONY: check $(CHECKS)
check: $(CHECKS) ## format, lint, types, layers, and what is known against the parts we use (-k: do not stop at the first)

$(CHECKS): dev
check-format:
	$(BIN)/ruff format --check .
check-lint:
	$(BIN)/ruff check .
check-types:
	$(BIN)/mypy
check-layers:
	$(BIN)/lint-imports
check-pages:
	cd $(WEB) && $(NPM) run --silent check
check-bandit: # the low findings are rules of ruff, too, where each exemption stands in its line
	$(BIN)/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml safelight tools hatch_build.py
check-parts:
	$(BIN)/python tools/audit.py --or-say-so

.PHONY: audit
audit: dev ## known vulnerabilities in the parts we use; fails where the advisories cannot be reached
	$(BIN)/python tools/audit.py

.PHONY: format
format: $(DEV_READY) ## write the house format into the files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --exit-zero .

.PHONY: bench
bench: dev ## the table of speeds and memory (takes half an hour, and 4 GB of disk)
	@$(BIN)/python tools/ensure_program.py rclone
	@$(BIN)/python tools/ensure_program.py nginx
	@$(BIN)/python tools/ensure_program.py postgresql
	$(BIN)/python -m bench

.PHONY: battery
battery: dev browser database faults ## the long harnesses, which `make test` leaves out
	$(BIN)/python -m pytest -m battery --timeout=3600 $(PYTEST_ARGS)

# --- Upkeep -------------------------------------------------------------------------------------------------------

# uv resolves for every platform at once; it writes hashes and no index address.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --group build

.PHONY: lock
lock: $(DEV_READY) ## write requirements/ anew after a change of pyproject.toml (LOCK_ARGS=--upgrade for newer parts)
	$(LOCK) $(LOCK_ARGS) --output-file requirements/run.txt >/dev/null
	$(LOCK) $(LOCK_ARGS) --group dev --constraints requirements/run.txt --output-file requirements/dev.txt >/dev/null

.PHONY: clean
clean: ## remove all that the other targets made (not your data)
	rm -rf .venv build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf $(WEB)/node_modules $(WEB)/dist
	find safelight tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +
