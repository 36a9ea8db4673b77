# One command per intent; each does all its own set-up.
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
PY := .venv/bin/python
MEMBERS := contracts chassis services/registry services/eligibility services/distribution services/notifications deploy/local demo cli
KEEP ?=
SEEDS ?= 1 2 3 4 5 6
KILLS ?= 50

.PHONY: help setup demo up test lint format bench bench-peers chaos chaos-overload lock schemas

help:
	@echo 'make demo      a sample district through the whole system, checked against the oracle (KEEP=1 leaves it running)'
	@echo 'make up        the whole system on this machine, until interrupted'
	@echo 'make test      lint, types and every test'
	@echo 'make lint      ruff, strict types, import rules'
	@echo 'make bench     payouts a second, beside a handler called once per record'
	@echo 'make bench-peers  the same beside Quix Streams, Kafka Streams and Flink SQL'
	@echo 'make chaos     faults at random under load, judged by the oracle; then the defects the suite must notice (1 h)'
	@echo 'make chaos-overload  5 million records behind, a poison agency, a full disk, a database down for five minutes'
	@echo 'make schemas   regenerate the JSON Schemas and the AsyncAPI document'
	@echo 'make lock      resolve requirements.lock anew'

setup: .venv/.ready

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/.ready: requirements.lock pyproject.toml $(MEMBERS:=/pyproject.toml) | $(filter .tools/bin/uv,$(UV))
	test -x $(PY) || $(UV) venv --quiet --python python3 .venv
	$(UV) pip sync --quiet --python $(PY) --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation $(addprefix -e ./,$(MEMBERS))
	touch $@

demo: setup
	.venv/bin/tepat demo $(if $(KEEP),--keep)

up: setup
	.venv/bin/tepat up

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

test: lint
	.venv/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder

bench: setup
	$(PY) -m bench

bench-peers: setup
	$(PY) -m bench.peers

chaos: setup
	$(PY) -m tests.chaos $(SEEDS:%=--seed %) --kills $(KILLS) --result tests/chaos/result.json
	.venv/bin/pytest -m chaos

chaos-overload: setup
	$(PY) -m tests.chaos.overload --result tests/chaos/overload.json

schemas: setup
	$(PY) -m tepat_contracts.schemas

lock: | $(filter .tools/bin/uv,$(UV))
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  $(foreach m,$(MEMBERS),--no-emit-package $(shell sed -n 's/^name = "\(.*\)"/\1/p' $(m)/pyproject.toml)) \
	  --group dev pyproject.toml $(MEMBERS:=/pyproject.toml) -o requirements.lock
	for at in peers/quix peers/flink linkage/splink; do $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header bench/$$at/requirements.in -o bench/$$at/requirements.lock; done
