# Each target makes what it needs. `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HEAVY := .venv-heavy
MLFLOW := .venv-mlflow
AUDIT := .venv-audit
PORT ?= 8080
# What failed is run again by AGAIN="--last-failed --last-failed-no-failures none"; that nothing did is no failure (5).
NONE = $(if $(AGAIN),|| [ $$? = 5 ])
NODES := $(addprefix tests/,benchmarks chaos cli docs e2e node security testing)

.PHONY: help install check lint types layers test test-nodes test-rooms test-long test-heavy test-python mlflow bench fuzz chaos mutate sbom audit demo proto reference lock clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## train small real models, serve them, and say what to try
	$(BIN)/python examples/demo/train_models.py demo-models
	$(BIN)/shoal serve demo-models --trust --port $(PORT)

check: lint types layers test ## everything that must be green before a commit

lint: $(STAMP) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

layers: $(STAMP) ## imports go one way
	$(BIN)/lint-imports --no-cache

test: $(STAMP) ## the tests (short form)
	$(BIN)/pytest -m "not slow and not heavy"

test-nodes: $(STAMP) ## one half of the tests: those that start whole nodes
	$(BIN)/pytest -m "not slow and not heavy" -o cache_dir=.pytest_cache/nodes $(AGAIN) $(NODES) $(NONE)

test-rooms: $(STAMP) ## the other half
	$(BIN)/pytest -m "not slow and not heavy" -o cache_dir=.pytest_cache/rooms $(AGAIN) $(NODES:%=--ignore=%) $(NONE)

test-long: $(STAMP) ## the tests with the long forms of the heavy checks
	$(BIN)/pytest -m "not heavy" --timeout 1800

$(MLFLOW)/.installed: requirements-mlflow.lock
	$(PYTHON) -m venv $(MLFLOW)
	$(MLFLOW)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-mlflow.lock
	@touch $@

mlflow: $(MLFLOW)/.installed ## an MLflow server in an environment of its own, for the tests that import from one

$(HEAVY)/.installed: requirements-heavy.lock pyproject.toml
	$(PYTHON) -m venv $(HEAVY)
	$(HEAVY)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-heavy.lock
	$(HEAVY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test-heavy: $(HEAVY)/.installed ## the tests that need PyTorch, TensorFlow, Transformers, MLflow
	$(HEAVY)/bin/pytest -m heavy tests/heavy

test-python: ## a short form of the tests on another Python: make test-python PYTHON=python3.13
	$(PYTHON) -m venv .venv-$(notdir $(PYTHON))
	.venv-$(notdir $(PYTHON))/bin/python -m pip install --quiet --disable-pip-version-check \
		-e '.[sklearn,onnx,data,image,docs,control,postgres,signing]' \
		pytest pytest-timeout hypothesis h2 trustme httpx 'moto[server,s3]'
	.venv-$(notdir $(PYTHON))/bin/pytest -m "not slow and not heavy and not process" \
		tests/core tests/node tests/serving/batching tests/serving/caching tests/serving/hosting tests/serving/worker \
		tests/control tests/property

bench: $(STAMP) ## compare with other servers in one run (30 min; a missed target is told, not hidden)
	-$(BIN)/python -m benchmarks.run

fuzz: $(STAMP) ## coverage-guided fuzzing of the parsers: SECONDS=60 per target, TARGET= for one of them
	$(BIN)/python -m tests.fuzz.run --seconds $(or $(SECONDS),60) $(if $(TARGET),--target $(TARGET))

chaos: $(STAMP) ## harm a running node in every way, long form (hours): CAMPAIGN= for one, SEED= to replay it, SIZE= for another size
	SHOAL_CHAOS_LONG=1 SHOAL_CHAOS_SEED=$(SEED) SHOAL_CHAOS_SIZE=$(SIZE) \
		$(BIN)/pytest -s tests/chaos $(if $(CAMPAIGN),-k $(CAMPAIGN))

mutate: $(STAMP) ## change code in small wrong ways and see whether tests notice: SUBJECT= for one, SAMPLE= for fewer, WITH=--again for what survived
	$(BIN)/python -m tests.mutation.run $(if $(SUBJECT),--subject "$(SUBJECT)") $(if $(SAMPLE),--sample $(SAMPLE)) $(WITH)

sbom: $(STAMP) ## write what Shoal runs on as a bill of materials (CycloneDX) to dist/
	$(BIN)/python tools/sbom.py dist

$(AUDIT)/.installed: requirements-audit.lock
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.lock
	@touch $@

audit: $(AUDIT)/.installed ## ask whether holes are known in what is locked (MUST=1: fail where nobody can be asked)
	$(AUDIT)/bin/python tools/audit.py $(if $(MUST),--must)

proto: $(STAMP) ## make the protobuf messages again
	$(BIN)/python tools/make_proto.py

reference: $(STAMP) ## write docs/reference again from the code
	$(BIN)/python tools/make_reference.py

lock: $(STAMP) ## write requirements.lock from what is installed
	$(BIN)/python -m pip freeze --exclude-editable --exclude shoal > requirements.lock

clean: ## remove the virtual environments and caches
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .mutation build dist
