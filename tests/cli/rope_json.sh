. "$TOOLS"
# Figures of NTK-YaRN for head dimension 64, base 10000, factor 4: base 10000 * 5^(64/62), m = 1 + 0.1 ln 4.
"$FALCONER" rope --method ntk-yarn --json >all.json || exit 1
grep -q '"base": 52664.4343' all.json || fail base
grep -q '"m": 1.13862943' all.json || fail m
grep -q '"frequencies": \[1.0, ' all.json || fail frequencies
"$FALCONER" rope --svg picture.svg >/dev/null && grep -c '<polyline' picture.svg
# A picture is not overwritten unless asked for, and nothing else is.
try "$FALCONER" rope --svg picture.svg
"$FALCONER" rope --svg picture.svg --force --method none >/dev/null && grep -c '<polyline' picture.svg
