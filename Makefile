# The commands of this project; `make help` lists them. All of them use .venv, which `make venv` makes.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# What `make deploy` runs has an environment of its own, with two packages in it.
TOOLS := .venv-deploy/.installed

# Installing runs no code of what it installs, but for our own build and pygrok's: only packages of
# known hashes, and no variable that holds credentials.
PIP_OPTIONS := --quiet --disable-pip-version-check --require-hashes --only-binary=:all:
SECRETS := AWS_|ALB_LOGS_|ACTIONS_
SAFELY := env $$(env | sed -nE 's/^(($(SECRETS))[A-Za-z0-9_]*)=.*/-u \1/p')

.PHONY: help venv tools demo test cover check format bench package deploy lock terraform docs clean

help:  ## list these commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

venv: $(INSTALLED)  ## make .venv with alb-logs and everything the other commands need (0.8 GB, a minute)

$(INSTALLED): pyproject.toml requirements/build.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "alb-logs needs Python 3.11 or newer; name one: make PYTHON=python3.12 …")'
	@echo '==> Making .venv with $(PYTHON): 180 MB to download, 0.8 GB on disk; one to three minutes, once'
	@$(PYTHON) -m venv .venv
	@$(SAFELY) $(BIN)/pip install $(PIP_OPTIONS) --requirement requirements/build.txt
	@$(SAFELY) $(BIN)/pip install $(PIP_OPTIONS) --no-binary=pygrok --no-build-isolation \
	    --requirement requirements/dev.txt
	@$(SAFELY) $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --editable .
	@touch $@

tools: $(TOOLS)  ## install what `make deploy` runs, before there are credentials (0.3 GB, half a minute)

$(TOOLS): requirements/deploy.txt package.json package-lock.json
	@echo '==> Installing osls and Node.js: 60 MB to download, 0.3 GB on disk, once'
	@$(PYTHON) -m venv .venv-deploy
	@$(SAFELY) .venv-deploy/bin/pip install $(PIP_OPTIONS) --requirement requirements/deploy.txt
	@$(SAFELY) .venv-deploy/bin/python -m deploy.osls --version
	@touch $@

demo: venv  ## one hour of three load balancers through the real thing, about a minute; KEEP=1 leaves it up
	@$(BIN)/python -m devstack.demo $(if $(KEEP),--keep)

test: venv  ## format, lint, types and every test, against a real Elasticsearch: what CI runs
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	@echo '==> Every test: 5 to 15 minutes; the first run downloads servers and tools (1 GB on disk)'
	$(BIN)/pytest -q -n auto --dist loadfile

cover: venv  ## every test with branch coverage, which takes several times as long
	$(BIN)/pytest -q -n auto --dist loadfile --cov --cov-report term-missing --cov-fail-under=97

check: venv  ## format, lint, types and the fast tests, in about a minute; changes no file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto tests/unit tests/contract tests/property

format: venv  ## rewrite the code in the house style
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

bench: venv  ## the figures of docs/performance.md, about 9 minutes; QUICK=1, FULL=1, JSON=FILE
	@echo '==> Measuring for about 9 minutes; QUICK=1 for 2 minutes, FULL=1 for 15 minutes'
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(FULL),--full) $(if $(JSON),--json $(JSON))

package: venv  ## the Lambda zip, into dist/; ARCH=arm64|x86_64, PYTHON_VERSION=3.12, CERTIFICATE=FILE
	@$(BIN)/python -m deploy.lambda_zip $(if $(ARCH),--arch $(ARCH)) $(if $(PYTHON_VERSION),--python $(PYTHON_VERSION)) \
	    $(if $(CERTIFICATE),--certificate $(CERTIFICATE))

deploy: tools  ## deploy a stage with the zip in dist/; STAGE=dev PARAMS="--param bucket=…"; ARCH if both are there
	@echo '==> Deploying $(STAGE): a few minutes, most of them CloudFormation'
	@.venv-deploy/bin/python -m deploy.osls deploy --stage $(or $(STAGE),$(error name the stage: make deploy STAGE=dev)) \
	    $(if $(ARCH),--param architecture=$(ARCH)) $(PARAMS)

lock: venv  ## pin every package by hash again, after a change of pyproject.toml or package.json; UPGRADE=1
	@$(BIN)/python -m deploy.lock $(if $(UPGRADE),--upgrade)

terraform:  ## check terraform/: format, syntax, types; needs the terraform command
	terraform fmt -check -recursive terraform
	terraform -chdir=terraform/example init -backend=false -input=false
	terraform -chdir=terraform/example validate

docs: venv  ## write the generated pages of docs/ and the index mappings again
	@$(BIN)/python -m docs.generate

clean:  ## remove what these commands made here (not the downloads in ~/.cache/alb-logs)
	rm -rf .venv .venv-deploy .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist
