# Compact Transformers lab. `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := $(BIN)/uv

.DEFAULT_GOAL := help
.PHONY: help run test nbval lab student bench refresh lock env

# Tests reach nothing but this machine; see tests/notebooks/offline/sitecustomize.py.
OFFLINE = PYTHONPATH=$(CURDIR)/tests/notebooks/offline HF_HUB_OFFLINE=1

help:            ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(READY)    ## make the Python environment in .venv (the other targets do this by themselves)

# uv's own version is pinned by the lock file like every other one.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	@echo "Making the environment in $(VENV) (about 6 GB, a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
	$(UV) pip install --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY)    ## run the course's notebooks on embedded data; ends with a table and runs/report.html
	$(BIN)/python -m compactlib run all

test: $(READY)   ## check style, run the unit tests, compare every notebook's outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(OFFLINE) $(BIN)/python -m pytest tests
	@$(MAKE) --no-print-directory nbval

nbval: $(READY)  ## compare every notebook's outputs only (OMP_NUM_THREADS=1 make nbval: on one thread)
	RUNS=$$(mktemp -d) && trap 'rm -rf "$$RUNS"' EXIT && COMPACT_RUNS="$$RUNS" $(OFFLINE) \
		$(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=600 notebooks

lab: $(READY)    ## open the course in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=notebooks notebooks/00_start_here.ipynb

student: $(READY) ## write the notebooks without their solutions into student/
	$(BIN)/python -m compactlib student

bench: $(READY)  ## measure training steps and tiled prediction against other libraries (15 minutes; run it alone)
	$(BIN)/python tests/benchmarks/training_step.py
	$(BIN)/python tests/benchmarks/segmentation_step.py
	$(BIN)/python tests/benchmarks/tiled_prediction.py

refresh: $(READY) ## re-execute the notebooks in place, before a commit
	$(BIN)/python -m compactlib refresh all

lock: $(READY)   ## solve requirements.lock anew from pyproject.toml
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --upgrade --quiet --output-file requirements.lock
