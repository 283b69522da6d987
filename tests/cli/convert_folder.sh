# A file becomes a checkpoint and a file again; a folder with other things in it is never replaced.
. "$TOOLS"
model falcon-40b-like
"$FALCONER" convert -q "$MODEL" folder
ls folder
"$FALCONER" convert -q folder again.gguf
"$FALCONER" tokenize -m "$MODEL" '<start_user>It costs $12,345.67' >one
"$FALCONER" tokenize -m again.gguf '<start_user>It costs $12,345.67' | cmp - one
"$FALCONER" inspect again.gguf | grep "rope.method"
try "$FALCONER" convert -q "$MODEL" folder
"$FALCONER" convert -q "$MODEL" folder --force --max-shard-size 150K
ls folder | grep -c '^model-.*safetensors$'
: >folder/notes
try "$FALCONER" convert -q "$MODEL" folder --force
ls folder | grep notes
try "$FALCONER" convert -q "$MODEL" other --max-shard-size tiny
"$FALCONER" convert -q "$MODEL" other --context-as numbers
grep -A 4 rope_scaling other/config.json
grep ntk other/config.json
# The disk is full, or at least the folder's limit is reached: nothing is left.
(
    ulimit -f 100
    trap '' XFSZ
    "$FALCONER" convert -q "$MODEL" full 2>message
    echo "exit $?"
)
grep -c 'cannot write' message
ls | grep full
echo end
