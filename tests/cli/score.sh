. "$TOOLS"
need python3
for name in falcon-7b-like falcon-rw-like starcoder-like; do
    model $name
    python3 - "$SOURCE_DIR/tests/golden/models/$name/expected.json" >cases <<'END'
import json, sys
for case in json.load(open(sys.argv[1]))["default"]:
    print(",".join(map(str, case["ids"])))
END
    n=0
    while read -r ids; do
        "$FALCONER" score -m "$MODEL" --ids "$ids" --json --logits >$n.json || fail "score $name"
        n=$((n + 1))
    done <cases
    python3 - "$SOURCE_DIR/tests/golden/models/$name/expected.json" <<'END' || fail "$name differs"
import json, sys
cases = json.load(open(sys.argv[1]))["default"]
assert cases
for i, want in enumerate(cases):
    got = json.load(open(f"{i}.json"))
    assert list(got) == ["ids", "logprobs", "nll", "last_logits"], list(got)
    assert got["ids"] == want["ids"] and got["logprobs"][0] is None
    assert len(got["logprobs"]) == len(got["ids"]) and len(got["last_logits"]) == len(want["last_logits"])
    assert abs(got["nll"] - want["nll"]) < 1e-4
    bound = 1e-3 * max(map(abs, want["last_logits"]))
    assert max(abs(a - b) for a, b in zip(got["last_logits"], want["last_logits"])) < bound
END
done
"$FALCONER" score -m "$MODEL" --ids 5 --json
try "$FALCONER" score -m "$MODEL" --ids 5,99999
try "$FALCONER" score -m "$MODEL" --text ''
try "$FALCONER" score -m "$MODEL" -c 3 --ids 1,2,3,4
try "$FALCONER" score -m "$MODEL" --ids 5
