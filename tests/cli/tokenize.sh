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
