# The commands people type. Each is a few lines: the work is in `pachon`, pytest and tools/.
.DEFAULT_GOAL := help
.PHONY: help up test check front chart bench bench-tap docs format lock clean environment
MAKEFLAGS += --no-print-directory

export PYTHON ?= python3
BIN := .venv/bin
SUITE := PYTHONPATH=tests $(BIN)/pytest -p support.strict_skips -p support.suite_order

help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up:  ## Install what is missing, build the default data if absent, start everything; Ctrl-C stops it
	@tools/environment.sh platform
	@exec $(BIN)/pachon up

test: environment  ## Run every check and the whole test suite
	@tools/system-packages.sh
	@$(MAKE) check
	@$(SUITE) -n logical --maxprocesses 4 --no-loadscope-reorder

check: environment  ## Lint, formatting, types, imports, docs, sizes and shape
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary platform/src extensions/pachon-client/src extensions/pachon-lab/src
	$(BIN)/lint-imports
	@$(MAKE) docs
	$(SUITE) -q -rN tests/test_shape.py tests/test_docs.py
	@$(BIN)/python tests/bench/figures.py

front: environment  ## Build the front end of the lab extension from its TypeScript (needs npm)
	@tools/system-packages.sh
	@cd extensions/pachon-lab && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build

chart: environment  ## Write the chart's values and their schema from helm/pachon/values.source.yaml
	@$(BIN)/python tools/chart_values.py

bench: environment  ## Measure, and write the figures into docs/reference
	@$(BIN)/pachon data build
	$(SUITE) -o python_files='bench_*.py' --ignore=tests/bench/tap tests/bench

bench-tap: environment  ## Measure catalogue queries beside raw DuckDB and PostgreSQL with q3c
	@tools/system-packages.sh q3c
	@$(BIN)/pachon data build
	$(SUITE) -q -s -o python_files='bench_*.py' -o timeout=1800 tests/bench/tap

docs: environment  ## Build the documentation into docs/_build/html; warnings are errors
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html

format: environment  ## Format the code and fix what can be fixed
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --fix --quiet .

UV := $(BIN)/uv
LOCK := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

lock:  ## Write the pinned requirements anew from pyproject.toml
	$(LOCK) --extra build --extra hub --extra kubernetes --extra portal --extra lab pyproject.toml -o requirements/platform.txt
	$(LOCK) --extra build --extra hub --extra kubernetes --extra portal --extra lab --extra dev -c requirements/platform.txt pyproject.toml -o requirements/dev.txt

clean:  ## Remove what was built; data and settings in var/ stay
	rm -rf docs/_build tests/artefacts dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

environment:
	@tools/environment.sh dev
