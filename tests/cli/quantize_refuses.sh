. "$TOOLS"
model falcon-180b-like
try "$FALCONER" quantize "$MODEL" out.gguf Q9_9
try "$FALCONER" quantize "$MODEL" out.gguf
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 Q4_1
touch occupied
try "$FALCONER" quantize "$MODEL" --out-dir occupied Q4_0 --quiet
try "$FALCONER" quantize "$MODEL" out.gguf Q4_K_M --no-fallback
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 --tensor-type 'ffn_up=q9'
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 --quiet --tensor-type 'ffn(=q8_0'
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 --split-max-size 12Q
try "$FALCONER" quantize missing.gguf out.gguf Q4_0
"$FALCONER" quantize "$MODEL" q8.gguf Q8_0 --quiet
try "$FALCONER" quantize q8.gguf out.gguf Q4_0
ls

# What would be lost or mistaken without a word.
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 --quiet --tensor-type 'ffn_dwn=q8_0'
mkdir taken
try "$FALCONER" quantize "$MODEL" taken Q4_0 --quiet
try "$FALCONER" quantize "$MODEL" --out-dir set Q4_0 q4_0 --quiet
try "$FALCONER" quantize "$MODEL" --out-dir set Q4_0 --name a/b --quiet
cp "$MODEL/config.json" .
try "$FALCONER" quantize config.json out.gguf Q4_0
"$FALCONER" quantize "$MODEL" --out-dir set F16 Q4_0 --quiet || fail "a set in a folder that was not there"
"$FALCONER" quantize "$MODEL" --out-dir set F16 Q4_0 Q8_0 2>&1 >plan | grep -v '^in '
"$FALCONER" quantize "$MODEL" parts.gguf Q4_0 --split-max-size 100KB --quiet || fail "parts"
try "$FALCONER" quantize "$MODEL" parts.gguf Q4_0 --split-max-size 100KB --name other --quiet
"$FALCONER" imatrix -m q8.gguf -f "$SOURCE_DIR/CONTRIBUTING.md" -c 64 --windows 2 -o importance 2>notice || fail "imatrix"
try "$FALCONER" imatrix -m q8.gguf -f "$SOURCE_DIR/CONTRIBUTING.md" -o nowhere/importance
try "$FALCONER" quantize "$SOURCE_DIR/tests/golden/models/falcon-7b-like" out.gguf Q2_K --imatrix importance --quiet
"$FALCONER" quantize "$MODEL" out.gguf Q2_K --imatrix importance 2>&1 >plan | grep -v '^in '
