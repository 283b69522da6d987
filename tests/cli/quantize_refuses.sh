. "$TOOLS"
model falcon-180b-like
try "$FALCONER" quantize "$MODEL" out.gguf Q9_9
try "$FALCONER" quantize "$MODEL" out.gguf
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 Q4_1
try "$FALCONER" quantize "$MODEL" --out-dir nowhere Q4_0
try "$FALCONER" quantize "$MODEL" out.gguf Q4_K_M --no-fallback
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 --tensor-type 'ffn_up=q9'
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 --quiet --tensor-type 'ffn(=q8_0'
try "$FALCONER" quantize "$MODEL" out.gguf Q4_0 --split-max-size 12Q
try "$FALCONER" quantize missing.gguf out.gguf Q4_0
"$FALCONER" quantize "$MODEL" q8.gguf Q8_0 --quiet
try "$FALCONER" quantize q8.gguf out.gguf Q4_0
ls
