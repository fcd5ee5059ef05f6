# Works on a fresh clone with nothing but Python (3.10 to 3.13) and make: `make demo`, `make test`.
# Each group of dependencies is installed once into .venv and again only when pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq
STAMPS := .venv/stamps
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
# Tests of remote tuners wait for jobs most of the time: with half as many more at work the cores are busy.
TEST_WORKERS ?= $(shell echo $$(( ($(CORES) * 3 + 1) / 2 )))
STUDY_PROCESSES ?= $(CORES)

# Of the chaos tests. Drawn once, so that a test which is repeated meets the same faults.
ifndef CLOUDTUNE_CHAOS_SEED
CLOUDTUNE_CHAOS_SEED := $(shell date +%s)
endif

.PHONY: help demo demo-local demo-remote test test-long test-sdk check format bench study study-full docs clean

help:
	@echo "make demo       a study on the local cloud: launched, tuned, interrupted, compared; about two minutes"
	@echo "make demo-local tune a small network on scanned digits on this machine, about a minute"
	@echo "make demo-remote  loop and trials, each here or as training jobs, on the local cloud; two minutes"
	@echo "make test       all tests but the long ones"
	@echo "make test-long  the long chaos runs: a tuner killed hundreds of times"
	@echo "make test-sdk   AWS's own SDKs (v2 and v3) train on the local cloud; installs both, 1.5 GB"
	@echo "make check      formatting, lint, types, import rules"
	@echo "make format     let ruff format and fix what it can"
	@echo "make bench      our speed against a bare loop, as ratios of one run"
	@echo "make study      what the methods are worth, simulated: 3 seeds, within a quarter of an hour on two cores"
	@echo "make study-full the same with 20 seeds, for docs/study.md; goes on where it was interrupted"
	@echo "make docs       the documentation as HTML, in docs/_build/html"
	@echo "make clean      remove everything that make has made, .venv included"

demo: $(STAMPS)/demo
	CLOUDTUNE_FOLDER="$${CLOUDTUNE_FOLDER:-$(CURDIR)/demo-output}" $(BIN)/python benchmarking/demo.py

demo-local: $(STAMPS)/demo
	CLOUDTUNE_FOLDER="$${CLOUDTUNE_FOLDER:-$(CURDIR)/demo-output}" $(BIN)/python benchmarking/demo_local.py

demo-remote: $(STAMPS)/demo
	CLOUDTUNE_FOLDER="$${CLOUDTUNE_FOLDER:-$(CURDIR)/demo-output}" $(BIN)/python benchmarking/demo_remote.py

# Most tests run real processes, and some name seconds. What fails while others load the machine is run a second time,
# alone and with the same seed, and must then pass; the second run names it.
test: export CLOUDTUNE_CHAOS_SEED := $(CLOUDTUNE_CHAOS_SEED)
test: $(STAMPS)/dev $(STAMPS)/torch $(STAMPS)/methods
	@$(BIN)/python -m pytest -q -n $(TEST_WORKERS) --dist worksteal; \
	status=$$?; if [ $$status -ne 1 ]; then exit $$status; fi; \
	echo "Once more, alone, what has failed:"; \
	$(BIN)/python -m pytest -v -rA --last-failed --last-failed-no-failures none

test-long: $(STAMPS)/dev
	$(BIN)/python -m pytest -q -m long --timeout 3600

test-sdk: $(STAMPS)/dev $(STAMPS)/sdk2 $(STAMPS)/sdk3
	$(BIN)/python -m pytest -q -m sdk --timeout 1200 tests/sdk

check: $(STAMPS)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMPS)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMPS)/dev
	$(BIN)/python -m benchmarking.overhead

# A study that was interrupted goes on; one that has ended begins anew. What other code has recorded does not count.
study: $(STAMPS)/dev $(STAMPS)/torch $(STAMPS)/methods
	$(BIN)/python -m benchmarking.study run --plan quick --fresh --processes $(STUDY_PROCESSES)

study-full: $(STAMPS)/dev $(STAMPS)/torch $(STAMPS)/methods
	$(BIN)/python -m benchmarking.study run --plan full --processes $(STUDY_PROCESSES)
	$(BIN)/python -m benchmarking.study page

docs: $(STAMPS)/docs
	$(BIN)/python -m sphinx -E -W --keep-going -n -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

clean:
	rm -rf .venv build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/python:
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.version_info[:2] >= (3, 10) or \
	sys.exit("cloudtune needs Python 3.10 or newer and " + sys.executable + " is " + v + "; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: pyproject.toml | $(STAMPS)/python
	$(PIP) -e '.[benchmarks,local,plot]'
	@touch $@

$(STAMPS)/dev: pyproject.toml | $(STAMPS)/python
	$(PIP) -e '.[dev]'
	@touch $@

# Apart from dev: checks and benchmarks do not need it, and it is the largest of all, 0.9 GB.
$(STAMPS)/torch: tests/benchmarking/requirements-torch.txt | $(STAMPS)/dev
	$(PIP) -r $<
	@touch $@

# What methods need that stand on other libraries, as users install it; ray and what it needs are 0.4 GB. After torch,
# so that botorch finds the build for processors in its place.
$(STAMPS)/methods: pyproject.toml | $(STAMPS)/torch
	$(PIP) -e '.[bo,bore,optuna,ray]'
	@touch $@

$(STAMPS)/docs: pyproject.toml | $(STAMPS)/python
	$(PIP) -e '.[docs]'
	@touch $@

# AWS's SDKs exclude each other, so each has an environment of its own; it is also the image that its jobs run in.
$(STAMPS)/sdk2: tests/sdk/requirements-v2.txt | $(STAMPS)/python
	$(PYTHON) -m venv .venv/sdk2
	.venv/sdk2/bin/python -m pip install --disable-pip-version-check -qq -r $<
	@touch $@

$(STAMPS)/sdk3: tests/sdk/requirements-v3.txt | $(STAMPS)/python
	$(PYTHON) -m venv .venv/sdk3
	.venv/sdk3/bin/python -m pip install --disable-pip-version-check -qq -r $<
	@touch $@
