. "$TOOLS"
try "$FALCONER" inpsect
try "$FALCONER" frobnicate
try "$FALCONER" --frobnicate
try "$FALCONER" run --max-lenght 3
try "$FALCONER" run --max-new
try "$FALCONER" run --zzzzzzzzz
try "$FALCONER" run -Z
try "$FALCONER" run --typo=3
try "$FALCONER" list type
try "$FALCONER" help runn
try "$FALCONER" rope --method ntkyarn
