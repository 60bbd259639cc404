# What a user or a contributor runs. Every target makes the environment that it needs; Python 3.11+ and make are enough.

comma := ,

PYTHON ?= python3
RUN ?= runs/demo

# A plugin that brings a heavy library of its own goes into HEAVY: `make demo` leaves it out, `make env` does not.
PLUGIN_DIRS := $(wildcard plugins/kptk-*)
HEAVY := plugins/kptk-keras-cv plugins/kptk-keras-nlp
LIGHT_PARTS := $(foreach dir,$(filter-out $(HEAVY),$(PLUGIN_DIRS)),-e $(dir))
DEMO_PARTS := -e .[tensorflow] $(LIGHT_PARTS)
ALL_PARTS := $(DEMO_PARTS) $(foreach dir,$(HEAVY),-e $(dir))
# An environment is made anew, or completed, when one of these is newer.
SOURCES := constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)

# Constraints hold for build environments too.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Building and tracing graphs keeps one core busy, so tests run in a process a core, with one computing thread each.
WORKERS ?= 2
PYTEST := -m pytest -n $(WORKERS) --dist loadscope
# What was seen to pass on JAX and PyTorch; `make test-jax BACKEND_TESTS=plugins` tries every plugin.
BACKEND_TESTS ?= tests plugins/kptk-contrastive plugins/kptk-vision/tests/test_image_views.py plugins/kptk-vision/tests/test_backbones.py
# PyTorch is quick enough for more plugins; those that are missing have tests that give formulas arrays of NumPy.
TORCH_PLUGINS := autoencoder finetune image-text language momentum position recurrent simultaneous tables text text-tasks
TORCH_TESTS ?= $(BACKEND_TESTS) $(foreach name,$(TORCH_PLUGINS),plugins/kptk-$(name))
# Trackers that the tests try; the others' tests are skipped: make test TRACKERS=tensorboard,mlflow,wandb
TRACKERS ?= tensorboard
ONE_THREAD := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

.PHONY: help demo env all test test-jax test-torch check lint types docs wheel-check clean

help:  ## Show what there is.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

define new_env
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kptk needs Python 3.11 or newer: make PYTHON=python3.12 $@" >&2; exit 2; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet $(2)
	@touch $@
endef

.venv/.demo: $(SOURCES)
	$(call new_env,.venv,$(DEMO_PARTS))

.venv/.all: $(SOURCES)
	$(call new_env,.venv,$(ALL_PARTS))

.envs/test/.done: $(SOURCES)
	$(call new_env,.envs/test,$(ALL_PARTS) -e .[test$(comma)dev$(comma)onnx] -e plugins/kptk-trackers[$(TRACKERS)])

.envs/jax/.done: $(SOURCES)
	$(call new_env,.envs/jax,-e .[jax$(comma)test] $(LIGHT_PARTS))

.envs/torch/.done: $(SOURCES)
	$(call new_env,.envs/torch,-e .[torch$(comma)test] $(LIGHT_PARTS))



demo: .venv/.demo  ## Pre-train on the bundled digits, judge the result, show where the report is.
	@rm -rf $(RUN)
	.venv/bin/kptk train --plugin contrastive --out $(RUN)
	.venv/bin/kptk evaluate $(RUN) --data mnist10k

env: .venv/.all  ## The core and every first-party plugin in .venv, and nothing else.
	@.venv/bin/kptk plugins list

all: env  ## The same as env.

test: .envs/test/.done  ## The whole test suite.
	$(ONE_THREAD) .envs/test/bin/python $(PYTEST)

test-jax: .envs/jax/.done  ## Objective and saving tests on JAX.
	KERAS_BACKEND=jax $(ONE_THREAD) .envs/jax/bin/python $(PYTEST) -m backends $(BACKEND_TESTS)

test-torch: .envs/torch/.done  ## Objective and saving tests on PyTorch.
	KERAS_BACKEND=torch $(ONE_THREAD) .envs/torch/bin/python $(PYTEST) -m backends $(TORCH_TESTS)

lint: .envs/test/.done  ## Format, lint and import contracts.
	.envs/test/bin/ruff format --check .
	.envs/test/bin/ruff check .
	.envs/test/bin/lint-imports

types: .envs/test/.done  ## Types of the core and the plugins.
	.envs/test/bin/mypy kptk $(foreach dir,$(PLUGIN_DIRS),$(wildcard $(dir)/kptk_*))

docs: .envs/test/.done  ## Docs against the code: links, commands, options, examples.
	.envs/test/bin/python -m pytest tests/test_docs.py

wheel-check: .envs/test/.done  ## Wheels of the core and two plugins install and train in an empty environment.
	bash .ci/wheel-check.sh

check: lint types test  ## What a change must pass.

clean:  ## Remove every environment and run.
	rm -rf .venv .envs runs build dist
