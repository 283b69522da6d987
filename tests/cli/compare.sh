. "$TOOLS"
need python3
model falcon-40b-like
other=$TEMP/other.gguf
"$FALCONER" convert --quiet --type bf16 "$SOURCE_DIR/tests/golden/models/falcon-40b-like" "$other" || fail "convert"
i=0
while [ $i -lt 12 ]; do
    echo "$i: the falcon is a bird of prey; it flies fast, and it sees far."
    i=$((i + 1))
done >text
"$FALCONER" compare -m "$MODEL" -m "$MODEL" -f text -c 32 --json >same.json || fail "with itself"
"$FALCONER" compare -m "$MODEL" -m "$other" -f text -c 32 --json >two.json || fail "compare"
"$FALCONER" compare -m "$MODEL" -m "$other" -f - -c 32 --threads 3 --batch 9 --json <text >again.json || fail "again"
cmp two.json again.json || exit 1
for file in "$MODEL" "$other"; do "$FALCONER" perplexity -m "$file" -f text -c 32 --json; done >alone.json || fail "alone"
python3 - <<'END' || fail "numbers"
import json
same, two = json.load(open("same.json")), json.load(open("two.json"))
assert same["kl_divergence"] == dict.fromkeys(["mean", "error", "median", "percentile_99", "maximum"], 0.0), same
assert same["top_1_agreement"] == 1 and same["ratio"] == 1 and same["ratio_error"] == 0
kl = two["kl_divergence"]
assert 0 < kl["median"] < kl["percentile_99"] <= kl["maximum"] < 0.1 and 0 < kl["mean"] < 0.01, kl
assert 0.8 < two["top_1_agreement"] <= 1 and abs(two["ratio"] - 1) < 0.05 and 0 < two["ratio_error"] < 0.05
for which, line in zip(("reference", "other"), open("alone.json")):
    alone = json.loads(line)
    assert alone["scored"] == two["scored"] and alone["windows"] == two["windows"]
    assert all(alone[key] == two[which][key] for key in two[which]), (alone, two[which])
END
"$FALCONER" compare -m "$MODEL" -m "$MODEL" -f text -c 32 --windows 1 | sed 's/[0-9]* +- [0-9]*$/VALUE/'
model falcon-7b-like
try "$FALCONER" compare -m "$MODEL" -m "$other" -f text -c 32
try "$FALCONER" compare -m "$MODEL" -f text
try "$FALCONER" compare -m "$MODEL" -m "$other"
