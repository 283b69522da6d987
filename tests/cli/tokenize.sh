. "$TOOLS"
model falcon-7b-like
"$FALCONER" tokenize -m "$MODEL" 'The falcon <|endoftext|> 2023'
"$FALCONER" tokenize -m "$MODEL" 'The falcon <|endoftext|>' --special
"$FALCONER" tokenize -m "$MODEL" 'The falcon' --json
"$FALCONER" tokenize -m "$MODEL" 'The falcon' --count
"$FALCONER" tokenize -m "$MODEL" '' --json
# There and back, through a pipe, for bytes of any kind that have tokens.
printf 'caf\303\251 \346\227\245\346\234\254\n\tb \377\n' >bytes
ids=$("$FALCONER" tokenize -m "$MODEL" --json <bytes 2>notes | sed 's/.*"ids": \[\([0-9, ]*\)\].*/\1/')
"$FALCONER" tokenize -m "$MODEL" --decode "$ids" >back
if [ -s notes ]; then tr -d '\377' <bytes >bytes.kept; else cp bytes bytes.kept; fi
cmp bytes.kept back
try "$FALCONER" tokenize -m "$MODEL" --decode 5,99999
# Bytes without a token are told.
need python3
python3 - "$MODEL" <<'END'
import sys
model = open(sys.argv[1], "rb").read()
def entry(text): return len(text.encode()).to_bytes(8, "little") + text.encode()
assert model.count(entry("\u00ff")) == 1
open("gap.gguf", "wb").write(model.replace(entry("\u00ff"), entry("\u0414")))
END
printf 'ab\377c' | try "$FALCONER" tokenize -m gap.gguf --count
printf 'ab\377\377c\377' | try "$FALCONER" tokenize -m gap.gguf --count
printf '\377\377' | try "$FALCONER" tokenize -m gap.gguf --count
printf 'ab\377' | try "$FALCONER" score -m gap.gguf --device ref
