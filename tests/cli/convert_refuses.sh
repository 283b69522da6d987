. "$TOOLS"
mkdir empty
: >file
try "$FALCONER" convert absent out.gguf
try "$FALCONER" convert file out.gguf
try "$FALCONER" convert file out
try "$FALCONER" convert file empty
try "$FALCONER" convert file out --name other
try "$FALCONER" convert empty file
try "$FALCONER" convert empty .
try "$FALCONER" convert empty out.gguf --type q4_0
"$FALCONER" convert empty out.gguf 2>message
echo "exit $?"
grep -c '^falconer: .*config.json' message
[ ! -e out.gguf ] && [ ! -e out ]
