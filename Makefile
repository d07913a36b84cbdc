# Andon's commands. `make demo` and `make test` need Python 3.11+ with venv, and make; nothing else.
# Each makes what is missing first. ARGS is handed on: make test ARGS="-k dedup", make demo ARGS="--seed 7".

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON := $(BIN)/python
MADE   := $(VENV)/.made
PIP    := $(PYTHON) -m pip --disable-pip-version-check install
LOCKED := $(PIP) --require-hashes --only-binary :all: --progress-bar $(shell [ -t 2 ] && echo on || echo off)

# A copied, moved or broken .venv is made anew: the programs in it name their place.
ifneq ($(shell $(PYTHON) -c '' 2>/dev/null && cat $(MADE)/place 2>/dev/null),$(CURDIR))
$(shell rm -rf $(MADE))
endif

.DEFAULT_GOAL := help
.PHONY: help demo test check bench faults fuzz weeks lock migration rules sbom setup clean

help: ## say what make can do here
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

demo: setup ## a simulated plant at work, from its machines to tickets in the browser
	@$(BIN)/andon demo $(ARGS)

test: $(MADE)/test ## every test, and what was left out (COVER=1 adds a coverage report)
	@$(PYTHON) -m tests.lanes $(if $(COVER),--cov --cov-report=term:skip-covered) $(ARGS)

check: $(MADE)/test ## format, lint, types and who imports whom
	@wrong=""; for tool in "ruff format --check --output-format concise" "ruff check" mypy "lint-imports --no-logo"; do \
	    echo "-- $$tool"; $(BIN)/$$tool || wrong="$$wrong $${tool%% -*},"; \
	done; [ -z "$$wrong" ] || { echo "make check: not clean:$${wrong%,}"; exit 1; }

bench: setup ## how fast it is here: one row per goal
	@$(BIN)/andon bench $(or $(ARGS),demo)

faults: $(MADE)/test ## kills, power cuts and full disks
	@$(PYTHON) -m pytest tests/faults $(ARGS)

weeks: $(MADE)/test ## weeks of a plant on a virtual clock, every law looked at after everything that happens (WEEKS=5000)
	@PLANT_WEEKS=$(or $(WEEKS),1000) $(PYTHON) -m pytest tests/scenario/test_plant_weeks.py $(ARGS)

fuzz: $(MADE)/test ## every REST route asked all that its description allows and forbids (FUZZ=50 random requests of a kind each)
	@FUZZ=$(or $(FUZZ),50) $(PYTHON) -m pytest tests/integration/test_openapi_fuzz.py --timeout 3600 $(ARGS)

setup: $(MADE)/project ## .venv with everything that Andon runs on

lock: $(MADE)/test ## resolve the dependencies anew (UPGRADE=1 takes newer ones)
	@resolve() { \
	    lock=$$1; shift; [ -f $$lock ] || : > $$lock; cp $$lock $$lock.new; \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	        --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) --output-file $$lock.new "$$@" \
	        || { rm $$lock.new; exit 1; }; \
	    if cmp -s $$lock.new $$lock; then rm $$lock.new; echo "$$lock is as it was"; \
	    else mv $$lock.new $$lock; echo "$$lock is new: look at its diff"; fi; \
	}; \
	resolve requirements.lock pyproject.toml; \
	resolve build.lock --group build --constraints requirements.lock; \
	resolve test.lock --group test --constraints requirements.lock --constraints build.lock
	@! grep -nE '://|@ |^ *-(i|f|-index|-extra-index|-find-links|-trusted)' *.lock package-lock.json \
	    || { echo "A lock file names an address: it would bind everyone to one machine's registry."; exit 1; }

migration: $(MADE)/project ## write the migration to the tables as they now are (NAME='what changes'); read it
	@$(PYTHON) -m andon.migrations "$(NAME)"
	@$(BIN)/ruff check --quiet --fix andon/migrations; $(BIN)/ruff format --quiet andon/migrations

rules: $(MADE)/project ## write docs/rules.md from docs/rules.toml, and docs/rights.md from the routes of the console
	@$(PYTHON) -m tests.rules
	@$(PYTHON) -m tests.rights

sbom: $(MADE)/project ## write dist/andon.cdx.json: what an installation is made of, as CycloneDX
	@$(PYTHON) deploy/sbom.py dist/andon.cdx.json

clean: ## take away .venv and what tools left behind; var/ (your data) stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* htmlcov \
	    build dist api/web/vendor
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up, one stamp per step, in this order: done again only if what it was made from has changed.

$(MADE)/venv:
	@echo "[1/4] a place for Python packages: $(VENV)"
	@$(FIND_PYTHON); \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$$python cannot make a virtual environment: its ensurepip is missing."; \
	    echo "Cure: apt install python3-venv (Debian, Ubuntu), or a Python from python.org."; exit 1; }; \
	"$$python" -c 'import sys; print("      with", sys.executable, sys.version.split()[0])'; \
	"$$python" -m venv --clear $(VENV)
	@mkdir -p $(MADE) && echo "$(CURDIR)" > $(MADE)/place && touch $@

$(MADE)/packages: requirements.lock build.lock | $(MADE)/venv
	@echo "[2/4] the packages that Andon runs on, as locked: $$(grep -c '==' requirements.lock), 140 MB, once"
	@$(LOCKED) -r requirements.lock -r build.lock
	@touch $@

$(MADE)/web: hatch_build.py package-lock.json | $(MADE)/packages
	@echo "[3/4] the browser libraries of the console, from npm"
	@$(PYTHON) hatch_build.py
	@touch $@

$(MADE)/project: pyproject.toml | $(MADE)/web
	@echo "[4/4] Andon itself"
	@$(PIP) --quiet --no-build-isolation --no-deps --editable .
	@touch $@

$(MADE)/test: test.lock | $(MADE)/project
	@echo "[test] what tests and checks are made with: $$(grep -c '==' test.lock) packages, 100 MB, once"
	@$(LOCKED) -r test.lock
	@touch $@

# The first Python that is new enough; `make setup python=/path/to/python` names one.
define FIND_PYTHON
seen=""; for python in $${python:-python3 python3.13 python3.12 python3.11}; do \
    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
    version=$$("$$python" -V 2>/dev/null) && seen="$$seen $$python is $$version;"; python=""; \
done; \
[ -n "$$python" ] || { echo "Andon needs Python 3.11 or newer.$${seen:- No Python was found.}"; \
    echo "Cure: apt install python3.11 python3.11-venv (Debian 12 and newer), or brew install python@3.13."; exit 1; }
endef
