# Two commands do everything on a machine with Python 3.11 and make: `make search` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SAMPLE ?= 400  # mutants that are drawn at random, 0 for all; SEED decides which
SEED ?= 0
TESTS ?=  # what pytest is told besides, such as -m "not slow"

.PHONY: search test lint mutants clean

search: $(VENV)/.installed
	$(BIN)/python search.py constraint=flops_600m

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n logical --maxprocesses=8 --dist loadfile $(TESTS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

mutants: $(VENV)/.installed-mutants
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.mutants.run --sample $(SAMPLE) --seed $(SEED)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@

$(VENV)/.installed-mutants: requirements-mutants.txt $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-mutants.txt
	touch $@

clean:
	rm -rf $(VENV) mutants .pytest_cache .ruff_cache build *.egg-info
