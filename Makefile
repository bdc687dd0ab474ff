# Two commands work on a fresh machine with Python 3.11 (or newer), git and make:
#   make demo      the main job, end to end, on embedded parts   (ARGS=--exit: end after it)
#   make test      all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Nothing is left outside the checkout.
export TMPDIR := $(CURDIR)/var/tmp
# What is compiled is kept, as each process of the tests would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install requirements demo test test-fast check lint types migrations deploy-check format schema clean bench-executor bench-roster bench-admin bench-api

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make install      the virtual environment in .venv
install: $(INSTALLED)

$(INSTALLED): requirements-dev.txt
	@mkdir -p $(TMPDIR)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Runway needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# uv resolves for every platform and Python at once, and notes the hashes of all their files.
PINNED := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate \
  --custom-compile-command "make requirements"

## make requirements  requirements*.txt anew from requirements*.in, with hashes  (ARGS=--upgrade: newest)
requirements: $(INSTALLED)
	$(PINNED) $(ARGS) requirements.in -o requirements.txt
	$(PINNED) $(ARGS) requirements-executor.in -c requirements.txt -o requirements-executor.txt
	$(PINNED) $(ARGS) requirements-dev.in -c requirements.txt -c requirements-executor.txt -o requirements-dev.txt

## make demo         everything on this machine, a job before your eyes, then an admin to look at
demo: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	@$(BIN)/python -m runway.demo $(ARGS)

# Four processes on two cores: much of the time is spent waiting for faults.
TEST := $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

## make test         all tests
test: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(TEST) $(ARGS)

## make test-fast    all but those that start servers or earthmover
test-fast: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(TEST) -m "not slow" $(ARGS)

## make check        lint, format, types, migrations, deployment settings: what CI runs beside tests
check: lint types migrations deploy-check

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile Dockerfile.executor

# The type checker loads the settings; they need a database's name, not the database.
types: $(INSTALLED)
	RUNWAY_ENV=development DATABASE_URL=postgres:///unused $(BIN)/mypy .

migrations: $(INSTALLED)
	RUNWAY_ENV=development $(BIN)/python manage.py makemigrations --check --dry-run

# Production's settings, with throw-away values for what has no default.
deploy-check: $(INSTALLED)
	@key() { $(BIN)/python -c "import $$1; print($$2)"; }; \
	env -u RUNWAY_ENV \
	  SECRET_KEY=$$(key secrets 'secrets.token_urlsafe(50)') \
	  EXECUTOR_JWT_KEY=$$(key secrets 'secrets.token_urlsafe(50)') \
	  ENCRYPTION_KEYS=$$(key cryptography.fernet 'cryptography.fernet.Fernet.generate_key().decode()') \
	  DATABASE_URL=postgres:///unused ALLOWED_HOSTS=runway.example.org \
	  BEHIND_TLS_PROXY=true APP_URL=https://runway.example.org FILES_BASE=file:///srv/runway ENVLABEL=prod AWS_REGION=us-east-1 \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING

## make bench-executor   our executor against stock tools  (ARGS=--big-stock: the long cases too)
bench-executor: $(INSTALLED)
	$(BIN)/python -m benchmarks.executor $(ARGS)

## make bench-roster     the roster stream: speed, memory, callbacks beside it, the pool
bench-roster: $(INSTALLED)
	$(BIN)/python -m benchmarks.roster $(ARGS)

## make bench-api        the external API's lists with 10,000 and with a million output sets
bench-api: $(INSTALLED)
	$(BIN)/python -m benchmarks.api $(ARGS)

## make schema       describe the external API in docs/openapi.yaml, after a change of it
schema: $(INSTALLED)
	RUNWAY_ENV=development DATABASE_URL=postgres:///unused $(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

## make bench-admin      the admin's pages with 100,000 jobs  (ARGS=--keep: keep the database)
bench-admin: $(INSTALLED)
	@mkdir -p $(TMPDIR)
	$(BIN)/python -m benchmarks.admin $(ARGS)

## make format       format the code
format: $(INSTALLED)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

## make clean        remove what tests and demos left in var/
clean:
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis
