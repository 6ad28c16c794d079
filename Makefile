# Two commands do everything: `make run` serves a real catalogue on port 8000, `make test` runs all the tests.
# Every target works on a fresh checkout: what it needs is set up first, and a second set-up does nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run test check docs constraints clean

help: ## show these lines
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## make .venv with every dependency, at the pinned versions; a second call does nothing

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$$($(PYTHON) --version 2>&1) is too old: Python 3.11 or later is needed; name one with make PYTHON=/path/to/python3"; exit 2; }
	@echo "==> setting up $(VENV): the first time downloads the dependencies, which takes a few minutes"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "python3 cannot make a virtual environment: on Debian and Ubuntu, install the package python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embeddings,dev]'
	@touch $(READY)
	@echo "==> $(VENV) is ready"

run: setup ## serve the sample catalogue on port 8000 (another: make run PORT=8001)
	@exec $(BIN)/prethrift-backend dev

test: setup ## run all the tests
	@$(BIN)/nox --error-on-missing-interpreters -s unit fuzz corpus integration e2e perf

check: setup ## lint, types, the layers, the contracts, and the site of the documentation
	@$(BIN)/nox -s lint typecheck imports contracts docs

docs: setup ## write what the README takes from the code, the reference of the contracts, and the dashboards
	@$(BIN)/python scripts/write_settings
	@$(BIN)/prethrift-backend contracts docs
	@$(BIN)/python scripts/write_dashboards

constraints: setup ## write the versions that are installed now to constraints.txt
	@{ echo "# Every version that the tests ran with: pip install -c constraints.txt. Made by 'make constraints'."; \
	   $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean: ## remove what the targets above made, but not the development data
	rm -rf $(VENV) .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .schemathesis .import_linter_cache build dist
