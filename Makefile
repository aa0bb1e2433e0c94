# The verbs of this repository; `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# For a smaller download where no accelerator is wanted, for example:
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_FLAGS ?=
WEB := apps/web
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(PIP_FLAGS) -c constraints.txt

.PHONY: help demo test slow lint docs study targets bundle web npm tools clean
.DEFAULT_GOAL := help

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# One stamp per set of extras: pip runs again only when what it installs has changed.
$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[export]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev]'
	@touch $@

# What the web shell runs on, fetched again only when the lock file has changed.
$(WEB)/node_modules/.installed: $(WEB)/package-lock.json | npm
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# What pip cannot bring: any of the commands $(1), which Debian's package $(2) has.
define have
@for one in $(1); do command -v $$one >/dev/null && exit 0; done; \
{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qq -y $(2) >/dev/null; } || \
{ echo "apps/ needs $(firstword $(1)): install it (Debian: apt-get install $(2))"; exit 1; }
endef

npm:
	$(call have,npm,npm)

tools: npm
	$(call have,chromium chromium-browser google-chrome,chromium)
	$(call have,javac,openjdk-17-jdk-headless)

demo: $(VENV)/.demo ## Set up, distil a student, search with it, export it (offline after set-up)
	$(BIN)/leanclip demo

test: $(VENV)/.dev lint tools $(WEB)/node_modules/.installed ## Set up what tests need and run them all
	$(BIN)/python -m pytest -n 2 --dist loadfile

slow: $(VENV)/.dev ## Convert every tower that we vouch for to every format, at full size (half an hour)
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev ## Style, types of the search product, and which way imports may run
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev ## Build the site strictly into build/site; open its index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

study: $(VENV)/.dev ## Train and compare what every method is worth, on Flickr8k; resumable
	$(BIN)/python data/benchmarks/study/run.py --out runs/study

# Such as TARGETS="--checkpoint CHECKPOINT --data PAIRS"; without it, the teacher on sample photos.
TARGETS ?=
targets: $(VENV)/.dev tools $(WEB)/node_modules/.installed ## Measure every tower in every format against CLIP; resumable
	node $(WEB)/assemble.mjs build/web
	$(BIN)/python data/benchmarks/targets/run.py $(TARGETS)

# All formats for a release. What data/default carries, and so the package:
#   make bundle BUNDLE=data/default FORMATS=onnx IMAGE=mixed TEXT=int8
# The smaller model: make bundle CHECKPOINT=data/compact CARD=data/cards/leanclip-flickr8k-compact.md
CHECKPOINT ?= data/student
CARD ?= data/cards/leanclip-flickr8k.md
FORMATS ?= onnx,coreml,litert,executorch
IMAGE ?= fp16,int8,int8-static
TEXT ?= fp16,int8
BUNDLE ?= build/default
DEV ?= data/downloads/flickr8k/dev.jsonl
PHOTOS ?= data/downloads/photos
TERMS := --licence 'non-commercial research and education; see README.md' \
	--data 'Flickr8k train' --data 'Flickr30k train captions' --data 'COCO val2017 captions' \
	--data '2,600 unlabelled photos of ADE20K, COCO, ImageNet' \
	--data 'leanclip scenes and sentences (CC0)' --data 'MobileNet ImageNet weights (Apache-2.0)'
bundle: $(VENV)/.dev ## Export CHECKPOINT to every format, verify it on DEV, mark what to open
	@test -f $(DEV) || { echo "there is no $(DEV): name captioned photos with DEV=PAIRS.jsonl"; exit 1; }
	$(BIN)/leanclip export $(CHECKPOINT) $(BUNDLE) --to $(FORMATS) --calibrate $(PHOTOS) \
		--image-precision $(IMAGE) --text-precision $(TEXT) \
		--card $(CARD) $(TERMS)
	$(BIN)/leanclip verify $(BUNDLE) --data $(DEV) --checkpoint $(CHECKPOINT) --recommend

release: $(VENV)/.dev ## Build sdist and wheel, check them, try the wheel on each supported Python
	$(BIN)/python data/release/release.py

web: $(WEB)/node_modules/.installed ## Serve the web shell on this machine: search photos in a browser
	node $(WEB)/assemble.mjs build/web
	$(PYTHON) $(WEB)/serve.py build/web

clean: ## Remove the environment and everything that runs have made
	rm -rf $(VENV) runs build dist $(WEB)/node_modules
