#!/bin/sh
# Builds kernelcheck for 64-bit ARM and runs it under qemu: on a processor with dot products, on one without, and with a
# cap. Usage: test_arm64.sh CMAKE SOURCE BUILD
set -eu
cmake=$1 source=$2 build=$3
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done

cd "$source"
"$cmake" --preset arm64 -B "$build" --log-level=WARNING >/dev/null
"$cmake" --build "$build" --target kernelcheck -j2 >"$build/log" || { cat "$build/log"; exit 1; }

# check PROCESSOR SETS OPTIONS...: kernelcheck passes there and compares exactly these sets.
check() {
    processor=$1 sets=$2
    shift 2
    qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$processor" "$build/tests/kernels/kernelcheck" --brief "$@" \
        >"$build/out" || { cat "$build/out"; echo "failed on $processor"; exit 1; }
    cat "$build/out"
    grep -q "sets: $sets\$" "$build/out" || { echo "$processor: not the sets $sets"; exit 1; }
}

check cortex-a76 'portable, neon'
check cortex-a53 portable --filter matmul_q4_0
export FALCONER_CPU
FALCONER_CPU=portable check cortex-a76 portable --filter add_row
FALCONER_CPU=avx2 check cortex-a76 'portable, neon' --filter add_row
