# Two commands for a fresh machine with Python 3.11 to 3.13, git and make:
#   make demo    the main job on real digits, with a report (under 6 minutes)
#   make test    lint and fast tests
# Both make the virtual environment .venv once and reuse it.

PYTHONS := python3.11 python3.12 python3.13 python3 python
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
BIN := .venv/bin
# Processes for the quick tests; each takes up to 3 GB of memory. A file stays in one:
# its tests share what is slow to make.
WORKERS := 2

.PHONY: demo test slow format
demo: .venv/ready
	$(BIN)/limbeck demo

test: .venv/ready-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pytest -q -m "not slow" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

slow: .venv/ready-test
	$(BIN)/pytest -q -m slow

format: .venv/ready-test
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.venv/bin/python:
	@for python in $(PYTHON) $(PYTHONS); do \
	  if $$python -c '$(SUPPORTED)' 2>/dev/null; then \
	    echo "making .venv with $$($$python --version)"; \
	    exec $$python -m venv .venv; \
	  fi; \
	done; \
	echo "limbeck needs Python 3.11, 3.12 or 3.13; none of these is one: $(PYTHONS)." >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	exit 1

.venv/ready: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/ready-test: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@ .venv/ready
