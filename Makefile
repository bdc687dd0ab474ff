# Two commands work on a fresh machine with Python 3.11 (or newer), git, and make:
#   make demo      run the main job end to end, on embedded parts   (ARGS=--exit: then end)
#   make test      run all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Keeps all files inside the checkout.
export TMPDIR := $(CURDIR)/var/tmp
# What is compiled is kept, as each process of the tests would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install requirements sbom demo test test-fast check lint types migrations deploy-check secrets audit format schema clean bench-executor bench-large bench-send bench-identity bench-roster bench-admin bench-api bench-growth scale chaos environment images

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make install      create the virtual environment in .venv
install: $(INSTALLED)

$(INSTALLED): requirements-dev.txt
	@mkdir -p $(TMPDIR)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Runway needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# uv resolves for all platforms and Python versions at once, with the hashes of all their files.
PINNED := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate \
  --custom-compile-command "make requirements"

## make requirements  compile requirements*.txt from requirements*.in, with hashes  (ARGS=--upgrade: newest)
requirements: $(INSTALLED)
	$(PINNED) $(ARGS) requirements.in -o requirements.txt
	$(PINNED) $(ARGS) requirements-executor.in -c requirements.txt -o requirements-executor.txt
	$(PINNED) $(ARGS) requirements-dev.in -c requirements.txt -c requirements-executor.txt -o requirements-dev.txt

## make sbom         list what both images consist of in var/sbom (CycloneDX, with hashes)
sbom: $(INSTALLED)
	@mkdir -p var/sbom
	$(BIN)/cyclonedx-py requirements requirements.txt --output-reproducible -o var/sbom/web.json
	$(BIN)/cyclonedx-py requirements requirements-executor.txt --output-reproducible -o var/sbom/executor.json

# In an environment of its own: what it needs shall not be where the tests run.
AUDIT := $(BIN)/uv tool run --quiet --from pip-audit==2.10.1 pip-audit --disable-pip --require-hashes

## make audit        look for known vulnerabilities of what both images consist of
audit: $(INSTALLED)
	$(AUDIT) -r requirements.txt
	$(AUDIT) -r requirements-executor.txt

# By their form: keys of clouds and services, private keys, tokens, and passwords in URLs.
secrets: $(INSTALLED)
	git ls-files -z -- ':!requirements*.txt' ':!*.gz' ':!*.png' ':!docs/openapi.yaml' | \
	  xargs -0 -P 2 -n 500 $(BIN)/detect-secrets-hook \
	  --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString \
	  --disable-plugin KeywordDetector --exclude-lines ':(PASSWORD|password|pass|hush|hidden|secret)@'

## make demo         run everything on this machine: two jobs, then the admin to explore
demo: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	@$(BIN)/python -m runway.demo $(ARGS)

# Five processes on two cores, since tests spend much of their time waiting for faults.
TEST := $(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

## make test         run all tests
test: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(TEST) $(ARGS)

## make test-fast    run all tests but the slow ones: servers, other programs, whole matrices
test-fast: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(TEST) -m "not slow" $(ARGS)

## make check        check lint, format, types, migrations, and deployment settings, like CI
check: lint types migrations deploy-check secrets

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile Dockerfile.executor

# The type checker loads the settings, which need a database's name, but no database.
types: $(INSTALLED)
	RUNWAY_ENV=development DATABASE_URL=postgres:///unused $(BIN)/mypy .

migrations: $(INSTALLED)
	RUNWAY_ENV=development $(BIN)/python manage.py makemigrations --check --dry-run

# Production's settings, with placeholder values for those without a default.
deploy-check: $(INSTALLED)
	@key() { $(BIN)/python -c "import $$1; print($$2)"; }; \
	env -u RUNWAY_ENV \
	  SECRET_KEY=$$(key secrets 'secrets.token_urlsafe(50)') \
	  EXECUTOR_JWT_KEY=$$(key secrets 'secrets.token_urlsafe(50)') \
	  ENCRYPTION_KEYS=$$(key cryptography.fernet 'cryptography.fernet.Fernet.generate_key().decode()') \
	  DATABASE_URL=postgres:///unused ALLOWED_HOSTS=runway.example.org \
	  BEHIND_TLS_PROXY=true APP_URL=https://runway.example.org FILES_BASE=file:///srv/runway ENVLABEL=prod AWS_REGION=us-east-1 \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING

## make bench-executor   compare our executor with stock tools  (ARGS=--big-stock: the long cases too)
bench-executor: $(INSTALLED)
	$(BIN)/python -m benchmarks.executor $(ARGS)

## make bench-large      large files, against the executor before it had parts  (ARGS=--most 100000: fewer rows)
bench-large: $(INSTALLED)
	$(BIN)/python -m benchmarks.large $(ARGS)

## make bench-send       measure how fast lightbeam sends records, by the ODS's time and the requests at once
bench-send: $(INSTALLED)
	$(BIN)/python -m benchmarks.send $(ARGS)

## make bench-identity   measure how well students are found by name and birth date
bench-identity: $(INSTALLED)
	$(BIN)/python -m benchmarks.identity $(ARGS)

## make bench-roster     measure the roster stream: speed, memory, concurrent callbacks, the pool
bench-roster: $(INSTALLED)
	$(BIN)/python -m benchmarks.roster $(ARGS)

## make bench-api        measure the external API's lists with 10,000 and a million output sets
bench-api: $(INSTALLED)
	$(BIN)/python -m benchmarks.api $(ARGS)

## make bench-growth   measure what a year of runs takes in the database, before and after it is tidied
bench-growth: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(BIN)/python -m benchmarks.growth $(ARGS)

## make scale         let a thousand executors report at once to the real web and database
scale: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(BIN)/python -m benchmarks.scale $(ARGS)

## make chaos         50 jobs while everything around them breaks  (ARGS="--seeds 10 --first 1")
chaos: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(BIN)/python -m tests.chaos $(ARGS)

## make environment   update docs/environment.md after a change of .env.example
environment: $(INSTALLED)
	$(BIN)/python -m tests.runway.environment_table

## make images        build both images, where Docker is
images:
	docker build --file Dockerfile --tag runway .
	docker build --file Dockerfile.executor --tag runway-executor .

## make schema       update docs/openapi.yaml after a change to the external API
schema: $(INSTALLED)
	RUNWAY_ENV=development DATABASE_URL=postgres:///unused $(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

## make bench-admin      measure the admin's pages with 100,000 jobs  (ARGS=--keep: keep the database)
bench-admin: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(BIN)/python -m benchmarks.admin $(ARGS)

## make format       format the code
format: $(INSTALLED)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

## make clean        delete what tests and demos left in var/
clean:
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis
