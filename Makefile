# make help shows what there is. On a fresh machine this needs make and Python 3.11 to 3.13, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OLD    := $(VENV)-pandas2
# the old pandas runs on the newest Python that is there, so that both ends of what is supported are tried
OTHER  := $(shell for p in python3.13 python3.12; do $$p -c '' 2>/dev/null && echo $$p && exit; done; echo $(PYTHON))

.DEFAULT_GOAL := help
.PHONY: help setup demo lab test test-adverse test-quick test-pandas2 lint bench notebooks screenshots clean

help:  ## show this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"govlab needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}: run make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/.ready  ## make the environment in .venv

demo: $(VENV)/.ready  ## run the main job: replay real edits and a machine metric, alert, judge, write a report
	$(BIN)/govlab demo

lab: $(VENV)/.ready  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks/00_tour.ipynb

test: $(VENV)/.ready lint test-pandas2  ## all tests: lint, types, contracts on both pandas, notebooks, a real browser
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m 'not server'
	$(BIN)/python -m pytest -q -m server
	TQDM_DISABLE=1 $(BIN)/python -m pytest -q --nbval --nbval-sanitize-with notebooks/sanitize.cfg --nbval-cell-timeout 120 -p no:cacheprovider notebooks

test-quick: $(VENV)/.ready  ## the tests without notebooks, browser, servers and old pandas
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m 'not server'

test-adverse: $(VENV)/.ready  ## sources, engines and services beside 8 busy loops, three times; then a slow network (up to 3 s a packet)
	for round in 1 2 3; do \
		$(BIN)/python -m pytest -q --busy 8 -o timeout=3600 tests/sources tests/engines tests/services tests/sinks || exit 1; \
	done
	GOVLAB_LONG=1 $(BIN)/python -m pytest -q --delay 3 -o timeout=3600 tests/adverse

lint: $(VENV)/.ready  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(OLD)/.ready: pyproject.toml constraints.txt $(VENV)/.ready
	test -x $(OLD)/bin/python || $(OTHER) -m venv $(OLD)
	$(BIN)/uv pip install --quiet --python $(OLD)/bin/python -e . 'pandas==2.2.3' \
		$$(grep -E '^(confluent-kafka|crc32c|execnet|hypothesis|kafka-python|lz4|numba|numpy|paho-mqtt|pika|psutil|pyarrow|pytest|pytest-timeout|pytest-xdist|river|rstream|scikit-learn|stomp-py|trustme)==' constraints.txt)
	@touch $@

test-pandas2: $(OLD)/.ready  ## the contracts on pandas 2.2
	$(OLD)/bin/python -m pytest -q -n 2 --dist worksteal -m 'not server' -k 'not flink and not killed' tests/contracts tests/sources tests/engines tests/test_pipeline.py

bench: $(VENV)/.ready  ## measure the throughput (and, with GOVLAB_DATA, the detection on NAB)
	$(BIN)/python benchmarks/throughput.py
	@if [ -n "$$GOVLAB_DATA" ]; then $(BIN)/python benchmarks/nab.py; else echo "benchmarks/nab.py needs GOVLAB_DATA (see data/README.md)"; fi

notebooks: $(VENV)/.ready  ## run the notebooks anew and keep their outputs
	TQDM_DISABLE=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace notebooks/*.ipynb

clean:  ## remove environments, caches and reports
	rm -rf $(VENV) $(OLD) reports .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
