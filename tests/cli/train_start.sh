. "$TOOLS"
training_data
# Fresh, in every layout; a run's folder, a GGUF file and a checkpoint's folder are where another run starts.
for layout in falcon-7b falcon-rw; do
    "$FALCONER" train -q $FRESH --layout $layout --n-kv-heads $([ $layout = falcon-rw ] && echo 2 || echo 1) -s text.txt -n 128 \
        -o $layout || fail $layout
    "$FALCONER" run -m $layout/model.gguf -p Hello -n 2 --ignore-end --json | grep -c '"tokens": 2'
done
"$FALCONER" train -q $FRESH -s text.txt -s talks.jsonl -n 256 -o fresh --name tiny && ls fresh
"$FALCONER" inspect fresh/model.gguf | sed -n 's/^  \(name\|layers\|heads\|width\|ffn width\|vocabulary\) .*/&/p'
more="-q --sequence-length 32 --batch-sequences 2 -n 128 --threads 1 -s talks.jsonl"
"$FALCONER" train $more -m fresh -o second && "$FALCONER" train $more -m fresh/model.gguf -o third && cmp second/model.gguf \
    third/model.gguf && echo "a run is its model"
"$FALCONER" train $more -m "$SOURCE_DIR/tests/golden/models/falcon-rw-like" -o from_folder -t bf16 && ls from_folder
"$FALCONER" inspect from_folder/model.gguf | grep -c bf16
# Adapters: what is trained goes into a folder of its own, and folded in into the model.
"$FALCONER" train $more -m fresh --lora-rank 2 --lora-alpha 4 -o adapted && ls adapted adapted/adapter
cmp -s fresh/model.gguf adapted/model.gguf || echo "the model is another one"
# Every method goes into the file that comes out.
for method in $("$FALCONER" list methods | cut -d' ' -f1); do
    "$FALCONER" train -q --threads 1 -m fresh -s text.txt -n 128 -l 128 -b 1 --context-method $method --context-scale 4 -o $method ||
        fail $method
    "$FALCONER" inspect $method/model.gguf --json | sed 's/.*"context": {\([^}]*\)}.*/\1/; s/, "base_in.*//'
done
# A method does not keep the gain that tuned the one before.
cp -r "$SOURCE_DIR/tests/golden/models/falcon-7b-like" tuned
scaling='"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32, "attention_factor": 1.9'
sed -i "s/\"hidden_size\"/\"rope_scaling\": {$scaling}, &/" tuned/config.json
"$FALCONER" train -q --threads 1 -m tuned -s text.txt -n 128 -l 32 -b 1 --context-method ntk --context-scale 4 -o retuned
"$FALCONER" inspect retuned/model.gguf --json | sed 's/.*"context": {\([^}]*\)}.*/\1/; s/, "base_in.*//'
# More than the model sees is refused.
try "$FALCONER" train -q -m fresh -s text.txt -l 64
