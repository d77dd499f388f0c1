# Each target prepares .venv by itself. Without make: the README gives the same steps as plain commands.
PYTHON ?= python3
CORES ?= all
SEEDS ?= 1
# Of the study, such as 1-2 or 1,3; replicate 0 is never counted
REPLICATES ?= 1-5
# What the stored notebooks cannot do without
SHOWN = flow-magnitude,me-tst,me-tst-plus,me-tst-plus-no-result-synergy
RUN = .venv/bin/metst workflow
WORKFLOW = $(RUN) --cores $(CORES)
# Where `reproduce` runs: here, JOBS folds at once, or by PROFILE=profiles/slurm on a cluster, JOBS jobs in its queue
JOBS ?= $(CORES)
PROFILE ?=
# A clone of the authors' repository, whose caches `reproduce` takes for flow: the owners' tables then do without frames
RELEASED ?=
RESOURCES ?=
FOLDS_AT_ONCE = $(if $(filter all,$(JOBS)),,--jobs $(JOBS))
WHERE = $(if $(PROFILE),--profile $(PROFILE) $(FOLDS_AT_ONCE),--cores $(JOBS)) $(if $(RESOURCES),--resources $(RESOURCES))

.PHONY: demo edition reproduce plan test test-cluster lab notebooks student book bench lock

demo: .venv/ready  # the whole compendium on the synthetic set: tables, figures, executed notebooks
	$(WORKFLOW) --config seeds=$(SEEDS)
	@cat figures/demo/table3_analysis.md
	@echo "Tables and figures:  figures/demo/ (the stored edition in figures/synthetic/ stays as it is)"
	@echo "Page to open:        data/runs/synthetic/index.html"

edition: .venv/ready  # the stored edition, figures/synthetic/: what is missing of the study's REPLICATES, then all its tables
	.venv/bin/metst study run --replicates "$(REPLICATES)" $(FOLDS_AT_ONCE)
	.venv/bin/metst study tables

reproduce: .venv/ready  # the same on a data set under data/: make reproduce DATASET=casme3 SEEDS=3 JOBS=4 [RELEASED=path/to/ME-TST]
	$(if $(RELEASED),.venv/bin/metst flow $(DATASET) --released "$(RELEASED)")
	-.venv/bin/metst data check $(DATASET)
	.venv/bin/metst plan $(DATASET) --seeds $(SEEDS) $(FOLDS_AT_ONCE)
	$(RUN) $(WHERE) --keep-going --config dataset=$(DATASET) seeds=$(SEEDS) || \
	    { .venv/bin/metst tables $(DATASET) --seeds $(SEEDS); \
	      echo "Not everything is done: the tables name the folds that are missing. Notebooks with tracebacks: data/runs/$(DATASET)/"; exit 1; }
	@cat figures/$(DATASET)/table3_analysis.md

plan: .venv/ready  # what of it is there, what is missing, and the hours that are left: make plan DATASET=casme3
	.venv/bin/metst plan $(DATASET) --seeds $(SEEDS) $(FOLDS_AT_ONCE)

test: .venv/ready  # all tests, then every notebook executed and checked
	$(WORKFLOW) --config variants=$(SHOWN) -- folds
	.venv/bin/lint-imports
	.venv/bin/pytest -n logical --maxprocesses 4 --dist loadfile tests
	METST_FIGURES=$(CURDIR)/.test_figures .venv/bin/pytest --nbval-lax --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg notebooks

test-cluster: .venv/ready  # the workflow on a real SLURM, started on this machine for the occasion (Debian, as root)
	.venv/bin/python tests/cluster/run.py

lab: .venv/ready  # JupyterLab on the notebooks
	.venv/bin/jupyter lab notebooks

notebooks: .venv/ready  # execute the notebooks in place, for storing
	$(WORKFLOW) folds
	.venv/bin/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=-1 notebooks/0*.ipynb

student: .venv/ready  # copies of the notebooks without solutions, each exercise tried
	$(WORKFLOW) --config variants=$(SHOWN) -- folds
	.venv/bin/metst student

lock:  # resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --extra dev --custom-compile-command "make lock" --quiet -o requirements.lock

book: .venv/ready  # the reading edition: a site in book/build/html, every link on it checked
	rm -rf book/build  # or a page read before would not be complained of again
	.venv/bin/sphinx-build --quiet --nitpicky --fail-on-warning -d book/build/doctrees -c book . book/build/html
	.venv/bin/python book/check.py book/build/html
	@echo "Page to open:        book/build/html/index.html"

bench: benchmarks/.venv/ready  # speed against other projects' scans and bare OpenCV; writes benchmarks/RESULTS.md
	OMP_NUM_THREADS=1 benchmarks/.venv/bin/python benchmarks/run.py $(BENCHMARKS)

.venv/ready: requirements.lock pyproject.toml setup.py metst_lib/kernels/scan.c
	$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed, this is ' + sys.version) if sys.version_info < (3, 11) else 0"
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -r requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

benchmarks/.venv/ready: .venv/ready benchmarks/requirements.txt  # .venv's packages, and the peers
	.venv/bin/python -m venv benchmarks/.venv
	.venv/bin/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	    > $$(benchmarks/.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/metst.pth
	benchmarks/.venv/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	touch $@
