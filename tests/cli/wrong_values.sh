. "$TOOLS"
try "$FALCONER" run --top-k x
try "$FALCONER" run --top-k 1.5
try "$FALCONER" run --top-k=-1
try "$FALCONER" run --top-k 99999999999
try "$FALCONER" run --top-k ''
try "$FALCONER" run --top-p 1.01
try "$FALCONER" run --top-p nan
try "$FALCONER" run --temperature 0x10
try "$FALCONER" run --temperature ' 1'
try "$FALCONER" run --seed -1
try "$FALCONER" run --seed 9223372036854775808
try "$FALCONER" run --temperature
try "$FALCONER" run --stop ''
try "$FALCONER" run --json=yes
try "$FALCONER" run --kv-type q4_0
try "$FALCONER" run --num-return-sequences 0
try "$FALCONER" run --presence-penalty -101
try "$FALCONER" score --ids 1,2,x
try "$FALCONER" score --ids 1,-2
try "$FALCONER" score --ids ''
try "$FALCONER" score --ids 1,2,
try "$FALCONER" serve --no-store --port 0 --name ''
try "$FALCONER" serve --no-store --port 0 --cache-dir '' --also nowhere.gguf
try "$FALCONER" serve --no-store --port 0 --cache-dir nowhere/below/it/
try "$FALCONER" serve --no-store --port 0 --allow-host http://desk
ls nowhere 2>/dev/null && fail "a folder was made"
try "$FALCONER" rope --head-dim 7
try "$FALCONER" rope --factor 0.5
