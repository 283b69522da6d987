#!/bin/sh
# Training steps beside PyTorch with OpenBLAS, in one run: for each shape rounds of falconer on all threads, PyTorch on one
# thread and on two, in turns, so that a busy neighbour meets all of them; the best of each counts, and for PyTorch the
# better number of threads. Prints a table in Markdown; needs python3-torch and libopenblas0 of Debian.
#   bench/training.sh BUILD_FOLDER [ROUNDS [SHAPE...]]
set -eu
build=$1
rounds=${2:-3}
[ $# -gt 2 ] && shift 2 || set -- A B C D E
here=$(dirname "$0")
python=${PYTHON:-/usr/bin/python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/results"
for shape in "$@"; do
    round=0
    while [ "$round" -lt "$rounds" ]; do
        "$build/falconer-bench-training" --shape "$shape" --threads 2 --steps 5 >>"$work/results"
        "$build/falconer-bench-training" --shape "$shape" --threads 1 --steps 3 >>"$work/results"
        for threads in 1 2; do
            "$python" "$here/torch_training.py" "$shape" --threads $threads --steps 3 >>"$work/results"
        done
        round=$((round + 1))
    done
done
"$python" "$here/training_table.py" "$work/results"
