# Every target explains itself: `make` alone lists them.
# Needs Python 3.11+, make and a package index; everything else is installed into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.synced

# uv installs into .venv, with the Python that made it, and fetches no other.
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON := $(CURDIR)/$(BIN)/python
unexport VIRTUAL_ENV
# Compiling all sources at every start of a process takes twice as long as everything else it does then.
unexport PYTHONDONTWRITEBYTECODE
# pyright takes node from its wheel and doesn't ask for newer versions of itself.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# Tests run in one process more than there are cores, for many of them wait; a file stays in one process, and
# files go in the order of `tests/conftest.py`: the long ones first.
PARALLEL ?= -n $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))) --dist loadfile --no-loadscope-reorder

SOURCES := src clients tests $(wildcard bench) $(wildcard scripts)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# ------------------------------------------------------------------------------------------ installation
.PHONY: setup
setup: $(STAMP) ## Install everything into .venv from the lock file (fast when nothing changed)
	@:

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Bursar needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(STAMP): $(UV) pyproject.toml uv.lock clients/python/pyproject.toml
	@$(UV) --version | grep -qF 'uv $(UV_VERSION)' \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) sync --locked --quiet
	@touch $@

# What validates FOCUS exports asks for older packages than Bursar does: an environment of its own.
FOCUS := .venv-focus

.PHONY: focus
focus: $(FOCUS)/.synced ## Install focus-validator, for the test of FOCUS exports, into .venv-focus
	@:

$(FOCUS)/.synced: $(STAMP) $(wildcard tests/focus/*) scripts/install_focus_validator.py
	UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(FOCUS) $(UV) sync --project tests/focus --locked --quiet
	$(BIN)/python -m scripts.install_focus_validator $(FOCUS)
	@touch $@

# What single sign-on is tested against: a certified OpenID provider, of npm.
PROVIDER := .openid-provider

.PHONY: openid-provider
openid-provider: $(PROVIDER)/.synced ## Install oidc-provider, for the tests of single sign-on, into .openid-provider
	@:

$(PROVIDER)/.synced: $(STAMP) $(wildcard tests/oidc/package*.json) scripts/install_openid_provider.py
	$(BIN)/python -m scripts.install_openid_provider $(PROVIDER)

# ------------------------------------------------------------------------------------------------- use it
.PHONY: demo
demo: setup ## Serve with 30 days of invented usage; prints the address, a key and requests to try
	$(BIN)/bursar demo $(ARGS)

# --------------------------------------------------------------------------------------------------- test
.PHONY: test kills long fuzz test-slow chaos coverage bench
test: setup focus openid-provider ## Run the tests (ARGS="-k price" is passed on; COVERAGE=1 measures what they reach)
ifdef COVERAGE
	rm -rf .coverage && mkdir .coverage
	$(BIN)/coverage run -m pytest $(PARALLEL) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
else
	$(BIN)/pytest $(PARALLEL) $(ARGS)
endif

kills: setup ## Kill -9 at every named moment, where `test` tries one of each kind, and power cuts (minutes; CI runs it too)
	$(BIN)/pytest -m kills $(PARALLEL) $(ARGS)

long: setup focus openid-provider ## Further cases and stories that take long, where `test` tries some of each (minutes; CI runs it too)
	$(BIN)/pytest -m 'long and not hypothesis' $(PARALLEL) $(ARGS)

fuzz: setup ## Try every property, with four times the examples of `test` (minutes; CI runs it too)
	BURSAR_ROUNDS=4 $(BIN)/pytest -m hypothesis $(PARALLEL) $(ARGS)

test-slow: setup ## Run the tests that take minutes, and properties over many more examples (an hour and more)
	$(BIN)/pytest -m slow $(ARGS)

chaos: setup ## Kills, power cuts, full disks, storms, overload, many times; prints a table (an hour; ARGS="--only power")
	$(BIN)/python -m tests.chaos $(ARGS)

coverage: ## Run the tests and print branch coverage; fails below 90 %
	@$(MAKE) test COVERAGE=1

bench: setup ## Measure everything that has a target, beside the machine's own limits (half an hour; ARGS="batches --runs 1", ARGS=--help)
	$(BIN)/python -m bench $(ARGS)

# -------------------------------------------------------------------------------------------------- check
.PHONY: check fmt lint types layers house bandit audit docs
check: lint types layers house bandit ## All that can be said without running the product: the gate before a commit

fmt: setup ## Format the code and fix what can be fixed safely
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint: setup ## Style, formatting and spelling
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/codespell $(SOURCES) docs *.md Makefile pyproject.toml

types: setup ## Types, strictly
	$(BIN)/pyright

layers: setup ## Who may import whom
	$(BIN)/lint-imports --cache-dir .import_linter_cache

house: setup ## The house rules: sizes, names, paragraphs, complete and fresh documentation
	$(BIN)/pytest -q tests/house

bandit: setup ## Holes in the code: fails for a finding that docs/reference/audit.md does not explain
	$(BIN)/python -m scripts.audit --code-only

audit: setup ## The same, and pip-audit over what is locked, which asks for advisories (ARGS=--code-only leaves that out)
	$(BIN)/python -m scripts.audit $(ARGS)

docs: setup ## Regenerate docs/reference, openapi.json and .env.example from the code
	$(BIN)/python -m scripts.generate_docs

.PHONY: clean
clean: ## Remove the environment, caches and reports (never a data folder)
	rm -rf $(VENV) $(FOCUS) $(PROVIDER) .coverage .hypothesis .import_linter_cache .pytest_cache .ruff_cache .schemathesis build dist htmlcov
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
