# Each target makes what it needs. `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install check lint types layers test bench fuzz demo proto lock clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

check: lint types layers test ## everything that must be green before a commit

lint: $(STAMP) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

layers: $(STAMP) ## imports go one way
	$(BIN)/lint-imports

test: $(STAMP) ## the tests (short form)
	$(BIN)/pytest -m "not slow and not heavy"

proto: $(STAMP) ## make the protobuf messages again
	$(BIN)/python tools/make_proto.py

lock: $(STAMP) ## write requirements.lock from what is installed
	$(BIN)/python -m pip freeze --exclude-editable --exclude shoal | grep -v '^#' > requirements.lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
