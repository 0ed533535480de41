# The commands of this project; `make help` lists them. All of them use .venv, which `make venv` makes.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help venv demo test check docs clean

help:  ## list these commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

venv: $(INSTALLED)  ## make .venv with alb-logs and everything the other commands need

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "alb-logs needs Python 3.11 or newer; say which: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: venv  ## one hour of three load balancers through the real thing; KEEP=1 leaves it up
	$(BIN)/python -m devstack.demo $(if $(KEEP),--keep)

test: venv  ## every test, against a real Elasticsearch: what CI runs
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist loadgroup --cov --cov-report term --cov-fail-under=97

check: venv  ## format, lint, types and the fast tests, in about a minute
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto tests/unit tests/contract tests/property

docs: venv  ## write the generated pages and mappings anew
	$(BIN)/python -m devstack.generate

clean:  ## remove what these commands made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist
