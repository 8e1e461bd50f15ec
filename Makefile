# `make` lists what there is. Every target installs what it needs on first use.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Any Python from 3.11 on, with nothing installed; everything else lives in .venv and in the user cache
# ($SEATRIAL_CACHE, else ~/.cache/seatrial).
PYTHON ?= python3
BIN := .venv/bin
INSTALL := @$(PYTHON) requirements/install.py
SAY := @printf '\033[1m==> %s\033[0m\n'
# What to hand to pytest besides: make test ARGS='-k canary -x'
ARGS ?=
# Beside one another, as many as there are processors.
PYTEST := $(BIN)/pytest -n auto --dist worksteal
# What ARGS select may all be in one half of `make test`: pytest ends with 5 where it selected nothing.
NONE_IS_FINE = $(if $(ARGS),|| [ $$? -eq 5 ])
# The cluster that cluster-up and cluster-down are about.
NAME ?= local

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: ## The main job on a real cluster: five versions of a model, three sent back (KEEP=1 leaves it running)
	@$(PYTHON) -m dev.demo

.PHONY: check
check: lint ## What needs no cluster, in seconds: lint, types, layers, unit and chart tests
	$(SAY) 'tests without a cluster'
	@SEATRIAL_TESTS=quick $(PYTEST) -q -m 'not contract and not cluster' $(ARGS)

.PHONY: test
test: lint ## Everything: check, a real API server, a real cluster (minutes; the first run builds the cluster's parts)
	$(INSTALL) dev demo
	$(SAY) 'tests without a cluster: units, the chart, a real API server, a real Prometheus'
	@$(PYTEST) -m 'not cluster' $(ARGS) $(NONE_IS_FINE)
	$(SAY) 'tests on a local cluster, which count lost requests: nothing else runs beside them'
	@$(BIN)/pytest -m cluster $(ARGS) $(NONE_IS_FINE)

# How long the soak sails, and what its voyages are drawn from.
DURATION ?= 1h
SEED ?= 7

.PHONY: soak
soak: venv ## Trials in foul weather until the time is over, every fault at every transition (SEED=7 DURATION=1h)
	@PYTHONPATH=operator $(BIN)/python -m tests.weather --seed $(SEED) --duration $(DURATION)

.PHONY: benchmark-verdicts
benchmark-verdicts: ## How often the judge is wrong, beside what people use today (4 minutes; ARGS=--full for the whole grid, --docs for the page)
	$(INSTALL) dev demo
	@PYTHONPATH=operator:. $(BIN)/python -m benchmarks.verdicts $(ARGS)

.PHONY: benchmark-means
benchmark-means: ## The same for means, such as revenue per order (about 15 minutes)
	$(INSTALL) dev demo
	@PYTHONPATH=operator:. $(BIN)/python -m benchmarks.means $(ARGS)

.PHONY: lint
lint: venv ## Style, types and layers
	$(SAY) 'ruff'
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo 'make format puts that right'; exit 1; }
	$(SAY) 'mypy'
	@$(BIN)/mypy
	$(SAY) 'layers'
	@$(BIN)/lint-imports --no-logo --cache-dir .import_linter_cache

.PHONY: format
format: venv ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

.PHONY: generate
generate: venv ## Write the CRDs, the chart's copy, the reference page and the pictures of docs
	@$(BIN)/python -m seatrial.api.generate
	@$(BIN)/python -m docs.pictures

.PHONY: cluster-up
cluster-up: ## Start a local cluster: node, gateway, Prometheus (under a minute once built; NAME=local)
	@$(PYTHON) -m dev cluster up $(NAME)

.PHONY: cluster-down
cluster-down: ## Stop it; nothing is left behind
	@$(PYTHON) -m dev cluster down $(NAME)

.PHONY: image-context
image-context: venv ## Fetch the wheels that the Dockerfile needs into build-out/image
	@$(PYTHON) requirements/image.py context

.PHONY: image
image: venv ## Build the operator's image into build-out/seatrial-image.tar
	@$(PYTHON) requirements/image.py build

.PHONY: chart
chart: venv ## Test the chart and pack it into build-out
	@$(BIN)/pytest -q tests/chart
	@mkdir -p build-out
	@$(BIN)/python -c 'import helm_python; print(helm_python.package("charts/seatrial", destination="build-out"))'

.PHONY: bench
bench: venv ## Measure, and write the numbers to build-out/benchmarks
	@$(BIN)/python -m benchmarks

.PHONY: zero-lost
zero-lost: venv ## Count lost requests in everything that can happen, for docs/zero-lost.md (ARGS='canary abort' plays some)
	@$(BIN)/python -m benchmarks.lost $(ARGS)

.PHONY: venv
venv: ## Create or update .venv from the locks (seconds once downloaded)
	$(INSTALL) dev

.PHONY: lock
lock: ## Compile the locks from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(PYTHON) requirements/lock.py $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove what was made here; the user cache stays
	rm -rf .venv .make build-out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find operator tests dev benchmarks requirements -name __pycache__ -type d -prune -exec rm -rf {} +
