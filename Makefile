# The same commands here and in CI. `make retrain` and `make test` do all the set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PLAN ?= adult
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: retrain test lint bench full ui serve schema lock clean

retrain: .venv/installed-pipeline ## retrain and judge a model: make retrain PLAN=adult
	$(BIN)/assay retrain $(PLAN)

test: .venv/installed-test ## run every test
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

lint: .venv/installed-test ## style, types and the walls between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed-test ## measure speed side by side with peers; see docs/benchmarks.md
	for file in tests/benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

full: .venv/installed-test ## run every plan at full size; writes docs/results.md
	$(BIN)/python -m tests.benchmarks.full

ui: .venv/installed-pipeline ## MLflow and Prefect on loopback
	$(BIN)/assay ui

serve: .venv/installed-pipeline ## run the plans' schedules
	$(BIN)/assay serve

schema: .venv/installed-pipeline ## write docs/plan.schema.json for editors, and docs/metrics.md
	$(BIN)/python -c "from pathlib import Path; from tasks.plan import write_schema; write_schema(Path('docs/plan.schema.json'))"
	$(BIN)/python -m tasks.fairness.metrics_page

# A stamp per extra: a second call installs nothing again unless its lock or the project changes. The lock names
# every package, so pip's resolver, which would take minutes, is left out; it is called only where `pip check`
# misses something: the CUDA libraries that PyPI's torch asks for on some machines, and no lock for all can name.
# Two pips at once, since unpacking takes one core: one up to the letter m, so that packages that share files, which share
# the beginnings of their names, are with one of them. An older pip takes twice as long over the index; bytecode is made
# at the first import, of what is imported.
.venv/installed-%: pyproject.toml requirements.lock requirements-pipeline.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed and was not found: set PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, .venv has another: remove .venv and set PYTHON=/path/to/python3.11"; exit 2; }
	$(PIP) pip==26.3
	@printf '%s\n' '^[a-m]' '^[^a-m]' | xargs -P 2 -I NAMES sh -c 'grep -i "NAMES" $(LOCK_$*) | $(PIP) --no-deps --requirement /dev/stdin'
	$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check > /dev/null || $(PIP) --constraint requirements.lock --editable '.[$(EXTRAS_$*)]'
	$(BIN)/python -m pip check
	@touch $@

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
EXTRAS_pipeline := pipeline
EXTRAS_test := pipeline,mitigation,privacy,federated,server,test
LOCK_pipeline := requirements-pipeline.lock
LOCK_test := requirements.lock

COMPILE := $(BIN)/uv pip compile pyproject.toml --python-version 3.11 --no-annotate --no-header --no-emit-index-url --constraint requirements.lock

lock: .venv/installed-test ## resolve every dependency anew; uv is used for this alone
	$(BIN)/python -m pip install --quiet uv==0.11.33
	$(COMPILE) --all-extras --output-file requirements.lock
	$(COMPILE) --extra pipeline --output-file requirements-pipeline.lock
	sed -i 's/+cpu$$//' requirements.lock requirements-pipeline.lock

clean: ## remove what runs and tools left behind, but not var/
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
