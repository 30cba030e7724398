# The two commands of the README (demo, test), the checks behind them, and the lock files.
# Needs Python 3.11, make and git; everything else is installed into .venv from envs/tools.lock.

PYTHON ?= python3.11
CORES ?= 2
UV_VERSION = 0.13.8
BIN = .venv/bin
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1

.PHONY: demo plan test lint env lock runner clean
.DELETE_ON_ERROR:

env: .venv/.ready

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: envs/tools.lock | .uv/bin/uv
	.uv/bin/uv venv --quiet --allow-existing --python $(PYTHON) .venv
	.uv/bin/uv pip sync --quiet --compile-bytecode --python .venv envs/tools.lock
	touch $@

runner: .venv-runner/.ready

.venv-runner/.ready: envs/runner.lock | .uv/bin/uv
	.uv/bin/uv venv --quiet --allow-existing --python $(PYTHON) .venv-runner
	.uv/bin/uv pip sync --quiet --compile-bytecode --python .venv-runner envs/runner.lock
	touch $@

demo/raw/dataset_description.json: | env
	PYTHONPATH=workflow $(BIN)/python -m mebold.phantom demo/raw --size demo --truth demo/truth

demo: env demo/raw/dataset_description.json
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES) --quiet rules
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --report demo/report.html --quiet all
	$(BIN)/python workflow/scripts/demo_results.py demo

plan: env
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores 1 --quiet all plan $(if $(CONFIG),--config $(CONFIG))
	$(BIN)/python -c "import sys; print(open(sys.argv[1]).read())" demo/derivatives/plan.txt

test: env
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint --config run_table=tests/workflow/runs.tsv
	cd workflow && ../$(BIN)/lint-imports --config ../pyproject.toml

lock: .uv/bin/uv
	$(PYTHON) envs/generate.py --uv .uv/bin/uv --upgrade

clean:
	rm -rf demo
