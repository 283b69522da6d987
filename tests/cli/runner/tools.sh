# Functions for cases; sourced.

# Runs a command and prints its standard output, its standard error and its exit code.
try() {
    "$@" 2>try.err
    code=$?
    cat try.err
    echo "exit $code"
}

fail() {
    echo "$*"
    exit 1
}

skip() {
    echo "skipped: $*" >&2
    exit 77
}

need() {
    command -v "$1" >/dev/null || skip "$1 is not installed"
}

# The path of a tiny f32 model in $MODEL, made from a checkpoint of tests/golden/models.
model() {
    MODEL=$TEMP/$1.gguf
    "$FALCONER" convert --quiet --type f32 "$SOURCE_DIR/tests/golden/models/$1" "$MODEL" || fail "cannot convert $1"
}

# The commands of the program, one per line.
commands() {
    "$FALCONER" list commands --json | tr ',' '\n' | sed -n 's/.*"name": "\([a-z0-9-]*\)".*/\1/p'
}

# The long options of a command, as --help shows them.
long_options() {
    "$FALCONER" "$1" --help | sed -n 's/^  \(-.,\|   \) --\([a-z0-9-]*\).*/\2/p'
}
