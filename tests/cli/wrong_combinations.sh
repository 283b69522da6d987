. "$TOOLS"
try "$FALCONER" run -m none.gguf -p x --num-return-sequences 2
try "$FALCONER" run -m none.gguf -p x -f y
try "$FALCONER" run -m none.gguf -p x --system y
try "$FALCONER" chat -m none.gguf --system x --system-file y
try "$FALCONER" score -m none.gguf --text x --ids 1
try "$FALCONER" tokenize -m none.gguf --decode 1 text
try "$FALCONER" tokenize -m none.gguf one two
try "$FALCONER" doctor
try "$FALCONER" convert only-one
try "$FALCONER" completion
try "$FALCONER" run -m none.gguf -p x --chat --special
try "$FALCONER" run -m none.gguf -p x --do-sample --temperature 0
try "$FALCONER" score -m none.gguf --ids 1 --special
try "$FALCONER" tokenize -m none.gguf --decode 1 --special
try "$FALCONER" tokenize -m none.gguf --decode 1 --count
try "$FALCONER" rope --force
