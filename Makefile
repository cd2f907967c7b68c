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
.PHONY: help lab bundle test lint unit browser nbval notebooks records mutants screenshots bench \
  constraints clean system clinic front site slides test-newest test-lowest test-offline hooks zoo \
  hub classroom update student

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## */\1|/' | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

lab: $(VENV)/.lab  ## set up what is missing, and open JupyterLab on the chapters
	$(if $(and $(TORCH),$(wildcard $(VENV)/.lab)),@$(PY) .ci/torch_build.py $(TORCH))
	@umask 077; $(PY) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks \
	  --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
	  $$(test "$$(id -u)" != 0 || echo --allow-root) $(LAB_ARGS)

bundle: $(VENV)/.lab  ## write all that the set-up needs onto a stick: BUNDLE=/media/stick
	$(if $(BUNDLE),,@echo "Name a folder: make bundle BUNDLE=/media/stick" >&2; exit 2)
	@$(PY) .ci/bundle.py write "$(BUNDLE)" $(TORCH)

update: $(VENV)/.lab  ## get the newest edition of the chapters; what you changed or added stays yours
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m helpers.update

hub: $(VENV)/.hub  ## for a class: start a JupyterHub, with what data/hub holds
	@mkdir -p data/hub && cd data/hub && \
	  "$(CURDIR)/$(PY)" -m jupyterhub --config "$(CURDIR)/docs/teaching/hub/jupyterhub_config.py"

test: $(VENV)/.test  ## set up what is missing, and check everything that CI checks
	@$(MAKE) --no-print-directory --keep-going lint unit nbval

lint: $(VENV)/.test  ## check style, licences, and the forge's workflows
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/reuse lint --quiet || $(VENV)/bin/reuse lint
	@PYTHONPATH="$(CURDIR)" $(PY) .ci/actionlint.py
	@$(VENV)/bin/zizmor --offline --quiet .github

unit: $(VENV)/.test  ## run the tests, each chapter through papermill and in a browser included
	@$(PY) -m pytest $(PYTEST_ARGS)

browser: $(VENV)/.test  ## of these, run those that look at the pages in Chromium
	@$(PY) -m pytest tests/browser $(PYTEST_ARGS)

nbval: $(VENV)/.test  ## run the chapters as they stand, and compare the stored outputs
	@$(PY) -m pytest --nbval --nbval-sanitize-with tests/nbval.cfg --nbval-cell-timeout 300 -p tests.records.stored \
	  --nbval-kernel-name python3 notebooks

notebooks: $(VENV)/.test  ## run every chapter in place, to renew the stored outputs and the records
	@$(PY) tests/run_notebooks.py
	@$(MAKE) --no-print-directory records

records: $(VENV)/.test  ## renew the records of what the chapters say, after an intended change
	@RENEW_RECORDS=1 $(PY) -m pytest -q tests/chapters/test_records.py tests/chapters/test_prose.py \
	  tests/helpers/clinic/test_illnesses.py

mutants: $(VENV)/.test  ## plant mistakes all over the course, and print the share that tests catch
	@$(PY) tests/mutants.py $(MUTANTS)

screenshots: $(VENV)/.test  ## renew the pictures of pages in the README and the chapters
	@PICTURES="$(CURDIR)/notebooks/images" $(PY) -m pytest tests/browser $(PYTEST_ARGS)

clinic: $(VENV)/.lab  ## record chapter 5's patients again, and measure them (some 15 minutes)
	@env $$(grep '^[A-Z]' tests/arithmetic.env) $(PY) data/build_clinic.py

front: $(VENV)/.test  ## renew the table of chapters in the README, and its pictures
	@PYTHONPATH="$(CURDIR)" $(PY) docs/front.py

site: $(VENV)/.site  ## build the site from the stored chapters, into docs/_build/site
	@PYTHONPATH="$(CURDIR)" $(PY) docs/build.py

slides: $(VENV)/.site  ## make slides from the chapters' own pictures, into docs/_build/slides
	@PYTHONPATH="$(CURDIR)" $(PY) docs/slides.py

student: $(VENV)/.lab  ## write the chapters without their solutions, into data/outputs/student
	@$(PY) docs/student.py

test-newest: | system  ## run the chapters on the newest releases, and say which one breaks
	@$(PYTHON) .ci/releases.py newest

test-offline:  ## set up from a bundle where no network is, and run all chapters: BUNDLE=/media/stick
	@$(PYTHON) tests/offline.py "$(BUNDLE)"

test-lowest: | system  ## the same on the lowest releases that pyproject.toml asks for
	@$(PYTHON) .ci/releases.py lowest

zoo: $(VENV)/.zoo  ## draw some 150 networks of other libraries, and count their layers (ten minutes)
	@$(PY) -m pytest tests/zoo $(PYTEST_ARGS)

classroom: $(VENV)/.test  ## measure a hub with eight students, four of them at chapter 2 (ten minutes)
	@PYTHONPATH="$(CURDIR)" $(PY) -m tests.hub.measure

bench: $(VENV)/.bench  ## measure what the pictures cost, on a quiet machine (some 40 minutes)
	@$(PY) tests/benchmarks/run.py

constraints: $(VENV)/.test  ## move to the newest releases that pyproject.toml allows, and pin them
	@! $(PY) -m pip freeze | grep '^torch==.*+cpu' || { \
	  echo "That build has no CUDA libraries to pin: make clean, then make constraints TORCH=cuda" >&2; exit 1; }
	@$(PY) -m pip install --quiet --upgrade --upgrade-strategy eager --no-build-isolation \
	  'setuptools<82' 'soupsieve<3' wheel --editable '.[bench,dev,hub,site,test,zoo]'
	@{ echo '# The versions that CI ran. Renew them with: make constraints'; \
	  $(PY) -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed \
	    -e '/^visdom==0\.2/s/$$/; python_version < "3.12"/' \
	    -e '/^visdom==/a visdom==0.3.0; python_version >= "3.12"' \
	    -e '/^visdom==/a openTSNE==1.0.4; python_version >= "3.12"'; } > constraints.new
	@mv constraints.new constraints.txt

hooks: $(VENV)/.dev  ## for contributors: check before each commit, and diff notebooks readably
	@$(VENV)/bin/pre-commit install
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/nbdime config-git --enable

clean:  ## remove the environments and what chapters wrote; downloaded datasets stay
	rm -rf $(VENV) .venv-newest .venv-lowest data/outputs docs/_build broken.md .pytest_cache \
	  .ruff_cache *.egg-info

# ---- set-up: a stamp file for each of the two, so that a second run has nothing to do ----

# What pip can't bring. Checked before anything is made; silent when all is there.
NEEDS := dot $(if $(filter-out help lab bundle update hub clean site slides hooks student,$(MAKECMDGOALS)),chromium cjk-font npm)
NEEDS += $(if $(filter bundle hub site slides,$(MAKECMDGOALS)),npm)
# Where the set-up comes from a stick there may be no network: then it only says what is missing.
STICK := $(if $(filter bundle,$(MAKECMDGOALS)),,$(BUNDLE))
system:
	@.ci/system-packages $(if $(STICK),--say) $(PYTHON) $(NEEDS)

ifneq ($(STICK),)
define set_up
@echo "Setting up the course in $(VENV) from $(STICK): some minutes"
@$(PYTHON) .ci/bundle.py install "$(STICK)" $(VENV)
endef
else
# Without build isolation, so that visdom 0.2.4, whose setup.py imports pkg_resources, is built
# with the setuptools of constraints.txt by every version of pip.
define set_up
@echo "Setting up the course in $(VENV): some minutes, and 2 GB (6 GB with torch's CUDA libraries)"
@$(PYTHON) -m venv $(VENV)
@$(PIP) setuptools wheel
@$(PY) .ci/torch_build.py $(TORCH)
@$(PIP) --no-build-isolation --editable .
@$(PY) -m helpers.visdom || true  # chapter 4 tries again, or says how to do without
endef
endif

$(VENV)/.lab: pyproject.toml constraints.txt Makefile | system
	$(set_up)
	@touch $@

$(VENV)/.test: $(VENV)/.lab | system
	@echo "Adding what the tests need"
	@$(PIP) reuse  # built from source on most machines, with build tools that its package names
	@$(PIP) --no-build-isolation --editable '.[site,test]'
	@$(PY) -m helpers.visdom
	@$(PY) tests/browser/axe.py
	@$(PY) docs/assets.py
	@$(PY) docs/teaching/hub/proxy.py
	@touch $@

$(VENV)/.hub: $(VENV)/.lab docs/teaching/hub/package-lock.json | system
	@echo "Adding JupyterHub and its proxy"
	@$(PIP) --no-build-isolation --editable '.[hub]'
	@$(PY) docs/teaching/hub/proxy.py
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "Adding what the benchmarks compare with"
	@$(PIP) --no-build-isolation --editable '.[bench,site,test]'
	@touch $@

$(VENV)/.site: $(VENV)/.lab | system
	@echo "Adding what the site and the slides are made with"
	@$(PIP) --no-build-isolation --editable '.[site]'
	@$(PY) docs/assets.py
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	@echo "Adding what looks at each commit"
	@$(PIP) --no-build-isolation --editable '.[dev,site,test]'
	@touch $@

$(VENV)/.zoo: $(VENV)/.test
	@echo "Adding the libraries whose networks are drawn"
	@$(PIP) --no-build-isolation --editable '.[test,zoo]'
	@touch $@

.NOTPARALLEL:
