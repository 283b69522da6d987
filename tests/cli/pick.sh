. "$TOOLS"
# What fits, what is missing, and the exit code when nothing fits.
model falcon-7b-like
cd "$TEMP"
"$FALCONER" convert -q --type f16 "$SOURCE_DIR/tests/golden/models/falcon-7b-like" falcon-7b-like.f16.gguf
echo junk >junk.gguf
try "$FALCONER" pick --sizes 17.4GB,25.5GB,34.5GB --memory 32GB
try "$FALCONER" pick --sizes 17.4GB --memory 16GB
try "$FALCONER" pick --sizes 17.4,3GB
try "$FALCONER" pick --memory 24
try "$FALCONER" pick
try "$FALCONER" pick -m . --sizes 1GB
try "$FALCONER" pick --sizes 1GB -c 100
try "$FALCONER" pick --sizes 1GB --kv-type q8_0
try "$FALCONER" pick -m nothing
"$FALCONER" pick -m . --memory 1GB | grep -q '^\* falcon-7b-like\.gguf .* spare' || fail "the larger one is better"
"$FALCONER" pick falcon-7b-like.f16.gguf junk.gguf --memory 1GB | grep -q '^  junk\.gguf .*not a GGUF file' || fail junk
"$FALCONER" pick falcon-7b-like.f16.gguf >/dev/null || fail "this machine has no room for 1 MB"
need python3
"$FALCONER" pick falcon-7b-like.f16.gguf --memory 1GB --json | grep -q '"cache_bytes_per_token": 516,' || fail f16
"$FALCONER" pick falcon-7b-like.f16.gguf --memory 1GB --kv-type q8_0 --json \
    | grep -q '"cache_bytes_per_token": 276,' || fail q8_0
"$FALCONER" pick -m . --memory 1GB -c 1000 --json >all.json || fail json
python3 - <<'END'
import json
o = json.load(open("all.json"))
small, large, junk = o["files"]
assert o["best"] == 1 and o["best_path"].endswith("falcon-7b-like.gguf") and o["context"] == 1000
for f in (small, large):
    assert f["needed_bytes"] == f["weight_bytes"] + f["working_bytes"] + 1000 * f["cache_bytes_per_token"]
    assert f["spare_bytes"] == 10 ** 9 - f["needed_bytes"] and f["fits"] and f["longest_context"] == 2048
assert large["weight_bytes"] > small["weight_bytes"] and 15.9 < small["bits_per_weight"] < 17
assert "GGUF" in junk["trouble"] and not junk["fits"]
END
