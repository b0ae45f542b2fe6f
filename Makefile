# What a person calls and what CI calls are the same scripts. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help install demo test check bench faults fuzz docs services house test-airflow clean

help: ## list the targets
	@grep -hE '^[a-z-]+(-%)?:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

install: ## make the environment .venv
	@scripts/install

demo: ## set everything up and run the main job on real data
	@scripts/demo

test: ## set everything up and run all tests
	@scripts/test

check: ## ruff, mypy --strict and the layers of each library
	@scripts/check

bench: ## measure every figure that the docs state
	@scripts/bench

bench-%: ## the same for one library, such as bench-veda
	@scripts/bench $*

faults: ## break things on purpose and count what is lost
	@scripts/faults

fuzz: ## feed the reader of packages with broken files for half an hour
	@scripts/fuzz

docs: ## build the documentation
	@scripts/docs

services: ## start real servers on loopback ports
	@scripts/services

house: ## lay scripts/house into each library
	@scripts/lay-house

test-airflow: ## run the example flows in a real Airflow 3.3 and 2.11, each in its own environment
	@scripts/test-airflow

clean: ## remove all that make makes
	rm -rf .venv .venv-* .tools .cache demo-out dist build docs/_build
	find . -name __pycache__ -o -name '.*_cache' -o -name .hypothesis | xargs rm -rf
