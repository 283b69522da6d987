. "$TOOLS"
try "$FALCONER" run -p x -m absent.gguf
try "$FALCONER" inspect absent.gguf
printf 'GGUX' >bad.gguf
"$FALCONER" inspect bad.gguf 2>message
echo "exit $?"
grep -c '^falconer: .*bad.gguf' message
