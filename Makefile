# make demo   one MP4 of a portrait that speaks, through three containers
# make test   the tests, on a real engine; as root with CI=1 it installs what they need
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
OUTPUT ?= demo.mp4

.PHONY: demo test test-examples faults check bench bench-models schemas locks clean

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

test test-examples faults: $(VENV)/ready-test
	$(RUN) -m tests.support.prepare
	$(RUN) -m tests.support.sessions $@

check: $(VENV)/ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/hadolint examples/*/Dockerfile cvl/templates/*/Dockerfile
	$(RUN) -m cvl.cli.schemas --check
	$(RUN) -m pytest tests/test_architecture.py

schemas: $(VENV)/ready-test
	$(RUN) -m cvl.cli.schemas --write

UV = $(abspath $(VENV))/bin/uv pip compile --quiet --universal --generate-hashes \
  --only-binary :all: --no-header

# Where there is torch, it and what it needs are a lock of their own: one layer for all images.
locks: $(VENV)/ready
	for example in examples/*/requirements.in; do (cd $$(dirname $$example) && \
	  if grep -q ^torch== requirements.in; then \
	    grep ^torch== requirements.in | $(UV) --no-annotate --python-version 3.11 - -o torch.lock && \
	    $(UV) --no-annotate --python-version 3.11 requirements.in -c torch.lock -o models.lock \
	      $$(test ! -f excludes.in || echo --excludes excludes.in) \
	      $$(sed -nE 's/^([A-Za-z0-9_.-]+)==.*/--no-emit-package \1/p' torch.lock | sort -u); \
	  else $(UV) --no-deps --python-version 3.10 requirements.in -o requirements.lock; fi) || exit 1; \
	done

bench: $(VENV)/ready-test
	$(RUN) benchmarks/overhead.py; first=$$?; $(RUN) benchmarks/models_list.py && exit $$first

$(VENV)-models/ready: examples/live_avatar/requirements.in
	$(PYTHON) -m venv $(VENV)-models
	$(VENV)-models/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-models/bin/python -m pip install --quiet -r $<
	touch $@

bench-models: $(VENV)-models/ready
	$(VENV)-models/bin/python benchmarks/live_avatar.py

clean:
	rm -rf $(VENV) $(VENV)-models demo.mp4 junit-*.xml
