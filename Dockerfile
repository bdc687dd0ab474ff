# One image for the web process and the worker.
#   docker run IMAGE                                       the web process, on port 8000
#   docker run IMAGE python manage.py worker               launches runs (EXECUTOR_LAUNCHER=ecs)
# Settings come from the environment; see .env.example. The image contains no secrets.
# Pinned by digest. The newest one: docker buildx imagetools inspect python:3.11-slim-bookworm
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 \
    BIND=0.0.0.0:8000

# `manage.py sync_bundles` reads the bundle repository with git.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 runway

WORKDIR /srv/runway
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY manage.py gunicorn.conf.py ./
COPY runway runway
COPY partners partners
COPY edu edu
COPY access access
COPY earthbeam earthbeam
COPY templates templates
RUN rm -rf runway/sandbox runway/demo

USER 10001
EXPOSE 8000
CMD ["gunicorn", "runway.wsgi"]
