# An adapter of others is folded in, whatever the base is; what cannot be merged is refused by name and leaves nothing.
. "$TOOLS"
model falcon-7b-like
CHECKPOINT="$SOURCE_DIR/tests/golden/models/falcon-7b-like"
cp -r "$SOURCE_DIR/tests/golden/adapters/falcon-7b-like" adapter
chmod -R u+w adapter
"$FALCONER" merge -q -m "$MODEL" -a adapter merged.gguf --name merged --type F32
"$FALCONER" merge -q -m "$CHECKPOINT" -a adapter from_checkpoint.gguf --name merged --type F32
"$FALCONER" merge -q -m "$CHECKPOINT" -a adapter folder --type f32
"$FALCONER" convert -q folder from_folder.gguf --name merged
"$FALCONER" merge -q -m "$CHECKPOINT" -a adapter small.gguf --type Q8_0
"$FALCONER" inspect merged.gguf | grep -i -A 1 name
for file in from_checkpoint from_folder; do
    "$FALCONER" score -m $file.gguf --text 'Hello world' >$file.scores
    "$FALCONER" score -m merged.gguf --text 'Hello world' | cmp - $file.scores
done
"$FALCONER" score -m "$MODEL" --text 'Hello world' | cmp -s - from_folder.scores || echo 'the adapter changes the model'
try "$FALCONER" merge -q -m "$MODEL" -a adapter merged.gguf
try "$FALCONER" merge -q -m "$MODEL" merged.gguf
try "$FALCONER" merge -q -m "$MODEL" -a adapter other.gguf --type q9
try "$FALCONER" merge -q -m "$MODEL" -a absent other.gguf
try "$FALCONER" merge -q -m small.gguf -a adapter other.gguf
try "$FALCONER" merge -q -m "$MODEL" -a adapter other --type Q8_0
sed 's/"use_dora": false/"use_dora": true/' adapter/adapter_config.json >config && cp config adapter/adapter_config.json
try "$FALCONER" merge -q -m "$MODEL" -a adapter other.gguf
ls | grep other
echo end
