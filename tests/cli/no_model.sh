. "$TOOLS"
# A program without a model inside says how to name one.
! "$FALCONER" inspect >/dev/null 2>&1 || skip "a model is built in"
try "$FALCONER" chat
try "$FALCONER" run -p x
try "$FALCONER" score --text x
try "$FALCONER" tokenize x
try "$FALCONER" inspect
