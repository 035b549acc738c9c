# Commands of this repository; `make` alone lists them.
#
#   PYTHON=/path/to/python3.11   the Python to make .venv with
#   TORCH_INDEX=URL              where torch comes from, for its CPU build or another CUDA
#   ARGS="--quick"               handed on by `make demo`, `make serve`, `make bench-step`,
#                                `make bench-rollouts`, `make bench-evaluation`, `make bench-traces`,
#                                `make bench-memory`, `make bench-growth`, `make bench-estimates`,
#                                `make bench-pages`,
#                                `make bench-upload`, `make soak`, `make auto-context`, `make four-bit`

PY := .venv/bin/python

# OpenMP threads that wait must soon sleep: spinning made two torch threads on two busy cores ten times
# slower. glibc must keep freed memory: giving it back at each step cost half the CPU time.
TEST_ENVIRONMENT := OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=1000 \
	MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_MMAP_THRESHOLD_=4294967296
# A bench has the machine to itself: there threads may wait awake for 100 microseconds. Large pages as
# workers have them.
BENCH_ENVIRONMENT := $(TEST_ENVIRONMENT) GOMP_SPINCOUNT=10000 GLIBC_TUNABLES=glibc.malloc.hugetlb=1
RESULTS := build/bench

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo serve test bench bench-engine bench-step bench-steps bench-rollouts bench-evaluation bench-traces bench-memory bench-growth bench-estimates bench-pages bench-upload soak auto-context four-bit test-long check clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile

setup: ## make .venv and install the lab into it
	@sh scripts/setup.sh

setup-dev:
	@sh scripts/setup.sh dev

demo: setup ## set up, then train and compare three runs: see README
	@.venv/bin/sdlab demo $(ARGS)

serve: setup ## set up, then open the lab in the browser
	@.venv/bin/sdlab serve $(ARGS)

test: setup-dev ## set up, then lint, types and all tests; a skipped test fails it
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(TEST_ENVIRONMENT) PYTEST_ADDOPTS= $(PY) -m pytest -p tests.no_skips

bench: bench-engine bench-estimates bench-pages bench-upload ## set up, then all measurements (make -k: also after a missed target)

bench-engine: setup-dev ## the engine's targets in one table, against TRL, generate and lm-eval: an hour
	@rm -rf $(RESULTS); mkdir -p $(RESULTS)
	@for name in steps rollouts evaluation traces memory growth; do $(MAKE) --no-print-directory bench-$$name; done; \
	  $(TEST_ENVIRONMENT) $(PY) -m pytest tests/training/test_families.py --junitxml=$(RESULTS)/greedy.xml; \
	  $(PY) -m bench.table $(RESULTS)

bench-step: setup-dev ## one training step against TRL's on the same work: ARGS="--prompts 32"
	$(BENCH_ENVIRONMENT) $(PY) -m bench.step $(ARGS)

bench-steps: setup-dev ## steps of three shapes against TRL's: half an hour
	@missed=0; for work in "--prompts 8" "--prompts 32" \
	  "--new-tokens 64 --per-prompt 4 --system-tokens 300 --trl-rows 8"; do \
	  $(BENCH_ENVIRONMENT) $(PY) -m bench.step $$work --into $(RESULTS) || missed=1; done; exit $$missed

bench-rollouts: setup-dev ## rollouts against transformers' generate, with and without drafts
	$(BENCH_ENVIRONMENT) $(PY) -m bench.rollouts --json $(RESULTS)/rollouts.json $(ARGS)

bench-evaluation: setup-dev ## 1,000 short items against lm-eval's own HF backend: ARGS="--items 200"
	$(BENCH_ENVIRONMENT) $(PY) -m bench.evaluation --json $(RESULTS)/evaluation.json $(ARGS)

bench-traces: setup-dev ## training steps with and without recorded traces
	$(BENCH_ENVIRONMENT) $(PY) -m bench.traces --json $(RESULTS)/traces.json $(ARGS)

bench-memory: setup-dev ## peak memory of one step against TRL's
	$(BENCH_ENVIRONMENT) $(PY) -m bench.memory --json $(RESULTS)/memory.json $(ARGS)

bench-growth: setup-dev ## how a step's time and memory grow with tokens and vocabulary
	$(BENCH_ENVIRONMENT) $(PY) -m bench.growth --json $(RESULTS)/growth.json $(ARGS)

bench-estimates: setup-dev ## the memory that launch says against what five runs take
	$(PY) -m bench.estimates $(ARGS)

bench-pages: setup-dev ## how fast the pages are, in a browser
	$(PY) -m bench.pages $(ARGS)

bench-upload: setup-dev ## how fast files come in, and in how much memory: ARGS="--gb 1"
	$(PY) -m bench.upload $(ARGS)

soak: setup-dev ## hundreds of tiny runs, with kills at random: ARGS="--minutes 4 --seed 1"
	PYTHONPATH=.:tests/jobs $(PY) tests/jobs/soak.py $(ARGS)

auto-context: setup-dev ## which form auto picks with the bundled model: ARGS="--rows 12"
	PYTHONPATH=. $(PY) tests/integration/auto_context.py $(ARGS)

four-bit: setup-dev ## a step on a base in 4 bits, on the CPU, after: .venv/bin/python -m pip install ".[4bit]"
	PYTHONPATH=. $(PY) tests/integration/four_bit.py $(ARGS)

test-long: setup-dev ## what takes minutes: every preset on the real model, killed sequences, several devices, large tasks in a browser
	$(TEST_ENVIRONMENT) PYTEST_ADDOPTS= $(PY) -m pytest -p tests.no_skips tests/long tests/e2e/long

check: ## known vulnerabilities of what is pinned, and all licences
	@sh scripts/setup.sh check
	$(PY) scripts/audit.py
	$(PY) -m piplicenses --from=mixed --order=license

.DEFAULT:
	@echo 'sdlab: there is no command "$@"; make alone lists them all' >&2; exit 2

clean: ## remove .venv and caches; runs and models under SDLAB_HOME stay
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find app backend bench sdlab storage tests -name __pycache__ -type d -exec rm -rf {} +
