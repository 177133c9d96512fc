# Two commands do everything: `make demo` and `make test`. The rest are their parts.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv/bin
export RUSTFLAGS ?=

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## build everything and serve the dashboard at http://localhost:8000 (PORT= changes it)
	@tools/demo.sh

test: test-tools test-rust test-fuzz test-ts test-python test-cross test-wire test-e2e test-chaos ## every test; installs what it needs

dist: ## dist/*.whl and dist/wse-client-*.tgz
	@tools/dist.sh

shape: ## lengths of functions and files, and the limits they keep
	@python3 tools/shape.py

vectors: ## write the vectors that Python's json, msgpack and zlib give
	@[ -x .work/vectors/bin/python ] || python3 -m venv .work/vectors
	@.work/vectors/bin/pip install -q --disable-pip-version-check -r tools/vector_cases/requirements.txt
	@.work/vectors/bin/python tools/vectors.py

gen: ## write the defaults and codes of vectors/ out for the three languages, and the filter vectors
	@python3 tools/gen.py
	@python3 tools/filter_vectors.py

conformance: ## the Autobahn testsuite against the engine's frame layer (needs a Python 2.7)
	@python3 tests/conformance/run.py

SEEDS ?= 50
FROM ?= 1
chaos: dist ## networks that fail and workers that are killed, by seeds (SEEDS= and FROM= change the run)
	@tests/chaos/run.sh $(SEEDS) $(FROM)

chaos-mutations: dist ## mistakes put into a copy of the sources, each of which the tests of faults have to find
	@tests/chaos/mutations.sh

fuzz-mutations: ## mistakes put into a copy of the core, each of which fuzzing and the core's tests have to find
	@node fuzz/mutations/run.mjs

stages: dist ## the call of each stage deleted in a copy, and the tests that must fail then (OF=engine or OF=client: half of them)
	@tests/stages/run.sh $(if $(OF),--of $(OF))

MINUTES ?= 1
fuzz: ## each fuzz target for a minute (MINUTES= changes it; needs nightly Rust and `cargo install cargo-fuzz`)
	@python3 fuzz/seeds.py
	@for target in fuzz/kept/*; do mkdir -p fuzz/corpus/$${target##*/} && cp $$target/* fuzz/corpus/$${target##*/}; done
	@for target in $$(cargo +nightly fuzz list); do cargo +nightly fuzz run $$target -- -max_total_time=$$((60 * $(MINUTES))) || exit 1; done

bench: dist ## measure: the short form, under five minutes; the machine should do nothing else
	@tools/bench.sh short

bench-full: dist ## measure: the form that docs/BENCHMARKS.md is written from, under 30 minutes on two quiet cores
	@tools/bench.sh full

test-tools:
	@tools/setup.sh rust && tools/setup.sh node && tools/setup.sh python
	@tools/setup.sh apt redis-server chromium
	python3 tools/gen.py --check
	python3 tools/filter_vectors.py --check
	python3 tools/shape.py
	$(VENV)/python -m unittest discover -s tests/tools

test-rust: test-tools ## lints, unit, property, conformance-of-buses and documentation tests
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

SECONDS_EACH ?= 10
test-fuzz: test-tools ## each fuzz target for a moment from its kept corpus, by stable Rust (SECONDS_EACH= changes it)
	@fuzz/run.sh $(SECONDS_EACH)

test-ts: test-tools ## lint, types, unit tests under React 18 and 19, the package
	cd wse-client-ts && npm ci --no-progress && npm run check

test-python: dist ## lint, types, and the suite over uvicorn, hypercorn and granian, from the built wheel
	@tools/python-tests.sh

test-cross: dist ## random messages of every kind from Rust to Python and Node and back (COUNT= of each and SEED= change the run)
	@tests/cross/run.sh

test-wire: dist ## the protocol over real sockets, on four servers
	cargo build --workspace --bins --tests --locked --quiet # as the tests were built, so that nothing is built twice
	@tools/wire-tests.sh

test-e2e: dist ## the built client in Node and in headless Chromium, the dashboard and the README there
	@tests/e2e/run.sh

test-chaos: dist ## 50 seeds of what `make chaos` runs more of
	@tests/chaos/run.sh 50 1

.PHONY: help demo test dist shape vectors gen conformance fuzz fuzz-mutations stages chaos chaos-mutations bench bench-full test-tools test-rust test-fuzz test-ts test-python test-cross test-wire test-e2e test-chaos
