# Every target works on a bare machine: it makes .venv and installs what it needs.
# A second run starts at once (stamp files). PYTHON=python3.12 make … picks the interpreter.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev
ARGS ?=
# One more than cores, because some tests wait for real time; each takes half a gigabyte.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8) + 1)')

.DEFAULT_GOAL := help
.PHONY: help demo test bench docs weights lint format nightly clean distclean

help: ## say what the targets are
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "depthscope needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "making $(VENV) …" >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "No virtual environment could be made. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 2; }

$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing depthscope …" >&2
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing depthscope and its development tools …" >&2
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(CORE)

demo: $(CORE) ## the embedded market on a live page: http://127.0.0.1:8050
	$(BIN)/depthscope demo $(ARGS)

# Kernels are compiled once, before the workers would each do it.
test: $(DEV) ## every test (slow ones in nightly), then the coverage floor
	$(BIN)/depthscope warmup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" \
	  --cov --cov-report=term:skip-covered $(ARGS)

lint: $(DEV) ## ruff, mypy --strict, bandit: all must be silent
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src

format: $(DEV) ## put the source in its one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV) ## write the pages about features and detectors from the code
	$(BIN)/python docs/reference.py

weights: $(DEV) ## fit the shipped signal weights anew from the recordings in DEPTHSCOPE_DATA
	$(BIN)/python -m depthscope.research.defaults

bench: $(DEV) ## side by side with the peers, writes bench/RESULTS.md
	$(BIN)/python -m bench $(ARGS)

nightly: $(DEV) ## every test, slow ones too, with many more generated cases
	$(BIN)/depthscope warmup
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

clean: ## remove caches, compiled kernels and build output
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## … and the virtual environments
	rm -rf .venv .venv-*
