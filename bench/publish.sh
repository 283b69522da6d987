#!/bin/sh
# How fast the measures are that a published set rests on, and the whole of publishing: makes a synthetic f16 model of
# Falcon-7B's shapes (two layers, one billion weights, its 65024 tokens) and times each command once, in a folder that had
# better be memory (/dev/shm).
# On a busy machine cpu_seconds tells more than seconds: divided by the cores it is what an idle one takes.
#   bench/publish.sh BUILD_FOLDER [FOLDER [WINDOWS]]
# WINDOWS: of 512 tokens that each measure reads (2). Prints one JSON object per command.
set -eu
build=$1
folder=${2:-/dev/shm}
windows=${3:-2}
work=$(mktemp -d "$folder/falconer-publish-XXXXXX")
trap 'rm -rf "$work"' EXIT
model=$work/falcon-2l.f16.gguf
"$build/falconer-bench" --shape falcon-7b --layers 2 --type f16 --file "$model" --keep --repeat 1 --prompt 8 --generate 1 \
    --depth 0 >/dev/null 2>&1
# The synthetic vocabulary knows pairs of bytes: a window is a kilobyte at most.
awk -v n="$((windows + 1))" 'BEGIN { for (i = 0; i < 150 * n; i++) printf "%d words and %d more. ", i, i * 7919 % 1000 }' >"$work/text"

# Processor time that finished children of this shell took so far, in seconds.
cpu_seconds() {
    times >"$work/times"
    awk 'NR == 2 { split($1, u, /[ms]/); split($2, s, /[ms]/); print u[1] * 60 + u[2] + s[1] * 60 + s[2] }' "$work/times"
}

# NAME TOKENS COMMAND...: the tokens that the command computes, all models together.
measure() {
    name=$1
    tokens=$2
    shift 2
    cpu_seconds >"$work/cpu-begin"
    begin=$(date +%s.%N)
    "$@" >"$work/output" 2>"$work/message" || { cat "$work/message" >&2 && exit 1; }
    end=$(date +%s.%N)
    cpu_seconds >"$work/cpu-end"
    cat "$work/cpu-begin" "$work/cpu-end" | awk -v name="$name" -v n="$tokens" -v b="$begin" -v e="$end" 'NR == 1 { c = $1 }
        END { printf "{\"command\": \"%s\", \"tokens\": %d, \"seconds\": %.1f, \"cpu_seconds\": %.1f, \"tokens_per_second\": %.1f}\n",
              name, n, e - b, $1 - c, n / (e - b) }'
}

n=$((windows * 512))
"$build/falconer" quantize "$model" "$work/q4.gguf" Q4_0 --quiet
measure "perplexity, F16" $n "$build/falconer" perplexity -m "$model" -f "$work/text" --windows "$windows"
measure "perplexity, Q4_0" $n "$build/falconer" perplexity -m "$work/q4.gguf" -f "$work/text" --windows "$windows"
measure "compare, F16 and Q4_0" $((2 * n)) "$build/falconer" compare -m "$model" -m "$work/q4.gguf" -f "$work/text" --windows "$windows"
measure "imatrix, F16" $n "$build/falconer" imatrix -m "$model" -f "$work/text" --windows "$windows" -o "$work/importance"
# Two files, each against the reference, and 544 tokens each to time it.
measure "publish, Q4_0 and Q4_K_M" $((4 * n + 2 * 544)) "$build/falconer" publish "$model" "$work/set" --types Q4_0,Q4_K_M \
    --text "$work/text" --windows "$windows"
# What the card says of each file.
grep -o '"\(type\|[a-z_]*tokens_per_second\|peak_memory_bytes\)": [^,]*' "$work/set/measurements.json" |
    awk '/"type"/ { printf "%s{", n++ ? "}\n" : "" } !/"type"/ { printf ", " } { printf "%s", $0 } END { print "}" }'
