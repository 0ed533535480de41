# The commands of this project; `make help` lists them. All of them use .venv, which `make venv` makes.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help venv demo test cover check bench package deploy terraform docs clean

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
	$(BIN)/pytest -q -n auto --dist loadfile

cover: venv  ## the same with branch coverage, which takes several times as long
	$(BIN)/pytest -q -n auto --dist loadfile --cov --cov-report term-missing --cov-fail-under=97

check: venv  ## format, lint, types and the fast tests, in about a minute
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto tests/unit tests/contract tests/property

bench: venv  ## every figure of docs/performance.md in one run; QUICK=1, FULL=1, JSON=FILE
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(FULL),--full) $(if $(JSON),--json $(JSON))

package: venv  ## the Lambda zip under dist/; ARCH=arm64|x86_64, PYTHON_VERSION=3.12
	$(BIN)/python -m deploy.lambda_zip $(if $(ARCH),--arch $(ARCH)) $(if $(PYTHON_VERSION),--python $(PYTHON_VERSION)) \
	    $(if $(CERTIFICATE),--certificate $(CERTIFICATE))

deploy: venv  ## a stage with the zip of dist/; STAGE=dev PARAMS="--param bucket=…", ARCH as for package
	$(BIN)/python -m deploy.osls deploy --stage $(or $(STAGE),$(error say which: make deploy STAGE=dev)) \
	    $(if $(ARCH),--param architecture=$(ARCH)) $(PARAMS)

terraform:  ## look through terraform/: format, syntax, types; needs terraform
	terraform fmt -check -recursive terraform
	terraform -chdir=terraform/example init -backend=false -input=false
	terraform -chdir=terraform/example validate

docs: venv  ## write the generated pages and mappings anew
	$(BIN)/python -m devstack.generate

clean:  ## remove what these commands made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist
