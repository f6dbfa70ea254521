# Everything from a fresh Debian 12 with Rust, git and make: `make demo`, then `make test`.
# Cargo tracks what Rust code depends on; the rules here order its runs and track the rest.

CHIP := esp32c3
TARGET := riscv32imc-unknown-none-elf
ESPB := target/release/espb
IMAGE := build/firmware/$(CHIP)
ESPTOOL := build/venv/bin/esptool

# FIRMWARE_RUSTC may name a Rust compiler for this target, at least 1.95; otherwise `make toolchain` provides one.
RUSTC_FOR_TARGET = $(or $(FIRMWARE_RUSTC),$(CURDIR)/build/toolchain/bin/rustc)

# What compiles the fixtures; IR_FLAGS are added to the flags in fixtures/compile.
CC_IR ?= clang-22
IR_FLAGS ?=
FIXTURE_IR := $(patsubst fixtures/%,build/fixtures/%.ll,$(basename $(wildcard fixtures/*/*.c fixtures/*/*.cpp)))

# Debian packages: LLVM as a static library for the translator; clang and lld for C; cmake, pkg-config and libclang for Unicorn;
# ninja for the test of the guide's CMake; venv for the check of the image with esptool; tmux for the test in a terminal.
PACKAGES := build-essential llvm-22-dev libpolly-22-dev libzstd-dev zlib1g-dev libxml2-dev \
	clang-22 lld-22 cmake ninja-build pkg-config libclang-19-dev picolibc-riscv64-unknown-elf gcc-riscv64-unknown-elf \
	python3-pip python3-venv tmux

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
# Cargo uses all cores by itself; the order of prerequisites below is meant.
.NOTPARALLEL:
.PHONY: help setup toolchain firmware build fixtures man demo test corpus conformance host-functions infer-score fuzz-build fuzz attack attack-link bench \
	bench-build bench-calls image-info clean FORCE

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install the Debian packages that building needs (with sudo unless root)
	@PACKAGES="$(PACKAGES)" ./setup.sh

toolchain: ## the Rust compiler for the firmware, in build/toolchain
ifndef FIRMWARE_RUSTC
	@firmware/toolchain.sh
endif

firmware: toolchain $(IMAGE).elf $(IMAGE).bin ## the firmware: build/firmware/CHIP.elf and the flash image CHIP.bin

# Copied only when it changed, so that nothing behind it is built again.
$(IMAGE).elf: FORCE
	cd firmware/device && RUSTC=$(RUSTC_FOR_TARGET) cargo build --release --no-default-features --features $(CHIP) --target $(TARGET)
	@mkdir -p $(@D)
	@built=firmware/device/target/$(TARGET)/release/espb-device; cmp -s $$built $@ || cp $$built $@

$(IMAGE).bin: $(IMAGE).elf $(wildcard firmware/image/src/*.rs firmware/image/partitions.csv firmware/image/Cargo.toml)
	cargo run --quiet --release --package espb-image -- $(CHIP) $< $@

build: firmware ## the program espb, with the firmware in it: target/release/espb
	cargo build --release --package espb

fixtures: $(FIXTURE_IR) ## the C programs in fixtures/ as LLVM IR, in build/fixtures

build/fixtures/%.ll: fixtures/%.c fixtures/compile fixtures/headers
	@mkdir -p $(@D)
	CLANG=$(CC_IR) fixtures/compile $< $@ -MMD -MF $(@:.ll=.d) -MT $@ $(IR_FLAGS)

build/fixtures/%.ll: fixtures/%.cpp fixtures/compile fixtures/headers
	@mkdir -p $(@D)
	CLANG=$(CC_IR) fixtures/compile $< $@ -MMD -MF $(@:.ll=.d) -MT $@ $(IR_FLAGS)

-include $(FIXTURE_IR:.ll=.d)

man: build ## manual pages of all commands, in build/man
	$(ESPB) man build/man

HELLO := build/fixtures/tasks/hello_task

demo: setup build $(HELLO).ll ## the main job from nothing: hello_task.c compiled, translated and run for 5 virtual seconds
	$(ESPB) build $(HELLO).ll -o $(HELLO).espb
	$(ESPB) run --emulate $(CHIP) --for 5s $(HELLO).espb

# Without --tests cargo would look for examples in the documentation, of which there are none, with a rustdoc that may be missing.
test: setup firmware fixtures image-info corpus ## every test
	cargo test --release --workspace --tests

corpus: setup ## the sources of others for the conformance test, in build/corpus
	@fixtures/corpus/fetch

conformance: corpus firmware ## several hundred programs and 1,200 random ones, natively and as modules (docs/conformance.md)
	@fixtures/corpus/fetch --clangs
	cargo test --release --test conformance -- --all --json build/conformance.json
	cargo test --release --test conformance -- --scale

N := 10000

fuzz-build: setup firmware ## N damaged inputs for the translator (N=10000): none may make it panic, abort or hang
	cargo test --release --test mutation -- $(N)

attack: setup firmware ## N damaged copies of real modules, each on the real firmware in an emulated chip (N=10000; docs/isolation.md)
	cargo test --release --test attack -- $(N)

attack-link: setup firmware ## N damaged and hostile frames to the real firmware in an emulated chip (N=10000)
	cargo test --release --test attack -- --frames $(N)

# libFuzzer under AddressSanitizer with the stable compiler: the flags are those of cargo-fuzz.
FUZZ_TARGETS := container verifier interpreter frames slots
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address --cfg fuzzing
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
TIME := 60
# Or, instead of a time, a number of executions: RUNS=1000000.
FUZZ_LIMIT = $(if $(RUNS),-runs=$(RUNS),-max_total_time=$(TIME))

fuzz: setup ## libFuzzer on container, verifier, interpreter, link and slots, TIME seconds each (TIME=60), or RUNS executions
	cd fuzz && RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --features libfuzzer --target $(HOST)
	fuzz/target/$(HOST)/release/seeds build/fuzz
	@for target in $(FUZZ_TARGETS); do \
		fuzz/target/$(HOST)/release/$$target build/fuzz/$$target $(FUZZ_LIMIT) -max_len=4096 -len_control=0 -rss_limit_mb=4096 \
			-artifact_prefix=build/fuzz/ -print_final_stats=1 -verbosity=0 || exit 1; \
	done

host-functions: setup firmware ## docs/host-functions.md as it stands, in a copy of the firmware: functions added, built, called
	cargo test --quiet --release --package espb --test host_functions

infer-score: fixtures ## how well contracts are inferred without hints, on every function that a fixture calls
	cargo test --quiet --release --package espb --test infer_score

bench: setup build fixtures corpus ## the figures that the README states (ESPB_BLESS=1 writes them there), the kernels' speed and each program's code size
	cargo bench --quiet --bench figures
	@mkdir -p build/bench
	cargo test --quiet --release --test conformance -- --kernels --json build/bench/kernels.json
	cargo test --quiet --release --test conformance -- --random 0 --json build/bench/density.json 'clang-22 Os'

bench-calls: build ## what calls between module and firmware cost, loading and starting too, in machine instructions
	cargo bench --quiet --bench calls

bench-build: build corpus ## how long espb build takes and how much memory, over programs of growing size
	cargo bench --quiet --bench translation

image-info: firmware $(ESPTOOL) ## ask the chip maker's esptool whether bootloader and application are valid images
	@if [ -x $(ESPTOOL) ]; then firmware/image/check.sh $(ESPTOOL) $(CHIP) $(IMAGE).bin; \
	else echo "image-info: left out, esptool could not be installed from PyPI" >&2; fi

# Without PyPI the check is left out, not failed.
$(ESPTOOL):
	-python3 -m venv build/venv && build/venv/bin/pip install --quiet --disable-pip-version-check esptool

clean: ## remove what was built, except the firmware's compiler
	rm -rf build/fixtures build/man build/firmware build/venv firmware/device/target target
