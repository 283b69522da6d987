# What is trained leaves as a file, as a folder and as an adapter; the adapter merged into the base is the file.
. "$TOOLS"
i=0
while [ $i -lt 12 ]; do
    echo '{"messages": [{"role": "user", "content": "What follows '$i'?"}, {"role": "assistant", "content": "It is '$((i + 1))'."}]}'
    i=$((i + 1))
done >talks.jsonl
CHECKPOINT="$SOURCE_DIR/tests/golden/models/falcon-7b-like"
"$FALCONER" train -q -m "$CHECKPOINT" -s talks.jsonl -n 300 -o run --sequence-length 48 --batch-sequences 2 --threads 1 \
    --lora-rank 2 --lora-norms --lora-embeddings --context-method ntk-yarn --context-scale 2
ls run/hf run/adapter
"$FALCONER" merge -q -m "$CHECKPOINT" -a run/adapter merged.gguf --type f32
"$FALCONER" convert -q run/hf back.gguf
# A run's folder is no checkpoint; what is in it is named.
try "$FALCONER" merge -q -m run -a run/adapter nothing.gguf
"$FALCONER" score -m run/model.gguf --text 'What follows 3?' >scores
for file in merged back; do
    "$FALCONER" score -m $file.gguf --text 'What follows 3?' | cmp - scores
    "$FALCONER" inspect $file.gguf | grep 'rope.method'
done
"$FALCONER" merge -q -m "$CHECKPOINT" -a run/adapter folder --type f32
cmp folder/model.safetensors run/hf/model.safetensors
cmp folder/config.json run/hf/config.json
