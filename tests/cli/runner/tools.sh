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

# Data for training in talks.jsonl and text.txt, and options that make a model small enough to be trained here in $FRESH.
training_data() {
    i=0
    while [ $i -lt 40 ]; do
        echo '{"messages": [{"role": "user", "content": "What follows '$i'?"}, {"role": "assistant", "content": "It is '$((i + 1))'."}]}'
        i=$((i + 1))
    done >talks.jsonl
    i=0
    while [ $i -lt 60 ]; do
        echo "The falcon sees the sea $i times, and the sea sees the falcon."
        i=$((i + 1))
    done >text.txt
    FRESH="--tokenizer $SOURCE_DIR/tests/golden/models/falcon-7b-like --layout falcon-40b --n-layers 2 --d-model 32 --n-heads 2
        --n-kv-heads 1 --sequence-length 32 --batch-sequences 2 --threads 1"
}

# The log of a run without what depends on the machine and its clock.
log_of() {
    sed 's/, "seconds".*//' "$1/log.jsonl"
}
