# The same commands here and in CI. `make retrain` and `make test` do all the set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PLAN ?= adult
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: retrain test lint bench ui serve schema lock clean

retrain: .venv/installed-pipeline ## retrain and judge a model: make retrain PLAN=adult
	$(BIN)/assay retrain $(PLAN)

test: .venv/installed-test ## run every test
	$(BIN)/python -m pytest

lint: .venv/installed-test ## style, types and the walls between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed-test ## measure speed side by side with peers; see docs/benchmarks.md
	for file in tests/benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

ui: .venv/installed-pipeline ## MLflow and Prefect on loopback
	$(BIN)/assay ui

serve: .venv/installed-pipeline ## run the plans' schedules
	$(BIN)/assay serve

schema: .venv/installed-pipeline ## write docs/plan.schema.json for editors
	$(BIN)/python -c "from pathlib import Path; from tasks.plan import write_schema; write_schema(Path('docs/plan.schema.json'))"

# A stamp per extra: a second call installs nothing again unless the lock or the project changes.
.venv/installed-%: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed and was not found: set PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, .venv has another: remove .venv and set PYTHON=/path/to/python3.11"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[$(EXTRAS_$*)]'
	@touch $@

EXTRAS_pipeline := pipeline
EXTRAS_test := pipeline,server,test

lock: .venv/installed-test ## resolve every dependency anew; uv is used for this alone
	$(BIN)/python -m pip install --quiet uv==0.11.33
	$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 --no-annotate --no-header --no-emit-index-url --constraint requirements.lock --output-file requirements.lock
	sed -i 's/+cpu$$//' requirements.lock

clean: ## remove what runs and tools left behind, but not var/
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
