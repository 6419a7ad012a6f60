# Everything that one does here by hand. Each target does its own set-up: `make serve` and `make test` work in a fresh clone.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --quiet

.PHONY: help serve train catalog test test-slow check format fuzz openapi chromium screenshots lock audit-dependencies sbom soak image-check clean

help:  ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: .venv/serve.stamp  ## answer requests on http://127.0.0.1:8000 (settings: HANGTAG_PORT=8001 make serve)
	@exec $(BIN)/hangtag serve

train: .venv/dev.stamp  ## train a model: make train RECIPE=fashion-mnist
	@exec $(BIN)/hangtag train $(or $(RECIPE),fashion-mnist)

catalog: .venv/catalog.stamp  ## set up .venv/bin/hangtag classify, for folders, archives and object stores

test: check .venv-clients/stamp .prometheus/stamp chromium  ## lint, check types and imports, run every test
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: .venv/dev.stamp  ## run the tests that take minutes each
	$(BIN)/pytest -m slow

check: .venv/dev.stamp  ## lint, check types and the import rule
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/dev.stamp  ## format, and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fuzz: .venv/dev.stamp  ## look for what the tests' examples do not find: 100,000 damaged pictures and more (minutes)
	FUZZ=20 $(BIN)/pytest tests/test_fuzz.py

openapi: .venv/dev.stamp  ## write docs/openapi.json anew
	$(BIN)/python tests/described.py

chromium:  ## get Debian's Chromium, which the pages are tried in, where it is not (as root)
	@type chromium > /dev/null 2>&1 || timeout 120 apt-get install --quiet --yes --no-install-recommends chromium \
		|| echo "no Chromium: the tests of the pages are skipped" >&2

screenshots: .venv/dev.stamp chromium  ## take the pictures of the pages for the README anew (needs Chromium)
	$(BIN)/python tests/screenshots.py

lock:  ## pin again what pyproject.toml asks for (needs uv)
	$(LOCK) --upgrade pyproject.toml --group build -o requirements/serve.txt
	$(LOCK) --upgrade pyproject.toml --extra train --extra otlp --extra s3 --extra ray --group build --group dev -c requirements/serve.txt -o requirements/dev.txt
	$(LOCK) --upgrade pyproject.toml --extra catalog --extra s3 --extra gs --extra az -c requirements/dev.txt -o requirements/catalog.txt
	$(LOCK) --upgrade --group clients -o requirements/clients.txt
	$(LOCK) --upgrade --group supply -o requirements/supply.txt

audit-dependencies: .venv-supply/stamp  ## ask for known holes in all that is pinned (needs the network)
	@for pins in requirements/*.txt; do \
		echo "$$pins"; .venv-supply/bin/pip-audit --strict --require-hashes --disable-pip --requirement $$pins || failed=1; \
	done; exit $${failed:-0}

sbom: .venv-supply/stamp  ## write build/sbom.json: what serving installs, as a CycloneDX bill of materials
	@rm -rf build/sbom && mkdir -p build && $(PYTHON) -m venv build/sbom
	@build/sbom/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement requirements/serve.txt
	@build/sbom/bin/python -m pip --disable-pip-version-check --quiet uninstall --yes setuptools pip
	.venv-supply/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json build/sbom/bin/python
	@rm -rf build/sbom

soak: .venv/dev.stamp  ## ask a service everything for half an hour, and look for leaks (longer: make soak SECONDS=36000)
	@exec $(BIN)/hangtag bench soak --seconds $(or $(SECONDS),1800) --csv soak.csv --plot soak.svg

image-check: .venv/serve.stamp  ## build the container image and try it (needs docker, or buildah and debootstrap)
	deploy/image-check.sh

clean:  ## remove the environments and all caches
	rm -rf .venv .venv-clients .venv-supply .prometheus .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info

# The development environment holds all of the serving one, so whoever has it needs no second set-up to serve.
.venv/serve.stamp: requirements/serve.txt pyproject.toml | .venv/bin/python
	@echo "installing what serving needs into .venv (once)"
	@$(PIP) install --require-hashes --requirement requirements/serve.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/catalog.stamp: requirements/catalog.txt .venv/serve.stamp
	@echo "installing what labelling a catalogue needs into .venv (once)"
	@$(PIP) install --require-hashes --requirement requirements/catalog.txt
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/serve.stamp
	@$(BIN)/python -c 'import sys; sys.exit("TensorFlow has no release for this Python yet; training and testing need 3.11 to 3.13: make clean, then make PYTHON=python3.13" if sys.version_info >= (3, 14) else 0)'
	@echo "installing what training and testing need into .venv (once)"
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@

# Clients that others wrote need releases that ours do not go together with; tests call them in a process of their own.
.venv-clients/stamp: requirements/clients.txt | .venv/bin/python
	@echo "installing the clients that the service is tried with into .venv-clients (once)"
	@$(BIN)/python -m venv --clear .venv-clients
	@.venv-clients/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	@touch $@

# Without it the tests of rules and dashboards are skipped; the next `make test` tries again.
.prometheus/stamp: deploy/prometheus/fetch.sh
	@echo "getting the prometheus that rules and dashboards are tried with into .prometheus (once)"
	@if deploy/prometheus/fetch.sh .prometheus; then touch $@; fi

# What looks at the others' pins has pins of its own, and is in none of their environments.
.venv-supply/stamp: requirements/supply.txt | .venv/bin/python
	@echo "installing what audits dependencies into .venv-supply (once)"
	@$(BIN)/python -m venv --clear .venv-supply
	@.venv-supply/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Hangtag needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
