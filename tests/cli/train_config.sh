. "$TOOLS"
training_data
model falcon-7b-like
# Every option is a key of the file, and stands in the table of the manual.
for option in $(long_options train); do
    [ $option = help ] && continue
    echo "$option: x" >config.yaml
    "$FALCONER" train config.yaml 2>&1 | grep -q 'unknown key' && fail "$option is no key"
    grep -q "^| \`$option\` " "$SOURCE_DIR/docs/training.md" || fail "$option is not in docs/training.md"
done
sed -n '/^## Keys/,$s/^| `\([a-z0-9-]*\)` .*/\1/p' "$SOURCE_DIR/docs/training.md" | while read -r key; do
    long_options train | grep -qx -- "$key" || fail "docs/training.md has a key $key, which is no option"
done || exit 1
refused() {
    printf -- "$1" >config.yaml
    try "$FALCONER" train config.yaml -q
}
refused 'model: m.gguf\nlerning_rate: 3\n'
refused 'learning_rate: fast\n'
refused 'learning_rate: [1, 2]\n'
refused 'learning_rate:\n'
refused 'seed: 1\nresume: maybe\n'
refused 'sources: [a, b\n'
refused 'sources:\n\t- a\n'
refused '- a\n'
refused 'out: "a\\0b"\n'
refused 'seed: 1\nseed: 2\n'
refused 'learning_rate: 1e-4\nlearning-rate: 1e-5\n'
refused 'learning_rate: 0\n'
refused 'model: falcon-7b-like.gguf\nsources:\n  - path: a.txt\n    weight: 3\n    weight: 4\n'
refused 'model: falcon-7b-like.gguf\nsources:\n  - path: a.txt\n    weigth: 3\n'
refused 'model: falcon-7b-like.gguf\nsources:\n  - path: a.txt\n    weight: none\n'
refused 'model: falcon-7b-like.gguf\nsources:\n  - path: a.txt\n    colour: red\n'
refused 'model: falcon-7b-like.gguf\nsources:\n  - weight: 3\n'
refused 'layout: falcon-9b\n'
try "$FALCONER" train nowhere.yaml
# What does not go together.
try "$FALCONER" train -q
refuse() {
    try "$FALCONER" train -q -m "$MODEL" "$@"
}
refuse
refuse -s nowhere.txt
refuse -s text.txt --layout falcon-7b
refuse -s text.txt --force
refuse -s text.txt --lora-norms
refuse -s text.txt --context-method yarn
refuse -s text.txt -l 64 --batch-tokens 100
refuse -s text.txt -l 64 --batch-tokens 128 --batch-sequences 4
refuse -s text.txt -l 64 --micro-batch 9
refuse -s text.txt,reader=pdf
refuse -s text.txt,group=mine -s talks.jsonl
refuse -s text.txt --group x=1
refuse -s text.txt --group web-text=much
refuse -s text.txt --group web-text=1 --group web-text=2
# The model that training starts from is not replaced by what comes out.
mkdir own
cp "$MODEL" own/model.gguf
try "$FALCONER" train -q -m own/model.gguf -s text.txt -n 64 -o own
cmp "$MODEL" own/model.gguf
rm -r own
try "$FALCONER" train -q -s text.txt --lora-rank 2
try "$FALCONER" train -q $FRESH --layout falcon-7b --n-kv-heads 2 -s text.txt
try "$FALCONER" train -q --tokenizer "$MODEL" --layout falcon-40b --n-layers 1 --d-model 32 --n-heads 2 -c 32 -s text.txt
try "$FALCONER" train -q $FRESH --d-model 33 -s text.txt
# A format whose control tokens the model lacks.
try "$FALCONER" train -q -m "$MODEL" -s talks.jsonl --chat-format chatml -l 64
ls
