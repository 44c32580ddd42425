# make demo    everything, from an empty clone to two trained students and a picture
# make test    everything, from an empty clone to the whole test suite
# make help    the other targets

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(sort $(wildcard nbs/*.ipynb nbs/*/*.ipynb))
JOBS ?= 2
ASSIGNMENT ?= *
KERNELS ?=

.PHONY: demo face test format test-portable bench matrix audit learn explore explore-snapshots release-assignments grade docs help notebooks export readme assets results-toyscapes results-camvid results-reliability clean

demo: $(VENV)/.run  ## train both students alone, then together; print a table of both, write a picture
	rm -rf runs/demo
	$(BIN)/collab-seg train --preset demo --method alone --out runs/demo/alone
	$(BIN)/collab-seg train --preset demo --out runs/demo/collab
	$(BIN)/collab-seg compare runs/demo/alone runs/demo/collab

test: $(VENV)/.dev  ## drift, notebooks, pytest; all of them run, whatever comes of the first
	$(BIN)/python tools/stages.py --jobs $(JOBS)

test-portable: $(VENV)/.dev  ## the notebooks with the instructions of other processors; one of them: KERNELS=avx2
	$(BIN)/python tools/stages.py --portable $(KERNELS) --jobs $(JOBS)

bench: $(VENV)/.dev  ## time each part beside what a user would take instead; writes results/bench/bench.csv
	OMP_NUM_THREADS=1 $(BIN)/collab-seg bench

matrix:  ## the wheel under the oldest, a middle and the newest versions that settings.ini allows, on each Python here
	$(PYTHON) tools/matrix.py

audit: $(VENV)/.dev  ## look for unsafe code (bandit) and for known holes in what is installed (pip-audit)
	$(BIN)/bandit --quiet --recursive collab_seg
	$(BIN)/python tools/audit.py

learn: $(VENV)/.learn  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --ServerApp.root_dir=. nbs/index.ipynb

explore: $(VENV)/.learn  ## see who teaches whom: sliders, your own pictures, training step by step, in a browser
	$(BIN)/collab-seg explore

release-assignments: $(VENV)/.teach  ## write the learners' copies of the exercises to assignments/release
	$(BIN)/python assignments/classroom.py release

grade: $(VENV)/.teach  ## grade assignments/submitted; only one of them: make grade ASSIGNMENT=10_pixel_bsd
	OMP_NUM_THREADS=1 $(BIN)/python assignments/classroom.py grade "$(ASSIGNMENT)"

docs: $(VENV)/.docs  ## build the documentation site, offline, into _docs/site
	OMP_NUM_THREADS=1 $(BIN)/python docs/make_docs.py
	@echo "look at it: $(BIN)/python -m http.server --directory _docs/site"

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /: /'

format: $(VENV)/.dev  ## format and check notebooks and code
	$(BIN)/ruff format nbs tests tools docs studies
	$(BIN)/ruff check nbs collab_seg tests tools docs studies

export: $(VENV)/.dev  ## write collab_seg/*.py from the notebooks
	$(BIN)/python tools/export.py

notebooks: export  ## run all notebooks top to bottom and keep their outputs
	OMP_NUM_THREADS=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
	  --ExecutePreprocessor.store_widget_state=False --CoalesceStreamsPreprocessor.enabled=True $(NOTEBOOKS)
	$(BIN)/nbdev_clean
	$(MAKE) readme

readme: $(VENV)/.dev  ## write README.md from nbs/index.ipynb
	$(BIN)/python tools/render_readme.py

assets: $(VENV)/.run  ## train the pair that notebooks 05 to 08 look at, again
	rm -rf runs/toy_pair
	$(BIN)/collab-seg train --preset toy --method alone --steps 600 --device cpu --out runs/toy_pair
	$(BIN)/python tools/shrink_run.py runs/toy_pair nbs/assets/toy_pair

face: demo  ## make the picture and the table of the demo in README again
	cp runs/demo/collab/pictures.png nbs/images/pictures.png
	rm -f results/studies/demo.csv
	for method in alone collab; do \
	  $(BIN)/collab-seg eval runs/demo/$$method --append results/studies/demo.csv || exit 1; done

explore-snapshots: $(VENV)/.run  ## train the three small runs of the explorer again: about ten minutes
	rm -rf runs/explore
	for method in alone dml collab; do \
	  $(BIN)/collab-seg train --config-file collab_seg/examples/$$method/config.json --snapshots 5 --out runs/explore/$$method && \
	  $(BIN)/python tools/shrink_run.py runs/explore/$$method collab_seg/examples/$$method || exit 1; done

results-toyscapes: $(VENV)/.run  ## make results/studies/toyscapes.csv again: both students alone, two seeds
	rm -rf runs/toyscapes-s* results/studies/toyscapes.csv
	for seed in 0 1; do \
	  $(BIN)/collab-seg train --preset toy --method alone --steps 600 --seed $$seed --out runs/toyscapes-s$$seed && \
	  $(BIN)/collab-seg eval runs/toyscapes-s$$seed --append results/studies/toyscapes.csv || exit 1; done

results-camvid: $(VENV)/.run  ## go on with results/studies/camvid_pocket.csv: make results-camvid CAMVID=folder
	mkdir -p runs/camvid_pocket && cp -n results/studies/camvid_pocket*.csv runs/camvid_pocket/ || true
	OMP_NUM_THREADS=1 $(BIN)/collab-seg study studies/camvid_pocket.toml --root $(CAMVID) --out runs/camvid_pocket --jobs $(JOBS)
	cp runs/camvid_pocket/camvid_pocket*.csv results/studies/

results-reliability: $(VENV)/.dev  ## make results/bench/reliability.csv again: what was tried to break, with 200 kills
	OMP_NUM_THREADS=1 COLLAB_SEG_KILLS=200 COLLAB_SEG_RELIABILITY=$(CURDIR)/results/bench/reliability.csv \
	  $(BIN)/python -m pytest $(addprefix tests/test_,crash.py processes.py study.py bad_input.py fuzz_losses.py) -q -n $(JOBS) --dist loadfile

clean:  ## remove the environment and what was built
	rm -rf $(VENV) build *.egg-info

# One environment, installed in steps: what a run needs, then what learners and developers need.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run: $(VENV)/bin/python settings.ini setup.py
	@echo "installing; the first time this takes some minutes and about 6 GB"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.learn: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --editable '.[learn]'
	touch $@

$(VENV)/.teach: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --editable '.[teach]'
	touch $@

$(VENV)/.docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python settings.ini setup.py
	@echo "installing; the first time this takes some minutes and about 6 GB"
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.run
