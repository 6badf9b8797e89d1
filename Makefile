# Targets of sage-host. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# CARGO_TARGET_DIR names the target folder of the host's workspace. Components always go to the target folder
# beside their own workspace, because pipelines and tests name them by path.
HOST_TARGET := $(or $(CARGO_TARGET_DIR),target)
SAGE_HOST := $(HOST_TARGET)/release/sage-host
COMPONENTS := $(wildcard operators tests/guests)
WASM := --release --target wasm32-wasip2
NATIVE = $(shell rustc -vV | sed -n 's/^host: //p')

# Tests of pipeline results, which must be the same in threads and in worker processes.
BOTH_WAYS := --test cases --test compatibility --test conformance --test examples --test hostile \
	--test properties --test flights --test models --test records_by_field --test inputs --test nested_fields \
	--test edges_by_field --test jobs --test checkpoints --test event_time

say = @printf '\n==> %s\n' "$(1)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## add the Rust target wasm32-wasip2, if it is not there
	@if [ -d "$$(rustc --print target-libdir --target wasm32-wasip2 2>/dev/null)" ]; then \
		echo "==> the Rust target wasm32-wasip2 is installed"; \
	else \
		echo "==> adding the Rust target wasm32-wasip2"; \
		rustup target add wasm32-wasip2; \
	fi

.PHONY: host
host: ## build the sage-host program, optimised, without the model runtimes
	$(call say,building sage-host (the first build takes about 10 minutes on two cores: it contains a compiler for WebAssembly))
	$(CARGO) build --release --locked --workspace --no-default-features --bin sage-host
	@dist/split-debug.sh $(SAGE_HOST)
	@echo "==> the program is $(SAGE_HOST)"

# The model runtimes and the benchmark are built with one set of features, because a second set would rebuild
# everything.
.PHONY: host-inference
host-inference: ## the same with the model runtimes and the benchmark (ten more CPU minutes the first time)
	$(call say,building sage-host with the model runtimes tract and ONNX Runtime)
	$(CARGO) build --release --locked --workspace $(WITH_ONNXRUNTIME) --bin sage-host --bin bench
	@dist/split-debug.sh $(SAGE_HOST)
	@echo "==> the program is $(SAGE_HOST)"

.PHONY: operators
operators: setup ## compile the sample operators to components
	$(call say,compiling the sample operators to WebAssembly components)
	cd operators && $(CARGO) build $(WASM) --lib --examples --locked --target-dir target

.PHONY: guests
guests: setup ## compile the components that tests use
	@if [ -f tests/guests/Cargo.toml ]; then \
		printf '\n==> %s\n' "compiling the components that tests need"; \
		cd tests/guests && $(CARGO) build $(WASM) --examples --locked --target-dir target; \
	fi

.PHONY: demo
demo: host operators ## build everything and run the flights pipeline on real data
	$(call say,running examples/flights/pipeline.toml: arrival delay by carrier of flights from New York in January 2013)
	$(SAGE_HOST) run examples/flights/pipeline.toml
	@printf '\n==> %s\n' "the same lines are in examples/flights/delay-by-carrier.jsonl; now try:"
	@echo "    $(SAGE_HOST) run examples/flights/pipeline.toml --explain"
	@echo "    $(SAGE_HOST) new celsius --kind map"

# The path of ONNX Runtime's library after `make onnxruntime`. Without it, tests that need it are
# skipped.
ONNXRUNTIME_VERSION := 1.32.0
ONNXRUNTIME_FOLDER := $(HOME)/.cache/sage-host/onnxruntime
ONNXRUNTIME_LIBRARY := $(ONNXRUNTIME_FOLDER)/libonnxruntime.so.$(ONNXRUNTIME_VERSION)
WITH_ONNXRUNTIME := --features sage-host/onnxruntime,sage-tests/onnxruntime
# Expanded at each use, because `make onnxruntime` may have just installed the library.
LIBRARY = $(if $(ORT_DYLIB_PATH),,$(if $(wildcard $(ONNXRUNTIME_LIBRARY)),ORT_DYLIB_PATH=$(ONNXRUNTIME_LIBRARY)))

.PHONY: onnxruntime
onnxruntime: ## get ONNX Runtime's library from PyPI, for tests and --features onnxruntime
	@if [ -e "$(ONNXRUNTIME_LIBRARY)" ]; then \
		echo "==> ONNX Runtime is $(ONNXRUNTIME_LIBRARY)"; \
		exit 0; \
	fi; \
	got=$$(mktemp -d); trap 'rm -rf "$$got"' EXIT; \
	if ! python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$$got" \
			onnxruntime==$(ONNXRUNTIME_VERSION); then \
		echo "==> skipped: pip cannot get onnxruntime $(ONNXRUNTIME_VERSION); tests that need it will be skipped"; \
		exit 0; \
	fi; \
	mkdir -p "$(ONNXRUNTIME_FOLDER)"; \
	python3 -m zipfile -e "$$got"/onnxruntime-*.whl "$$got/wheel"; \
	cp "$$got"/wheel/onnxruntime/capi/libonnxruntime.so.$(ONNXRUNTIME_VERSION) "$(ONNXRUNTIME_LIBRARY).partial"; \
	mv "$(ONNXRUNTIME_LIBRARY).partial" "$(ONNXRUNTIME_LIBRARY)"; \
	echo "==> ONNX Runtime is $(ONNXRUNTIME_LIBRARY)"

# The folder of pandas after `make pandas`. Without it, the test that compares with pandas is skipped.
PANDAS_VERSION := 2.3.3
PANDAS_FOLDER := $(HOME)/.cache/sage-host/pandas

.PHONY: pandas
pandas: ## install pandas from PyPI, for the test that compares CSV readers
	@if [ -d "$(PANDAS_FOLDER)" ]; then \
		echo "==> pandas is in $(PANDAS_FOLDER)"; \
		exit 0; \
	fi; \
	got=$$(mktemp -d); trap 'rm -rf "$$got"' EXIT; \
	if ! python3 -m pip install --quiet --only-binary :all: --target "$$got/pandas" pandas==$(PANDAS_VERSION); then \
		echo "==> skipped: pip cannot get pandas $(PANDAS_VERSION); the test that needs it will be skipped"; \
		exit 0; \
	fi; \
	mkdir -p "$(dir $(PANDAS_FOLDER))"; \
	mv "$$got/pandas" "$(PANDAS_FOLDER)"; \
	echo "==> pandas is in $(PANDAS_FOLDER)"

# The Python that tests the package in python/, with the tools that it needs. Without it, these tests are skipped.
COMPONENTIZE_PY_VERSION := 0.25.1
PYTEST_VERSION := 9.2.0
MYPY_VERSION := 2.4.1
NUMPY_VERSION := 2.4.6
PYARROW_VERSION := 26.0.1
PYRIGHT_VERSION := 1.1.414
NBCLIENT_VERSION := 0.11.0
IPYKERNEL_VERSION := 7.4.0
PYTHON_TOOLS_LIST := pytest==$(PYTEST_VERSION) mypy==$(MYPY_VERSION) numpy==$(NUMPY_VERSION) \
	componentize-py==$(COMPONENTIZE_PY_VERSION) pyarrow==$(PYARROW_VERSION) pyright==$(PYRIGHT_VERSION) \
	nbclient==$(NBCLIENT_VERSION) ipykernel==$(IPYKERNEL_VERSION)
PYTHON_TOOLS := $(HOME)/.cache/sage-host/python-tools
PYTHON_OF_TOOLS := $(PYTHON_TOOLS)/bin/python3

.PHONY: python-tools
python-tools: ## install pytest, mypy, componentize-py and others from PyPI, for tests of the Python package
	@if [ -x "$(PYTHON_OF_TOOLS)" ] && [ "$$(cat "$(PYTHON_TOOLS)/list" 2>/dev/null)" = "$(strip $(PYTHON_TOOLS_LIST))" ]; then \
		echo "==> the tools for Python are in $(PYTHON_TOOLS)"; \
		exit 0; \
	fi; \
	rm -rf "$(PYTHON_TOOLS).partial"; \
	if ! python3 -m venv --symlinks "$(PYTHON_TOOLS).partial" || \
			! "$(PYTHON_TOOLS).partial/bin/python3" -m pip install --quiet --only-binary :all: \
				$(PYTHON_TOOLS_LIST); then \
		rm -rf "$(PYTHON_TOOLS).partial"; \
		echo "==> skipped: pip cannot get $(strip $(PYTHON_TOOLS_LIST)); tests of the Python package will be skipped"; \
		exit 0; \
	fi; \
	echo "$(strip $(PYTHON_TOOLS_LIST))" > "$(PYTHON_TOOLS).partial/list"; \
	rm -rf "$(PYTHON_TOOLS)"; \
	mv "$(PYTHON_TOOLS).partial" "$(PYTHON_TOOLS)"; \
	echo "==> the tools for Python are in $(PYTHON_TOOLS)"

.PHONY: python-test
python-test: python-tools operators ## run every test of the Python package (4 CPU minutes the first time: it makes components)
	@if [ ! -x "$(PYTHON_OF_TOOLS)" ]; then echo "==> the tools for Python are not there: make python-tools" >&2; exit 1; fi
	$(call say,checking the types of the Python package)
	cd python && MYPYPATH=src "$(PYTHON_OF_TOOLS)" -m mypy
	cd python && "$(PYTHON_OF_TOOLS)" -m pyright --pythonpath "$(PYTHON_OF_TOOLS)" src
	$(call say,testing the Python package, its examples and its wheel)
	cd python && PYTHONPATH="$(CURDIR)/python/src" PYTHONDONTWRITEBYTECODE=1 "$(PYTHON_OF_TOOLS)" -m pytest --quiet \
		--durations=5 $(ARGS)

.PHONY: wheel
wheel: host ## make the wheel with the Python package and the program
	$(call say,making the wheel)
	python3 python/wheel.py "$(SAGE_HOST)" "$(HOST_TARGET)/wheel"

# The folder of jsonschema after `make jsonschema`. Without it, answers of the API are not compared with their schemas.
JSONSCHEMA_VERSION := 4.25.1
JSONSCHEMA_FOLDER := $(HOME)/.cache/sage-host/jsonschema

.PHONY: jsonschema
jsonschema: ## install jsonschema from PyPI, for the test that compares answers of the API with its OpenAPI document
	@if [ -d "$(JSONSCHEMA_FOLDER)" ]; then \
		echo "==> jsonschema is in $(JSONSCHEMA_FOLDER)"; \
		exit 0; \
	fi; \
	got=$$(mktemp -d); trap 'rm -rf "$$got"' EXIT; \
	if ! python3 -m pip install --quiet --only-binary :all: --target "$$got/jsonschema" \
			jsonschema==$(JSONSCHEMA_VERSION); then \
		echo "==> skipped: pip cannot get jsonschema $(JSONSCHEMA_VERSION); the test that needs it will be skipped"; \
		exit 0; \
	fi; \
	mkdir -p "$(dir $(JSONSCHEMA_FOLDER))"; \
	mv "$$got/jsonschema" "$(JSONSCHEMA_FOLDER)"; \
	echo "==> jsonschema is in $(JSONSCHEMA_FOLDER)"

# Prometheus and its promtool, from Debian's package without its service. Without them, tests of metrics, alert rules
# and the Grafana dashboard are skipped.
PROMETHEUS_FOLDER := $(HOME)/.cache/sage-host/prometheus

.PHONY: prometheus
prometheus: ## get Prometheus and promtool from Debian's package, for tests of metrics and alert rules
	@if [ -x "$(PROMETHEUS_FOLDER)/usr/bin/promtool" ]; then \
		echo "==> Prometheus is in $(PROMETHEUS_FOLDER)"; \
		exit 0; \
	fi; \
	got=$$(mktemp -d); trap 'rm -rf "$$got"' EXIT; chmod 755 "$$got"; \
	get() { (cd "$$got" && apt-get -o APT::Sandbox::User=root download --quiet prometheus && dpkg -x prometheus_*.deb unpacked); }; \
	if ! get && ! { apt-get update --quiet >/dev/null && get; }; then \
		echo "==> skipped: apt-get cannot get prometheus; tests that need it will be skipped"; \
		exit 0; \
	fi; \
	mkdir -p "$(dir $(PROMETHEUS_FOLDER))"; \
	mv "$$got/unpacked" "$(PROMETHEUS_FOLDER)"; \
	echo "==> Prometheus is in $(PROMETHEUS_FOLDER)"

.PHONY: ssh-keygen
ssh-keygen: ## get ssh-keygen (Debian, root), for tests of signatures
	@if ! command -v ssh-keygen >/dev/null; then \
		apt-get install --quiet --yes --no-install-recommends openssh-client >/dev/null \
			|| echo "==> skipped: apt-get cannot install openssh-client; tests that need ssh-keygen will be skipped"; \
	fi

COMMA := ,

# Chromium from Debian, and what drives and examines it from npm, for the test of the dashboard.
PUPPETEER_VERSION := 24.43.1
AXE_VERSION := 4.14.1
BROWSER_FOLDER := $(HOME)/.cache/sage-host/browser

.PHONY: browser
browser: ## get Chromium (Debian, root), puppeteer-core and axe-core (npm), for make dashboard-test
	@if ! command -v chromium >/dev/null; then \
		apt-get install --quiet --yes --no-install-recommends chromium >/dev/null \
			|| echo "==> skipped: apt-get cannot install chromium; the test of the dashboard needs it"; \
	fi; \
	if ! command -v npm >/dev/null; then \
		echo "==> skipped: npm is not installed; the test of the dashboard needs it, and Node.js 20 or newer"; \
	elif [ ! -d "$(BROWSER_FOLDER)/node_modules/axe-core" ]; then \
		npm install --prefix "$(BROWSER_FOLDER)" --no-audit --no-fund --ignore-scripts --silent \
			puppeteer-core@$(PUPPETEER_VERSION) axe-core@$(AXE_VERSION); \
	fi

# DuckDB and Polars, with which the benchmark compares whole jobs. Without them, it skips these figures.
DUCKDB_VERSION := 1.4.2
POLARS_VERSION := 1.35.2
PEERS_FOLDER := $(HOME)/.cache/sage-host/peers

.PHONY: peers
peers: ## install DuckDB and Polars from PyPI, for figures of the benchmark
	@if [ -d "$(PEERS_FOLDER)" ]; then \
		echo "==> DuckDB and Polars are in $(PEERS_FOLDER)"; \
		exit 0; \
	fi; \
	got=$$(mktemp -d); trap 'rm -rf "$$got"' EXIT; \
	if ! python3 -m pip install --quiet --only-binary :all: --target "$$got/peers" \
			duckdb==$(DUCKDB_VERSION) polars==$(POLARS_VERSION); then \
		echo "==> skipped: pip cannot get duckdb $(DUCKDB_VERSION) and polars $(POLARS_VERSION)"; \
		exit 0; \
	fi; \
	mkdir -p "$(dir $(PEERS_FOLDER))"; \
	mv "$$got/peers" "$(PEERS_FOLDER)"; \
	echo "==> DuckDB and Polars are in $(PEERS_FOLDER)"

# ONNX's own tests of single operators, in one file. Without the file, the test that runs them is
# skipped.
ONNX_VERSION := 1.23.2
ONNX_NODE_TESTS := $(HOME)/.cache/sage-host/onnx-node-tests/$(ONNX_VERSION).jsonl

.PHONY: onnx-node-tests
onnx-node-tests: ## get ONNX's node tests from PyPI, for tests of the model runtimes
	@if [ -e "$(ONNX_NODE_TESTS)" ]; then \
		echo "==> ONNX's node tests are $(ONNX_NODE_TESTS)"; \
		exit 0; \
	fi; \
	got=$$(mktemp -d); trap 'rm -rf "$$got"' EXIT; \
	if ! python3 -m pip install --quiet --no-cache-dir --only-binary :all: --target "$$got" onnx==$(ONNX_VERSION); then \
		echo "==> skipped: pip cannot get onnx $(ONNX_VERSION); ONNX's node tests will be skipped"; \
		exit 0; \
	fi; \
	mkdir -p "$$(dirname "$(ONNX_NODE_TESTS)")"; \
	PYTHONPATH="$$got" python3 tests/onnx_node_tests/prepare.py "$(ONNX_NODE_TESTS)"

FILE_TYPES := examples/file-types

.PHONY: demo-inference
demo-inference: host-inference operators ## build everything and find file types with a model on a CPU device
	$(call say,running $(FILE_TYPES)/pipeline.toml: the types of files in this repository)
	$(SAGE_HOST) run $(FILE_TYPES)/pipeline.toml --host $(FILE_TYPES)/host.toml
	$(call say,comparing the types of $(FILE_TYPES)/files with the results of the Python package magika)
	@types() { grep '"path":"files/' "$$1" | sed 's/,"score":[^}]*//' | sort; }; \
		diff <(types $(FILE_TYPES)/expected/types.jsonl) <(types $(FILE_TYPES)/types.jsonl)
	@echo "==> the types are the same; all of them are in $(FILE_TYPES)/types.jsonl"

.PHONY: test
test: setup onnxruntime onnx-node-tests pandas python-tools prometheus jsonschema ssh-keygen operators guests ## run every test; the last lines list skipped and slow tests
	@tests/reported $(MAKE) --no-print-directory all-tests
	@echo "==> all tests passed"

# The tests of `make test`, which prepares the machine for them. Without help text: `make help` leaves it out.
.PHONY: all-tests
all-tests:
	$(call say,testing the host and the guest SDK (first build: about 15 minutes on two cores))
	$(LIBRARY) $(CARGO) test --workspace --locked $(WITH_ONNXRUNTIME)
	$(call say,testing that worker processes give the same results as threads)
	$(LIBRARY) SAGE_TEST_ISOLATION=process $(CARGO) test --workspace --locked $(WITH_ONNXRUNTIME) $(BOTH_WAYS)
	$(call say,testing the sample operators natively)
	cd operators && $(CARGO) test --locked --target $(NATIVE) --target-dir target

# The inner loop of a change: everything is compiled and linted, and the unit tests of changed packages run. Cargo
# compiles only the changes, so this takes less than a minute after a first run.
.PHONY: check
check: ## compile, lint and run the unit tests of changed packages (less than a minute after the first run)
	@tests/check.sh $(WITH_ONNXRUNTIME)

.PHONY: test-cgroup2
test-cgroup2: operators ## test cgroup v2 in an emulated machine (QEMU; is skipped if it cannot run)
	$(call say,running the tests of control groups on cgroup v2)
	@tests/reported tests/cgroup2/run.sh

# Installation. `make install` takes the program that is built, and builds it only if there is none, so that
# `make host-inference && sudo make install` needs no Rust for the second command.
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: install
install: ## install program, completions, man pages and systemd unit (PREFIX=/usr/local, DESTDIR)
	@if [ ! -x "$(SAGE_HOST)" ]; then $(MAKE) host-inference; fi
	@dist/install.sh install "$(SAGE_HOST)" "$(DESTDIR)" "$(PREFIX)"
	@echo "==> installed below $(DESTDIR)$(PREFIX)"

.PHONY: uninstall
uninstall: ## remove the files of make install
	@dist/install.sh uninstall "$(DESTDIR)" "$(PREFIX)"
	@echo "==> removed from $(DESTDIR)$(PREFIX)"

# Release files, with the model runtimes.
DIST := $(HOST_TARGET)/dist
# [package.metadata.deb] in host/Cargo.toml takes files from this folder.
STAGE := $(HOST_TARGET)/release/stage
DIST_FEATURES := onnxruntime

.PHONY: program-of-release
program-of-release:
	$(call say,building sage-host with the model runtimes tract and ONNX Runtime)
	$(CARGO) build --release --locked --workspace $(WITH_ONNXRUNTIME) --bin sage-host
	@dist/split-debug.sh $(SAGE_HOST)

.PHONY: dist
dist: program-of-release operators deb-tool ## make a tarball with its checksum, and a Debian package
	$(call say,packing the release)
	@dist/package.sh "$(SAGE_HOST)" "$(STAGE)" "$(DIST)" --features $(DIST_FEATURES)
	$(call say,making the Debian package)
	@rm -f "$(DIST)"/*.deb
	@deb=$$($(FIND_CARGO_DEB)); if [ -n "$$deb" ]; then \
		"$$deb" --no-build --no-strip --manifest-path host/Cargo.toml --output "$(DIST)/"; \
	else \
		echo "==> skipped: cargo-deb is not installed"; \
	fi
	@echo "==> the release is in $(DIST)"

# cargo-deb, in a folder of its own. Without it, `make dist` makes no Debian package.
CARGO_DEB_VERSION := 3.8.0
CARGO_DEB_FOLDER := $(HOME)/.cache/sage-host/cargo-deb-$(CARGO_DEB_VERSION)
# A command, because make remembers the folders that it has looked into.
FIND_CARGO_DEB := command -v "$(CARGO_DEB_FOLDER)/bin/cargo-deb" cargo-deb | head -n 1 || true

.PHONY: deb-tool
deb-tool:
	@if [ -z "$$($(FIND_CARGO_DEB))" ]; then \
		echo "==> installing cargo-deb $(CARGO_DEB_VERSION) in $(CARGO_DEB_FOLDER) (two CPU minutes)"; \
		$(CARGO) install --quiet --locked --root "$(CARGO_DEB_FOLDER)" cargo-deb@$(CARGO_DEB_VERSION) || true; \
	fi

.PHONY: deb-test
deb-test: ## install, run and remove the Debian package in a fresh system (root, debootstrap)
	@deb=$$(ls "$(DIST)"/*.deb 2>/dev/null | head -n 1); \
	if [ -z "$$deb" ]; then echo "==> no Debian package in $(DIST): run make dist" >&2; exit 1; fi; \
	dist/deb-test.sh "$$deb"

.PHONY: release
release: ## check that version, changelog and release files agree, then tag (DRY_RUN=1 only shows)
	@DRY_RUN=$(DRY_RUN) dist/release.sh "$(DIST)"

# The crates as a registry gets them, built from their packages. The target folder is one of its own, because
# the features of these builds differ from those of other targets.
PACKAGE_TARGET := $(HOST_TARGET)/package-target

.PHONY: package
package: ## pack all crates and build them from the packages (15 CPU minutes the first time)
	$(call say,packing and building the crates from their packages)
	$(CARGO) package --workspace --exclude sage-tests --exclude sage-test-support --locked --no-default-features --target-dir "$(PACKAGE_TARGET)"
	dist/package-test.sh "$(PACKAGE_TARGET)"

.PHONY: fmt
fmt: ## format all code
	$(CARGO) fmt --all
	@for folder in $(COMPONENTS) $(wildcard tests/fuzz); do (cd $$folder && $(CARGO) fmt --all); done

.PHONY: lint
lint: setup ## check formatting, clippy and documentation with warnings denied
	$(call say,checking the formatting)
	$(CARGO) fmt --all --check
	@for folder in $(COMPONENTS) $(wildcard tests/fuzz); do \
		echo "cd $$folder && cargo fmt --check"; \
		(cd $$folder && $(CARGO) fmt --all --check); \
	done
	$(call say,running clippy on the host and the guest SDK)
	$(CARGO) clippy --workspace --all-targets --locked $(WITH_ONNXRUNTIME) -- -D warnings
	$(call say,running clippy without the model runtimes)
	$(CARGO) clippy --workspace --all-targets --locked --no-default-features -- -D warnings
	$(call say,running clippy on the components)
	@for folder in $(COMPONENTS); do \
		echo "cd $$folder && cargo clippy"; \
		(cd $$folder && $(CARGO) clippy $(WASM) --lib --examples --locked --target-dir target -- -D warnings); \
	done
	@echo "cd operators && cargo clippy --all-targets"; \
		cd operators && $(CARGO) clippy --all-targets --target $(NATIVE) --locked --target-dir target -- -D warnings
	$(call say,checking that sage-plan needs no operating system)
	$(CARGO) check --package sage-plan --locked --target wasm32-wasip2
	$(call say,building the documentation)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked $(WITH_ONNXRUNTIME)
	@echo "==> no complaints"

.PHONY: pictures
pictures: host operators ## draw the pictures of the documentation anew: a run in a terminal, and the crates
	docs/picture/record.py --program "$(SAGE_HOST)"
	CARGO="$(CARGO)" docs/design/crates.py

BOOK := target/book

.PHONY: docs
docs: ## check the README and the book in docs/, and build the book if mdbook is installed
	$(call say,checking the picture of the crates)
	CARGO="$(CARGO)" python3 docs/design/crates.py --check
	$(call say,checking the pages)
	python3 docs/check.py --program "$(SAGE_HOST)" --components operators/target/wasm32-wasip2/release
	@if command -v mdbook >/dev/null; then \
		printf '\n==> %s\n' "building the book"; \
		mdbook build docs && echo "==> the book is $(BOOK)/index.html"; \
	else \
		echo "==> skipped the HTML: mdbook is not installed (cargo install --locked mdbook builds for minutes)"; \
	fi

.PHONY: bench
bench: host-inference operators guests ## run the benchmark for some minutes (ARGS=--quick: half a minute)
	$(call say,measuring; docs/design/benchmarks.md explains each figure)
	$(HOST_TARGET)/release/bench $(ARGS)

.PHONY: chaos
chaos: ## kill the server 200 times while it runs 20 jobs, and runs with checkpoints for 1,000 seeds (an hour)
	$(call say,killing runs with checkpoints)
	SAGE_TEST_KILLS=167 $(LIBRARY) $(CARGO) test --workspace --locked $(WITH_ONNXRUNTIME) --test checkpoints -- \
		--nocapture kill
	$(call say,killing the server)
	SAGE_TEST_CHAOS=1 $(LIBRARY) $(CARGO) test --workspace --locked $(WITH_ONNXRUNTIME) --test serve chaos -- --nocapture

.PHONY: dashboard-test
dashboard-test: browser operators ## show every view of the dashboard in Chromium; the pictures stay in target/dashboard
	$(call say,reading the dashboard in a browser)
	SAGE_TEST_BROWSER=1 SAGE_TEST_REQUIRE=$(if $(SAGE_TEST_REQUIRE),$(SAGE_TEST_REQUIRE)$(COMMA))browser $(LIBRARY) \
		$(CARGO) test --workspace --locked $(WITH_ONNXRUNTIME) --test serve dashboard -- --nocapture

.PHONY: fuzz
fuzz: ## fuzz the parsers of untrusted bytes for a short time (nightly toolchain)
	tests/fuzz/run.sh

.PHONY: audit
audit: ## check licences, bans, sources and advisories of dependencies (cargo-deny)
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny check bans licenses sources; \
		cargo deny check advisories || { echo "==> advisories: see above (their database must be reachable)"; exit 1; }; \
	else \
		echo "cargo-deny is not installed: cargo install --locked cargo-deny" >&2; exit 1; \
	fi

.PHONY: clean
clean: ## remove everything built
	$(CARGO) clean
	@rm -rf operators/target tests/guests/target tests/fuzz/target examples/flights/delay-by-carrier.jsonl \
		examples/flights/rejected.jsonl examples/file-types/types.jsonl
	@rm -f examples/*/out*.*
