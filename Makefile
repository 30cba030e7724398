# The two commands of the README (demo, test), the checks behind them, and the lock files.
# Needs Python 3.11, make and git; everything else is installed into .venv from envs/tools.lock.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= 2
UV_VERSION = 0.13.8
BIN = .venv/bin
SNAKEMAKE = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1

.PHONY: demo group plan report status test lint docs tutorial env lock clean
.DELETE_ON_ERROR:

env: .venv/.ready

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: envs/tools.lock | .uv/bin/uv
	.uv/bin/uv venv --quiet --allow-existing --python $(PYTHON) .venv
	.uv/bin/uv pip sync --quiet --compile-bytecode --python .venv envs/tools.lock
	touch $@

demo/raw/dataset_description.json: | env
	PYTHONPATH=workflow $(BIN)/python -m mebold.phantom demo/raw --size demo --truth demo/truth

demo: env demo/raw/dataset_description.json
	$(SNAKEMAKE) --configfile config/demo.yaml --cores $(CORES)
	$(SNAKEMAKE) --configfile config/demo.yaml --report demo/report.html --quiet all
	PYTHONPATH=workflow $(BIN)/python -m mebold.phantom.check demo/derivatives demo/truth
	@printf '%s\n' '' 'Results of the demo:' \
	  '  comparison   demo/derivatives/comparison/figures/task-images_desc-variants_comparison.png' \
	  '  in words     demo/derivatives/comparison/task-images_desc-variants_summary.md' \
	  '  betas        demo/derivatives/glmsingle-tedana/sub-01/ses-*/func/*Betas_statmap.nii.gz' \
	  '  trials       demo/derivatives/glmsingle-tedana/sub-01/ses-*/func/*_trials.tsv' \
	  '  ceilings     demo/derivatives/glmsingle-tedana/sub-01/*Noiseceiling*_statmap.nii.gz' \
	  '  report       demo/derivatives/report/index.html, and per subject sub-01.html beside it' \
	  '  rule graph   demo/report.html (report of Snakemake)'

group/raw/dataset_description.json: | env
	PYTHONPATH=workflow $(BIN)/python -m mebold.phantom group/raw --size group --truth group/truth

# Five small simulated subjects through the comparison, to its test across subjects.
group: env group/raw/dataset_description.json
	$(SNAKEMAKE) comparison --configfile config/demo.yaml --cores $(CORES) \
	  --config bids_dir=group/raw output_dir=group/derivatives compare='{n_bootstrap: 200}' \
	  variants='["standardSingle","standardOptcom","nordicSingle","nordicOptcom"]'
	PYTHONPATH=workflow $(BIN)/python -m mebold.phantom.check group/derivatives group/truth
	@echo; cat group/derivatives/comparison/task-images_desc-variants_summary.md; printf '%s\n' '' \
	  '  figure       group/derivatives/comparison/figures/task-images_desc-variants_comparison.png' \
	  '  p, floors    group/derivatives/comparison/desc-variants_group.tsv'

# The plan of a dataset: make plan BIDS=path CONFIG=my.yaml (the demo's by default).
BIDS ?= demo/raw
CONFIG ?= $(if $(filter demo/raw,$(BIDS)),config/demo.yaml,config/config.yaml)
plan: env
	PYTHONPATH=workflow $(BIN)/python -m mebold.plan $(BIDS) --configfile $(CONFIG)

# Pages and state of an output folder: make report OUT=path, make status OUT=path.
OUT ?= demo/derivatives
report: env
	PYTHONPATH=workflow $(BIN)/python -m mebold.report $(OUT)

status: env
	@PYTHONPATH=workflow $(BIN)/python -m mebold.report $(OUT) --status

# In the order of the folders: the long files of tests/e2e begin first, and none of them runs alone at the end.
test: env
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint --configfile config/demo.yaml --config run_table=tests/workflow/runs.tsv
	cd workflow && ../$(BIN)/lint-imports --config ../pyproject.toml

docs: env
	$(BIN)/python config/make_readme.py

demo/faults/raw/dataset_description.json: | env
	mkdir -p demo/faults
	PYTHONPATH=workflow $(BIN)/python docs/faults.py demo/faults/raw

# docs/tutorial.md with its pictures, from the demo and from a dataset with faults. A call that finds all of that done
# has nothing to show: the tutorial keeps the lines of the last one that had, and the pages are written again.
tutorial: demo demo/faults/raw/dataset_description.json
	$(SNAKEMAKE) --configfile config/demo.yaml --cores $(CORES) \
	  --config bids_dir=demo/faults/raw output_dir=demo/faults/derivatives compare_sessions=none \
	  2>&1 | tee demo/faults/latest.txt
	if grep -q begins: demo/faults/latest.txt; then mv demo/faults/latest.txt demo/faults/console.txt; fi
	PYTHONPATH=workflow $(BIN)/python -m mebold.report demo/derivatives
	PYTHONPATH=workflow $(BIN)/python -m mebold.report demo/faults/derivatives
	PYTHONPATH=workflow $(BIN)/python docs/make_tutorial.py

lock: .uv/bin/uv
	$(PYTHON) envs/generate.py --uv .uv/bin/uv --upgrade

clean:
	rm -rf demo group
