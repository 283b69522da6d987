. "$TOOLS"
try "$FALCONER" run -p x -m absent.gguf
try "$FALCONER" inspect absent.gguf
printf 'GGUX' >bad.gguf
"$FALCONER" inspect bad.gguf 2>message
echo "exit $?"
grep -c '^falconer: .*bad.gguf' message
# A folder is told with what it holds.
mkdir run checkpoint empty && : >run/model.gguf && echo '{}' >checkpoint/config.json
try "$FALCONER" run -p x -m run
try "$FALCONER" inspect checkpoint
try "$FALCONER" inspect empty
mkdir -p nested/model.gguf && try "$FALCONER" inspect nested
