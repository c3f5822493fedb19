# Everything a fresh clone needs: `make demo`, `make test`. The environment lies in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow test-cluster bench proof lint install wheel-check boards clean

install: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/ecgbench run --encoder resnet1d18 --text use-multilingual

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two processes, whose torch threads wait for each other asleep.
test: $(READY)
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

test-cluster: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[dev,cluster]'
	$(BIN)/python -m pytest tests/cluster -m slow

bench: $(READY)
	$(BIN)/python -m tests.bench.precision
	$(BIN)/python -m tests.bench.synth98_generation
	$(BIN)/python -m tests.bench.reading
	$(BIN)/python -m tests.bench.metrics
	$(BIN)/python -m tests.bench.training loop
	$(BIN)/python -m tests.bench.training field
	$(BIN)/python -m tests.bench.training inference
	$(BIN)/python -m tests.bench.training memory
	$(BIN)/python -m tests.bench.whole_recipe
	$(BIN)/python -m tests.bench.text_cache --epochs
	$(BIN)/python -m tests.bench.text_cache --find
	$(BIN)/python -m tests.bench.scale
	$(BIN)/python -m tests.bench.encoders --measure
	$(BIN)/python -m tests.bench.splits
	$(BIN)/python -m tests.bench.quality ../shared/ecg
	$(BIN)/python -m tests.bench.build_memory

proof: $(READY)
	$(BIN)/python -m tests.proof

wheel-check: $(READY)
	PYTHON=$(BIN)/python UV=$(BIN)/uv bash .ci/wheel-check

boards: $(READY)
	bash baselines/boards.sh $(BIN)/ecgbench

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
