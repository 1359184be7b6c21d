# Everything a contributor runs. Needs Python 3.11 or later and make; the rest is installed on first use and reused.
#
#   make            the package with all extras and the developer tools, in .venv
#   make demo       what the package does, on real choices; a service and its console (installs only what it needs)
#   make test       every check: format, lint, types, import contract, tests, documentation
#   make bench      ours against the peers, in one run (make bench-logit, bench-scale, ... run one part)
#   make docs       the documentation site, in site/
#   make lint       only the checks that need no run
#   make clean      remove all that make made

VENV    := .venv
BIN     := $(VENV)/bin
PINNED  := -c constraints.txt --build-constraint constraints.txt
INSTALL := -m pip --quiet --disable-pip-version-check --no-input install
SECTION := .ci/section
LOOPS   := hatch_build.py src/revealed/engine/loops.c
PEERS   := .venv-bench
RIVALS  := .venv-bench-decide
ECONS   := .venv-bench-dynamic
MARKETS := .venv-bench-blp

.DEFAULT_GOAL := install
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: install demo test lint format-check lint-check types imports tests docs postgres chromium curl \
        bench bench-logit bench-nested bench-mixed bench-scale bench-threads bench-update bench-bandits bench-regret bench-slate \
        bench-offpolicy bench-delay bench-layout bench-coldstart bench-dynamic bench-membership bench-rewards bench-blp bench-serve bench-capacity \
        format clean

# ---- set-up: a stamp per kind of installation, renewed when the pins or the package's metadata change ---------------

$(VENV)/.made: constraints.txt .ci/make-venv .ci/find-python
	@echo "Making $(VENV)"
	@.ci/make-venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.made pyproject.toml constraints.txt $(LOOPS)
	@echo "Installing the package, its plots and its service"
	@$(BIN)/python $(INSTALL) $(PINNED) -e '.[plots,serve]'
	@touch $@

$(VENV)/.all: $(VENV)/.made pyproject.toml constraints.txt $(LOOPS)
	@.ci/compiler
	@echo "Installing the package, all extras and the developer tools"
	@$(BIN)/python $(INSTALL) $(PINNED) -e '.[all]' --group test --group lint --group docs
	@touch $(VENV)/.core $@

$(PEERS)/.made: bench/requirements.txt .ci/make-venv .ci/find-python
	@echo "Installing the peers to compare with, in $(PEERS)"
	@.ci/make-venv $(PEERS)
	@$(PEERS)/bin/python $(INSTALL) -r bench/requirements.txt
	@touch $@

$(RIVALS)/.made: bench/requirements-decide.txt .ci/make-venv .ci/find-python
	@echo "Installing the peers of decide to compare with, in $(RIVALS)"
	@.ci/make-venv $(RIVALS)
	@$(RIVALS)/bin/python $(INSTALL) --no-deps -r bench/requirements-decide.txt
	@touch $@

$(ECONS)/.made: bench/requirements-dynamic.txt .ci/make-venv .ci/find-python
	@echo "Installing the peer of choices over time to compare with, in $(ECONS)"
	@.ci/make-venv $(ECONS)
	@$(ECONS)/bin/python $(INSTALL) -r bench/requirements-dynamic.txt
	@touch $@

$(MARKETS)/.made: bench/requirements-blp.txt .ci/make-venv .ci/find-python
	@echo "Installing the peer of demand on market shares to compare with, in $(MARKETS)"
	@.ci/make-venv $(MARKETS)
	@$(MARKETS)/bin/python $(INSTALL) -r bench/requirements-blp.txt
	@touch $@

install: $(VENV)/.all
	@echo "Ready: $(BIN)/revealed --help"

demo: $(VENV)/.core
	@$(BIN)/revealed demo --service 12

# ---- checks ---------------------------------------------------------------------------------------------------------

# Types are checked beside the tests, of which many wait: it takes a minute and a half of one core.
test: format-check lint-check imports
	@nice $(MAKE) --no-print-directory types > $(VENV)/types.out 2>&1 & types=$$!; \
	    $(MAKE) --no-print-directory tests; tests=$$?; \
	    wait $$types; types=$$?; cat $(VENV)/types.out; [ $$tests = 0 ] && [ $$types = 0 ]
	@$(MAKE) --no-print-directory docs
	@printf '\nAll checks passed.\n'

lint: format-check lint-check types imports

format-check: $(VENV)/.all
	@$(SECTION) "format" $(BIN)/ruff format --check .

lint-check: $(VENV)/.all
	@$(SECTION) "lint" $(BIN)/ruff check .

types: $(VENV)/.all
	@$(SECTION) "types" $(BIN)/mypy

imports: $(VENV)/.all
	@$(SECTION) "import contract" $(BIN)/lint-imports --no-logo

postgres:
	@.ci/postgres

chromium:
	@.ci/chromium

curl:
	@.ci/curl

tests: $(VENV)/.all postgres chromium curl
	@# A worker for each of two cores: threads of the linear algebra would only wait for each other. What is compiled
	@# is kept, whatever the caller's habit: some hundred processes start from it.
	@$(SECTION) "tests" env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= \
	    $(BIN)/python -m pytest -q -n 2

docs: $(VENV)/.all
	@$(SECTION) "documentation" env NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/.all
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

# ---- benchmarks -----------------------------------------------------------------------------------------------------

bench: bench-logit bench-nested bench-mixed bench-update bench-threads bench-scale \
       bench-bandits bench-regret bench-slate bench-offpolicy bench-delay bench-layout bench-coldstart \
       bench-dynamic bench-blp bench-rewards bench-membership bench-serve bench-capacity

bench-logit: $(VENV)/.all $(PEERS)/.made
	@$(BIN)/python -m bench.logit --peers $(PEERS)/bin/python

bench-nested: $(VENV)/.all $(PEERS)/.made
	@$(BIN)/python -m bench.logit --nested --peers $(PEERS)/bin/python

bench-mixed: $(VENV)/.all $(PEERS)/.made
	@$(BIN)/python -m bench.mixed --peers $(PEERS)/bin/python

bench-update bench-threads bench-scale: bench-%: $(VENV)/.all
	@$(BIN)/python -m bench.$*

bench-bandits bench-regret bench-slate: bench-%: $(VENV)/.all $(RIVALS)/.made
	@$(BIN)/python -m bench.$* --peers $(RIVALS)/bin/python

bench-offpolicy: $(VENV)/.all $(RIVALS)/.made
	@$(BIN)/python -m bench.offpolicy --peer $(RIVALS)/bin/python

bench-dynamic: $(VENV)/.all $(ECONS)/.made
	@$(BIN)/python -m bench.dynamic --peer $(ECONS)/bin/python

bench-blp: $(VENV)/.all $(MARKETS)/.made
	@$(BIN)/python -m bench.blp --peer $(MARKETS)/bin/python

bench-rewards: $(VENV)/.all
	@$(BIN)/python -m bench.rewards
	@$(BIN)/python -m bench.rewards_buses

bench-delay bench-layout bench-coldstart bench-membership bench-serve bench-capacity: bench-%: $(VENV)/.all
	@$(BIN)/python -m bench.$*

clean:
	rm -rf $(VENV) $(PEERS) $(RIVALS) $(ECONS) $(MARKETS) site dist demo-output bench/results bench/.data .hypothesis
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
