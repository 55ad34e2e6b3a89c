# `make demo` and `make test` set up everything they need in .venv first.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup demo test lint docs bench wheelhouse clean

setup: $(STAMP)

$(STAMP): pyproject.toml setup.py
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV) && uv pip install --quiet --python $(BIN)/python -e ".[dev]"; \
	else \
		$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --upgrade pip && $(BIN)/python -m pip install --quiet -e ".[dev]"; \
	fi
	@touch $@

demo: setup
	$(BIN)/horngate demo

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: setup
	$(BIN)/python docs/make_cli.py

bench: setup
	$(BIN)/python benchmarks/vision_probe.py
	$(BIN)/python benchmarks/predict_stream.py
	$(BIN)/python benchmarks/runtimes.py
	$(BIN)/python benchmarks/compare_coverage.py
	$(BIN)/python benchmarks/drift.py

# Every wheel for an installation without network: pip install --no-index --find-links wheelhouse "horngate[litert,onnx]"
wheelhouse:
	$(PYTHON) -m pip wheel --wheel-dir wheelhouse ".[litert,onnx]"

clean:
	rm -rf $(VENV) build dist wheelhouse *.egg-info
