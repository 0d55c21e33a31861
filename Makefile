.DEFAULT_GOAL := help
.PHONY: help setup run down client migration squash permissions check test bench

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# Done again only when what it read has changed. Node leaves no stamp where it is missing, so that it is asked for
# again once it is there.
.venv/.setup: pyproject.toml scripts/setup_python
	@scripts/setup_python
	@touch $@

node_modules/.setup: package.json package-lock.json scripts/setup_node
	@scripts/setup_node

setup: .venv/.setup node_modules/.setup ## .venv and node_modules, from nothing

run: setup ## a local backend with sample data, from nothing
	@.venv/bin/classbase up --sample
	@echo
	@echo "Next:  .venv/bin/classbase --help     what else it can do"
	@echo "       .venv/bin/classbase status     these addresses again"
	@echo "       .venv/bin/classbase down       stop it; the data stays"

down: ## stop the local backend
	@.venv/bin/classbase down

client: .venv/.setup ## the typed Python client and docs/errors.md, from the catalogue of sql/
	.venv/bin/python -m classbase.generator

migration: setup ## a migration with what sql/ changed: make migration name=add_x
	@test -n "$(name)" || { echo "Say what it does: make migration name=add_waiting_lists" >&2; exit 2; }
	.venv/bin/classbase migration new $(name)

squash: .venv/.setup ## all migrations folded into one that is sql/ (until 1.0)
	.venv/bin/classbase migration squash

permissions: setup ## who may do what, measured and written to tests/permissions/expected for review
	.venv/bin/python -m tests.permissions.write

check: setup ## format, lint, types, imports, drift, and what Supabase's advisors say
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/mypy tests/conftest.py tests/support tests/database tests/guards tests/permissions tests/supabase tests/frontends bench
	.venv/bin/lint-imports
	.venv/bin/classbase migration check
	.venv/bin/python -m classbase.generator --check
	.venv/bin/pytest -q tests/supabase/test_advisors.py

# One more than two cores: some tests wait for clocks and other processes.
workers ?= 3

test: setup ## every test this machine can run; says what was left out and why
	.venv/bin/pytest -n $(workers) --dist worksteal $(pytest)

bench: setup ## what things cost, as ratios measured side by side: make bench name=ledger
	@.venv/bin/python -m bench $(name)
