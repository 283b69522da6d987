. "$TOOLS"
model falcon-40b-like
"$FALCONER" quantize "$MODEL" small.gguf Q4_K_M 2>&1 | sed 's/^in [0-9.]* s$/in TIME/'
"$FALCONER" run -m small.gguf -p 'Hello' -n 2 --ignore-end --json | grep -c '"tokens": 2'
mkdir set
try "$FALCONER" quantize "$MODEL" --out-dir set Q4_0 Q6_K --quiet --name tiny
ls set
# What is there and whole is kept, what is damaged is not taken for finished.
"$FALCONER" quantize "$MODEL" --out-dir set Q4_0 Q6_K --name tiny 2>&1 >/dev/null
head -c 3000 set/tiny.Q4_0.gguf >cut && mv cut set/tiny.Q4_0.gguf
try "$FALCONER" quantize "$MODEL" --out-dir set Q4_0 Q6_K --quiet --name tiny
try "$FALCONER" quantize "$MODEL" --out-dir set Q4_0 Q6_K --quiet --name tiny --force
# The plan says the size of the file.
planned=$("$FALCONER" quantize "$MODEL" x.gguf Q5_K_M --dry-run --json | sed 's/.*"file_bytes": \([0-9]*\).*/\1/')
"$FALCONER" quantize "$MODEL" x.gguf Q5_K_M --quiet && [ "$planned" = "$(wc -c <x.gguf)" ] && echo "size as planned"
