# make demo   one MP4 of a portrait that speaks, through three containers
# make test   the tests, on a real engine; as root with CI=1 it installs what they need
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
OUTPUT ?= demo.mp4

.PHONY: demo test test-examples faults check bench schemas locks clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable .
	touch $@

$(VENV)/ready-test: $(VENV)/ready
	$(RUN) -m pip install --quiet --editable '.[test]'
	touch $@

demo: $(VENV)/ready
	$(VENV)/bin/cvl demo --output "$(OUTPUT)" --overwrite \
	  $(if $(TEXT),--text "$(TEXT)") $(if $(IMAGE),--image "$(IMAGE)")

test faults: $(VENV)/ready-test
	$(RUN) -m tests.support.prepare
	$(RUN) -m tests.support.sessions $@

test-examples: $(VENV)/ready-test
	$(RUN) -m tests.support.prepare
	$(RUN) -m pytest tests/examples

check: $(VENV)/ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(RUN) -m cvl.cli.schemas --check
	$(RUN) -m pytest tests/test_architecture.py

schemas: $(VENV)/ready-test
	$(RUN) -m cvl.cli.schemas --write

locks: $(VENV)/ready
	for example in examples/*/requirements.in; do \
	  (cd $$(dirname $$example) && $(abspath $(VENV))/bin/uv pip compile --quiet --no-deps \
	    --universal --python-version 3.10 --generate-hashes --only-binary :all: --no-header \
	    requirements.in --output-file requirements.lock) || exit 1; \
	done

bench: $(VENV)/ready-test
	$(RUN) benchmarks/overhead.py; first=$$?; $(RUN) benchmarks/models_list.py && exit $$first

clean:
	rm -rf $(VENV) demo.mp4 junit-*.xml
