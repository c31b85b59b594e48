# `make run` and `make test` set everything up on a machine that has Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORK ?= work/synthetic

.PHONY: run test lint docs clean

run: $(VENV)/.ready
	$(BIN)/wordprint run recipes/synthetic.toml --work $(WORK)

test: $(VENV)/.ready
	$(BIN)/ruff check src tests benchmarks recipes
	$(BIN)/ruff format --check src tests benchmarks recipes
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

docs: $(VENV)/.ready
	$(BIN)/python docs/make_cli_reference.py

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "wordprint needs Python 3.11 or newer: make PYTHON=python3.11 …"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "this Python can't make virtual environments: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) work build dist
