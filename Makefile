# Compact Transformers lab. `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := $(BIN)/uv

.DEFAULT_GOAL := help
.PHONY: help run test nbval lab app student slides bench bench-spark refresh lock env

# Tests reach nothing but this machine; see tests/notebooks/offline/sitecustomize.py.
OFFLINE = PYTHONPATH=$(CURDIR)/tests/notebooks/offline HF_HUB_OFFLINE=1

# Two processes of one thread each are faster than one of two. Elsewhere: make test JOBS=4, make nbval JOBS=1 THREADS=2.
# Spark has both cores to itself, and one JVM for all its tests.
JOBS    ?= 2
THREADS ?= 1
SHARED   = $(OFFLINE) OMP_NUM_THREADS=$(THREADS)

help:            ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(READY)    ## make the Python environment in .venv (the other targets do this by themselves)

# uv's own version is pinned by the lock file like every other one. Compiled once, here, PyTorch and timm are imported in
# half the time, also where Python is told to keep no bytecode.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	@echo "Making the environment in $(VENV) (about 6 GB, a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
	$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY)    ## run the course's notebooks on embedded data; ends with a table and runs/report.html
	$(BIN)/python -m compactlib run all

test: $(READY)   ## check style, run the unit tests, compare every notebook's outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(SHARED) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests --ignore=tests/spark
	$(SHARED) $(BIN)/python -m pytest tests/spark
	@$(MAKE) --no-print-directory nbval

nbval: $(READY)  ## compare every notebook's outputs only (JOBS=1 THREADS=2: one at a time, on two threads)
	RUNS=$$(mktemp -d) && trap 'rm -rf "$$RUNS"' EXIT && COMPACT_RUNS="$$RUNS" $(SHARED) \
		$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout=600 notebooks

lab: $(READY)    ## open the course in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=notebooks --ServerApp.tornado_settings="{'websocket_max_message_size': 210000000}" \
		notebooks/00_start_here.ipynb

app: $(READY)    ## serve the segmentation app as a page of its own, and print its address
	$(BIN)/python -m compactlib app

student: $(READY) ## write an nbgrader course into student/: the lessons without their solutions
	$(BIN)/python -m compactlib student

slides: $(READY) ## write the lessons as slides into slides/, one HTML file each that opens without a network
	$(BIN)/python -m compactlib slides

bench: $(READY)  ## measure training steps and tiled prediction against other libraries (run it alone)
	$(BIN)/python tests/benchmarks/training_step.py
	$(BIN)/python tests/benchmarks/segmentation_step.py
	$(BIN)/python tests/benchmarks/tiled_prediction.py

# The package patchify asks for an old NumPy, so it is in no extra; without it the benchmark leaves it out.
bench-spark: $(READY) ## measure patchify on Spark: against other ways, its memory, its scaling (30 minutes; run it alone)
	$(BIN)/python tests/benchmarks/patchify_scene.py
	$(BIN)/python tests/benchmarks/patchify_memory.py
	$(BIN)/python tests/benchmarks/patchify_scaling.py

refresh: $(READY) ## re-execute the notebooks in place, before a commit
	$(BIN)/python -m compactlib refresh all

lock: $(READY)   ## solve requirements.lock anew from pyproject.toml
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --upgrade --quiet --output-file requirements.lock
