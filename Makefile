# make quickstart            three Copilot CLIs behind pilotfish on this machine; DEMO=1: answers without an account
# make reference            two pilotfish, three Copilot CLIs and Redis on this machine; DEMO=1: answers without an account
# make test                  everything that is tested (at most 25 minutes from an empty target folder on two cores)
# make torture               the same for longer and with more of it
# make bench                 speed, beside HAProxy; writes docs/performance.md
# make lint                  formatting and lints
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Further arguments of `pilotfish quickstart`, such as ARGS="--demo-model --port 5000".
ARGS ?=
# Further arguments of `make reference`, such as REFERENCE_ARGS="--port 5000 --data /tmp/reference".
REFERENCE_ARGS ?=
ifdef DEMO
override ARGS += --demo-model
endif

E2E := tests/e2e
# The end-to-end tests run what users run.
E2E_NODE := PILOTFISH=$(CURDIR)/target/release/pilotfish node $(E2E)/run.mjs
E2E_RUN := $(E2E_NODE) $(SUITES)
# What runs once more through `pilotfish tunnel`, with certificates on both sides; `make torture` has all of it so.
TUNNEL_SUITES := conversation client-loss documents hang parity
# pingora's compression libraries are built with cmake and a C compiler.
BUILD_PACKAGES := build-essential cmake
# What checks the files for containers, Kubernetes and systemd, besides what pip installs.
CHECK_PACKAGES := docker-compose kubernetes-client systemd
# The Rust SDK of the Copilot CLI links OpenSSL; the other programs are what the tests talk to, or use.
TEST_PACKAGES := $(BUILD_PACKAGES) $(CHECK_PACKAGES) pkg-config libssl-dev python3-venv openssl redis-server prometheus haproxy dnsmasq-base

.PHONY: help quickstart reference test test-rust test-e2e e2e-programs e2e-tools torture bench lint clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

quickstart:
	@.ci/tools cargo node npm
	@.ci/packages $(BUILD_PACKAGES)
	cargo build --release --locked
	@target/release/pilotfish quickstart $(ARGS)

reference: $(E2E)/node_modules/.package-lock.json
	@.ci/packages $(BUILD_PACKAGES) redis-server
	cargo build --release --locked
	@PILOTFISH=$(CURDIR)/target/release/pilotfish node $(E2E)/reference.mjs $(if $(DEMO),--demo-model) $(REFERENCE_ARGS)

test: test-rust test-e2e

test-rust:
	@.ci/tools cargo
	@.ci/packages $(TEST_PACKAGES)
	cargo test --locked

test-e2e: e2e-programs
	$(E2E_RUN)
	TUNNEL=mtls $(E2E_NODE) $(or $(SUITES),$(TUNNEL_SUITES))

# What the end-to-end tests run: pilotfish, the pinned CLI and the three SDKs.
e2e-programs: e2e-tools $(E2E)/node_modules/.package-lock.json $(E2E)/.venv/installed
	cargo build --release --locked
	cd $(E2E)/rust && cargo build --locked

e2e-tools:
	@.ci/tools cargo node npm
	@.ci/packages $(TEST_PACKAGES)

$(E2E)/node_modules/.package-lock.json: $(E2E)/package-lock.json | e2e-tools
	npm ci --prefix $(E2E)
	touch $@

$(E2E)/.venv/installed: $(E2E)/python/requirements.txt | e2e-tools
	python3 -m venv --clear $(E2E)/.venv
	$(E2E)/.venv/bin/pip install -q --disable-pip-version-check -r $<
	touch $@

torture: e2e-programs
	PILOTFISH_MUTATIONS=30000000 PILOTFISH_MUTANTS=50000 PROPTEST_CASES=20000 PILOTFISH_UPGRADE_SECONDS=30 \
		PILOTFISH_KILLS=200 PILOTFISH_STEPS=10000 PILOTFISH_LOCK_STEPS=100000 cargo test --locked --release
	SUITE=long $(E2E_RUN)
	TUNNEL=mtls $(E2E_RUN)

bench:
	@.ci/tools cargo
	@.ci/packages $(BUILD_PACKAGES) haproxy
	cargo bench --locked

lint:
	@.ci/tools cargo
	@.ci/packages $(BUILD_PACKAGES) pkg-config libssl-dev
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cd $(E2E)/rust && cargo fmt --check && cargo clippy --locked -- -D warnings

clean:
	rm -rf target $(E2E)/node_modules $(E2E)/.venv $(E2E)/rust/target
