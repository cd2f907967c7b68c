# Everything a person does here is one target. `make help` lists them.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

# How torch's threads wait and the C library keeps memory, unless the environment says otherwise.
$(foreach pair,$(shell grep '^[A-Z]' helpers/runtime.env),$(eval export $(subst =, ?= ,$(pair))))
# Any pip, from Python 3.11's on, with or without a configuration file of its own.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PIP := $(PY) -m pip install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help lab test lint unit browser nbval notebooks screenshots bench constraints clean system

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## */\1|/' | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

lab: $(VENV)/.lab  ## set up what is missing, and open JupyterLab on the chapters
	@umask 077; $(PY) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks \
	  --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
	  $$(test "$$(id -u)" != 0 || echo --allow-root) $(LAB_ARGS)

test: $(VENV)/.test  ## set up what is missing, and check everything that CI checks
	@$(MAKE) --no-print-directory lint unit nbval

lint: $(VENV)/.test  ## check the style of helpers, tests and notebooks
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

unit: $(VENV)/.test  ## run the tests, each chapter through papermill and in a browser included
	@$(PY) -m pytest $(PYTEST_ARGS)

browser: $(VENV)/.test  ## of these, run those that look at the pages in Chromium
	@$(PY) -m pytest tests/browser $(PYTEST_ARGS)

nbval: $(VENV)/.test  ## run the chapters as they stand, and compare the stored outputs
	@$(PY) -m pytest --nbval --nbval-sanitize-with tests/nbval.cfg --nbval-cell-timeout 300 \
	  --nbval-kernel-name python3 notebooks

notebooks: $(VENV)/.test  ## run every chapter in place, to renew the stored outputs
	@$(PY) tests/run_notebooks.py

screenshots: $(VENV)/.test  ## renew the pictures of pages in the README and the chapters
	@PICTURES="$(CURDIR)/notebooks/images" $(PY) -m pytest tests/browser $(PYTEST_ARGS)

bench: $(VENV)/.bench  ## measure what the pictures cost, on a quiet machine (some 40 minutes)
	@$(PY) tests/benchmarks/run.py

constraints: $(VENV)/.test  ## move to the newest releases that pyproject.toml allows, and pin them
	@$(PY) -m pip install --quiet --upgrade --upgrade-strategy eager --no-build-isolation \
	  'setuptools<82' 'soupsieve<3' wheel --editable '.[bench,test]'
	@{ echo '# The versions that CI ran. Renew them with: make constraints'; \
	  $(PY) -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed \
	    -e '/^visdom==0\.2/s/$$/; python_version < "3.12"/' \
	    -e '/^visdom==/a visdom==0.3.0; python_version >= "3.12"' \
	    -e '/^visdom==/a openTSNE==1.0.4; python_version >= "3.12"'; } > constraints.new
	@mv constraints.new constraints.txt

clean:  ## remove the environment and what chapters wrote; downloaded datasets stay
	rm -rf $(VENV) data/outputs .pytest_cache .ruff_cache *.egg-info

# ---- set-up: a stamp file for each of the two, so that a second run has nothing to do ----

# What pip can't bring. Checked before anything is made; silent when all is there.
NEEDS := dot $(if $(filter-out help lab clean,$(MAKECMDGOALS)),chromium cjk-font npm)
system:
	@.ci/system-packages $(PYTHON) $(NEEDS)

# Without build isolation, so that visdom 0.2.4, whose setup.py imports pkg_resources, is built
# with the setuptools of constraints.txt by every version of pip.
$(VENV)/.lab: pyproject.toml constraints.txt Makefile | system
	@echo "Setting up the course in $(VENV): some minutes, and up to 6 GB with torch's CUDA libraries"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) setuptools wheel
	@$(PIP) --no-build-isolation --editable .
	@$(PY) -m helpers.visdom || true  # chapter 4 tries again, or says how to do without
	@touch $@

$(VENV)/.test: $(VENV)/.lab | system
	@echo "Adding what the tests need"
	@$(PIP) --no-build-isolation --editable '.[test]'
	@$(PY) -m helpers.visdom
	@$(PY) tests/browser/axe.py
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "Adding what the benchmarks compare with"
	@$(PIP) --no-build-isolation --editable '.[bench,test]'
	@touch $@

.NOTPARALLEL:
