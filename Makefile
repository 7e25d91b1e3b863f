# Everything a newcomer or a CI machine runs. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
# Most of the cluster tests wait for Slurm: more of them than cores fit side by side.
WORKERS ?= 4
PYTEST_ARGUMENTS ?=
chaos: N ?= 100
array: N ?= 2000

.PHONY: help demo test image tests check format environment developers tools benchmarks soak array chaos clean

help:  ## say what there is
	@grep -E '^[a-z]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*  ## (.*)/  make \1\t\2/' | expand -t 20

demo: environment  ## make the environment, then the whole pipeline on music made for it; ends with the report's path
	@$(BIN)/wavenet demo folder=$(DEMO)

test: tools developers  ## make the environment, then run every check and every test
	@$(MAKE) --no-print-directory image check
	@$(MAKE) --no-print-directory tests

tests: developers
	@# Threads of torch and of BLAS multiply with the workers and would fight for the cores.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGUMENTS)

# Root and image take minutes to make, and are kept (~/.cache): begun here, in the background, and waited for by the tests
# that need them. Where they cannot be made, those tests say why.
image: developers
	@mkdir -p build
	@$(BIN)/python containers/build tried > build/image.log 2>&1 < /dev/null &

check: developers  ## formatting, lint, types, import direction
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > $(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }
	@echo "checks passed: format, lint, types, imports"

format: developers  ## put the code into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: developers  ## measure; prints a table and writes JSON to build/benchmarks
	$(BIN)/python -m tests.benchmarks

soak: developers  ## end the writer of checkpoints at thousands of its system calls; prints a table
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.crashes

chaos: developers  ## let N things happen to one training on a Slurm of its own (N=100: half an hour); prints a table
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos $(N)

# Root is needed, to bring a Slurm up; it takes a second or two of a core for each pair.
array: developers  ## make N=2000 clips by as many Slurm tasks and kill a tenth of them midway; prints a table
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.cluster $(N)

environment: $(VENV)/.made
developers: $(VENV)/.made-for-developers

# The stamps carry the time of the last success, so that nothing is done while none of these files has changed.
KERNEL := hatch_build.py $(wildcard $(addprefix wavenet/generation/native/,*.cpp *.h build.py))
$(VENV)/.made: pyproject.toml constraints.txt $(KERNEL)
	@$(PYTHON) -c 'import sys; (3, 10) <= sys.version_info[:2] <= (3, 13) or sys.exit( \
	    f"Python 3.10 to 3.13 is needed, {sys.executable} is {sys.version.split()[0]}; name another: make PYTHON=python3.11 ...")'
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || $(MAKE) --no-print-directory python3-venv.apt
	@echo "making the environment in $(VENV) (a minute or two, about 1.1 GB)"
	@$(PYTHON) -m venv $(VENV)
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -qq --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.made-for-developers: $(VENV)/.made
	@echo "adding the developers' tools"
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Programs from outside Python's index: a compiler makes the kernel of generation (so it comes before the environment),
# a browser looks at the report as a reader does.
tools:
	@command -v c++ > /dev/null || $(MAKE) --no-print-directory g++.apt \
	    || { [ "$${CI:-}" != true ] && echo "left out: the native kernel (no C++ compiler is installed)"; }
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null \
	    || $(MAKE) --no-print-directory chromium.apt \
	    || { [ "$${CI:-}" != true ] && echo "left out: the browser tests (chromium is not installed)"; }
	@command -v mmdebstrap > /dev/null || $(MAKE) --no-print-directory mmdebstrap.apt \
	    || { [ "$${CI:-}" != true ] && echo "left out: the tests in containers (mmdebstrap is not installed)"; }
	@command -v mkfs.btrfs > /dev/null || $(MAKE) --no-print-directory btrfs-progs.apt \
	    || { [ "$${CI:-}" != true ] && echo "left out: the tests of a quota (btrfs-progs is not installed)"; }
	@for each in buildah:buildah ch-run:charliecloud podman:podman runc:runc newuidmap:uidmap; do \
	    command -v $${each%:*} > /dev/null || $(MAKE) --no-print-directory $${each#*:}.apt \
	    || { [ "$${CI:-}" != true ] && echo "left out: the tests of the OCI image ($${each#*:} is not installed)"; }; done

%.apt:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo "installing $* from the system's packages"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $* > /dev/null; \
	else echo "please install $* (here it takes root on a Debian system: apt-get install $*)"; exit 1; fi

clean:  ## remove the environment, caches and the demo's results
	rm -rf $(VENV) build dist $(DEMO) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find wavenet jobs slurm tests -name __pycache__ -type d -prune -exec rm -rf {} +
