# Needs nothing but make and Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
STAMP := .venv/.installed

.PHONY: help setup demo test lint types unit integration clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make setup        build .venv with everything the project needs
setup: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed; name one with: make PYTHON=python3.11 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo 'This Python cannot build virtual environments; on Debian: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

## make demo         break a simulated gateway on this machine, repair it, repair it again; needs no root
demo: $(STAMP)
	@$(BIN)/python tests/simulator/demo.py

## make test         everything that must hold before a change lands
test: lint unit integration

## make lint         style, types, playbooks
lint: $(STAMP) types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline --profile production --strict

types: $(STAMP)
	$(BIN)/mypy --package ansible.module_utils.ib_gateway --package ansible.module_utils.ib_audit
	$(BIN)/mypy library filter_plugins doc_fragments tests/unit tests/integration tests/simulator
	$(BIN)/mypy roles/ib_client_kit/files/ib_connect.py

## make unit         the fast part of the tests, seconds
unit: $(STAMP)
	$(BIN)/pytest -q -m 'not integration' tests/unit

## make integration  real processes, sockets and playbooks
integration: $(STAMP)
	$(BIN)/pytest -q tests/integration tests/simulator

clean:
	rm -rf .venv .demo reports .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible
