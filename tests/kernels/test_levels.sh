#!/bin/sh
# No instruction above the processor's level is executed: kernelcheck and the program run under qemu on x86-64 processors of
# several ages, and the sets are those of their level. Usage: test_levels.sh KERNELCHECK FALCONER MODEL
set -eu
kernelcheck=$1 falconer=$2 model=$3
command -v qemu-x86_64 >/dev/null || { echo "skipped: qemu-x86_64 is not installed"; exit 77; }
case $(uname -m) in
    x86_64) ;;
    *) echo "skipped: this build is not for x86-64"; exit 77 ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# check PROCESSOR SETS: the kernels of these sets, and no others, pass there.
check() {
    qemu-x86_64 -cpu "$1" "$kernelcheck" --brief --filter matmul_q4_0 >"$folder/out" 2>/dev/null ||
        { cat "$folder/out"; echo "kernelcheck fails on $1"; exit 1; }
    grep -q "sets: $2\$" "$folder/out" || { cat "$folder/out"; echo "$1: not the sets $2"; exit 1; }
}

check core2duo portable
check IvyBridge portable # AVX and F16C, but no AVX2
check Haswell 'portable, avx2'

# A whole answer: the text of an old processor is that of a young one which holds itself back.
"$falconer" convert --quiet --type f32 "$model" "$folder/model.gguf"
answer() { "$@" "$falconer" run -m "$folder/model.gguf" -p 'The quick brown fox' -n 8; }
answer env FALCONER_CPU=portable >"$folder/capped"
answer qemu-x86_64 -cpu core2duo >"$folder/old"
cmp "$folder/capped" "$folder/old"
answer qemu-x86_64 -cpu Haswell >"$folder/young" 2>/dev/null
[ -s "$folder/young" ]
