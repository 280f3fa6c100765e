# Needs make and Python 3.11 or newer. Everything else goes into .venv, pinned by hash.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test orm-tests drf-tests session-tests browser coverage lint format types docs bench consistency requirements clean

help:  ## say what can be made
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile
	@echo 'make test ARGS="-k codec" hands arguments on; make PYTHON=python3.13 picks the interpreter of a new .venv'

demo: $(VENV)/.demo  ## the timetable, served; Ctrl-C stops everything
	@$(BIN)/python manage.py demo $(ARGS)

test: $(VENV)/.test  ## every test but the browser's
	$(BIN)/python -m pytest $(ARGS)

orm-tests: $(VENV)/.test  ## Django's own ORM tests with CacheManager in the place of every manager
	$(BIN)/python -m tests.django_suite $(ARGS)

drf-tests: $(VENV)/.test  ## DRF's own throttling tests with our classes in the place of DRF's
	$(BIN)/python -m tests.drf_suite

session-tests: $(VENV)/.test  ## Django's own tests of sessions, log-ins and clients on our engine
	$(BIN)/python -m tests.session_suite $(ARGS)

browser: $(VENV)/.browser  ## the demo in a real Chromium (Debian: apt-get install chromium)
	$(BIN)/python -m pytest tests/browser -m browser $(ARGS)

coverage: $(VENV)/.test  ## the tests, and which lines they never ran
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

lint: $(VENV)/.dev  ## style, format and walls
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.dev  ## mypy, strictly
	$(BIN)/mypy

docs: $(VENV)/.docs  ## the documentation, into docs/_build/html; a warning is an error
	$(BIN)/python -m docs.settings_page
	$(BIN)/python -m docs.commands_page
	$(BIN)/python -m docs.timelines
	$(BIN)/python -m sphinx -W --keep-going -E -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.bench  ## cached reads against plain Django and its peers, side by side; ARGS=mix: while somebody writes; ARGS=stampede, penetration, …: under fire; ARGS=throttle: limits; ARGS=summary: the README's table; ARGS=sizes: bytes
	$(BIN)/python -m bench $(ARGS)

consistency: $(VENV)/.test  ## is any cached read older than the last commit? Processes, crashes, outages
	$(BIN)/python -m bench.consistency $(ARGS)

# dev.txt is resolved first and bounds the others, so that every environment holds the same versions.
# ARGS=--upgrade takes newer ones.
requirements: $(VENV)/.dev  ## export the lock of every group anew
	@for group in dev test demo docs browser bench; do \
	  echo "requirements/$$group.txt"; \
	  UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --custom-compile-command "make requirements" $(ARGS) \
	    pyproject.toml --group "$$group" $$([ "$$group" = dev ] || echo "--constraint requirements/dev.txt") \
	    --output-file "requirements/$$group.txt" || exit 1; \
	done

clean:  ## remove everything that can be made again
	rm -rf $(VENV) .tox build dist docs/_build htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.%: requirements/%.txt | $(VENV)/.made
	$(PIP) install --quiet --require-hashes --requirement $<
	@touch $@
