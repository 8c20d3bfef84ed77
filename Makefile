# Each target sets up what it needs first: see scripts/setup.
.DEFAULT_GOAL := help
.PHONY: help run test check bench kernels install clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: ## trace a small real workload and print what it did (as root or with sudo)
	@scripts/setup run
	@scripts/run

test: ## run all tests; those that need the kernel run as root or with sudo
	@scripts/setup dev
	@scripts/test

check: ## ruff, ruff format and mypy
	@scripts/setup dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy bench examples/slow_files.py

bench: ## measure the cost of tracing against an empty probe and bpftrace (as root)
	@scripts/setup bench
	@scripts/with-privileges .venv/bin/python -m bench.run

kernels: ## run the core of the tests on Debian's kernels 6.1 and 6.12 in qemu; 5.10 is refused
	@scripts/setup kernels
	.venv/bin/python scripts/kernels.py

screenshots: ## draw the tabs of the live view anew, for the documentation
	@scripts/setup dev
	.venv/bin/python scripts/screenshots.py docs/screens

install: ## link ior into /usr/local/bin, where sudo finds it
	@scripts/setup run
	@scripts/with-privileges ln -sfn "$(CURDIR)/.venv/bin/ior" /usr/local/bin/ior
	@echo "/usr/local/bin/ior -> $(CURDIR)/.venv/bin/ior"

clean: ## remove .venv and everything that was built
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis ior/data/*.bpf.o
