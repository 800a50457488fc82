# Everything a newcomer needs is a target here. `make help` lists them.
# A Python other than the one found first: make PYTHON=/path/to/python3.12 …
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo demo-check up test test-fast lint bench-gateway env env-model lock clean
export PYTHON
# Else each process of a test run compiles every module anew, and rewrites every test's assertions.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
MODEL_BIN := .venv-model/bin
# What imports torch or the index runs in the second environment: folders named model, and marked files of the strands.
# A marked test of the gateway starts that environment's programs, and runs in the first one.
MODEL_FOLDERS := $(shell find tests -type d -name model 2>/dev/null)
MODEL_FILES := $(filter-out $(MODEL_FOLDERS:%=%/%),$(shell grep -rl --include='test_*.py' 'pytest\.mark\.model' \
	tests/contract tests/prompts tests/retrieval tests/training 2>/dev/null))
MODEL_TESTS := $(MODEL_FOLDERS) $(MODEL_FILES)
# The demo is one file, and takes longer than all others of the end-to-end tests. These run beside it, none of which trains or
# has a model: a training beside the demo's runs out of time.
BESIDE_DEMO := $(addprefix tests/,deploy/environments/test_locks.py deploy/environments/test_setup.py gateway/cli/test_up.py)
# The others that bear a mark. To import all of the suite in each worker, for a hundred tests of it, takes longer than many of them.
PROCESS_TESTS := $(filter-out tests/e2e/% $(BESIDE_DEMO) $(MODEL_FOLDERS:%=%/%) $(MODEL_FILES),$(shell grep -rlE \
	--include='test_*.py' 'pytest\.mark\.(e2e|model)' tests 2>/dev/null))
PYTEST := -m pytest --durations=15
# Tests wait for sockets and clocks, so two of them keep a core busy.
PARALLEL := -n $(shell n=$$(nproc); echo $$((n < 8 ? 2 * n : n))) --dist worksteal
# Tests with models keep most of a core busy each. Those with whole processes wait for what was killed half of the time.
PAIRS := -n 2 --dist worksteal
FOURS := -n 4 --dist worksteal
# An engine that starts keeps one core busy at most. Each file has one of its own; those of most tests, the demo's, begin first.
FILES := -n 2 --dist loadfile
# Tests run beside each other, and numpy's threads would wait in loops for cores that others compute on.
test test-fast: export OPENBLAS_NUM_THREADS := 1
# torch's threads turn in circles while they wait for each other, on the core that the other worker needs. Our programs say
# so themselves before they import it (`OMP_WAIT_POLICY`); a test's module has imported it already.
SLEEPING := GOMP_SPINCOUNT=0
FAST := $(PYTEST) $(PARALLEL) -m 'not e2e and not model' $(MODEL_TESTS:%=--ignore=%)

# The long ones first: each keeps a core busy.
CHECKS := types-tests types types-model types-tests-model imports spelling style format
CHECK_types := $(BIN)/pyright --pythonpath $(BIN)/python
CHECK_types-tests := $(BIN)/pyright --pythonpath $(BIN)/python -p pyright.tests.json
CHECK_types-model := $(BIN)/pyright --pythonpath $(MODEL_BIN)/python training retrieval
CHECK_types-tests-model := $(BIN)/pyright --pythonpath $(MODEL_BIN)/python -p pyright.tests-model.json
CHECK_imports := $(BIN)/lint-imports
CHECK_spelling := $(BIN)/codespell
CHECK_style := $(BIN)/ruff check .
CHECK_format := $(BIN)/ruff format --check .

COVERED := -p tests.branch_coverage
# Percent of lines and branches together, as coverage tools count with branches; and of the branches alone.
LEAST_COVERAGE := 92
LEAST_BRANCHES := 90

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: env env-model ## Two tenants end to end on a real engine, with a report (KEEP=1 leaves everything running)
	@$(BIN)/braid demo $(if $(filter-out 0,$(KEEP)),--keep)

demo-check: env env-model ## Before a release: the whole demo (CI runs the small one), and every trait of chat templates served
	@$(BIN)/python $(PYTEST) -m release tests/e2e

up: env env-model ## Start Braid on this machine
	@$(BIN)/braid up

test: lint ## Environments, lint, and the whole suite with its branch coverage
	@echo "== tests without models"
	@rm -f .coverage.*.json
	@$(BIN)/python $(FAST) $(COVERED)
	@echo "== tests of training and retrieval with models"
	@$(SLEEPING) $(MODEL_BIN)/python $(PYTEST) $(PAIRS) $(MODEL_TESTS) $(COVERED)
	@echo "== branch coverage of the four packages, before the end-to-end tests"
	@$(BIN)/python -m slipcover --merge .coverage.*.json --out .coverage.json --skip-covered --fail-under $(LEAST_COVERAGE)
	@$(BIN)/python -m tests.branch_gate .coverage.json $(LEAST_BRANCHES)
	@echo "== whole processes, which are killed"
	@$(BIN)/python $(PYTEST) $(FOURS) -m '(e2e or model) and not release' $(PROCESS_TESTS)
	@echo "== end to end, on a real engine"
	@$(BIN)/python $(PYTEST) $(FILES) -m '(e2e or model) and not release' tests/e2e $(BESIDE_DEMO)

test-fast: env ## The tests that need neither a model nor whole processes
	@$(BIN)/python $(FAST)

lint: env env-model ## ruff, spelling, pyright strict on both environments' code, import directions
	@echo "== lint"
	@$(MAKE) --no-print-directory --jobs=2 $(CHECKS)

.PHONY: $(CHECKS)
$(CHECKS):
	@$(CHECK_$@)

bench-gateway: env ## What the gateway adds to a request, beside floors and peers (BENCH="--against ../other")
	@$(BIN)/python -m tests.bench.gateway $(BENCH)
	@if [ -n "$(BENCH_HOME)" ]; then $(BIN)/python -m tests.bench.outside; fi

env: ## The gateway's environment (.venv), from its list in deploy/locks
	@deploy/environments/run.sh gateway

env-model: ## The environment of engine, training and retriever (.venv-model)
	@deploy/environments/run.sh model

lock: env ## Write the lists in deploy/locks anew, after a change of dependencies
	@deploy/environments/run.sh lock

clean: ## Remove caches and built files (environments and .braid stay)
	@rm -rf build dist .pytest_cache .ruff_cache .import_linter_cache .coverage.json .coverage.*.json
	@find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +
