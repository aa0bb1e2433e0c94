# The verbs of this repository; `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# For a smaller download where no accelerator is wanted, for example:
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_FLAGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(PIP_FLAGS) -c constraints.txt

.PHONY: help demo test lint study clean
.DEFAULT_GOAL := help

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# One stamp per set of extras: pip runs again only when what it installs has changed.
$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[export]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev]'
	@touch $@

demo: $(VENV)/.demo ## Set up, distil a student, search with it, export it (offline after set-up)
	$(BIN)/leanclip demo

test: $(VENV)/.dev lint ## Set up what tests need and run them all
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev ## Style, types of the search product, and which way imports may run
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

study: $(VENV)/.dev ## Train and compare what every method is worth, on Flickr8k; resumable
	$(BIN)/python data/benchmarks/study/run.py --out runs/study

clean: ## Remove the environment and everything that runs have made
	rm -rf $(VENV) runs build dist
