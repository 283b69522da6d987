#!/bin/sh
# How fast quantizing is: makes a synthetic f16 model of Falcon-7B's shapes (four layers, 1.42 billion weights) and times
# one run per type, in a folder that had better be memory (/dev/shm): a disk would be measured otherwise.
#   bench/quantize.sh BUILD_FOLDER [FOLDER [TYPE...]]
# Prints one JSON object per type.
set -eu
build=$1
folder=${2:-/dev/shm}
[ $# -gt 2 ] && shift 2 || set -- Q4_0 Q4_K_M Q5_K_M Q6_K Q8_0 Q2_K Q3_K_M
work=$(mktemp -d "$folder/falconer-quantize-XXXXXX")
trap 'rm -rf "$work"' EXIT
"$build/falconer-bench" --shape falcon-7b --layers 4 --type f16 --file "$work/f16.gguf" --keep --repeat 1 --prompt 8 \
    --generate 1 --depth 0 >/dev/null 2>&1
cat "$work/f16.gguf" >/dev/null
for type in "$@"; do
    begin=$(date +%s.%N)
    "$build/falconer" quantize "$work/f16.gguf" "$work/out.gguf" "$type" --quiet
    end=$(date +%s.%N)
    awk -v t="$type" -v b="$begin" -v e="$end" -v n="$(wc -c <"$work/out.gguf")" \
        'BEGIN { printf "{\"type\": \"%s\", \"seconds\": %.2f, \"bytes\": %d}\n", t, e - b, n }'
    rm "$work/out.gguf"
done
