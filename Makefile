# SPDX-License-Identifier: Apache-2.0
# The front door. Everything is built by meson; see tools/ for what each step does.
#
#   make            build into build/                       make demo    show it
#   make check      build and run every test                make bench   measure it
#   make install    DESTDIR=, PREFIX=/usr/local             make clean
#   make bench-peers            measure it against other ways for processes to call each other; INSTALL=1 installs those first
#
# Each installs missing Debian packages first, when it may (tools/install-packages).

PREFIX ?= /usr/local
DESTDIR ?=

# ninja works in parallel; this door opens one step after the other, also under `make -j`.
.NOTPARALLEL:
.PHONY: all build demo check bench bench-peers install clean

all: build

build:
	@tools/install-packages build
	@tools/build build

demo: build
	@examples/demo.sh build

check:
	@tools/install-packages build check
	@tools/check build

bench:
	@tools/install-packages build
	@tools/install-packages bench || echo "ambidext: going on without; what needs them is skipped" >&2
	@tools/build build bench
	@build/bench/ambidext-bench --json build/bench.json --plot build/bench.svg

bench-peers:
	@tools/install-packages build $(if $(INSTALL),peers)
	@tools/build build peers
	@build/bench/peers/bench-peers --json build/bench-peers.json

install: build
	@tools/build build install "$(DESTDIR)" "$(PREFIX)"

clean:
	@rm -rf build
