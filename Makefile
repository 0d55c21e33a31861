.DEFAULT_GOAL := help
.PHONY: help setup run down client

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
