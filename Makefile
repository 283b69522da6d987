# A thin front; CMake and its presets (CMakePresets.json) do the work.
.PHONY: all setup chat test check bench install clean

MODEL ?=
PREFIX ?= /usr/local
BENCH ?=

all: setup
	@cmake --preset release --log-level=WARNING >/dev/null
	@cmake --build --preset release --target product

setup:
	@tools/setup.sh

chat: all
	@tools/chat.sh build/release/falconer "$(MODEL)"

test:
	@tools/setup.sh --emulators
	@tools/test.sh

check: setup
	@cmake --preset dev --log-level=WARNING >/dev/null
	@cmake --build --preset dev --target check

# make bench BENCH="--quick --types Q4_0", say; bench/speed.py tells the options.
bench: all
	@cmake --build --preset release --target falconer-bench
	@python3 bench/speed.py build/release $(BENCH)

install: all
	cmake --install build/release --prefix "$(PREFIX)"

clean:
	rm -rf build
