.PHONY: client

# The typed Python client and docs/errors.md, from the catalogue of sql/.
client:
	.venv/bin/python -m classbase.generator
