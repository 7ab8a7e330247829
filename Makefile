# `make run` starts the practice room, `make test` runs every check. Nothing else is needed first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test judge lock audit schema clean

run: $(VENV)/.run
	@$(BIN)/warmline serve

test: $(VENV)/.test
	@$(BIN)/python tests/chromium.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Warmline needs Python 3.11 or newer; name one with make PYTHON=python3.12 run")'
	@echo "Making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing what Warmline needs; this takes a minute or two the first time"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements-dev.txt $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

# Resolve anew and lock with hashes, for every platform (needs uv).
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra build -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra build --extra dev -c requirements.txt -o requirements-dev.txt

# Compare what is locked with the public list of known holes (needs the network).
audit: | $(BIN)/python
	@$(PYTHON) -m venv .audit && .audit/bin/python -m pip install --quiet pip-audit
	.audit/bin/pip-audit --requirement requirements.txt --require-hashes --disable-pip

# Train the learned judge anew on rubrics/labelled/; a few minutes.
judge: $(VENV)/.run
	$(BIN)/python -m warmline.grader.training rubrics/labelled

schema: $(VENV)/.run
	$(BIN)/python -c 'from warmline.schema import write_schemas; write_schemas()'

clean:
	rm -rf $(VENV)
