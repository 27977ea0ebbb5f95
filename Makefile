# `make demo` and `make test` each set up all they need. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
THREADS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$(( n > 3 ? n / 2 : 1 )))
# What `make coverage` runs: the tests that run the product within their own process, some over a real Redis.
IN_PROCESS := admission api_keys batch_store deep_queue fairness feed foreign_messages gathered head image_records \
	job_machine job_store key_order progress quotas reaper redis_url replicated subjects usage webhook_secrets
COVERING := $(addprefix tests/unit/,client p2p service worker) tests/integration/outbox \
	$(IN_PROCESS:%=tests/integration/test_%.py)
FONT := .font/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf

# What Python compiles is kept: else each of the thousand processes that tests start compiles our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve test compose-test coverage check openapi clients font train
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(READY) ## run two edit jobs through the whole stack, one of a photo; pictures, maps and sheets land in demo/
	$(BIN)/python -m stack.demo

serve: $(READY) ## the same stack, kept running until Ctrl-C
	$(BIN)/python -m stack

# Four files at a time: tests of whole stacks wait for their processes half of the time. And half of the cores for each
# one's torch: threads that wait for a core hold up all others of their process, on two cores many times over.
test: $(READY) font ## all tests
	OMP_NUM_THREADS=$(THREADS) OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Not among all tests: it builds images, and needs Docker, or root on Debian for podman in its place.
compose-test: $(READY) ## build the images and run docker-compose.yml for real; kills, restarts, loses nothing
	$(BIN)/python -m pytest -x -rs -p no:cacheprovider tests/compose/for_real.py

coverage: $(READY) font ## which lines of the product the unit tests run; fails below the floor in pyproject.toml
	OMP_NUM_THREADS=$(THREADS) OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m coverage run -m pytest -q $(COVERING)
	$(BIN)/python -m coverage report

check: $(READY) ## format, lint, types, plain language, and known vulnerabilities of the pins
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tools.plain_language
	$(BIN)/python -m tools.audit

openapi: $(READY) ## write openapi.yaml from the app
	$(BIN)/python -m service.openapi

clients: openapi ## write the TypeScript client's types from openapi.yaml
	cd clients/typescript && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --silent
	cd clients/typescript && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent generate

train: $(READY) font ## train the built-in model, or go on training it; runs/scenes holds the checkpoints
	$(BIN)/python -m scenes.train

# Drawing scenes needs an emoji font; serving and the demo do not. Where apt is at hand it is unpacked here, without
# root; elsewhere SCENES_FONT names the file, and tests that draw skip by name.
font: $(READY)
	@$(BIN)/python -m scenes.font --unpack

$(READY): $(wildcard requirements/*.txt)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.13 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned packages into $(VENV) (once)"
	@$(BIN)/python -m stack.install
	@touch $@
